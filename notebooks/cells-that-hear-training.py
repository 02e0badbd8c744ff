# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Training cells that hear
#
# **Question.** Do recurrent networks learn to name digits of unheard speakers better if their neurons adapt or resonate
# than if they leak and fire, with everything else equal?
#
# They could fail to: what limits LIF networks here is that they know their training speakers much better than others,
# and a neuron that can do more may only learn these by heart more quickly. This notebook trains, `cells-that-hear`
# compares.

# %% [markdown]
# ## The networks
#
# One hidden layer with recurrent weights and a leaky readout, on a grid, as the surrogate of
# `networks-that-hear-training`: the same data, loss (cross-entropy of the voltages' mean, early times counting more),
# surrogate slope and optimiser. Penalties on spike counts pass through the surrogate. Kinds differ in the hidden
# neurons alone:
#
# - *LIF*: a membrane of 20 ms behind a synapse of 10 ms; and *LIF, different*: each neuron with time constants of its
#   own, trained.
# - *SE-adaptive* (Baronig et al. 2025): $V' = qU + (1-q)(I - W')$, $W' = rW + (1-r)(aU + bs)$, where $U$ is the voltage
#   after the reset: what the voltage drives, and each spike raises, holds it back.
# - *BRF* (Higuchi et al. 2024): a damped oscillator, $(U, V)$ turned by $\omega\,dt$ a step; a spike lifts the
#   threshold and damps more, and nothing is reset.
# - *C-SiLIF* (Fabre et al. 2025): $Z' = e^{D(-k + i\omega)}(Z - s) + gI$, a spike where the real part passes 1.
#
# The neurons' parameters ($\tau$, $a$, $b$; $\omega$, damping; $D$, $k$, $\omega$) are drawn for each neuron from the
# ranges of the papers, in seconds, and trained by their logarithms within bounds. Weights of the hidden layer start at
# the size that lets each kind spike about equally often.

# %% [markdown]
# ## Parameters
#
# `changes` of the usual setting are those that `cells-that-hear-search` found on the validation speakers, for all kinds
# together. Epochs are equal.

# %% tags=["parameters"]
dataset = "synthetic-small"
kinds = ["LIF", "BRF"]
changes = []
seeds = [1]
epochs = 40
hidden = 32  # neurons
channels = 70  # of the input
margin = 10  # channels, the most that a trial is moved by
mean_weight = 0.016  # of the input, at the start, for LIF
weight_deviation = 0.04  # the same
results_folder = "../results/draft/cells-that-hear-training"
data_folder = "../data"
cache_folder = "../.cache/spikes/draft"

# %%
import functools
import itertools
import json
import pathlib

import equinox as eqx
import jax
import numpy as np
import pandas as pd
from tqdm import tqdm

import stablespike as ss
from stablespike.tasks.named_sets import NAMED_SETS, Places
from studies import cells_that_hear as study
from studies import networks_that_hear as hearing_study

jax.config.update("jax_enable_x64", True)
raw = pathlib.Path(results_folder) / "raw"
places = Places(data_folder, cache_folder, functools.partial(tqdm, desc="recordings"))

# %% [markdown]
# ## Data
#
# The test speakers are in neither of the other sets, and are looked at once, at the end.

# %%
split = hearing_study.validated(dataset, NAMED_SETS[dataset](places))
hearing = hearing_study.Hearing(
    channels=channels, hidden=hidden, mean=mean_weight, deviation=weight_deviation, shift=margin
)
trials = [hearing_study.trials_of(part, hearing) for part in split]
sizes = {"channels": channels + 2 * margin, "classes": len(split.train.classes)}
speakers = [sorted(set(part.speakers.tolist())) for part in split]
loss, setting = study.task_of(hearing), study.setting_with(changes)
judge = ss.judged(loss, trials[1], min(100, len(split.validation)))
pd.DataFrame({"trials": map(len, split), "speakers": speakers}, index=split._fields)

# %% [markdown]
# ## Training
#
# Every epoch leaves a checkpoint. A learning curve is that of the validation speakers.

# %%
trained = {}
for seed, name in itertools.product(seeds, kinds):
    trained[name, seed] = study.train(
        study.KINDS[name], trials[0], **sizes, seed=seed, hearing=hearing, setting=setting, epochs=epochs,
        evaluate=study.timed(judge), checkpoint=raw / "checkpoint" / f"{name}-{seed}.eqx".replace(" ", "-"),
        progress=lambda left, bar=f"{name}, seed {seed}": tqdm(left, desc=bar),
    )  # fmt: skip

# %% [markdown]
# ## The test speakers, once
#
# Accuracy on all three sets with the weights of the last epoch, without augmentation and dropout; what a test trial
# costs; and what became of the neurons' parameters.

# %%
found = {
    (name, seed, part): ss.verdict(loss, state.parameters, one, min(100, len(one[1])))
    for (name, seed), (state, _) in trained.items()
    for part, one in zip(split._fields, trials, strict=True)
}
keys, rows, constants = ["kind", "seed"], [], []
for (name, seed), (state, _) in trained.items():
    network, rates = state.parameters, found[name, seed, "test"].rates
    own = {"kind": name, "seed": seed}
    right = {part: (found[name, seed, part].named == getattr(split, part).labels).mean() for part in split._fields}
    costs = {"spikes": rates.sum(), "silent": (rates == 0).mean(), "parameters": study.count(network)}
    costs["operations"] = hearing_study.operations(network, trials[-1], rates, hearing.duration)
    rows.append(own | right | costs)
    constants += [own | one for one in study.quantiles(study.KINDS[name], network)]
ends = pd.DataFrame(rows)
ends.groupby("kind", sort=False)[["train", "validation", "test", "spikes", "operations"]].mean().round(3)

# %%
frames = [pd.DataFrame(history).assign(**dict(zip(keys, key, strict=True))) for key, (_, history) in trained.items()]
pd.concat(frames, ignore_index=True).to_csv(raw / "history.csv", index=False)
ends.to_csv(raw / "ends.csv", index=False)
pd.DataFrame(constants).to_csv(raw / "constants.csv", index=False)
np.savez(raw / "named.npz", **{f"{name}-{seed}": found[name, seed, "test"].named for name, seed in trained})
for (name, seed), (state, _) in trained.items():
    eqx.tree_serialise_leaves(raw / f"{name}-{seed}.eqx", state.parameters)
chance = 1 / sizes["classes"]
assert (ends.test > 2 * chance).all(), "a network does no better than twice chance"
setup = {"dataset": dataset, "duration": hearing.duration, "hidden": hidden, "chance": chance, "epochs": epochs}
setup |= {"trials": dict(zip(split._fields, map(len, split), strict=True)), "changes": changes}
setup |= {"speakers": dict(zip(split._fields, speakers, strict=True))}
(raw / "setup.json").write_text(json.dumps(setup))
numbers = {"accuracy": ends.groupby("kind").test.mean().to_dict(), "seeds": seeds, "epochs": epochs, "hidden": hidden}
(raw.parent / "numbers.json").write_text(json.dumps(numbers, indent=1, sort_keys=True) + "\n")

# %% [markdown]
# ## Files written
#
# `numbers.json`; in `raw/`: `setup.json`, `history.csv`, `ends.csv` (accuracies and costs at the end), `constants.csv`
# (quantiles of the neurons' parameters), `named.npz` (the class that each network names for each test trial), a `*.eqx`
# per network.
