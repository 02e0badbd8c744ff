"""What every argument of this room has to be: refused before anything is computed, inside jit where it is known."""

import jax
import numpy as np


def require(condition, sentence: str) -> None:
    """Raise `ValueError(sentence)` unless the condition holds everywhere; one that is only known inside jit passes."""
    if not isinstance(condition, jax.core.Tracer) and not np.all(np.asarray(condition)):
        raise ValueError(sentence)


def require_positive(**values) -> None:
    """Raise `ValueError` that names the first of the values that is not positive and finite."""
    for name, value in values.items():
        require((value > 0) & (value < np.inf), f"{name} must be positive and finite, not {value}.")


def require_not_negative(**values) -> None:
    """Raise `ValueError` that names the first of the values that is negative or not finite."""
    for name, value in values.items():
        require((value >= 0) & (value < np.inf), f"{name} must be finite and not negative, not {value}.")
