"""Neurons without closed form: the general QIF and the diffrax route against the closed forms they contain."""

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from tests.dynamics import exact

from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.network import Layered, Recurrent
from stablespike.dynamics.neurons.general_qif import GeneralQIF
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.numerical import NumericalNeuron
from stablespike.dynamics.neurons.numerical_models import AdaptiveLIF, ExponentialIF, Izhikevich
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.spikes import Spikes

TAU = 0.7
CASES = np.asarray(
    [(v, i) for v in (-np.inf, -3.0, 0.0, 1.5, 6.0, np.inf) for i in (30.0, 2.0, 0.0, -1e-30, -1.0, -20.0)]
)
RATIOS = (2.0, 1.0, 1 + 1e-9, 0.5, 0.5 - 1e-6, 1 / 3, 0.25, 0.8, 3.7)


@pytest.fixture(scope="module")
def states():
    return jax.vmap(QIF(TAU).initial_state)(CASES[:, 0], CASES[:, 1])


def test_general_qif_with_half_the_time_constant_is_the_qif(states):
    special, general = QIF(TAU), GeneralQIF(TAU, TAU / 2)
    flows = [jax.jit(jax.vmap(jax.vmap(neuron.flow, (None, 0)), (0, None))) for neuron in (special, general)]
    one, other = (np.asarray(flow(states, jnp.asarray([1e-6, 0.3, 4.0, -0.3]))) for flow in flows)
    np.testing.assert_allclose(one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0], 0, atol=1e-14)
    np.testing.assert_allclose(one[..., 2], other[..., 2], rtol=1e-13)
    spikes = [jax.jit(jax.vmap(jax.value_and_grad(neuron.time_to_spike))) for neuron in (special, general)]
    (times, slopes), (general_times, general_slopes) = (spike(states) for spike in spikes)
    np.testing.assert_allclose(general_times, times, rtol=1e-13)
    np.testing.assert_allclose(general_slopes, slopes, rtol=1e-11, atol=1e-13)
    coming = states[np.isfinite(times)]
    curvatures = [jax.jit(jax.vmap(jax.hessian(neuron.time_to_spike)))(coming) for neuron in (special, general)]
    np.testing.assert_allclose(curvatures[1], curvatures[0], rtol=1e-9, atol=1e-11)
    twice = jax.jit(jax.vmap(jax.jacrev(jax.grad(general.time_to_spike))))(coming)
    np.testing.assert_allclose(twice, curvatures[1], rtol=1e-10, atol=1e-11)


def exact_point(voltage, current, ratio, t):
    """(n, d) after t (in tau_m) by the textbook solutions 0F1; a pole of theirs is stepped aside from by 1e-30."""
    if abs(1 / ratio - mp.nint(1 / ratio)) < mp.mpf(10) ** -14:
        ratio = ratio * (1 + mp.mpf(10) ** -30)
    power = 1 / ratio

    def solutions(s):
        z = -current * s**ratio / ratio**2
        first, second = mp.hyp0f1(1 - power, z), s * mp.hyp0f1(1 + power, z)
        slope = ratio * z * mp.hyp0f1(2 - power, z) / (1 - power)
        other = second + s * ratio * z * mp.hyp0f1(2 + power, z) / (1 + power)
        return slope, other, first, second  # s y1', s y2', y1, y2

    n, d = (-1, 0) if voltage == -mp.inf else (1, 0) if voltage == mp.inf else (voltage, 1)
    a, b, c, e = solutions(mp.mpf(1))
    one, two = e * n - b * d, a * d - c * n  # the determinant is 1, by the Wronskian, up to a sign that V does not see
    sign = mp.sign(a * e - b * c)
    a, b, c, e = solutions(mp.exp(-t))
    return sign * (a * one + b * two), sign * (c * one + e * two)


