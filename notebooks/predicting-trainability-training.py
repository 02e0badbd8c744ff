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
# # Training networks of many kinds to recall over a delay
#
# **Question.** Of networks that are drawn at random from several families, which learn to recall a cue after a delay,
# and what could be measured of each before?
#
# It could be that all of them learn, or none, or that those of one family do and those of another do not: then there is
# nothing for a measurement to tell. This notebook measures and trains; `predicting-trainability` asks which measurement
# tells the outcome, of families that it was not fitted to.

# %% [markdown]
# ## Families
#
# The task is that of `critical-sharpness`: one of four groups of channels spikes much for a $\tau$, then all spike
# alike for a delay of 8, 10, 12 or 16 $\tau$, and the class is read from leaky readouts one $\tau$ later. Every network
# has recurrent LIF neurons on a grid and a SuperSpike surrogate, $1/(1+\beta|v|)^2$. The strength of the recurrence
# (0.3 to 4), $\beta$ (1 to 100) and the delay are drawn for each network; families differ in what else there is.
#
# - *plain*: 100 neurons, random recurrent weights, 10 steps of a $\tau$.
# - *orthogonal*: a random rotation, times the strength, in place of random weights.
# - *slow*: membrane time constants of each neuron its own, from 1 to between 2 and 40 $\tau$.
# - *adaptive*: thresholds that rise with each spike and fall with a time constant between 3 and 100 $\tau$.
# - *flossed*: 1, 3, 10, 30 or 100 exponents are brought towards zero before anything is measured.
# - *two layers* of 50 neurons; other *sizes*, 30 or 200 neurons; a *finer grid*, 20 steps of a $\tau$.
#
# Time constants, adaptation and $\beta$ are not trained; all weights are.

# %% [markdown]
# ## What is measured before training
#
# All Lyapunov exponents $\lambda_i$ of the hidden layers under the input that fills the delay, in nats per $\tau$, from
# a run of 40 $\tau$ after 10 that are not counted, orthonormalised every half $\tau$. From them the *leading* one, and
# the number of *modes* that reach over the delay $d$, $m_d=\#\{i:|\lambda_i|\,d<1\}$; `modes_3` allows 3 in place of 1.
#
# Of the gradient of the loss on 256 trials by the hidden state: its *norm* where the delay begins (a mean of logarithms
# to base 10), its *growth* from the end of the delay back to the beginning, and its *dimension* there, the
# participation ratio without the bias of small samples. Of the gradient by the input weights, as far as it is owed to
# the cue: its *signal*, the squared norm of its mean over trials in units of the mean squared norm. Of the spikes:
# their *rate*, and the part of neurons that are *silent* in these trials. A dimension that cannot be told, of gradients
# that are zero or not finite, is missing.

# %% [markdown]
# ## What is predicted
#
# Written before the first of these networks was trained. A network *learns* if its accuracy is above 62.5 %. For each
# predictor, together with the delay, logistic regression is fitted on all families but one and asked about that one.
# Over all families left out in turn, $m_d$ tells those that learn from those that do not with an area under the curve
# (AUC) that is larger by at least 0.05 than that of the leading exponent times the delay, with a 95 % interval of the
# difference, from resampled networks, that does not contain zero. The same is predicted of $m_d$ against the norm. Of
# the other measurements nothing is predicted.

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
families = ["plain", "adaptive"]
networks = 2  # of each family
epochs = 3  # of the trials, in batches of 64
trials = 1024  # to train with
results_folder = "../results/draft/predicting-trainability-training"

# %%
import functools
import itertools
import json
import pathlib

import jax
import pandas as pd
from tqdm import tqdm

from studies import predicting_trainability as study
from studies.kept_tables import kept_tables

jax.config.update("jax_enable_x64", True)
raw = pathlib.Path(results_folder) / "raw"
training = study.Training(trials=trials, epochs=epochs)

# %% [markdown]
# ## Measuring and training
#
# Adam with a rate that falls from $3\cdot10^{-3}$ to 0, the same trials in number and the same cut of gradients for
# all. Every network is kept as soon as it is done, so that a study that was stopped goes on where it was. A training
# whose gradient is not finite is a row with the accuracy of chance and its reason.

# %%
tables = []
for family, number in tqdm([*itertools.product(families, range(networks))], desc="networks"):
    make = functools.partial(study.tables_of, training, family, number)
    tables += kept_tables(raw / "checkpoint", f"{family}-{number}".replace(" ", "-"), make)
table = pd.concat(tables, ignore_index=True)
table["reason"] = table.reason.fillna("")
columns = ["leading", "modes", "norm", "growth", "dimension", "rate", "accuracy"]
table.groupby("family", sort=False)[columns].median().round(2)

# %% [markdown]
# Networks that learn and networks that do not, in numbers; learning means to be right more often than half way from
# chance to always.

# %%
chance = 1 / study.Recall().classes
learns = table.accuracy > (1 + chance) / 2
counts = table.assign(learns=learns).groupby(["family", "delay"], sort=False).learns.agg(["sum", "count"])
assert 0 < learns.sum() < len(table), "all networks learn, or none: there is nothing to tell"
counts.unstack()

# %% [markdown]
# **Not shown.** What longer training, other learning rates or other optimisers would make of those that do not learn.
#
# ## Files written
#
# `numbers.json`, and `raw/networks.csv`, a row for each network.

# %%
table.to_csv(raw / "networks.csv", index=False)
numbers = {"networks": len(table), "families": len(families), "learn": int(learns.sum()), "chance": chance}
numbers |= {"stopped": int((table.reason != "").sum()), "epochs": epochs, "trials": trials}
(raw.parent / "numbers.json").write_text(json.dumps(numbers, indent=1, sort_keys=True) + "\n")
