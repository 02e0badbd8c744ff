"""Flossing: its gradient against finite differences, a plain calculation and outside numbers, and what it does."""

import json
import pathlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.cells import GridLIF
from stablespike.dynamics.grid.network import GridNetwork, Layer
from stablespike.dynamics.grid.resets import ResetToZero, Unfelt
from stablespike.dynamics.network import Layer as NetworkLayer
from stablespike.dynamics.network import Network, Recurrent
from stablespike.dynamics.neurons.charts import Phase
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.theta import Theta
from stablespike.dynamics.ways import Grid
from stablespike.learning.surrogates import SuperSpike, SurrogateSpike
from stablespike.learning.training import gradient_training
from stablespike.native.conventions import Flag
from stablespike.stability.event_tangent import NextSpike
from stablespike.stability.flossing import (
    Adaptive,
    Before,
    Between,
    Flossing,
    exponents_of_run,
    floss_if_due,
    flossing_loss,
    with_flossing,
)
from stablespike.stability.lyapunov import lyapunov_spectrum
from stablespike.stability.steps import as_step
from stablespike.stability.surrogate_tangent import PUBLIC, GridStep, layer_steps, recurrent_step

KEY, FULL = jax.random.key(0), ResetToZero()
SIZE, CHANNELS, STEPS = 4, 3, 12
RNG = np.random.default_rng(0)
RECURRENT, INWARD = RNG.normal(0, 0.8, (SIZE, SIZE)), RNG.normal(2, 1, (SIZE, CHANNELS))
DRIVES = jnp.asarray(RNG.random((STEPS, CHANNELS)) < 0.5, float)
DIRECTION = RNG.normal(size=(SIZE, SIZE))
SURROGATE = SurrogateSpike(SuperSpike(5.0))


def smooth_spike(v):
    """A function whose derivative is that of SuperSpike(5): finite differences can see it."""
    return 0.5 + v / (1 + 5 * jnp.abs(v))


class ResetOfWholeSpikes(eqx.Module):
    """`ResetToZero` of neurons above threshold, where `smooth_spike` is 1/2: to finite differences that is a gate."""

    def __call__(self, decayed, driven, spikes, threshold):
        return jnp.where(spikes >= 0.5, 0, decayed + driven)


def surrogate_loss(weights, reset=FULL):
    network = recurrent_step(GridLIF(10.0, 5.0, 1.0, spike=smooth_spike, reset=reset), weights, jnp.asarray(INWARD))
    return flossing_loss(Flossing(3, 0.1, transient=2, interval=2), network, network.rest(), DRIVES, KEY)[0]


def two_layers(reset, spike=SURROGATE, recurrent=RECURRENT):
    cell = GridLIF(10.0, 5.0, 1.0, spike=spike, reset=reset)
    lower = Layer(cell, Dense(jnp.asarray(INWARD)), Dense(jnp.asarray(recurrent)))
    upper = Layer(cell, Dense(jnp.asarray(4 * np.abs(RECURRENT))), Dense(-jnp.asarray(recurrent)))
    return GridNetwork((lower, upper))


def stack_loss(weights):
    network = GridStep(two_layers(Unfelt(ResetOfWholeSpikes()), smooth_spike, weights))
    return flossing_loss(Flossing(3, 0.1), network, network.rest(), DRIVES, KEY)[0]


def rate_loss(weights):
    start = jnp.linspace(-1, 1, SIZE)
    return flossing_loss(Flossing(2), lambda x, _: 2 * weights @ jnp.tanh(x), start, None, KEY, STEPS)[0]


def event_loss(weights):
    neuron = Theta(0.8, 1.0)
    step = NextSpike(Recurrent(neuron, 0.4 * weights, jnp.zeros((SIZE, 1))), Phase())
    start = step.start(initial_states(neuron, jnp.asarray([0.1, 0.3, 0.6, 0.8])))
    return flossing_loss(Flossing(3, 0.1, duration=step.duration), step, start, None, KEY, STEPS)[0]


@pytest.mark.parametrize("reset", [Unfelt(FULL), Unfelt(ResetOfWholeSpikes())])
def test_gradient_where_only_the_trajectory_feels_the_reset(reset):
    """That of the loss itself: smooth spikes and the reset on the trajectory, the spikes' slope in the tangents."""
    test_gradient_is_that_of_finite_differences(eqx.Partial(surrogate_loss, reset=reset))