@pytest.mark.parametrize("ratio", RATIOS)
def test_general_qif_at_any_ratio(ratio):
    """Flow against the hypergeometric solutions; spike time by their zero; near and at their poles."""
    steps = (0.2, 2.5)
    flow, spike = compiled_general()
    worst, worst_time, spikes = 0.0, 0.0, 0
    tau_s = TAU / ratio
    with mp.workdps(100):
        exact_ratio = exact.number(TAU) / exact.number(tau_s)
        for voltage, current in CASES[[0, 1, 6, 9, 12, 14, 18, 19, 24, 28, 35]]:
            state = QIF(TAU).initial_state(voltage, current)
            v, i = mp.mpf(float(voltage)), exact.number(current)
            for dt in steps:
                n, d = exact_point(v, i, exact_ratio, exact.number(dt) / exact.number(TAU))
                angle = mp.atan2(d, n)
                moved = flow(state, dt, TAU, tau_s)
                error = exact.on_circle(mp.atan2(exact.number(moved[1]), exact.number(moved[0])) - angle)
                worst = max(worst, error)
            time = float(spike(state, TAU, tau_s))
            if np.isfinite(time) and time > 0:
                spikes += 1
                n, d = exact_point(v, i, exact_ratio, exact.number(time) / exact.number(TAU))
                worst_time = max(worst_time, float(abs(exact.number(TAU) * d / n)) / time)
    print(f"p = {ratio}: angle {worst:.1e}, spike time {worst_time:.1e} ({spikes} spikes)")
    assert worst <= 1e-12
    assert worst_time <= 1e-13
    assert spikes >= 3


compiled = {}


def compiled_general():
    if not compiled:
        compiled["flow"] = jax.jit(lambda state, dt, tau, tau_s: GeneralQIF(tau, tau_s).flow(state, dt))
        compiled["spike"] = jax.jit(lambda state, tau, tau_s: GeneralQIF(tau, tau_s).time_to_spike(state))
    return compiled["flow"], compiled["spike"]


def test_general_qif_derivatives_in_its_time_constants():
    def spike_time(x):
        return GeneralQIF(x[0], x[1]).time_to_spike(GeneralQIF(x[0], x[1]).initial_state(x[2], x[3]))

    point, step = jnp.asarray([0.7, 0.7, 0.2, 4.0]), 1e-5  # the pole p = 1
    slope = jax.jit(jax.grad(spike_time))(point)
    value = jax.jit(spike_time)
    differences = [(value(point.at[k].add(step)) - value(point.at[k].add(-step))) / (2 * step) for k in range(4)]
    np.testing.assert_allclose(slope, differences, rtol=1e-8)


class NumericalQIF(NumericalNeuron):
    """QIF in the angle w = 2 atan(V), so that the spike is an ordinary crossing, at w = pi."""

    horizon: float = eqx.field(default=12.0, static=True)
    longest_step: float = eqx.field(default=0.1, static=True)

    def requirements(self):
        return ()

    def right_hand_side(self, state):
        c, s, current = jnp.cos(state[0]), jnp.sin(state[0]), state[1]
        return jnp.stack([(1 - c) - s + current * (1 + c), -2 * current])

    def distance_to_spike(self, state):
        return jnp.pi - state[0]

    def jump(self, state, weight):
        return state.at[1].add(weight)

    def reset(self, state):
        return state.at[0].add(-2 * jnp.pi)


@pytest.mark.slow
def test_diffrax_route_of_the_qif_is_the_closed_form():
    cases = jnp.asarray([(v, i) for v in (-2.0, 0.0, 3.0) for i in (20.0, 4.0, 0.0, -1.0)])
    closed, numerical = QIF(1.0), NumericalQIF()

    def closed_time(x):
        return closed.time_to_spike(closed.initial_state(x[0], x[1]))

    def numerical_time(x):
        return numerical.time_to_spike(jnp.stack([2 * jnp.arctan(x[0]), x[1]]))

    times, slopes = jax.jit(jax.vmap(jax.value_and_grad(closed_time)))(cases)
    computed, computed_slopes = jax.jit(jax.vmap(jax.value_and_grad(numerical_time)))(cases)
    assert int(np.isfinite(times).sum()) >= 5
    np.testing.assert_allclose(computed, times, rtol=1e-11)
    np.testing.assert_allclose(computed_slopes, slopes, rtol=1e-9, atol=1e-11)


