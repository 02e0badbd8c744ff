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
# # Settings for cells that hear
#
# **Question.** Do more augmentation, dropout or a higher learning rate help recurrent networks of LIF, adaptive and
# resonating neurons alike to name digits of unheard speakers?
#
# They need not: a cell that fits its training speakers quickly may ask for more augmentation, one that learns slowly
# for larger steps. The search is small and the same for every kind of neuron: the same settings, epochs and seed. Test
# speakers are not looked at. `cells-that-hear-training` trains with what is found here, `cells-that-hear` compares.

# %% [markdown]
# ## What is searched
#
# The networks of `cells-that-hear-training`, trained for fewer epochs. One thing at a time is changed of the setting
# that `networks-that-hear-training` has for its surrogate: trials are moved across more channels and stretched more; in
# each step of training the readout does not hear a part of the hidden neurons; the learning rate of the hidden layer is
# twice as high. The rule, fixed before the tries: a change is taken, for all kinds together, if it raises the accuracy
# on the validation speakers in the mean over kinds.

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset = "synthetic-small"
kinds = ["LIF", "BRF"]
changes = ["more augmentation", "dropout", "twice the rate"]
margin = 10  # channels, the most that a trial is moved by
epochs = 20
seed = 1
hidden = 32  # neurons
channels = 70  # of the input
mean_weight = 0.016  # of the input, at the start, for LIF
weight_deviation = 0.04  # the same
results_folder = "../results/draft/cells-that-hear-search"
data_folder = "../data"
cache_folder = "../.cache/spikes/draft"

# %%
import functools
import itertools
import pathlib

import jax
import pandas as pd
from IPython.display import Image
from tqdm import tqdm

import stablespike as ss
from stablespike.figures.products import save_figure, save_numbers, save_table
from stablespike.tasks.named_sets import NAMED_SETS, Places
from studies import cells_that_hear as study
from studies import networks_that_hear as hearing_study
from studies.figures.cells_that_hear import settings_figure

jax.config.update("jax_enable_x64", True)
raw = pathlib.Path(results_folder) / "raw"
places = Places(data_folder, cache_folder, functools.partial(tqdm, desc="recordings"))

# %% [markdown]
# ## Data
#
# Training and validation speakers only.

# %%
split = hearing_study.validated(dataset, NAMED_SETS[dataset](places))
hearing = hearing_study.Hearing(
    channels=channels, hidden=hidden, mean=mean_weight, deviation=weight_deviation, shift=margin
)
training, validation = (hearing_study.trials_of(part, hearing) for part in split[:2])
sizes = {"channels": channels + 2 * margin, "classes": len(split.train.classes)}
judge = ss.judged(study.task_of(hearing), validation, min(100, len(split.validation)))
pd.DataFrame({"trials": [len(one) for one in split[:2]]}, index=split._fields[:2])

# %% [markdown]
# ## All tries

# %%
settings = {name: study.setting_with([name]) for name in ("as before", *changes)}
rows = []
for (name, setting), kind in itertools.product(settings.items(), kinds):
    _, history = study.train(
        study.KINDS[kind], training, **sizes, seed=seed, hearing=hearing, setting=setting, epochs=epochs,
        evaluate=judge, checkpoint=raw / "checkpoint" / f"{kind}, {name}.eqx".replace(" ", "-"),
        progress=lambda left, bar=f"{kind}, {name}": tqdm(left, desc=bar),
    )  # fmt: skip
    last = history[-1]
    found = {key: last[key] for key in ("loss", "test_accuracy", "test_loss", "rate", "silent")}
    rows.append({"kind": kind, "setting": name, **setting._asdict(), **found})
table = pd.DataFrame(rows).rename(columns={"test_accuracy": "validation", "test_loss": "validation_loss"})
table.pivot_table(index="setting", columns="kind", values="validation", sort=False).round(3)

# %% [markdown]
# `loss` is that of the last epoch of training, with dropout and penalties; `validation` the accuracy on the validation
# speakers after it.
#
# ## What is taken

# %%
accuracies = table.pivot_table(index="setting", columns="kind", values="validation", sort=False)
gains = (accuracies - accuracies.loc["as before"]).loc[changes]
taken = [name for name in changes if gains.loc[name].mean() > 0]
gains.assign(mean=gains.mean(axis=1)).round(3)

# %%
assert table.groupby("kind").size().nunique() == 1, "not the same number of tries for every kind"
assert (table.validation > 2 / sizes["classes"]).all(), "a kind does no better than twice chance"

# %%
Image(save_figure(settings_figure(table), results_folder), width=600)

# %% [markdown]
# **Settings.** Accuracy on the validation speakers after the last epoch of every try, a line for each kind of neuron.
#
# ## Reading
#
# At scale `paper` no change is taken. Dropout costs all kinds some points in so few epochs; more augmentation costs the
# LIF networks most, the cells of two states next to nothing; twice the rate helps SE-adaptive and C-SiLIF cells a
# little and costs the others. What differs most between the tries is the kind of neuron.
#
# The changes that are taken are a parameter of `cells-that-hear-training` at scale `paper`.
#
# **Not shown.** One seed and few epochs for each try, so that differences of a point or two are those of a seed; longer
# trainings may want more regularisation than short ones, and changes that help alone need not help together. Other
# readouts, surrogates, ranges of the neurons' parameters, sizes of a batch, weight decay.
#
# ## Files written
#
# `figure.{pdf,svg,png}`, `table.csv`, `table.tex` (all tries) and `numbers.json` in the results folder.

# %%
numbers = {"tries": len(settings), "epochs": epochs, "seed": seed, "taken": taken}
numbers |= {"gain": gains.mean(axis=1).to_dict(), "gains": {name: row.to_dict() for name, row in gains.iterrows()}}
numbers |= {"validation": {name: row.to_dict() for name, row in accuracies.iterrows()}}
save_table(table, results_folder)
save_numbers(numbers, results_folder)
