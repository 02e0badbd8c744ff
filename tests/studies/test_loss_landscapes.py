"""Landscapes: jumps are found where closed forms have them and told their cause, and training obeys its limits."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import stablespike as ss
from studies import landscape_slices as slices
from studies import landscape_training as training
from studies import loss_landscapes as study
from studies.spike_patterns import largest_move

SMALL = study.Shape(True, neurons=5, channels=4, trials=2, duration=3.0, budget=32)
DOWN = SMALL._replace(recurrent=False)
END = 3.0


def single(neuron, weights, times):
    """A neuron with one spike of each channel, its target at 1, and the direction of the first weight."""
    network = ss.Network(ss.Layer(neuron, ss.Dense(jnp.asarray([weights]))))
    spikes = ss.Spikes(jnp.asarray([times]), jnp.arange(len(times))[None])
    return network, study.Timing(spikes, jnp.ones((1, 1, 1)), END, 4, True), jnp.eye(len(times))[0]


def test_a_grazing_spike_jumps_where_the_peak_of_the_voltage_is_the_threshold():
    """V = w (x - x^2) has its peak w/4: the spike is gone below w = 4."""
    network, task, first = single(ss.LIF(), [3.0], [0.1])
    line = slices.line_of(network, first, task, np.linspace(0, 2, 8))
    found = line[line.jump != 0]
    assert found.cause.tolist() == ["grazing"]
    assert 3 + found.place.item() == pytest.approx(4, abs=1e-9)


def test_an_arrival_that_overtakes_a_spike_is_a_jump_of_order():
    """The spike at w (x - x^2) = 1 is lost when it would come after inhibition at t = 1/2, which turns V downward."""
    x = np.exp(-0.5)
    network, task, first = single(ss.LIF(), [4.05, -9.0], [0.0, 0.5])
    line = slices.line_of(network, first, task, np.linspace(0, 1, 8))
    found = line[line.jump != 0]
    assert found.cause.tolist() == ["order"]
    assert 4.05 + found.place.item() == pytest.approx(1 / (x - x**2), abs=1e-9)


@pytest.mark.parametrize("weights", [[3.0, 0.0], [4.05, -9.0]])
def test_a_qif_neuron_has_no_jumps_there(weights):
    network, task, first = single(ss.QIF(), weights, [0.0, 0.5])
    line = slices.line_of(network, 3 * first, task, np.linspace(0, 1, 8))
    assert (line.jump == 0).all()
    assert line.fine.all()


def test_changes_of_order_are_inverted_pairs():
    before = np.array([[1.0, 2.0], [1.5, np.inf]])
    after = np.array([[1.6, 2.0], [1.5, np.inf]])
    assert slices.order_changes(before, after, np.array([1.55, 0.5]), END) == 2
    assert slices.order_changes(before, before, np.array([1.55, 0.5]), END) == 0
    assert slices.order_changes(before + END, after + END, np.array([1.55]), END) == 0


def test_the_first_difference_is_the_earliest_and_lies_within_the_trial():
    low = np.array([[1.0, 2.0, 9.0], [1.5, 2.5, 9.0]])
    high = np.array([[1.0, 9.0, 9.0], [1.5, 2.4, 9.0]])
    assert slices.first_difference(low, high, END) == (0, 2.0, 0)
    assert slices.first_difference(low[1:], high[1:], END) == (0, 2.4, 1)
    assert slices.first_difference(low, low + (low > END), END) is None


def test_jumps_add_up_over_a_batch_and_shrink_in_its_mean():
    names = ("trial", "interval", "start", "end", "before", "after", "orders", "jump")
    rows = [(0, 0, 0.0, 0.5, 1.0, 2.0, 3, 0.5), (1, 0, 0.0, 0.5, 1.0, 0.0, 1, 0.0)]
    found = slices.of_batches(pd.DataFrame(rows, columns=names), [1, 2])
    assert found.jumps.tolist() == [2.0, 2.0]
    assert found.orders.tolist() == [6.0, 8.0]
    np.testing.assert_allclose(found.part, [0.5 / (0.5 + 0.5), 0.25 / (0.25 + 0.25)])


class Squares(eqx.Module):
    """Half the square of all weights: a step of s times their norm against the gradient has the ratio 1 - s/2."""

    def __call__(self, network, task):
        return 0.5 * jnp.sum(slices.weights_of(network) ** 2)


def test_trust_in_the_gradient_of_a_parabola():
    network, task, _ = single(ss.QIF(), [3.0, -4.0], [0.0, 0.5])
    sizes = jnp.array([1e-3, 0.1, 0.5, 2.0])
    ratios, norm = slices.trust_of(Squares(), network, task, sizes)
    np.testing.assert_allclose(ratios, 1 - sizes / 2, rtol=1e-9)
    assert float(norm) == pytest.approx(5.0)
    assert slices.trusted_size(np.asarray(sizes), np.asarray(ratios)) == 0.5
    assert slices.trusted_size(np.asarray(sizes), np.zeros(4)) == 0.0


def test_directions_are_orthogonal_and_as_long_as_the_weights():
    network = study.timing_network(jax.random.key(1), ss.LIF(), SMALL, 1.0)
    rows = slices.random_directions(jax.random.key(2), network, 3)
    square = float(jnp.sum(slices.weights_of(network) ** 2))
    np.testing.assert_allclose(rows @ rows.T, square * np.eye(3), atol=1e-9 * square)


def test_a_step_of_the_intervention_moves_no_spike_by_more_than_the_bound():
    starts = [training.Start("LIF", 1.0, 0.1, seed) for seed in (1, 2)]
    rows, course = training.courses_of(starts, SMALL, training.Descent(12, 0.25))
    network, task, _ = training.started(starts[0], SMALL)
    times = [
        study.timing_loss(slices.with_weights(network, weights), task)[1][1] for weights in jnp.asarray(course.path[0])
    ]
    moves = [float(largest_move(*pair, END)) for pair in itertools.pairwise(times)]
    assert max(moves) <= 0.25
    assert max(moves) > 0
    assert (rows.shortened > 0).any()


def test_what_falls_smoothly_and_what_jumps_is_the_whole_fall():
    start = training.Start("QIF", 2.0, 0.03, 1)
    _, course = training.courses_of([start], SMALL, training.Descent(20))
    one = jax.tree.map(lambda leaf: leaf[0], course)
    bill = training.bill_of(start, SMALL, one, 16)
    fall = float(one.loss[0] - one.loss[-1])
    assert bill["smooth"] + bill["jumps"] == pytest.approx(fall, rel=1e-9)
    assert bill["down"] + bill["up"] == pytest.approx(bill["jumps"], abs=1e-12)
    assert abs(bill["jumps"]) < 0.01 * fall


@pytest.mark.parametrize("shape", [SMALL, DOWN], ids=["recurrent", "feed-forward"])
def test_a_start_close_to_a_solution_has_one(shape):
    losses = []
    for near in (1e-6, 1e-2):
        network, task, rate = training.started(training.Start("QIF", 2.0, 3.0, 1, near), shape)
        losses.append(float(study.timing_loss(network, task)[0]))
        assert rate == pytest.approx(3.0 * near)
    assert losses[0] < 1e-8 < losses[1]


def test_differences_in_pairs():
    found = training.paired_difference(np.random.default_rng(0), np.full(4, 10.0), np.full(4, 1.0))
    assert found == {"mean": 1.0, "low": 1.0, "high": 1.0, "chance": 2 / 2**4}


def test_the_distance_of_trains_on_a_grid_is_one_for_a_silent_network():
    network = study.timing_network(jax.random.key(1), ss.LIF(), SMALL, 1e-3)
    task = study.random_timing(np.random.default_rng(1), SMALL)
    assert float(study.OnGrid(60)(network, task)) == pytest.approx(1.0)
