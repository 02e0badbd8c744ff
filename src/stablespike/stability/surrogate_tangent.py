"""Networks on a time grid as steps whose exponents can be taken and flossed: all layers jointly, or each by itself.

What the surrogate Jacobian of a spiking cell contains is said by its reset: `Unfelt` (public convention), `Detached`
(gated) or the reset itself (full). The forward pass is the same in all three. To the derivative of exponents, which
flossing takes, states move along their own trajectory, which feels the reset in the public convention as well: `PUBLIC`
feels it as a gate of constant spikes.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.cells import Cell, GridLIF, SpikingCell
from stablespike.dynamics.grid.network import GridNetwork, Layer, LayerState, run_on_grid
from stablespike.dynamics.grid.resets import Detached, Reset, ResetToZero, Unfelt
from stablespike.dynamics.status import Status
from stablespike.stability.flossing import Flossing, flossing_loss
from stablespike.stability.lyapunov import AbstractEventfulStep

Spike = Callable[[Float[Array, "..."]], Float[Array, "..."]]
PUBLIC = Unfelt(Detached(ResetToZero()))


class GridStep(AbstractEventfulStep):
    """The step of a whole `network`, with the exponents of all its layers together.

    LIF cells with the public convention: det D = (a b)^n whatever the weights, spikes and surrogate.
    """

    network: GridNetwork

    def rest(self) -> tuple[LayerState, ...]:
        """The state at rest."""
        return self.network.initial_state()

    def __call__(self, state: tuple[LayerState, ...], drive: Float[Array, " channels"]) -> tuple[LayerState, ...]:
        """One step of the grid; `drive` are the input spikes of the step."""
        return self.network.step(state, drive)[0]

    def require_events(self, state: tuple[LayerState, ...], drives: Float[Array, "steps channels"]) -> None:
        """Raise `ValueError` where a layer of spiking cells is silent, or spikes in every neuron and step.

        Exponents of such a layer are those of the surrogate at rest, not of any activity.
        """
        outputs = run_on_grid(self.network, drives, state).outputs
        for place, (layer, output) in enumerate(zip(self.network.layers, outputs, strict=True)):
            if isinstance(layer.cell, SpikingCell) and not isinstance(output, jax.core.Tracer):
                require_some_spikes(float(jnp.mean(output)), f"Layer {place + 1}")

    def require_ran(self, state: tuple[LayerState, ...], steps: int) -> None:
        """Nothing: `require_events` has run it."""
        del state, steps


def require_some_spikes(part: float, name: str) -> None:
    """Raise `ValueError` if spikes are `part` 0 or 1 of what `name` could emit, in all neurons and steps."""
    if part in (0, 1):
        how, change = ("saturated", "lower") if part else ("silent", "raise")
        raise ValueError(f"{name} is {how}: there are no events to average over; {change} its input or its weights.")


def layer_steps(
    network: GridNetwork, drives: Float[Array, "steps channels"]
) -> tuple[list[tuple[GridStep, Float[Array, "steps _"]]], Status]:
    """Each layer as a network of its own, with what arrives from the layer below as its drives; status of the run.

    The exponents of a feed-forward stack are those of its layers, each driven by the one below, taken together: its
    Jacobian is block-triangular. To the derivative of a layer's exponents, its drives are constants.
    """
    run = run_on_grid(network, drives)
    arriving = [drives, *(jax.lax.stop_gradient(output) for output in run.outputs[:-1])]
    steps = [GridStep(GridNetwork((layer,))) for layer in network.layers]
    return list(zip(steps, arriving, strict=True)), run.status


def flossing_by_layer(
    flossing: Flossing, network: GridNetwork, drives: Float[Array, "steps channels"], key: Key[Array, ""]
) -> tuple[Float[Array, ""], tuple[tuple[Status, ...], Float[Array, "layers count"]]]:
    """`flossing_loss` of every layer by itself, with the input that it gets from below, on one trial from rest.

    The mean over the layers; the status of the run and of each layer, and the leading exponents of each.
    """
    steps, below = layer_steps(network, drives)
    values, rest = zip(*(flossing_loss(flossing, step, step.rest(), given, key) for step, given in steps), strict=True)
    status, exponents = zip(*rest, strict=True)
    return jnp.mean(jnp.stack(values)), ((below, *status), jnp.stack(exponents))


def recurrent_step(cell: Cell, recurrent: Float[Array, "post pre"], inward: Float[Array, "post channels"]) -> GridStep:
    """One layer of recurrent cells."""
    return GridStep(GridNetwork((Layer(cell, Dense(inward), Dense(recurrent)),)))


def random_surrogate_network(
    generator: np.random.Generator,
    neurons: int,
    channels: int,
    spike: Spike,
    *,
    input_gain: float = 1.0,
    recurrent_gain: float = 1.0,
    reset: Reset = PUBLIC,
    dtype: Any = np.float64,
) -> GridStep:
    """LIF neurons of threshold 1, tau_mem = 10, tau_syn = 5 steps; weights normal with deviation gain/sqrt(fan-in).

    The mean of each neuron's weights is removed.
    """

    def normal(gain: float, inputs: int) -> Array:
        weights = gain * generator.normal(size=(neurons, inputs)) / np.sqrt(inputs)
        return jnp.asarray(weights - weights.mean(1, keepdims=True), dtype)

    inward = normal(input_gain, channels)
    return recurrent_step(GridLIF(10.0, 5.0, 1.0, spike=spike, reset=reset), normal(recurrent_gain, neurons), inward)


def spike_counts(step: GridStep, drives: Float[Array, "steps channels"]) -> Float[Array, " neurons"]:
    """Spikes of each neuron of the last layer in a run from rest; raises outside jit if it failed."""
    return run_on_grid(step.network, drives).readout.sum(0)
