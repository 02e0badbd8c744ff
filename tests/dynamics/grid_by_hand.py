"""A recurrent layer and a leaky readout on a grid with the backward pass by hand, in NumPy: the other route.

Loss: sum of weight[t] * readout[t] + |V at the end|^2/2 + |I at the end|^2/2. One trial; time runs over the first axis.
"""

import numpy as np

# Each reset: new voltage, then its derivatives with respect to decayed voltage, driven part and spike.
RESETS = {
    "none": (lambda k, d, s, th: k + d, lambda k, d, s, th: (1 + 0 * s, 1 + 0 * s, 0 * s)),
    "zero": (lambda k, d, s, th: (k + d) * (1 - s), lambda k, d, s, th: (1 - s, 1 - s, -(k + d))),
    "before input": (lambda k, d, s, th: k * (1 - s) + d, lambda k, d, s, th: (1 - s, 1 + 0 * s, -k)),
    "subtraction": (lambda k, d, s, th: k + d - th * s, lambda k, d, s, th: (1 + 0 * s, 1 + 0 * s, 0 * s - th)),
}
SLOPES = {
    "SuperSpike": lambda v: (1 + 10 * np.abs(v)) ** -2,
    "Sigmoid": lambda v: 1 / np.cosh(5 * v) ** 2,
    "Arctan": lambda v: 1 / (1 + 100 * v**2),
    "Triangle": lambda v: np.clip(1 - np.abs(v), 0, None),
    "Gaussian": lambda v: np.exp(-2 * v**2),
    "MultiGaussian": lambda v: (
        np.sqrt(2 / np.pi) * 1.15 * np.exp(-2 * v**2)
        - 0.15 / (3 * np.sqrt(2 * np.pi)) * (np.exp(-((v - 0.5) ** 2) / 18) + np.exp(-((v + 0.5) ** 2) / 18))
    ),
}


def forward(p, x, reset, order):
    """Voltages, currents, spikes (all with the start in row 0) and readouts of a trial."""
    a, b, c = (np.exp(-p["dt"] / p[name]) for name in ("synapse", "membrane", "readout"))
    voltage, current = [np.zeros(len(b))], [np.zeros(len(b))]
    spikes, readout = [np.zeros(len(b))], [np.zeros(len(c))]
    for signal in x:
        current.append(a * current[-1] + p["W"] @ signal + p["V"] @ spikes[-1])
        driving = current[-1] if order == "new" else current[-2]
        voltage.append(RESETS[reset][0](b * voltage[-1], (1 - b) * driving, spikes[-1], p["threshold"]))
        spikes.append(np.heaviside((voltage[-1] - p["threshold"]) / p["threshold"], 1))
        readout.append(c * readout[-1] + (1 - c) * (p["O"] @ spikes[-1]))
    return tuple(np.array(part) for part in (voltage, current, spikes, readout))


def loss(p, x, weight, reset, order):
    """The loss of a trial."""
    voltage, current, _, readout = forward(p, x, reset, order)
    return (weight * readout[1:]).sum() + (voltage[-1] ** 2).sum() / 2 + (current[-1] ** 2).sum() / 2


def gradient(p, x, weight, slope, reset, order, felt="full"):
    """Gradient of the loss by backpropagation; `felt`: "full", "detached" or "unfelt" reset."""
    a, b, c = (np.exp(-p["dt"] / p[name]) for name in ("synapse", "membrane", "readout"))
    V, I, s, o = forward(p, x, reset, order)
    g = {name: np.zeros_like(value) for name, value in p.items() if name not in ("dt", "threshold")}
    da, db, dc = np.zeros_like(a), np.zeros_like(b), np.zeros_like(c)
    to_V, to_I, to_s, to_o = V[-1].copy(), I[-1].copy(), np.zeros_like(a), np.zeros_like(c)
    for t in range(len(x), 0, -1):
        to_o = to_o + weight[t - 1]
        dc += to_o * (o[t - 1] - p["O"] @ s[t])
        g["O"] += np.outer((1 - c) * to_o, s[t])
        to_s = to_s + p["O"].T @ ((1 - c) * to_o)
        to_V = to_V + to_s * slope((V[t] - p["threshold"]) / p["threshold"]) / p["threshold"]
        driving = I[t] if order == "new" else I[t - 1]
        kept, driven, back = RESETS["none" if felt == "unfelt" else reset][1](
            b * V[t - 1], (1 - b) * driving, s[t - 1], p["threshold"]
        )
        db += to_V * (kept * V[t - 1] - driven * driving)
        to_driving = to_V * driven * (1 - b)
        to_I = to_I + to_driving if order == "new" else to_I
        da += to_I * I[t - 1]
        g["W"] += np.outer(to_I, x[t - 1])
        g["V"] += np.outer(to_I, s[t - 1])
        to_s = p["V"].T @ to_I + (to_V * back if felt == "full" else 0)
        to_I = a * to_I + (0 if order == "new" else to_driving)
        to_V, to_o = to_V * kept * b, c * to_o
    for name, decay, to_decay in (("synapse", a, da), ("membrane", b, db), ("readout", c, dc)):
        g[name] = to_decay * decay * p["dt"] / p[name] ** 2
    return g


def example(seed=0, neurons=7, channels=5, outputs=3, steps=30):
    """Parameters, inputs and loss weights of a lively network: heterogeneous time constants, a threshold of 0.8."""
    rng = np.random.default_rng(seed)
    p = {
        "W": rng.normal(1.2, 1.5, (neurons, channels)),
        "V": rng.normal(0, 0.8, (neurons, neurons)),
        "O": rng.normal(0, 1, (outputs, neurons)),
        "synapse": rng.uniform(2, 6, neurons),
        "membrane": rng.uniform(3, 12, neurons),
        "readout": rng.uniform(5, 15, outputs),
        "threshold": 0.8,
        "dt": 0.5,
    }
    return p, (rng.random((steps, channels)) < 0.3).astype(float), rng.normal(0, 1, (steps, outputs))
