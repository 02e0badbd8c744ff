"""Initial weights of spiking networks; random keys are explicit."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


def uniform_by_fan_in(
    key: Key[Array, ""], sizes: tuple[int, ...], gain: float = 0.5
) -> tuple[Float[Array, "_ _"], ...]:
    """Layer weights `[post, pre]` from U(-gain/sqrt(pre), gain/sqrt(pre)); `sizes` from the input to the last layer."""
    keys = jax.random.split(key, len(sizes) - 1)
    return tuple(
        jax.random.uniform(one, (post, pre), minval=-gain / jnp.sqrt(pre), maxval=gain / jnp.sqrt(pre))
        for one, pre, post in zip(keys, sizes[:-1], sizes[1:], strict=True)
    )
