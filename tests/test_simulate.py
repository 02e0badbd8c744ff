"""One network, one `simulate`: the same spikes from every engine, the same gradients from every exact rule."""

import re
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.untyped import said_by

import stablespike as ss
from stablespike.dynamics.engines.events import simulate as event_loop
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.run import Trains
from stablespike.native.conventions import Flag

ROOT = Path(__file__).parents[1]
UNTIL, SIZE, CHANNELS = 3.0, 5, 3
GENERATOR = np.random.default_rng(5)
W_IN = jnp.asarray(GENERATOR.normal(4, 2, (SIZE, CHANNELS)))
LOOP = jnp.asarray(GENERATOR.normal(0, 1, (SIZE, SIZE)) * (1 - np.eye(SIZE)))
W_UP = jnp.asarray(GENERATOR.normal(3, 2, (2, SIZE)))
INPUTS = ss.Spikes(jnp.asarray(np.sort(GENERATOR.uniform(0, 2.5, 9))), jnp.asarray(GENERATOR.integers(0, CHANNELS, 9)))
NEURONS = {"QIF": ss.QIF(1.0), "LIF": ss.LIF(1.0), "Theta": ss.Theta(1.0), "OscillatoryLIF": ss.OscillatoryLIF(1.0)}
EXACTLY = ss.Events(budget=64)
RULES = [None, ss.Recorded(), ss.Checkpointed(), ss.TimeReversed()]


def recurrent(neuron, loop=LOOP, w_in=W_IN):
    return ss.Network(ss.Layer(neuron, ss.Dense(w_in), ss.Dense(loop)))


def forward(neuron, w_in=W_IN):
    upwards = 0.2 * W_UP if isinstance(neuron, ss.LIF) else W_UP  # LIF neurons spike ten times as often
    return ss.Network(ss.Layer(neuron, ss.Dense(w_in)), ss.Layer(neuron, ss.Dense(upwards)))


def finite_sum(times):
    return jnp.sum(jnp.where(jnp.isfinite(times), times, 0))


@pytest.mark.parametrize("name", NEURONS)
def test_spikes_are_those_of_the_event_loop(name):
    neuron = NEURONS[name]
    states = ss.initial_states(neuron, jnp.zeros(SIZE))
    expected = event_loop(Recurrent(neuron, LOOP, W_IN), states, INPUTS, UNTIL, max_events=64)
    sparse = ss.Network(
        ss.Layer(neuron, ss.Sparse(ss.from_matrix(np.asarray(W_IN))), ss.Sparse(ss.from_matrix(np.asarray(LOOP))))
    )
    assert int(expected.spikes.count) > SIZE
    for network in (recurrent(neuron), sparse):
        run = ss.simulate(network, INPUTS, UNTIL, on=EXACTLY)
        np.testing.assert_allclose(run.output.spike_times(8), expected.spike_times(8), rtol=1e-11)
        np.testing.assert_array_equal(run.output.counts, expected.counts)
        assert run.status.flags == 0


@pytest.mark.parametrize("shape", [recurrent, forward])
@pytest.mark.parametrize("name", ["QIF", "LIF", "Theta"])
def test_exact_rules_give_the_same_values_and_gradients(name, shape):
    def loss(w_in, rule):
        run = ss.simulate(shape(NEURONS[name], w_in=w_in), INPUTS, UNTIL, on=EXACTLY, gradient=rule)
        return finite_sum(run.output.times)

    (value, gradient), *others = [jax.value_and_grad(loss)(W_IN, rule) for rule in RULES]
    assert jnp.linalg.norm(gradient) > 0.01
    for other_value, other in others:
        np.testing.assert_allclose(other_value, value, rtol=1e-12)
        np.testing.assert_allclose(other, gradient, rtol=1e-8, atol=1e-10)


def test_layers_in_parallel_over_time_give_the_same_values_and_gradients():
    constants = jnp.linspace(0.8, 1.3, SIZE)

    def loss(w_in, constants, rule):
        layers = ss.Layer(ss.QIF(constants), ss.Dense(w_in)), ss.Layer(ss.QIF(1.1), ss.Dense(W_UP))
        run = ss.simulate(ss.Network(*layers), INPUTS, UNTIL, on=EXACTLY, gradient=rule)
        return finite_sum(run.output.times) + finite_sum(run.layers[0].times)

    ours, theirs = (
        jax.value_and_grad(loss, (0, 1))(W_IN, constants, rule) for rule in (ss.ParallelInTime(), ss.Recorded())
    )
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert jnp.linalg.norm(other) > 0.01
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-11)


