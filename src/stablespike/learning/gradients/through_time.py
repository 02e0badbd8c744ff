"""Backpropagation through time with another derivative or another memory: what `run_on_grid` takes as its `scan`.

The values are those of the plain scan. What arrives from the layer below is no recurrence, so that a `DelayedSteps`
connection between layers carries gradients across the borders of segments.
"""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from stablespike.dynamics.arguments import Told, require_whole
from stablespike.dynamics.grid.network import scan_for_backend

Scan = Callable[[Callable, Any, Any], tuple[Any, Any]]


class Truncated(Told):
    """The state is a constant to the derivative at every `every`-th step: no gradient flows further back.

    Segments are counted from the beginning of the run (Williams & Peng 1990). The rule cuts the derivative, not the
    memory: that is a matter of `scan`, which does the steps within a segment.
    """

    every: int = eqx.field(static=True)
    scan: Scan = eqx.field(default=scan_for_backend, static=True)

    def __check_init__(self) -> None:
        """Refuse an empty window."""
        require_whole(1, every=self.every)

    def __call__(self, step: Callable, start: Any, inputs: Any) -> tuple[Any, Any]:
        """The scan."""

        def segment(carry: Any, part: Any, first: Array) -> tuple[Any, Any]:
            kept = jax.tree.map(lambda leaf: jnp.where(first, leaf, jax.lax.stop_gradient(leaf)), carry)
            return self.scan(step, kept, part)

        return _by_segments(segment, self.every, start, inputs)


class Checkpointed(Told):
    """Only the states at every `every`-th step are kept; those in between are computed again on the way back.

    Memory for T steps: T/every + every states instead of T, least at the default every = sqrt(T), for one more forward
    pass
    (Chen et al. 2016). The derivative is that of the plain scan.
    """

    every: int | None = eqx.field(static=True, default=None)
    scan: Scan = eqx.field(default=scan_for_backend, static=True)

    def __check_init__(self) -> None:
        """Refuse an empty segment."""
        if self.every is not None:
            require_whole(1, every=self.every)

    def __call__(self, step: Callable, start: Any, inputs: Any) -> tuple[Any, Any]:
        """The scan."""
        # A loop around it already keeps the compiler from merging the two passes.
        again = jax.checkpoint(lambda carry, part: self.scan(step, carry, part), prevent_cse=False)
        every = self.every or max(1, math.isqrt(jax.tree.leaves(inputs)[0].shape[0]))
        return _by_segments(lambda carry, part, first: again(carry, part), every, start, inputs)


def _by_segments(segment: Callable, every: int, start: Any, inputs: Any) -> tuple[Any, Any]:
    """Scan over whole segments, then what is left; `segment(carry, inputs, first)` is told whether it is the first."""
    steps = jax.tree.leaves(inputs)[0].shape[0]
    count = steps // every
    head = jax.tree.map(lambda leaf: leaf[: count * every].reshape(count, every, *leaf.shape[1:]), inputs)
    carry, outputs = jax.lax.scan(lambda c, x: segment(c, *x), start, (head, jnp.arange(count) == 0))
    outputs = jax.tree.map(lambda leaf: leaf.reshape(count * every, *leaf.shape[2:]), outputs)
    if count * every == steps:
        return carry, outputs
    carry, rest = segment(carry, jax.tree.map(lambda leaf: leaf[count * every :], inputs), jnp.array(count == 0))
    return carry, jax.tree.map(lambda one, other: jnp.concatenate([one, other]), outputs, rest)
