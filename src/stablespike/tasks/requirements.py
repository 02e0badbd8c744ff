"""What every argument of this room has to be: refused before anything is computed, inside jit where it is known."""

import numbers
import operator
from typing import Any

import jax
import numpy as np


def require(condition: Any, sentence: str) -> None:
    """Raise `ValueError(sentence)` unless the condition holds everywhere; one that is only known inside jit passes."""
    if not isinstance(condition, jax.core.Tracer) and not np.all(np.asarray(condition)):
        raise ValueError(sentence)


def require_numbers(**values: Any) -> None:
    """Raise `ValueError` that names the first of the values that is no real number, nor an array of some."""
    for name, value in values.items():
        kind = getattr(value, "dtype", None)
        real = isinstance(value, numbers.Real) if kind is None else np.dtype(kind).kind in "biuf"
        require(real, f"{name} must be a number, not {value!r}.")


def require_whole(**values: Any) -> None:
    """Raise `ValueError` that names the first of the values that is no whole number."""
    for name, value in values.items():
        try:
            require(not isinstance(value, bool), f"{name} must be a whole number, not {value}.")
            operator.index(value)
        except TypeError:
            raise ValueError(f"{name} must be a whole number, not {value!r}.") from None


def require_positive(**values: Any) -> None:
    """Raise `ValueError` that names the first of the values that is not positive and finite."""
    require_numbers(**values)
    for name, value in values.items():
        require((value > 0) & (value < np.inf), f"{name} must be positive and finite, not {value}.")


def require_not_negative(**values: Any) -> None:
    """Raise `ValueError` that names the first of the values that is negative or not finite."""
    require_numbers(**values)
    for name, value in values.items():
        require((value >= 0) & (value < np.inf), f"{name} must be finite and not negative, not {value}.")
