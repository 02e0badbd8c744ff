"""The event-based neurons as cells: towards the events at first order, and derivatives by finite differences."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.grid.network import GridNetwork, Layer, run_on_grid
from stablespike.dynamics.grid.neuron import GridNeuron, PhaseInStep, VoltageAfterStep, counts_on_grid
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neurons.general_qif import GeneralQIF
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.numerical_models import AdaptiveLIF
from stablespike.dynamics.neurons.oscillatory_lif import OscillatoryLIF
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import SimulationError

DURATION, SIZE, STEPS = 3.0, 5, 60
NEURONS = {
    "QIF": (QIF(1.3), 4.0), "Theta": (Theta(1.3, 1.1), 0.5), "LIF": (LIF(1.3), 3.0),
    "OscillatoryLIF": (OscillatoryLIF(jnp.linspace(1.0, 1.5, SIZE)), 0.1), "GeneralQIF": (GeneralQIF(1.3, 0.4), 4.0),
}  # fmt: skip


def problem(neuron, mean):
    rng = np.random.default_rng(3)
    network = Recurrent(
        neuron, jnp.asarray(rng.normal(0, 0.3, (SIZE, SIZE))), jnp.asarray(rng.normal(mean, 0.5, (SIZE, 2)))
    )
    states = initial_states(neuron, jnp.asarray(rng.uniform(0, 0.4, SIZE)))
    return (
        network,
        states,
        Spikes(jnp.asarray(np.sort(rng.uniform(0, DURATION, 12))), jnp.asarray(rng.integers(0, 2, 12))),
    )


def as_cells(network, states, steps=STEPS, **choices):
    cell = GridNeuron(network.neuron, DURATION / steps, **choices)
    layered = GridNetwork((Layer(cell, Dense(network.input_weights), Dense(network.weights)),))
    return layered, eqx.tree_at(lambda s: s[0].cell, layered.initial_state(), cell.state_at(states))


def spike_times(network, states, inputs, steps, rule):
    """The first 12 spike times `[neurons, 12]` on a grid: ends of the steps with a spike."""
    layered, start = as_cells(network, states, steps, spiked_by=rule)
    spiked = np.asarray(run_on_grid(layered, counts_on_grid(inputs, 2, DURATION / steps, steps), start).outputs[0])
    ends = np.where(spiked > 0, DURATION / steps * np.arange(1, steps + 1)[:, None], np.inf)
    return np.sort(ends, 0)[:12].T


@pytest.mark.parametrize("name", NEURONS)
def test_cells_converge_to_the_events_at_first_order(name):
    network, states, inputs = problem(*NEURONS[name])
    exact = np.asarray(simulate(network, states, inputs, DURATION, max_events=256).spike_times(12))
    there = exact < 0.8 * DURATION  # later ones may fall beyond the end on one of the two sides
    assert there.sum() >= SIZE
    rule = VoltageAfterStep() if hasattr(network.neuron, "threshold") else PhaseInStep()
    steps = 2000 * 4 ** np.arange(3)
    errors = []
    for count in steps:
        found = spike_times(network, states, inputs, int(count), rule)
        assert np.isfinite(found[there]).all()
        errors.append(np.abs(found[there] - exact[there]).mean())
    order = np.polyfit(np.log(1 / steps), np.log(errors), 1)[0]
    assert 0.85 < order < 1.15, errors


@pytest.mark.slow
def test_a_neuron_that_is_integrated_numerically_spikes_as_its_closed_form():
    """An adaptive LIF neuron that does not adapt is a LIF neuron."""
    numerical = AdaptiveLIF(1.3, 0.65, adaptation_step=0.0, horizon=1.0)
    found = []
    for neuron in (LIF(1.3), numerical):
        network, states, inputs = problem(neuron, 3.0)
        layered, start = as_cells(network, states)
        found.append(run_on_grid(layered, counts_on_grid(inputs, 2, DURATION / STEPS, STEPS), start))
    exact, integrated = found
    assert exact.outputs[0].sum() > SIZE
    np.testing.assert_array_equal(integrated.outputs[0], exact.outputs[0])
    np.testing.assert_allclose(integrated.cells[0].neurons[..., :2], exact.cells[0].neurons, atol=1e-9)


@pytest.mark.parametrize(("name", "rule"), [("Theta", PhaseInStep()), ("LIF", VoltageAfterStep())])
def test_with_a_smooth_message_it_is_the_slope_of_finite_differences(name, rule):
    network, states, inputs = problem(*NEURONS[name])
    counts = counts_on_grid(inputs, 2, DURATION / STEPS, STEPS)

    def smoothed(v):
        return jax.nn.sigmoid(3 * v)

    @jax.jit
    def loss(weights):
        changed = Recurrent(network.neuron, weights, network.input_weights)
        run = run_on_grid(as_cells(changed, states, spiked_by=rule, spike=smoothed)[0], counts, start)
        voltage_like = run.final[0].cell.neurons[:, 0]
        return (run.outputs[0] * jnp.arange(STEPS * SIZE, dtype=float).reshape(STEPS, SIZE)).mean() + voltage_like.sum()

    start = as_cells(network, states)[1]
    direction = jnp.asarray(np.random.default_rng(1).normal(0, 1, (SIZE, SIZE)))
    h = 1e-6
    difference = (loss(network.weights + h * direction) - loss(network.weights - h * direction)) / (2 * h)
    slope = (jax.grad(loss)(network.weights) * direction).sum()
    assert float(slope) == pytest.approx(float(difference), rel=1e-5)


def test_the_distance_is_on_the_side_of_the_decision():
    """LIF neurons whose voltage crosses and falls back within a coarse step, and one that never spikes."""
    cell = GridNeuron(LIF(1.0), 2.0, VoltageAfterStep())
    rest = cell.initial_state(3, float)

    @jax.jit
    def advanced(weights):
        new = cell.advance(rest, cell.output(rest), weights)
        return new.distance, cell.output(new)

    distance, spikes = advanced(jnp.array([4.5, 0.1, 100.0]))
    x = np.exp(-2)
    assert 4.5 * x * (1 - x) < 1
    np.testing.assert_array_equal(spikes, [1, 0, 1])
    np.testing.assert_array_equal(distance[0], 0)
    slope = jax.jit(jax.grad(lambda w: advanced(w)[0].sum()))(jnp.array([4.5, 0.1, 1.0]))
    np.testing.assert_allclose(slope, x * (1 - x), rtol=1e-12)


def test_two_spikes_in_a_step_and_a_missing_threshold_are_not_passed_over():
    network, _, inputs = problem(LIF(1.3), 40.0)
    coarse = GridNetwork((Layer(GridNeuron(network.neuron, DURATION / 3), Dense(network.input_weights)),))
    with pytest.raises(SimulationError, match="twice in one step"):
        run_on_grid(coarse, counts_on_grid(inputs, 2, DURATION / 3, 3))
    wrong = GridNetwork((Layer(GridNeuron(QIF(), 0.1, VoltageAfterStep()), Dense(network.input_weights)),))
    with pytest.raises(ValueError, match="QIF has no field `threshold`: use PhaseInStep"):
        run_on_grid(wrong, jnp.ones((3, 2)))
    with pytest.raises(ValueError, match="names a channel that is not among the 1"):
        counts_on_grid(inputs, 1, 0.1, 3)


def test_spikes_are_counted_in_their_step():
    spikes = Spikes(jnp.array([0.0, 0.05, 0.1, 0.1, 0.31, 0.9, jnp.inf]), jnp.array([0, 1, 1, 1, 0, 0, 7]))
    np.testing.assert_array_equal(counts_on_grid(spikes, 2, 0.1, 4), [[1, 1], [0, 2], [0, 0], [1, 0]])
