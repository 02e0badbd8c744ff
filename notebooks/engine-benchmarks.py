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
# # What exact simulation and its gradients cost
#
# **Question.** Is the native engine, forwards and with its time-reversed adjoint, faster and smaller than plain event
# loops with recorded states, on work of the kind that it was made for, and how far is it from what the arithmetic alone
# would take?
#
# The answer would be "no" where the times do not differ by more than the 1.4-fold that repeated runs on a shared
# machine can differ by themselves.

# %% [markdown]
# ## The three workloads
#
# - **E**: 5-120-3 leaky integrate-and-fire neurons, Yin-Yang points as latencies, 150 trials: value, gradient and Adam
#   step of a first-spike loss. A trial is simulated in windows until all outputs have spiked, which is all that the
#   loss looks at; *E whole trial* goes on to the end, to about five spikes of each hidden neuron and a hundred of each
#   output. Loss and gradient are the same, and so is the control of both, which records the whole trial.
# - **M**: 784-100-100-10 theta neurons, one volley of random pixels, 1000 trials: value and gradient in weights and
#   initial phases. This network is untrained and all but silent (a third of a spike in a trial), so that the layers
#   have next to no events; a trained one has about 45 in each, and costs more.
# - **R**: 100 recurrent quadratic integrate-and-fire neurons, 998 events, of which 365 are their own spikes: value and
#   gradient in both weights.
#
# The control is the same call with the simulators that record every event (`simulate_layer`, `simulate`), compiled by
# XLA; it is timed before and after, and the faster of the two counts. That both give the same numbers is checked here
# for E and R; the control of M runs fewer trials, so that there it is left to the tests.
#
# The floor is the time that the multiplications and additions would take at the rate at which this machine multiplies
# matrices in the same run. Counted are, for each neuron and event, the flow, the pulse and their pull-back (theta: 40,
# leaky: 40, quadratic: 120 operations, the adjoint's replay included), and the first layer's matrix products (M).
# Events are those that were counted, own spikes included: in E 4 at each hidden neuron and 116 at each output until the
# trial is decided, 10 and 750 in the whole trial; in M one at each neuron.

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
repeats = 9  # calls of which the median is taken
control_repeats = 2  # of the control, each time
control_trials = 100  # of M: the recorded run of 1000 trials takes tens of GB; its time and memory are scaled up
yin_yang_trials = 150
capacities = [12, 160]  # budgets of spikes per hidden and output neuron of E: no trial may exceed them
windows = [0.7, 1.1, 4.0]  # ends of the windows of E; a trial stops after the one in which it is decided
window_capacities = [4, 20]  # budgets of spikes per hidden and output neuron of E in one window
results_folder = "../results/draft/engine-benchmarks"
data_folder = "../data"

# %%
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from IPython.display import Image

import stablespike as ss
from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.engines.layers import simulate_layer
from stablespike.figures.products import save_figure, save_numbers, save_table
from stablespike.learning.gradients.time_reversed import time_reversed
from stablespike.tasks.yin_yang import yin_yang
from studies.benchmarks.harness import cost
from studies.benchmarks.workloads import mnist_gradient, recurrent_gradient, yin_yang_step
from studies.figures.costs import engine_benchmarks_figure

jax.config.update("jax_enable_x64", True)

# %%
points = yin_yang(np.random.default_rng(1), yin_yang_trials)
layers, networks = (simulate_layer, time_reversed(simulate_layer)), (simulate, time_reversed(simulate))
whole, early = {"capacities": tuple(capacities)}, {"capacities": tuple(window_capacities), "boundaries": tuple(windows)}
cases = {
    f"E{name}, {dtype.__name__}": [
        yin_yang_step(layers[0], *points, dtype, **whole),
        yin_yang_step(layers[1], *points, dtype, **options),
    ]
    for name, options in (("", early), (" whole trial", whole))
    for dtype in (jnp.float32, jnp.float64)
}
cases |= {
    "M, float32": [
        mnist_gradient(ss.Recorded(), jnp.float32, trials=control_trials),
        mnist_gradient(ss.TimeReversed(), jnp.float32),
    ],
    "M, float64": [
        mnist_gradient(ss.Recorded(), jnp.float64, trials=control_trials),
        mnist_gradient(ss.TimeReversed(), jnp.float64),
    ],
    "R, float64": [recurrent_gradient(network, jnp.float64) for network in networks],
}
scales = {name: 1000 / control_trials if name.startswith("M") else 1.0 for name in cases}