def test_windows_between_delays_run_in_parallel_over_time():
    def loss(loop, rule):
        delayed = ss.Delayed(loop, jnp.linspace(0.3, 0.6, SIZE))
        network = ss.Network(ss.Layer(QIF, ss.Dense(W_IN), delayed))
        return finite_sum(ss.simulate(network, INPUTS, UNTIL, on=EXACTLY, gradient=rule).output.times)

    (one, slope), (other, expected) = (
        jax.value_and_grad(loss)(LOOP, rule) for rule in (ss.ParallelInTime(), ss.Recorded())
    )
    assert jnp.linalg.norm(expected) > 0.01
    np.testing.assert_allclose(one, other, rtol=1e-12)
    np.testing.assert_allclose(slope, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", ["QIF", "LIF"])
def test_the_same_network_on_a_grid_converges_to_its_events(name):
    network = recurrent(NEURONS[name], 0.2 * LOOP)
    exact = ss.simulate(network, INPUTS, UNTIL, on=EXACTLY).output.times[:, :1]
    for dt in (0.02, 0.00125):
        found = ss.simulate(network, INPUTS, UNTIL, on=ss.Grid(dt)).output.times[:, :1]
        assert float(jnp.max(jnp.abs(found - exact))) < 3 * dt


def test_a_readout_is_the_same_by_events_and_on_a_grid():
    network = ss.Network(ss.Layer(ss.LIF(1.0), ss.Dense(W_IN)), ss.Layer(ss.LeakyReadout(0.5), ss.Dense(W_UP)))
    exact = ss.simulate(network, INPUTS, UNTIL, on=ss.Events(24, looks=60)).output.signals
    grid = ss.simulate(network, INPUTS, UNTIL, on=ss.Grid(0.0005)).output.signals[99::100]
    np.testing.assert_allclose(grid, exact, atol=0.01 * float(jnp.max(jnp.abs(exact))))


def test_a_readout_has_the_gradient_of_its_finite_differences():
    def loss(w_in):
        network = ss.Network(
            ss.Layer(ss.QIF(1.0), ss.Dense(w_in)), ss.Layer(ss.LeakyReadout(0.5, 0.2), ss.Dense(jnp.ones((1, SIZE))))
        )
        return ss.simulate(network, INPUTS, UNTIL, on=ss.Events(24, looks=7)).output.signals.sum()

    gradient, step = jax.grad(loss)(W_IN), 1e-6 * jnp.ones_like(W_IN)
    difference = (loss(W_IN + step) - loss(W_IN - step)) / 2e-6
    np.testing.assert_allclose(gradient.sum(), difference, rtol=1e-6)


@pytest.mark.parametrize("delays", [jnp.linspace(0.1, 0.3, SIZE), jnp.full((SIZE, SIZE), 0.2), jnp.zeros(SIZE)])
def test_delays_by_events_are_those_of_the_event_loop(delays):
    shift = jnp.array([0.05, 0.0, 0.02])
    network = ss.Network(ss.Layer(ss.LIF(1.0), ss.Delayed(W_IN, shift), ss.Delayed(LOOP, delays)))
    shifted = ss.in_order(INPUTS.times + shift[INPUTS.sources], INPUTS.sources)
    states = ss.initial_states(ss.LIF(1.0), jnp.zeros(SIZE))
    expected = event_loop(Recurrent(ss.LIF(1.0), LOOP, W_IN, delays), states, shifted, UNTIL, max_events=256)
    run = ss.simulate(network, INPUTS, UNTIL)
    np.testing.assert_allclose(run.output.spike_times(8), expected.spike_times(8), rtol=1e-12)


def test_delays_have_a_gradient():
    def loss(delays):
        network = ss.Network(ss.Layer(ss.LIF(1.0), ss.Dense(W_IN), ss.Delayed(LOOP, delays, within=(0.05, 0.4))))
        return finite_sum(ss.simulate(network, INPUTS, UNTIL, on=EXACTLY).output.times)

    delays, step = jnp.linspace(0.1, 0.3, SIZE), 1e-6
    gradient = jax.grad(loss)(delays)
    differences = [(loss(delays.at[k].add(step)) - loss(delays.at[k].add(-step))) / 2e-6 for k in range(SIZE)]
    assert float(jnp.max(jnp.abs(gradient))) > 1e-3
    np.testing.assert_allclose(gradient, differences, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("place", ["inputs", "loop", "readout"])
@pytest.mark.parametrize("delay", [-0.07, 0.45])
def test_a_delay_that_left_its_range_is_told(place, delay):
    """As training may carry it: raised outside jit, in the status inside."""
    delayed = {"inputs": jnp.full(3, 0.1), "loop": jnp.full(SIZE, 0.1), "readout": jnp.full(SIZE, 0.1)}
    delayed[place] = delayed[place].at[1].set(delay)

    def run(delays):
        made = ss.Delayed(W_IN, jnp.full(3, 0.1), (0.05, 0.4)), ss.Delayed(LOOP, jnp.full(SIZE, 0.1), (0.05, 0.4))
        above = ss.Delayed(jnp.ones((2, SIZE)), jnp.full(SIZE, 0.1), (0.05, 0.4))
        network = ss.Network(ss.Layer(ss.LIF(1.0), *made), ss.Layer(ss.LeakyReadout(1.0), above))
        network = eqx.tree_at(lambda one: one.layers[0].inputs.delays, network, delays["inputs"])
        network = eqx.tree_at(lambda one: one.layers[0].loop.delays, network, delays["loop"])
        network = eqx.tree_at(lambda one: one.layers[1].inputs.delays, network, delays["readout"])
        return ss.simulate(network, INPUTS, UNTIL)

    with pytest.raises(ss.SimulationError, match="delay"):
        run(delayed)
    assert int(jax.jit(lambda delays: run(delays).status.flags)(delayed)) & int(Flag.DELAY_RANGE)


@pytest.mark.parametrize("rule", [ss.RealTimeRecurrent(), ss.EProp()])
def test_rules_that_go_forwards_in_time_refuse_other_states_than_rest(rule):
    """They ran from rest whatever was asked for."""
    network = ss.Network(ss.Layer(ss.QIF(1.0), ss.Dense(W_IN), ss.Dense(LOOP)))
    states = ss.initial_states(ss.QIF(1.0), jnp.full(SIZE, 9.0))
    with pytest.raises(ValueError, match="starts from rest"):
        ss.simulate(network, INPUTS, UNTIL, on=ss.Grid(0.05, ss.SuperSpike(5.0)), gradient=rule, initial=states)


def test_a_gradient_that_is_not_finite_is_never_silent():
    """Outside jit it is raised; inside nothing can be said; derivatives of other modes and orders pass as they are."""
    network, on = ss.Network(ss.Layer(ss.LIF(1.0), ss.Dense(W_IN), ss.Dense(LOOP))), ss.Grid(0.05, ss.SuperSpike(5.0))

    def loss(weights, rule=None):
        varied = eqx.tree_at(lambda one: one.layers[0].loop.weights, network, weights)
        return jnp.sum(ss.simulate(varied, INPUTS, UNTIL, on=on, gradient=rule).output.signals)

    huge = LOOP.at[1, 2].set(1e300)
    for rule in (None, ss.Recorded(), ss.Checkpointed()):
        with pytest.raises(ss.SimulationError, match="The gradient of this run is not finite"):
            jax.grad(loss)(huge, rule)
    assert not jnp.isfinite(jax.jit(jax.grad(loss))(huge)).all()
    slope = jnp.sum(jax.grad(loss)(LOOP, ss.Recorded()) * LOOP)
    np.testing.assert_allclose(jax.jvp(lambda w: loss(w, ss.Recorded()), (LOOP,), (LOOP,))[1], slope, rtol=1e-9)
    assert jnp.isfinite(jax.hessian(lambda scale: loss(scale * LOOP, ss.Recorded()))(1.0))


@pytest.mark.parametrize("rule", [None, ss.Recorded(), ss.TimeReversed()])
def test_states_that_are_not_finite_are_refused_whatever_the_rule(rule):
    """The plain event loop took an infinite current for a neuron that never spikes, and its gradient was no number."""
    states = ss.initial_states(ss.QIF(1.0), jnp.zeros(SIZE)).at[2, 1].set(jnp.inf)

    def loss(initial):
        return finite_sum(
            ss.simulate(recurrent(ss.QIF(1.0)), INPUTS, UNTIL, gradient=rule, initial=initial).output.times
        )

    for call in (loss, jax.grad(loss)):
        with pytest.raises(ValueError, match=r"initial states of QIF must be finite\."):
            call(states)


def test_real_time_recurrent_learning_knows_sparse_connections():
    def loss(network, rule):
        on = ss.Grid(0.05, ss.SuperSpike(5.0))
        return jnp.sum(ss.simulate(network, INPUTS, UNTIL, on=on, gradient=rule).output.signals)

    sparse = [ss.Sparse(ss.from_matrix(np.asarray(one))) for one in (W_IN, LOOP)]
    network = ss.Network(ss.Layer(ss.LIF(1.0), *sparse))
    found, exact = (eqx.filter_grad(loss)(network, rule) for rule in (ss.RealTimeRecurrent(), ss.Recorded()))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(exact), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_rules_that_go_forwards_in_time_are_backpropagation_where_they_are_exact():
    def loss(w_in, rule, loop):
        hidden = ss.Layer(
            ss.GridLIF(1.0, 0.5, 0.05, spike=ss.SurrogateSpike(ss.SuperSpike(5.0))), ss.Dense(w_in), ss.Dense(loop)
        )
        readout = ss.Layer(ss.GridLeakyReadout(0.5, 0.05), ss.Dense(jnp.ones((2, SIZE))))
        run = ss.simulate(ss.Network(hidden, readout), INPUTS, UNTIL, on=ss.Grid(0.05), gradient=rule)
        return jnp.sum(run.output.signals**2)

    exact = jax.grad(loss)(W_IN, ss.Recorded(), LOOP)
    np.testing.assert_allclose(jax.grad(loss)(W_IN, ss.RealTimeRecurrent(), LOOP), exact, rtol=1e-9, atol=1e-12)
    alone = jnp.zeros_like(LOOP)
    np.testing.assert_allclose(
        jax.grad(loss)(W_IN, ss.EProp(), alone), jax.grad(loss)(W_IN, ss.Recorded(), alone), rtol=1e-9, atol=1e-12
    )
    assert not np.allclose(jax.grad(loss)(W_IN, ss.EProp(), LOOP), exact, rtol=1e-3)


def test_a_sufficient_budget_is_found_outside_jit_and_flagged_inside():
    busy = ss.Network(ss.Layer(ss.Theta(0.05), ss.Dense(W_IN)))
    run = ss.simulate(busy, INPUTS, UNTIL)
    assert int(run.output.counts.max()) > 16
    assert run.output.budget == 32
    status = jax.jit(lambda one: ss.simulate(busy, one, UNTIL).status)(INPUTS)
    with pytest.raises(ss.SimulationError, match=r"budget of 16 was exhausted at time .*: raise `budget`"):
        ss.raise_unless_ok(status)


@pytest.mark.parametrize("on", [EXACTLY, ss.Grid(0.05)], ids=["events", "grid"])
@pytest.mark.parametrize("shape", [recurrent, forward])
def test_trials_are_batched_by_vmap_and_what_is_taken_of_them_is_that_of_each(shape, on):
    network, both = shape(ss.QIF(1.0)), [INPUTS, ss.Spikes(INPUTS.times + 0.25, INPUTS.sources)]
    runs = jax.vmap(lambda one: ss.simulate(network, one, UNTIL, on=on))(
        jax.tree.map(lambda *two: jnp.stack(two), *both)
    )
    taken = (lambda sent: sent.times, lambda sent: sent.spike_times(2), lambda sent: sent.spikes, Trains.weighted)
    alone = [ss.simulate(network, one, UNTIL, on=on).output for one in both]
    assert not np.array_equal(alone[0].times, alone[1].times)
    for take in taken:
        expected = jax.tree.map(lambda *two: jnp.stack(two), *map(take, alone))
        jax.tree.map(np.testing.assert_array_equal, take(runs.output), expected)


QIF = ss.QIF(1.0)
SPARSE = ss.Sparse(ss.from_matrix(np.ones((SIZE, SIZE))))
ONE, CELLS, run = recurrent(QIF), ss.Network(ss.Layer(ss.GridLIF(1.0, 0.5, 0.1), ss.Dense(W_IN))), ss.simulate
REFUSED = {
    "an unknown keyword": (lambda: run(ONE, INPUTS, UNTIL, max_events=9), "budgets are given as on="),
    "no network": (lambda: run(QIF, INPUTS, UNTIL), "runs a Network"),
    "a class": (lambda: run(ONE, INPUTS, UNTIL, gradient=ss.Recorded), r"write Recorded\(...\)"),
    "a rule that is none": (lambda: run(ONE, INPUTS, UNTIL, gradient="exact"), "gradient must be one"),
    "another neuron": (
        lambda: run(recurrent(ss.OscillatoryLIF()), INPUTS, UNTIL, gradient=ss.TimeReversed()),
        r"can make OscillatoryLIF spike, which kernels of recurrent networks do not know: use gradient=Recorded\(\)",
    ),
    "reversal of sparse": (
        lambda: run(
            ss.Network(ss.Layer(QIF, ss.Sparse(ss.from_matrix(np.ones((SIZE, 3)))), SPARSE)),
            INPUTS,
            UNTIL,
            gradient=ss.TimeReversed(),
        ),
        r"TimeReversed has no kernel for sparse connections: use Recorded\(\)",
    ),
    "half sparse": (
        lambda: run(ss.Network(ss.Layer(QIF, ss.Dense(W_IN), SPARSE)), INPUTS, UNTIL),
        "both from below and among",
    ),
    "reversal on a grid": (
        lambda: run(ONE, INPUTS, UNTIL, on=ss.Grid(0.1), gradient=ss.TimeReversed()),
        "by events only",
    ),
    "a loop in parallel": (
        lambda: run(ONE, INPUTS, UNTIL, gradient=ss.ParallelInTime()),
        r"neurons do not see each other, .*: use Recorded\(\) or TimeReversed\(\)",
    ),
    "another neuron in parallel": (
        lambda: run(forward(ss.LIF()), INPUTS, UNTIL, gradient=ss.ParallelInTime()),
        r"is for QIF neurons, .* not for LIF: use gradient=Recorded\(\)",
    ),
    "in parallel on a grid": (
        lambda: run(ONE, INPUTS, UNTIL, on=ss.Grid(0.1), gradient=ss.ParallelInTime()),
        "by events only",
    ),
    "a truncated event": (
        lambda: run(ONE, INPUTS, UNTIL, gradient=ss.Truncated(5)),
        "Truncated exists on a grid only",
    ),
    "a cell by events": (
        lambda: run(CELLS, INPUTS, UNTIL),
        "on a grid only",
    ),
    "a cell of another step": (
        lambda: run(CELLS, INPUTS, UNTIL, on=ss.Grid(0.05)),
        "made for another step",
    ),
    "half a step": (lambda: run(ONE, INPUTS, 2.95, on=ss.Grid(0.1)), "no whole number of steps"),
    "layers that do not fit": (
        lambda: ss.Network(ss.Layer(QIF, ss.Dense(W_IN)), ss.Layer(QIF, ss.Dense(W_IN))),
        "5 neurons cannot feed",
    ),
    "a list": (lambda: ss.Dense([[1.0, 2.0]]), "must be an array of floating-point numbers"),
    "a vector": (lambda: ss.Dense(jnp.ones(3)), r"shape \[post, pre\], not \[3\]"),
    "integers": (lambda: ss.Dense(jnp.ones((3, 3), int)), "array of floating-point numbers, .* not int"),
    "no connection": (lambda: ss.Layer(QIF, W_IN), r"must be Dense\(weights\)"),
    "no neuron": (lambda: ss.Layer(ss.QIF, ss.Dense(W_IN)), "a layer is made of a neuron"),
    "a loop that is none": (lambda: ss.Layer(QIF, ss.Dense(W_IN), ss.Dense(W_IN)), "the loop of a layer of 5"),
    "an infinite time constant": (lambda: ss.QIF(jnp.inf), "positive and finite"),
    "a negative budget": (lambda: ss.Events(budget=-1), "whole number, at least 1, not -1"),
    "a step that is none": (lambda: ss.Grid(0.0), "dt must be positive"),
    "no end": (lambda: run(ONE, INPUTS), "say until when"),
    "an endless trial": (lambda: run(ONE, INPUTS, jnp.inf), "must be a finite number"),
    "rasters by events": (lambda: run(ONE, jnp.ones((4, 3)), UNTIL), "inputs must be Spikes"),
    "a batch": (
        lambda: run(ONE, jax.tree.map(lambda leaf: leaf[None], INPUTS), UNTIL),
        "batched by jax.vmap",
    ),
    "an empty batch": (
        lambda: ss.classify(UNTIL)(ONE, (INPUTS, jnp.zeros(0, int))),
        "no trials in this batch",
    ),
    "states of another network": (
        lambda: run(ONE, INPUTS, UNTIL, initial=jnp.zeros((2, 3))),
        r"must have shape \[5, 3\]",
    ),
    "too few states": (
        lambda: run(forward(QIF), INPUTS, UNTIL, initial=jnp.zeros((2, 3))),
        "a tuple of 2 states",
    ),
    "a step with delays": (
        lambda: ss.as_step(ss.Network(ss.Layer(QIF, ss.Dense(W_IN), ss.Delayed(LOOP, jnp.ones(SIZE)))), window=1.0),
        "without delays",
    ),
}


@pytest.fixture(scope="module")
def sentences():
    """What is said of each."""
    return said_by("tests.test_simulate")


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_meant_is_one_sentence(what, sentences):
    assert re.search(REFUSED[what][1], sentences[what])
    assert sentences[what].startswith("ValueError: ")
    assert "\n" not in sentences[what]
