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
# # Training networks that hear
#
# **Question.** Do recurrent networks trained by exact gradients, spike by spike, learn to name digits spoken by people
# whom they never heard, as those trained by surrogate gradients do, with the same data, readout, loss and optimiser?
#
# They could fail: a spike time's derivative does not know of spikes that are not there yet, and exact gradients of some
# trials are a hundred times longer than those of the others. This notebook trains; `networks-that-hear` compares.

# %% [markdown]
# ## The networks
#
# One hidden layer of LIF or of QIF neurons, with recurrent weights; behind it, for each class, a leaky membrane without
# threshold, whose voltage is averaged over the trial with weights $e^{-t/T}$ (loss shaping, Nowotny et al. 2025). By
# events that mean is taken in closed form: the area under a spike's response hardly depends on when it comes, so that
# without the weights next to nothing would reach the hidden layer, and looks at a few times would add noise. The loss
# is the cross-entropy of the means; penalties hold each neuron's mean rate in a band and its spikes in a single trial
# below a ceiling, through a slope that does not need a spike. Training trials are moved across channels and stretched
# in time. Adam, rates that fall to 0 by half a cosine. Exact: `TimeReversed`, float32. Surrogate: the same neurons,
# loss, penalties and optimiser on a grid.

# %% [markdown]
# ## Parameters
#
# The lists beside `kinds` belong to the competitors in their order; `exact` or not, `recurrent` or not, `gains` of the
# readout's voltages, `limits` of the norm of the hidden layer's gradient from one trial (0: none), `fewest` spikes of a
# neuron in a trial below which it is driven, `budgets` of them by events, `hidden_rates` of Adam at the start,
# `time_constants` of the hidden membranes in s, `seeds`. The validation speakers are held out once and for all;
# settings were chosen on them, and differ between competitors where these lists say so: epochs and rates too.

# %% tags=["parameters"]
dataset = "synthetic-small"
kinds = ["LIF", "LIF"]
exact = [True, False]
recurrent = [True, True]
gains = [10.0, 10.0]
limits = [0.0, 0.0]
fewest = [4.0, 4.0]
budgets = [400, 400]
hidden_rates = [8.0e-3, 8.0e-3]
time_constants = [0.02, 0.02]
epochs = [40, 40]
seeds = [[1], [1]]
hidden = 64  # neurons
channels = 70  # of the input
duration = 0.8  # s, of a trial
shift = 3  # channels by which a training trial is moved at most
stretch = 0.1  # by which it is made longer or shorter at most
blends = 0  # of each training recording with another of its class, made once
mean_weight = 0.016  # of the input, at the start
weight_deviation = 0.04  # the same
batch_size = 25  # trials
readout_rate = 1.0e-2  # of Adam, at the start
results_folder = "../results/draft/networks-that-hear-training"
data_folder = "../data"
cache_folder = "../.cache/spikes/draft"

# %%
import functools
import json
import pathlib

import equinox as eqx
import jax
import numpy as np
import pandas as pd
from tqdm import tqdm

from stablespike.learning.classify import verdict
from stablespike.tasks.named_sets import NAMED_SETS, Places
from studies import networks_that_hear as study

jax.config.update("jax_enable_x64", True)
raw = pathlib.Path(results_folder) / "raw"
places = Places(data_folder, cache_folder, functools.partial(tqdm, desc="recordings"))

# %% [markdown]
# ## Data
#
# The test speakers are in neither of the other sets, and are looked at once, at the end.

# %%
split = study.validated(dataset, NAMED_SETS[dataset](places))
counts = {part: len(one) for part, one in zip(split._fields, split, strict=True)}
speakers = [sorted(set(part.speakers.tolist())) for part in split]
split = split._replace(train=study.with_blends(split.train, blends))
settings = [
    study.Hearing(
        channels=channels, duration=duration, hidden=hidden, mean=mean_weight, deviation=weight_deviation, shift=shift,
        stretch=stretch, membrane_time_constant=tau, gain=gain, fewest=low, limit=limit or None, budget=budget,
    )
    for tau, gain, limit, low, budget in zip(time_constants, gains, limits, fewest, budgets, strict=True)
]  # fmt: skip
trials = [study.trials_of(part, settings[0]) for part in split]
inputs = channels + 2 * shift
arriving = [float((one.times < duration).sum() / len(one)) for one in split]  # spikes of a trial
pd.DataFrame(
    {"recordings": counts.values(), "trials": map(len, split), "spikes": arriving, "speakers": speakers}, split._fields
)

