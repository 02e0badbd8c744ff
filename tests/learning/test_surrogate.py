"""Surrogate derivatives: their closed forms, their modes, and the Jacobian of a step that they give."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.dynamics import grid_by_hand as by_hand

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.cells import GridLIF, MembraneState
from stablespike.dynamics.grid.network import GridNetwork, Layer
from stablespike.dynamics.grid.resets import Detached, NewCurrent, OldCurrent, ResetBySubtraction, ResetToZero, Unfelt
from stablespike.learning import surrogates as surrogate

SLOPES = {name: getattr(surrogate, name)() for name in by_hand.SLOPES}
GRID = np.linspace(-200, 200, 800_001)


@pytest.mark.parametrize(
    ("slope", "integral"),
    [
        (surrogate.SuperSpike(3.0), 2 / 3),
        (surrogate.Sigmoid(3.0), 4 / 3),
        (surrogate.Arctan(3.0), np.pi / 3),
        (surrogate.Triangle(3.0), 1 / 3),
        (surrogate.Gaussian(3.0), np.sqrt(2 * np.pi) / 3),
    ],
)
def test_slopes_are_one_at_threshold_and_have_the_integral_of_their_width(slope, integral):
    assert float(slope(jnp.zeros(()))) == 1
    values = np.asarray(slope(jnp.asarray(GRID)))
    tail = 2 * {surrogate.SuperSpike: 1 / (9 * GRID[-1] + 3), surrogate.Arctan: 1 / (9 * GRID[-1])}.get(type(slope), 0)
    assert np.trapezoid(values, GRID) + tail == pytest.approx(integral, rel=1e-6)


def test_the_multi_gaussian_is_a_density_that_goes_below_zero():
    values = np.asarray(surrogate.MultiGaussian()(jnp.asarray(GRID)))
    assert np.trapezoid(values, GRID) == pytest.approx(1 + 0.15 - 2 * 0.15, rel=1e-12)
    assert values.min() < 0 < values.max()


@pytest.mark.parametrize("name", SLOPES)
def test_slopes_have_their_closed_form(name):
    v = np.linspace(-3, 3, 601)
    np.testing.assert_allclose(SLOPES[name](jnp.asarray(v)), by_hand.SLOPES[name](v), rtol=1e-12, atol=1e-15)
    far = SLOPES[name](jnp.array([-jnp.inf, jnp.inf]))
    np.testing.assert_array_equal(far, 0)


def test_a_scaled_slope_is_the_slope_times_a_factor():
    v = jnp.linspace(-1, 1, 11)
    np.testing.assert_array_equal(surrogate.Scaled(surrogate.Triangle(), 0.3)(v), 0.3 * surrogate.Triangle()(v))


@jax.jit
def derivatives(v):
    """By name: spikes, the derivative by forward and by reverse mode, the second by forward and by reverse mode."""
    found, ones = {}, jnp.ones_like(v)
    for name, slope in SLOPES.items():
        spike = surrogate.SurrogateSpike(slope)
        reverse = jax.grad(lambda x, spike=spike: spike(x).sum())
        twice = jax.jvp(reverse, (v,), (ones,))[1], jax.grad(lambda x, reverse=reverse: reverse(x).sum())(v)
        found[name] = spike(v), jax.jvp(spike, (v,), (ones,))[1], reverse(v), *twice
    return found


def test_forward_mode_reverse_mode_and_second_derivative_follow_the_slope():
    v, h = np.array([-0.73, -0.02, 0.01, 0.44]), 1e-5
    for name, (spikes, forward, reverse, *second) in derivatives(jnp.asarray(v)).items():
        slope = by_hand.SLOPES[name]
        np.testing.assert_array_equal(spikes, [0, 0, 1, 1])
        np.testing.assert_allclose(forward, slope(v), rtol=1e-12)
        np.testing.assert_allclose(reverse, slope(v), rtol=1e-12)
        for found in second:
            np.testing.assert_allclose(found, (slope(v + h) - slope(v - h)) / (2 * h), rtol=1e-6, atol=1e-8)


def test_a_spike_at_threshold_is_a_spike_of_the_type_of_its_argument():
    spike = surrogate.SurrogateSpike(surrogate.SuperSpike())(jnp.zeros((), "float32"))
    assert spike.dtype == "float32"
    assert float(spike) == 1


@eqx.filter_jit
def jacobian_of_a_step(network, state, signal):
    """Derivative of the new (V, I) with respect to the old ones, with the old and the new cells."""
    rest = network.initial_state()

    def move(flat):
        cell = MembraneState(*jnp.split(flat, 2))
        new = network.step(eqx.tree_at(lambda s: s[0].cell, rest, cell), signal)[0][0].cell
        return jnp.concatenate([new.voltage, new.current])

    return jax.jacfwd(move)(jnp.concatenate([state.voltage, state.current]))


def step_of(reset, order):
    """The Jacobian of one step of a recurrent network with some neurons above threshold, and what it is made of."""
    p, x, _ = by_hand.example()
    rng = np.random.default_rng(5)
    V, I = rng.normal(0.8, 0.6, 7), rng.normal(0, 2, 7)
    lif = GridLIF(
        jnp.asarray(p["membrane"]), jnp.asarray(p["synapse"]), p["dt"], p["threshold"],
        surrogate.SurrogateSpike(surrogate.SuperSpike()), reset, order,
    )  # fmt: skip
    network = GridNetwork((Layer(lif, Dense(jnp.asarray(p["W"])), Dense(jnp.asarray(p["V"]))),))
    jacobian = jacobian_of_a_step(network, MembraneState(jnp.asarray(V), jnp.asarray(I)), jnp.asarray(x[0]))
    a, b = np.exp(-p["dt"] / p["synapse"]), np.exp(-p["dt"] / p["membrane"])
    v = V / p["threshold"] - 1
    s, h = np.heaviside(v, 1), by_hand.SLOPES["SuperSpike"](v) / p["threshold"]
    pre = b * V + (1 - b) * (a * I + p["W"] @ x[0] + p["V"] @ s)
    assert 0 < s.sum() < 7
    return np.asarray(jacobian), a, b, s, h, pre, p["threshold"]


def test_the_determinant_of_a_step_is_conserved_where_the_reset_is_not_felt():
    jacobian, a, b, *_ = step_of(Unfelt(ResetToZero()), NewCurrent())
    assert np.linalg.det(jacobian) == pytest.approx(np.prod(a * b), rel=1e-10)
    jacobian, a, b, *_ = step_of(Unfelt(ResetToZero()), OldCurrent())
    assert abs(np.linalg.det(jacobian) / np.prod(a * b) - 1) > 0.01


def test_the_determinant_of_a_step_with_its_reset():
    jacobian, a, b, s, h, pre, _ = step_of(ResetToZero(), NewCurrent())
    assert np.linalg.det(jacobian) == pytest.approx(np.prod(a * (b * (1 - s) - pre * h)), rel=1e-9)
    jacobian, a, b, s, h, _, threshold = step_of(ResetBySubtraction(), NewCurrent())
    assert np.linalg.det(jacobian) == pytest.approx(np.prod(a * (b - threshold * h)), rel=1e-9)
    jacobian, *_, s, _, _, _ = step_of(Detached(ResetToZero()), NewCurrent())
    assert 14 - np.linalg.matrix_rank(jacobian, tol=1e-12) == s.sum()


@pytest.mark.parametrize(
    "build", [lambda: surrogate.SuperSpike(-5.0), lambda: surrogate.Triangle(0.0), lambda: surrogate.Sigmoid(jnp.nan)]
)
def test_a_slope_without_width_is_refused(build):
    with pytest.raises(ValueError, match="sharpness must be positive"):
        build()


def test_a_slope_per_time_is_the_plain_one_at_its_own_step_and_a_tenth_of_it_in_ten_times_as_many():
    v = jnp.linspace(-0.5, 0.5, 11)
    plain = surrogate.SuperSpike(10.0)
    np.testing.assert_array_equal(surrogate.PerTime(plain, 0.1, 0.1)(v), plain(v))
    np.testing.assert_allclose(surrogate.PerTime(plain, 0.01, 0.1)(v), plain(v) / 10, rtol=1e-15)
    with pytest.raises(ValueError, match="step must be positive"):
        surrogate.PerTime(plain, 0.1, 0.0)
