"""The figure of flossing shows what its tables say, and comes out the same twice."""

import numpy as np
import pandas as pd

from stablespike.figures.products import save_figure
from studies.figures.flossing import flossing_spectra_figure


def tables():
    index = np.arange(1, 9)
    spectra = [
        pd.DataFrame(
            {"seed": seed, "count": count, "index": index, "exponent": -0.01 * index * (count == 0) - 0.001 * seed}
        )
        for seed in (1, 2)
        for count in (0, 4, 8)
    ]
    history = [
        pd.DataFrame({"seed": seed, "count": count, "step": np.arange(5), "distance": 0.1 / (1 + np.arange(5))})
        for seed in (1, 2)
        for count in (4, 8)
    ]
    return pd.concat(spectra), pd.concat(history)


def test_curves_are_those_of_the_tables(tmp_path):
    figures = [flossing_spectra_figure(*tables(), target=0.0, goal=0.01) for _ in range(2)]
    left, right = figures[0].axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["before", "k = 4", "k = 8"]
    means = [line.get_ydata() for line in left.lines if line.get_label() == "before"]
    np.testing.assert_allclose(means[0], -0.01 * np.arange(1, 9) - 0.0015)
    assert right.get_yscale() == "log"
    files = [save_figure(figure, tmp_path / str(k)) for k, figure in enumerate(figures)]
    assert files[0].read_bytes() == files[1].read_bytes()
