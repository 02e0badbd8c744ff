"""What a newcomer writes first: each is refused in one sentence that says what is wrong and what to do."""

import re
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.untyped import said_by

import stablespike as ss
from stablespike.learning.early_stopping import Patience, fit_until
from stablespike.learning.gradients.on_grid import as_grid_network, run_on_a_grid
from stablespike.stability.event_tangent import AsItIs, NextSpike, spike_to_spike_spectrum
from stablespike.stability.steps import population

ROOT = Path(__file__).parents[1]
TRIALS, CHANNELS, CLASSES = 4, 3, 2
INPUTS = ss.Spikes(jnp.array([0.1, 0.4, 0.9]), jnp.array([0, 1, 2]))
QIF, LAYER = ss.QIF(1.0), ss.Layer(ss.QIF(1.0), ss.Dense(jnp.ones((5, CHANNELS))))
HIDDEN = ss.Layer(ss.LIF(1.0), ss.Dense(3 * jnp.ones((5, CHANNELS))))
NETWORK = ss.Network(HIDDEN, ss.Layer(ss.LeakyReadout(0.5), ss.Dense(jnp.ones((CLASSES, 5)))))
SHAPED = ss.Network(HIDDEN, ss.Layer(ss.ShapedReadout(0.5, 1.0), ss.Dense(jnp.ones((CLASSES, 5)))))
STATES = ss.initial_states(ss.LIF(1.0), jnp.zeros(5))
SPIKES = jax.tree.map(lambda leaf: jnp.stack([leaf] * TRIALS), INPUTS)
LABELS = jnp.array([0, 1, 0, 1])
GRID, LOSS, ADAM = ss.Grid(0.1), ss.classify(until=2.0), optax.adam(1e-3)
TWO_PARTS = "init, update = gradient_training"


def spikes(times, sources=None):
    return ss.Spikes(jnp.asarray(times), jnp.zeros(len(times), int) if sources is None else jnp.asarray(sources))


def run(inputs=INPUTS, until=2.0, network=NETWORK, **options):
    return ss.simulate(network, inputs, until, **options)


def fit(*data, loss=LOSS, optimiser=ADAM, network=NETWORK, key=None, begin=None, step=None, **options):
    init, update = ss.gradient_training(loss, optimiser)
    state = init(network, jax.random.key(0) if key is None else key) if begin is None else begin
    chosen = {None: update, "init": init}[step]
    return ss.fit(chosen, state, *data or ((SPIKES, LABELS),), **{"epochs": 1, "batch_size": 2} | options)


def until_patient(epochs):
    init, update = ss.gradient_training(LOSS, ADAM)
    state = init(NETWORK, jax.random.key(0))
    options = {"epochs": epochs, "batch_size": 2, "evaluate": lambda _: {"loss": 0.0}}
    return fit_until(Patience("loss", 1), update, state, (SPIKES, LABELS), **options)


def falls_silent():
    one, key = population(ss.Network(ss.Layer(ss.LIF(1.0), ss.Dense(jnp.ones((2, 1)))))), jax.random.key(0)
    start = ss.initial_states(one.neuron, jnp.zeros(2))
    return spike_to_spike_spectrum(NextSpike(one, AsItIs()), start, spikes=9, transient=2, count=1, key=key, blocks=2)


def odd_rule():
    grid = as_grid_network(NETWORK, GRID)
    return run_on_a_grid(grid, INPUTS, 2.0, GRID, "bptt", None)