# %% [markdown]
# ## Measurement

# %%
costs = {}
for name, (control, native) in cases.items():
    first = cost(control, repeats=control_repeats)
    costs[name] = (first, cost(native, repeats=repeats), cost(control, repeats=control_repeats))
square = jnp.ones((1500, 1500))
peak = 2 * 1500**3 / cost((lambda a: a @ a, (square,)), repeats=repeats).median
print(f"{peak / 1e9:.1f} GFLOP/s in matrix products of float64")

# %% [markdown]
# ## Do they compute the same?
#
# The flags say whether any simulation went wrong; losses agree where control and native engine ran the same trials.

# %%
flags = {
    name: [int(np.max(jax.tree.leaves(one.result[0][1] if name[0] != "E" else one.result[3]))) for one in found]
    for name, found in costs.items()
}
losses = {
    name: [float(one.result[2] if name[0] == "E" else one.result[0][0]) for one in found]
    for name, found in costs.items()
}
assert not any(any(found) for found in flags.values()), f"a simulation failed: {flags}"
for name, (control, native, _) in losses.items():
    assert name.startswith("M") or abs(control - native) <= (1e-4 if "32" in name else 1e-9) * abs(control), name
pd.DataFrame(losses, index=["control", "native", "control again"]).T

# %% [markdown]
# ## Table and figure

# %%
operations = {
    "E": 40 * yin_yang_trials * (120 * 4 + 3 * 116),
    "E whole trial": 40 * yin_yang_trials * (120 * 10 + 3 * 750),
    "M": 40 * 1000 * 210 + 6 * 784 * 100 * 1000,
    "R": 120 * 998 * 100,
}
rows = [
    {
        "workload": name,
        "time_ms": 1e3 * native.median,
        "fastest_ms": 1e3 * min(native.times),
        "control_ms": 1e3 * scales[name] * min(first.median, again.median),
        "memory_mib": native.memory / 2**20,
        "control_memory_mib": scales[name] * first.memory / 2**20,
        "compile_s": native.compile_time,
        "control_compile_s": first.compile_time,
        "floor_ms": 1e3 * operations[name.split(",")[0]] / peak,
    }
    for name, (first, native, again) in costs.items()
]
table = pd.DataFrame(rows)
table["faster"] = table.control_ms / table.time_ms
table["from_floor"] = table.time_ms / table.floor_ms
table

# %% [markdown]
# `control_ms` and `control_memory_mib` of M are those of `control_trials` trials, scaled up to 1000. `compile_s`
# includes the native kernels' own compilation only where their cache was empty.

# %%
figure = engine_benchmarks_figure(table)
Image(save_figure(figure, results_folder), width=900)

# %% [markdown]
# **Cost of exact gradients.** Time of a call (a) and temporary memory (b) of the native engine and of the recorded
# control, and the time that the arithmetic alone would take (tick).
#
# ## Reading
#
# `faster` is the ratio to the control in the same run and the figure to quote; milliseconds belong to this machine and
# its load. **Not shown:** the cost on a GPU, where the recorded simulators do the work, and the cost of other packages
# on the same workloads.

# %%
numbers = {
    row["workload"].replace(", ", "-").replace(" ", "-"): {k: v for k, v in row.items() if k != "workload"}
    for row in table.to_dict("records")
}
numbers |= {"peak_gflops": peak / 1e9, "repeats": repeats}
assert (table.faster > 1.4).all(), "the native engine is not faster than its control"
save_table(table, results_folder)
save_numbers(numbers, results_folder)
