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
# - A *neuron* says how it moves freely, when it will spike, and how it responds to an input and to its own spike
#   (`dynamics/qif.py` and its siblings, one file each).
# - A *network* holds neurons and weights, post index first (`dynamics/network.py`).
# - A *simulator* takes a network, initial states, input spikes and a duration, and returns spikes, final state and a
#   status (`dynamics/simulate.py`).
# - A *gradient rule* takes a simulator and returns one with the same values and another derivative
#   (`learning/adjoint.py`).
# - A *loss* is a function of spike times; for spikes that did not come there are pseudospikes
#   (`learning/pseudospikes.py`).
# - *Training* is a pair of functions, `init` and `step` (`learning/training.py`).

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
max_events = 512  # budget of spikes and inputs of a trial
seed = 3
results_folder = "../results/draft/first-steps"
data_folder = "../data"

# %%
import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from IPython.display import Image

from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.figures.products import save_figure, save_numbers, save_table
from stablespike.learning.gradients.time_reversed import time_reversed
from stablespike.learning.training import descend, gradient_training
from stablespike.tasks.poisson import poisson_spikes
from studies.figures.first_steps import first_steps_figure
from studies.spike_patterns import network_pattern_loss, random_network_pattern

jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## Build and simulate
#
# Every neuron has its own Poisson input. `simulate` is exact: no time step, each spike at the time at which the
# equation has it. The event budget is a number that the user gives; if it does not suffice the call raises, and says up
# to where it got.

# %%
generator = np.random.default_rng(seed)
inputs = poisson_spikes(generator, input_rate, neurons, duration)
task = random_network_pattern(
    generator, QIF(), neurons, inputs, input_weight, 0.0, [[target]], duration, max_events=max_events
)
network, states = task.network, task.states
solution = simulate(network, states, inputs, duration, max_events=max_events)
print(f"{int(solution.spikes.count)} spikes; the first: {solution.spikes.times[:5]}")

# %% [markdown]
# ## Exchange the neuron
#
# The same network with other neurons. What must change with the neuron is its initial state, which each model makes
# from a voltage.

# %%
others = {"QIF": QIF(), "LIF": LIF(), "theta": Theta(1.0, 1.0)}
solutions = {
    name: simulate(
        eqx.tree_at(lambda one: one.neuron, network, neuron),
        initial_states(neuron, jnp.zeros(neurons)),
        inputs,
        duration,
        max_events=max_events,
    )
    for name, neuron in others.items()
}
rasters = pd.concat(
    [
        pd.DataFrame({"time": one.spikes.times, "neuron": one.spikes.sources})[np.asarray(one.spikes.real)].assign(
            model=name
        )
        for name, one in solutions.items()
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
rules = {"recorded": simulate, "time-reversed": time_reversed(simulate)}
last_spike = {
    name: jax.grad(
        lambda weights, rule=rule: jnp.max(
            rule(
                eqx.tree_at(lambda one: one.weights, network, weights), states, inputs, duration, max_events=max_events
            ).spike_times(32),
            where=jnp.arange(32) < solution.counts[:, None],
            initial=0.0,
        )
    )(network.weights)
    for name, rule in rules.items()
}
deviation = float(jnp.abs(last_spike["recorded"] - last_spike["time-reversed"]).max())
largest = float(jnp.abs(last_spike["recorded"]).max())
assert deviation <= 1e-9 * largest, "two exact gradients differ"
deviation / largest

# %% [markdown]
# ## Train
#
# The first spike of neuron 0 is to come at a given time; the recurrent weights are trained. The loss, its flags (what
# could have gone wrong in the simulation) and the spike times come from one function; a step whose gradient is not
# finite, or whose simulation failed, is never applied in silence.

# %%
learning = dataclasses.replace(task, simulator=rules["time-reversed"])
init, step = gradient_training(network_pattern_loss, optax.adam(learning_rate))
state, infos = descend(step, init(network.weights, jax.random.key(seed)), learning, steps=steps)
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
        for name, one in solutions.items()
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
numbers = {"gradient_deviation": deviation / largest, "error_before": infos.loss[0], "error_after": infos.loss[-1]}
numbers |= {"spikes": {name: int(one.spikes.count) for name, one in solutions.items()}}
save_table(table, results_folder)
save_numbers(numbers, results_folder)