# %% [markdown]
# ## Training
#
# A step whose simulation failed or whose gradient is not finite would stop the training with an error; every epoch
# leaves a checkpoint. A learning curve is that of the validation speakers.

# %%
names = [study.name_of(*one) for one in zip(kinds, exact, recurrent, time_constants, strict=True)]
competitors = {
    name: study.Competitor(study.NEURONS[kind], by_events, loops)
    for name, kind, by_events, loops in zip(names, kinds, exact, recurrent, strict=True)
}
hearings = dict(zip(names, settings, strict=True))
learnings = {
    name: study.Learning(count, batch_size, rate, readout_rate)
    for name, count, rate in zip(names, epochs, hidden_rates, strict=True)
}
runs = [(name, seed) for name, own in zip(names, seeds, strict=True) for seed in own]
trained = {
    (name, seed): study.train(
        competitors[name], trials[0], trials[1], channels=inputs, classes=len(split.train.classes), seed=seed,
        hearing=hearings[name], learning=learnings[name], checkpoint=raw / "checkpoint" / f"{name}-{seed}.eqx",
        progress=lambda left, bar=f"{name}, seed {seed}": tqdm(left, desc=bar),
    )
    for name, seed in runs
}  # fmt: skip

# %% [markdown]
# ## The test speakers, once
#
# Accuracy and loss on all three sets with the weights of the last epoch, without augmentation.

# %%
tasks = {name: study.hearing_task(competitors[name], hearings[name]) for name in names}
found = {
    (name, seed, part): verdict(tasks[name], state.parameters, one, min(100, len(one[1])))
    for (name, seed), (state, _) in trained.items()
    for part, one in zip(split._fields, trials, strict=True)
}
ends = pd.DataFrame(
    {
        "kind": name, "seed": seed, "part": part, "accuracy": (one.named == getattr(split, part).labels).mean(),
        "rate": one.rates.mean(), "silent": (one.rates == 0).mean(),
    }
    for (name, seed, part), one in found.items()
)  # fmt: skip
ends.pivot_table(index="kind", columns="part", values="accuracy").round(3)

# %%
keys = ["kind", "seed"]
frames = [pd.DataFrame(history).assign(**dict(zip(keys, key, strict=True))) for key, (_, history) in trained.items()]
history = pd.concat(frames, ignore_index=True)
history.to_csv(raw / "history.csv", index=False)
ends.to_csv(raw / "ends.csv", index=False)
np.savez(raw / "named.npz", **{f"{name}-{seed}": found[name, seed, "test"].named for name, seed in trained})
for (name, seed), (state, _) in trained.items():
    eqx.tree_serialise_leaves(raw / f"{name}-{seed}.eqx", state.parameters)
chance = 1 / len(split.train.classes)
test = ends[ends.part == "test"].set_index(keys).accuracy
assert (test > 2 * chance).all(), "a network does no better than twice chance"
operations = {
    name: study.operations(trained[name, seed][0].parameters, trials[-1], found[name, seed, "test"].rates, duration)
    for name, seed in reversed(runs)  # of the first seed
}
setup = {"dataset": dataset, "duration": duration, "hidden": hidden, "trials": counts, "chance": chance}
setup |= {"speakers": dict(zip(split._fields, speakers, strict=True)), "epochs": dict(zip(names, epochs, strict=True))}
setup |= {"operations": operations, "blends": blends}
(raw / "setup.json").write_text(json.dumps(setup))

# %%
numbers = {"seeds": dict(zip(names, seeds, strict=True)), "hidden": hidden, "batch_size": batch_size}
numbers |= {f"accuracy.{name}": float(value) for name, value in test.groupby("kind").mean().items()}
(raw.parent / "numbers.json").write_text(json.dumps(numbers, indent=1, sort_keys=True) + "\n")

# %% [markdown]
# ## Files written
#
# `numbers.json`; in `raw/`: `setup.json`, `history.csv`, `ends.csv` (accuracies at the end), `named.npz` (the class
# that each network names for each test trial), a `*.eqx` per network.
