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
# # Training one network by exact and by surrogate gradients
#
# **Question.** Does a network of leaky integrate-and-fire neurons learn as well by the exact gradient of its spike
# times as by a surrogate gradient, if everything but the derivative is the same?
#
# It could fail on either side: the exact gradient knows nothing of spikes that are missing and diverges where a voltage
# grazes the threshold; the surrogate gradient is the gradient of no function. This notebook trains; the analysis is in
# `surrogate-versus-exact`.

# %% [markdown]
# ## One network, two derivatives
#
# Neurons follow $\tau\dot V=-V+I$, $(\tau/2)\dot I=-I$, spike at $V=1$ and are reset to 0; a spike adds its weight to
# $I$. *Exact:* simulated from spike to spike, and spike times are differentiated. *Surrogate:* the same neurons in
# steps of $\Delta t$, with the slope $1/(1+\beta|V-1|)^2$ (SuperSpike; Zenke & Ganguli 2018) in place of the derivative
# of the spike, the reset left out of it. As a third kind, *exact* is run with quadratic integrate-and-fire (QIF)
# neurons, $\tau\dot V=V(V-1)+I$, whose spikes vanish only at the trial's end: another network, with the same weights.
#
# What is read out is the same function of the spike times for both. **Yin-Yang** (Kriener et al. 2022): the time
# averages $m$ of leaky membranes that the hidden spikes drive give the logits $gOm$, the loss is their cross-entropy.
# **Spike timing:** the trains of the first neurons of a recurrent network, filtered by such membranes, are to equal
# those of given spike times; the loss is the squared distance, 1 for a silent network.

# %% [markdown]
# ## Parameters
#
# Times are in the unit of the synaptic time constant $\tau/2$ for Yin-Yang, in that of $\tau$ for spike timing. The
# defaults are a small run of a minute.

# %% tags=["parameters"]
seeds = [1]
sharpness = 10.0  # beta, per unit of the threshold
trials = 2000  # for training on Yin-Yang
test_trials = 1000
hidden = 120  # neurons
duration = 4.0  # of a trial
steps = 80  # of the grid in a trial
epochs = 5
batch_size = 100  # trials
learning_rate = 5.0e-3  # of Adam at the start, decaying to 0 as a cosine
weight_mean = 4.0  # of the input weights, times the number of channels
weight_spread = 6.0  # their standard deviation, times its square root
readout_gain = 40.0  # logits in units of mean voltages
timing_neurons = 40  # for spike timing
timing_duration = 5.0
timing_steps = 250  # of the grid in a trial
timing_targets = [[1.5, 3.0, 4.5], [2.0, 4.0], [1.0, 2.5]]  # spike times of the first neurons
timing_rounds = 5  # after each of which the network is judged
timing_steps_per_round = 20
timing_learning_rate = 5.0e-3  # of Adam
timed = False  # record the time of every epoch, which no second run gives again
results_folder = "../results/draft/surrogate-versus-exact-training"
data_folder = "../data"

# %%
import itertools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from tqdm import tqdm

import stablespike as ss
import studies.surrogate_versus_exact as study
from stablespike.tasks.poisson import poisson_spikes
from stablespike.tasks.yin_yang import yin_yang

jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## Yin-Yang
#
# The test points are drawn once; nothing is selected by them. The same seed gives both methods the same weights and the
# same order of trials.

