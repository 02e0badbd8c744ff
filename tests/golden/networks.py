"""The networks whose spike times and derivatives are kept as golden numbers, and the script that computes them.

    python -m tests.golden.networks

runs the forty-digit simulation of `exact_network` (minutes) and writes `networks.npz`.
"""

import dataclasses
from pathlib import Path

import mpmath as mp
import numpy as np
from tests.golden import exact_network

FILE = Path(__file__).with_name("networks.npz")
NEURONS, CHANNELS = 20, 4


@dataclasses.dataclass(frozen=True)
class Case:
    """A network along a path of weights: `weights + path[k] * direction`.

    Derivatives are kept of the first spike and of the last before `differentiated`, which chaos limits.
    """

    name: str
    model: type
    duration: float
    inputs: int
    scale: float
    input_scale: float
    seed: int
    delay: float | None = None
    path: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    differentiated: float = np.inf

    def draw(self):
        """Weights `[path, post, pre]`, input weights, voltages, currents, input times and channels, delays or None."""
        random = np.random.default_rng(self.seed)
        weights = self.scale * random.normal(size=(NEURONS, NEURONS))
        direction = 0.3 * self.scale * random.normal(size=(NEURONS, NEURONS))
        weights = weights + np.asarray(self.path)[:, None, None] * direction
        input_weights = self.input_scale * random.uniform(-0.2, 1, size=(NEURONS, CHANNELS))
        voltages = random.uniform(-0.4, 0.8, NEURONS)
        currents = self.input_scale * random.uniform(0, 1, NEURONS)
        times = np.sort(random.uniform(0, self.duration, self.inputs))
        channels = random.integers(0, CHANNELS, self.inputs)
        delays = None if self.delay is None else self.delay * random.uniform(0.5, 1.5, (NEURONS, NEURONS))
        return weights, input_weights, voltages, currents, times, channels, delays


CASES = (
    Case("qif", exact_network.QIF, 12.0, 100, 0.5, 8.0, 1),
    Case("lif", exact_network.LIF, 10.0, 40, 0.1, 2.2, 2),
    Case("theta", exact_network.Theta, 35.0, 40, 0.15, 0.5, 3),
    Case("oscillatory_lif", exact_network.OscillatoryLIF, 18.0, 20, 0.01, -0.03, 4),
    Case("qif_delayed", exact_network.QIF, 12.0, 100, 0.5, 8.0, 5, delay=0.3, path=(0.0, 1.0)),
    Case("theta_chaotic", exact_network.Theta, 80.0, 50, 0.27, 0.5, 3, path=(0.0, 1.0), differentiated=50.0),
)


def first_states(case, voltages, currents):
    """Initial states of the exact model, and the variables whose slopes are wanted."""
    if case.model is exact_network.Theta:
        return [(exact_network.atan(v - 0.5) + mp.pi / 2,) for v in voltages]
    return [
        (v, i) if case.model in (exact_network.QIF, exact_network.LIF) else (v,)
        for v, i in zip(voltages, currents, strict=True)
    ]


def run(case, weights, input_weights, voltages, currents, times, channels, delays):
    inputs = [(time, int(channel)) for time, channel in zip(times, channels, strict=True)]
    states = first_states(case, voltages, currents)
    return exact_network.simulate(case.model(), weights, input_weights, states, inputs, case.duration, delays)


def numbers(array, make):
    return [numbers(row, make) for row in array] if np.ndim(array) else make(mp.mpf(float(array)))


def slopes(array):
    return np.asarray([slopes(x) if isinstance(x, list) else float(x.slope) for x in array])


def golden(case):
    """Spike trains along the path; derivatives of the first and the last spike time at its beginning."""
    weights, input_weights, voltages, currents, times, channels, delays = case.draw()
    result = {}
    plain_parts = [numbers(x, lambda y: y) for x in (input_weights, voltages, currents)]
    plain_delays = None if delays is None else numbers(delays, lambda y: y)
    for k, matrix in enumerate(weights):
        spikes = run(case, numbers(matrix, lambda y: y), *plain_parts, times, channels, plain_delays)
        result[f"times_{k}"] = np.asarray([float(time) for time, _ in spikes])
        result[f"sources_{k}"] = np.asarray([source for _, source in spikes])
        print(case.name, k, len(spikes), "spikes", flush=True)
    parts = [numbers(x, exact_network.Variable) for x in (weights[0], input_weights, voltages, currents)]
    variable_delays = None if delays is None else numbers(delays, exact_network.Variable)
    spikes = run(case, *parts, times, channels, variable_delays)
    early = [spike for spike in spikes if exact_network.plain(spike[0]) < case.differentiated]
    for name, (time, _) in {"first": early[0], "last": early[-1]}.items():
        for variable in [v for part in parts for v in flat(part)]:
            variable.slope = mp.mpf(0)
        exact_network.pull_back(time)
        names = ["weights", "input_weights", "voltages", "currents"]
        result |= {f"{name}_{key}": slopes(part) for key, part in zip(names, parts, strict=True)}
        if delays is not None:
            result[f"{name}_delays"] = slopes(variable_delays)
    return result


def flat(part):
    return [x for row in part for x in flat(row)] if isinstance(part, list) else [part]


def main():
    content = {f"{case.name}/{key}": value for case in CASES for key, value in golden(case).items()}
    np.savez_compressed(FILE, **content)


if __name__ == "__main__":
    main()
