"""Tables of a long study that are kept as soon as they are made: a run that was killed does not make them anew."""

import pathlib
import shutil
from collections.abc import Callable, Sequence

import pandas as pd


def kept_tables(
    folder: pathlib.Path | str, name: str, make: Callable[[], Sequence[pd.DataFrame]]
) -> tuple[pd.DataFrame, ...]:
    """The tables that an earlier call left in `folder`/`name`, or those of `make()`, which are then left there.

    Written beside and renamed, so that a kill leaves all tables or none; read back in both cases, so that a resumed
    study has the same numbers to the last digit. Columns of text, numbers and truth values; no index.
    """
    place = pathlib.Path(folder) / name
    if not place.is_dir():
        partial = place.with_name(f"{name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        tables = make()
        partial.mkdir(parents=True)
        for number, table in enumerate(tables):
            table.to_csv(partial / f"{number:03d}.csv", index=False)
        partial.rename(place)
    return tuple(pd.read_csv(file) for file in sorted(place.glob("*.csv")))
