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
# # Do Lyapunov exponents predict how gradients fare?
#
# **Question.** Does the leading Lyapunov exponent of a spiking network, measured forwards on one input, say how fast
# gradients grow or fade backwards on another, for exact networks as for surrogate ones?
#
# In the limit of long times it must, by the theorem of Oseledets. A trial is not long, and exact gradients of leaky
# neurons are made of few large factors; the answer would be "no" where rates differ by more than they scatter.

# %% [markdown]
# ## Two routes
#
# *Forwards:* tangent vectors are carried along from window to window and kept orthonormal; $\lambda_1$ is their mean
# logarithmic growth per unit of time. *Backwards:* the gradient of random losses at the end of a run with other input
# spikes, $J_d^\top c$ at a delay $d$; the slope of the logarithm of its norm against $d$ is the growth rate. The first
# route uses forward mode and knows no loss; the second is reverse mode, which training uses.
#
# Networks are those of `gradients-through-time`: one layer of LIF or QIF neurons event by event, and LIF neurons with
# a surrogate gradient of sharpness $\beta$ in steps of $\Delta t$, in the same weights, for several strengths of the
# recurrence.

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
loops = [0.5, 1.0, 2.0]  # deviation of recurrent weights, times the root of the neurons
windows = 30  # of length tau
transient = 6  # windows that are not averaged over
steps = [20, 100]  # of the grid in a tau
sharpnesses = [1.0, 3.0, 10.0, 30.0, 100.0]  # beta, per unit of the threshold
fitted_from = 6.0  # tau: shortest delay of the fitted growth rate
budget = 16  # mean of the spikes of a neuron in a window for which there is room
results_folder = "../results/draft/lyapunov-predicts-gradients"
data_folder = "../data"

# %%
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from IPython.display import Image
from tqdm import tqdm

import stablespike as ss
from stablespike.figures.products import save_figure, save_numbers, save_table
from stablespike.tasks.poisson import poisson_spikes
from studies.figures.gradient_stability import lyapunov_predicts_gradients_figure
from studies.gradients_through_time import growth_of_gradients, growth_rate
from studies.surrogate_versus_exact import random_network

jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## Exponents and gradients

# %%
exact = [(f"{neuron.__name__}, exact", np.nan, neuron(1.0), ss.Events(budget)) for neuron in (ss.LIF, ss.QIF)]
grids = [
    (f"surrogate, tau/{count}", beta, ss.LIF(1.0), ss.Grid(1.0 / count, ss.SuperSpike(jnp.asarray(beta))))
    for count, beta in itertools.product(steps, sharpnesses)
]
rows = []
for loop, seed in tqdm(list(itertools.product(loops, seeds)), desc="networks"):
    random = np.random.default_rng(seed)
    forward, backward = (poisson_spikes(random, input_rate, channels, float(windows)) for _ in range(2))
    key, weights = jax.random.key(seed), {"mean": input_mean, "spread": input_spread, "loop": loop}
    for kind, beta, neuron, on in [*exact, *grids]:
        step = ss.as_step(random_network(key, neuron, channels, (neurons,), **weights), on=on, window=1.0)
        spectrum = ss.lyapunov_spectrum(
            step, step.rest(), step.drives(forward, windows), transient=transient, count=1, key=key, blocks=8,
            duration=step.duration,
        )  # fmt: skip
        rate = step.require_ran(spectrum.state.system, windows)
        names = {"kind": kind, "seed": seed, "loop": loop, "sharpness": beta, "rate": rate}
        found = {"exponent": float(spectrum.exponents[0]), "error": float(spectrum.standard_errors[0])}
        growth = growth_rate(growth_of_gradients(step, backward, windows), fitted_from)
        rows.append(names | found | {"growth": growth})
networks = pd.DataFrame(rows)
networks.groupby(["kind", "loop"], sort=False)[["rate", "exponent", "growth"]].median().unstack()

# %% [markdown]
# ## The claim, asserted
#
# Over all networks exponents and growth rates are correlated, and they differ by less than the exponents of different
# networks do. (Those of the exact networks are so much alike that nothing is asserted of their correlation alone; it is
# shown below.) What sets the exponents of the surrogate is asserted, too: at the strongest recurrence the bluntest
# explodes, the sharpest fades.