REFUSED = {
    # simulate
    "states in a list": (lambda: run(initial=[STATES, None]), r"tuple of states.*initial=tuple\(states\)"),
    "no neurons": (lambda: ss.Layer(QIF, ss.Dense(jnp.zeros((0, 3)))), "at least one neuron"),
    "voltages as states": (lambda: run(initial=([0.0] * 5, None)), "array of floating-point numbers.*not a list"),
    "a state of a readout": (lambda: run(initial=(STATES, jnp.zeros((2, 2)))), "a readout starts at rest: give None"),
    "a state of a shaped readout": (
        lambda: run(network=SHAPED, initial=(STATES, jnp.zeros((2, 2)))),
        "a readout starts at rest: give None",
    ),
    "states of another cell": (lambda: run(on=GRID, initial=(STATES[:4], None)), r"must have shape \[5, 2\]"),
    "lists on a grid": (
        lambda: run([[0.0] * CHANNELS] * 20, None, on=GRID), r"Spikes\(times, sources\) or an array \[steps, channels\]"
    ),
    "too many channels on a grid": (lambda: run(jnp.zeros((20, 4)), None, on=GRID), r"\[20, 4\].*of 3 channels"),
    "seconds for milliseconds": (
        lambda: run(spikes([10.0, 400.0, 900.0]), 1.0),
        r"3 of 3 input spikes come after .* until = 1: give both in one unit of time.* inputs\.before\(until\)",
    ),
    "mostly late": (lambda: run(spikes([0.1, 2.5, 3.0])), "2 of 3 input spikes come after"),
    "mostly late on a grid": (lambda: run(spikes([0.1, 2.5, 3.0]), on=GRID), "2 of 3 input spikes come after"),
    "a channel too far": (lambda: run(spikes([0.1], [3])), r"from channel 3, .* 3 channels, 0 to 2"),
    "a channel below 0": (lambda: run(spikes([0.1], [-1]), on=GRID), r"from channel -1, .* 3 channels, 0 to 2"),
    "times out of order": (lambda: run(spikes([0.3, 0.1])), r"ascending.*in_order\(times, sources\)"),
    "times before 0": (lambda: run(spikes([-0.3, 0.1]), on=GRID), "not negative"),
    "times that are no numbers": (lambda: run(spikes([0.1, np.nan]), on=GRID), "ascending numbers"),
    "times in whole numbers": (lambda: spikes([1, 2]), "must be floating-point numbers, not int"),
    "an end in words": (lambda: run(until="4"), "until, the end of the trial, must be a number, not '4'"),
    "an end in a list": (lambda: run(until=[4.0]), "must be a number, not a list"),
    "an end that is true": (lambda: run(until=True), "must be a number, not True"),
    "an odd rule on a grid": (odd_rule, r"no gradient rule 'bptt' on a grid: use Recorded\(\)"),
    # what networks are made of
    "one state": (lambda: ss.initial_states(QIF, 0.0), r"one number for each neuron, as jnp.zeros\(neurons\), not 0.0"),
    "too many currents": (lambda: ss.initial_states(QIF, jnp.zeros(2), jnp.zeros(3)), r"of shape \[2\], not an array"),
    "states of a class": (lambda: ss.initial_states(ss.QIF, jnp.zeros(2)), r"not the class QIF: write QIF\(...\)"),
    "a time with its unit": (lambda: ss.QIF("20 ms"), "membrane_time_constant of QIF must be a number.*not '20 ms'"),
    "a list of times": (lambda: ss.LIF([1.0, 2.0]), "must be a number or an array .*not a list"),
    "a short name": (lambda: ss.LIF(tau=1.0), r"no argument 'tau': write membrane_time_constant=\.\.\."),
    "an unknown name": (lambda: ss.LIF(1.0, colour=1.0), "'colour': it takes membrane_time_constant and threshold"),
    "too many arguments": (lambda: ss.QIF(1.0, 2.0), "QIF takes membrane_time_constant: too many positional"),
    "a time of a readout": (lambda: ss.LeakyReadout(tau_m=0.5), r"write membrane_time_constant=\.\.\."),
    "a readout's unit": (lambda: ss.LeakyReadout("5 ms"), "membrane_time_constant of LeakyReadout must be a number"),
    "a loop by another name": (
        lambda: ss.Layer(QIF, ss.Dense(jnp.ones((2, 2))), recurrent=ss.Dense(jnp.ones((2, 2)))),
        r"Layer has no argument 'recurrent': write loop=\.\.\.",
    ),
    "layers in a list": (lambda: ss.Network([LAYER]), r"not of a list: give one by one, as Network\(\*layers\)"),
    "no layers": (lambda: ss.Network(), "a network is made of layers: give Network"),
    "a layer of a class": (lambda: ss.Layer(ss.QIF, LAYER.inputs), r"such as QIF\(\), not of the class QIF: write QIF"),
    "no network": (lambda: run(network=[LAYER]), r"runs a Network\(.*\), not a list"),
    "a class of networks": (lambda: run(network=ss.Network), "not the class Network: write Network"),
    "a class of slopes": (lambda: ss.Grid(0.1, ss.SuperSpike), r"slope .* not the class SuperSpike: write SuperSpike"),
    "a class of slopes in a spike": (lambda: ss.SurrogateSpike(ss.SuperSpike), r"write SuperSpike\(...\)"),
    "a class of cells' spikes": (lambda: ss.GridLIF(1.0, 0.5, 0.1, spike=ss.SurrogateSpike), "spike must be an object"),
    "a step in words": (lambda: ss.Grid("1 ms"), "dt must be a number, not '1 ms'"),
    "a sharpness in words": (lambda: ss.SuperSpike("10"), "sharpness must be a number, not '10'"),
    # training
    "a network for a state": (lambda: fit(begin=NETWORK), r"not from a Network: fit\(update, init\(parameters, key\)"),
    "init for update": (lambda: fit(step="init"), rf"takes update, the second of {TWO_PARTS}\(\.\.\.\), not an Init"),
    "trials without labels": (lambda: fit(SPIKES), r"a pair \(spikes, labels\), not a Spikes"),
    "labels in a list": (lambda: fit((SPIKES, [0, 1, 0, 1])), r"as jnp.asarray\(labels, int\), not a list"),
    "labels with a point": (lambda: fit((SPIKES, LABELS.astype(float))), "whole numbers .*, not an array of float"),
    "labels of too few trials": (lambda: fit((SPIKES, LABELS[:3])), "3 labels, but inputs of 4 trials"),
    "classes from 1": (lambda: fit((SPIKES, LABELS + 1)), "label is 2, but the last layer has 2 neurons.*0 to 1"),
    "a class below 0": (lambda: fit((SPIKES, LABELS - 1)), "label is -1, but the last layer has 2 neurons"),
    "classes to be judged": (lambda: fit(judge=(SPIKES, LABELS + 1)), "label is 2, but the last layer has 2 neurons"),
    "trials to be judged": (lambda: fit(judge=SPIKES), r"a pair \(spikes, labels\), not a Spikes"),
    "accuracy of other classes": (
        lambda: ss.accuracy_on(LOSS, NETWORK, (SPIKES, LABELS + 1)), "label is 2, but the last layer has 2 neurons"
    ),
    "trials in another unit": (
        lambda: fit((ss.Spikes(1000 * SPIKES.times, SPIKES.sources), LABELS)), "12 of 12 input spikes come after"
    ),
    "late trials": (lambda: fit(loss=ss.classify(until=0.05)), "12 of 12 input spikes come after the end of the trial"),
    "an optimiser that is not made": (lambda: fit(optimiser=optax.adam), r"not a function adam: write adam\(learning"),
    "a loss that is not made": (lambda: fit(loss=ss.classify), r"which a function classify does not take.*classify\("),
    "a loss that is none": (lambda: fit(loss=2.0), r"a function of \(parameters, batch, key\).*, not 2.0"),
    "a key that is a seed": (lambda: fit(key=0), r"made by jax.random.key\(seed\), not 0"),
    "no epochs": (lambda: fit(epochs=0), "epochs must be a whole number and at least 1, not 0"),
    "no epochs with patience": (lambda: until_patient(0), "epochs must be a whole number and at least 1, not 0"),
    "nothing to train": (lambda: fit(network=(1, 2)), "nothing to train"),
    "an end of classification in words": (lambda: ss.classify("4"), "must be a number, not '4'"),
}  # fmt: skip


