"""Layers simulated only until a trial is decided: what comes after the spikes that a readout looks at is not computed.

A trial is cut into windows. After each one the trials that are decided stand still; the others go on from where they
are. Within what was simulated the result is that of `simulate_layers`, gradients included.
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from stablespike.dynamics.engines.layers import LayerSolution, merge, simulate_layer, simulate_layers
from stablespike.dynamics.network import Layered
from stablespike.dynamics.spikes import Spikes, in_order, input_flags
from stablespike.dynamics.status import Status, raise_unless_ok

Decided = Callable[[LayerSolution], Bool[Array, ""]]


class StoppedSolution(eqx.Module):
    """`layers` as from `simulate_layers`, each with the spikes up to `reached` only, the end of the last window run.

    A spike that is missing in a train (inf) is missing up to `reached`; later than that nothing is known.
    """

    layers: tuple[LayerSolution, ...]
    reached: Float[Array, "*trials"]


def everyone_spiked(output: LayerSolution) -> Bool[Array, ""]:
    """Whether every output neuron has spiked: then no first spike is open."""
    return jnp.all(output.counts > 0)


def simulate_layers_until(
    decided: Decided,
    network: Layered,
    states: tuple[Float[Array, "_ _"], ...],
    inputs: Spikes,
    boundaries: tuple[float, ...],
    *,
    capacities: tuple[int, ...],
    layer: Callable = simulate_layer,
) -> StoppedSolution:
    """Simulate one trial window by window, until `decided(last layer)` or the last of the `boundaries` (ascending).

    `capacities` are the budgets of spikes per neuron and window, one per layer; `layer` as in `simulate_layers`. An
    exhausted budget is flagged and, outside jit, raised. Spikes keep their time since the start of the trial.
    """
    _require_windows(boundaries, capacities, network)
    malformed = input_flags(inputs, network.weights[0].shape[1], boundaries[-1])
    raise_unless_ok(Status(malformed, jnp.zeros(()), 0))
    inputs = Spikes(inputs.times.astype(jnp.result_type(float, network.weights[0])), inputs.sources)
    reached = jnp.zeros((), inputs.times.dtype)
    solutions: tuple[LayerSolution, ...] = ()
    for start, end in zip((0.0, *boundaries[:-1]), boundaries, strict=True):
        going = ~decided(solutions[-1]) if solutions else jnp.array(True)
        length = jnp.where(going, end - start, 0.0).astype(inputs.times.dtype)
        within = going & (inputs.times > start if start else True) & (inputs.times <= end)
        arriving = in_order(jnp.where(within, inputs.times - start, jnp.inf), inputs.sources)
        window, states = _window(network, states, arriving, length, capacities, layer)
        reached = jnp.where(going, jnp.asarray(end, reached.dtype), reached)
        solutions = _joined(solutions, window, start) if solutions else window
    solutions = eqx.tree_at(lambda layers: layers[0].status.flags, solutions, solutions[0].status.flags | malformed)
    return StoppedSolution(solutions, reached)


def _require_windows(boundaries: tuple[float, ...], capacities: tuple[int, ...], network: Layered) -> None:
    if not boundaries or any(b <= a for a, b in zip((0.0, *boundaries[:-1]), boundaries, strict=True)):
        raise ValueError(f"boundaries must be positive and ascending, at least one, not {boundaries}.")
    if len(capacities) != len(network.weights):
        raise ValueError(f"there are {len(network.weights)} layers, but {len(capacities)} capacities.")


def _window(
    network: Layered,
    states: tuple[Array, ...],
    inputs: Spikes,
    length: Array,
    capacities: tuple[int, ...],
    layer: Callable,
) -> tuple[tuple[LayerSolution, ...], tuple[Array, ...]]:
    """All layers through one window, from their states; with the states at its end."""
    solutions = []
    for index, (weights, state) in enumerate(zip(network.weights, states, strict=True)):
        alone = Layered(network.layer_neuron(index), (weights,))
        (solution,) = simulate_layers(alone, (state,), inputs, length, capacity=capacities[index], layer=layer)
        inputs = merge(solution.times)
        solutions.append(solution)
    return tuple(solutions), tuple(solution.state for solution in solutions)


def _joined(
    earlier: tuple[LayerSolution, ...], later: tuple[LayerSolution, ...], start: float
) -> tuple[LayerSolution, ...]:
    """The trains of two windows as one; `later` counts time from `start`."""
    return tuple(
        LayerSolution(
            jnp.sort(jnp.concatenate([one.times, two.times + start], -1), -1),
            one.counts + two.counts,
            two.state,
            Status(one.status.flags | two.status.flags, two.status.time + start, one.status.budget, "capacity"),
        )
        for one, two in zip(earlier, later, strict=True)
    )
