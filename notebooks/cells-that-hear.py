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
# # Cells that hear: does a richer neuron reach the level of the literature?
#
# **Question.** Does a neuron that adapts or resonates, with everything else equal (readout, loss, augmentation,
# optimiser, epochs, number of neurons), take a recurrent network trained by surrogate gradients to the level of the
# literature on speakers that it never heard?
#
# Networks of LIF neurons name most trials of their training speakers here, and many fewer of others
# (`networks-that-hear`); time constants that differ and are trained did not help (`time-constants`). Published networks
# of adaptive and resonating neurons are ten to twenty points ahead of LIF on the Spiking Heidelberg Digits, but with
# other readouts, augmentation and training, so that the neuron need not be the reason.

# %% [markdown]
# ## The claim
#
# Written down before the networks of `cells-that-hear-training` were trained at scale `paper`:
#
# 1. At least one kind names the part `claimed_level` of the test trials or more, in the mean over seeds.
# 2. The kind that is best on the *validation* speakers is ahead of LIF by `claimed_gain` or more on the test speakers,
#    in the mean over seeds, and McNemar's exact test gives less than `significance` for every seed.
#
# What is asserted below are `least_level` and `least_gain`; where they are smaller than what was claimed, the claim did
# not come true, and `held` in `numbers.json` says so.

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
claimed_level = 0.86
claimed_gain = 0.02
significance = 0.05
least_level = 0.1
least_gain = -1.0
results_folder = "../results/draft/cells-that-hear"
training_folder = "../results/draft/cells-that-hear-training"
data_folder = "../data"
cache_folder = "../.cache/spikes/draft"

# %%
import functools
import itertools
import json
import pathlib

import jax
import numpy as np
import pandas as pd
from IPython.display import Image
from tqdm import tqdm

from stablespike.figures.products import save_figure, save_numbers, save_table
from stablespike.tasks.named_sets import NAMED_SETS, Places
from stablespike.tasks.speaker_splits import Split
from studies import cells_that_hear as study
from studies import networks_that_hear as hearing_study
from studies.figures.cells_that_hear import cells_that_hear_figure

jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## A linear classifier on the same trials, and published values
#
# Logistic regression on the square roots of spike counts in 35 groups of channels and 14 bins of time, solved
# approximately. Published values are context: they come from the official set, whose test holds trials of training
# speakers as well, and from other readouts, losses and training.

# %%
raw = pathlib.Path(training_folder) / "raw"
setup = json.loads((raw / "setup.json").read_text())
history, ends = pd.read_csv(raw / "history.csv"), pd.read_csv(raw / "ends.csv")
places = Places(data_folder, cache_folder, functools.partial(tqdm, desc="recordings"))
split = hearing_study.validated(setup["dataset"], NAMED_SETS[setup["dataset"]](places))
linear = study.linear_accuracy(Split(split.train, split.test), setup["duration"])
print(f"linear classifier: {linear:.3f}")
pd.DataFrame(study.PUBLISHED, columns=["network", "accuracy on the official set", "source"]).set_index("network")

# %% [markdown]
# ## Accuracy and cost

# %%
keys = ["kind", "seed"]
seconds = history[history.epoch > 1].groupby(keys).seconds.median()  # the first epoch compiles
table = ends.join(seconds, on=keys)
test_trials = setup["trials"]["test"]
table["low"], table["high"] = zip(*(hearing_study.wilson(one, test_trials) for one in table.test), strict=True)
means = table.groupby("kind", sort=False)[["train", "validation", "test"]].mean()
table.groupby("kind", sort=False)[["train", "validation", "test"]].agg(["mean", "min", "max"]).round(3)

# %%
costs = ["spikes", "operations", "parameters", "silent", "seconds"]
table.groupby("kind", sort=False)[costs].mean()

# %% [markdown]
# `spikes` of the hidden layer and synaptic `operations` in a test trial; trained `parameters`; `silent`: the part of
# the neurons that never spikes; `seconds` of an epoch with its judging, beside other work of the machine. LIF cells run
# in native kernels, the others in a compiled scan.
#
# What became of the neurons' parameters (means over seeds of quantiles over neurons; `low` and `high`: the ends between
# which they were drawn):

# %%
constants = pd.read_csv(raw / "constants.csv")
constants.groupby(["kind", "parameter"], sort=False)[["low", "high", "tenth", "middle", "ninetieth"]].mean().round(4)

# %% [markdown]
# Test speakers, one by one, and trials that only the one or only the other kind names rightly, with the probability of
# so unequal a part by chance:

# %%
with np.load(raw / "named.npz") as file:
    right = {key: file[f"{key[0]}-{key[1]}"] == split.test.labels for key in table.set_index(keys).index}
