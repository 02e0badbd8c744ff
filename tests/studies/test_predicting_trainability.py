"""Networks drawn for `predicting-trainability`: what is drawn, measured and trained, each against an outside number."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studies import predicting_trainability as study

RECALL = study.Recall(delay=2.0, classes=2, channels=10, neurons=8)


def double(subject: study.Subject) -> study.Subject:
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64), subject)


@pytest.mark.parametrize("family", study.FAMILIES)
def test_a_family_draws_the_same_networks_again_within_its_bounds(family):
    networks = [study.drawn(family, number) for number in range(30)]
    assert networks == [study.drawn(family, number) for number in range(30)]
    assert len({one.loop for one in networks}) == 30
    assert {one.delay for one in networks} == {8.0, 10.0, 12.0, 16.0}
    assert all(0.3 <= one.loop <= 4 and 1 <= one.sharpness <= 100 for one in networks)


def test_neurons_that_nobody_couples_have_the_exponents_of_their_time_constants():
    one = study.Drawn(2.0, 0.0, 10.0, neurons=4, slowest=8.0)
    subject = double(study.subject_of(jax.random.key(0), one, RECALL))
    slow = np.asarray(subject.slow[0])
    expected = np.sort(np.concatenate([-1 / slow, -2 / slow]))[::-1]  # membranes, and synapses twice as fast
    np.testing.assert_allclose(study.exponents(subject, RECALL, 10, 0), expected, atol=0.03)  # two of them lie close


def test_adaptation_adds_as_many_slow_modes_as_there_are_neurons():
    one = study.Drawn(2.0, 0.0, 10.0, neurons=6, adaptation=50.0, adaptation_step=0.0)
    subject = double(study.subject_of(jax.random.key(0), one, RECALL))
    spectrum = study.exponents(subject, RECALL, 10, 0)
    np.testing.assert_allclose(spectrum[:6], -1 / 50, atol=0.01)
    assert (spectrum[6:] < -0.9).all()


def test_orthogonal_recurrence_is_a_rotation_times_its_strength():
    one = study.Drawn(2.0, 1.7, 10.0, neurons=12, orthogonal=True)
    (loop,) = study.subject_of(jax.random.key(0), one, RECALL).loops
    np.testing.assert_allclose(loop @ loop.T, 1.7**2 * np.eye(12), atol=1e-5)


@pytest.mark.parametrize("layers", [1, 2])
def test_probes_are_gradients_of_the_loss_by_the_hidden_state(layers):
    one = study.Drawn(2.0, 1.0, 5.0, neurons=8, layers=layers)
    subject = double(study.subject_of(jax.random.key(1), one, RECALL))
    spikes, labels = study.recall_trials(np.random.default_rng(0), RECALL, 3)
    trials = (jax.tree.map(lambda x: x.astype(jnp.float64) if x.dtype == jnp.float32 else x, spikes), labels)
    probe = study.probed(subject, trials, RECALL, 10)
    assert probe.begin.shape == probe.end.shape == (3, 16 * layers)
    assert probe.counts.shape == (3, 8 * layers)
    # Where the delay ends the rest is linear in what no spike carries: the norm grows by what recurrence adds only.
    assert (np.linalg.norm(probe.end, axis=1) > 0).all()
    silent = jax.tree.map(lambda leaf: 0 * leaf, (subject.inputs, subject.loops))
    alone = study.Subject(*silent, subject.readout, subject.slow, None, subject.sharpness)
    quiet = study.probed(alone, trials, RECALL, 10)
    assert (quiet.counts == 0).all()
    voltages = np.asarray(quiet.begin)[:, -16:-8], np.asarray(quiet.end)[:, -16:-8]
    assert (np.abs(voltages[0]) < np.abs(voltages[1])).all()  # a membrane forgets


def test_the_part_of_the_cue_is_the_gradient_by_input_weights_where_nothing_comes_later():
    one, recall = study.Drawn(2.0, 1.0, 5.0, neurons=8), RECALL._replace(background=0.0)
    subject = double(study.subject_of(jax.random.key(1), one, recall))
    spikes, labels = study.recall_trials(np.random.default_rng(0), recall, 2)
    trials = (jax.tree.map(lambda x: x.astype(jnp.float64) if x.dtype == jnp.float32 else x, spikes), labels)
    probe = study.probed(subject, trials, recall, 10)
    *_, loss = study.training_of(study.Training(), recall, 10)
    whole = jax.grad(lambda inputs: loss(study.eqx.tree_at(lambda s: s.inputs, subject, inputs), trials, None)[0])
    cue = np.asarray(probe.cue).mean(0) / np.exp(-0.1 / 0.5)  # the current decays in the step in which it is felt
    np.testing.assert_allclose(cue.reshape(8, 10), whole(subject.inputs)[0], rtol=1e-9, atol=1e-12)


def test_a_network_is_drawn_measured_and_trained_and_its_row_says_all():
    settings = study.Training(trials=64, tests=32, epochs=1, batch_size=32)
    (row,) = study.tables_of(settings, "slow", 3)
    (one,) = row.to_dict("records")
    assert one["reason"] == ""
    assert 0 <= one["modes"] <= one["modes_3"] <= 200
    assert 1 < one["dimension"] < 200
    assert -0.01 < one["signal"] < 1
    assert 0 <= one["accuracy"] <= 1
    assert np.isfinite([one["leading"], one["norm"], one["growth"], one["rate"], one["first_loss"]]).all()


def test_constants_of_a_network_are_not_trained():
    settings = study.Training(trials=32, tests=32, epochs=1, batch_size=32)
    one = study.Drawn(1.0, 1.0, 5.0, neurons=8, slowest=4.0, adaptation=9.0, adaptation_step=0.3)
    subject = study.subject_of(jax.random.key(0), one, RECALL)
    trials = study.recall_trials(np.random.default_rng(0), RECALL, 32)
    init, update, _ = study.training_of(settings, RECALL, 10)
    state, info = update(init(subject, jax.random.key(0)), trials)
    assert info.applied
    after = state.parameters
    assert (after.loops[0] != subject.loops[0]).any()
    for name in ("slow", "adaptation", "sharpness"):
        before, now = (jax.tree.leaves(getattr(tree, name)) for tree in (subject, after))
        assert all((a == b).all() for a, b in zip(before, now, strict=True))
