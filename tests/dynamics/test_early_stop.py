"""Stopping when a trial is decided changes nothing that was simulated: spikes, gradients, flags."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.engines.early_stop import everyone_spiked, simulate_layers_until
from stablespike.dynamics.engines.layers import simulate_layers
from stablespike.dynamics.network import Layered
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.spikes import Spikes, in_order
from stablespike.dynamics.status import SimulationError
from stablespike.learning.gradients.time_reversed import time_reversed_layer
from stablespike.native.conventions import Flag

NEURON, END, TRIALS = LIF(2.0, 1.0), 4.0, 7
RANDOM = np.random.default_rng(3)
WEIGHTS = tuple(
    jnp.asarray(RANDOM.normal(mean, spread, shape)) for mean, spread, shape in ((4, 1.6, (12, 5)), (2.5, 0.8, (3, 12)))
)
STATES = tuple(initial_states(NEURON, jnp.zeros(size)) for size in (12, 3))
TIMES = jnp.asarray(RANDOM.uniform(0, 2, (TRIALS, 5)))


@jax.jit
@jax.value_and_grad
def whole(weights):
    def trial(times):
        layers = simulate_layers(
            Layered(NEURON, weights),
            STATES,
            in_order(times, jnp.arange(5)),
            END,
            capacity=60,
            layer=time_reversed_layer,
        )
        return jnp.sum(jnp.where(layers[-1].counts > 0, layers[-1].times[:, 0], END))

    return jax.vmap(trial)(TIMES).sum()


def stopped(weights, boundaries=(0.5, 0.9, END), decided=everyone_spiked, capacities=(20, 160)):
    def trial(times):
        return simulate_layers_until(
            decided, Layered(NEURON, weights), STATES, in_order(times, jnp.arange(5)), boundaries,
            capacities=capacities, layer=time_reversed_layer,
        )  # fmt: skip

    return jax.vmap(trial)(TIMES)


def total(weights):
    solution = stopped(weights)
    output = solution.layers[-1]
    return jnp.sum(jnp.where(output.counts > 0, output.times[..., 0], END)), solution


def test_first_spikes_and_their_gradient_are_those_of_the_whole_trial():
    value, gradient = whole(WEIGHTS)
    (found, solution), slopes = jax.jit(jax.value_and_grad(total, has_aux=True))(WEIGHTS)
    assert {0.5, 0.9} & set(np.asarray(solution.reached).tolist()), "some trials should stop early"
    assert np.unique(solution.reached).size > 1, "trials should stop after different windows"
    assert not solution.layers[0].status.flags.any()
    np.testing.assert_allclose(found, value, rtol=1e-13)
    for slope, true in zip(slopes, gradient, strict=True):
        np.testing.assert_allclose(slope, true, rtol=1e-9, atol=1e-12)


def test_a_trial_that_is_never_decided_is_simulated_to_its_end():
    windows = stopped(WEIGHTS, decided=lambda output: jnp.array(False), capacities=(40, 160))
    one = stopped(WEIGHTS, boundaries=(END,), capacities=(40, 160))
    np.testing.assert_array_equal(windows.reached, END)
    for layer, other in zip(windows.layers, one.layers, strict=True):
        np.testing.assert_array_equal(layer.counts, other.counts)
        most = int(other.counts.max())
        np.testing.assert_allclose(layer.times[..., :most], other.times[..., :most], rtol=1e-12)
        np.testing.assert_allclose(layer.state, other.state, rtol=1e-11, atol=1e-14)


def simulate_one(**changes):
    given = {"inputs": in_order(TIMES[0], jnp.arange(5)), "boundaries": (1.0, END), "capacities": (40, 160)} | changes
    return simulate_layers_until(
        everyone_spiked, Layered(NEURON, WEIGHTS), STATES, given["inputs"], given["boundaries"],
        capacities=given["capacities"], layer=time_reversed_layer,
    )  # fmt: skip


def test_an_exhausted_budget_is_raised_and_flagged():
    with pytest.raises(SimulationError, match="budget of 1 "):
        simulate_one(capacities=(1, 160))
    flags = stopped(WEIGHTS, capacities=(1, 160)).layers[0].status.flags
    assert (flags & Flag.BUDGET_EXHAUSTED).any()


def test_malformed_input_is_refused():
    with pytest.raises(SimulationError, match="ascending and not negative"):
        simulate_one(inputs=Spikes(jnp.asarray([-1.0, 0.5]), jnp.asarray([0, 1])))
    with pytest.raises(SimulationError, match="names a channel"):
        simulate_one(inputs=Spikes(jnp.asarray([0.1, 0.5]), jnp.asarray([0, 5])))


def test_windows_and_budgets_must_make_sense():
    with pytest.raises(ValueError, match="positive and ascending"):
        simulate_one(boundaries=(1.0, 1.0))
    with pytest.raises(ValueError, match="2 layers, but 1 capacities"):
        simulate_one(capacities=(4,))


def test_whole_input_times_stop_no_window_short():
    inputs = Spikes(jnp.asarray([0.0, 1.0, 2.0]), jnp.asarray([0, 1, 2]))
    without_check = eqx.tree_at(lambda one: one.times, inputs, inputs.times.astype(int))
    whole, real = (simulate_one(inputs=one, boundaries=(0.7, 1.5, 3.9)) for one in (without_check, inputs))
    assert float(whole.reached) == float(real.reached) != int(real.reached)
    np.testing.assert_array_equal(whole.layers[-1].counts, real.layers[-1].counts)
