"""Every event-based neuron of the package as a cell of a network on a grid.

Between grid points a neuron moves exactly, its own spike and reset included; what the grid blurs is communication.
Inputs take effect at the last grid point before them, spikes at the next one after them, so that the error of a spike
time shrinks in proportion to the step.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from stablespike.dynamics.grid.cells import Heaviside, Requirements, SpikingCell, Values, rising
from stablespike.dynamics.neurons.neuron import AbstractNeuron, Scalar, initial_states, over_neurons, require
from stablespike.dynamics.spikes import Spikes
from stablespike.native.conventions import Flag

States = Float[Array, "neurons variables"]
Distance = Callable[[AbstractNeuron, States, Values, Scalar], Values]


class PhaseInStep(eqx.Module):
    """Distance to a spike of a neuron without threshold: v = 1 - t*/dt, where t*/dt is the phase in the step.

    t* is the time to the next spike, counted from the beginning of the step: v is 1 for a spike right there, 0 for one
    at the end, negative for one that comes later, -inf (with no derivative) for one that does not come.
    """

    def __call__(self, neuron: AbstractNeuron, states: States, waits: Values, dt: Scalar) -> Values:
        """v, from the states at the beginning of the step and the times t* `[neurons]`."""
        del neuron, states
        return 1 - waits / dt


class VoltageAfterStep(eqx.Module):
    """Distance to threshold of a neuron that has one: v = (V(dt) - threshold)/threshold.

    V(dt) is the voltage at the end of the step as it would be without a reset. It has a derivative where no spike
    comes, too.
    """

    def __call__(self, neuron: AbstractNeuron, states: States, waits: Values, dt: Scalar) -> Values:
        """v, from the states at the beginning of the step."""
        del waits
        threshold = _threshold(neuron)
        return (over_neurons(neuron, "voltage")(over_neurons(neuron, "flow")(states, dt)) - threshold) / threshold


def _threshold(neuron: Any) -> Any:
    if not hasattr(neuron, "threshold"):
        raise ValueError(f"{type(neuron).__name__} has no field `threshold`: use PhaseInStep for it.")
    return neuron.threshold


class GridNeuronState(eqx.Module):
    """States of the `neurons`, the `distance` v to the spike in the last step, and who has ever spiked twice in one."""

    neurons: States
    distance: Values
    twice: Bool[Array, " neurons"]


class GridNeuron(SpikingCell):
    """A population of any `neuron` on a grid of steps `dt` (unit: that of its time constants): s = spike(v).

    `spiked_by` gives v, the argument of the surrogate, from the beginning of the step: `PhaseInStep` (any neuron; the
    only choice for QIF and theta neurons, which have no threshold) or `VoltageAfterStep` (LIF neurons). v >= 0 exactly
    where the neuron spikes in the step; where rounding has it otherwise, or where the voltage falls below threshold
    again within the step, v is 0 or just below, with its own derivative. What the neuron does itself (flow, spike time,
    reset) is differentiated exactly; the surrogate is that of the message to others. A neuron that would spike twice in
    a step is flagged.
    """

    neuron: AbstractNeuron
    dt: Scalar
    spiked_by: Distance = PhaseInStep()
    spike: Callable[[Values], Values] = Heaviside()

    def requirements(self) -> Requirements:
        """Those of the neuron, a positive step and a spike that is one."""
        positive = (jnp.asarray(self.dt) > 0, "dt must be positive.")
        return (*self.neuron.requirements(), positive, *rising(self.spike))

    def initial_state(self, neurons: int, dtype: Any) -> GridNeuronState:
        """At V = 0, without current."""
        return self.state_at(initial_states(self.neuron, jnp.zeros(neurons, dtype)))

    def state_at(self, states: States) -> GridNeuronState:
        """The neurons in `states`, none of which has just spiked."""
        neurons = states.shape[0]
        return GridNeuronState(states, jnp.full(neurons, -jnp.inf, states.dtype), jnp.zeros(neurons, bool))

    def distance(self, state: GridNeuronState) -> Values:
        """v of the last step."""
        return state.distance

    def output(self, state: GridNeuronState) -> Values:
        """Spikes, 0 or 1."""
        return self.spike(state.distance)

    def advance(self, state: GridNeuronState, output: Values, arriving: Values) -> GridNeuronState:
        """Pulses arrive, then the neurons flow for a step, with a reset where they spike."""
        del output
        flow, reset, wait_for = (over_neurons(self.neuron, name) for name in ("flow", "reset", "time_to_spike"))
        states = over_neurons(self.neuron, "jump")(state.neurons, arriving)
        waits = wait_for(states)
        spiked = waits < self.dt
        distance = _on_its_side(self.spiked_by(self.neuron, states, waits, self.dt), spiked)
        until = jnp.where(spiked, waits, 0)
        states = jnp.where(spiked[:, None], reset(flow(states, until)), states)
        twice = state.twice | (spiked & (wait_for(states) < self.dt - until))
        return GridNeuronState(flow(states, self.dt - until), distance, twice)

    def flags(self, state: GridNeuronState) -> Int[Array, ""]:
        """States that are not finite, spikes that were lost."""
        bad = ~jnp.all(jnp.isfinite(state.neurons)) | jnp.any(jnp.isnan(state.distance))
        lost = jnp.where(jnp.any(state.twice), int(Flag.TWICE_IN_STEP), 0)
        return lost | jnp.where(bad, int(Flag.NOT_FINITE), 0)


@jax.custom_jvp
def _on_its_side(v: Array, spiked: Array) -> Array:
    """v, or the nearest number on the side of zero that `spiked` says; the derivative is that of v."""
    return jnp.where(spiked, jnp.maximum(v, 0), jnp.minimum(v, -jnp.finfo(v.dtype).tiny))


@_on_its_side.defjvp
def _on_its_side_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Any]:
    return _on_its_side(*primals), tangents[0]


def counts_on_grid(spikes: Spikes, channels: int, dt: Scalar, steps: int) -> Float[Array, "steps channels"]:
    """Input spikes of one trial as numbers of spikes in each step: those in [k dt, (k + 1) dt) are in row k.

    What comes after the last step is left out. A source that is no channel and a time that is negative or no number
    raise, and inside jit make all nan, which a run reports.
    """
    known = jnp.all(~spikes.real | ((spikes.sources >= 0) & (spikes.sources < channels)))
    require(known, f"an input spike names a channel that is not among the {channels}.")
    possible = jnp.all(spikes.times >= 0)
    require(possible, "input spike times must not be negative (pad with inf).")
    known &= possible
    place = jnp.where(spikes.real, jnp.floor(spikes.times / dt), steps).astype(int)
    counts = jnp.zeros((steps, channels), spikes.times.dtype).at[place, spikes.sources].add(1, mode="drop")
    return jnp.where(known, counts, jnp.nan)
