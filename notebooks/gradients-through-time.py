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
# # What is left of a gradient after a delay?
#
# **Question.** On its way back through a recurrent spiking network, does the gradient of an exact simulation fade or
# explode as the surrogate gradient of the same network does?
#
# If the two were views of one thing, norm and dimensionality would depend on the delay in the same way, and the grid of
# the surrogate would not matter. The answer would be "yes" if their curves fell onto each other.

# %% [markdown]
# ## What is measured
#
# One recurrent layer with Poisson input, $n$ neurons, state $x$ of voltages and currents (QIF neurons: of angle and
# current). A loss that looks at the end only, $L = c\cdot x(T)$ with a random $c$ of unit length, has at the time
# $T-d$ the gradient $J_d^\top c$, where $J_d$ is the Jacobian of the delay $d$. Over all $c$
#
# - its root-mean-square norm is $\sqrt{\mathrm{tr}\,K/2n}$, $K = J_d^\top J_d$,
# - its dimensionality, the participation ratio, is $(\mathrm{tr}\,K)^2/\mathrm{tr}\,K^2$, about zero,
# - its spectrum is that of the singular values of $J_d$.
#
# All three are computed from the whole $J_d$, so that no finite batch of losses biases them. *Exact*: leaky (LIF) and
# quadratic (QIF) neurons event by event, $\tau\dot V=-V+I$ or $V(V-1)+I$, $(\tau/2)\dot I=-I$. *Surrogate*: the LIF
# neurons in steps of $\Delta t$, slope $1/(1+\beta|V-1|)^2$, reset applied and not differentiated. Weights and input
# spikes are the same for all.

# %% [markdown]
# ## Parameters
#
# Times are in units of $\tau$.

# %% tags=["parameters"]
seeds = [1, 2, 3]  # of weights and input
neurons = 32
channels = 20
input_rate = 0.5  # spikes per tau and channel
input_mean = 8.0  # sum of the mean input weights of a neuron
input_spread = 4.0  # deviation of input weights, times the root of the channels
loop = 1.0  # deviation of recurrent weights, times the root of the neurons
windows = 20  # of length tau
steps = [20, 100]  # of the grid in a tau
sharpness = 10.0  # beta, per unit of the threshold
spectrum_delay = 5  # tau
fitted_from = 5.0  # tau: shortest delay of the fitted growth rate
budget = 12  # mean of the spikes of a neuron in a window for which there is room
results_folder = "../results/draft/gradients-through-time"
data_folder = "../data"

# %%
import jax
import numpy as np
import pandas as pd
from IPython.display import Image
from tqdm import tqdm

import stablespike as ss
from stablespike.figures.products import save_figure, save_numbers, save_table
from stablespike.tasks.poisson import poisson_spikes
from studies.figures.gradient_stability import gradients_through_time_figure
from studies.gradients_through_time import growth_of_gradients, growth_rate
from studies.surrogate_versus_exact import random_network

jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## Gradients of untrained networks

# %%
kinds = {f"{neuron.__name__}, exact": (neuron(1.0), ss.Events(budget)) for neuron in (ss.LIF, ss.QIF)}
kinds |= {f"surrogate, tau/{n}": (ss.LIF(1.0), ss.Grid(1.0 / n, ss.SuperSpike(sharpness))) for n in steps}
weights = {"mean": input_mean, "spread": input_spread, "loop": loop}
curves, spectra, rows = [], [], []
for seed in tqdm(seeds, desc="networks"):
    spikes = poisson_spikes(np.random.default_rng(seed), input_rate, channels, float(windows))
    for kind, (neuron, on) in kinds.items():
        network = random_network(jax.random.key(seed), neuron, channels, (neurons,), **weights)
        found = growth_of_gradients(ss.as_step(network, on=on, window=1.0), spikes, windows)
        columns = {"delay": found.delays, "norm": found.norm, "dimension": found.dimension}
        curves.append(pd.DataFrame(columns).assign(kind=kind, seed=seed))
        values = found.singular[spectrum_delay - 1] / found.singular[spectrum_delay - 1, 0]
        values = {"index": np.arange(values.size) + 1, "singular": values}
        spectra.append(pd.DataFrame(values).assign(kind=kind, seed=seed))
        last = {"norm": found.norm[-1], "dimension": found.dimension[-1]}
        rows.append({"kind": kind, "seed": seed, "rate": found.rate, "growth": growth_rate(found, fitted_from), **last})
