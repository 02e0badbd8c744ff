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
# # The gradient of a spike time
#
# **Question.** Does the time of a spike follow every small change of a weight or of an input time, until the spike is
# gone?
#
# Gradient descent on spike times needs a "yes". The answer is "no" if there is a neuron or an input for which the spike
# leaves in mid-trial: its time then jumps from a finite value to nowhere, the loss jumps with it, and the gradient just
# before the jump says nothing of it.

# %% [markdown]
# ## The claim
#
# The exact derivative of a spike time has long been known and used for leaky integrate-and-fire (LIF) neurons
# (Wunderlich and Pehle 2021; Göltz et al. 2021), together with its flaw: where the voltage only just reaches the
# threshold, the spike is about to vanish and the derivative diverges. Klos and Memmesheimer (2025) claim that the flaw
# belongs to the LIF neuron and not to spikes: a quadratic integrate-and-fire (QIF) neuron makes its spikes by its own
# runaway, so that they can be delayed without limit but never cut off. Spikes then appear and vanish only at the end of
# the trial, and their times are continuous and differentiable until then.

# %% [markdown]
# ## The two neurons
#
# Both have a membrane time constant $\tau$ and a synaptic current that decays with $\tau/2$; an input of weight $w$
# adds $w$ to the current.
#
# $$\text{LIF:}\quad \tau \dot V = -V + I, \quad V \ge 1 \Rightarrow V \to 0 \qquad\qquad
#   \text{QIF:}\quad \tau \dot V = V (V - 1) + I, \quad V = \infty \Rightarrow V \to -\infty$$
#
# From rest and with one input at time 0, both can be solved by hand. With $x = e^{-t/\tau}$ the voltage of the LIF
# neuron is $w (x - x^2)$, at most $w/4$. It therefore spikes if $w \ge 4$, and no later than at $\tau \ln 2$:
#
# $$t^*_\text{LIF} = -\tau \ln \frac{1 + \sqrt{1 - 4/w}}{2}, \qquad
#   t^*_\text{QIF} = -\tau \ln \Big(1 - \frac{\pi}{2\sqrt{w}}\Big) .$$
#
# The square root is the flaw: the slope $\partial t^*/\partial w$ grows like $(w - 4)^{-1/2}$. The QIF neuron
# spikes for every $w > \pi^2/4$ if it is given the time, the later the smaller $w$.

# %% [markdown]
# ## Parameters
#
# Times are in units of the membrane time constant; weights and currents are dimensionless.

# %% tags=["parameters"]
duration = 3.0  # end of the trial
excitation = 6.0  # weight of the excitatory input at time 0, where it is fixed
early_inhibition = [2.0, 0.2]  # weight and time of an inhibitory input, where it is fixed
moving_inhibition = 4.0  # weight of the inhibitory input whose time moves
largest_weight = 10.0  # weights are swept up to here
latest_arrival = 2.0  # arrival times are swept up to here
points = 200  # of each curve
results_folder = "../results/draft/spike-time-gradient"
data_folder = "../data"

# %%
import jax
import numpy as np
import pandas as pd
from IPython.display import Image

import stablespike as ss
from stablespike.figures.products import bound_of, save_figure, save_numbers, save_table
from studies.figures.spike_time_gradient import spike_time_gradient_figure
from studies.spike_time_gradient import edge_of_spiking, finite_differences, sweep_first_spike

jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## Three ways to end a spike
#
# A weaker input, a weaker input beside an inhibitory one, and an inhibitory input that moves ahead until it arrives
# before the spike. Each is a function from the swept number to the weights and times of the inputs.

# %%
neurons = {"LIF": ss.LIF(), "QIF": ss.QIF()}
inputs = {
    "one": lambda w: ([w], [0.0]),
    "two": lambda w: ([w, -early_inhibition[0]], [0.0, early_inhibition[1]]),
    "moving": lambda arrival: ([excitation, -moving_inhibition], [0.0, arrival]),
}
largest = {"one": largest_weight, "two": largest_weight, "moving": latest_arrival}
smallest = {"one": 2.0, "two": 2.0, "moving": 0.0}
cases = [(neuron, kind) for neuron in neurons for kind in inputs]

# %% [markdown]
# First, where does the spike end? Bisection finds two neighbouring floating-point numbers, without a spike at the one
# and with a spike at the other.

# %%
edges = {
    (neuron, kind): edge_of_spiking(neurons[neuron], inputs[kind], smallest[kind], largest[kind], duration)
    for neuron, kind in cases
}

# %% [markdown]
# Then the spike times, from there to the largest value and more densely near the edge, with their exact derivatives:
# reverse-mode differentiation through the simulated events, the same that trains networks elsewhere in this repository.

