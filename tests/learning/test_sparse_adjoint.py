"""Gradients of sparse networks against those of the recorded dense simulation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.dynamics.test_sparse import BUDGET, DURATION, MODELS, problem

from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.engines.sparse import SparseNetwork
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.sparse_weights import SparseWeights, from_matrix
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import SimulationError
from stablespike.learning.gradients.sparse import adjoint_memory, differentiable_sparse


def loss_of(solution):
    """Loss on all spike times and the final state."""
    real, times = solution.spikes.real, solution.spikes.times
    mixing = jnp.asarray(np.random.default_rng(5).normal(size=BUDGET + 40))[: times.size]
    return jnp.sum(jnp.where(real, mixing * jnp.sin(jnp.where(real, times, 0)), 0)) + jnp.sum(jnp.sin(solution.state))


def entries(weights: SparseWeights, dense):
    """The entries of a dense matrix at the places of the sparse values."""
    columns = np.repeat(np.arange(weights.channels), np.diff(weights.starts))
    return np.asarray(dense)[np.asarray(weights.targets), columns]


@pytest.mark.parametrize("several", [False, True], ids=["homogeneous", "heterogeneous"])
@pytest.mark.parametrize("kind", MODELS)
def test_equal_to_the_recorded_gradient(kind, several):
    dense, sparse, states, inputs = problem(kind, several=several)

    def recorded(weights, input_weights, states, times):
        network = Recurrent(dense.neuron, weights, input_weights)
        return loss_of(simulate(network, states, Spikes(times, inputs.sources), DURATION, max_events=BUDGET))

    def native(network, states, times):
        inputs_there = Spikes(times, inputs.sources)
        return loss_of(differentiable_sparse(network, states, inputs_there, DURATION, max_spikes=BUDGET))

    there = jax.jit(jax.value_and_grad(recorded, (0, 1, 2, 3)))
    value, (weights, input_weights, at_start, at_times) = there(
        dense.weights, dense.input_weights, states, inputs.times
    )
    wanted = (entries(sparse.weights, weights), entries(sparse.input_weights, input_weights), at_start, at_times)

    def in_values(values, input_values, states, times):
        changed = [
            SparseWeights(one.starts, one.targets, new, one.size)
            for one, new in ((sparse.weights, values), (sparse.input_weights, input_values))
        ]
        return native(type(sparse)(sparse.neuron, *changed), states, times)

    operands = (sparse.weights.values, sparse.input_weights.values, states, inputs.times)
    other, found = jax.jit(jax.value_and_grad(in_values, (0, 1, 2, 3)))(*operands)
    assert adjoint_memory(sparse, BUDGET) > 8 * BUDGET
    np.testing.assert_allclose(value, other, rtol=1e-10)
    for one, two in zip(wanted, found, strict=True):
        finite = np.isfinite(one)
        np.testing.assert_allclose(np.asarray(two)[finite], one[finite], rtol=0, atol=1e-9 * np.abs(one[finite]).max())


def test_a_late_burst_has_the_gradient_of_an_early_one():
    """Rounding in late spike times must not look as if leaky neurons had been put beyond their threshold."""
    rng = np.random.default_rng(0)
    sparse = SparseNetwork(LIF(), from_matrix(rng.normal(0, 0.1, (6, 6))), from_matrix(np.full((6, 1), 60.0)))
    times = jnp.asarray(np.sort(rng.random(10)))

    @jax.jit
    def slopes(start):
        def loss(values):
            network = eqx.tree_at(lambda one: one.input_weights.values, sparse, values)
            inputs, states = Spikes(start + times, jnp.zeros(10, int)), jnp.zeros((6, 2))
            spikes = differentiable_sparse(network, states, inputs, start + 3, max_spikes=2000).spikes
            return jnp.sum(jnp.where(spikes.real, jnp.sin(spikes.times - start), 0))

        return jax.grad(loss)(sparse.input_weights.values)

    for start in (50.0, 1000.0):
        np.testing.assert_allclose(slopes(start), slopes(0.0), rtol=1e-6)


def test_what_went_wrong_is_said_while_a_gradient_is_taken():
    dense, sparse, states, inputs = problem("oscillatory LIF", several=True)
    silent = SparseNetwork(LIF(), from_matrix(np.zeros((2, 2))))
    for run, at, sentence in (
        (lambda at: simulate(dense, at, inputs, DURATION, max_events=9), states, "budget of 9 "),
        (lambda at: differentiable_sparse(sparse, at, inputs, DURATION, max_spikes=9), states, "budget of 9 "),
        (
            lambda at: differentiable_sparse(silent, at, max_spikes=9),
            jnp.zeros((2, 2)),
            "before it had made the 9",
        ),
    ):
        with pytest.raises(SimulationError, match=sentence):
            jax.grad(lambda at, run=run: jnp.sum(run(at).state))(at)


def test_pulses_of_inputs_take_memory_too():
    _, sparse, *_ = problem("QIF", several=False)
    more = adjoint_memory(sparse, BUDGET, 10**6) - adjoint_memory(sparse, BUDGET)
    assert more > 8 * 3 * 10**6 * sparse.input_weights.connections / sparse.input_weights.channels


def test_derivatives_that_there_are_not_are_refused():
    _, network, states, _ = problem("oscillatory LIF", several=False)

    def last(duration):
        return differentiable_sparse(network, states, None, duration, max_spikes=8).state.sum()

    with pytest.raises(RuntimeError, match="are those of weights, states and input times"):
        jax.grad(last)(jnp.asarray(1e-3))
