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
# # Is training best where gradients neither fade nor explode?
#
# **Question.** Networks that must recall a cue after a delay are trained with surrogates of different sharpness. Do
# they learn best at the sharpness that a mean field computes before training, at which the leading exponent is zero?
#
# The prediction could fail in three ways: accuracy might not depend on the sharpness; it might peak where gradients
# explode or fade; or the sharpness at the peak might not move with the grid and the strength of the recurrence as the
# computed one does.

# %% [markdown]
# ## Task and networks
#
# One of four groups of channels spikes much for a $\tau$; then all channels spike alike for the delay, and the
# class is read from leaky readouts at the end, one $\tau$ later. 100 LIF neurons with random recurrent weights, on a
# grid; the reset subtracts the threshold and is a constant to the derivative. The surrogate is SuperSpike,
# $1/(1+\beta|v|)^2$. Training differs in $\beta$ alone: same weights at the start, trials, order, optimiser, cut of
# gradients. $\beta$ is a factor times the *critical* one, $\beta^*$, computed from a run of the untrained network
# (`surrogate-mean-field`); exponents at the start are those of the mean field.
#
# Two controls: networks whose leading exponents are flossed towards zero before training, at a sharpness that is too
# large or too small; and the strength of the recurrence, which moves $\beta^*$.

# %% [markdown]
# ## Parameters
#
# Times are in units of $\tau$.

# %% tags=["parameters"]
seeds = [1]  # of weights, trials and order
conditions = [[1.5, 10.0, 10]]  # strength of the recurrence, delay, steps of a tau; the first is that of the controls
factors = [0.0625, 1.0, 4.0, 16.0]  # sharpness in units of the critical one
ends = [0.0625]  # factors at which training is claimed to be worse, by 0.15, in the first condition
flossed_factors = [4.0]
flossed_counts = [1]  # exponents that are flossed
epochs = 10  # of 2048 trials in batches of 64
results_folder = "../results/draft/critical-sharpness"
data_folder = "../data"

# %%
import functools
import itertools
import pathlib

import jax
import pandas as pd
from IPython.display import Image
from tqdm import tqdm

from stablespike.figures.products import save_figure, save_numbers, save_table
from studies import critical_sharpness as study
from studies.figures.mean_field import critical_sharpness_figure
from studies.kept_tables import kept_tables

jax.config.update("jax_enable_x64", True)
kept = pathlib.Path(results_folder) / "raw" / "checkpoint"
training = study.Training(epochs=epochs)

# %% [markdown]
# ## Training
#
# Every training is kept as soon as it is done. One whose gradient is not finite stops: a row with the accuracy of
# chance, and its reason.

# %%
plain = itertools.product(conditions, seeds, factors, [0])
controls = itertools.product(conditions[:1], seeds, flossed_factors, flossed_counts)
tables = []
for (loop, delay, steps), seed, factor, flossed in tqdm([*plain, *controls], desc="trainings"):
    given = (loop, float(delay), steps, seed, factor, flossed)
    make = functools.partial(study.table_of_one, training, *given)
    tables += kept_tables(kept, "-".join(map(str, given)), make)
table = pd.concat(tables, ignore_index=True)
table["reason"] = table.reason.fillna("")
chance = 1 / study.Recall().classes
keys = ["loop", "delay", "steps"]
alone = table[table.flossed == 0]
alone.pivot_table("accuracy", keys, "factor").round(3)

# %%
alone.groupby([*keys, "factor"])[["critical", "exponent", "norm"]].median().unstack("factor").round(2)

# %% [markdown]
# With exponents flossed before training, at factors of the critical sharpness:

# %%
first = dict(zip(keys, conditions[0], strict=True))
here = table[(table[keys] == pd.Series(first)).all(axis=1)]
flossed_table = here.groupby(["factor", "flossed"])[["exponent", "accuracy"]].agg(["mean", "min", "max"])
flossed_table.round(3)

# %% [markdown]
# ## What was predicted, and what is asserted
#
# Written down before the runs, of means over seeds, in each condition whose delay is at least ten $\tau$: the best
# sharpness tried is within a factor of 2 of the computed one, or no better than it by 0.05 (*near*); and at the
# computed one accuracy is ahead of that at both ends of the sweep by 0.15 (*ahead*), without which there would be
# nothing to predict. Both are recorded as they came out. What is asserted is less: that in the first condition the best
# of the sharpnesses is ahead of the `ends` by 0.15; with one seed, of the blunt end only.

