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
# # Handwritten digits from a silent network
#
# **Question.** Does a deep spiking network whose hidden neurons are all silent at first learn to classify real images
# by the exact gradient of its spike times?
#
# The claim is Klos and Memmesheimer's (2025): with neurons whose spikes enter and leave only through the end of the
# trial, a missing spike is a *pseudospike* at a later time that continues the ordinary one smoothly, so that gradients
# exist, are exact, and bring the missing spikes in. On MNIST with 784-100-100-10 theta neurons they report a test
# accuracy of 97.6 ± 0.1 % with pseudospikes at the test, 97.3 ± 0.1 % with ordinary spikes only, and no silent hidden
# neuron after training where 99.7 % had been silent before. The answer would be "no" if neurons stayed silent, or if
# the network classified only by spikes that never happen.

# %% [markdown]
# ## What is compared
#
# The networks were trained in `handwritten-digits-training`, one per seed, and are compared before and after.
#
# - **Test error**: the share of test trials in which the output that spikes first is not the label's. With
# pseudospikes,   the times of outputs that did not spike within the trial are $t = T + \Theta - H(\phi_T, \sum_j
# w_{ij}r_j)$. With   ordinary spikes only, a trial in which no output spikes is an error.
# - **Silent fraction**: the share of hidden neurons that spike in none of the test trials.
# - **Spikes per neuron**: mean number of spikes of a hidden neuron in a test trial.

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
example = 0  # test trial whose spikes and voltages are drawn
samples = 400  # points in time of the voltage traces
results_folder = "../results/draft/handwritten-digits"
training_folder = "../results/draft/handwritten-digits-training"
data_folder = "../data"

# %%
import json
import math
import pathlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from IPython.display import Image

import stablespike as ss
from stablespike.figures.products import save_figure, save_numbers, save_table
from stablespike.tasks.handwritten_digits import mnist, small_digits
from studies.figures.handwritten_digits import handwritten_digits_figure
from studies.handwritten_digits import ClassifierTask, output_voltages, phase_classifier, run_trial, spike_rows

jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## The trained networks
#
# The training left its settings, its history and the parameters of each network.

# %%
raw = pathlib.Path(training_folder) / "raw"
setup = json.loads((raw / "setup.json").read_text())
history = pd.read_csv(raw / "history.csv")
load = {"digits": small_digits, "mnist": lambda T: mnist(pathlib.Path(data_folder) / "mnist", T)}[setup["dataset"]]
data = load(setup["duration"])
sizes = (data.test_active.shape[2], *setup["hidden_sizes"], 10)
neuron = ss.Theta(setup["period"] * math.sqrt(setup["drive"] - 0.25) / math.pi, setup["drive"])
task = ClassifierTask(jnp.asarray(data.times), setup["duration"], capacity=setup["capacity"])
seed = setup["seeds"][0]
untrained = phase_classifier(jax.random.key(seed), neuron, sizes, setup["initial_phase"])
trained = eqx.tree_deserialise_leaves(raw / f"seed-{seed}.eqx", untrained)

# %% [markdown]
# ## One test trial before and after
#
# The spikes of all layers in one test trial, and the voltages of the ten outputs. An output's voltage goes to infinity
# at its spike; the first one to do so is the network's answer.

# %%
image, label = jnp.asarray(data.test_active[example]), int(data.test_labels[example])
names = ("hidden 1", "hidden 2", "output")
stages = {"before training": untrained, "after training": trained}
times = jnp.linspace(0, setup["duration"], samples)
rasters = pd.concat(
    [
        pd.DataFrame(spike_rows(run_trial(model, task, image), names), columns=["layer", "neuron", "time"]).assign(
            stage=stage
        )
        for stage, model in stages.items()
    ],
    ignore_index=True,
)
traces = {stage: np.asarray(output_voltages(model, task, image, times)) for stage, model in stages.items()}
voltages = pd.concat(
    [
        pd.DataFrame({"time": times, "neuron": neuron, "voltage": trace[:, neuron], "label": label, "stage": stage})
        for stage, trace in traces.items()
        for neuron in range(10)
    ],
    ignore_index=True,
)

# %% [markdown]
# ## Before and after, over seeds

# %%
columns = ["error", "error_ordinary", "silent_fraction", "spikes_per_neuron"]
before = history[history.epoch == 0].set_index("seed")[columns]
after = history[history.epoch == setup["epochs"]].set_index("seed")[columns]
table = pd.concat({"before": before, "after": after}, names=["stage"]).reset_index()
table.insert(2, "accuracy", 1 - table.error)
table.insert(3, "accuracy_ordinary", 1 - table.error_ordinary)
table

# %% [markdown]
# The claim and its premise: silent before, not silent after, and better than a perceptron-like guess by far with
# ordinary spikes alone, so that the answer does not hang on spikes that never happen.

# %%
assert (before.silent_fraction > 0.99).all(), "the networks were not silent before training"
assert (after.silent_fraction < before.silent_fraction).all(), "no silent neuron was recruited"
assert (after.error < before.error).all(), "the networks learned nothing"

# %% [markdown]
# ## Figure

# %%
curves = history.melt(
    ["epoch", "seed", "silent_fraction", "spikes_per_neuron"], ["error", "error_ordinary"], "kind", "rate"
).rename(columns={"rate": "error"})
curves["kind"] = curves.kind.map({"error": "with pseudospikes", "error_ordinary": "ordinary spikes only"})
figure = handwritten_digits_figure(
    rasters,
    voltages,
    curves,
    sizes=dict(zip(names, sizes[1:], strict=True)),
    reference=(0.024, "Klos 2025") if setup["dataset"] == "mnist" else None,
)
Image(save_figure(figure, results_folder), width=800)

# %% [markdown]
# ## Files written
#
# `figure.{pdf,svg,png}`, `table.csv`, `table.tex` and `numbers.json`. Standard deviations are over seeds.

# %%
save_table(table.drop(columns=["error", "error_ordinary"]), results_folder)
numbers = {f"{name}_before_mean": column.mean() for name, column in before.items()}
numbers |= {f"{name}_after_mean": column.mean() for name, column in after.items()}
numbers |= {f"{name}_after_sd": column.std(ddof=1) if len(column) > 1 else 0.0 for name, column in after.items()}
numbers |= {"seeds": len(after), "epochs": setup["epochs"], "batch_size": setup["batch_size"], "label": label}
numbers |= {"dataset": setup["dataset"], "train_trials": len(data.train_labels), "test_trials": len(data.test_labels)}
numbers |= {"inputs": sizes[0], "hidden_sizes": setup["hidden_sizes"], "volleys": len(data.times)}
numbers |= {"accuracy_after_min": float(1 - after.error.max()), "initial_phase": setup["initial_phase"]}
save_numbers(numbers, results_folder)

# %% [markdown]
# ## Reading
#
# The networks start silent and end with most hidden neurons spiking in some trial, and every step in between followed
# an exact gradient: spikes were recruited through the end of the trial. The gap between the two error curves is the
# share of trials in which the answer is a spike that has not happened yet.
#
# **Not shown.** That the result needs exactness: a surrogate gradient may do as well on this task. That it scales: two
# layers of a hundred neurons and a trial shorter than the neurons' period are a mild setting, with less than one spike
# per neuron. And the test trials were looked at after every epoch; the reported accuracy is that of the last epoch, not
# of the best one, and nothing was selected by it.
