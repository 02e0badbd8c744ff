"""Training stops when patience is lost, hands back the best network, and resumes bit for bit."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from stablespike.learning.early_stopping import Patience, fit_until, held_out
from stablespike.learning.training import TrainingError, fit, gradient_training

DATA = jnp.asarray(np.random.default_rng(0).normal(size=(40, 3)))
INIT, STEP = gradient_training(
    lambda parameters, batch, key: (jnp.mean((parameters - batch) ** 2), ((), None)), optax.sgd(0.05)
)
START = INIT(jnp.ones(3), jax.random.key(7))
TURN = 0.6  # the norm of the parameters at which validation is best


def evaluate(parameters):
    return {"validation": abs(jnp.linalg.norm(parameters) - TURN)}


def until(patience=2, epochs=40, **options):
    return fit_until(
        Patience("validation", patience), STEP, START, DATA, epochs=epochs, batch_size=8, evaluate=evaluate, **options
    )


def test_it_stops_and_the_state_is_the_best_one():
    state, history = until()
    values = [row["validation"] for row in history]
    best = int(np.argmin(values))
    assert len(history) == best + 2 + 1 < 41
    whole, long = fit(STEP, START, DATA, epochs=best, batch_size=8, evaluate=evaluate)
    assert history[: best + 1] == long
    assert jnp.array_equal(state.parameters, whole.parameters)


def test_with_enough_patience_all_epochs_are_run():
    state, history = until(patience=50, epochs=4)
    whole, long = fit(STEP, START, DATA, epochs=4, batch_size=8, evaluate=evaluate)
    assert history == long
    assert jnp.array_equal(state.parameters, whole.parameters)


def test_a_network_that_only_gets_worse_is_handed_back_untrained():
    state, history = fit_until(
        Patience("validation", 1, rising=True), STEP, START, DATA, epochs=9, batch_size=8,
        evaluate=lambda parameters: {"validation": jnp.linalg.norm(parameters)},
    )  # fmt: skip
    assert len(history) == 2
    assert jnp.array_equal(state.parameters, START.parameters)


@pytest.mark.parametrize("lost", [False, True], ids=["killed", "killed before the best was kept"])
def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path, lost):
    whole, long = until()
    best = int(np.argmin([row["validation"] for row in long]))
    checkpoint = tmp_path / "checkpoint.eqx"
    until(epochs=best, checkpoint=checkpoint)
    if lost:
        (tmp_path / "checkpoint.eqx.best").unlink()
    state, history = until(checkpoint=checkpoint)
    assert history == long
    assert jnp.array_equal(state.parameters, whole.parameters)


def test_a_foreign_best_file_is_refused(tmp_path):
    checkpoint = tmp_path / "checkpoint.eqx"
    until(checkpoint=checkpoint)
    (tmp_path / "checkpoint.eqx.best").unlink()
    with pytest.raises(ValueError, match="missing or belongs to another run"):
        until(checkpoint=checkpoint)


def test_a_quantity_that_is_not_a_number_is_no_best():
    history = [{"epoch": 0, "v": float("nan")}, {"epoch": 1, "v": 0.5}]
    with pytest.raises(TrainingError, match="'v' is not a number after epoch 0") as caught:
        Patience("v", 2).best_epoch(history)
    assert caught.value.history == history


def test_bad_patience_and_splits_are_refused():
    with pytest.raises(ValueError, match="epochs must be a whole number and at least 1, not 0"):
        Patience("validation", 0)
    with pytest.raises(ValueError, match="patience looks at 'loss_'"):
        fit_until(Patience("loss_", 1), STEP, START, DATA, epochs=3, batch_size=8, evaluate=evaluate)
    with pytest.raises(ValueError, match="leaves none"):
        held_out(jax.random.key(0), 10, 0.01)
    kept, held = held_out(jax.random.key(0), 10, 0.3)
    assert sorted([*kept.tolist(), *held.tolist()]) == list(range(10))
    assert held.size == 3
