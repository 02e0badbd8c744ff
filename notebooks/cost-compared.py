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
# # Cost compared with other packages
#
# **Question.** Is a training step of this repository, event-based or on a grid, faster than one of other public
# packages, on the same network, data and machine, in the same hour?
#
# It would be answered "no" if one of them took less time, or as long within the 1.4-fold that repeated runs on a shared
# machine can differ by themselves. The packages are general in different ways; what each does differently is in
# its row.

# %% [markdown]
# ## The workloads
#
# - **E**, event-based: 5-120-3 leaky integrate-and-fire neurons, Yin-Yang points as latencies, 150 trials: value,
#   gradient and Adam step of a loss on the outputs' first spikes. This engine stops a trial when all outputs have
#   spiked. The control is the plain event loop with recorded states, compiled by XLA, over whole trials.
# - **S**, on a grid with surrogate gradients: 700 channels at 1 % density for 100 steps, 64 trials, 256 recurrent
#   neurons, 20 classes: value, gradient and Adam step. The control is a careful `lax.scan`; this repository's route
#   sums rows of weights over spikes in native kernels.
#
# All in float32. Each package runs in an environment of its own, from its lock in `envs/peers`, one after the other;
# the control is timed before and after.

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
repeats = 7  # calls of which the median is taken
yin_yang_trials = 150
capacities = [12, 160]  # budgets of spikes per hidden and output neuron of E in the control: no trial may exceed them
windows = [0.7, 1.1, 4.0]  # ends of the windows of E; a trial stops after the one in which it is decided
window_capacities = [4, 20]  # budgets of spikes per hidden and output neuron of E in one window
results_folder = "../results/draft/cost-compared"
data_folder = "../data"

# %%
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from IPython.display import Image
from tqdm import tqdm

from stablespike.dynamics.engines.layers import simulate_layer
from stablespike.figures.products import save_figure, save_numbers, save_table
from stablespike.learning.gradients.grid_route import run_on_grid_natively
from stablespike.learning.gradients.time_reversed import time_reversed
from stablespike.tasks.yin_yang import yin_yang
from studies.benchmarks.grid_workloads import surrogate_training_step
from studies.benchmarks.harness import cost
from studies.benchmarks.workloads import surrogate_arrays, surrogate_step, yin_yang_arrays, yin_yang_step
from studies.figures.costs import cost_compared_figure
from workflow.peers import measure_peers

jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## Controls, this engine, the others, controls again

# %%
points = yin_yang(np.random.default_rng(1), yin_yang_trials)
own = {
    ("E", "control"): yin_yang_step(simulate_layer, *points, jnp.float32, capacities=tuple(capacities)),
    ("E", "stablespike"): yin_yang_step(
        time_reversed(simulate_layer),
        *points,
        jnp.float32,
        capacities=tuple(window_capacities),
        boundaries=tuple(windows),
    ),
    ("S", "control"): surrogate_step(jnp.float32),
    ("S", "stablespike"): surrogate_training_step(run_on_grid_natively, jnp.float32),
}
first = {name: cost(workload, repeats=repeats) for name, workload in own.items()}
assert not any(int(one.result[3]) for (kind, _), one in first.items() if kind == "E"), "a simulation failed"

# %%
raw = pathlib.Path(results_folder) / "raw"
raw.mkdir(parents=True, exist_ok=True)
arrays = {"E_labels": points.labels, "times": points.times} | yin_yang_arrays()
arrays |= {{"labels": "S_labels"}.get(name, name): array for name, array in surrogate_arrays().items()}
np.savez(raw / "workloads.npz", **arrays)
root = pathlib.Path.cwd() if pathlib.Path("envs").is_dir() else pathlib.Path.cwd().parent
others = measure_peers(root.resolve(), (raw / "workloads.npz").resolve(), repeats, progress=tqdm)
again = {name: cost(workload, repeats=repeats) for name, workload in own.items()}

# %% [markdown]
# ## Table

# %%
rows = [
    {
        "workload": kind,
        "package": name,
        "time_ms": 1e3 * min(one.median, again[kind, name].median),
        "memory_mib": one.memory / 2**20,
        "compile_s": one.compile_time,
        "loss": float(jax.tree.leaves(one.result[2])[0]),
        "differs": {"E": "recorded states", "S": "a plain scan"}[kind]
        if name == "control"
        else {"E": "all spikes until the trial is decided", "S": "nothing"}[kind],
    }
    for (kind, name), one in first.items()
]

# %%
rows += [
    {
        "workload": one["workload"],
        "package": f"{one['peer']} {one['version']}",
        "time_ms": one["median_ms"],
        "memory_mib": one["memory_mib"],
        "compile_s": one["compile_s"],
        "loss": one["loss"],
        "differs": one["differs"],
    }
    for one in others
    if "failed" not in one
]

# %%
table = pd.DataFrame(rows).sort_values(["workload", "time_ms"], ignore_index=True)
controls = table[table.package == "control"].set_index("workload").time_ms
table["to_control"] = table.time_ms / table.workload.map(controls)
failed = {one["peer"]: one["failed"] for one in others if "failed" in one}
print(f"did not run: {failed}" if failed else "all packages ran")
table

# %% [markdown]
# `to_control` is the ratio to the control in this run, and the figure to quote. Losses of E agree between those that
# keep all spikes that can matter; packages that step in time differ.

# %%
drift = {kind: again[kind, "control"].median / first[kind, "control"].median for kind in ("E", "S")}
event = table[table.workload == "E"].set_index("package")
print(f"the control drifted by {drift} between first and last")
grid = table[table.workload == "S"].set_index("package")
for one in (event, grid):
    assert abs(one.loss["stablespike"] - one.loss["control"]) < 1e-4, "a step and its control differ"

# %%
figure = cost_compared_figure(table)
Image(save_figure(figure, results_folder), width=900)

# %% [markdown]
# **Time of a training step**, event-based (E) and on a grid (S), for this repository's engine and control and for other
# packages.
#
# ## Reading
#
# The table says which packages are faster or slower here; a difference smaller than what repeated runs differ by (see
# above) is not resolved. **Not shown:** other sizes, GPUs, and what else each package can do.

# %%
numbers = {"failed": failed, "drift": drift, "repeats": repeats}
for kind, part in table.groupby("workload"):
    numbers[kind] = {
        row["package"].split()[0]: {"time_ms": row["time_ms"], "to_control": row["to_control"]}
        for row in part.to_dict("records")
    }
save_table(table, results_folder)
save_numbers(numbers, results_folder)
