"""Workload E on jaxsnn, gradients by EventProp; `measure.py` says how to call it."""

import itertools

import jax
import jax.numpy as jnp
from jaxsnn.event.modules import LIF, Linear, Source
from jaxsnn.event.modules.lif import LIFParameters
from jaxsnn.event.topology import Topology
from jaxsnn.event.types import Spike
from measure import END, run, time_loss

EVENTS = 128  # simulated per trial and layer, inputs among them: enough for every first output spike; checked below


def network():
    """Function (inputs, weights) -> spikes of each layer of a 5-120-3 network."""
    neuron = LIFParameters(tau_syn=1.0, tau_mem=2.0, v_th=1.0, v_reset=0.0)
    topology = Topology(t_max=END, backprop_method="eventprop")
    topology.add({"input": Source(5), "hidden": LIF(120, EVENTS, neuron), "output": LIF(3, EVENTS, neuron)})
    topology.add({"to hidden": Linear(), "to output": Linear()})
    topology.connect(list(itertools.pairwise(["input", "to hidden", "hidden", "to output", "output"])))
    return topology.done()[1]


def inputs(times):
    """Input spikes of all trials, in order."""
    order = jnp.argsort(times, axis=-1)
    times = jnp.take_along_axis(times, order, axis=-1)
    layer, real = jnp.zeros_like(order), jnp.ones_like(order, bool)
    return {"input": Spike(times, order, jnp.zeros_like(times), layer, real)}


def first_spikes(spikes):
    """First spike times of the outputs `[trials, 3]`, infinite where silent."""
    own = (spikes.idx[:, :, None] == jnp.arange(3)) & spikes.internal[:, :, None]
    return jnp.min(jnp.where(own, spikes.time[:, :, None], jnp.inf), axis=1)


def yin_yang(times, labels, hidden, output):
    """E. Raises if the events of a trial ran out before every output had spiked once."""
    weights, spikes, simulate = {"to hidden": hidden, "to output": output}, inputs(times), network()
    found = jax.jit(simulate)(spikes, weights)
    if jnp.any(first_spikes(found["output"]).max(-1) > found["hidden"].time[:, -1]):
        raise RuntimeError(f"{EVENTS} events of a layer are too few")

    def loss(weights, spikes, labels):
        return time_loss(first_spikes(simulate(spikes, weights)["output"]), labels)

    return loss, weights, (spikes, labels), f"at most {EVENTS} events per trial and layer"


if __name__ == "__main__":
    run("jaxsnn", {"E": yin_yang})
