"""Flossing through events: only recurrent weights move, exponents fall on new input, and each start is a row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stablespike as ss
from studies import event_flossing as study
from studies.strong_coupling import Coupling

COUPLING = Coupling(10.0, neurons=6)
FLOSSED = study.Flossed(leading=4, memory=1.0, steps=25, rate=0.05, windows=12, transient=3)
TRAINING = study.Training(trials=64, tests=32, epochs=2, batch_size=32)
MEASURING = {"windows": 20, "transient": 5, "delay": 5}


@pytest.fixture(scope="module")
def network():
    return study.recalling_network(jax.random.key(3), COUPLING, study.task_of(0.0))


def loss_on(network, settings, seeds):
    step, key = study.step_of(network), jax.random.key(0)
    loss = ss.network_flossing(ss.Flossing(settings.leading, transient=settings.transient), key)
    drives = [study.drives_of(step, COUPLING, seed, settings.windows) for seed in seeds]
    return np.mean([float(loss(step, one, None)[0]) for one in drives])


def test_recurrent_weights_alone_move_and_the_loss_falls_on_other_input(network):
    changed, course = study.flossed(network, COUPLING, FLOSSED, 1)
    assert [row["step"] for row in course] == list(range(FLOSSED.steps))
    for part in ("inputs", "neuron"):
        before, after = (jax.tree.leaves(getattr(one.layers[0], part)) for one in (network, changed))
        jax.tree.map(np.testing.assert_array_equal, after, before)
    moved = np.asarray(changed.layers[0].loop.weights - network.layers[0].loop.weights)
    assert np.abs(moved).max() > 0.1
    seeds = range(10**6, 10**6 + 3)
    assert loss_on(changed, FLOSSED, seeds) < 0.7 * loss_on(network, FLOSSED, seeds)


def test_an_exact_gradient_is_that_of_differences(network):
    step, key = study.step_of(network), jax.random.key(0)
    loss = ss.network_flossing(ss.Flossing(1, transient=2), key)
    drives = study.drives_of(step, COUPLING, 5, 5)

    def at(scale):
        layer = network.layers[0]
        moved = ss.Layer(layer.neuron, layer.inputs, ss.Dense(scale * layer.loop.weights))
        return loss(study.step_of(ss.Network(moved)), drives, None)[0]

    slope = float(jax.jit(jax.grad(at))(1.0))
    near = [float(jax.jit(at)(1.0 + shift)) for shift in (-1e-6, 1e-6)]
    assert slope == pytest.approx((near[1] - near[0]) / 2e-6, rel=1e-4)


def test_inputs_fill_arrays_of_one_size_and_a_burst_is_refused(network, monkeypatch):
    step = study.step_of(network)
    sizes = {study.drives_of(step, COUPLING, seed, 4).times.shape for seed in range(3)}
    assert len(sizes) == 1
    burst = ss.Spikes(jnp.linspace(0.1, 0.9, 200), jnp.zeros(200, int))
    monkeypatch.setattr(study, "inputs_of", lambda *_: burst)
    with pytest.raises(ValueError, match="200 input spikes, far above the mean of 40"):
        study.drives_of(step, COUPLING, 0, 4)


def test_a_start_is_a_row_its_course_and_what_is_learned_from_it():
    start = study.Start(10.0, 6, 1)
    row, course, learned = study.tables_of(start, 1, [0.0, 0.5], FLOSSED._replace(steps=2), TRAINING, MEASURING)
    assert row.reason.item() == ""
    assert row.moved.item() > 0
    assert np.isfinite([row[name].item() for name in ("exponent", "error", "rate", "norm")]).all()
    assert list(course.step) == [0, 1]
    assert list(learned.delay) == [0.0, 0.5]
    assert learned.accuracy.between(0, 1).all()


def test_what_fails_is_a_row_with_its_reason(network):
    layer = network.layers[0]
    deaf = ss.Network(ss.Layer(layer.neuron, ss.Dense(0 * layer.inputs.weights), layer.loop))
    lost = study.measured(deaf, COUPLING, 1, **MEASURING)
    assert "silent" in lost["reason"]


def test_starts_are_named_apart():
    starts = study.starts_of(6, 10.0, [1.0], [2, 1], [0.5])
    assert [start.name for start in starts] == [
        "strength 10",
        "strength 1",
        "strength 10, 2 flossed, memory 0",
        "strength 10, 1 flossed, memory 0",
        "strength 10, 2 flossed, memory 0.5",
    ]
    assert study.key_of(starts[-1].name) == "strength 10, 2 flossed, memory 0_5"
