"""The exponentially weighted readout: its integral, its derivative in spike times and weights, its twin on a grid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stablespike as ss
from stablespike.dynamics.neurons.readout import LeakyReadout, ShapedReadout

UNTIL, T = 1.0, 0.3
INPUTS = ss.Spikes(jnp.array([0.01, 0.02, 0.05, 0.3, 0.31, 0.33]), jnp.array([0, 1, 0, 1, 0, 0]))


@pytest.mark.parametrize("weighting", [T, np.inf])
@pytest.mark.parametrize("synaptic", [None, 0.1])
def test_the_response_is_the_weighted_mean_of_the_leaky_voltage(weighting, synaptic):
    times, sizes, looks = jnp.array([[0.013, 0.98], [0.4, 1.2]]), jnp.array([[1.0, 1.0], [2.0, 1.0]]), 2000
    at = np.arange(1, looks + 1) / looks
    voltages = LeakyReadout(0.05, synaptic).voltages(times, jnp.where(times < UNTIL, sizes, 0), looks, UNTIL)
    weights = np.exp(-at / weighting)
    expected = weights @ np.asarray(voltages) / weights.sum()
    found = ShapedReadout(0.05, weighting, synaptic).voltages(times, sizes, looks, UNTIL)
    assert found.shape == (1, 2)
    np.testing.assert_allclose(found[0], expected, rtol=2e-3)


def test_the_plain_mean_hardly_depends_on_when_a_spike_comes_and_the_shaped_one_does():
    slope = jax.vmap(jax.grad(lambda time, T: ShapedReadout(0.02, T).response(time, UNTIL)), (0, None))
    times = jnp.array([0.1, 0.4, 0.7])
    np.testing.assert_allclose(slope(times, jnp.inf), 0, atol=1e-6)
    assert (np.asarray(slope(times, T)) < -1e-3).all()


def network(weights, neuron):
    inputs, loop, readout = weights
    return ss.Network(
        ss.Layer(neuron, ss.Dense(inputs), loop=ss.Dense(loop)), ss.Layer(ShapedReadout(0.02, T), ss.Dense(readout))
    )


@pytest.mark.parametrize("neuron", [ss.LIF(0.02), ss.QIF(0.02)])
def test_the_derivative_of_a_recurrent_network_is_that_of_finite_differences(neuron):
    keys = jax.random.split(jax.random.key(3), 4)
    shapes, scales = [(4, 2), (4, 4), (3, 4)], [4.0, 0.5, 1.0]
    weights = [scale * jax.random.normal(key, shape) for key, shape, scale in zip(keys, shapes, scales, strict=False)]
    weights[0] = 8.0 + weights[0]
    along = [jax.random.normal(jax.random.fold_in(keys[3], k), one.shape) for k, one in enumerate(weights)]

    def value(part):
        moved = [one + part * step for one, step in zip(weights, along, strict=True)]
        return (ss.simulate(network(moved, neuron), INPUTS, UNTIL, on=ss.Events(32)).output.sent ** 2).sum()

    run = ss.simulate(network(weights, neuron), INPUTS, UNTIL, on=ss.Events(32))
    assert run.output.sent.shape == (1, 3)
    assert run.layers[0].counts.sum() > 4
    step = 1e-6
    difference = (value(step) - value(-step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(value)(0.0), difference, rtol=1e-5)


def test_the_twin_on_a_fine_grid_has_the_same_score():
    dt, weights = 1e-4, [jnp.full((3, 2), 3.0), jnp.zeros((3, 3)), jnp.eye(2, 3)]
    exact = ss.simulate(network(weights, ss.LIF(0.02)), INPUTS, UNTIL).output.sent[0]
    layers = network(weights, ss.LIF(0.02)).layers[0], ss.Layer(LeakyReadout(0.02), ss.Dense(weights[2]))
    run = ss.simulate(ss.Network(*layers), INPUTS, UNTIL, on=ss.Grid(dt))
    np.testing.assert_allclose(ss.Outputs(ss.ExponentiallyWeightedMean(T / dt))(run), exact, rtol=2e-2)
    assert exact[0] > 0


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(ValueError, match="weighting_time_constant must be positive"):
        ShapedReadout(0.02, -1.0)
    with pytest.raises(ValueError, match="must differ"):
        ShapedReadout(0.02, T, 0.02)
    with pytest.raises(ValueError, match="steps must be positive"):
        ss.ExponentiallyWeightedMean(0.0)
    weights = [jnp.ones((3, 2)), jnp.zeros((3, 3)), jnp.ones((2, 3))]
    with pytest.raises(ValueError, match="ShapedReadout exists by events only"):
        ss.simulate(network(weights, ss.LIF(0.02)), INPUTS, UNTIL, on=ss.Grid(0.01))