by_speaker = pd.DataFrame(
    {f"speaker {one}": values[split.test.speakers == one].mean() for one in np.unique(split.test.speakers)}
    for values in right.values()
).set_index(pd.MultiIndex.from_tuples(right, names=keys))
by_speaker.groupby("kind", sort=False).mean().round(3)

# %%
paired = pd.DataFrame(
    {"kind": one, "other": other, "seed": seed}
    | dict(
        zip(("only kind", "only other", "p"), hearing_study.mcnemar(right[one, seed], right[other, seed]), strict=True)
    )
    for one, other in itertools.combinations(means.index, 2)
    for seed in sorted(set(table.seed))
)
paired

# %% [markdown]
# ## What came of the claim

# %%
best, first = means.validation.idxmax(), means.index[0]
gain = means.test - means.test[first]
against = paired[(paired.kind == first) & (paired.other == best)]
held = {"level": bool(means.test.max() >= claimed_level), "gain": bool(gain[best] >= claimed_gain)}
held["test"] = bool(len(against) and (against.p < significance).all())
sides = [set(one) for one in setup["speakers"].values()]
assert not any(sides[i] & sides[j] for i in range(3) for j in range(i)), "a speaker is on two sides"
assert means.test.max() >= least_level, f"no kind names so many test trials:\n{means.test}"
assert gain[best] >= least_gain, f"{best}, best on the validation speakers, is not so far ahead of {first}:\n{gain}"
print(f"best on the validation speakers: {best}; ahead of {first} on the test by {100 * gain[best]:.1f} points; {held}")

# %%
figure = cells_that_hear_figure(history, table, linear, setup["chance"], claimed_level)
Image(save_figure(figure, results_folder), width=900)

# %% [markdown]
# **Cells that hear.** Accuracy on the validation speakers against the epoch (*a*; lines: means over seeds, bands: all);
# at the end on the training, validation and test speakers (*b*; dots: seeds; bars: Wilson's 95 % interval on the test
# trials; line: the level claimed of the best kind), beside the linear classifier on the test trials (dashed) and chance
# (dotted).
#
# ## Reading
#
# At scale `paper`, with three seeds, the second claim came true, the first for two kinds and by a hair. SE-adaptive and
# C-SiLIF cells reach the claimed level in the mean over seeds; BRF cells, the best on the validation speakers, just
# miss it. Wilson's intervals of most of these networks span the level, so that which of the three is ahead is not
# shown. All three are ahead of LIF by much more than was claimed, in every seed, and learn faster: a third to a half of
# the epochs takes them on the validation speakers to where LIF networks end.
#
# Three things make this less than it sounds. First, LIF networks are not at their end after so few epochs: those of
# `networks-that-hear`, by other penalties and with twice as many epochs, make up about three fifths of the lead, and
# *LIF, different* at the same epochs nearly as much. What the richer neuron adds beyond slower membranes and longer
# training is of the order of the gain that was claimed, no more; of the three, SE-adaptive cells alone are ahead of
# *LIF, different* by the paired test in every seed. Second, the level of the literature in the strict sense is not
# reached: published networks of the same cells stand several points higher on the official set, with more epochs,
# finer steps or more layers. Third, speakers still limit: all kinds name nine of ten training trials or more, and far
# fewer of the validation speakers'. The adaptive and resonating cells spike half as often again as LIF cells or twice
# as often, for a tenth to a sixth more synaptic operations, most of which are those of the input.
#
# **Not shown.** Exact gradients: these cells exist on a grid only. More than one layer, other numbers of neurons,
# delays, longer training, a search for each kind alone. Intervals and paired tests count trials as independent; there
# are few test speakers, and the recordings are not the official set.
#
# ## Files written
#
# `figure.{pdf,svg,png}`, `table.csv`, `table.tex` and `numbers.json` in the results folder.

# %%
numbers = {"linear": linear, "chance": setup["chance"], "test_trials": test_trials, "hidden": setup["hidden"]}
numbers |= {"epochs": setup["epochs"], "changes": setup["changes"], "seeds": int(table.seed.nunique())}
numbers |= {"accuracy": {name: row.to_dict() for name, row in means.iterrows()}, "gain": gain.to_dict(), "best": best}
numbers |= {"costs": {name: row.to_dict() for name, row in table.groupby("kind")[costs[:-1]].mean().iterrows()}}
numbers |= {"by_speaker": {name: row.to_dict() for name, row in by_speaker.groupby("kind").mean().iterrows()}}
numbers |= {"p": {f"{one.kind} / {one.other} / {one.seed}": one.p for one in paired.itertuples()}, "held": held}
numbers |= {"claimed": {"level": claimed_level, "gain": claimed_gain}}
save_table(table, results_folder)
save_numbers(numbers, results_folder)
