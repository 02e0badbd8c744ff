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
# # Do neurons that adapt or resonate name the waves of a heart at the level of the literature?
#
# **Question.** An electrocardiogram comes as events, and every step of 4 ms is to be named: which of six waves is it?
# Do recurrent networks of neurons with two states, trained by surrogate gradients, name as many steps as was published,
# and more than those of LIF neurons with as many tries of their settings?
#
# Waves between two beats are long and silent: who names them must remember. That should suit neurons which adapt or
# resonate over a hundred steps. Networks trained by exact gradients are the subject of `electrocardiogram` and
# `long-trials`.

# %% [markdown]
# ## The claim
#
# Written down before the networks were trained for so many epochs at scale `paper`; steps that nobody marked count as
# wave P, as in the published code:
#
# 1. The kind that is best on the validation trials names at least `goal` of the test's steps, the level of what was
#    published.
# 2. Neurons that adapt or resonate (SE-adaptive, BRF) name `claimed_gain` more of the test's steps than LIF neurons,
#    all trained by surrogates, in the mean over seeds.
# 3. Every kind trained by surrogates is ahead of a linear classifier of filtered events.
#
# LIF and BRF networks had been trained before, for eight epochs and with settings chosen by hand, and had been judged
# by the test: 81 and 82 %. That is why the second claim is not new for BRF; it had failed then. `held` in
# `numbers.json` says what came true. What is asserted below is `least_level` of the best kind. A longer training was
# stopped and lost before its end: validation curves of LIF and SE-adaptive neurons had been seen then, the test had
# not.

# %% [markdown]
# ## Networks
#
# One hidden layer of recurrent neurons and a leaky readout of six voltages $V_k$. The loss is the cross-entropy of the
# voltages at the end of each step, $-\sum_n \log \mathrm{softmax}(g V(t_n))_{k_n}$, in the mean over steps. Eight
# channels carry the events (four signals, up and down), a ninth ticks all 40 ms, so that a network can go on where
# nothing happens.
#
# - *Surrogate*: on a grid whose step is the data's, with the slope of SuperSpike: LIF, adaptive neurons stepped by
#   symplectic Euler (SE-adaptive, Baronig et al. 2025) and balanced resonate-and-fire neurons (BRF, Higuchi et al.
#   2024) as in `cells-that-hear`, whose parameters are trained as well.

# %% [markdown]
# ## Parameters
#
# The lists beside `kinds` belong to them in their order. At scale `paper` they are what `electrocardiogram-search`
# found on the validation trials, in as many tries for each kind.

# %% tags=["parameters"]
dataset = "electrocardiograms"
kinds = ["LIF", "SE-adaptive"]
hidden_rates = [1e-2, 1e-2]
constant_rates = [1e-2, 1e-2]
clipped = [0.1, 0.1]  # most that the norm of a batch's gradient may be
loops = [0.5, 0.5]  # deviation of recurrent weights times the root of their number
sharpness = [25.0, 25.0]
traces = [0.02, 0.02]  # s, of the readout
epochs = 1
batch_steps = 20816  # of all trials of a batch
seeds = [1]
hidden = 36  # neurons
validation_trials = 78
claimed_gain = 0.02
goal = 0.86
least_level = 0.1
results_folder = "../results/draft/electrocardiogram-cells"
data_folder = "../data"

# %%
import functools
import itertools
import pathlib

import jax
import numpy as np
import pandas as pd
from IPython.display import Image
from tqdm import tqdm

from stablespike.figures.products import save_figure, save_numbers, save_table
from stablespike.tasks.electrocardiograms import RATE, STEPS, WAVES, electrocardiograms, wave_accuracy
from studies import electrocardiogram as study
from studies.figures.electrocardiogram import electrocardiogram_figure

jax.config.update("jax_enable_x64", True)
raw = pathlib.Path(results_folder) / "raw"

# %% [markdown]
# ## Data, and a linear classifier
#
# Validation trials are drawn from the training trials, once. The file does not say which trials are of one patient, so
# that they may share patients with the training trials, which the test does not have to. The linear classifier is
# logistic regression on the events of a step and on their traces of five time constants.

# %%
split = electrocardiograms(pathlib.Path(data_folder) / "ecg_qtdb.npz")
training, validation = study.held_out(split.train, validation_trials)
parts = {"train": training, "validation": validation, "test": split.test}
linear = wave_accuracy(study.linear_waves(training, split.test), split.test.waves)
most = max(float((study.as_published(split.test.waves) == wave).mean()) for wave in range(len(WAVES)))
print(f"linear classifier: {linear.published:.3f} ({linear.marked:.3f} of marked steps); always one wave: {most:.3f}")
pd.DataFrame(study.PUBLISHED, columns=["network", "accuracy (%)", "source"]).set_index("network")

# %% [markdown]
# ## Training
#
# A learning curve is that of the validation trials; every epoch leaves a checkpoint. Nothing is augmented.

# %%
settings = zip(kinds, hidden_rates, constant_rates, clipped, loops, sharpness, traces, strict=True)
chosen = [
    study.Competitor(
        kind, hidden_rate=rate, constant_rate=own, clipped=norm, loop=loop, sharpness=slope, trace=trace
    )
    for kind, rate, own, norm, loop, slope, trace in settings
]  # fmt: skip
trained = {}
for one in chosen:
    states = study.train(
        one, training, validation, hidden=hidden, epochs=epochs, batch_steps=batch_steps, seeds=seeds,
        folder=raw / "checkpoint", progress=functools.partial(tqdm, desc=study.name_of(one)),
    )  # fmt: skip
    trained |= {(study.name_of(one), seed): state for seed, state in states.items()}

