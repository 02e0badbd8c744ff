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
# # What surrogate gradients cost when spikes are counted
#
# **Question.** Is a training step of recurrent surrogate-gradient networks faster on a CPU if the products with spikes
# are sums of rows in native kernels, instead of matrix products in a scan over time?
#
# The answer would be "no" where the times do not differ by more than the 1.4-fold that repeated runs on a shared
# machine can differ by themselves.

# %% [markdown]
# ## The workload
#
# **S**: 700 channels, each with a spike in one step of a hundred, 100 steps, 64 trials; 256 recurrent current-based
# integrate-and-fire neurons, a leaky readout of 20, cross-entropy on its maximum over time; value, gradient and Adam
# step. With spikes s and inputs x, zeros and ones,
#
# $$I' = 0.8\, I + x W + s R,\quad V' = 0.9\, V (1 - s) + 0.1\, I',\quad s' = H(V' - 1),$$
#
# and the surrogate derivative $1/(1 + 10|v|)^2$. Longer: 1000 steps. Deeper: two layers of 512.
#
# What the spikes save: forwards every product, and backwards the gradients of the weights, which are sums over spikes.
# What they do not save: the cotangent of the spikes, $\bar s = \bar I R^\top$, is dense, because this surrogate
# derivative is zero nowhere. That product alone, at the rate at which this machine multiplies matrices in the same run,
# is the floor in the table.
#
# The control of S is the careful scan with one product for all inputs, written without the package; that of the longer
# and deeper ones is the package's own scan, `run_on_grid`. Each is timed before and after, and the faster counts.

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
repeats = 9  # calls of which the median is taken
control_repeats = 5  # of the control, each time
long_steps = 1000  # time steps of the long workload
deep_sizes = [512, 512]  # neurons of the layers of the deep one
unrolls = [1, 4, 8]  # steps in one turn of the scan's loop
densities = [0.01, 0.03, 0.1, 0.2, 0.3, 0.5]  # parts of the channels that spike in a step
results_folder = "../results/draft/grid-benchmarks"
data_folder = "../data"

# %%
import itertools

import jax
import jax.numpy as jnp
import pandas as pd
from IPython.display import Image

from stablespike.dynamics.grid.network import run_on_grid
from stablespike.figures.products import save_figure, save_numbers, save_table
from stablespike.learning.gradients.grid_route import run_on_grid_natively
from studies.benchmarks.grid_workloads import spike_product_gradient, surrogate_training_step, unrolled
from studies.benchmarks.harness import cost
from studies.benchmarks.workloads import surrogate_step
from studies.figures.costs import engine_benchmarks_figure

jax.config.update("jax_enable_x64", True)
routes, deep_sizes = (run_on_grid, run_on_grid_natively), tuple(deep_sizes)
cases = {
    "S, float32": [surrogate_step(jnp.float32), surrogate_training_step(routes[1], jnp.float32)],
    "S, float64": [surrogate_step(jnp.float64), surrogate_training_step(routes[1], jnp.float64)],
    "long, float32": [surrogate_training_step(route, jnp.float32, steps=long_steps) for route in routes],
    "deep, float32": [surrogate_training_step(route, jnp.float32, sizes=deep_sizes) for route in routes],
}

# %% [markdown]
# ## Measurement

# %%
costs = {}
for name, (control, native) in cases.items():
    first = cost(control, repeats=control_repeats)
    costs[name] = (first, cost(native, repeats=repeats), cost(control, repeats=control_repeats))
square = jnp.ones((1500, 1500), jnp.float32)
peak = 2 * 1500**3 / cost((lambda a: a @ a, (square,)), repeats=repeats).median
print(f"{peak / 1e9:.1f} GFLOP/s in matrix products of float32")

# %% [markdown]
# ## Do they compute the same?
#
# The loss is the third result; the package's routes give it together with the flags of the simulation.

# %%
values = {name: [jax.tree.leaves(one.result[2])[0] for one in found] for name, found in costs.items()}
flags = {name: int(jnp.max(jax.tree.leaves(found[1].result[2])[1])) for name, found in costs.items()}
for name, (control, native, _) in values.items():
    assert abs(float(control) - float(native)) <= (1e-9 if "64" in name else 1e-4), f"{name}: {control} and {native}"
assert not any(flags.values()), f"a simulation failed: {flags}"

# %% [markdown]
# ## Table and figure

# %%
sizes = {"S": 256**2, "long": 256**2, "deep": sum(a * b for a, b in zip(deep_sizes, deep_sizes, strict=True))}
sizes["deep"] += sum(a * b for a, b in itertools.pairwise(deep_sizes))
rows = [
    {
        "workload": name,
        "time_ms": 1e3 * native.median,
        "fastest_ms": 1e3 * min(native.times),
        "control_ms": 1e3 * min(first.median, again.median),
        "memory_mib": native.memory / 2**20,
        "control_memory_mib": first.memory / 2**20,
        "compile_s": native.compile_time,
        "control_compile_s": first.compile_time,
        "floor_ms": 2e3 * 64 * (long_steps if name[0] == "l" else 100) * sizes[name.split(",")[0]] / peak,
    }
    for name, (first, native, again) in costs.items()
]
table = pd.DataFrame(rows)
table["faster"] = table.control_ms / table.time_ms
table

# %% [markdown]
# ## Does it help the scan to do several steps in one turn of its loop?

# %%
steps = {
    turns: surrogate_training_step(lambda net, x, turns=turns: run_on_grid(net, x, scan=unrolled(turns)), jnp.float32)
    for turns in unrolls
}
turns = pd.DataFrame({turns: [1e3 * cost(one, repeats=control_repeats).median] for turns, one in steps.items()})
turns.rename(index={0: "S, float32 (ms)"})

# %% [markdown]
# ## Up to what density are sums over spikes faster than a matrix product?
#
# Forward product and gradient of the weights of 700 channels, both ways; the default takes the density of each call.

# %%
forms = {"matrix product": 0.0, "sums over spikes": 1.01}
products = {
    name: {
        density: 1e3 * cost(spike_product_gradient(form, jnp.float32, density=density), repeats=control_repeats).median
        for density in densities
    }
    for name, form in forms.items()
}
products = pd.DataFrame(products)
products["faster"] = products["matrix product"] / products["sums over spikes"]
products

# %%
figure = engine_benchmarks_figure(table)
Image(save_figure(figure, results_folder), width=900)

# %% [markdown]
# **Cost of surrogate gradients.** Time of a training step (a) and temporary memory (b) of the native kernels and of the
# scan, and the time that the dense products of the backward pass alone would take (tick).
#
# ## Reading
#
# `faster` is the ratio to the control in the same run and the figure to quote; milliseconds belong to this machine and
# its load. The kernels store voltages, currents and spikes of every step, as the scan does; time is what they save,
# not memory. **Not shown:** trained networks that fire more; GPUs, where the scan does the work; other packages.

# %%
numbers = {
    row["workload"].replace(", ", "-"): {k: v for k, v in row.items() if k != "workload"}
    for row in table.to_dict("records")
}
numbers["sums_faster"] = {str(density): float(products.faster[density]) for density in densities}
numbers |= {"peak_gflops": peak / 1e9, "repeats": repeats, "unroll_ms": {str(k): float(turns[k][0]) for k in unrolls}}
assert (table.faster > 1.4).all(), "the native kernels are not faster than their control"
save_table(table, results_folder)
save_numbers(numbers, results_folder)