# %%
means = alone.pivot_table("accuracy", keys, "factor")
asked = means[means.index.get_level_values("delay") >= 10]
found = pd.DataFrame({"best factor": asked.idxmax(axis=1), "best": asked.max(axis=1), "computed": asked[1.0]})
found["end"] = asked[[min(factors), max(factors)]].max(axis=1)
lost = found.best - found.computed
found["near"] = found["best factor"].between(0.5, 2.0) | (lost <= 0.05)
found["ahead"] = found.computed - found.end >= 0.15
main = found.loc[tuple(conditions[0])]
assert main.best - asked.loc[tuple(conditions[0]), ends].max() >= 0.15, f"the sharpness hardly matters:\n{found}"
found.round(3)

# %%
Image(save_figure(critical_sharpness_figure(table, chance, first), results_folder), width=900)

# %% [markdown]
# **Training at the edge.** Accuracy on new trials against the leading exponent at the start, computed by mean field, a
# dot for each training, lines: means over seeds, a colour for each delay (*a*). Against the sharpness in units of the
# computed critical one, by grid and recurrence, at the delay of the controls (*b*). With the leading exponents flossed
# before training at a sharpness that is not the critical one; bars: means, dots: seeds (*c*). Dotted: chance.
#
# ## Reading
#
# At scale `paper`, in four of five conditions with a delay of ten $\tau$ or more, the best of the sharpnesses tried
# lies within a factor of two of the computed one; the prediction allowed three of seven. Where gradients explode
# training fails at the weaker strengths of the recurrence; at the strongest it goes best there, with gradients that are
# cut at norm one. With a delay of twenty $\tau$ hardly anything is learned: at the computed sharpness by two of three
# seeds, a little. With five, all but the bluntest learn. On a grid of half the step the best sharpness doubles, as the
# computed one does. Two things were predicted and did not come: accuracy at the computed sharpness itself, about which
# seeds scatter much, is ahead of both ends in one condition only; and the peak follows the strength of the recurrence
# less than the computed sharpness does. From the weakest to the strongest the latter rises several times as much as the
# best sharpness tried does. A fixed sharpness for each grid would have done as well here: that the leading exponent
# alone decides is not shown.
#
# Flossing ten exponents of a network whose surrogate is four times too sharp takes its accuracy to nearly all trials,
# in all three seeds; flossing one of them changes seeds either way, and flossing where gradients explode helps little.
# One exponent is not what training lacks.
#
# **Not shown.** That accuracy is decided by the exponent alone: where the surrogate is sharp or blunt the direction of
# the gradient changes, too. Other tasks, trained time constants, longer trainings, several layers. Exponents move
# while weights are trained. One size of network and one learning rate, chosen before the comparison; one or three
# seeds, whose accuracies scatter by up to half of the range.
#
# ## Files written
#
# `figure.{pdf,svg,png}`, `table.csv`, `table.tex` and `numbers.json` in the results folder.

# %%
numbers = {"seeds": len(seeds), "chance": chance, "trainings": len(table), "stopped": int((table.reason != "").sum())}
accuracy = {study.named(*key): study.by_factor(row) for key, row in means.iterrows()}
numbers |= {"accuracy": accuracy}
numbers |= {"critical": {study.named(*key): v for key, v in alone.groupby(keys).critical.mean().items()}}
columns = {"best factor": "best_factor", "best": "best", "near": "near", "ahead": "ahead"}
numbers |= {name: {study.named(*key): v for key, v in found[column].items()} for column, name in columns.items()}
numbers |= {"held": {name: int(found[name].sum()) for name in ("near", "ahead")}, "conditions": len(found)}
by_flossing = here[here.flossed > 0].groupby(["factor", "flossed"]).accuracy.mean()
numbers |= {"flossed": {f"{k} exponents": study.by_factor(by_flossing.xs(k, level="flossed")) for k in flossed_counts}}
save_table(table, results_folder)
save_numbers(numbers, results_folder)