# %%
curves = []
for neuron, kind in cases:
    silent, last = edges[neuron, kind]
    steps = np.concatenate([np.geomspace(1e-6, 1e-2, points // 2), np.linspace(0.01, 1, points)[1:]])
    values = np.concatenate([[smallest[kind], silent], last + (largest[kind] - last) * steps])
    sweep = sweep_first_spike(neurons[neuron], inputs[kind], values, duration)
    columns = {"value": values, "spike_time": sweep.times, "gradient": sweep.gradients}
    curves.append(pd.DataFrame(columns).assign(neuron=neuron, inputs=kind))
curves = pd.concat(curves, ignore_index=True)

# %% [markdown]
# ## Are the derivatives right?
#
# Central differences of fourth order know nothing of the exact rule. Their step is a thousandth of the distance from
# the edge: with a fixed step they would fail where the slope diverges, which is where they are needed.

# %%
checks = []
for neuron, kind in cases:
    last = edges[neuron, kind][1]
    distances = (largest[kind] - last) * np.geomspace(0.01, 0.95, 16)
    sweep = sweep_first_spike(neurons[neuron], inputs[kind], last + distances, duration)
    slopes = finite_differences(neurons[neuron], inputs[kind], last + distances, 1e-3 * distances, duration)
    columns = {"value": sweep.values, "spike_time": sweep.times, "gradient": sweep.gradients, "difference": slopes}
    checks.append(pd.DataFrame(columns).assign(neuron=neuron, inputs=kind))
checks = pd.concat(checks, ignore_index=True)
checks["deviation"] = (checks.gradient - checks.difference).abs() / checks.gradient.abs().clip(lower=1e-3)
deviations = checks.groupby(["neuron", "inputs"]).deviation.max()
deviations

# %% [markdown]
# The deviation is relative, but for slopes below $10^{-3}$, where it is taken relative to $10^{-3}$: the slope is zero
# wherever an input comes too late to matter.
#
# ## How does the slope end?
#
# The slope against the distance $w - w_\text{min}$ from the last spike, over seven decades, and the exponent of the
# power law that fits it best at small distances.

# %%
approach, exponents = [], {}
for neuron, kind in cases[0:2] + cases[3:5]:
    distances = np.geomspace(1e-9, 1e-2, 57)
    slopes = sweep_first_spike(neurons[neuron], inputs[kind], edges[neuron, kind][1] + distances, duration).gradients
    near = distances < 1e-4
    exponents[neuron, kind] = np.polyfit(np.log(distances[near]), np.log(-np.asarray(slopes)[near]), 1)[0]
    columns = {"distance": distances, "gradient": slopes}
    approach.append(pd.DataFrame(columns).assign(neuron=neuron, inputs=kind))
approach = pd.concat(approach, ignore_index=True)

# %% [markdown]
# ## When an input crosses the spike
#
# If the inhibitory input comes a time $\Delta$ before the spike that would have been, it delays the spike of the QIF
# neuron by $w \Delta^3 / (3\tau^2)$ to leading order: not at all, in value, slope and curvature, when it arrives
# together with it. We fit the exponent and the factor.

# %%
alone = float(sweep_first_spike(neurons["QIF"], inputs["moving"], [latest_arrival], duration).times[0])
early = np.geomspace(2e-3, 2e-2, 16)
delays = np.asarray(sweep_first_spike(neurons["QIF"], inputs["moving"], alone - early, duration).times) - alone
crossing_exponent = np.polyfit(np.log(early), np.log(delays), 1)[0]
crossing_factor = 3 * delays[0] / (moving_inhibition * early[0] ** 3)

# %% [markdown]
# ## The claim, asserted
#
# The curves of one input are the closed forms above; the spike of the LIF neuron ends in mid-trial in all three
# cases, by a jump, and that of the QIF neuron ends at the trial end; derivatives agree with differences; the slope of
# the LIF neuron diverges with exponent $-1/2$.

# %%
single = curves[(curves.inputs == "one") & np.isfinite(curves.spike_time)]
w = single.value.to_numpy()
closed = np.where(
    single.neuron == "LIF",
    -np.log((1 + np.sqrt(np.maximum(1 - 4 / w, 0))) / 2),
    -np.log1p(-np.pi / (2 * np.sqrt(w))),
)
closed_form_deviation = np.abs(single.spike_time - closed).max()
earliest = curves[np.isfinite(curves.spike_time)].groupby(["neuron", "inputs"]).spike_time.min()
edge_times = {
    (neuron, kind): float(sweep_first_spike(neurons[neuron], inputs[kind], [edges[neuron, kind][1]], duration).times[0])
    for neuron, kind in cases
}
jumps = {case: duration - time for case, time in edge_times.items()}

# %%
assert closed_form_deviation < 1e-7, "a spike time differs from its closed form"
assert all(jumps["LIF", kind] > 0.1 * duration for kind in inputs), "a spike of the LIF neuron reaches the trial end"
assert all(abs(jumps["QIF", kind]) < 1e-9 for kind in inputs), "a spike of the QIF neuron ends in mid-trial"
assert deviations.max() < 1e-7, "an exact derivative differs from the finite difference"
assert all(abs(exponents["LIF", kind] + 0.5) < 0.01 for kind in ("one", "two")), "no square-root singularity"
assert abs(crossing_exponent - 3) < 0.05, "an input does not cross the spike smoothly"

# %% [markdown]
# The weight below which the QIF neuron stays silent is $\pi^2/4$ for unlimited time. In a trial that ends at $T$ it is
# $(\pi/2)^2 / (1 - e^{-T/\tau})^2$.

# %%
smallest_weight = edges["QIF", "one"][1]
unlimited_weight = edge_of_spiking(neurons["QIF"], inputs["one"], 2.0, 10.0, 12 * duration)[1]
assert abs(smallest_weight - (np.pi / 2 / -np.expm1(-duration)) ** 2) < 1e-12
assert abs(unlimited_weight - np.pi**2 / 4) < 1e-9

# %% [markdown]
# ## Figure and table

# %%
figure = spike_time_gradient_figure(pd.concat([curves, checks], ignore_index=True), approach, duration=duration)
Image(save_figure(figure, results_folder), width=900)

# %% [markdown]
# **Spike times and their slopes.** *Upper row:* time of the first spike of the LIF (red) and the QIF neuron (blue)
# against the weight of the only input (a), the same with an inhibitory input shortly after (b), and against the
# arrival time of an inhibitory input (c). The LIF neuron's spike ends at the open circle, in mid-trial; the QIF
# neuron's moves on to the end of the trial (dashed). *Lower row:* the slopes of (a) and (c), exact (lines) and by
# finite differences (dots), in (d) and (f); how the slope ends with the spike (e; one input: lines, two inputs:
# circles).

# %%
rows = [
    {
        "neuron": neuron,
        "inputs": kind,
        "edge": edges[neuron, kind][1],
        "earliest_spike": earliest[neuron, kind],
        "latest_spike": edge_times[neuron, kind],
        "jump": round(jumps[neuron, kind], 9),
        "slope_exponent": exponents.get((neuron, kind), np.nan),
        "deviation_below": bound_of(deviations[neuron, kind]),
    }
    for neuron, kind in cases
]
table = pd.DataFrame(rows)
table

# %% [markdown]
# `edge` is the last weight or arrival time with a spike, `jump` what is missing from the latest spike to the trial end,
# to the nine digits that were asserted.
#
# ## Reading
#
# For the QIF neuron the answer is yes: in all three sweeps the latest spike sits at the trial end to rounding, the
# slope is finite there, and an inhibitory input can be moved across the spike without leaving a mark. For the LIF
# neuron it is no, and in two ways. When the input weakens, the voltage only grazes the threshold: the slope diverges
# and the spike is gone in mid-trial (a, b). When an inhibitory input overtakes the spike, there is not even a
# warning: the slope is zero up to the jump (c, f).
#
# There is no statistical uncertainty here. The numerical one is bounded by the closed forms and by the finite
# differences, whose own error is the larger part of the deviation. What the table gives is a power of ten that it stays
# well below, since rounding differs between processors.
#
# **Not shown.** That continuity makes training succeed: that is the question of `handwritten-digits`. That slopes of
# the QIF neuron are *small*: at the trial end they grow like $e^{T/\tau}$, and an inhibitory input that barely delays
# the spike beyond the end has a steep slope, too (f). That the LIF neuron's jumps matter in large networks, where
# many spikes share the work. And one spike only: a second spike of the same neuron enters at the trial end in the
# same way, but is not drawn.

# %% [markdown]
# ## Files written
#
# `figure.{pdf,svg,png}`, `table.csv`, `table.tex` and `numbers.json` in the results folder.

# %%
numbers = {
    neuron: {row["inputs"]: {k: v for k, v in row.items() if v == v} for row in rows if row["neuron"] == neuron}
    for neuron in neurons
}
numbers |= {"closed_form_deviation_below": bound_of(closed_form_deviation)}
numbers |= {"deviation_below": bound_of(deviations.max())}
numbers |= {"crossing_exponent": crossing_exponent, "crossing_factor": crossing_factor, "duration": duration}
numbers["largest_jump_below"] = {"QIF": bound_of(max(abs(jumps["QIF", kind]) for kind in inputs))}
numbers |= {"smallest_weight": smallest_weight, "unlimited_weight": unlimited_weight}
numbers |= {
    "slope_at_trial_end": float(approach.gradient[(approach.neuron == "QIF") & (approach.inputs == "one")].iloc[0])
}
save_table(table, results_folder)
save_numbers(numbers, results_folder)