curves, spectra = pd.concat(curves, ignore_index=True), pd.concat(spectra, ignore_index=True)
table = pd.DataFrame(rows)
table.groupby("kind", sort=False)[["rate", "growth", "norm", "dimension"]].agg(["median", "min", "max"])

# %% [markdown]
# ## The claim, asserted
#
# The exact gradient has no grid. That of the surrogate has one, and on the finer of two grids it grows faster, in every
# network: it is not the gradient of the network alone. And a dimensionality lies between one and that of the state.

# %%
growth = table.pivot_table("growth", "seed", "kind", sort=False)
coarse, fine = (growth[f"surrogate, tau/{count}"] for count in (min(steps), max(steps)))
assert (fine > coarse).all(), f"the surrogate gradient does not grow faster on the finer grid:\n{growth}"
assert curves.dimension.between(1 - 1e-9, 2 * neurons).all(), "a dimensionality is impossible"
growth

# %% [markdown]
# ## Figure

# %%
figure = gradients_through_time_figure(curves, spectra[spectra.singular > 0], at=spectrum_delay)
Image(save_figure(figure, results_folder), width=900)

# %% [markdown]
# **Gradients against the delay.** Root-mean-square norm of the gradient of random losses at the end (*a*), its
# dimensionality (*b*), and singular values of the Jacobian of one delay in units of the largest (*c*); lines: medians
# over networks, bands: all. Of a hard reset, the gated surrogate keeps nothing of the voltage: its spectrum ends early.
#
# ## Reading
#
# Three networks that fire alike, with the same weights and the same input, have three different gradients. Those of the
# exact simulations change slowly: fitted rates are near zero, for LIF as for QIF neurons, though the latter spike a few
# times less often. Over the longest delay even this can be an order of magnitude. That of the surrogate fades by orders
# of magnitude on the coarse grid and explodes on the fine one (*a*). The difference between the grids is far larger
# than the scatter between networks.
#
# Dimensionality falls within a few $\tau$ in all of them: whatever the losses, their gradients soon point along a few
# directions, and along a single one where they explode (*b*). Exact gradients keep a few over twenty time constants in
# some networks and hardly more than one in others; over twice that, at scale `paper`, hardly more than one in the
# median. Half of the exact spectrum is separated from the rest by the fast decay of what a reset or
# a synapse forgets; the gated surrogate loses these directions for good, as its reset erases them (*c*).
#
# **Not shown.** Trained networks, other strengths of recurrence or forms of the surrogate
# (`lyapunov-predicts-gradients` varies recurrence and sharpness), and losses that look at more than the end. Norms
# depend on the unit of the state, growth rates do not; dimensionality depends on it too, and QIF neurons have another
# state.

# %% [markdown]
# ## Files written
#
# `figure.{pdf,svg,png}`, `table.csv`, `table.tex` and `numbers.json` in the results folder.

# %%
by_kind = table.groupby("kind", sort=False)
short = {kind: kind.replace(", ", "_").replace("tau/", "").lower() for kind in kinds}
numbers = {"seeds": len(seeds), "neurons": neurons, "sharpness": sharpness, "fitted_from": fitted_from}
for column in ("rate", "growth", "dimension"):
    summary = by_kind[column].agg(["median", "min", "max"])
    numbers |= {f"{column}_{short[k]}_{name}": row[name] for k, row in summary.iterrows() for name in summary}
save_table(table, results_folder)
save_numbers(numbers, results_folder)
