"""Surrogate mean field against measured exponents, closed forms and the argument by variances."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import stablespike as ss
from stablespike.dynamics.grid.resets import Detached, ResetToZero
from stablespike.learning.gradients.on_grid import as_grid_network
from stablespike.stability import mean_field
from stablespike.stability.surrogate_tangent import PUBLIC
from stablespike.tasks.poisson import poisson_spikes

STEPS, UNTIL, WARM = 20, 24.0, 80  # steps of a tau, taus of a trial, steps left out
SPIKES = poisson_spikes(np.random.default_rng(1), 4.0, 100, UNTIL)


def network(loop, neurons=200, inward=2.0, seed=0):
    keys = jax.random.split(jax.random.key(seed))
    inputs = inward * jax.random.normal(keys[0], (neurons, 100)) / 10
    back = loop * jax.random.normal(keys[1], (neurons, neurons)) / np.sqrt(neurons)
    return ss.Network(ss.Layer(ss.LIF(1.0), ss.Dense(inputs), ss.Dense(back)))


def grid(sharpness, reset=PUBLIC, steps=STEPS):
    return ss.Grid(1 / steps, ss.SuperSpike(sharpness), reset=reset)


@pytest.mark.parametrize("reset", [PUBLIC, Detached(ResetToZero()), ResetToZero()], ids=["public", "gated", "full"])
@pytest.mark.parametrize("sharpness", [2.0, 10.0])
def test_the_predicted_exponent_is_the_measured_one_in_all_conventions(reset, sharpness):
    given, on = network(3.0), grid(sharpness, reset)
    step = ss.as_step(given, on=on, window=1 / STEPS)
    measured = ss.lyapunov_spectrum(
        step, step.rest(), step.drives(SPIKES, round(UNTIL * STEPS)), transient=WARM, count=1, key=jax.random.key(2),
        duration=step.duration,
    ).exponents[0]  # fmt: skip
    found = ss.mean_field_exponent(given, SPIKES, UNTIL, on=on, transient=WARM)
    assert abs(found - measured) < 0.15  # measured in one network of 200, of exponents that differ by up to 5


def test_of_a_slope_that_is_flat_the_exponent_is_that_of_a_random_linear_network():
    # g V(z) = 1 at z = e^lambda, V(z) = (1 - b) z/((z - a)(z - b)) the membrane's response, g the radius of the weights
    a, b = math.exp(-2 / STEPS), math.exp(-1 / STEPS)
    given = network(3.0)
    radius = math.sqrt(float(jnp.square(given.layers[0].loop.weights).sum()) / 200)
    exact = scipy.optimize.brentq(lambda z: radius * (1 - b) * z - (z - a) * (z - b), 1.0, 3.0)
    found = ss.mean_field_exponent(given, SPIKES, UNTIL, on=grid(1e-7), lags=300)
    assert found == pytest.approx(STEPS * math.log(exact), rel=2e-3)


def test_without_lags_it_is_the_argument_by_variances():
    # <I^2>, <V^2> and <IV> of one step to the next, the field being white with variance g^2 <h^2> <V^2>
    a, b = math.exp(-2 / STEPS), math.exp(-1 / STEPS)
    given, on = network(3.0), grid(3.0)
    run = ss.simulate(given, SPIKES, UNTIL, on=ss.Grid(on.dt, on.slope, reset=on.reset, watched=True))
    before = np.concatenate([np.zeros((1, 200)), np.asarray(run.cells[0].voltage)[:-1]])
    share = np.square(np.asarray(given.layers[0].loop.weights)).sum(0)
    x = float((np.square(on.slope(jnp.asarray(before - 1))) @ share).mean() / 200)
    moments = np.array(
        [
            [a * a, x, 0],
            [(1 - b) ** 2 * a * a, b * b + (1 - b) ** 2 * x, 2 * b * (1 - b) * a],
            [(1 - b) * a * a, (1 - b) * x, a * b],
        ]
    )
    exact = STEPS * math.log(np.abs(np.linalg.eigvals(moments)).max()) / 2
    assert ss.mean_field_exponent(given, SPIKES, UNTIL, on=on, lags=0) == pytest.approx(exact, abs=2e-3)


def test_followed_neuron_by_neuron_a_shared_flow_gives_the_same():
    given, on = network(3.0, 60), grid(3.0)
    drives = on.signals(SPIKES, 100, round(UNTIL * STEPS))[None]
    (one,) = mean_field.responses(as_grid_network(given, on), drives)
    assert one.shared
    late = one._replace(**{name: getattr(one, name)[WARM:] for name in ("flow", "entry", "exit")})
    rate, at = mean_field.exponent_of(late), np.pi * np.arange(5) / 160
    closed = mean_field._of_shared_flow(late, rate, at, 40)
    followed = mean_field._of_gated_flow(one, rate, at, 40)
    assert np.abs(followed / closed - 1).max() < 0.1  # from rest, which takes some time, and so over other steps


def test_at_the_critical_sharpness_the_exponent_is_zero_and_finer_steps_need_a_sharper_slope():
    given, found = network(3.0), []
    for steps in (20, 40):
        on = grid(10.0, steps=steps)
        found.append(ss.critical_sharpness(given, SPIKES, UNTIL, on=on, transient=4 * steps))
        critical = eqx.tree_at(lambda one: one.slope.sharpness, on, found[-1])
        assert abs(ss.mean_field_exponent(given, SPIKES, UNTIL, on=critical, transient=4 * steps)) < 0.01
    assert 1.5 < found[1] / found[0] < 3


def test_several_trials_are_taken_together():
    given, on = network(3.0, 60), grid(3.0)
    twice = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), SPIKES)
    once = ss.mean_field_exponent(given, SPIKES, UNTIL, on=on)
    assert ss.mean_field_exponent(given, twice, UNTIL, on=on) == pytest.approx(once, rel=1e-6)


def test_an_uncoupled_layer_forgets_as_its_membrane_does():
    found = ss.mean_field_exponent(network(1e-3, 60), SPIKES, UNTIL, on=grid(10.0))
    assert found == pytest.approx(-1.0)


def test_what_it_cannot_mean_is_refused():
    given, on = network(3.0, 20), grid(10.0)
    ahead = ss.Network(ss.Layer(ss.LIF(1.0), given.layers[0].inputs))
    delayed = ss.Delayed(given.layers[0].loop.weights, jnp.full((20, 20), 0.1))
    late = ss.Network(ss.Layer(ss.LIF(1.0), given.layers[0].inputs, delayed))
    for changed, sentence in ((ahead, "no layer has recurrent weights"), (late, "without delays only")):
        with pytest.raises(ValueError, match=sentence):
            ss.mean_field_exponent(changed, SPIKES, UNTIL, on=on)
    with pytest.raises(ValueError, match="cannot be had from 40 steps"):
        ss.mean_field_exponent(given, SPIKES, 2.0, on=on)
    with pytest.raises(ValueError, match="fade at every sharpness between 50 and 100"):
        ss.critical_sharpness(given, SPIKES, UNTIL, on=on, between=(50.0, 100.0))
    with pytest.raises(ValueError, match="two rising"):
        ss.critical_sharpness(given, SPIKES, UNTIL, on=on, between=(2.0, 1.0))
    with pytest.raises(ValueError, match="slope with a sharpness"):
        ss.critical_sharpness(given, SPIKES, UNTIL, on=ss.Grid(0.05))
    with pytest.raises(ValueError, match="asks for a surrogate's slope"):
        ss.mean_field_exponent(given, SPIKES, UNTIL, on=ss.Grid(0.05))


def test_neurons_whose_state_is_an_array_are_linearised_part_by_part():
    given = network(2.0)
    phase = eqx.tree_at(lambda one: one.layers[0].neuron, given, ss.QIF(1.0))
    on = ss.Grid(1 / STEPS, ss.SuperSpike(5.0))
    step = ss.as_step(phase, on=on, window=1 / STEPS)
    measured = ss.lyapunov_spectrum(
        step, step.rest(), step.drives(SPIKES, round(UNTIL * STEPS)), transient=WARM, count=1, key=jax.random.key(2),
        duration=step.duration,
    ).exponents[0]  # fmt: skip
    assert abs(ss.mean_field_exponent(phase, SPIKES, UNTIL, on=on, transient=WARM) - measured) < 0.3


def test_where_the_derivative_of_its_reset_lets_a_neuron_grow_by_itself_the_network_grows_as_measured():
    given, on, steps = network(4.0, seed=2), grid(1.0, ResetToZero(), 10), round(UNTIL * 10)
    step = ss.as_step(given, on=on, window=on.dt)
    measured = ss.lyapunov_spectrum(
        step, step.rest(), step.drives(SPIKES, steps), transient=WARM, count=1, key=jax.random.key(2),
        duration=step.duration,
    ).exponents[0]  # fmt: skip
    (one,) = mean_field.responses(as_grid_network(given, on), on.signals(SPIKES, 100, steps)[None], WARM)
    assert one.alone > np.log(np.abs(np.linalg.eigvals(np.median(one.flow, (0, 1)))).max())
    assert abs(ss.mean_field_exponent(given, SPIKES, UNTIL, on=on, transient=WARM) - measured) < 0.2


def test_of_gated_neurons_the_slowest_alone_is_one_that_never_spikes():
    given = network(3.0, 60)
    on = grid(10.0, Detached(ResetToZero()))
    (one,) = mean_field.responses(as_grid_network(given, on), on.signals(SPIKES, 100, round(UNTIL * STEPS))[None])
    silent = np.all(one.flow == one.flow.max((0, 1)), axis=(0, 2, 3))
    assert silent.any()
    assert one.alone == pytest.approx(-1 / STEPS, rel=0.02)  # of a finite run


def test_a_slope_that_no_neuron_comes_near_leaves_each_alone():
    quiet = eqx.tree_at(lambda one: one.layers[0].inputs.weights, network(3.0, 20), jnp.zeros((20, 100)))
    on = ss.Grid(1 / STEPS, ss.Triangle(10.0), reset=PUBLIC)
    assert ss.mean_field_exponent(quiet, SPIKES, UNTIL, on=on) == pytest.approx(-1.0)
