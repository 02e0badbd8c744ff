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
# # What makes exact gradients expensive, and what is left of it
#
# **Question.** Can the gradient of an event-based network be had in a memory that does not grow with the number of its
# spikes, in no more time than the rule that records everything, and can the spikes themselves be had faster than one
# after the other?
#
# The answer would be "no" if the time-reversed rule's memory, less the list of spikes itself, grew with the number of
# events, if its time exceeded that of the recorded rule by a third, or if windows of many events took longer than the
# loop from event to event.

# %% [markdown]
# ## What is measured
#
# **Gradients.** A recurrent network of quadratic integrate-and-fire neurons gets Poisson input; value and gradient of
# its mean first plus mean last spike time in both weights. *Events* rise with the rate of the inputs, whose weight
# falls by the same factor, at the same duration; then *neurons* and *duration* are varied. Three rules:
#
# - **recorded**: automatic differentiation through the loop keeps the state at each event, $O(N E)$ numbers for $N$
#   neurons and $E$ events;
# - **checkpointed**: states at every $\sqrt E$-th event are kept, the others worked out again, $O(N \sqrt E)$;
# - **time-reversed**: the exact inverse maps are run from the trial's end, $V \to V$ through each reset and pulse; the
#   rounding error of a decaying current grows by $e^{2 t/\tau}$ on the way, and checkpoints every few time constants
#   bound it, $O(N T/\tau + E)$.
#
# **Many spikes.** In a window all neurons are moved at once against the spikes that are known. A sweep either proves
# that nobody spikes or finds the first spike, which is exact; what was guessed after it is dropped, and the next sweep
# starts there. The native loop and the plain scan run the same trials. Expected before it was measured: at most three
# times the speed of the native loop, since both move every neuron at every event.
#
# **Sparse networks.** Inhibitory leaky (LIF) and quadratic (QIF) networks with 100 inputs per neuron; a spike costs its
# targets and a place in a queue, so that its price should hardly depend on the network's size. The control moves all
# neurons at each spike.
#
# **Floors.** The time of the multiplications and additions of the gradient (120 per neuron and event) at the rate at
# which this machine multiplies matrices; the memory of the list of spikes (time, its cotangent, neuron: 20 bytes an
# event in float64) and of the states (weights and their gradients are operands and results, not temporary); for a
# sparse spike one cache line fetched for each of 100 targets at 5 ns.
#
# Columns that end in `_ms`, `_us` or `_per_s`, and what is computed from them, are **timings**: no second run gives
# them again. All else is the same in every run.

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
rates = [1, 4]  # factors of the inputs' rate in the comparison of rules
sizes = [50, 100]  # neurons
durations = [15.10525894165039, 60.0]  # membrane time constants; the first is that of the benchmark R
most_memory = 2.0e9  # bytes beyond which a rule that records is left out
repeats = 3  # calls of which the median is taken
batch_neurons = 128  # of the networks that are simulated in batches
batch_trials = 4
batch_durations = {"theta": [3.3, 33.0], "QIF": [4.0, 40.0]}  # time constants
small_sizes = [2, 4, 8]  # neurons of networks in which the loop may be faster than windows
small_duration = 33.0  # time constants
with_scan = False  # run the plain scan beside the native engines
float_bits = [64]  # of the numbers in gradients and batches
gradient_trials = 1  # whose gradients are taken together
sparse_sizes = [1000, 10000, 100000]  # neurons of the sparse networks
sparse_spikes = 30000  # of a timed run
combination_neurons = 0  # of the table over neurons and couplings, 0: leave it out
combination_spikes = 100000
results_folder = "../results/draft/cost-of-exact-gradients"
data_folder = "../data"

# %%
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from IPython.display import Image

from stablespike.figures.products import save_figure, save_numbers, save_table
from studies.benchmarks.event_costs import OPERATIONS, gradient_rows, many_spikes_rows, matrix_product_rate
from studies.benchmarks.sparse_costs import combination_rows, size_rows, slope
from studies.figures.costs import gradient_cost_figure

jax.config.update("jax_enable_x64", True)
kinds = [{32: jnp.float32, 64: jnp.float64}[bits] for bits in float_bits]
native = jax.default_backend() == "cpu"

# %% [markdown]
# ## Gradients, rule by rule

# %%
settings = [("events", {"rate": rate}) for rate in rates]
settings += [("neurons", {"size": size}) for size in sizes] + [("duration", {"duration": span}) for span in durations]
options = {"most_memory": most_memory, "repeats": repeats, "trials": gradient_trials if gradient_trials > 1 else None}
gradients = pd.concat([pd.DataFrame(gradient_rows(settings, dtype=kind, **options)) for kind in kinds])
peak, trials = matrix_product_rate(), gradients.trials
gradients["floor_ms"] = 1e3 * OPERATIONS * gradients.events * gradients.neurons * trials / peak
fixed = gradients.bits / 8 * 3 * gradients.neurons * trials
gradients["floor_mib"] = ((gradients.bits / 4 + 4) * gradients.events * trials + fixed) / 2**20
assert not gradients["flags"].any(), "a simulation failed"
gradients

# %% [markdown]
# ## Windows of many spikes, the loop, and the scan

# %%
options = {"size": batch_neurons, "trials": batch_trials, "repeats": repeats, "scan": with_scan}
batches = pd.concat([pd.DataFrame(many_spikes_rows(batch_durations, dtype=kind, **options)) for kind in kinds])
if native:
    batches["faster_than_loop"] = batches.loop_ms / batches.relaxed_ms
    batches["sweeps_per_window"] = batches.sweeps / batches.windows
