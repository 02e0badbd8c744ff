"""How gradients change on their way back through time: norm, dimensionality and spectrum against the delay."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from stablespike.dynamics.spikes import Spikes
from stablespike.stability.gradient_statistics import probed_run
from stablespike.stability.lyapunov import Step
from stablespike.stability.steps import AbstractWindow


class GradientGrowth(eqx.Module):
    """Gradients of losses at the end of a run in its states before, `delays` `[windows]` earlier (unit of time).

    For the loss c.x(T) with a random c of unit length and its gradient J^T c: `norm` `[windows]` its root mean square,
    `dimension` its participation ratio (tr K)^2/tr K^2, K = J^T J, about zero; `singular` `[windows, dimensions]` the
    singular values of J, the Jacobian of the delay, falling. These are expectations over c, not samples. `rate` is the
    mean rate of a neuron.
    """

    delays: Float[np.ndarray, " windows"]
    norm: Float[np.ndarray, " windows"]
    dimension: Float[np.ndarray, " windows"]
    singular: Float[np.ndarray, "windows dimensions"]
    rate: float


@eqx.filter_jit
def jacobians_to_the_end(
    step: Step, state: PyTree, drives: PyTree
) -> tuple[Float[Array, "steps dimensions dimensions"], PyTree]:
    """d state(T)/d state(t) for t = 0 ... T - 1, by one pull-back for each entry of the last state; and that state."""

    _, pull, final = probed_run(step, state, drives, lambda states: _flat(jax.tree.map(lambda leaf: leaf[-1], states)))
    of_states = jax.vmap(lambda direction: jax.vmap(_flat)(pull(direction)[0]), out_axes=1)
    return of_states(jnp.eye(_flat(state).size, dtype=_flat(state).dtype)), final


def growth_of_gradients(step: AbstractWindow, spikes: Spikes, windows: int) -> GradientGrowth:
    """Norm, dimensionality and spectrum of gradients against the delay in one run of `windows` windows from rest.

    Raises `ValueError` for a silent network and `SimulationError` if a window went wrong.
    """
    rows, final = jacobians_to_the_end(step, step.rest(), step.drives(spikes, windows))
    rate = step.require_ran(final, windows)
    singular = np.linalg.svd(np.asarray(rows)[::-1], compute_uv=False)
    squares = np.sum(singular**2, 1)
    scaled = singular / singular[:, :1]  # fourth powers of long-term gradients would underflow
    return GradientGrowth(
        delays=step.window * np.arange(1, windows + 1),
        norm=np.sqrt(squares / singular.shape[1]),
        dimension=np.sum(scaled**2, 1) ** 2 / np.sum(scaled**4, 1),
        singular=singular,
        rate=rate,
    )


def growth_rate(growth: GradientGrowth, shortest: float) -> float:
    """Slope of log norm against the delay by least squares, from `shortest` on; `ValueError` if none are left."""
    used = growth.delays >= shortest
    if used.sum() < 2:
        raise ValueError(f"a delay of {shortest} leaves fewer than two of a run of {growth.delays[-1]}: lengthen it.")
    return float(np.polyfit(growth.delays[used], np.log(growth.norm[used]), 1)[0])


def _flat(tree: PyTree) -> Array:
    return ravel_pytree(eqx.filter(tree, eqx.is_inexact_array))[0]
