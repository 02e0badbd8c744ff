"""Networks of every closed-form neuron against an independent forty-digit event simulation (tests/golden)."""

import functools
import itertools

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from tests.golden import exact_network, networks

from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.oscillatory_lif import OscillatoryLIF
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.dynamics.spikes import Spikes

NEURONS = {"qif": QIF(), "lif": LIF(), "theta": Theta(), "oscillatory_lif": OscillatoryLIF(), "qif_delayed": QIF()}
NEURONS |= {"theta_chaotic": Theta()}
GOLDEN = np.load(networks.FILE)
EXACT_TIMES, EXACT_SLOPES = 1e-11, 1e-9


def golden(case, key):
    return GOLDEN[f"{case.name}/{key}"]


@functools.cache
def spikes_of(case):
    """A compiled function from the parameters that are differentiated to the spikes in order."""
    *_, times, channels, delays = case.draw()
    inputs = Spikes(jnp.asarray(times), jnp.asarray(channels))
    most = max(golden(case, f"times_{k}").size for k in range(len(case.path)))
    deliveries = 0 if delays is None else most * networks.NEURONS
    neuron = NEURONS[case.name]

    def run(parameters):
        network = Recurrent(
            neuron, parameters["weights"], parameters["input_weights"], parameters.get("delays"), max_pending=32
        )
        states = initial_states(neuron, parameters["voltages"], parameters["currents"])
        solution = simulate(network, states, inputs, case.duration, max_events=most + times.size + deliveries + 1)
        return solution.spikes, solution.status.flags

    return run


def parameters(case, point=0):
    weights, input_weights, voltages, currents, _, _, delays = case.draw()
    values = {"weights": weights[point], "input_weights": input_weights, "voltages": voltages, "currents": currents}
    if delays is not None:
        values["delays"] = delays
    return {key: jnp.asarray(value) for key, value in values.items()}


@functools.cache
def along(case):
    """Compiled: spikes, flags, and how far each spike time moves when the initial voltages do in a random direction."""
    direction, run = jnp.asarray(np.random.default_rng(0).normal(size=networks.NEURONS)), spikes_of(case)

    def moved(parameters):
        def times(voltages):
            spikes, flags = run(parameters | {"voltages": voltages})
            return spikes.times, (spikes, flags)

        _, shifts, (spikes, flags) = jax.jvp(times, (parameters["voltages"],), (direction,), has_aux=True)
        return spikes, flags, shifts

    return jax.jit(moved)


def horizon_of(times, shifts, tolerance):
    """Largest exponent, fitted to how shifts grow, and the time at which its envelope lifts rounding to `tolerance`."""
    moving = np.abs(shifts) > 0
    times, growth = times[moving], np.log(np.abs(shifts[moving]))
    exponent, _ = np.polyfit(times, growth, 1)
    envelope = np.max(growth - exponent * times)
    reach = np.log(tolerance / np.finfo(float).eps) - envelope
    return exponent, reach / exponent if exponent > 0 else np.inf


@pytest.mark.parametrize("case", networks.CASES, ids=lambda case: case.name)
def test_spike_times_along_a_path_of_weights(case):
    """Up to the horizon that the measured exponent allows: beyond the trial in all networks but the chaotic one."""
    orders, worst = [], 0.0
    for point in range(len(case.path)):
        spikes, flags, shifts = along(case)(parameters(case, point))
        times, sources = golden(case, f"times_{point}"), golden(case, f"sources_{point}")
        assert int(flags) == 0
        found, shifts = np.asarray(spikes.times)[: times.size], np.asarray(shifts)[: times.size]
        exponent, horizon = horizon_of(found, shifts, EXACT_TIMES)
        within = times < horizon
        assert horizon < case.duration or int(spikes.count) == times.size
        np.testing.assert_array_equal(np.asarray(spikes.sources)[: times.size][within], sources[within])
        worst = max(worst, np.abs(found - times)[within].max())
        orders.append(sources[within])
        assert (horizon < case.duration) == np.isfinite(case.differentiated)
        assert horizon > min(case.differentiated, case.duration)
        print(f"{case.name}: exponent {exponent:.3f}, horizon {horizon:.4g} of {case.duration}, {within.sum()} spikes")
    changes = sum(order_changes(a, b) for a, b in itertools.pairwise(orders))
    print(f"{case.name}: {changes} changes of order, largest error {worst:.1e}")
    assert orders[0].size >= 200
    assert changes >= 5
    assert worst <= EXACT_TIMES


def order_changes(one, other):
    """Places at which the sequences of spiking neurons differ."""
    size = min(one.size, other.size)
    return int(np.sum(one[:size] != other[:size]))


@pytest.mark.parametrize("case", networks.CASES, ids=lambda case: case.name)
def test_gradients_of_the_first_and_the_last_spike(case):
    """Relative to the largest entry, as far as the growth of perturbations over the trial leaves digits."""
    run = spikes_of(case)
    last = np.searchsorted(golden(case, "times_0"), case.differentiated) - 1
    gradient = jax.jit(jax.grad(lambda x, which: run(x)[0].times[which]))
    for name, which in (("first", 0), ("last", last)):
        computed, errors = gradient(parameters(case), which), {}
        for key, slope in computed.items():
            true = golden(case, f"{name}_{key}")
            scale = max(np.abs(golden(case, f"{name}_voltages")).max(), np.abs(true).max())
            errors[key] = np.abs(np.asarray(slope) - true).max() / scale
        growth = np.abs(golden(case, f"{name}_voltages")).max()
        print(f"{case.name}, {name} spike: growth {growth:.1e}, errors", {k: f"{e:.0e}" for k, e in errors.items()})
        assert max(errors.values()) <= EXACT_SLOPES


def test_the_golden_numbers_are_what_the_script_computes():
    """A live run of the forty-digit simulation, with its derivatives against its own differences."""
    weights = [[mp.mpf(0), mp.mpf(3)], [mp.mpf(-1), mp.mpf(0)]]
    inputs = [(0.1, 0), (0.7, 0)]

    def last_time(drive, make):
        states = [(mp.mpf("0.2"), make(drive)), (mp.mpf("-0.1"), mp.mpf(6))]
        return exact_network.simulate(exact_network.QIF(), weights, [[mp.mpf(9)], [mp.mpf(12)]], states, inputs, 4)[-1][
            0
        ]

    step = mp.mpf(10) ** -15
    difference = (last_time(7 + step, lambda x: x) - last_time(7 - step, lambda x: x)) / (2 * step)
    variables = []
    exact_network.pull_back(last_time(7, lambda x: variables.append(exact_network.Variable(x)) or variables[0]))
    assert abs(variables[0].slope - difference) <= 1e-25 * abs(difference)
    case = networks.CASES[0]
    weights, *rest = case.draw()
    short = [networks.numbers(x, lambda y: y) for x in (weights[0], *rest[:3])]
    kept = rest[3] < 1.5
    exact = exact_network.simulate(
        exact_network.QIF(), *short[:2], networks.first_states(case, *short[2:]),
        [(t, int(c)) for t, c in zip(rest[3][kept], rest[4][kept], strict=True)], 1.5,
    )  # fmt: skip
    np.testing.assert_array_equal([float(time) for time, _ in exact], golden(case, "times_0")[: len(exact)])
