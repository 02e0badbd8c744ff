"""Workload S on slax; `measure.py` says how to call it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from measure import readout_loss, run
from slax import LIF, RNN, connect, fast_sigmoid

GAIN = 0.1 / (1 - 0.8)  # the membrane's factor times that of the workload's synapse in the steady state


def network():
    """Recurrent layer of 256 neurons from 700 channels, both products in the loop over steps; the leak is 0.9."""
    neuron = LIF(init_tau=float(np.log(9.0)), spike_fn=fast_sigmoid(10), subtraction_reset=False)
    layers = [nn.Dense(256, use_bias=False), neuron]
    return RNN(connect(layers, {0: [1]}, return_carry=False), unroll=1)  # by default it unrolls all steps


def leaky(currents):
    """Leaky sum of currents over steps; the package's own integrator does not keep its state."""

    def step(membrane, current):
        membrane = 0.9 * membrane + current
        return membrane, membrane

    return jax.lax.scan(step, jnp.zeros_like(currents[0]), currents)[1]


def recurrent(spikes, labels, W, R, O):
    """S."""
    layer = network()
    carry = jax.tree.map(jnp.zeros_like, layer.init(jax.random.key(0), spikes)["carry"])

    def loss(weights, spikes, labels):
        kernels = {"chain_0": {"kernel": GAIN * weights["W"]}, "chain_0_rec_1": {"kernel": GAIN * weights["R"]}}
        variables = {"params": {"rec_0": {"RNN_": {"mdl": kernels}}}}
        hidden, _ = layer.apply(variables | {"carry": carry}, spikes, mutable=["carry"])
        return readout_loss(leaky(hidden @ (0.1 * weights["O"])), labels)

    return loss, {"W": W, "R": R, "O": O}, (spikes, labels), "no synapse state, readout not by the package"


if __name__ == "__main__":
    run("slax", {"S": recurrent})
