"""Recurrent layers of two-state cells in NumPy, from the equations of the papers, with real and complex numbers.

Each steps over the first axis of `x`, the spikes of the channels, and gives the spikes and the final states.
"""

import numpy as np


def adaptive(p, x):
    """SE-adLIF: equations (16) to (18) of Baronig et al. (2025), with I = W x + R s."""
    alpha, beta = np.exp(-p["dt"] / p["membrane"]), np.exp(-p["dt"] / p["adaptation"])
    u, w, s = np.zeros((3, len(alpha)))
    spikes = []
    for signal in x:
        trial_u = alpha * u + (1 - alpha) * (-w + p["W"] @ signal + p["R"] @ s)
        s = (trial_u >= p["threshold"]).astype(float)
        u = trial_u * (1 - s)
        w = beta * w + (1 - beta) * (p["a"] * u + p["b"] * s)
        spikes.append(s)
    return np.array(spikes), trial_u


def resonating(p, x):
    """BRF: algorithm 1 of Higuchi et al. (2024), with a complex state and input that is dt I = W x + R s."""
    omega, dt = p["omega"], p["dt"]
    bound = (-1 + np.sqrt(1 - (dt * omega) ** 2)) / dt
    u, q, s = np.zeros(len(omega), complex), np.zeros(len(omega)), np.zeros(len(omega))
    spikes = []
    for signal in x:
        arriving = p["W"] @ signal + p["R"] @ s
        q = np.exp(-dt / p["refractory"]) * q + s
        b = bound - p["damping"] - p["more"] * q
        u = u + dt * (b + 1j * omega) * u + arriving
        s = (u.real >= p["threshold"] + q).astype(float)
        spikes.append(s)
    return np.array(spikes), u.real


def complex_lif(p, x):
    """C-SiLIF: u' = exp(D (-k + i omega)) (u - s/2) + b I, a spike where 2 Re u' >= 1 (Fabre et al. 2025)."""
    turn = np.exp(p["timestep"] * (-p["decay"] + 1j * p["frequency"]))
    u, s = np.zeros(len(turn), complex), np.zeros(len(turn))
    spikes = []
    for signal in x:
        u = turn * (u - s / 2) + p["gain"] / 2 * (p["W"] @ signal + p["R"] @ s)
        s = (2 * u.real >= 1).astype(float)
        spikes.append(s)
    return np.array(spikes), 2 * u.real


def example(seed=0, neurons=7, channels=5, steps=40):
    """Parameters of all three, and the spikes of the channels."""
    rng = np.random.default_rng(seed)
    p = {
        "W": rng.normal(1.5, 3.0, (neurons, channels)),
        "R": rng.normal(0, 1.0, (neurons, neurons)),
        "membrane": rng.uniform(2, 6, neurons),
        "adaptation": rng.uniform(10, 40, neurons),
        "a": rng.uniform(0.5, 5, neurons),
        "b": rng.uniform(0.5, 5, neurons),
        "omega": rng.uniform(0.2, 1, neurons),
        "damping": rng.uniform(0.05, 0.2, neurons),
        "refractory": rng.uniform(2, 8, neurons),
        "more": 0.3,
        "timestep": rng.uniform(0.05, 0.5, neurons),
        "decay": rng.uniform(0.3, 0.7, neurons),
        "frequency": rng.uniform(1, 4, neurons),
        "gain": rng.uniform(0.5, 1.5, neurons),
        "threshold": 1.0,
        "dt": 0.5,
    }
    return p, (rng.random((steps, channels)) < 0.3).astype(float)
