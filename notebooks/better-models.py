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
# # Do networks that are designed from the measured laws learn better than those that are not?
#
# **Question.** Other notebooks measured what makes gradients fade, explode or last. Three networks are designed here
# from what they found. Does each recall a cue after a delay better than the same network without the one thing that the
# law asks for, at equal numbers of parameters and equal budgets of search?
#
# The answer is no for a law if the network without its ingredient does as well, or if both fail.
#
# **What came**, in short. Slow membranes and delay lines make networks learn that fail without them. But slowness does
# it as well as the number of slow modes, exact LIF neurons with delay lines learn as QIF neurons do, and the critical
# sharpness is not ahead of a constant one: these predictions failed. Exact networks with delay lines are not behind
# the best surrogate network and need fewer synaptic operations, as was predicted.

# %% [markdown]
# ## Task
#
# That of `critical-sharpness` with 20 channels: one of four groups of channels spikes much for a $\tau$; then all
# spike alike for the delay; the class is read from leaky readouts one $\tau$ later. Networks of LIF neurons of one time
# constant learn a delay of ten $\tau$ now and then, and one of twenty hardly ever.

# %% [markdown]
# ## Three designs, and what is predicted of each
#
# Written before the runs whose results are below. Sizes and ranges were tried before on validation trials of a seed
# that no result uses, with three or four of the models. There networks with slow modes learned both delays, QIF neurons
# with delay lines the first, and a thing was seen that the law does not say: networks that are equally slow learned
# both, too. The prediction about these is left as it follows from the law. One thing was changed after the first runs:
# exact LIF neurons spiked more often than there was room for, all their trainings stopped, and their weights were made
# smaller.
#
# 1. **The critical sharpness** (*LIF, critical*). Surrogate gradients neither fade nor explode at one sharpness, which
#    a mean field computes before training (`surrogate-mean-field`), and training was best within a factor of two of it
#    (`critical-sharpness`). The network has this sharpness, in a slope per unit of time; the one without (*LIF,
#    constant*) has 25, whatever the network. *Predicted: it is ahead by at least 5 points at each delay, with an
#    interval above zero.*
# 2. **Slow modes** (*LIF, slow modes*). Of networks with at least twenty exponents smaller than 1/delay nearly all
#    learned, at all delays (`predicting-trainability-training`). Here twenty neurons, a half, have membranes of one to
#    three times the delay; the sharpness is the critical one. Without it all have $\tau$ (*LIF, critical*), or all have
#    the geometric mean (*LIF, equally slow*). *Predicted: it is right in at least 90 % of the trials at each delay,
#    ahead of both by at least 10 points, with intervals above zero.*
# 3. **Delay lines** (*exact QIF, delay lines*). Exact gradients of uncoupled neurons fade as the membrane does
#    (`gradients-through-time`), but not along a delay, however long; and spikes of QIF neurons come and go
#    continuously (`spike-time-gradient`). Neurons without recurrence hear half of the channels at once and half after
#    about the task's delay; delays are trained. Without it all channels are heard at once (*exact QIF, no delays*), or
#    neurons are LIF (*exact LIF, delay lines*). *Predicted: it is right in at least 90 % of the trials at each delay,
#    ahead of the network without delays by at least 50 points, and of that of LIF neurons by at least 2, with intervals
#    above zero.*
# 4. **The goal of all this.** *Predicted: at each delay the exact QIF network with delay lines is not behind the best
#    surrogate network, cells of the literature among them, by more than 2 points, and needs fewer synaptic operations.*
#
# Competitors that no law was asked about: SE-adaptive, BRF and C-SiLIF cells (`cells-that-hear`), and a gated network
# of rates, which is the positive control: the task can be learned.

# %% [markdown]
# ## Budget
#
# About the same number of trained numbers; the same training trials, epochs, batches, optimiser (Adam, its rate falling
# to zero by half a cosine) and cut of gradients. Each model tries the same rates, once each, on weights and trials of a
# seed of its own; the best on validation trials is taken for all seeds, delay by delay. Parameters of neurons are not
# trained; delays are, ten times as fast as weights. Nothing else is searched: the sharpness is constant in the cells of
# the literature, too, whose other parameters are those of their papers, counted in steps.

# %% [markdown]
# ## Parameters
#
# Times are in units of $\tau$.

# %% tags=["parameters"]
models = ["LIF, critical", "LIF, slow modes", "exact QIF, no delays", "exact QIF, delay lines"]
delays = [10.0]  # of the task
seeds = [1, 2, 3]  # of weights, trials and order
rates = [0.01]  # of Adam, tried on validation trials
trials = 1024  # to train with
epochs = 4
control = "LIF, slow modes"  # what is asserted to learn the first delay, so that it can be learned
results_folder = "../results/draft/better-models"
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
from studies import better_models as study
from studies.figures.better_models import better_models_figure
from studies.kept_tables import kept_tables

jax.config.update("jax_enable_x64", True)
kept = pathlib.Path(results_folder) / "raw" / "checkpoint"
budget = study.Budget(trials=trials, epochs=epochs, rates=tuple(rates))

# %% [markdown]
# ## The contest
#
# Every model at every delay is kept as soon as it is done. A training whose gradient is not finite stops: a row with
# the accuracy of chance, and its reason.

