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
# # Do networks know the digits of a speaker whom they never heard, whoever is left out?
#
# **Question.** Six men say ten digits. A network learns from five of them: does it name the digits of the sixth better
# than a linear classifier does, whoever the sixth is, and is that so by exact gradients as by surrogates?
#
# Five speakers are few. In the split that comes with the recordings all six are on both sides; there a network may know
# the men and not the digits. The answer is no if one of the two kinds of gradient gains nothing on those who are left
# out.

# %% [markdown]
# ## The claim
#
# Written down before any of these networks was trained, with the settings of `networks-that-hear` and `cells-that-hear`
# for another set. A kind is a neuron with a gradient:
#
# 1. The best kind is ahead of the linear classifier by `claimed_gain`, in the mean over the six speakers.
# 2. Every kind is ahead of it in that mean.
# 3. All do better in the official split, which shares its speakers, by `claimed_easier` at least.
#
# What is asserted below are `least_gain` and that the folds share no speaker; `held` in `numbers.json` says which
# claims came true.

# %% [markdown]
# ## Sounds and networks
#
# The Free Spoken Digits (Jackson et al. 2018), 3000 recordings at 8 kHz, become spikes of 70 channels by the cochlea of
# this repository; nothing above 4 kHz is in them, so that the channels of high tones tell nothing. Networks have one
# recurrent hidden layer and a leaky readout whose voltage $V_k$ is averaged over the trial with weights $e^{-t/T}$;
# loss, penalties on spike counts, augmentation and optimiser are those of `networks-that-hear-training`. By surrogates
# they run on a grid, by exact gradients event by event. Neurons are LIF in both; by surrogates also adaptive ones,
# which did best in `cells-that-hear`.

# %% [markdown]
# ## Parameters
#
# The lists beside `kinds` belong to them in their order. Nothing was chosen on these recordings: there is no validation
# set, and a speaker who is left out is heard once, at the end. One thing breaks this: of the kinds that were planned
# for scale `paper`, LIF networks alone were run first, for twelve of the planned twenty epochs, and seen to be ahead of
# the linear classifier by less than was claimed. The epochs that had been planned were then run, and are shown.

# %% tags=["parameters"]
dataset = "free-spoken-digits"
kinds = ["LIF", "LIF"]
exact = [False, True]
hidden_rates = [8e-3, 4e-3]
gains = [10.0, 10.0]
limits = [0.0, 0.0]  # of the gradient of one trial; 0: none
speakers = ["official", "george"]  # the folds that are trained; "official": the split that shares its speakers
epochs = [1, 1]
linear_steps = 100  # of L-BFGS
batch_size = 50  # trials
hidden = 32  # neurons
shift = 3  # channels by which a training trial is moved at most
stretch = 0.2  # by which it is made longer or shorter at most
duration = 0.6  # s
seed = 1
claimed_gain = 0.1
claimed_easier = 0.05
least_gain = -1.0
results_folder = "../results/draft/speakers-left-out"
data_folder = "../data"
cache_folder = "../.cache/spikes/draft"

# %%
import functools
import pathlib

import jax
import pandas as pd
from IPython.display import Image
from tqdm import tqdm

from stablespike.figures.products import save_figure, save_numbers, save_table
from stablespike.tasks.named_sets import NAMED_SETS, Places
from studies import networks_that_hear as hearing_study
from studies import speakers_left_out as study
from studies.figures.speakers_left_out import speakers_left_out_figure

jax.config.update("jax_enable_x64", True)
raw = pathlib.Path(results_folder) / "raw"
places = Places(data_folder, cache_folder, functools.partial(tqdm, desc="recordings"))

# %% [markdown]
# ## Folds, and the linear classifier
#
# Logistic regression on the square roots of spike counts in 35 groups of channels and 14 bins of time, solved
# approximately: L-BFGS ends after `linear_steps` steps. Of the official training set only so many trials are taken as
# the other folds have.

# %%
given = NAMED_SETS[dataset](places)
folds = {name: one for name, one in study.folds(given) if name in speakers}
left = [name for name in folds if name != study.OFFICIAL]
assert not any(set(folds[name].train.speakers) & set(folds[name].test.speakers) for name in left), "a speaker is shared"
hearing = hearing_study.Hearing(
    channels=70, duration=duration, hidden=hidden, mean=0.016, deviation=0.04, shift=shift, stretch=stretch
)
by_linear = {name: study.linear_right(one, duration, linear_steps) for name, one in folds.items()}
linear = pd.Series({name: right.mean() for name, right in by_linear.items()})
chance = 1 / len(given.train.classes)
print(f"left out: {linear[left].mean():.3f} ± {linear[left].std(ddof=0):.3f}; chance {chance}")
linear.round(3)

# %% [markdown]
# ## Training
#
# A network for each kind and fold; every epoch leaves a checkpoint.

# %%
room = study.room_of(given, hearing)
trials = {name: tuple(study.trials_of(part, hearing, room) for part in one) for name, one in folds.items()}
chosen = [study.Competitor(*one) for one in zip(kinds, exact, hidden_rates, gains, limits, strict=True)]
found = {}
for one, many in zip(chosen, epochs, strict=True):
    name, learning = study.name_of(one), hearing_study.Learning(many, batch_size)
    found[name] = study.train(
        one, trials, classes=len(given.train.classes), seed=seed, hearing=hearing, learning=learning,
        folder=raw / "checkpoint", progress=functools.partial(tqdm, desc=name),
    )  # fmt: skip

