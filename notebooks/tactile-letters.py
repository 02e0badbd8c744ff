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
# # Do recurrent networks read Braille by touch, by exact gradients as by surrogates?
#
# **Question.** A robot's finger slides across a letter of Braille; what its taxels feel becomes spikes. Does a
# recurrent network name the letter better than the published recurrent spiking network, by exact gradients as by
# surrogates?
#
# Letters are few dots under a moving finger: what is to be read is when, and where, a pressure rises and falls. That
# suits a gradient which sees spikes move. The answer is no if one of the two kinds of gradient stays below the
# published level.

# %% [markdown]
# ## The claim
#
# Written down before any of these networks was trained:
#
# 1. Both kinds of gradient name more of the test's letters than `published`, the level of a recurrent network by
#    surrogates (Müller-Cleve et al. 2022).
# 2. Exact gradients are not further behind surrogates than `claimed_behind`, in the mean over seeds.
#
# That networks beat the linear classifier is not claimed: on these trials it names nineteen letters in twenty, as
# `datasets` found before. What is asserted below is `least_level` of every kind; `held` in `numbers.json` says what
# came true. The claims were written for LIF networks.

# %% [markdown]
# ## Trials and networks
#
# 27 letters (the space is one) of 50 trials each. A taxel spikes each time that its value has risen, or fallen, by one
# unit: 24 channels, of which those of half of the taxels are silent. Of each letter 70 % of the trials are for
# training, 10 % for validation, 20 % for the test, as in the authors' code; their draw is not known, they had another
# encoding and perhaps more trials of each letter, so that their level is one to be compared with, not to be reproduced.
#
# Networks have one recurrent hidden layer and a leaky readout whose voltage $V_k$ is averaged over the trial with
# weights $e^{-t/T}$; loss, penalties on spike counts and optimiser are those of `networks-that-hear-training`. By
# surrogates they run on a grid, by exact gradients event by event.

# %% [markdown]
# ## Parameters
#
# The lists beside `kinds` belong to them in their order. Both have the same settings, guessed from those of
# spoken digits; a trial run of four epochs by exact gradients, judged on the validation trials, did not change them.
# `tactile-letters-search` is there to choose them for each kind in as many tries, and was not run for this.

# %% tags=["parameters"]
kinds = ["LIF surrogate", "LIF exact"]
limits = [0.0, 0.0]  # of the gradient of one trial; 0: none
hidden_rates = [8e-3, 8e-3]
gains = [10.0, 10.0]  # of the readout
weightings = [1.0, 1.0]  # s: T
membranes = [0.02, 0.02]  # s, time constants
mean_weights = [0.2, 0.2]  # of the input, at the start
weight_deviations = [0.5, 0.5]  # the same
epochs = [1, 1]
seeds = [[1], [1]]
hidden = 32  # neurons
stretch = 0.1  # by which a training trial is made longer or shorter at most
duration = 1.904  # s, a whole number of steps of the grid
batch_size = 27  # trials
published = 0.8
claimed_behind = 0.05
least_level = 0.0
results_folder = "../results/draft/tactile-letters"
data_folder = "../data"

# %%
import functools
import pathlib

import jax
import pandas as pd
from IPython.display import Image
from tqdm import tqdm

from stablespike.figures.products import save_figure, save_numbers, save_table
from stablespike.learning.classify import verdict
from stablespike.tasks.braille import braille
from stablespike.tasks.speaker_splits import Split
from studies import networks_that_hear as hearing_study
from studies import tactile_letters as study
from studies.figures.cells_that_hear import cells_that_hear_figure
from studies.linear_baseline import logistic_accuracy

jax.config.update("jax_enable_x64", True)
raw = pathlib.Path(results_folder) / "raw"

# %% [markdown]
# ## Trials, and a linear classifier
#
# Logistic regression on the square roots of spike counts of all channels in 14 bins of time.

# %%
letters = braille(pathlib.Path(data_folder) / "braille_taxel.npz")
split = study.stratified(letters)
linear = logistic_accuracy(Split(split.train, split.test), duration)
common = hearing_study.Hearing(
    channels=letters.channel_count, duration=duration, hidden=hidden, shift=0, stretch=stretch
)
trials = {part: hearing_study.trials_of(one, common) for part, one in split._asdict().items()}
chance = 1 / len(letters.classes)
print(f"linear classifier: {linear:.3f}; chance: {chance:.3f}")
pd.DataFrame(study.PUBLISHED, columns=["network", "accuracy (%)", "source"]).set_index("network")

# %% [markdown]
# ## Training
#
# A learning curve is that of the validation trials; every epoch leaves a checkpoint.