batches

# %% [markdown]
# In small networks the loop has little to do at an event; `time_reversed(simulate)` takes windows from 4 neurons on.

# %%
options |= {"scan": False, "dtype": kinds[-1]}
small = [many_spikes_rows({"theta": [small_duration]}, **(options | {"size": size})) for size in small_sizes if native]
small = pd.DataFrame([row for rows in small for row in rows])
small

# %% [markdown]
# ## Sparse networks by size

# %%
with jax.default_device(jax.devices("cpu")[0]):  # these kernels are native code everywhere
    sparse = pd.DataFrame(size_rows(sparse_sizes, spikes=sparse_spikes, repeats=repeats))
    combined = combination_rows(combination_neurons, spikes=combination_spikes) if combination_neurons else []
sparse["floor_us"] = 100 * 5e-3
exponents = {kind: slope(sparse.to_dict("records"), kind) for kind in ("LIF", "QIF")}
sparse

# %%
combinations = pd.DataFrame(combined)
combinations

# %% [markdown]
# ## Figure

# %%
of_one_kind = [table[table.bits == float_bits[-1]] for table in (gradients, batches)]
figure = gradient_cost_figure(*of_one_kind, sparse)
Image(save_figure(figure, results_folder), width=900)

# %% [markdown]
# **What exact gradients cost.** Time (a) and temporary memory (b) of value and gradient against the number of events,
# memory against neurons (c) and duration (d), by rule; time of a batch of trials against the spikes of a neuron (e;
# lines: theta, dashed: QIF neurons); processor time per spike of sparse networks against their size (f). Dotted:
# floors.

# %%
events = of_one_kind[0][of_one_kind[0].varied == "events"].set_index("events")
recorded = events[events.rule == "recorded"]
list_bytes = float_bits[-1] / 4 + 4  # of an event in the list: time, cotangent of the time, neuron
ratios, beyond, slowest, growth = pd.Series([1.0]), pd.Series([1.0]), 1.0, 0.0
if native:
    backwards = events[events.rule == "time-reversed"]
    beyond = backwards.memory_mib - list_bytes * backwards.index * backwards.trials / 2**20
    growth = np.polyfit(backwards.index * backwards.trials, 2**20 * backwards.memory_mib, 1)[0]
    ratios, slowest = (backwards.time_ms / recorded.time_ms).dropna(), batches.faster_than_loop.min()
recorded_bytes = (2**20 * recorded.memory_mib / recorded.neurons / recorded.index / recorded.trials).iloc[-1]
print("MiB of the time-reversed rule beyond the list:", beyond.round(4).to_dict())
print(f"bytes per event: {growth:.2f}, the list {list_bytes:.0f}; recorded {recorded_bytes:.0f} per neuron and event")
print("time of the time-reversed rule over that of the recorded one:", ratios.round(3).to_dict())

# %% [markdown]
# ## Reading
#
# The time-reversed rule's memory grows with events by the bytes that their list takes, and by nothing per neuron and
# event; that of the recorded rule grows with their product, that of the checkpointed one with the product
# of neurons and the square root of events. A longer trial costs the time-reversed rule checkpoints, few beside its
# lists. Windows beat the loop because the expensive question, when a neuron will spike, is put to the few neurons
# that are about to; a sweep is therefore cheap, and there are about as many sweeps as events. Sparse spikes become
# dearer with the size of the network as the targets of a spike no longer lie in a near cache. They do so by steps: the
# fitted exponent sums up the sizes that were run, and says little of others.
#
# **Uncertainty.** Ratios within this run resolve differences of about a half and more; single timings carry the load of
# the machine. Memory is the compiler's own analysis and exact; what the native kernels take inside (three states per
# neuron and trial) is not in it. **Not shown:** gradients on other networks and losses; the time on a GPU, where the
# recorded rule does the work of all three, unless this notebook ran on one; sizes beyond those of the parameters.

# %%
by_kind = sparse.groupby("neuron")
numbers = {
    "combinations": combined,
    "sparse": sparse.drop(columns="control_per_s").to_dict("records"),
    "batches": batches.dropna(axis=1).to_dict("records"),
    "small": small.dropna(axis=1).to_dict("records"),
    "exponents": {kind: {"exponent": value, "error": error} for kind, (value, error) in exponents.items()},
    "us_per_spike": {kind: {"fewest": us.iloc[0], "most": us.iloc[-1]} for kind, us in by_kind.us_per_spike},
    "sparse_sizes": {"fewest": min(sparse_sizes), "most": max(sparse_sizes)},
    "bytes_per_event": growth,
    "memory_beyond_the_list_mib": beyond.max(),
    "memory_beyond_the_list_varies_by": beyond.max() / beyond.min() - 1,
    "recorded_bytes_per_neuron_and_event": recorded_bytes,
    "largest_time_ratio": ratios.max(),
    "least_faster_than_loop": slowest,
    "backend": jax.default_backend(),
}
assert not native or beyond.max() <= 1.1 * beyond.min(), "memory beyond the list of spikes grows with their number"
assert not native or growth < 1.2 * list_bytes, "memory grows by more than the list"
assert not native or ratios.max() < 1.3, "the time-reversed rule is slower than the recorded one"
assert not native or slowest > 1, "windows are slower than the loop"
save_table(gradients.drop(columns=["flags", "trials"]), results_folder)
save_numbers(numbers, results_folder)