# %%
gap = networks.growth - networks.exponent
correlation = float(np.corrcoef(networks.exponent, networks.growth)[0, 1])
spread = float(networks.exponent.std())
assert correlation > 0.95, f"exponents do not predict growth rates: correlation {correlation:.3f}"
assert gap.abs().median() < 0.2 * spread, f"they differ by {gap.abs().median():.3f}, the networks by {spread:.3f}"
strongest = networks[(networks["loop"] == max(loops)) & networks.sharpness.notna()]
medians = strongest.pivot_table("exponent", "sharpness", "kind", aggfunc="median", sort=True)
assert (medians.iloc[0] > 0).all(), f"a blunt surrogate does not explode:\n{medians}"
assert (medians.iloc[-1] < 0).all(), f"a sharp surrogate does not fade:\n{medians}"
crossing = medians.apply(lambda column: np.exp(np.interp(0.0, -column, np.log(medians.index))))
by_kind = networks.groupby("kind", sort=False)[["exponent", "growth"]]
alone = by_kind.apply(lambda found: found.exponent.corr(found.growth)).rename("correlation")
pd.concat([gap.abs().groupby(networks.kind, sort=False).agg(["median", "max"]), alone], axis=1)

# %%
figure = lyapunov_predicts_gradients_figure(networks)
Image(save_figure(figure, results_folder), width=900)

# %% [markdown]
# **Exponents and gradients.** Growth rate of gradients on one input against the leading exponent on another, a dot for
# each network, with its standard error; inset: exact networks alone (*a*). Leading exponents at the strongest
# recurrence against the sharpness of the surrogate, for two grids, and of the exact networks (across); lines: medians,
# bands: all seeds (*b*).
#
# ## Reading
#
# The exponent of a network on one input is the growth rate of its gradients on another, over a range of several nats
# per $\tau$ (*a*). It is the surrogates that show this: sets of weights are few (one per seed and strength of the
# recurrence), and each stands there with ten surrogates, whose exponents are far apart.
#
# The exponents of exact networks say that their gradients neither fade nor explode fast, and this is so: both lie close
# to zero. Which of them fades a little and which grows is not predicted well. Exponent and growth rate have the same
# sign in three quarters of the networks; at scale `paper`, with more networks of each kind, they are correlated weakly,
# with intervals that reach about zero. They differ by about as much as estimates from runs of this length scatter.
#
# Exact exponents lie close to zero, for both neurons and all strengths of recurrence tried. Those of the surrogate are
# a matter of its sharpness and of the grid: blunt ones explode, sharp ones fade, down to the rate of the membrane
# itself, $-1$ per $\tau$, or below it (*b*). A finer grid has more steps in which a blunt slope is felt, so that the
# sharpness at which gradients keep their norm rises with the number of steps, about in proportion here.
#
# **Not shown.** Other forms of surrogate and reset, other inputs and rates, larger or trained networks, and whether
# a network whose gradients keep their norm is trained better for it. Two grids are no proof of proportionality. Exact
# exponents of leaky neurons are averages over a few large factors, which runs of this length may not have met.

# %% [markdown]
# ## Files written
#
# `figure.{pdf,svg,png}`, `table.csv`, `table.tex` and `numbers.json` in the results folder.

# %%
short = {kind: kind.replace(", ", "_").replace("tau/", "").lower() for kind in networks.kind.unique()}
numbers = {"seeds": len(seeds), "networks": len(networks), "correlation": correlation, "median_gap": gap.abs().median()}
numbers |= {"spread": spread, "neurons": neurons, "windows": windows, "weakest": min(loops), "strongest": max(loops)}
numbers |= {f"crossing_{short[kind]}": crossing[kind] for kind in crossing.index}
numbers |= {f"steps_{name}": how(steps) for name, how in {"coarse": min, "fine": max}.items()}
for (kind, loop), found in networks.groupby(["kind", "loop"], sort=False):
    where = "weak" if loop == min(loops) else "strong" if loop == max(loops) else f"loop_{loop:g}"
    by_sharpness = found.groupby("sharpness", dropna=False).exponent.median()
    ends = {"largest_median": by_sharpness.max(), "smallest_median": by_sharpness.min(), "rate": found.rate.median()}
    numbers[f"{short[kind]}_{where}"] = ends | {
        name: getattr(found.exponent, name)() for name in ("median", "min", "max")
    }
exact_exponents = networks[networks.sharpness.isna()].exponent
numbers["exact"] = {"min": exact_exponents.min(), "max": exact_exponents.max(), "mean": exact_exponents.mean()}
numbers |= {"weight_sets": len(seeds) * len(loops), "correlation_alone": {short[k]: alone[k] for k in alone.index}}
save_table(networks, results_folder)
save_numbers(numbers, results_folder)
