"""Dimensions of gradients: known ones are found, layers are told apart, and areas are those counted by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from studies import gradient_dimensionality as study
from studies.critical_sharpness import Recall, recall_trials
from studies.predicting_trainability import Drawn, network_of, probed, subject_of

RECALL = Recall(delay=2.0, neurons=12, loop=1.0)
DRAWN = Drawn(2.0, 1.0, 5.0, neurons=12, layers=2)


def test_known_dimensions_are_found_and_the_naive_number_is_at_most_its_trials():
    """A naive ratio of B trials in n even directions is 1/(1/n + 1/B) in the limit of many of both."""
    rows = study.bias_rows([4, 60], [256], repeats=10)
    np.testing.assert_allclose(rows.estimate, rows.dimension, rtol=0.05)
    np.testing.assert_allclose(rows.naive, 1 / (1 / rows.dimension + 1 / rows.trials), rtol=0.05)


def test_gradients_that_vanish_have_no_dimension():
    assert np.isnan(study.dimension_of(jnp.zeros((8, 3)))).all()


@pytest.fixture(scope="module")
def subject_and_trials():
    one = subject_of(jax.random.key(1), DRAWN, RECALL), recall_trials(np.random.default_rng(1), RECALL, 8)
    return jax.tree.map(lambda leaf: leaf.astype(float) if leaf.dtype == jnp.float32 else leaf, one)


def test_gradients_are_those_of_the_probe_layer_by_layer(subject_and_trials):
    subject, trials = subject_and_trials
    found = study.gradients_before(subject, trials, RECALL, 10, (10, 30))
    assert len(found) == DRAWN.layers
    probe = probed(subject, trials, RECALL, 10)
    for place, expected in enumerate((probe.begin, probe.end)):
        both = jnp.concatenate([layer[:, place] for layer in found], -1)
        np.testing.assert_allclose(both, expected, rtol=1e-12, atol=1e-300)


def test_a_single_trial_comes_back_along_as_many_directions_as_there_are_classes_but_one(subject_and_trials):
    """Of one trial's input and all labels: probabilities sum to 1, so that four labels span three directions."""
    subject, (spikes, _) = subject_and_trials
    same = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:1], (4, *leaf.shape[1:])), spikes)
    found = study.gradients_before(subject, (same, jnp.arange(4)), RECALL, 10, (30,))
    values = np.linalg.svd(np.asarray(found[-1][:, 0]), compute_uv=False)
    assert (values > 1e-12 * values[0]).sum() == 3
    assert network_of(subject, 10)[0].layers[-1].size == 4


def test_rows_are_those_of_layers_and_times():
    rows = study.profile_rows(study.Kind(1.0, 5.0, 2, 12), 1, 2.0, [0.0, 2.0], trials=8)
    assert rows[["layer", "before"]].to_numpy().tolist() == [[1, 0.0], [1, 2.0], [2, 0.0], [2, 2.0]]


def test_areas_are_those_counted_by_hand():
    table = pd.DataFrame({"up": [1.0, 2.0, 3.0, 4.0], "gap": [np.nan, 1.0, 1.0, 1.0]})
    found = study.areas(table, np.array([False, True, False, True]), ["up", "gap"]).set_index("measured")
    assert found.area.tolist() == [0.75, 0.75]
    assert (found.low <= found.area).all()
    assert (found.area <= found.high).all()