@pytest.mark.parametrize("loss", [surrogate_loss, stack_loss, rate_loss, event_loss])
def test_gradient_is_that_of_finite_differences(loss):
    value = jax.jit(lambda weights: (loss(weights), jax.grad(loss)(weights)))
    weights, h = jnp.asarray(RECURRENT), 1e-4
    at = [value(weights + m * h * DIRECTION)[0] for m in (-2, -1, 1, 2)]
    expected = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h)
    found = jnp.sum(value(weights)[1] * DIRECTION)
    assert abs(found) > 1e-3
    np.testing.assert_allclose(found, expected, rtol=1e-7)


@pytest.mark.parametrize("reset", [PUBLIC, FULL])
def test_flossing_of_windows_is_that_of_their_steps(reset):
    """Of spikes with a surrogate: their slope on the trajectory must survive the scan over the steps of a window."""

    def by_window(weights):
        lower, upper = two_layers(reset, recurrent=weights).layers
        layers = (NetworkLayer(LIF(10.0), one.inputs, one.recurrent) for one in (lower, upper))
        step = as_step(Network(*layers), on=Grid(1.0, SuperSpike(5.0), reset), window=3.0)
        return flossing_loss(Flossing(3, 0.3), step, step.rest(), DRIVES.reshape(4, 3, CHANNELS), KEY)[0]

    def by_step(weights):
        step = GridStep(two_layers(reset, recurrent=weights))
        return 9 * flossing_loss(Flossing(3, 0.1, interval=3), step, step.rest(), DRIVES, KEY)[0]

    found, expected = (jax.jit(jax.value_and_grad(one))(jnp.asarray(RECURRENT)) for one in (by_window, by_step))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-10, atol=1e-12)


def plain_loss(weights, count=3):
    """The public convention with Jacobians written out: without reset, along a trajectory that feels it as a gate."""
    a, b = np.exp(-1 / 5), np.exp(-1 / 10)
    spike, slope, identity = SurrogateSpike(SuperSpike(5.0)), SuperSpike(5.0), jnp.eye(SIZE)
    start = jnp.asarray(np.linalg.qr(np.random.default_rng(1).normal(size=(2 * SIZE, count)))[0])

    def step(carry, drive):
        mem, syn, basis = carry
        through = weights * slope(mem - 1)
        lower = jnp.concatenate([through, a * identity], 1)
        jacobian = jnp.concatenate([jnp.concatenate([b * identity, 0 * identity], 1) + (1 - b) * lower, lower])
        syn = a * syn + INWARD @ drive + weights @ spike(mem - 1)
        new = (b * mem + (1 - b) * syn) * jnp.where(mem < 1, 1.0, 0.0)
        basis, upper = jnp.linalg.qr(jacobian @ basis)
        return (new, syn, basis), jnp.log(jnp.abs(jnp.diagonal(upper)))

    _, growth = jax.lax.scan(step, (jnp.zeros(SIZE), jnp.zeros(SIZE), start), DRIVES)
    return jnp.mean(jnp.mean(growth, 0) ** 2)


def test_surrogate_flossing_agrees_with_a_direct_calculation(monkeypatch):
    start = jnp.asarray(np.linalg.qr(np.random.default_rng(1).normal(size=(2 * SIZE, 3)))[0]).T
    monkeypatch.setattr("stablespike.stability.lyapunov.random_basis", lambda *_: start)

    def loss(weights):
        spike = SurrogateSpike(SuperSpike(5.0))
        cell = GridLIF(10.0, 5.0, 1.0, spike=spike, reset=PUBLIC)
        network = recurrent_step(cell, weights, jnp.asarray(INWARD))
        return flossing_loss(Flossing(3), network, network.rest(), DRIVES, KEY)[0]

    found, expected = (jax.jit(jax.value_and_grad(one))(jnp.asarray(RECURRENT)) for one in (loss, plain_loss))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-10, atol=1e-12)


def test_surrogate_flossing_agrees_with_a_number_from_independent_code(monkeypatch):
    case = json.loads((pathlib.Path(__file__).parent / "flossing_gradient.json").read_text())
    monkeypatch.setattr("stablespike.stability.lyapunov.random_basis", lambda *_: jnp.asarray(case["basis"]).T)
    spike = SurrogateSpike(SuperSpike(case["sharpness"]))
    cell = GridLIF(case["tau_mem"], case["tau_syn"], case["dt"], spike=spike, reset=PUBLIC)
    drives = jnp.asarray([[int(spiked) for spiked in step] for step in case["spikes"]], float)

    def loss(weights):
        step = recurrent_step(cell, weights, jnp.asarray(case["inward"]))
        start = eqx.tree_at(lambda state: state[0].cell.voltage, step.rest(), jnp.asarray(case["voltage"]))
        value, (_, exponents) = flossing_loss(Flossing(16), step, start, drives, KEY)
        return value, exponents

    (value, exponents), found = jax.jit(jax.value_and_grad(loss, has_aux=True))(jnp.asarray(case["recurrent"]))
    largest = np.abs(case["gradient"]).max()
    np.testing.assert_allclose(exponents, case["exponents"], rtol=1e-12)
    np.testing.assert_allclose(value, case["loss"], rtol=1e-12)
    np.testing.assert_allclose(found, case["gradient"], rtol=0, atol=1e-12 * largest)


