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
# # Training a silent network to read handwritten digits
#
# **Question.** Can a deep spiking network in which *no* hidden neuron ever spikes be trained by the exact gradient of
# its spike times, and nothing else?
#
# It could well fail: a network without spikes has no spike times, so with most neuron models there is nothing to
# differentiate and the weights stay where they are. Klos and Memmesheimer (2025) claim that neurons whose spikes appear
# and vanish only at the end of the trial escape this, because a spike that has not come yet is a *pseudospike* at a
# later, smoothly continued time. This notebook trains; the analysis is in `handwritten-digits`.

# %% [markdown]
# ## The network
#
# Two hidden layers and ten outputs of theta neurons, $\tau \dot V = V(V-1) + I_0$ with $I_0 > 1/4$, which reach
# $V=\infty$ with period $\Theta = \pi\tau/\sqrt{I_0 - 1/4}$ if left alone. A spike from neuron $j$ moves neuron $i$
# from $V$ to $V + w_{ij}$. The trial ends at $T < \Theta$, before an unperturbed neuron would spike, and all neurons
# start at a phase early enough that nobody does.
#
# At the end of the trial a neuron at phase $\phi_T$ is assigned the pseudospike time
#
# $$t = T + \Theta - H(\phi_T, \textstyle\sum_j w_{ij} r_j), \qquad r_j = H(\phi_{T,j}, \cdot)/\Theta ,$$
#
# where $H$ maps the phase before a pulse to that after it and the rates $r_j$ of the layer below act through the
# weights (scheme 2). This is what carries a gradient through layers that never spike.
#
# The loss of a trial with label $y$ is $-\log \mathrm{softmax}(-t)_y + \epsilon\,(e^{t_y/T} - 1)$, with $t$ the first
# spike or pseudospike times of the outputs. Its gradient in all weights and initial phases is exact: no surrogate
# derivative and no smoothing are used anywhere.

# %% [markdown]
# ## Parameters
#
# Times are in the unit of $\tau$ divided by $6/\pi$, so that the period is 6. The defaults are a small run of a minute.
# The input of `digits` is scikit-learn's set of 8 x 8 pixels: grey value $g$ of 1 to 16 becomes an input spike at
# $(16-g)/16 \cdot T/2$, so that there are 16 volleys in the first half of the trial. `mnist` is binarised into a single
# early volley at $T\ln(1/0.99)$.

# %% tags=["parameters"]
dataset = "digits"  # digits (bundled, 8 x 8 pixels) or mnist (28 x 28, from the data folder)
seeds = [1]  # one network is trained per seed
hidden_sizes = [100, 100]  # neurons in each hidden layer
duration = 2.0  # trial length T
period = 6.0  # period Theta of the free neuron
drive = 1.25  # I_0, dimensionless
initial_phase = 3.0  # of every neuron before training
epochs = 10
batch_size = 144  # trials
learning_rate = 4.0e-3  # of AdaBelief
halvings = 2  # how often the learning rate is halved, at equal distances
late_cost = 0.01  # epsilon
flip_probability = 0.0  # chance that a training pixel is flipped
capacity = 4  # budget of spikes per neuron and trial
results_folder = "../results/draft/handwritten-digits-training"
data_folder = "../data"

# %%
import json
import math
import pathlib

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import pandas as pd
from tqdm import tqdm

import stablespike as ss
from stablespike.tasks.handwritten_digits import mnist, small_digits
from studies.handwritten_digits import ClassifierTask, evaluate_classifier, halving_schedule, phase_classifier

jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## Data
#
# Both sets come with their split: MNIST's own, and for the small set one that is drawn once and for all. The test
# trials are evaluated after every epoch to draw the learning curve; nothing is selected by them.

# %%
load = {"digits": small_digits, "mnist": lambda T: mnist(pathlib.Path(data_folder) / "mnist", T)}[dataset]
data = load(duration)
train = (jnp.asarray(data.train_active), jnp.asarray(data.train_labels))
test = (jnp.asarray(data.test_active), jnp.asarray(data.test_labels))
volleys, pixels = train[0].shape[1:]
print(f"{len(train[1])} training and {len(test[1])} test trials, {volleys} volleys of {pixels} pixels")

