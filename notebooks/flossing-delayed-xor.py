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
# # Does flossing extend the delay that a network can learn?
#
# **Question.** Does a recurrent network of binary neurons, trained by surrogate gradients to combine two bits of the
# past, learn longer delays if its Lyapunov exponents are brought to zero before?
#
# Engelken (2023) reports that it does. The answer would be "no" where, at a delay that plain training does not learn in
# the given number of steps, flossed networks do not either; or where the plain ones learn it as well.

# %% [markdown]
# ## Task and networks
#
# A fair bit $x_t$ arrives in every step, as $\pm1$; the answer is $y_t = x_{t-d/2}$ XOR $x_{t-d}$, scored once it is
# defined. Chance is one half, the optimal loss 0.
#
# Binary neurons without memory of their own, $v' = Vs + Wx$, $s = H(v)$, with the surrogate slope $1/(1+\beta|v|)^2$;
# the answer is read from $s$ in every step. At first all exponents are far below zero: a gradient is gone after a few
# steps. *Flossing* minimises $\frac1k\sum_{i\le k}\lambda_i^2$ of the leading $k$ exponents on one trial at a time,
# before training begins; `memory` fades the part of its gradient that goes through the trajectory. Both kinds start
# from the same weights and see the same trials.

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
seeds = [1, 2, 3]
delays = [14]  # bits
neurons = 80  # per layer
layers = [1]  # numbers of layers
gain = 1.0  # deviation of recurrent weights, times the root of the neurons
sharpness = 1.0  # beta
count = 20  # k, exponents that are flossed
flossing_steps = 300
flossing_transient = 10  # steps that are not averaged over
memory = 0.8  # part of the trajectory's derivative that is handed on in each step
flossing_rate = 3.0e-3  # of Adam
training_steps = 1500
chunk = 100  # steps between two looks
batch_size = 16  # trials
learning_rate = 1.0e-3  # of Adam
largest_norm = 1.0  # at which gradients are cut
train_trials = 2000
test_trials = 500
results_folder = "../results/draft/flossing-delayed-xor"
data_folder = "../data"

# %%
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from IPython.display import Image
from tqdm import tqdm

from stablespike.dynamics.grid_cells import BinaryCell
from stablespike.figures.flossed_training import flossed_training_figure
from stablespike.figures.products import save_figure, save_numbers, save_table
from stablespike.learning.bit_answers import bit_streams
from stablespike.learning.surrogate import SuperSpike, SurrogateSpike
from stablespike.stability.flossing import Before, Flossing, Never
from stablespike.stability.flossing_training import (
    joint_flossing,
    random_bit_answers,
    tables_of,
    train_to_answer,
)
from stablespike.tasks.temporal import delayed_xor

# %% [markdown]
# ## Training with and without flossing
#
# In float32, all seeds at once. Trials last twice the delay and twenty bits more.

# %%
cell = BinaryCell(0.0, SurrogateSpike(SuperSpike(sharpness)))
cut = optax.clip_by_global_norm(largest_norm)
flossing = joint_flossing(Flossing(count, transient=flossing_transient, memory=memory))
keys = jnp.stack([jax.random.key(seed) for seed in seeds])
tables = [], [], []
for depth, delay, flossed in itertools.product(layers, delays, [False, True]):
    train, test = (
        bit_streams(*delayed_xor(np.random.default_rng(place), trials, 2 * delay + 20, delay))
        for place, trials in enumerate([train_trials, test_trials])
    )
    build = eqx.Partial(random_bit_answers, cell=cell, sizes=(neurons,) * depth, channels=1, gain=gain, input_gain=1.0)
    found = train_to_answer(
        eqx.filter_vmap(build)(keys), keys, train, test, optimiser=optax.chain(cut, optax.adam(learning_rate)),
        trials=batch_size, steps=training_steps, chunk=chunk, flossing=flossing, progress=tqdm,
        schedule=Before(flossing_steps) if flossed else Never(),
        flossing_optimiser=optax.chain(cut, optax.adam(flossing_rate)),
    )  # fmt: skip
    name = {"kind": "one layer" if depth == 1 else f"{depth} layers", "delay": delay, "flossed": flossed}
    for table, part in zip(tables, tables_of(found, seeds, chunk, test), strict=True):
        table.append(part.assign(**name))
