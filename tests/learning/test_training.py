"""Training: resumes bit for bit, never applies a bad step, and says what happened."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from stablespike.dynamics.status import Status
from stablespike.learning.training import TrainingError, fit, gradient_training, shuffled_batches

DATA = jnp.asarray(np.random.default_rng(0).normal(size=(40, 3)))


def squared_distance(parameters, batch, key):
    noisy = batch + 0.01 * jax.random.normal(key, batch.shape)
    return jnp.mean((parameters["centre"] - noisy) ** 2) + parameters["constant"], ((), None)


def run(epochs, loss=squared_distance, size=3, optimiser=None, **options):
    init, step = gradient_training(loss, optimiser or optax.adabelief(0.05))
    state = init({"centre": jnp.ones(size), "name": "unchanged", "constant": np.float64(2.0)}, jax.random.key(7))

    def evaluate(parameters):
        return {"norm": jnp.linalg.norm(parameters["centre"])}

    return fit(step, state, DATA, epochs=epochs, batch_size=8, evaluate=evaluate, **options)


def test_loss_falls_and_history_has_one_row_per_epoch():
    state, history = run(6)
    assert [row["epoch"] for row in history] == list(range(7))
    assert history[-1]["loss"] < history[1]["loss"]
    assert int(state.steps) == 6 * 5
    assert state.parameters["name"] == "unchanged"
    assert state.parameters["constant"] == 2.0


def test_interrupted_training_goes_on_bit_for_bit(tmp_path):
    class Killed(Exception):
        pass

    def killed_after(limit):
        def progress(epochs):
            for epoch in epochs:
                if epoch > limit:
                    raise Killed
                yield epoch

        return progress

    checkpoint = tmp_path / "checkpoint.eqx"
    with pytest.raises(Killed):
        run(6, checkpoint=checkpoint, identity="a", progress=killed_after(3))
    resumed, history = run(6, checkpoint=checkpoint, identity="a")
    whole, whole_history = run(6)
    assert jnp.array_equal(resumed.parameters["centre"], whole.parameters["centre"])
    assert history == whole_history


def test_checkpoint_of_another_run_is_refused_and_kept(tmp_path):
    checkpoint = tmp_path / "checkpoint.eqx"
    run(2, checkpoint=checkpoint, identity="a")
    kept = checkpoint.read_bytes()
    with pytest.raises(ValueError, match=r"of another run .identity 'a', here identity 'b'"):
        run(1, checkpoint=checkpoint, identity="b")
    assert checkpoint.read_bytes() == kept


def test_checkpoint_of_another_model_is_refused(tmp_path):
    checkpoint = tmp_path / "checkpoint.eqx"
    run(1, checkpoint=checkpoint)
    with pytest.raises(ValueError, match=r"'centre'\] float64\[3\], here .*'centre'\] float64\[4\]"):
        run(1, checkpoint=checkpoint, size=4)
    with pytest.raises(ValueError, match="absent"):
        run(1, checkpoint=checkpoint, optimiser=optax.sgd(0.1))


def test_checkpoint_with_other_numbers_in_the_model_is_refused(tmp_path):
    """Plain numbers are part of the model: a file must not bring back old ones in silence."""
    checkpoint, (init, step) = tmp_path / "checkpoint", gradient_training(squared_distance, optax.sgd(0.1))

    def trained(constant):
        state = init({"centre": jnp.ones(3), "constant": constant}, jax.random.key(0))
        return fit(step, state, DATA, epochs=1, batch_size=8, evaluate=lambda _: {}, checkpoint=str(checkpoint))

    trained(2.0)
    with pytest.raises(ValueError, match=r"'constant'\] 2.0, here .*'constant'\] 3.0"):
        trained(3.0)


@pytest.mark.parametrize("content", [b"", b"{}\n", b"\xff\x00", b'{"identity": "", "arrays"'])
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    checkpoint = tmp_path / "checkpoint"
    checkpoint.write_bytes(content)
    with pytest.raises(ValueError, match="not a whole checkpoint"):
        run(1, checkpoint=checkpoint)


def test_checkpoint_that_was_cut_short_is_refused(tmp_path):
    checkpoint = tmp_path / "checkpoint"
    run(1, checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-40])
    with pytest.raises(ValueError, match="not a whole checkpoint"):
        run(2, checkpoint=checkpoint)


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_in_a_checkpoint_is_noticed(tmp_path, bit):
    checkpoint = tmp_path / "checkpoint"
    run(1, checkpoint=checkpoint)
    content = checkpoint.read_bytes()
    for place in range(bit, len(content), 149):
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        checkpoint.write_bytes(flipped)
        with pytest.raises(ValueError, match="not a whole checkpoint"):
            run(1, checkpoint=checkpoint)


def test_a_checkpoint_that_is_a_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"is a folder: give a file, such as .*checkpoint\.eqx\.$"):
        run(1, checkpoint=tmp_path)


def test_a_checkpoint_below_a_file_is_refused_before_training(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"cannot be in .*file"):
        run(1, checkpoint=tmp_path / "file" / "checkpoint.eqx")


def test_data_and_evaluations_that_do_not_fit_are_refused():
    init, step = gradient_training(squared_distance, optax.sgd(0.1))
    state = init({"centre": jnp.ones(3), "constant": 0.0}, jax.random.key(0))
    with pytest.raises(ValueError, match=r"one leading axis of trials, not \[\(4,\), \(8,\)\]"):
        fit(step, state, (jnp.ones((8, 3)), jnp.ones(4)), epochs=1, batch_size=2, evaluate=lambda _: {})
    with pytest.raises(ValueError, match="at least 1, not 0"):
        fit(step, state, DATA, epochs=1, batch_size=0, evaluate=lambda _: {})
    with pytest.raises(ValueError, match=r"dictionary of numbers, not \{'each': \(3,\)\}"):
        fit(step, state, DATA, epochs=1, batch_size=8, evaluate=lambda p: {"each": p["centre"]})


@pytest.mark.parametrize("bad", ["loss", "budget"])
def test_bad_step_is_not_applied_and_raised_with_the_history(bad):
    def loss(parameters, batch, key):
        value, (_, extra) = squared_distance(parameters, batch, key)
        wrong = parameters["centre"][0] < 0.6
        value = jnp.where(wrong & (bad == "loss"), jnp.nan, value)
        flags = jnp.where(wrong & (bad == "budget"), jnp.array([0, 1]), 0)
        return value, (Status(flags, jnp.array([2.0, 0.75]), 12, "capacity"), extra)

    cure = r"not applied\. The budget of 12 was exhausted at time 0\.75, before the end of the trial: raise `capacity`"
    sentence = {"loss": r"not applied\. The loss is nan\.", "budget": cure}[bad]
    with pytest.raises(TrainingError, match=sentence) as caught:
        run(20, loss)
    assert caught.value.history[-1]["norm"] > 0


def test_bad_step_leaves_parameters_as_they_were():
    init, step = gradient_training(lambda p, b, k: (jnp.nan * jnp.sum(p), ((), None)), optax.sgd(0.1))
    state, info = step(init(jnp.ones(2), jax.random.key(0)), None)
    assert not bool(info.applied)
    assert state.parameters.tolist() == [1.0, 1.0]


def test_a_loss_without_a_status_is_refused():
    init, step = gradient_training(lambda p, b, k: (jnp.sum(p), (jnp.zeros((), int), None)), optax.sgd(0.1))
    with pytest.raises(TypeError, match="with the `Status` of its simulations"):
        step(init(jnp.ones(2), jax.random.key(0)), None)


def test_batches_use_every_trial_at_most_once():
    batches = shuffled_batches(jax.random.key(0), 10, 3)
    assert batches.shape == (3, 3)
    assert len(set(batches.ravel().tolist())) == 9
    with pytest.raises(ValueError, match="batch_size 11 exceeds the 10 trials"):
        shuffled_batches(jax.random.key(0), 10, 11)
