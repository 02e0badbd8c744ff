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
# # Do exact gradients of long trials lead downhill?
#
# **Question.** Networks of LIF neurons that learn by exact gradients to name the waves of a heart end where their
# readout alone does (`electrocardiogram`): hidden weights learn nothing. Is their gradient lost in long trials, or
# noise, or does it lead nowhere?
#
# An exact gradient sees spikes move. It does not see them come and go, which is a jump of the loss. A gradient that
# grows with the length of a trial can be limited, one that is noise averaged; one that is right at a point and wrong
# around it can be helped by neither. The answer is no if steps along the exact gradient raise the loss.

# %% [markdown]
# ## The claim
#
# Written down before the runs at scale `paper`, after trial runs with one network of each kind:
#
# 1. *Not the length:* the norm of a trial's gradient grows by less than the square root of its length (LIF).
# 2. *Not noise:* gradients of LIF networks on two halves of the pieces agree, cosine above `claimed_agreement`.
# 3. *Uphill:* along their own exact gradient the loss of LIF networks rises at a step of `claimed_step` of the norm of
#    their weights, though its slope there is that of the gradient; along the surrogate's it falls.
# 4. *Continuity helps:* along the exact gradient of QIF networks that a clock keeps spiking, whose spikes do not come
#    and go within a trial, the loss falls at a step of `claimed_step`.
# 5. *And they learn:* such networks name `claimed_gain` more steps of the validation trials than their readout alone.
#    (LIF networks do not, as `electrocardiogram` found.)
#
# What is asserted is that the slope is right and that all networks do better than twice chance; `held` in
# `numbers.json` says which claims came true.

# %% [markdown]
# ## What is measured
#
# Networks, data and loss $L$ are those of `electrocardiogram`. The readout learns first, alone, for an epoch. Then
# hidden weights $w$ have a gradient $g_p$ for each piece $p$ of a trial. Looked at are its norm for several lengths;
# the cosine between the means over two halves of the pieces; and $L(w - s\,|w|\,g/|g|) - L(w)$ for steps $s$, in
# double precision, where $g$ is the mean over pieces, each piece's made as short as the middle one where it is longer.
# The surrogate's gradient is that of the same weights on a grid, and the loss always that of the exact network.
#
# A driven network has more weight on the clock, so that all neurons spike. By events, spikes of QIF neurons come and go
# at the end of a trial alone; LIF neurons graze their threshold.

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
kinds = ["LIF", "QIF"]
drives = ["", "driven"]  # what is changed of each
lengths = [81, 325]  # steps of a piece
pieces = 32
readout_trials = 32  # from which readouts learn first
sizes = [1e-8, 1e-3, 1e-2]  # s
trained = [["QIF", "driven", "large steps"], ["QIF", "driven", "large steps", "readout alone"]]
epochs = 1
seeds = [1]
sharpness = 10.0  # of the surrogate that is compared
hidden = 36  # neurons
batch_steps = 20800  # of all pieces of a batch
validation_trials = 78
claimed_agreement = 0.5
claimed_step = 1e-3
claimed_gain = 0.05
results_folder = "../results/draft/long-trials"
data_folder = "../data"

# %%
import functools
import itertools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from IPython.display import Image
from tqdm import tqdm

from stablespike.figures.products import save_figure, save_numbers, save_table
from stablespike.tasks.electrocardiograms import WAVES, electrocardiograms
from studies import electrocardiogram as hearts
from studies import long_trials as study
from studies.figures.long_trials import long_trials_figure

jax.config.update("jax_enable_x64", True)
raw = pathlib.Path(results_folder) / "raw"

# %% [markdown]
# ## Networks whose readout has learned
#
# Training and validation trials alone; the test is not looked at.

# %%
split = electrocardiograms(pathlib.Path(data_folder) / "ecg_qtdb.npz")
training, validation = hearts.held_out(split.train, validation_trials)
changes = {kind: [drive] if drive else [] for kind, drive in zip(kinds, drives, strict=True)}
networks = {}
for kind in kinds:
    states = hearts.train(
        study.changed(kind, [*changes[kind], "readout alone"]), study.some_of(training, range(readout_trials)),
        study.some_of(validation, range(8)), hidden=hidden, epochs=1, batch_steps=batch_steps, seeds=seeds,
        folder=raw / "readouts", progress=functools.partial(tqdm, desc=kind),
    )  # fmt: skip
    networks |= {(kind, seed): study.in_double(state.parameters) for seed, (state, _) in states.items()}

# %% [markdown]
# ## Norms and agreement
#
# `hidden` and `readout`: norms of the gradient of a piece, `middle` the median one; `loudest`: the part of the sum of
# squares of one piece.

# %%
ways = {"exact": {}, "surrogate": {"exact": False, "sharpness": sharpness}}
trials = {
    steps: study.in_double(study.spread(hearts.trials_of(study.some_of(training, range(pieces)), steps), pieces))
    for steps in lengths
}
rows, gradients = [], {}
for (kind, seed), steps, (way, own) in itertools.product(networks, lengths, ways.items()):
    loss = study.on_pieces(study.changed(kind, changes[kind])._replace(**own), hidden, steps)
    gradients[kind, seed, steps, way] = study.gradients_of(loss, networks[kind, seed], trials[steps])
    found = study.described(gradients[kind, seed, steps, way])
    rows.append({"kind": kind, "gradient": way, "seed": seed, "steps": steps} | found)
