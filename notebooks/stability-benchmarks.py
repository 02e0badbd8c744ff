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
# # What does a flossing step cost?
#
# **Question.** Is a step of flossing, exponents with their gradient, cheaper by this package's closed-form derivative
# of the orthonormalisation than through a library's QR, with the same exponents?
#
# The answer would be "no" where exponents differ by more than rounding, or where the ratio of costs is not above one.

# %% [markdown]
# ## Workloads
#
# *F:* 64 current-based LIF neurons on a grid (public convention, sharpness 5), 100 input channels, 500 steps from rest,
# 50 exponents, orthonormalised in every step; loss, gradient in input and recurrent weights, and Adam. The control is
# the same in plain JAX: Jacobian in blocks, `jnp.linalg.qr`, reverse mode through all of it. Measured is processor time
# of all threads, which hardly depends on what else the machine does.
#
# *Event spectrum:* all 200 exponents of a balanced network of 200 QIF neurons with 50 inputs each (Monteforte and Wolf
# 2010; here as theta neurons), per 1000 spikes of the network; the control is one exponent, which is mostly the
# simulation.

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
repeats = 5
event_neurons = 200
event_inputs = 50  # K, inputs of a neuron
event_spikes = 20000
event_transient = 2000
event_interval = 100  # spikes between two orthonormalisations
results_folder = "../results/draft/stability-benchmarks"
data_folder = "../data"

# %%
import os

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from IPython.display import Image

import stablespike as ss
from stablespike.figures.products import save_figure, save_numbers, save_table
from studies.benchmarks.flossing_step import exponents_of, flossing_step, plain_flossing_step
from studies.benchmarks.harness import cost
from studies.figures.processor_times import processor_times_figure

jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## Measurement

# %%
cost(flossing_step(jnp.float32), repeats=1, compiled=False)  # the first run of a process is slower
found = cost(flossing_step(jnp.float32), repeats=repeats, compiled=False)
plain = cost(plain_flossing_step(jnp.float32), repeats=repeats, compiled=False)
difference = float(np.abs(np.asarray(found.result[1]) - np.asarray(plain.result[1])).max())
generator = np.random.default_rng(0)
connected = (generator.random((event_neurons,) * 2) < event_inputs / event_neurons) & ~np.eye(event_neurons, dtype=bool)
neuron = ss.Theta(0.01, 0.25 + np.sqrt(event_inputs) * 0.01)  # tau V' = V^2 + I; seconds
settings = {"spikes": event_spikes, "transient": event_transient, "interval": event_interval}
weights, phases = -(connected / np.sqrt(event_inputs)), generator.uniform(0, float(neuron.period), event_neurons)
spectra = {
    count: cost(
        (eqx.Partial(exponents_of, neuron, weights, phases, count=count, **settings), ()),
        repeats=repeats,
        compiled=False,
    )
    for count in (1, event_neurons)
}

# %% [markdown]
# ## Do they compute the same?
#
# The exponents of both routes of F agree to 1e-5. Of the event network the leading exponent does not depend on how many
# are asked for (beyond the scatter of a run), and one exponent is zero, as it must be of a flow.

# %%
alone, all_of_them = (np.asarray(spectra[count].result) for count in (1, event_neurons))
assert difference < 1e-5, f"the exponents differ by {difference}"
assert plain.processor_median > found.processor_median, (
    f"plain JAX is cheaper: {plain.processor_median:.2f} s, here {found.processor_median:.2f} s"
)
assert np.abs(all_of_them).min() < 0.02 * all_of_them.max(), "no exponent of the flow is zero"
assert abs(alone[0] - all_of_them[0]) < 0.1 * all_of_them[0], f"{alone[0]} and {all_of_them[0]}"

# %%
per_thousand = {count: 1e3 / event_spikes * one.processor_median for count, one in spectra.items()}
table = pd.DataFrame(
    [
        {"workload": "F, float32", "time_ms": 1e3 * found.processor_median, "control_ms": 1e3 * plain.processor_median},
        {
            "workload": "event spectrum",
            "time_ms": 1e3 * per_thousand[event_neurons],
            "control_ms": 1e3 * per_thousand[1],
        },
    ]
)
table["faster"] = table.control_ms / table.time_ms
table

# %%
figure = processor_times_figure(table)
Image(save_figure(figure, results_folder), width=900)

# %% [markdown]
# **Processor times.** One flossing step beside plain JAX, and 1000 spikes of the balanced network with all exponents
# beside one exponent; medians.
#
# ## Reading
#
# A flossing step costs a small part of what it costs through the library's QR, with the same exponents to rounding. A
# full spectrum of the event network costs many times the simulation, as it must: every spike touches as many numbers as
# it has targets, times exponents.
#
# **Not shown.** The clock's time, which depends on the load of the machine (its load average is among the numbers);
# other devices; larger networks; what the gradient adds to the exponents.

# %%
numbers = {
    "flossing_s": found.processor_median,
    "control_s": plain.processor_median,
    "ratio": plain.processor_median / found.processor_median,
}
numbers |= {
    "difference": difference,
    "event_s_per_1000_spikes": per_thousand[event_neurons],
    "load": os.getloadavg()[0],
}
numbers |= {"event_one_s_per_1000_spikes": per_thousand[1], "leading": float(all_of_them[0]), "repeats": repeats}
save_table(table, results_folder)
save_numbers(numbers, results_folder)
