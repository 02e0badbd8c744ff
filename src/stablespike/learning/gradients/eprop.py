"""e-prop: a gradient from what a synapse and its neuron know, and a learning signal (Bellec et al. 2020)."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.cells import GridLeakyReadout, SpikingCell, approach, decayed
from stablespike.dynamics.grid.network import GridNetwork, Layer
from stablespike.learning.gradients.real_time import Rule, StepInfo, StepLoss


class EligibilityState(eqx.Module):
    """State of the `network`; of each synapse (`[neurons, presynaptic]`, channels first, then neurons) the
    `eligibility` of the neuron's state and the `trace` of its spikes; the `spike_trace` `[neurons]`; the `gradient`.
    """

    network: PyTree
    eligibility: PyTree
    trace: Float[Array, "neurons presynaptic"]
    spike_trace: Float[Array, " neurons"]
    gradient: PyTree


def eligibility_propagation(loss: StepLoss, feedback: Float[Array, "neurons outputs"] | None = None) -> Rule:
    """e-prop for a recurrent layer with a leaky readout o' = k o + (1 - k) O s', as a rule (init, step).

    The state c_j of a neuron moves by c' = f(c, r, ...), r_j = sum_i w_ji z_i, where z are input signals and recurrent
    spikes. Each synapse keeps e'_ji = (df/dc) e_ji + (df/dr) z_i and E'_ji = k E_ji + (1 - k) (ds/dc') e'_ji; then
    dw_ji = sum_t E_ji(t) sum_n B_jn dl/do_n. It is the gradient without the paths through other neurons of the layer:
    exact where nothing is recurrent. A neuron's own reset is on the path as far as its `reset` is felt. `feedback` B:
    by default O^T (symmetric e-prop), else any matrix (random e-prop).

    For any `SpikingCell` (LIF, adaptive LIF, event-based neurons). Trained are the three matrices; the gradient of all
    other parameters is given as zero. Raises `ValueError` for other architectures.
    """

    def init(network: GridNetwork) -> EligibilityState:
        hidden, _ = _parts(network)
        state, shape = network.initial_state(), (hidden.size, network.channels + hidden.size)
        cell = eqx.filter(state[0].cell, eqx.is_inexact_array)
        traces = jax.tree.map(lambda leaf: jnp.zeros((*leaf.shape, shape[1]), leaf.dtype), cell)
        nothing = jnp.zeros(shape, hidden.inputs.weights.dtype)
        gradient = jax.tree.map(jnp.zeros_like, eqx.filter(network, eqx.is_inexact_array))
        return EligibilityState(state, traces, nothing, nothing[:, 0], gradient)

    def step(
        network: GridNetwork, state: EligibilityState, signal: Float[Array, " channels"], target: Any
    ) -> tuple[EligibilityState, StepInfo]:
        hidden, readout = _parts(network)
        before = hidden.cell.output(state.network[0].cell)
        moved, output = network.step(state.network, signal)
        eligibility, slopes = _eligibilities(hidden, state, signal, before)
        k, dt = readout.membrane_time_constant, readout.dt
        trace = decayed(state.trace, k, dt) + approach(k, dt) * slopes
        spikes = hidden.cell.output(moved[0].cell)
        spike_trace = decayed(state.spike_trace, k, dt) + approach(k, dt) * spikes
        value, error = jax.value_and_grad(loss)(output, target)
        signals = (_matrices(network)[2].T if feedback is None else feedback) @ error
        change = signals[:, None] * trace
        parts = change[:, : network.channels], change[:, network.channels :], jnp.outer(error, spike_trace)
        gradient = eqx.tree_at(_matrices, state.gradient, tuple(map(jnp.add, _matrices(state.gradient), parts)))
        return EligibilityState(moved, eligibility, trace, spike_trace, gradient), StepInfo(output, value)

    return init, step


def _matrices(network: Any) -> tuple[Any, Any, Any]:
    hidden, readout = network.layers
    return hidden.inputs.weights, hidden.recurrent.weights, readout.inputs.weights


def _eligibilities(layer: Any, state: EligibilityState, signal: Array, before: Array) -> tuple[PyTree, Array]:
    """e' of every synapse, and (ds/dc') e': the derivatives of the neuron's own step along e and along its input."""
    moving, rest = eqx.partition(state.network[0].cell, eqx.is_inexact_array)
    arriving = layer.inputs.weights @ signal + layer.recurrent.weights @ before

    def own_step(moving: PyTree, arriving: Array) -> tuple[PyTree, Array]:
        cell = eqx.combine(moving, rest)
        new = layer.cell.advance(cell, layer.cell.output(cell), arriving)
        return eqx.filter(new, eqx.is_inexact_array), layer.cell.output(new)

    def push(eligibility: PyTree, presynaptic: Array) -> tuple[PyTree, Array]:
        direction = jnp.full_like(arriving, presynaptic)
        return jax.jvp(own_step, (moving, arriving), (eligibility, direction))[1]

    return jax.vmap(push, in_axes=(-1, 0), out_axes=-1)(state.eligibility, jnp.concatenate([signal, before]))


def _unfiltered(cell: Any) -> bool:
    """One time constant and no synaptic filter: one trace per synapse does for all outputs."""
    return cell.synaptic_time_constant is None and not jnp.ndim(cell.membrane_time_constant)


def _parts(network: GridNetwork) -> tuple[Layer, GridLeakyReadout]:
    """The recurrent layer and the readout; raise unless the network is made of these."""
    if len(network.layers) == 2:
        hidden, readout = network.layers
        cell = readout.cell
        plain = all(isinstance(one, Dense) for one in (hidden.inputs, hidden.recurrent, readout.inputs))
        spiking = isinstance(hidden.cell, SpikingCell) and readout.recurrent is None
        if plain and spiking and isinstance(cell, GridLeakyReadout) and _unfiltered(cell):
            return hidden, cell
    raise ValueError(
        "e-prop is for a recurrent layer of spiking cells and a leaky readout of one time constant, without a synapse, "
        "all with `Dense` connections: use backpropagation through time for other networks."
    )
