"""Some of the faults, once each; all of them, more often: `python -m tests.faults.runs`."""

import random
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import pytest
from tests.faults.runs import FAULTS, REMOVE, Try, Workshop, keep, kept, table

from stablespike.learning.training import fit, gradient_training


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    return Workshop(tmp_path_factory.mktemp("workshop").resolve())


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill -9 of the kernel", "two runs at once", "a result flipped or cut"])
def test_a_run_is_taken_up_with_the_same_bytes(workshop, fault):
    found = workshop.tried(fault, seed=1)
    assert (found.survived, found.differing, found.traceback, found.unlock) == (True, (), False, False), found


def test_the_table_counts_what_went_wrong():
    fault = next(iter(FAULTS))
    tries = [
        Try(fault, survived=True),
        Try(fault, said="Traceback (most recent call last)", differing=("numbers.json",)),
        Try(fault, again="run with --unlock"),
    ]
    assert table(tries).splitlines()[-1] == f"| {fault} | 3 | 1 | 2 | 1 | 1 |"


@pytest.mark.parametrize(
    ("said", "file"),
    [
        ("results/walk/raw/manifest.json cannot be read (no JSON): remove it to train again.", "manifest.json"),
        ("Stopped.\nraw/walk.json is not what walk wrote: remove raw/manifest.json to train again.", "manifest.json"),
    ],
)
def test_what_a_sentence_asks_to_remove_is_found_in_it(said, file):
    asked = REMOVE.search(said)
    assert Path(asked[1] or asked[2]).name == file


def test_tries_that_are_kept_are_not_made_again(tmp_path):
    tries = [Try("umask 077", 0, survived=True), Try("umask 077", 1, differing=("a",))]
    for one in tries:
        keep(tmp_path / "tries", "this code", one)
    assert kept(tmp_path / "tries", "this code") == tries
    assert kept(tmp_path / "tries", "other code") == []


def trained(checkpoint, epochs):
    """The toy that descends a parabola, from its checkpoint if there is one."""
    init, step = PAIR
    state = init({"centre": jnp.ones(3)}, jax.random.key(0))
    data = jnp.linspace(0.0, 1.0, 8)
    return fit(step, state, data, epochs=epochs, batch_size=4, evaluate=lambda _: {}, checkpoint=checkpoint)


def parabola(parameters, batch, _):
    return jnp.mean((parameters["centre"] - batch[:, None]) ** 2), ((), {})


PAIR = gradient_training(parabola, optax.adam(0.1))


def test_a_damaged_checkpoint_is_never_trained_on(tmp_path):
    checkpoint, chance = tmp_path / "checkpoint.eqx", random.Random(0)
    trained(checkpoint, 2)
    whole = checkpoint.read_bytes()
    expected = trained(tmp_path / "other.eqx", 3)
    for _ in range(60):
        content, place = bytearray(whole), chance.randrange(len(whole))
        content[place] ^= 1 << chance.randrange(8)
        checkpoint.write_bytes(content if chance.random() < 0.5 else content[:place])
        with pytest.raises(ValueError, match="not a whole checkpoint"):
            trained(checkpoint, 3)
    checkpoint.write_bytes(whole)
    state, history = trained(checkpoint, 3)
    assert eqx.tree_equal(state.parameters, expected[0].parameters)
    assert history == expected[1]