def test_descent_brings_the_exponents_to_their_target():
    def task(weights, batch, key):
        return 0 * jnp.sum(weights), ((), None)

    def regulariser(weights, batch, key):
        step = eqx.Partial(lambda weights, x, _: weights @ jnp.tanh(x), weights)
        return flossing_loss(Flossing(2, transient=5), step, jnp.linspace(-1, 1, SIZE), None, KEY, 30)

    init, step = gradient_training(with_flossing(task, regulariser, 3.0), optax.adam(0.02))
    state = init(jnp.asarray(RECURRENT), KEY)
    for _ in range(120):
        state, info = step(state, None)
        assert info.applied
    assert np.max(np.abs(info.extra[1])) < 0.01


def test_exponents_of_a_stack_are_those_of_its_layers():
    network, drives, options = two_layers(PUBLIC), jnp.tile(DRIVES, (40, 1)), {"transient": 40, "key": KEY}
    whole = GridStep(network)
    joint = lyapunov_spectrum(whole, whole.rest(), drives, count=4 * SIZE, **options)
    steps, status = layer_steps(network, drives)
    each = [lyapunov_spectrum(step, step.rest(), given, count=2 * SIZE, **options).exponents for step, given in steps]
    assert status.ok
    assert np.ptp(joint.exponents) > 0.1
    np.testing.assert_allclose(joint.exponents, np.sort(np.concatenate(each))[::-1], atol=0.02)


def test_memory_fades_the_derivative_of_the_trajectory_and_no_value():
    """x <- w tanh(x): with the trajectory frozen, each log|w / cosh(x)^2| has the derivative 1/w."""

    def loss(w, memory):
        step, start = (lambda x, _: w * jnp.tanh(x)), jnp.asarray([0.7])
        return flossing_loss(Flossing(1, 0.2, memory=memory), step, start, None, KEY, STEPS)

    both = jax.jit(lambda w, memory: jax.value_and_grad(loss, has_aux=True)(w, memory))
    w = jnp.asarray(1.7)
    (value, (_, exponents)), frozen = both(w, 0.0)
    (same, _), exact = both(w, 1.0)
    np.testing.assert_allclose(value, same, rtol=1e-14)
    np.testing.assert_allclose(frozen, 2 * (exponents[0] - 0.2) / w, rtol=1e-12)
    assert abs(exact - frozen) > 0.1 * abs(frozen)


def test_a_jacobian_of_low_rank_is_flagged():
    rank_one = jnp.ones((SIZE, SIZE))
    _, (status, _) = flossing_loss(Flossing(2), lambda x, _: rank_one @ x, jnp.ones(SIZE), None, KEY, STEPS)
    assert status.flags == Flag.NOT_DEFINED


def test_schedules():
    blocks = []

    def block(state, steps):
        blocks.append(steps)
        return state + steps

    def run(schedule, epochs, exponents):
        blocks.clear()
        state = done = 0
        for epoch in range(epochs):
            state, done = floss_if_due(schedule, epoch, state, block=block, exponents=exponents, done=done)
        assert state == done
        return list(blocks)

    unasked = pytest.fail  # these do not measure
    assert run(Before(70), 3, unasked) == [70]
    assert run(Between(20, (0, 2)), 4, unasked) == [20, 20]
    shrinking = Adaptive(horizon=10.0, tolerance=1.0, steps=30, most=200)
    assert run(shrinking, 3, lambda state: jnp.asarray([0.4, -0.2]) * 0.5 ** (state / 30)) == [30, 30]
    assert run(shrinking, 2, lambda state: jnp.asarray([0.4])) == [30] * 6 + [20]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: Flossing(0), "count and interval must be at least 1"),
        (lambda: Flossing(2, transient=3, interval=2), "must be a multiple of 2"),
        (lambda: exponents_of_run(Flossing(2, transient=12), jnp.add, None, DRIVES, KEY), "leaves no interval of 1"),
        (
            lambda: flossing_loss(Flossing(9), lambda x, _: x, jnp.ones(SIZE), None, KEY, 9),
            "9 exponents were asked for",
        ),
    ],
)
def test_bad_input(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
