"""Gradient rules through time against plain backpropagation and against each other."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.connections import Connection, DelayedSteps, Dense
from stablespike.dynamics.grid.cells import AdaptiveGridLIF, GridLeakyReadout, GridLIF
from stablespike.dynamics.grid.network import GridNetwork, Layer, run_on_grid
from stablespike.dynamics.grid.resets import ResetBySubtraction
from stablespike.dynamics.status import SimulationError
from stablespike.learning.gradients.eprop import eligibility_propagation
from stablespike.learning.gradients.real_time import gradient_in_real_time, real_time_recurrent_learning
from stablespike.learning.gradients.through_time import Checkpointed, Truncated
from stablespike.learning.surrogates import SuperSpike, SurrogateSpike

CHANNELS, SIZE, OUTPUTS, STEPS = 3, 4, 2, 23
RNG = np.random.default_rng(0)
INPUTS = jnp.asarray(RNG.random((STEPS, CHANNELS)) < 0.4)
TARGETS = jnp.asarray(RNG.normal(0, 1, (STEPS, OUTPUTS)))
W, V, O = (jnp.asarray(RNG.normal(0, s, shape)) for s, shape in ((3, (4, 3)), (1, (4, 4)), (1, (2, 4))))
LIF = GridLIF(jnp.linspace(3.0, 9.0, SIZE), 2.5, 0.5, 0.9, SurrogateSpike(SuperSpike(5.0)), ResetBySubtraction())
ADAPTIVE = AdaptiveGridLIF(LIF, jnp.linspace(8.0, 12.0, SIZE), 0.2)


class DeafDense(Connection):
    """Dense, whose signals are constants to the derivative: recurrence that e-prop does not see."""

    weights: jax.Array

    def initial_history(self):
        return None

    def over_time(self, history, signals):
        return jax.lax.stop_gradient(signals) @ self.weights.T, history


def network(cell, recurrent):
    return GridNetwork((Layer(cell, Dense(W), recurrent), Layer(GridLeakyReadout(5.0, 0.5), Dense(O))))


def squares(output, target):
    return ((output - target) ** 2).sum()


def backpropagated(one, **options):
    @eqx.filter_jit
    @eqx.filter_value_and_grad
    def loss(one):
        return jax.vmap(squares)(run_on_grid(one, INPUTS, **options).readout, TARGETS).sum()

    return loss(one)


def close(found, expected, tolerance):
    (value, gradient), (other, reference) = found, expected
    assert float(value) == pytest.approx(float(other), rel=1e-12)
    pairs = list(zip(jax.tree.leaves(gradient), jax.tree.leaves(reference), strict=True))
    assert max(np.abs(leaf).max() for _, leaf in pairs) > 0.1
    for leaf, plain in pairs:
        np.testing.assert_allclose(leaf, plain, rtol=0, atol=tolerance * np.abs(plain).max())


@pytest.fixture(scope="module")
def delayed():
    """A network with everything that has a state, and its plain gradient."""
    one = network(ADAPTIVE, DelayedSteps(V, np.array([0, 2, 1, 0])))
    assert 0.1 < run_on_grid(one, INPUTS).outputs[0].mean() < 0.9
    return one, backpropagated(one)


def test_real_time_recurrent_learning_is_backpropagation(delayed):
    one, plain = delayed
    rule = real_time_recurrent_learning(squares)
    found = eqx.filter_jit(lambda one: gradient_in_real_time(rule, one, INPUTS, TARGETS))(one)
    close(found[:2], plain, 1e-10)


@pytest.mark.parametrize("every", [5, 40])
def test_checkpoints_do_not_change_the_gradient(delayed, every):
    one, plain = delayed
    close(backpropagated(one, scan=Checkpointed(every)), plain, 1e-12)


def test_checkpoints_save_memory():
    big = network(LIF, Dense(V))
    inputs = jnp.zeros((4096, CHANNELS))

    def memory(scan):
        def loss(V):
            changed = eqx.tree_at(lambda n: n.layers[0].recurrent.weights, big, V)
            return jax.vmap(lambda x: run_on_grid(changed, x, scan=scan).readout[-1].sum())(inputs[None]).sum()

        return jax.jit(jax.grad(loss)).lower(V).compile().memory_analysis().temp_size_in_bytes

    assert memory(Checkpointed(64)) < 0.8 * memory(jax.lax.scan)


def test_a_window_over_the_whole_trial_truncates_nothing(delayed):
    one, plain = delayed
    close(backpropagated(one, scan=Truncated(STEPS)), plain, 1e-12)


def test_a_truncated_gradient_is_that_of_segments_which_start_anew(delayed):
    """The sum over segments, each run from a state that is data; checkpoints within them change nothing."""
    one, plain = delayed
    value, gradient = backpropagated(one, scan=Truncated(10, Checkpointed(4)))

    @eqx.filter_jit
    @eqx.filter_value_and_grad
    def loss(one, states):
        total = 0.0
        for start, state in zip(range(0, STEPS, 10), states, strict=True):
            run = run_on_grid(one, INPUTS[start : start + 10], state)
            total += jax.vmap(squares)(run.readout, TARGETS[start : start + 10]).sum()
        return total

    states = [None] + [run_on_grid(one, INPUTS[:end]).final for end in (10, 20)]
    close((value, gradient), loss(one, states), 1e-12)
    cut, full = (leaf.layers[0].inputs.weights for leaf in (gradient, plain[1]))
    assert np.abs(cut - full).max() > 1e-3 * np.abs(full).max()


@pytest.mark.parametrize("cell", [LIF, ADAPTIVE], ids=["LIF", "adaptive LIF"])
def test_eprop_is_backpropagation_that_does_not_see_the_recurrent_paths(cell):
    rule = eligibility_propagation(squares)
    trial = eqx.filter_jit(lambda one: gradient_in_real_time(rule, one, INPUTS, TARGETS))
    value, found, _ = trial(network(cell, Dense(V)))
    other, deaf = backpropagated(network(cell, DeafDense(V)))
    assert float(value) == pytest.approx(float(other), rel=1e-12)
    for matrix in (
        lambda g: g.layers[0].inputs.weights,
        lambda g: g.layers[0].recurrent.weights,
        lambda g: g.layers[1].inputs.weights,
    ):
        assert np.abs(matrix(deaf)).max() > 0.1
        np.testing.assert_allclose(matrix(found), matrix(deaf), rtol=1e-10, atol=1e-10)


def test_random_feedback_takes_the_place_of_the_readout_weights():
    one = network(LIF, Dense(V))

    @eqx.filter_jit
    def gradient(feedback):
        return gradient_in_real_time(eligibility_propagation(squares, feedback), one, INPUTS, TARGETS)[1]

    once, twice = gradient(O.T), gradient(2 * O.T)
    np.testing.assert_allclose(twice.layers[0].inputs.weights, 2 * once.layers[0].inputs.weights, rtol=1e-12)
    np.testing.assert_array_equal(twice.layers[1].inputs.weights, once.layers[1].inputs.weights)


def test_a_trial_that_failed_says_so():
    rule = eligibility_propagation(squares)
    one = network(LIF, Dense(V))
    broken = eqx.tree_at(
        lambda n: n.layers[0].inputs.weights, one, jnp.full_like(one.layers[0].inputs.weights, jnp.nan)
    )
    with pytest.raises(SimulationError, match="Weights must be finite"):
        gradient_in_real_time(rule, broken, INPUTS, TARGETS)
    status = eqx.filter_jit(lambda one: gradient_in_real_time(rule, one, INPUTS, TARGETS)[2])(broken)
    assert not bool(status.ok)
    with pytest.raises(ValueError, match=r"inputs must have shape \[steps"):
        gradient_in_real_time(rule, one, INPUTS[:, :1], TARGETS)
    with pytest.raises(ValueError, match=f"leading axis of {STEPS} steps"):
        gradient_in_real_time(rule, one, INPUTS, TARGETS[1:])


def test_scans_may_be_made_inside_jit():
    assert jax.jit(lambda x: x * Checkpointed(5).every)(1.0) == 5.0


def test_rules_refuse_what_they_are_not_for():
    with pytest.raises(ValueError, match="every must be a whole number and at least 1, not 0"):
        Truncated(0)
    with pytest.raises(ValueError, match="every must be a whole number and at least 1, not -1"):
        Checkpointed(-1)
    init, _ = eligibility_propagation(squares)
    for wrong in (
        network(LIF, None),
        network(LIF, DelayedSteps(V, np.zeros(SIZE, int))),
        GridNetwork((Layer(LIF, Dense(W)),)),
    ):
        with pytest.raises(ValueError, match="use backpropagation through time"):
            init(wrong)
