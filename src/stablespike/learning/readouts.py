"""What the output of a network on a grid means: one number per class, and losses on it; each for one trial."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from stablespike.dynamics.neurons.neuron import Scalar, require

Outputs = Float[Array, "steps classes"]


def maximum_over_time(outputs: Outputs) -> Float[Array, " classes"]:
    """max_t o(t); at a tie its derivative is shared by the steps."""
    return outputs.max(0)


def sum_over_time(outputs: Outputs) -> Float[Array, " classes"]:
    """sum_t o(t): of spikes, their number."""
    return outputs.sum(0)


def mean_over_time(outputs: Outputs) -> Float[Array, " classes"]:
    """The mean over the steps: of spikes, their rate per step."""
    return outputs.mean(0)


def last_in_time(outputs: Outputs) -> Float[Array, " classes"]:
    """The output after the last step."""
    return outputs[-1]


class ExponentiallyWeightedMean(eqx.Module):
    """sum_t exp(-t/steps) o(t)/sum_t exp(-t/steps): early steps count more (loss shaping, Nowotny et al. 2025).

    `steps` is the time constant of the weights in steps of the grid. By events `ShapedReadout` is this mean in closed
    form.
    """

    steps: float

    def __check_init__(self) -> None:
        """Refuse a time constant that is none."""
        require(jnp.asarray(self.steps) > 0, f"steps must be positive, not {self.steps}.")

    def __call__(self, outputs: Outputs) -> Float[Array, " classes"]:
        """The mean."""
        weights = jnp.exp(-jnp.arange(outputs.shape[0], dtype=outputs.dtype) / self.steps)
        return weights @ outputs / weights.sum()


def require_labels(labels: Int[Array, "*trials"] | int, classes: int) -> None:
    """Raise `ValueError` if a label is none of the classes 0 ... classes - 1; unknown ones (inside jit) pass."""
    labels = jnp.asarray(labels)
    require((labels >= 0) & (labels < classes), f"labels must lie between 0 and {classes - 1}, one for each output.")


def cross_entropy(scores: Float[Array, " classes"], label: Int[Array, ""] | int) -> Float[Array, ""]:
    """-log softmax(scores)[label].

    A label that is no class raises; inside jit, where that is not known, the loss is nan, which a training step refuses
    (`require_labels` says it earlier, for all trials).
    """
    require_labels(label, scores.shape[0])
    inside = (label >= 0) & (label < scores.shape[0])
    return jnp.where(inside, -jax.nn.log_softmax(scores)[label], jnp.nan)


def filtered_spikes(
    spikes: Float[Array, "steps neurons"], time_constant: Scalar, dt: Scalar
) -> Float[Array, "steps neurons"]:
    """u(t) = exp(-dt/time_constant) u(t - 1) + s(t)."""
    decay = jnp.exp(-dt / jnp.asarray(time_constant, spikes.dtype))

    def step(u: Array, s: Array) -> tuple[Array, Array]:
        u = decay * u + s
        return u, u

    return jax.lax.scan(step, jnp.zeros_like(spikes[0]), spikes)[1]


def van_rossum_error(
    spikes: Float[Array, "steps neurons"], targets: Float[Array, "steps neurons"], time_constant: Scalar, dt: Scalar
) -> Float[Array, ""]:
    """(dt/tau) sum_t (u(t) - u*(t))^2, summed over neurons, u the spikes filtered by exp(-t/tau) (van Rossum 2001).

    For small steps and long trials a missing or extra spike costs 1/2, one at the wrong time up to 1. Differentiable in
    `spikes` `[steps, neurons]` (0 or 1), on a grid of steps `dt`; `targets` likewise.
    """
    if spikes.shape != targets.shape:
        raise ValueError(f"spikes {list(spikes.shape)} and targets {list(targets.shape)} must have the same shape.")
    require(
        jnp.asarray(time_constant) >= dt, f"time_constant must be at least one step (dt = {dt}): take smaller steps."
    )
    difference = filtered_spikes(spikes - targets, time_constant, dt)
    return dt / jnp.asarray(time_constant, spikes.dtype) * (difference**2).sum()
