"""Workloads E (event-based) and S (surrogate gradients) on sparxml; `measure.py` says how to call it."""

import jax.numpy as jnp
import numpy as np
import sparx
from measure import END, readout_loss, run, time_loss
from sparx.learn.events import EventLIF, spike_times

CAPACITY = 3  # spikes recorded of a hidden neuron, as few as give every first output spike; checked below


def first_spikes(weights, times):
    """First spike times of the outputs `[trials, 3]` and recorded spike times of the hidden layer."""
    neuron = EventLIF(tau_m=2.0, tau_syn=1.0, v_th=1.0)
    hidden, _ = spike_times(times[:, :, None], weights["hidden"], neuron, END, CAPACITY)
    output, _ = spike_times(hidden, weights["output"], neuron, END, 1)
    return output[:, :, 0], hidden


def yin_yang(times, labels, hidden, output):
    """E. Raises if a hidden neuron's last recorded spike precedes an output's first: later ones could matter."""
    weights = {"hidden": hidden, "output": output}
    first, recorded = first_spikes(weights, times)
    if jnp.any(recorded[:, :, -1].min(-1) < jnp.minimum(first, END).max(-1)):
        raise RuntimeError(f"{CAPACITY} spikes of a hidden neuron are too few")

    def loss(weights, times, labels):
        return time_loss(first_spikes(weights, times)[0], labels)

    return loss, weights, (times, labels), f"at most {CAPACITY} spikes per hidden neuron, 1 per output"


def recurrent(spikes, labels, W, R, O):
    """S. The network's factor 0.1 is in the weights; the input projection is one product over all steps."""
    tau, tau_synapse = -1 / np.log(0.9), -1 / np.log(0.8)
    surrogate = sparx.surrogate.FastSigmoid(10.0)
    neuron = sparx.nn.Synaptic(tau=tau, tau_synapse=tau_synapse, reset="zero", surrogate=surrogate)
    layer, readout = sparx.nn.Recurrent(neuron), sparx.nn.LI(tau=tau)

    def loss(weights, spikes, labels):
        variables = {"params": {"recurrent": 0.1 * weights["R"]}}
        hidden = layer.apply(variables, spikes @ (0.1 * weights["W"]))
        return readout_loss(readout.apply({}, hidden @ (0.1 * weights["O"])), labels)

    return loss, {"W": W, "R": R, "O": O}, (spikes, labels), "none"


if __name__ == "__main__":
    run("sparxml", {"E": yin_yang, "S": recurrent})
