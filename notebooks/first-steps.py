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
# # First steps
#
# **Question.** Can one build a spiking network, simulate it exactly, differentiate its spike times and train it, in a
# few lines, and exchange the neuron or the gradient rule by exchanging one object?
#
# This is a tour of the package for whoever wants to use it; the other notebooks ask about spiking networks. It would be
# answered "no" if two gradient rules disagreed, or if a network trained with one of them did not learn.

# %% [markdown]
# ## What there is
#
# All public names are found in `import stablespike as ss`.
#
# - A *neuron* says how it moves freely, when it will spike, and how it responds to an input and to its own spike
#   (`dynamics/neurons/`, one file each).
# - A *network* is made of layers of neurons with weights from below and, or not, among themselves, post index first
#   (`ss.Network`, `ss.Layer`, `ss.Dense`).
# - `ss.simulate` takes a network, input spikes and the end of the trial, and returns a run: spikes and states of every
#   layer, and a status.
# - A *gradient rule*, such as `ss.TimeReversed()`, is an argument of `simulate`: the same values, another derivative.
# - A *loss* is a function of spike times; for spikes that did not come there are pseudospikes
#   (`learning/pseudospikes.py`).
# - *Training* is a pair of functions, `init` and `step` (`ss.gradient_training`).

# %% [markdown]
# ## Parameters
#
# Times are in units of the membrane time constant.

# %% tags=["parameters"]
neurons = 20
duration = 8.0  # of the trial
input_rate = 0.4  # of each neuron's Poisson input, per unit of time
input_weight = 5.0
target = 4.0  # time to which the first spike of neuron 0 is to move
learning_rate = 1.0e-2  # of Adam
steps = 200
budget = 20  # of spikes of a neuron in a trial, where it must be known before: in training, which is compiled
seed = 3
results_folder = "../results/draft/first-steps"
data_folder = "../data"

# %%
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from IPython.display import Image

import stablespike as ss
from stablespike.figures.products import bound_of, save_figure, save_numbers, save_table
from stablespike.learning.training import descend
from stablespike.tasks.poisson import poisson_spikes
from studies.figures.first_steps import first_steps_figure
from studies.spike_patterns import network_pattern_loss, random_network_pattern, with_loop

jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## Build and simulate
#
# Every neuron has its own Poisson input. `simulate` is exact: no time step, each spike at the time at which the
# equation has it. Room for spikes is found as it is needed; a budget can be given, and if it does not suffice the call
# raises, and says up to where it got.

# %%
generator = np.random.default_rng(seed)
inputs = poisson_spikes(generator, input_rate, neurons, duration)
task = random_network_pattern(
    generator, ss.QIF(), neurons, inputs, input_weight, 0.0, [[target]], duration,
    on=ss.Events(budget), gradient=ss.TimeReversed(),
)  # fmt: skip
network, (layer,) = task.network, task.network.layers
run = ss.simulate(network, inputs, duration)
print(f"{int(run.output.spikes.count)} spikes; the first: {run.output.spikes.times[:5]}")

# %% [markdown]
# ## Exchange the neuron
#
# The same weights with other neurons, each at rest at the start.

# %%
others = {"QIF": ss.QIF(), "LIF": ss.LIF(), "theta": ss.Theta(1.0, 1.0)}
sent = {
    name: ss.simulate(ss.Network(ss.Layer(neuron, layer.inputs, layer.loop)), inputs, duration).output
    for name, neuron in others.items()
}
spikes = {name: one.spikes for name, one in sent.items()}
rasters = pd.concat(
    [
        pd.DataFrame({"time": one.times, "neuron": one.sources})[np.asarray(one.real)].assign(model=name)
        for name, one in spikes.items()
    ],
    ignore_index=True,
)

# %% [markdown]
# ## Exchange the gradient rule
#
# The derivative of the last spike time of the network with respect to all recurrent weights, by two routes that share
# little: reverse-mode differentiation through the recorded events, and the time-reversed adjoint, which stores no
# trajectory and runs as native code on the CPU.

# %%
rules = {"recorded": ss.Recorded(), "time-reversed": ss.TimeReversed()}
last_spike = {
    name: jax.grad(
        lambda weights, rule=rule: jnp.max(
            ss.simulate(with_loop(network, weights), inputs, duration, gradient=rule).output.times,
            where=jnp.isfinite(run.output.times),
            initial=0.0,
        )
    )(layer.loop.weights)
    for name, rule in rules.items()
}
deviation = float(jnp.abs(last_spike["recorded"] - last_spike["time-reversed"]).max())
largest = float(jnp.abs(last_spike["recorded"]).max())
assert deviation <= 1e-9 * largest, "two exact gradients differ"
deviation_bound = bound_of(deviation / largest)
deviation_bound

# %% [markdown]
# ## Train
#
# The first spike of neuron 0 is to come at a given time; the recurrent weights are trained. The loss, its flags (what
# could have gone wrong in the simulation) and the spike times come from one function; a step whose gradient is not
# finite, or whose simulation failed, is never applied in silence.

# %%
init, step = ss.gradient_training(network_pattern_loss, optax.adam(learning_rate))
state, infos = descend(step, init(layer.loop.weights, jax.random.key(seed)), task, steps=steps)
print(f"first spike of neuron 0: {infos.extra[0, 0, 0]:.3f} before, {infos.extra[-1, 0, 0]:.3f} after")
assert infos.loss[-1] < 0.01 * infos.loss[0], "the network did not learn"

# %% [markdown]
# ## Figure and table

# %%
errors = pd.DataFrame({"step": np.arange(1, infos.loss.shape[0] + 1), "error": infos.loss})
figure = first_steps_figure(rasters, errors, neurons=neurons, duration=duration)
Image(save_figure(figure, results_folder), width=900)

# %% [markdown]
# **First steps.** *a–c:* spikes of the same network with three models of its neurons. *d:* squared distance of a spike
# from its target time while the recurrent weights of the QIF network are trained.

# %%
table = pd.DataFrame(
    [
        {"model": name, "spikes": int(one.spikes.count), "silent_neurons": int((one.counts == 0).sum())}
        for name, one in sent.items()
    ]
)
table

# %% [markdown]
# ## Reading
#
# The answer is yes for one small network. **Not shown** is anything about which networks learn well; that is the matter
# of the other notebooks. The rates of the three models differ because their inputs mean different things to them.
#
# ## Files written
#
# `figure.{pdf,svg,png}`, `table.csv`, `table.tex` and `numbers.json` in the results folder.

# %%
numbers = {"gradient_deviation_below": deviation_bound, "error_before": infos.loss[0], "error_after": infos.loss[-1]}
numbers |= {"spikes": {name: int(one.count) for name, one in spikes.items()}}
save_table(table, results_folder)
save_numbers(numbers, results_folder)
