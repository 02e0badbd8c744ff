"""Whether a long training is still sound: what is looked at after every epoch, and what is said where it degrades."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from stablespike.dynamics.arguments import Told, require_made, require_number, require_whole, shown
from stablespike.dynamics.run import Run
from stablespike.dynamics.spikes import Spikes
from stablespike.learning.gradients.rules import Recorded


class Watch(Told):
    """Samples a training with a loss that `classify` made, on the first `trials` of the last batch of every epoch.

    Columns of the history: `reversal_error`, |g - g*|/|g*| of the gradient g that is trained with and g* by recorded
    states, which differs from 0 by rounding where g is exact (and is of order 1 for rules that are not); `late_spikes`,
    how many input spikes of the batch come after the trial and are dropped; `fullest`, the part of the budget that the
    busiest neuron uses (near 1 the next step may fail; 0 on a grid); `not_finite`, how many parameters and entries of g
    are no finite numbers. `fit` warns where `reversal_error` exceeds `largest_error` (default: eps^0.45 of
    the parameters' type, 9e-8 in float64 and 8e-4 in float32), `fullest` `largest_part`, or anything is not finite.
    Costs two gradients of so many trials an epoch, and their compilation.
    """

    trials: int = eqx.field(static=True, default=4)
    largest_error: float | None = None
    largest_part: float = 0.9

    def __check_init__(self) -> None:
        """Refuse numbers that cannot be meant."""
        require_whole(1, trials=self.trials)
        for name in ("largest_error", "largest_part"):
            if getattr(self, name) is not None:
                require_number(name, getattr(self, name))

    def __call__(self, loss: Any, parameters: PyTree, batch: tuple[Any, Int[Array, " trials"]]) -> dict[str, Any]:
        """What is sampled of these parameters, on this batch."""
        few = jax.tree.map(lambda leaf: leaf[: self.trials], batch)
        return {name: value.item() for name, value in _sampled(loss, parameters, few).items()} | {
            "late_spikes": late_spikes(batch[0], loss.until)
        }

    def error_bound(self, parameters: PyTree) -> float:
        """The error of a gradient above which it is said to degrade."""
        if self.largest_error is not None:
            return float(self.largest_error)
        leaves = jax.tree.leaves(eqx.filter(parameters, eqx.is_inexact_array))
        return max(float(jnp.finfo(leaf.dtype).eps) ** 0.45 for leaf in leaves)

    def sentence(self, row: dict[str, Any], bound: float) -> str | None:
        """What has degraded, and what to do; None where nothing has."""
        if row["not_finite"]:
            return f"{row['not_finite']} parameters or entries of the gradient are not finite: lower the learning rate."
        if not row["reversal_error"] <= bound:
            return (
                f"the gradient differs from that of recorded states by {row['reversal_error']:.2g} of its size, more "
                f"than {bound:.1g}: use TimeReversed() with more checkpoints, or Recorded()."
            )
        if row["fullest"] > self.largest_part:
            return f"a neuron uses {row['fullest']:.0%} of the budget: give on=Events(budget=...) a larger one."
        return None


def require_watch(watch: Any, step: Any) -> None:
    """Raise `ValueError` unless a watch is one and the step has a loss that `classify` made."""
    require_made("watch", watch)
    if not isinstance(watch, Watch):
        raise ValueError(f"watch must be Watch(), not {shown(watch)}.")
    if not all(hasattr(getattr(step, "loss", None), name) for name in ("until", "gradient", "run")):
        raise ValueError("a Watch needs the update that gradient_training(classify(...), ...) made.")


@eqx.filter_jit
def _sampled(loss: Any, parameters: PyTree, batch: Any) -> dict[str, Array]:
    gradient, exact = (_gradient(one, parameters, batch) for one in (loss, _recorded(loss)))
    difference = jax.tree.map(jnp.subtract, gradient, exact)
    error = optax.tree.norm(difference) / optax.tree.norm(exact)
    leaves = jax.tree.leaves((gradient, eqx.filter(parameters, eqx.is_inexact_array)))
    wrong = sum((jnp.sum(~jnp.isfinite(leaf)) for leaf in leaves), jnp.zeros((), int))
    nothing = optax.tree.norm(difference) == 0  # also of silent networks, whose gradient has no size
    return {
        "reversal_error": jnp.where(nothing, 0, error),
        "fullest": _fullest(loss.run(parameters, batch[0])),
        "not_finite": wrong,
    }


def _recorded(loss: Any) -> Any:
    """The same loss, differentiated through the recorded states."""
    return eqx.tree_at(lambda one: one.gradient, loss, Recorded(), is_leaf=lambda node: node is None)


def _gradient(loss: Any, parameters: PyTree, batch: Any) -> PyTree:
    varied, rest = eqx.partition(parameters, eqx.is_inexact_array)
    return jax.grad(lambda part: loss(eqx.combine(part, rest), batch, None)[0])(varied)


def _fullest(run: Run) -> Float[Array, ""]:
    """The largest part of its budget that a neuron of a run by events uses."""
    parts = [
        jnp.max(layer.counts) / layer.budget if not layer.shared else jnp.sum(layer.counts, -1).max() / layer.budget
        for layer in run.layers
        if layer.signals is None
    ]
    return jnp.max(jnp.stack(parts)) if parts else jnp.zeros(())


def late_spikes(inputs: Any, until: float) -> int:
    """How many input spikes of trials come after their end."""
    return int(jnp.sum(inputs.real & (inputs.times > until))) if isinstance(inputs, Spikes) else 0
