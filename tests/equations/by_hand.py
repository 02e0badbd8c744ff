"""Two LIF neurons of which the first makes the second spike, in plain numpy: flow, event and their derivatives."""

import numpy as np

TAU, WEIGHT = 0.8, 6.0
START = np.array([0.2, 5.0, 0.1, 0.5])  # V and I of the first neuron, then of the second


def flow(dt):
    """The matrix of both neurons' flow, V = V0 x + I0 (x - x^2), I = I0 x^2."""
    x = np.exp(-dt / TAU)
    return np.kron(np.eye(2), [[x, x - x**2], [0.0, x**2]])


def field(state):
    """The time derivative of the state."""
    v, i, w, j = state
    return np.array([(i - v) / TAU, -2 * i / TAU, (j - w) / TAU, -2 * j / TAU])


def wait(state, neuron):
    """Time to the spike of a neuron: the larger root x of I0 x^2 - (V0 + I0) x + 1."""
    v, i = state[2 * neuron : 2 * neuron + 2]
    return -TAU * np.log((v + i + np.sqrt((v + i) ** 2 - 4 * i)) / (2 * i))


def reset(neuron):
    """The derivative of the reset: the voltage of the neuron that spikes is lost."""
    kept = np.eye(4)
    kept[2 * neuron, 2 * neuron] = 0.0
    return kept


def after(state, neuron):
    """The state after a spike: reset, and for a spike of the first neuron a jump of the second's current."""
    return reset(neuron) @ state + (np.array([0.0, 0.0, 0.0, WEIGHT]) if neuron == 0 else 0.0)


def of_time(before, neuron):
    """The derivative of the spike's time with respect to the state before it."""
    condition = np.eye(4)[2 * neuron]
    return -condition / (condition @ field(before))
