"""Workload E on eventax, gradients through the solver's steps; `measure.py` says how to call it."""

import equinox as eqx
import jax
import jax.numpy as jnp
from eventax.evnn import FFEvNN
from eventax.neuron_models import LIF
from measure import END, run, time_loss

STEP = 0.01  # of Euler's method, the package's default solver; a hundredth of the synaptic time constant
EVENTS = 200  # budget of a trial; the package raises if it is too small


def network():
    """A 5-120-3 network with weights to be filled in."""
    return FFEvNN(
        (120, 3),
        5,
        LIF,
        END,
        key=jax.random.key(0),
        solver_stepsize=STEP,
        max_event_steps=EVENTS,
        output_no_spike_value=jnp.inf,
        thresh=1.0,
        tsyn=1.0,
        tmem=2.0,
        init_weights=0.0,
        init_bias=0.0,
    )


def matrix(weights):
    """The package's weight matrix [from 120 + 3 neurons and 5 inputs, to 123 neurons]."""
    empty = jnp.zeros((128, 123))
    return empty.at[:120, 120:].set(weights["output"]).at[123:, :120].set(weights["hidden"])


def yin_yang(times, labels, hidden, output):
    """E. A trial ends when all outputs have spiked."""
    silent = network()

    def loss(weights, times, labels):
        model = eqx.tree_at(lambda model: model.neuron_model.weights, silent, matrix(weights))
        return time_loss(jax.vmap(model.ttfs)(times[:, :, None]), labels)

    return loss, {"hidden": hidden, "output": output}, (times, labels), f"Euler steps of {STEP} tau_syn, not exact"


if __name__ == "__main__":
    run("eventax", {"E": yin_yang})
