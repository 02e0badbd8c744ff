"""Treatments of networks before training: what they are, how they are chosen, and how they are compared."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import stablespike as ss
from studies import flossing_controls as study
from studies import flossing_delayed_xor as training
from studies.flossing_controls import Task, Treatment

BINARY = Task(neurons=60, delay=2, bits=12, steps=2, chunk=1, batch=2, trials=8, tests=4)
SPIKING = BINARY._replace(kind="spiking", bits=16, sharpness=5.0, input_gain=4.0, hold=3, falling=True)
KEYS = jnp.stack([jax.random.key(1), jax.random.key(2)])
POOL = study.trials_of(BINARY, 0, 8)
LITTLE = {"count": 2, "most": 4, "block": 2}


def test_growth_of_linear_binary_networks_is_that_of_their_weights():
    model = study.seed_of(study.networks(BINARY, Treatment("wide", 1.7), 1e-9, KEYS), 0)
    weights = np.asarray(study.loops_of(model))
    np.testing.assert_allclose(study.growth_of(BINARY, model, POOL.signals), (weights**2).sum() / 60, rtol=1e-5)


def test_leading_exponent_of_binary_networks_is_near_zero_at_the_critical_sharpness():
    task, treatment = BINARY._replace(neurons=200, bits=100), Treatment("critical", 2.0)
    pool = study.trials_of(task, 0, 4)
    sharpness = study.critical_of(task, treatment, KEYS[:1], pool)
    step = training.step_of(study.seed_of(study.networks(task, treatment, sharpness, KEYS[:1]), 0))
    found = ss.lyapunov_spectrum(
        step, step.rest(), pool.signals[0], count=1, transient=20, blocks=2, key=jax.random.key(0)
    )
    assert abs(float(found.exponents[0])) < 0.1  # at sharpness 1e-9 it is log 2
    assert (
        study.growth_of(task, study.seed_of(study.networks(task, treatment, 4 * sharpness, KEYS), 0), POOL.signals) < 1
    )


@pytest.mark.parametrize("task", [BINARY, SPIKING], ids=lambda task: task.kind)
def test_no_critical_sharpness_is_said(task):
    with pytest.raises(ValueError, match="fade at every sharpness"):
        study.critical_of(task, Treatment("weak", 0.1), KEYS[:1], study.trials_of(task, 0, 8))


def test_growth_is_one_at_the_critical_sharpness_of_spiking_networks():
    pool = study.trials_of(SPIKING, 0, 8)
    treatment = Treatment("critical", 2.0)
    sharpness = study.critical_of(SPIKING, treatment, KEYS[:1], pool)
    model = study.seed_of(study.networks(SPIKING, treatment, sharpness, KEYS), 0)
    np.testing.assert_allclose(study.growth_of(SPIKING, model, pool.signals), 1, rtol=2e-2)


def test_orthogonal_weights_are():
    loops = study.loops_of(study.networks(BINARY, Treatment("orthogonal", 2.0, True), 1.0, KEYS))
    np.testing.assert_allclose(np.einsum("sij,skj->sik", loops, loops), 4 * np.stack([np.eye(60)] * 2), atol=1e-5)


def test_activity_beyond_its_bound_costs_its_square():
    model = study.seed_of(study.networks(BINARY, Treatment("plain"), 1.0, KEYS), 0)
    flossing, key = ss.Flossing(2, transient=10, memory=0.8), jax.random.key(3)
    plain, free, bounded = (
        loss(model, POOL, key)[0]
        for loss in (
            training.layered_flossing(flossing), study.bounded_flossing(flossing, 1.0),
            study.bounded_flossing(flossing, 0.0),
        )
    )  # fmt: skip
    place = jax.random.randint(jax.random.split(key)[0], (), 0, 8)
    run = ss.simulate(model.network, POOL.signals[place], on=study.STEPS, gradient=ss.Recorded())
    np.testing.assert_allclose(free, plain, rtol=1e-6)
    np.testing.assert_allclose(bounded - plain, study.EXCESS * np.mean(run.layers[0].sent) ** 2, rtol=1e-4)


@pytest.mark.parametrize(("near", "steps"), [(np.inf, 2), (0.0, 4)])
def test_flossing_stops_at_its_target_or_at_its_limit(near, steps):
    treatment = Treatment("flossed", **LITTLE, near=near)
    models = study.networks(BINARY, treatment, 1.0, KEYS)
    after, done = study.flossed(models, KEYS, POOL, treatment)
    assert done == steps
    assert np.abs(study.loops_of(after) - study.loops_of(models)).max() > 1e-4


@pytest.mark.parametrize("task", [BINARY, SPIKING], ids=lambda task: task.kind)
def test_a_row_for_each_network(task):
    (table,) = study.table_of(task, Treatment("flossed", **LITTLE), [1, 2], study.TEST)
    assert table.seed.tolist() == [1, 2]
    assert (table.flossing_steps == 4).all()
    assert (table["norm"] > 0).all()
    assert table.accuracy.between(0, 1).all()
    (again,) = study.table_of(task, Treatment("twice", **LITTLE, again=1), [1, 2], study.VALIDATION)
    assert (again.flossing_steps == 4).all()
    assert "norm" not in again


def test_the_best_candidate_is_chosen_and_those_that_cannot_be_made_are_rows():
    found = {"one": 0.6, "two": 0.8, "three": 0.8}
    candidates = [Treatment(name) for name in ("none", *found)]

    def measured(treatment):
        if treatment.name == "none":
            raise ValueError("no such network")
        return pd.DataFrame({"accuracy": [found[treatment.name]]})

    best, tables = study.best_of(candidates, measured)
    assert best.name == "two"
    assert pd.concat(tables).reason.iloc[0] == "no such network"
    assert study.best_of(candidates[:1], measured) == (candidates[0], [])
    with pytest.raises(ValueError, match="none of the 2"):
        study.best_of(candidates[:1] * 2, measured)


def test_pairs_by_hand():
    rows = [("a", seed, 0.5 + 0.1 * seed) for seed in range(4)] + [("b", seed, 0.3 + 0.1 * seed) for seed in range(4)]
    table = pd.DataFrame(rows, columns=["treatment", "seed", "accuracy"])
    found = study.comparisons(table, "a")["b"]
    np.testing.assert_allclose([found["mean"], found["low"], found["high"]], 0.2)
    assert found["chance"] == 2 / 2**4


def test_names_of_what_is_kept_differ_where_anything_does():
    names = {
        study.kept_name(task, treatment, [1])
        for task in (BINARY, BINARY._replace(delay=3))
        for treatment in (Treatment("a"), Treatment("a", 2.0))
    }
    assert len(names) == 4