# %%
raw = pathlib.Path(results_folder) / "raw"
neurons = {"exact": ss.LIF, "surrogate": ss.LIF, "exact, QIF": ss.QIF}
exact, on_grid = study.Method(duration, ss.Events(budget=16)), study.surrogate(duration, steps, sharpness)
schedule = optax.cosine_decay_schedule(learning_rate, epochs * (trials // batch_size))
training = {
    kind: ss.gradient_training(
        study.Classification(on_grid if kind == "surrogate" else exact, readout_gain), optax.adam(schedule)
    )
    for kind in neurons
}
weights = {"mean": weight_mean, "spread": weight_spread, "loop": 0.0}
train = study.latency_trials(*yin_yang(np.random.default_rng(100), trials))
test = study.latency_trials(*yin_yang(np.random.default_rng(200), test_trials))

# %%
histories = []
for kind, seed in itertools.product(neurons, seeds):
    init, update = training[kind]
    network = study.read_network(jax.random.key(seed), neurons[kind](2.0), 5, (hidden,), 3, **weights)
    rows = ss.fit(
        update, init(network, jax.random.key(1000 + seed)), train, epochs=epochs, batch_size=batch_size, judge=test,
        evaluate=study.clock if timed else None, checkpoint=raw / "checkpoint" / f"{kind}-{seed}.eqx",
        progress=lambda left, name=f"{kind}, seed {seed}": tqdm(left, desc=name),
    )[1]  # fmt: skip
    histories.append(pd.DataFrame(rows).assign(kind=kind, seed=seed))
history = pd.concat(histories, ignore_index=True)
history.to_csv(raw / "history.csv", index=False)
history[history.epoch == epochs].groupby("kind").test_accuracy.describe()[["count", "mean", "min", "max"]]

# %% [markdown]
# ## Spike timing
#
# One trial of Poisson input; all input and recurrent weights are trained. After every round the network is judged event
# by event, whatever it was trained by.
#
# A neuron that has lost a spike can't be told by the distance of trains, whose exact derivative knows only spikes that
# come; `loss-landscapes` found that this is what is left at the end. So exact networks are also trained with
# *pseudospikes*, by the squared distance of their spike times from the targets. Predicted before the first of these
# runs: with pseudospikes, exact networks of either neuron end, in the mean of seeds, nearer than without, and at most
# as far as the surrogate's.

# %%
exact, on_grid = (
    study.Method(timing_duration, ss.Events(budget=40)),
    study.surrogate(timing_duration, timing_steps, sharpness),
)
most = max(len(row) for row in timing_targets)
targets = jnp.asarray([row + [np.inf] * (most - len(row)) for row in timing_targets])
weights = {"mean": 4.0, "spread": 2.5, "loop": 0.5}
trial = poisson_spikes(np.random.default_rng(1), 0.5, 20, timing_duration, room=100)
losses = {kind: study.SpikeTiming(on_grid if kind == "surrogate" else exact, targets) for kind in neurons}
losses |= {f"{kind}, pseudospikes": study.SpikeTimes(exact, targets) for kind in neurons if kind != "surrogate"}

# %%
rows = [
    pd.DataFrame(
        study.train_to_spike(
            losses[kind], exact, targets,
            study.random_network(
                jax.random.key(seed), neurons[kind.replace(", pseudospikes", "")](1.0), 20, (timing_neurons,), **weights
            ),
            optax.adam(timing_learning_rate), trial, rounds=timing_rounds, steps=timing_steps_per_round,
            key=jax.random.key(2000 + seed),
        )
    ).assign(kind=kind, seed=seed)
    for kind, seed in tqdm(list(itertools.product(losses, seeds)), desc="spike timing")
]  # fmt: skip
distances = pd.concat(rows, ignore_index=True)
distances.to_csv(raw / "distances.csv", index=False)
distances[distances.step == distances.step.max()].groupby("kind").distance.describe()[["count", "mean", "min", "max"]]

# %% [markdown]
# ## What is kept
#
# The histories of both tasks, for the analysis. That training did anything at all is asserted here: every network
# classifies better after it than before. Spike timing is left to the analysis: not every kind learns it.

# %%
setup = {"seeds": seeds, "epochs": epochs, "sharpness": sharpness, "steps_per_time_constant": steps / duration}
(raw / "setup.json").write_text(json.dumps(setup))
accuracies = history.set_index(["kind", "seed", "epoch"]).test_accuracy.unstack()
assert (accuracies[epochs] > accuracies[0]).all(), "a network classifies no better after training"

# %%
last = history[history.epoch == epochs].groupby("kind").test_accuracy.mean()
numbers = {"epochs": epochs, "seeds": len(seeds), "sharpness": sharpness, "trials": trials, "hidden": hidden}
numbers |= {f"accuracy_{kind.replace(', ', '_').lower()}": float(value) for kind, value in last.items()}
(raw.parent / "numbers.json").write_text(json.dumps(numbers, indent=1, sort_keys=True) + "\n")

# %% [markdown]
# ## Files written
#
# `numbers.json`; in `raw/`: `setup.json`, `history.csv` and `distances.csv`.
