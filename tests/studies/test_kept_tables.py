"""Tables that were made once are read back, whole and to the last digit."""

import numpy as np
import pandas as pd
import pytest

from studies.kept_tables import kept_tables

TABLES = (pd.DataFrame({"x": np.random.default_rng(0).normal(size=5) / 3, "n": range(5)}), pd.DataFrame({"b": [True]}))


def test_the_second_call_makes_nothing(tmp_path):
    for make in (lambda: TABLES, pytest.fail):
        for found, table in zip(kept_tables(tmp_path / "new", "one", make), TABLES, strict=True):
            pd.testing.assert_frame_equal(found, table, check_exact=True)


def test_what_was_interrupted_is_made_anew(tmp_path):
    def stopped():
        raise KeyboardInterrupt

    (tmp_path / "one.partial").mkdir()
    (tmp_path / "one.partial" / "000.csv").write_text("x\n0\n")
    with pytest.raises(KeyboardInterrupt):
        kept_tables(tmp_path, "one", stopped)
    assert len(kept_tables(tmp_path, "one", lambda: TABLES)) == 2