# %%
parts = []
for delay, name in tqdm([*itertools.product(delays, models)], desc="models"):
    make = functools.partial(study.tables_of, name, study.MODELS[name], delay, seeds, budget)
    parts.append(kept_tables(kept, f"{name} {delay}".replace(" ", "_").replace(",", ""), make))
tried, table = (pd.concat(part, ignore_index=True) for part in zip(*parts, strict=True))
table["reason"] = table.reason.fillna("")
by_model = table.groupby(["model", "delay"], sort=False)
accuracies = by_model.test.agg(["mean", "min", "max"]).unstack("delay").swaplevel(axis=1).sort_index(axis=1)
accuracies.reindex(models).round(3)

# %% [markdown]
# What was searched, and accuracies on the validation trials there:

# %%
tried.pivot_table("validation", ["delay", "model"], "rate", sort=False).round(3)

# %% [markdown]
# What a model costs: `parameters`, `seconds` of the processor for a training without compilation, beside other work of
# the machine; of a trial hidden `spikes`, and synaptic operations, an operation being counted where neither weight nor
# input is zero. Delayed spikes are counted as the others are; that they must be stored is not counted. `modes`:
# exponents smaller than 1/delay before training, of LIF networks on the grid, for the first seed.

# %%
costs = ["parameters", "seconds", "spikes", "additions", "multiplications", "sharpness", "modes"]
by_model[costs].mean().round(1)

# %% [markdown]
# Accuracy where a fifth of the input spikes is lost, where they come earlier or later by a normal number of deviation
# 0.2 $\tau$, with normal errors of weights of a tenth of their deviation, and with weights of 8 bits:

# %%
disturbances = list(study.DISTURBANCES)
by_model[["test", *disturbances]].mean().round(3)

# %% [markdown]
# ## What was predicted, and what is asserted
#
# Differences are paired by seed: means, and Student's 95 % intervals over seeds. Predictions are recorded as they came
# out. Asserted is the control, without which nothing is told: one model learns the first delay, and another does not.

# %%
asked = [one for one in study.COMPARISONS if {one.model, one.without} <= set(models)]
compared = pd.DataFrame(study.compared(table, one, delay) for one, delay in itertools.product(asked, delays))
means = by_model.test.mean().unstack("delay").reindex(models)
goal = {delay: study.goal(table[table.delay == delay]) for delay in delays}
assert means[delays[0]][control] >= 0.9, f"not even the control learns:\n{means}"
assert means[delays[0]].min() <= 0.6, f"all models learn, there is nothing to tell:\n{means}"
compared.round(3)

# %%
Image(save_figure(better_models_figure(table, disturbances), results_folder), width=900)

# %% [markdown]
# **Designed networks and others.** Accuracy on new trials at each delay; small: seeds, large: means; dotted: chance
# (*a*). Synaptic operations of a trial at the first delay (*b*). Change of accuracy under disturbances of trained
# networks, at the first delay, means over seeds (*c*).
#
# ## Reading
#
# At the default scale, of one delay and few seeds, networks with slow modes are right in nearly all trials, ahead of
# those without by more than was predicted. There are about as many modes as were designed: a slow neuron is one. At the
# critical sharpness alone a network learns to tell a cue or two at best. Exact QIF networks with delay lines are right
# in nearly all trials, too, and without delays they stay at chance. As was predicted, they are not behind the best
# surrogate network and need fewer synaptic operations, by a third: their neurons are more, but no spike goes back into
# the layer. They cost several times as much processor time. Dropped and displaced spikes, errors of weights and eight
# bits take next to nothing from a network that has learned.
#
# The full study, of more models, seeds and rates and of twice the delay, says the same of both leads and of the goal.
# There networks that are all equally slow learn as well as those with slow modes, with a third of the modes: the
# prediction that they are behind failed, and with it, for this task, that it is the number of modes that counts. Exact
# LIF neurons with delay lines learn as well as anything could: that QIF neurons are ahead failed, too, at a task where
# there is nothing left to gain. The critical sharpness is not ahead of the constant one, as neither learns the delay.
# So what these networks lack is not a gradient that lasts but a state that does, and what carries the cue, slow
# membranes or a line, hardly matters. Adapting neurons, the only cells of the literature that were run, and the gated
# rate network learn nothing there in so few epochs; nothing in them was told the delay. The gated network was meant as
# the positive control and is none: that the task can be learned is shown by the designed networks alone, and a
# baseline at the level of the literature is missing. The exact network needs fewer operations than the best surrogate
# network also where multiplications, which the rule counts where a channel spikes twice in a step, are left out.
#
# A run of five seeds at the shorter delay, stopped after five of its models for want of time, had come out the same
# way.
#
# Delays and time constants were told the task's delay, which makes the designs easy and says nothing of a delay that
# is not known.
#
# **Not shown.** Resonating cells and cells with a state space; cells of the literature with their constants told the
# delay or trained for longer; tasks other than this one; recorded data; other sizes; a search over more than the rate.
# Pseudospikes, which the library has for connections without delays only. Intervals are of few seeds, and not
# corrected for their number.
#
# ## Files written
#
# `figure.{pdf,svg,png}`, `table.csv`, `table.tex` and `numbers.json` in the results folder.

# %%
numbers = study.numbers_of(table, compared, goal) | {"seeds": len(seeds), "tries": len(rates), "delays": len(delays)}
numbers |= {"epochs": epochs, "trials": trials, "stopped": int((table.reason != "").sum())}
save_table(table, results_folder)
save_numbers(numbers, results_folder)
