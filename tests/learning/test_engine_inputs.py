"""All simulators refuse what cannot be meant, in a sentence, and take what is unusual but meant."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.engines.layers import simulate_layer
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import SimulationError
from stablespike.learning.gradients.time_reversed import time_reversed
from stablespike.native.conventions import Flag

WEIGHTS, INPUT_WEIGHTS = jnp.full((3, 3), -1.0), jnp.full((3, 2), 5.0)
INPUTS = Spikes(jnp.array([0.1, 0.4, 0.9]), jnp.array([0, 1, 0]))


def recurrent(simulator, neuron, states, inputs, duration, dtype=jnp.float64):
    network = Recurrent(neuron, WEIGHTS.astype(dtype), INPUT_WEIGHTS.astype(dtype))
    return simulator(network, states, inputs, duration, max_events=64)


def layer(simulator, neuron, states, inputs, duration, dtype=jnp.float64):
    return simulator(neuron, INPUT_WEIGHTS.astype(dtype), states, inputs, duration, 8)


SIMULATORS = {
    "recorded": functools.partial(recurrent, simulate),
    "reversed": functools.partial(recurrent, time_reversed(simulate, checkpoints=8)),
    "layer": functools.partial(layer, simulate_layer),
    "reversed layer": functools.partial(layer, time_reversed(simulate_layer)),
}
every = pytest.mark.parametrize("simulator", SIMULATORS.values(), ids=SIMULATORS.keys())


@every
def test_states_of_another_neuron_are_refused(simulator):
    states = initial_states(QIF(), jnp.zeros(3))
    with pytest.raises(ValueError, match=r"initial states of LIF must have shape \[3, 2\], not \[3, 3\]"):
        simulator(LIF(), states, INPUTS, 3.0)
    with pytest.raises(ValueError, match=r"initial states of QIF must have shape \[3, 3\], not \[3, 2\]"):
        simulator(QIF(), states[:, :2], INPUTS, 3.0)


@every
@pytest.mark.parametrize("duration", [-1.0, jnp.inf, jnp.nan])
def test_a_duration_that_cannot_be_meant_is_flagged(simulator, duration):
    states = initial_states(LIF(), jnp.zeros(3))
    if "layer" in str(simulator):
        assert int(simulator(LIF(), states, INPUTS, duration).status.flags) & Flag.DURATION
        return
    with pytest.raises((SimulationError, ValueError), match="duration of a trial must be finite and not negative"):
        simulator(LIF(), states, INPUTS, duration)


@every
def test_no_inputs_and_no_spikes(simulator):
    states = initial_states(LIF(), jnp.array([0.5, 0.2, 0.0]))
    solution = simulator(LIF(), states, Spikes(jnp.zeros(0), jnp.zeros(0, int)), 2.0)
    assert solution.status.ok
    assert jnp.isinf(solution.spike_times(2)).all()
    np.testing.assert_allclose(solution.state[:, 0], states[:, 0] * jnp.exp(-2.0), rtol=1e-12)


def test_no_inputs_have_gradients():
    states = initial_states(QIF(), jnp.array([1.5, 1.2, 2.0]))
    none = Spikes(jnp.zeros(0), jnp.zeros(0, int))

    def last(simulator, weights):
        network = Recurrent(QIF(), weights, INPUT_WEIGHTS)
        return simulator(network, states, none, 4.0, max_events=64).spike_times(1).max()

    recorded, reverse = (jax.grad(functools.partial(last, one))(WEIGHTS) for one in (simulate, time_reversed(simulate)))
    assert jnp.abs(recorded).max() > 0
    np.testing.assert_allclose(reverse, recorded, atol=1e-10)


def test_float32_by_default_within_its_tolerance():
    def last(simulator, dtype, weights):
        states = initial_states(QIF(), jnp.array([0.0, 0.1, 0.2], dtype))
        network = Recurrent(QIF(), weights.astype(dtype), INPUT_WEIGHTS.astype(dtype))
        inputs = Spikes(INPUTS.times.astype(dtype), INPUTS.sources)
        return simulator(network, states, inputs, 4.0, max_events=64).spike_times(1).max()

    exact = jax.grad(functools.partial(last, simulate, jnp.float64))(WEIGHTS)
    found = jax.grad(functools.partial(last, time_reversed(simulate), jnp.float32))(WEIGHTS.astype(jnp.float32))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, exact, atol=1e-3 * float(jnp.abs(exact).max()))


def test_spikes_whose_parts_do_not_fit_are_refused():
    fine = Spikes(jnp.zeros(2), jnp.zeros(2, int))
    with pytest.raises(ValueError, match=r"times \[2\] and sources \[1\] must have the same shape"):
        eqx.tree_at(lambda one: one.sources, fine, jnp.zeros(1, int)).__check_init__()
    with pytest.raises(ValueError, match="indices, not float64"):
        eqx.tree_at(lambda one: one.sources, fine, jnp.zeros(2)).__check_init__()


@pytest.mark.parametrize(("recurrent", "incoming"), [("float32", "float64"), ("float64", "float32")])
def test_weights_of_two_types_are_refused_where_a_kernel_would_misread_one(recurrent, incoming):
    """The recorded simulator takes them."""
    network = Recurrent(QIF(), jnp.full((3, 3), -1, recurrent), jnp.full((3, 2), 5, incoming))
    states = initial_states(QIF(), jnp.array([0.0, 0.1, 0.2]))
    with jax.numpy_dtype_promotion("standard"):
        assert simulate(network, states, INPUTS, 4.0, max_events=32).counts.tolist() == [1, 1, 1]
        with pytest.raises(ValueError, match="weights of one type, float32 or float64, not"):
            time_reversed(simulate)(network, states, INPUTS, 4.0, max_events=32)