table = pd.DataFrame(rows)
norms = table.groupby(["kind", "gradient", "steps"], sort=False).mean().drop(columns="seed").reset_index()
norms.round(3)

# %% [markdown]
# ## Along the gradient

# %%
rows, length = [], lengths[-1]
for (kind, seed), way in itertools.product(networks, ways):
    loss = study.on_pieces(study.changed(kind, changes[kind]), hidden, length)
    own = np.asarray(gradients[kind, seed, length, way].hidden)
    exact = np.asarray(gradients[kind, seed, length, "exact"].hidden).mean(0)
    down = -study.shortened(own, float(np.median(np.linalg.norm(own, axis=1)))).mean(0)
    network = networks[kind, seed]
    values = np.asarray(study.losses_along(loss, network, trials[length], jnp.asarray(down), jnp.asarray([0, *sizes])))
    slope = exact @ down / np.linalg.norm(down) * float(jnp.linalg.norm(study.hidden_weights(network)))
    change = {"size": sizes, "change": values[1:] - values[0], "foretold": np.array(sizes) * slope}
    rows.append(pd.DataFrame({"kind": kind, "gradient": way, "seed": seed} | change))
along = pd.concat(rows, ignore_index=True)
falls = along.groupby(["kind", "gradient", "size"], sort=False).mean().drop(columns="seed").reset_index()
falls.pivot_table(index="size", columns=["kind", "gradient"], values="change", sort=False)

# %%
smallest = along[along["size"] == min(sizes)]
assert np.allclose(smallest.change, smallest.foretold, rtol=0.1), f"the slope is not that of the gradient:\n{smallest}"

# %% [markdown]
# ## Training
#
# The same kinds, each with its control whose hidden weights stay as they were drawn. Curves are those of the validation
# trials.

# %%
curves = []
for kind, *own in trained:
    name = study.called(kind, own)
    states = hearts.train(
        study.changed(kind, own), training, validation, hidden=hidden, epochs=epochs, batch_steps=batch_steps,
        seeds=seeds, folder=raw / name.replace(" ", "-"), progress=functools.partial(tqdm, desc=name),
    )  # fmt: skip
    curves += [pd.DataFrame(rows).assign(kind=name, seed=seed) for seed, (_, rows) in states.items()]
history = pd.concat(curves, ignore_index=True)
ends = history[history.epoch == epochs].set_index(["kind", "seed"])
assert (ends.test_accuracy > 2 / len(WAVES)).all(), f"a network does no better than twice chance:\n{ends}"
ends.test_accuracy.unstack("seed").round(3)

# %% [markdown]
# ## What came of the claims

# %%
ends_by = ends.test_accuracy.groupby("kind", sort=False).mean()
control = study.CONTROL
gains = {
    kind: ends_by[kind] - ends_by[f"{kind}, {control}"] for kind in ends_by.index if f"{kind}, {control}" in ends_by
}
at = falls[np.isclose(falls["size"], claimed_step)].set_index(["kind", "gradient"]).change
first = norms[(norms.kind == kinds[0]) & (norms.gradient == "exact")]
growth = study.exponent(first.steps, first.hidden)
held = {"not the length": growth < 0.5, "not noise": bool(first.agreement.iloc[-1] > claimed_agreement)}
held["uphill"] = bool(at[kinds[0], "exact"] > 0 > at[kinds[0], "surrogate"])
held["continuity helps"] = bool(at[kinds[-1], "exact"] < 0)
held["they learn"] = all(bool(gain >= claimed_gain) for gain in gains.values())
print(f"growth with the length: {growth:.2f}; gains over the readout alone: {gains}; {held}")

# %%
Image(save_figure(long_trials_figure(norms, falls, history), results_folder), width=900)

# %% [markdown]
# **Exact gradients of long trials.** Norm of the gradient of a piece (root of the mean square) against its length
# (*a*); change of the exact network's loss by a step against a gradient, on the pieces that the gradient is of (*b*;
# means over networks; dashed in both: the second kind); steps of the validation trials that are named rightly against
# the epoch, for networks whose hidden weights learn or stay (*c*; lines: means over seeds, bands: all).
#
# ## Reading
#
# At scale `paper` this has not been run yet.
#
# **Not shown.** Other tasks, other lengths of a step along a line than those of one direction, pieces that begin in the
# state in which the last one ended, neurons with different time constants, the test trials.
#
# ## Files written
#
# `figure.{pdf,svg,png}`, `table.csv`, `table.tex` and `numbers.json` in the results folder; checkpoints.

# %%
numbers = {"growth": growth, "held": held, "gain": gains, "accuracy": ends_by.to_dict(), "epochs": epochs}
numbers |= {"change": {f"{kind}, {way}": value for (kind, way), value in at.items()}, "step": claimed_step}
numbers |= {"agreement": {f"{row.kind}, {row.gradient}, {row.steps}": row.agreement for row in norms.itertuples()}}
numbers |= {"norm": {f"{row.kind}, {row.gradient}, {row.steps}": row.hidden for row in norms.itertuples()}}
numbers |= {"deviation": ends.test_accuracy.groupby("kind").std().fillna(0).to_dict(), "seeds": seeds}
save_table(table, results_folder)
save_numbers(numbers, results_folder)