results, course, norms = (pd.concat(table, ignore_index=True) for table in tables)
results.groupby(["kind", "delay", "flossed"])[["accuracy", "norm"]].agg(["median", "min", "max"])

# %% [markdown]
# ## The claim, asserted
#
# At the longest delay every flossed network of one layer answers better than every plain one.

# %%
longest = results[(results.delay == max(delays)) & (results.kind == results.kind.iloc[0])]
plain, treated = (longest[longest.flossed == flossed].accuracy for flossed in (False, True))
assert treated.min() > plain.max(), f"flossing does not help:\n{longest}"

# %% [markdown]
# ## Figure and table
#
# Beside them as open circles, the published accuracies after 3001 steps (Engelken 2023, read off a figure).

# %%
published = {
    False: {10: 1.0, 14: 1.0, 18: 0.53, 22: 0.53, 26: 0.53},
    True: {10: 1.0, 14: 1.0, 18: 0.99, 22: 0.76, 26: 0.64},
}
shown = longest[["kind", "delay"]].drop_duplicates()
figure = flossed_training_figure(results, course.merge(shown), norms.merge(shown), published)
Image(save_figure(figure, results_folder), width=900)

# %% [markdown]
# **Delayed XOR with and without flossing.** Test accuracy against the delay (*a*; dots: all networks, open circles:
# published), accuracy on the training trials during training (*b*) and, after it, the norm of the gradient of the last
# answer in the states before it (*c*), at the longest delay; lines: medians over networks, bands: all.
#
# ## Reading
#
# Where plain training stays at chance for all of its steps, networks whose leading exponents were first brought to zero
# learn: not to the end in the steps given, with a wide scatter between seeds, but all of them (*a*, *b*). The reason is
# visible in the gradient: in plain networks it loses about a factor of two with every step and is gone before it
# reaches the bits that matter, in flossed ones it keeps its norm over the whole trial (*c*).
#
# **Beside the published picture** the phenomenon is the same, the numbers are not: there, plain training still solves a
# delay of 14, and flossed networks solve it completely. Those networks were trained for twice as many steps, with up to
# all exponents flossed in several blocks, and from other weights; that ours start with exponents far below zero makes
# plain training harder, and is the likely reason why flossing matters at shorter delays here.
#
# **Not shown.** Longer delays and training, two layers, spiking neurons with memory of their own, flossing during
# training, and whether a better initial gain or surrogate would do as well as flossing. Where fewer than a handful of
# seeds are run their scatter is only an impression.

# %% [markdown]
# ## Files written
#
# `figure.{pdf,svg,png}`, `table.csv`, `table.tex` and `numbers.json` in the results folder.

# %%
by_setting = results.groupby(["kind", "flossed", "delay"], sort=False).accuracy.agg(["median", "min", "max"])
numbers = {
    f"{kind.replace(' ', '_')}_{'flossed' if flossed else 'plain'}_{delay}": row.to_dict()
    for (kind, flossed, delay), row in by_setting.iterrows()
}
numbers |= {
    "plain": plain.agg(["median", "min", "max"]).to_dict(),
    "flossed": treated.agg(["median", "min", "max"]).to_dict(),
}
numbers |= {"longest": max(delays), "seeds": len(seeds), "neurons": neurons, "steps": training_steps, "count": count}
numbers |= {
    "flossing_steps": flossing_steps,
    "norms": {f"{k}": v for k, v in longest.groupby("flossed").norm.median().items()},
}
save_table(results, results_folder)
save_numbers(numbers, results_folder)
