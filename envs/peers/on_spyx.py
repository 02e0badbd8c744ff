"""Workload S on spyx; `measure.py` says how to call it."""

from flax import nnx
from measure import readout_loss, run
from spyx import axn
from spyx.nn import LI, RCuBaLIF
from spyx.nn import run as over_time


def recurrent(spikes, labels, W, R, O):
    """S. The network's factor 0.1 is in the weights; both projections are one product over all steps."""
    surrogate, keys = axn.superspike(k=10), nnx.Rngs(0)
    layer = RCuBaLIF((256,), alpha=0.8, beta=0.9, activation=surrogate, rngs=keys)
    readout = LI((20,), beta=0.9, rngs=keys)
    structure, constants = nnx.split(layer)

    def loss(weights, spikes, labels):
        recurrent = nnx.merge(structure, constants)
        recurrent.recurrent_w = nnx.Param(0.1 * weights["R"])
        hidden, _ = over_time(recurrent, spikes @ (0.1 * weights["W"]))
        membrane, _ = over_time(readout, hidden @ (0.1 * weights["O"]))
        return readout_loss(membrane, labels)

    return loss, {"W": W, "R": R, "O": O}, (spikes, labels), "reset by subtraction, readout a step late"


if __name__ == "__main__":
    run("spyx", {"S": recurrent})
