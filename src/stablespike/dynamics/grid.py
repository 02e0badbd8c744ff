"""Any neuron of the package on a time grid: what event-based simulation is compared with.

Between grid points a neuron moves exactly, its own spike included; what the grid blurs is communication. Inputs take
effect at the last grid point before them, spikes at the next one after them, so that the error of a spike time shrinks
in proportion to the step.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from stablespike.dynamics.network import Recurrent, network_flags
from stablespike.dynamics.neuron import over_neurons, require_states
from stablespike.dynamics.spikes import Flag, Spikes, Status, input_flags, raise_unless_ok


class GridSolution(eqx.Module):
    """Result on a grid: `spiked` `[steps, neurons]` in each step, `times` `[steps]` at which these take effect, the
    `state` of the neurons at the end, `status`.
    """

    times: Float[Array, " steps"]
    spiked: Bool[Array, "*trials steps neurons"]
    state: Float[Array, "*trials neurons variables"]
    status: Status

    def spike_times(self, spikes: int) -> Float[Array, "neurons spikes"]:
        """First `spikes` spike times of every neuron (inf where it has fewer); one trial, use `vmap` for more."""
        ordinals = jnp.where(self.spiked, jnp.cumsum(self.spiked, 0) - 1, spikes)
        table = jnp.full((self.spiked.shape[1], spikes), jnp.inf, self.times.dtype)
        neurons = jnp.broadcast_to(jnp.arange(self.spiked.shape[1]), self.spiked.shape)
        return table.at[neurons, ordinals].set(self.times[:, None], mode="drop")


def simulate_on_grid(
    network: Recurrent, states: Float[Array, "neurons variables"], inputs: Spikes, duration, *, steps: int
) -> GridSolution:
    """Simulate a recurrent network in `steps` equal steps from `states` at time 0 to `duration`.

    A neuron that would spike twice within a step exhausts the budget of one spike per step: this is flagged and,
    outside jit, raised. Connection delays are not supported. Only the states have a derivative.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}.")
    if network.delays is not None:
        raise ValueError("simulate_on_grid does not support delays: use simulate.")
    require_states(network.neuron, states, network.size)
    solution = _simulate_on_grid(network, states, inputs, duration, steps)
    raise_unless_ok(solution.status)
    return solution


@eqx.filter_jit
def _simulate_on_grid(network, states, inputs, duration, steps):
    dt = jnp.asarray(duration, states.dtype) / steps
    pulses = binned_inputs(network, inputs, dt, steps)
    flow, reset, jump, wait_for = (
        over_neurons(network.neuron, name) for name in ("flow", "reset", "jump", "time_to_spike")
    )

    def step(carry, arriving):
        states, before, flags, failed, now = carry
        states = jump(states, arriving + network.weights @ before)
        waits = wait_for(states)
        spiked = waits < dt
        left = dt - jnp.where(spiked, waits, 0)
        states = jnp.where(spiked[:, None], reset(flow(states, jnp.where(spiked, waits, 0))), states)
        twice = jnp.any(spiked & (wait_for(states) < left))
        states = flow(states, left)
        bad = ~jnp.all(jnp.isfinite(states)) | jnp.any(jnp.isnan(waits))
        new = jnp.where(twice, int(Flag.BUDGET_EXHAUSTED), 0) | jnp.where(bad, int(Flag.NOT_FINITE), 0)
        failed = jnp.where((flags == 0) & (new != 0), now, failed)
        return (states, spiked.astype(states.dtype), flags | new, failed, now + dt), spiked

    end = jnp.asarray(duration, states.dtype)
    start = states, jnp.zeros(network.size, states.dtype), jnp.zeros((), int), end, jnp.zeros_like(end)
    (states, _, flags, failed, _), spiked = jax.lax.scan(step, start, pulses)
    flags = flags | network_flags(network) | input_flags(inputs, network.input_weights.shape[1], duration)
    return GridSolution(dt * jnp.arange(1, steps + 1, dtype=dt.dtype), spiked, states, Status(flags, failed, steps))


def binned_inputs(network: Recurrent, inputs: Spikes, dt, steps: int) -> Float[Array, "steps neurons"]:
    """What arrives at each grid point: summed input weights of the input spikes from there to the next one."""
    place: Int[Array, " events"] = jnp.where(inputs.real, jnp.floor(inputs.times / dt), steps).astype(int)
    channels = jnp.where(inputs.real, inputs.sources, 0)
    empty = jnp.zeros((steps, network.size), network.input_weights.dtype)
    return empty.at[place].add(network.input_weights[:, channels].T, mode="drop")