# %% [markdown]
# ## All trials, at the end
#
# The test trials are looked at once, with the weights of the last epoch.

# %%
competitors, rows, found = {study.name_of(one): one for one in chosen}, [], {}
whole = {part: study.trials_of(one) for part, one in parts.items()}
for (name, seed), (state, history) in trained.items():
    loss = study.naming(competitors[name], study.setup(competitors[name], hidden), whole=True)
    own = {part: study.named(loss, state.parameters, one) for part, one in whole.items()}
    accuracy = {part: wave_accuracy(own[part].waves, parts[part].waves) for part in parts}
    found[name, seed] = own["test"].waves
    row = {"kind": name, "seed": seed} | {part: one.published for part, one in accuracy.items()}
    row |= {f"{part}, marked": one.marked for part, one in accuracy.items()}
    seconds = np.median([epoch["seconds"] for epoch in history[2:] or history])
    rows.append(
        row | {"spikes": own["test"].rates.sum(), "silent": (own["test"].rates == 0).mean(), "seconds": seconds}
    )
table = pd.DataFrame(rows)
table.groupby("kind", sort=False)[[*parts, "test, marked", "spikes", "seconds"]].agg(["mean", "min", "max"]).T.round(3)

# %% [markdown]
# `train`, `validation` and `test` count steps without a mark as wave P; `spikes` of the hidden layer in a test trial;
# `seconds` of the processor for an epoch, its judging included, beside other work of the machine.
#
# ## What came of the claims
#
# Trials are compared in pairs: in how many of the test's trials one kind names more steps rightly than the other, in
# the mean over its seeds, by the sign test. Intervals are those of trials drawn with repetition; a patient may have
# several.

# %%
means = table.groupby("kind", sort=False)[["train", "validation", "test", "test, marked"]].mean()
truth = study.as_published(split.test.waves)
right = {run: (waves == truth).mean(1) for run, waves in found.items()}
by_trial = {kind: np.mean([right[run] for run in found if run[0] == kind], 0) for kind in means.index}
intervals = {kind: study.interval(by_trial[kind]) for kind in means.index}
paired = pd.DataFrame(
    {"kind": one, "other": other} | study.sign_test(by_trial[one], by_trial[other])
    for one, other in itertools.combinations(means.index, 2)
)
best = means.validation.idxmax()
held = {"linear": bool((means.test > linear.published).all()), "goal": bool(means.test[best] >= goal)}
others = means.test.drop(index="LIF surrogate")
held["two states"] = bool((others >= means.test["LIF surrogate"] + claimed_gain).all())
assert means.test[best] >= least_level, f"{best} does not name so many steps:\n{means}"
print(f"best: {best}, {100 * means.test[best]:.1f} % of the test's steps; {held}")
paired

# %%
trial = int(np.argsort(by_trial[best])[len(truth) // 2])  # the middle one of the best kind
first = {kind: next(run for run in found if run[0] == kind) for kind in means.index}
example = {"marked": truth[trial]} | {kind: found[run][trial] for kind, run in first.items()}
history = pd.concat(
    [pd.DataFrame(rows).assign(kind=name, seed=seed) for (name, seed), (_, rows) in trained.items()], ignore_index=True
)
history.to_csv(raw / "history.csv", index=False)
figure = electrocardiogram_figure(history, table, linear.published, goal, example, WAVES, STEPS / RATE)
Image(save_figure(figure, results_folder), width=900)

# %% [markdown]
# **Networks that name the waves of a heart.** Accuracy on the validation trials against the epoch (*a*; lines: means
# over seeds, bands: all); at the end on the training, validation and test trials (*b*; dots: seeds; line: the
# goal; dashed: the linear classifier on the test); one test trial, in the middle of those of the best kind, as it is
# marked and as the networks name it (*c*).
#
# ## Reading
#
# At scale `paper` two claims of three failed. The kind that is best on the validation trials stays less than a point
# below the level of what was published, and its interval over trials reaches above it; neurons with two states are not
# ahead of LIF neurons, from which adapting ones are not told, while resonating ones are behind. All kinds are far
# ahead of the linear classifier. LIF neurons name more than after eight epochs, by more than a second state brings.
# All kinds name about as many steps of the training trials as of the test's, so that it is not the number of trials
# that holds them back, but the model or its optimisation. Validation trials are harder than both, for every kind: few,
# and drawn by trial.
#
# **Not shown.** Augmentation, deeper networks, delays, exact networks, patients apart: the
# file does not say whose trials are whose, so that intervals over trials are too narrow if patients have several.
#
# ## Files written
#
# `figure.{pdf,svg,png}`, `table.csv`, `table.tex` and `numbers.json` in the results folder; `raw/history.csv` and
# checkpoints.

# %%
numbers = {"linear": linear._asdict(), "one_wave": most, "test_trials": len(truth), "hidden": hidden, "best": best}
numbers |= {"accuracy": {name: row.to_dict() for name, row in means.iterrows()}, "held": held, "goal": goal}
numbers |= {"epochs": epochs, "seeds": seeds}
numbers |= {"p": {f"{one.kind} / {one.other}": one.p for one in paired.itertuples()}, "claimed": claimed_gain}
numbers |= {"interval": intervals, "seconds": table.groupby("kind").seconds.median().to_dict()}
numbers |= {"deviation": table.groupby("kind").test.std().fillna(0).to_dict()}
save_table(table, results_folder)
save_numbers(numbers, results_folder)
