"""What training takes, refused in a sentence before anything is compiled."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp

from stablespike.dynamics.arguments import shown

CALLED = "(parameters, batch, key)"


def require_loss(loss: Any) -> None:
    """Raise `ValueError` unless a loss can be called with parameters, a batch and a key."""
    if isinstance(loss, type) or not callable(loss):
        raise ValueError(f"a loss is a function of {CALLED}, as classify(until=...) makes one, not {shown(loss)}.")
    try:
        inspect.signature(loss).bind("parameters", "batch", "key")
    except TypeError:
        raise ValueError(
            f"a loss is called with {CALLED}, which {shown(loss)} does not take: of a function that makes losses give "
            "what it returns, as classify(until=...)."
        ) from None
    except ValueError:  # of some callables Python knows no signature
        return


def require_optimiser(optimiser: Any) -> None:
    """Raise `ValueError` unless an optimiser is one that optax has made."""
    if not (callable(getattr(optimiser, "init", None)) and callable(getattr(optimiser, "update", None))):
        made = f": write {optimiser.__name__}(learning_rate)" if inspect.isfunction(optimiser) else ""
        raise ValueError(f"the optimiser must be made by optax, as optax.adam(1e-3), not {shown(optimiser)}{made}.")


def require_key(key: Any) -> None:
    """Raise `ValueError` unless a key is one that `jax.random.key` makes; many networks have theirs by `vmap`."""
    if not hasattr(key, "dtype") or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or jnp.ndim(key):
        raise ValueError(f"the key must be made by jax.random.key(seed), not {shown(key)}.")


def require_something_to_train(trainable: Any) -> None:
    """Raise `ValueError` where no parameter would change."""
    if not jax.tree.leaves(trainable):
        raise ValueError("there is nothing to train: no floating-point arrays are among the parameters.")


def require_trials(step: Any, parameters: Any, *trials: Any) -> None:
    """Raise `ValueError` for trials that the loss of a step says it cannot mean, where it says anything."""
    if says := getattr(getattr(step, "loss", None), "require_trials", None):
        for some in trials:
            says(parameters, some)