# %% [markdown]
# ## Those who were left out

# %%
shown = ["train", "test", "spikes", "silent", "operations"]
table = pd.DataFrame(
    {"kind": kind, "fold": fold} | {name: own[name] for name in shown}
    for kind, folds_of in found.items()
    for fold, own in folds_of.items()
)
by_speaker = table.pivot(index="fold", columns="kind", values="test").loc[list(folds), list(found)]
by_speaker["linear classifier"] = linear
by_speaker.round(3)

# %% [markdown]
# What it costs, with the network of the first fold: `seconds` of the processor for the training steps of an epoch,
# beside other work of the machine; `megabytes` that the compiler gives one step; `spikes` of the hidden layer and
# synaptic `operations` of a test trial, in the mean over folds.

# %%
first = next(iter(folds))
costs = pd.DataFrame(
    study.cost_of(
        one, found[study.name_of(one)][first]["network"], trials[first][0], hearing,
        hearing_study.Learning(many, batch_size),
    )
    for one, many in zip(chosen, epochs, strict=True)
).set_axis([study.name_of(one) for one in chosen])  # fmt: skip
costs["megabytes"] = costs.pop("memory") / 1e6
costs = costs.join(table.groupby("kind")[["spikes", "silent", "operations"]].mean())
costs.round(3)

# %%
means, spread = by_speaker.loc[left].mean(), by_speaker.loc[left].std(ddof=0)
against = {kind: study.ahead(by_speaker[kind][left], linear[left]) for kind in found}
paired = pd.DataFrame(against, index=["ahead of the linear classifier", "p"]).T
differences = {
    kind: [own[name]["right"].astype(float) - by_linear[name] for name in left] for kind, own in found.items()
}
intervals = pd.DataFrame({kind: study.clustered(parts) for kind, parts in differences.items()}, index=["low", "high"]).T
paired[["low", "high"]] = intervals
paired["mean"], paired["spread"] = means[list(found)], spread[list(found)]
paired["official"] = by_speaker.loc[study.OFFICIAL]
paired.round(4)

# %% [markdown]
# `low` to `high`: 95 % interval of the lead, speakers and then their trials drawn with repetition. `mean` and `spread`
# (standard deviation) over those who were left out; `p` by a paired t test over them, which is too sure, as folds share
# most of their training trials; `official`: the split that shares its speakers.
#
# ## What came of the claims

# %%
best = means[list(found)].idxmax()
gain = means[list(found)] - linear[left].mean()
held = {"level": bool(gain[best] >= claimed_gain), "all": bool((gain > 0).all())}
held["easier"] = bool((paired.official - paired["mean"] >= claimed_easier).all())
assert gain[best] >= least_gain, f"{best} is not so far ahead of the linear classifier:\n{gain}"
print(f"best: {best}, {100 * gain[best]:.1f} points ahead of the linear classifier; {held}")

# %%
frames = [
    pd.DataFrame(own["history"]).assign(kind=kind, seed=fold)
    for kind, folds_of in found.items()
    for fold, own in folds_of.items()
]
history = pd.concat(frames, ignore_index=True)
history.to_csv(raw / "history.csv", index=False)
figure = speakers_left_out_figure(history, table, linear, chance, study.OFFICIAL)
Image(save_figure(figure, results_folder), width=900)

# %% [markdown]
# **Speakers who were left out.** Loss on the training trials, penalties included (*a*; lines: means over folds, bands:
# all); accuracy on the trials of each speaker by a network that never heard him, and on the test of the official split,
# which shares its speakers (*b*; dashes: the linear classifier; dotted: chance).
#
# ## Reading
#
# At scale `paper` the networks have not been trained yet, so that nothing is said of the claims.
#
# **Not shown.** QIF neurons, longer training, a search of settings, several seeds (the folds are what spreads here),
# feed-forward networks, more channels, longer trials, trained time constants and delays.
#
# ## Files written
#
# `figure.{pdf,svg,png}`, `table.csv`, `table.tex` and `numbers.json` in the results folder; `raw/history.csv` and
# checkpoints.

# %%
numbers = {"linear": linear[left].mean(), "linear_spread": linear[left].std(ddof=0), "chance": chance, "best": best}
numbers |= {"mean": means.to_dict(), "spread": spread.to_dict(), "gain": gain.to_dict(), "hidden": hidden}
numbers |= {"official": by_speaker.loc[study.OFFICIAL].to_dict(), "p": paired.p.to_dict()}
numbers |= {"epochs": dict(zip(found, epochs, strict=True)), "interval": intervals.T.to_dict("list"), "seed": seed}
numbers |= {"cost": costs.to_dict("index"), "train": table.groupby("kind").train.mean().to_dict()}
numbers |= {"held": held, "claimed": claimed_gain, "folds": len(left), "test": by_speaker.to_dict()}
save_table(table, results_folder)
save_numbers(numbers, results_folder)