# %% [markdown]
# ## Networks, one per seed
#
# Weights come from $U(\pm 0.5/\sqrt{\text{fan-in}})$. The simulation runs layer by layer, all spikes of a layer in one
# pass, and its gradient by running the same dynamics backwards in time.

# %%
neuron = ss.Theta(period * math.sqrt(drive - 0.25) / math.pi, drive)
sizes = (train[0].shape[2], *hidden_sizes, 10)
task = ClassifierTask(
    jnp.asarray(data.times),
    duration,
    capacity=capacity,
    late_cost=late_cost,
    flip_probability=flip_probability,
    gradient=ss.TimeReversed(),
)
models = {seed: phase_classifier(jax.random.key(seed), neuron, sizes, initial_phase) for seed in seeds}
before = {seed: evaluate_classifier(model, task, *test) for seed, model in models.items()}
pd.DataFrame(before).T

# %% [markdown]
# The premise of the question has to hold before it is answered: practically all hidden neurons are silent on all test
# trials.

# %%
assert all(row["silent_fraction"] > 0.99 for row in before.values()), "the networks are not silent before training"

# %% [markdown]
# ## Training
#
# AdaBelief on minibatches, its learning rate halved at equal distances. A step whose gradient is not finite, or whose
# simulation ran out of its spike budget, stops the training with an error; every epoch leaves a checkpoint from which
# an interrupted run goes on.

# %%
steps = epochs * (len(train[1]) // batch_size)
init, update = ss.gradient_training(task, optax.adabelief(halving_schedule(learning_rate, steps, halvings)))
raw = pathlib.Path(results_folder) / "raw"
trained = {
    seed: ss.fit(
        update,
        init(model, jax.random.key(1000 + seed)),
        train,
        evaluate=lambda model: evaluate_classifier(model, task, *test),
        epochs=epochs,
        batch_size=batch_size,
        checkpoint=raw / "checkpoint" / f"seed-{seed}.eqx",
        progress=lambda epochs_left, seed=seed: tqdm(epochs_left, desc=f"seed {seed}"),
    )
    for seed, model in models.items()
}

# %% [markdown]
# ## What is kept
#
# The trained parameters of each seed and the history of the training, for the analysis; the errors before and after as
# numbers.

# %%
histories = [pd.DataFrame(history).assign(seed=seed) for seed, (_, history) in trained.items()]
history = pd.concat(histories, ignore_index=True)
history.to_csv(raw / "history.csv", index=False)
setup = {"dataset": dataset, "seeds": seeds, "hidden_sizes": hidden_sizes, "duration": duration, "period": period}
setup |= {
    "drive": drive,
    "initial_phase": initial_phase,
    "epochs": epochs,
    "batch_size": batch_size,
    "capacity": capacity,
}
(raw / "setup.json").write_text(json.dumps(setup))
for seed, (state, _) in trained.items():
    eqx.tree_serialise_leaves(raw / f"seed-{seed}.eqx", state.parameters)
final = history[history.epoch == epochs].set_index("seed")
final

# %% [markdown]
# The gradient reached the layers that did not spike if and only if neurons in them now do. This is the claim under
# test; how well the network then classifies is a second matter, looked at in the analysis.

# %%
assert (final.silent_fraction < 0.99).all(), "the hidden neurons stayed silent"

# %%
numbers = {"epochs": epochs, "seeds": len(seeds), "steps": steps, "batch_size": batch_size}
numbers |= {"error_mean": final.error.mean(), "error_ordinary_mean": final.error_ordinary.mean()}
numbers |= {"train_trials": len(train[1]), "test_trials": len(test[1])}
(raw.parent / "numbers.json").write_text(json.dumps(numbers, indent=1, sort_keys=True) + "\n")

# %% [markdown]
# ## Files written
#
# `numbers.json`; in `raw/`: `setup.json`, `history.csv` and one `seed-*.eqx` per network.