# %%
chosen = zip(hidden_rates, gains, weightings, membranes, mean_weights, weight_deviations, strict=True)
settings = [study.Setting(*one) for one in chosen]
trained, losses = {}, {}
for name, setting, limit, many, some in zip(kinds, settings, limits, epochs, seeds, strict=True):
    one, hearing = study.competitor_of(name), study.hearing_of(setting, common, limit)
    losses[name] = hearing_study.hearing_task(one, hearing)
    for seed in some:
        trained[name, seed] = hearing_study.train(
            one, trials["train"], trials["validation"], channels=letters.channel_count, classes=len(letters.classes),
            seed=seed, hearing=hearing, learning=hearing_study.Learning(many, batch_size, setting.hidden_rate),
            checkpoint=raw / "checkpoint" / f"{name}-{seed}.eqx".replace(" ", "-"),
            progress=functools.partial(tqdm, desc=f"{name}, seed {seed}"),
        )  # fmt: skip

# %% [markdown]
# ## All trials, at the end
#
# The test is looked at once, with the weights of the last epoch.

# %%
found = {
    (name, seed, part): verdict(losses[name], state.parameters, one, min(90, len(one[1])))
    for (name, seed), (state, _) in trained.items()
    for part, one in trials.items()
}
right = {key: one.named == getattr(split, key[2]).labels for key, one in found.items()}
table = pd.DataFrame(
    {"kind": name, "seed": seed} | {part: right[name, seed, part].mean() for part in trials}
    | {"spikes": found[name, seed, "test"].rates.sum(), "silent": (found[name, seed, "test"].rates == 0).mean()}
    for name, seed in trained
)  # fmt: skip
test_trials = len(split.test)
table["low"], table["high"] = zip(*(hearing_study.wilson(one, test_trials) for one in table.test), strict=True)
table.groupby("kind", sort=False)[[*trials, "spikes", "silent"]].agg(["mean", "min", "max"]).T.round(3)

# %% [markdown]
# `spikes` of the hidden layer in a test trial; `silent`: the part of hidden neurons without any.
#
# ## What came of the claims
#
# `low` and `high`: Wilson's 95 % interval over test trials. Kinds are compared on the same trials by McNemar's test.

# %%
means = table.groupby("kind", sort=False)[list(trials)].mean()
names = list(means.index)
held = {"published": bool((means.test > published).all())}
held["not far behind"] = bool(means.test[names[-1]] >= means.test[names[0]] - claimed_behind)
both = sorted(
    {seed for name, seed in trained if name == names[0]} & {seed for name, seed in trained if name == names[-1]}
)
paired = pd.DataFrame(
    [hearing_study.mcnemar(*(right[name, seed, "test"] for name in (names[0], names[-1]))) for seed in both],
    columns=[f"only {names[0]}", f"only {names[-1]}", "p"], index=pd.Index(both, name="seed"),
)  # fmt: skip
assert (means.test >= least_level).all(), f"a kind names fewer letters:\n{means}"
print(f"{(100 * means.test).round(1).to_dict()} %; {held}")
paired

# %%
frames = [pd.DataFrame(rows).assign(kind=name, seed=seed) for (name, seed), (_, rows) in trained.items()]
history = pd.concat(frames, ignore_index=True)
history.to_csv(raw / "history.csv", index=False)
figure = cells_that_hear_figure(history, table, linear, chance, published)
Image(save_figure(figure, results_folder), width=900)

# %% [markdown]
# **Networks that read by touch.** Accuracy on the validation trials against the epoch (*a*; lines: means over seeds,
# bands: all); at the end on the training, validation and test trials (*b*; dots: seeds; bars on the test: Wilson's 95 %
# interval; red: the published level), beside the linear classifier (dashed) and chance (dotted).
#
# ## Reading
#
# With settings that were guessed, not searched, at scale `paper`: both claims failed. Surrogates name more letters of
# the test than was published. Exact gradients learn as well: from chance to three letters in four, with every seed,
# but stay below the published level, and behind surrogates by more than was claimed, with every seed. Both kinds are
# far behind the linear classifier of spike counts, as was known before.
#
# Exact networks name little more of the training trials than of the test's, so that they are held back by optimisation
# or by their settings rather than by too few trials. One setting, found for surrogate networks on spoken digits,
# served both kinds; `tactile-letters-search` would find one for each with equal tries, and has not been run. So this
# does not settle what the gradient owes to itself and what to settings.
#
# **Not shown.** Other encodings and fewer spikes, feed-forward networks, trained time
# constants and delays, letters of another session or speed of the finger.
#
# ## Files written
#
# `figure.{pdf,svg,png}`, `table.csv`, `table.tex` and `numbers.json` in the results folder; `raw/history.csv` and
# checkpoints.

# %%
numbers = {"linear": linear, "chance": chance, "published": published, "test_trials": test_trials, "hidden": hidden}
numbers |= {"accuracy": {name: row.to_dict() for name, row in means.iterrows()}, "held": held}
numbers |= {"deviation": table.groupby("kind").test.std().fillna(0).to_dict(), "p": paired.p.to_dict()}
numbers |= {"epochs": dict(zip(names, epochs, strict=True)), "seeds": dict(zip(names, seeds, strict=True))}
numbers |= {"behind": means.test[names[0]] - means.test[names[-1]], "claimed": claimed_behind}
save_table(table, results_folder)
save_numbers(numbers, results_folder)