def test_diffrax_route_of_the_lif_is_the_closed_form():
    """The adaptive LIF without adaptation."""
    cases = jnp.asarray([(v, i) for v in (-1.0, 0.5, 0.99) for i in (30.0, 5.0, 2.0, 0.3, -1.0)])
    closed, numerical = LIF(), AdaptiveLIF(adaptation_step=0.0)
    times, slopes = jax.jit(jax.vmap(jax.value_and_grad(closed.time_to_spike)))(cases)
    longer = jnp.concatenate([cases, jnp.zeros_like(cases[:, :1])], 1)
    computed, computed_slopes = jax.jit(jax.vmap(jax.value_and_grad(numerical.time_to_spike)))(longer)
    np.testing.assert_allclose(computed, times, rtol=1e-11)
    np.testing.assert_allclose(computed_slopes[:, :2], slopes, rtol=1e-9, atol=1e-11)
    back = jax.jit(lambda x, dt: numerical.flow(numerical.flow(x, dt), -dt))
    np.testing.assert_allclose(back(longer[0], 0.8), longer[0], rtol=1e-11, atol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("neuron", "state"),
    [(ExponentialIF(), (0.1, 8.0)), (Izhikevich(), (-60.0, -13.0)), (AdaptiveLIF(), (0.1, 7.0, 0.3))],
    ids=["exponential", "izhikevich", "adaptive"],
)
def test_models_without_closed_form(neuron, state):
    """The spike is where the flow meets the threshold; its slope along states and parameters is that of differences."""
    state, direction = jnp.asarray(state), jnp.asarray([0.3, -0.2, 0.5])[: len(state)]
    parameters, structure = jax.tree.flatten(neuron)

    def spike_time(e):
        moved = jax.tree.unflatten(structure, [x * (1 + 0.1 * e) for x in parameters])
        return moved.time_to_spike(state + e * direction)

    step = 1e-4
    offsets = jnp.asarray([0.0, step, -step, 2 * step, -2 * step])
    times, slopes = jax.jit(jax.vmap(jax.value_and_grad(spike_time)))(offsets)
    difference = (8 * (times[1] - times[2]) - (times[3] - times[4])) / (12 * step)
    reached = jax.jit(neuron.flow)(state, times[0])
    assert np.isfinite(times[0])
    np.testing.assert_allclose(neuron.distance_to_spike(reached), 0.0, atol=1e-9)
    np.testing.assert_allclose(slopes[0], difference, rtol=1e-8, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("neuron", [AdaptiveLIF(horizon=3.0), GeneralQIF(1.0, 0.7)], ids=["adaptive", "general_qif"])
def test_networks_take_any_neuron(neuron):
    """Two neurons, two inputs, through the same event step: slope of the last spike time against differences."""
    duration, inputs = 3.0, Spikes(jnp.asarray([0.06, 0.9]), jnp.asarray([0, 1]))

    def last_spike(e):
        weights = jnp.asarray([[8.0, 5.0], [6.5, 7.0]]) + e * jnp.asarray([[0.3, -0.5], [0.2, 0.7]])
        network = Recurrent(neuron, jnp.asarray([[0.0, -0.4], [0.5, 0.0]]), weights)
        states = initial_states(neuron, jnp.zeros(2), jnp.asarray([0.1, 0.2]))
        solution = simulate(network, states, inputs, duration, max_events=32)
        total = jnp.where(solution.spikes.real, solution.spikes.times, 0).max()
        return total, (solution.status.flags, solution.counts)

    step = 1e-4
    run = jax.jit(jax.value_and_grad(last_spike, has_aux=True))
    ((_, (flags, counts)), slope), ((up, _), _), ((down, _), _) = run(0.0), run(step), run(-step)
    print(type(neuron).__name__, counts, "spikes")
    assert int(flags) == 0
    assert int(counts.sum()) >= 2
    np.testing.assert_allclose(slope, (up - down) / (2 * step), rtol=1e-5)


def test_layers_take_any_neuron():
    network = Layered(GeneralQIF(1.0, 1.0), (jnp.ones((2, 1)),))
    assert network.layer_neuron(0).membrane_time_constant == 1.0


def test_a_solver_that_gives_up_is_reported():
    class Exploding(NumericalQIF):
        def right_hand_side(self, state):
            return jnp.stack([jnp.exp(state[0]), state[1]])

        def distance_to_spike(self, state):
            return 1e6 - state[0]

    time = jax.jit(Exploding().time_to_spike)(jnp.asarray([1.0, 0.0]))
    assert np.isnan(time)


def test_bad_parameters_are_refused():
    for make in (
        lambda: GeneralQIF(1.0, 0.0),
        lambda: ExponentialIF(sharpness=0.0),
        lambda: AdaptiveLIF(threshold=-1.0),
    ):
        with pytest.raises(ValueError, match="must"):
            make()


def test_a_model_of_more_variables_than_its_initial_state_is_told_so():
    class Three(AdaptiveLIF):
        def initial_state(self, voltage=0.0, current=0.0):
            return NumericalNeuron.initial_state(self, voltage, current)

    with pytest.raises(ValueError, match=r"does not fit the state of 2 variables.*write an `initial_state`"):
        Three()