@pytest.fixture(scope="module")
def sentences():
    """What is said of each."""
    return said_by("tests.test_newcomers")


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_newcomer_writes_is_answered_in_one_sentence(what, sentences):
    assert what in sentences, "nothing was said"
    assert re.search(REFUSED[what][1], sentences[what]), sentences[what]
    assert sentences[what].startswith("ValueError: ")
    assert "\n" not in sentences[what]
    assert len(sentences[what]) < 300


def test_some_spikes_after_the_end_are_left_out():
    whole = run(spikes([0.1, 0.4, 0.9, 2.5]))
    kept = run(spikes([0.1, 0.4, 0.9, 2.5]).before(2.0))
    np.testing.assert_array_equal(whole.output.signals, kept.output.signals)
    assert run(spikes([2.5, 3.0]).before(2.0)).status.ok


def test_a_label_below_the_classes_is_not_the_last_class_inside_jit():
    loss = jax.jit(lambda labels: LOSS(NETWORK, (SPIKES, labels))[0])
    assert np.isfinite(loss(LABELS))
    assert np.isnan(loss(LABELS - 1))
    assert np.isnan(loss(LABELS + 1))


def test_arrays_of_numpy_are_trained():
    """Read out with a difference between the classes: with equal weights the gradient by hidden ones is 0."""
    weights = np.full((5, CHANNELS), 3.0)
    apart = ss.Layer(ss.LeakyReadout(0.5), ss.Dense(jnp.array([[1.0] * 5, [-1.0] * 5])))
    network = eqx.tree_at(lambda one: one.layers[0].inputs.weights, ss.Network(HIDDEN, apart), weights)
    state, _ = fit(network=network)
    assert np.abs(state.parameters.layers[0].inputs.weights - weights).max() > 1e-4


def test_the_budget_is_named_with_where_it_goes():
    status = jax.jit(lambda one: run(one, on=ss.Events(1)).status)(INPUTS)
    with pytest.raises(ss.SimulationError, match=r"budget of 1 .* raise `budget` \(on=Events\(budget=\.\.\.\)\)"):
        ss.raise_unless_ok(status)


def test_a_network_that_never_spikes_stopped_at_no_time():
    with pytest.raises(ss.SimulationError, match="The network stopped spiking, before it had made the 9 spikes"):
        falls_silent()
