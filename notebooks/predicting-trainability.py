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
# # What tells, before training, whether a network will learn a delay?
#
# **Question.** Is it the number of tangent modes that reach over the delay, rather than the leading Lyapunov exponent
# or the norm of the gradient, that tells which untrained networks will learn?
#
# The answer is no if, of families of networks that a predictor was never fitted to, the number of modes tells those
# that learn from those that do not no better than the leading exponent does, or the norm, or the delay alone.

# %% [markdown]
# ## Networks and predictors
#
# The networks of `predicting-trainability-training`, drawn at random from families, with what was measured of each
# before training. A network *learns* if it ends up right more often than half way from chance to always. A *predictor*
# is one measurement, or a few, always together with the delay: logistic regression on these and their squares, fitted
# on all families but one and asked about that one, for each family in turn. It is judged by the *area under the curve*
# (AUC) of all networks together, how often one that learns is given the larger probability than one that does not: 0.5
# is guessing. Networks are resampled within families for 95 % intervals. Probabilities may order networks well and
# still be wrong, so that there is Brier's score, too, and the part that learns beside the probability told.
#
# Controls: the delay alone says what there is to know without measuring; the settings (strength of the recurrence,
# sharpness) what one knows from having made the network; the loss after one epoch of training is what a better
# measurement could hope for, as it has seen a part of the outcome.

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
smallest_area = 0.0  # within families, of the control that has seen an epoch of training: that something can be told
results_folder = "../results/draft/predicting-trainability"
training_folder = "../results/draft/predicting-trainability-training"

# %%
import json
import pathlib

import numpy as np
import pandas as pd
from IPython.display import Image

from stablespike.figures.products import save_figure, save_numbers, save_table
from studies import held_out_families as study
from studies.figures.predicting_trainability import predicting_trainability_figure

table = pd.read_csv(pathlib.Path(training_folder) / "raw" / "networks.csv")
chance = json.loads((pathlib.Path(training_folder) / "numbers.json").read_text())["chance"]
learns = (table.accuracy > (1 + chance) / 2).to_numpy()
outcome = table.assign(learns=learns).groupby("family", sort=False)
outcome[["learns", "accuracy", "leading", "modes", "rate"]].mean().round(2)

# %% [markdown]
# ## Families held out
#
# `auc` with its intervals, of new networks of these families (`low`, `high`) and of new families (`new_low`,
# `new_high`), which are few; `within`: the mean of areas within families, which no difference between families can
# raise; `score`: Brier's; `ahead`: by how much the number of modes has the larger area.

# %%
judged = study.judged_predictors(table, learns)
judged.set_index("predictor").round(3)

# %% [markdown]
# The training notebook predicted, before the first network was trained, that the number of modes is ahead of the
# leading exponent, and of the norm, by at least 0.05, with an interval that does not contain zero. What came is
# recorded as it is; asserted is only that there is something to tell: some networks learn and some do not, and the
# control that has seen an epoch tells them apart within families.

# %%
by_name = judged.set_index("predictor")
rivals = by_name.loc[["leading exponent", "norm"]]
held = (rivals.ahead >= 0.05) & (rivals.ahead_low > 0)
control = by_name.loc["loss after an epoch"]
assert 0 < learns.mean() < 1, "all networks learn, or none: there is nothing to tell"
assert control.within >= smallest_area, f"not even an epoch of training tells who learns: {control.within:.2f}"
held

# %%
shown = ["modes", "leading exponent", "all measured"]
told = {name: study.held_out_probabilities(table, learns, study.PREDICTORS[name]) for name in shown}
calibrated = {name: study.calibration(probabilities, learns) for name, probabilities in told.items()}
Image(save_figure(predicting_trainability_figure(table, judged, calibrated, chance), results_folder), width=900)

# %% [markdown]
# **What tells who learns.** Accuracy on new trials against the leading exponent (*a*) and the number of modes that
# reach over the delay (*b*), both before training, a dot for each network; dotted: chance, dashed: what counts as
# learning. Area under the curve on families held out, with 95 % intervals; in colour what was predicted (*c*). The part
# of networks that learn against the probability told (*d*).
#
# ## Reading
#
# At scale `paper` the prediction did not come true. The number of modes tells as much as the leading exponent in units
# of the delay, and no more, and hardly more than the norm. It and the exponent say something that the delay alone does
# not, by less than a tenth in area, and say it with probabilities that can be taken at their word
# (*d*). The settings, for which nothing has to be measured, are as good, and best within families. All measurements
# together are worse than one of them: what they say in one family is not what they say in another. Most of what there
# is to know before training is how long the delay is.
#
# The positive control is weak: having seen an epoch of training is hardly better than knowing the delay, within
# families as over them. That more can be told is shown by the settings, which are ahead of the delay within families;
# a task in which the delay decides less would be a sharper test.
#
# Why exponents say so little is in the figure (*a*): networks whose gradients fade a hundredfold over the shortest
# delay learn it as well as any. A reason may be that Adam divides by the size of past gradients; that was not tested.
# Accuracies gather at a quarter, a half, three quarters and all: networks that fail tell some of the four cues apart.
#
# At the default and the quick scale there are too few networks for areas to mean anything.
#
# **Not shown.** That a network learns because of what predicts it. Other tasks, exact gradients, trained time
# constants, other optimisers and longer trainings. The families are few: intervals in the figure are of new networks
# of the same families, those of new families stand in the table and are wider.
#
# ## Files written
#
# `figure.{pdf,svg,png}`, `table.csv`, `table.tex` and `numbers.json` in the results folder.

# %%
numbers = {"networks": len(table), "families": table.family.nunique(), "learn": int(learns.sum()), "chance": chance}
intervals = [f"{way}{what}{end}" for way in ("", "new_") for what in ("", "ahead_") for end in ("low", "high")]
for column in ("auc", "score", "within", "ahead", *intervals):
    numbers[column] = {name.replace(",", ""): float(value) for name, value in by_name[column].items()}
numbers |= {"held": {name: bool(value) for name, value in held.items()}}
numbers |= {"learn by family": {name: float(value) for name, value in outcome.learns.mean().items()}}
numbers |= {"calibration": {name: float(np.abs(rows.told - rows.came).mean()) for name, rows in calibrated.items()}}
save_table(judged, results_folder)
save_numbers(numbers, results_folder)
