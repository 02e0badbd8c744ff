"""Networks on a grid: closed forms, plain loops in NumPy, and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.dynamics import grid_by_hand as by_hand

from stablespike.dynamics.connections import Delayed, DelayedSteps, Dense
from stablespike.dynamics.grid.cells import AdaptiveGridLIF, BinaryCell, GridLeakyReadout, GridLIF, time_constant_of
from stablespike.dynamics.grid.network import GridNetwork, Layer, run_on_grid
from stablespike.dynamics.grid.resets import ResetBySubtraction
from stablespike.dynamics.status import SimulationError
from stablespike.learning.surrogates import SuperSpike
from stablespike.native.conventions import Flag

STEPS, CHANNELS, SIZE = 40, 5, 6


def numbers(seed, *shape, scale=1.0):
    return jnp.asarray(np.random.default_rng(seed).normal(0, scale, shape))


def spike_trains(seed, steps=STEPS, channels=CHANNELS, density=0.3):
    return jnp.asarray(np.random.default_rng(seed).random((steps, channels)) < density)


def delays(seed, *shape):
    return np.random.default_rng(seed).integers(0, 4, shape)


def lively_network():
    """Two recurrent layers of two kinds, with delays of both forms, and a readout."""
    lif = GridLIF(jnp.linspace(3.0, 9.0, SIZE), 2.0, 0.5)
    adaptive = AdaptiveGridLIF(GridLIF(6.0, None, 0.5, 0.7, reset=ResetBySubtraction()), 20.0, 0.1)
    return GridNetwork((
        Layer(
            lif, DelayedSteps(numbers(0, SIZE, CHANNELS, scale=3), delays(1, CHANNELS)), Dense(numbers(2, SIZE, SIZE))
        ),
        Layer(adaptive, Dense(numbers(3, 4, SIZE, scale=9)), DelayedSteps(numbers(4, 4, 4), delays(5, 4, 4))),
        Layer(GridLeakyReadout(5.0, 0.5), Dense(numbers(6, 3, 4))),
    ))  # fmt: skip


def test_a_run_is_its_steps_repeated():
    network, inputs = lively_network(), spike_trains(0)
    run = run_on_grid(network, inputs)
    step = eqx.filter_jit(lambda state, signal: network.step(state, signal))
    state, outputs = network.initial_state(), []
    for signal in inputs.astype(float):
        state, output = step(state, signal)
        outputs.append(output)
    assert all(0.05 < spikes.mean() < 0.95 for spikes in run.outputs[:2])
    np.testing.assert_allclose(run.readout, jnp.stack(outputs), rtol=1e-12, atol=1e-14)
    for one, other in zip(jax.tree.leaves(run.final), jax.tree.leaves(state), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    first = run_on_grid(network, inputs[:13])
    rest = run_on_grid(network, inputs[13:], first.final)
    np.testing.assert_allclose(jnp.concatenate([first.readout, rest.readout]), run.readout, rtol=1e-12, atol=1e-14)


def test_a_batch_is_its_trials_and_its_products_are_matrix_products():
    network, batch = lively_network(), jnp.stack([spike_trains(seed) for seed in range(3)])

    def run(batch):
        return jax.vmap(lambda one: run_on_grid(network, one).readout)(batch)

    together = jax.jit(run)(batch)
    for trial, readout in zip(batch, together, strict=True):
        np.testing.assert_allclose(readout, run_on_grid(network, trial).readout, rtol=1e-12, atol=1e-14)
    equations = list(all_equations(jax.make_jaxpr(run)(batch).jaxpr))
    assert {one.params["length"] for one in equations if one.primitive.name == "scan"} == {STEPS}
    assert not [one for one in equations if one.primitive.name == "while"]
    products = [one for one in equations if one.primitive.name == "dot_general"]
    assert len(products) >= 5
    assert all(one.params["dimension_numbers"][1] == ((), ()) for one in products)  # no product per trial


def all_equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for parameter in equation.params.values():
            inner = getattr(parameter, "jaxpr", parameter)
            if hasattr(inner, "eqns"):
                yield from all_equations(inner)


def test_one_input_below_threshold_has_its_closed_form():
    tau, tau_s, dt, w = 10.0, 4.0, 0.5, 1.3
    a, b = np.exp(-dt / tau_s), np.exp(-dt / tau)
    network = GridNetwork((Layer(GridLeakyReadout(tau, dt, tau_s), Dense(jnp.array([[w]]))),))
    inputs = jnp.zeros((30, 1)).at[0].set(1)
    n = np.arange(30)
    expected = w * (1 - b) * (b ** (n + 1) - a ** (n + 1)) / (b - a)
    np.testing.assert_allclose(run_on_grid(network, inputs).readout[:, 0], expected, rtol=1e-12)
    quick = GridNetwork((Layer(GridLeakyReadout(tau, dt), Dense(jnp.array([[w]]))),))
    np.testing.assert_allclose(run_on_grid(quick, inputs).readout[:, 0], w * (1 - b) * b**n, rtol=1e-12)
    lif = GridNetwork((Layer(GridLIF(tau, tau_s, dt), Dense(jnp.array([[w]]))),))
    np.testing.assert_allclose(run_on_grid(lif, inputs).cells[0].voltage[:, 0], expected, rtol=1e-12)


def test_a_constant_drive_gives_a_period_in_closed_form():
    """Without filter V(n) = I (1 - b^n) after a reset; the step after the spike is spent at V = 0."""
    drive, tau, dt = 1.5, 10.0, 0.5
    network = GridNetwork((Layer(GridLIF(tau, None, dt), Dense(jnp.array([[drive]]))),))
    spikes = run_on_grid(network, jnp.ones((200, 1))).outputs[0][:, 0]
    climb = int(np.ceil(tau / dt * np.log(drive / (drive - 1))))
    np.testing.assert_array_equal(np.diff(np.flatnonzero(spikes)), climb + 1)
    assert np.flatnonzero(spikes)[0] == climb - 1


def test_adaptation_follows_the_plain_loop():
    lif = GridLIF(8.0, 3.0, 0.5, 0.9, reset=ResetBySubtraction())
    weights, inputs = numbers(1, SIZE, CHANNELS, scale=4), spike_trains(3)
    network = GridNetwork((Layer(AdaptiveGridLIF(lif, 25.0, 0.3), Dense(weights), Dense(numbers(2, SIZE, SIZE))),))
    run = run_on_grid(network, inputs)
    W, R = np.asarray(weights), np.asarray(numbers(2, SIZE, SIZE))
    V, I, A, s = np.zeros((4, SIZE))
    for row, signal in zip(run.outputs[0], np.asarray(inputs, float), strict=True):
        I = np.exp(-0.5 / 3) * I + W @ signal + R @ s
        V = np.exp(-0.5 / 8) * V + (1 - np.exp(-0.5 / 8)) * I - 0.9 * s
        A = np.exp(-0.5 / 25) * A + s
        s = (V >= 0.9 + 0.3 * A).astype(float)
        np.testing.assert_array_equal(row, s)
    assert run.outputs[0].mean() > 0.05
    np.testing.assert_allclose(run.final[0].cell.adaptation, A, rtol=1e-12)


def test_binary_neurons_follow_the_plain_loop():
    weights, recurrent, inputs = numbers(1, SIZE, CHANNELS), numbers(2, SIZE, SIZE), spike_trains(3)
    threshold = numbers(4, SIZE)
    run = run_on_grid(GridNetwork((Layer(BinaryCell(threshold), Dense(weights), Dense(recurrent)),)), inputs)
    s = np.asarray(threshold <= 0, float)
    for row, signal in zip(run.outputs[0], np.asarray(inputs, float), strict=True):
        s = (weights @ signal + recurrent @ s >= threshold).astype(float)
        np.testing.assert_array_equal(row, s)


def test_delays_shift_what_they_apply_to():
    weights, signals = numbers(0, 3, CHANNELS), numbers(1, STEPS, CHANNELS)
    per_neuron, per_connection = delays(2, CHANNELS), delays(3, 3, CHANNELS)
    for chosen in (per_neuron, per_connection):
        connection = DelayedSteps(weights, chosen)
        arriving, history = connection.over_time(connection.initial_history(), signals)
        spread = np.broadcast_to(chosen, weights.shape)
        expected = np.zeros((STEPS, 3))
        for (post, pre), delay in np.ndenumerate(spread):
            expected[delay:, post] += float(weights[post, pre]) * np.asarray(signals[: STEPS - delay, pre])
        np.testing.assert_allclose(arriving, expected, rtol=1e-12, atol=1e-13)
        np.testing.assert_array_equal(history, signals[STEPS - connection.longest :])
    none = DelayedSteps(weights, np.zeros(CHANNELS, int))
    np.testing.assert_array_equal(none.over_time(none.initial_history(), signals)[0], signals @ weights.T)


def test_a_recurrent_delay_comes_on_top_of_the_step():
    """A neuron that excites itself over 3 + 1 steps spikes every 4 steps."""
    lif = GridLIF(1.0, None, 1.0)
    network = GridNetwork((Layer(lif, Dense(jnp.array([[2.0]])), DelayedSteps(jnp.array([[2.0]]), np.array([3]))),))
    spikes = run_on_grid(network, jnp.zeros((13, 1)).at[0].set(1)).outputs[0][:, 0]
    np.testing.assert_array_equal(np.flatnonzero(spikes), [0, 4, 8, 12])


def test_time_constants_of_decays():
    assert float(jnp.exp(-0.5 / time_constant_of(0.8, 0.5))) == pytest.approx(0.8, rel=1e-15)
    with pytest.raises(ValueError, match="between 0 and 1"):
        time_constant_of(1.0, 0.5)


W = jnp.ones((2, 2))


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: GridLIF(0.4, 2.0, 0.5), "membrane_time_constant must be finite and at least one step"),
        (lambda: GridLIF(2.0, jnp.array([1.0, 0.1]), 0.5), "synaptic_time_constant must be finite and at least"),
        (lambda: GridLIF(2.0, 2.0, 0.5, spike=SuperSpike()), "spike must be a step like SurrogateSpike"),
        (lambda: BinaryCell(spike=SuperSpike()), "spike must be a step like SurrogateSpike"),
        (lambda: GridLeakyReadout(jnp.nan, 0.5), "membrane_time_constant must be finite"),
        (lambda: GridLeakyReadout(2.0, -0.5), "dt must be positive"),
        (lambda: GridLIF(2.0, 2.0, 0.5, -1.0), "threshold must lie above"),
        (lambda: GridLIF(2.0, 2.0, 0.5, jnp.inf), "threshold must lie above .* and be finite"),
        (lambda: AdaptiveGridLIF(GridLIF(2.0, 2.0, 0.5), 2.0, jnp.nan), "adaptation_step must be finite"),
        (
            lambda: GridNetwork(
                (Layer(GridLIF(2.0, None, 0.5), Dense(W)), Layer(GridLeakyReadout(2.0, 0.1), Dense(W)))
            ),
            r"share one time step dt, not \[0.1, 0.5\]",
        ),
        (lambda: AdaptiveGridLIF(GridLIF(2.0, 2.0, 0.5), 0.1, 0.1), "adaptation_time_constant must be"),
        (lambda: Dense(jnp.full((2, 2), jnp.nan)), "weights must be finite"),
        (lambda: DelayedSteps(jnp.ones((2, 3)), np.array([-1, 0, 0])), "must not be negative"),
        (lambda: DelayedSteps(jnp.ones((2, 3)), np.zeros((4, 3), int)), r"shape \[3\] or \[2, 3\], not \[4, 3\]"),
        (lambda: Layer(GridLIF(2.0, 2.0, 0.5), Dense(jnp.ones((2, 3))), Dense(jnp.ones((3, 3)))), "layer of 2 neurons"),
        (lambda: Layer(GridLIF(jnp.ones(3), 2.0, 0.5), Dense(jnp.ones((2, 3)))), r"have shape \[2\], not \[3\]"),
        (lambda: GridNetwork(()), "at least one layer"),
        (lambda: GridNetwork((lively_network().layers[0], lively_network().layers[2])), "6 neurons cannot feed"),
        (lambda: run_on_grid(lively_network(), jnp.ones((10, 4))), r"shape \[steps, 5\], not \[10, 4\]"),
        (lambda: DelayedSteps(W, np.array([1, 10**10])), "at most 10000 steps, each of which is work, not 1e.10"),
        (lambda: Delayed(jnp.ones((2, 2)), jnp.array([1e-9, 1e200])).in_steps(1e-9), "work, not 1e.209: give them"),
        (lambda: run_on_grid(lively_network(), jnp.ones((0, 5))), r"shape \[steps, 5\], not \[0, 5\]"),
        (lambda: run_on_grid(lively_network(), jnp.ones((9, 5)), ()), "state of 3 layers"),
    ],
)
def test_what_cannot_be_meant_is_refused(build, sentence):
    with pytest.raises(ValueError, match=sentence):
        build()


def test_known_delays_may_be_given_inside_jit():
    found = jax.jit(lambda w: DelayedSteps(w, np.array([1, 0])).over_time(jnp.zeros((1, 2)), jnp.eye(2))[0])(W)
    np.testing.assert_array_equal(found, [[0, 0], [2, 2]])
    with pytest.raises(ValueError, match="delays must be known"):
        jax.jit(lambda d: DelayedSteps(W, d).longest)(jnp.array([1, 0]))


def test_what_goes_wrong_is_said_also_from_inside_jit():
    network, inputs = lively_network(), spike_trains(0).astype(float)

    def weights(one):
        return one.layers[1].inputs.weights

    def time_constant(one):
        return one.layers[0].cell.membrane_time_constant

    status = eqx.filter_jit(jax.vmap(lambda i, w, t: run_on_grid(changed(w, t), i).status, (0, 0, 0)))

    def changed(w, t):
        return eqx.tree_at(time_constant, eqx.tree_at(weights, network, w), t)

    w, t = weights(network), time_constant(network)
    found = status(
        jnp.stack([inputs, inputs.at[7].set(jnp.inf), inputs, inputs]),
        jnp.stack([w, w, w.at[0, 0].set(jnp.nan), w]),
        jnp.stack([t, t, t, 0.1 * t]),
    )
    assert found.ok.tolist() == [True, False, False, False]
    assert found.flags[1] & Flag.NOT_FINITE
    assert found.time[1] == 7
    assert found.flags[2] & Flag.WEIGHTS
    assert found.flags[3] == Flag.PARAMETERS
    with pytest.raises(SimulationError, match="not finite at time 7"):
        run_on_grid(network, inputs.at[7].set(jnp.nan))


def test_the_layer_by_hand_is_the_layer_of_the_package():
    p, x, _ = by_hand.example()
    lif = GridLIF(jnp.asarray(p["membrane"]), jnp.asarray(p["synapse"]), p["dt"], p["threshold"])
    network = GridNetwork((Layer(lif, Dense(jnp.asarray(p["W"])), Dense(jnp.asarray(p["V"]))),))
    run = run_on_grid(network, jnp.asarray(x))
    voltage, current, spikes, _ = by_hand.forward(p, x, "zero", "new")
    np.testing.assert_array_equal(run.outputs[0], spikes[1:])
    np.testing.assert_allclose(run.cells[0].voltage, voltage[1:], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(run.cells[0].current, current[1:], rtol=1e-12)
