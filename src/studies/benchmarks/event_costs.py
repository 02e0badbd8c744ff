"""What exact simulation and its gradients cost against events, neurons and duration, rule beside rule: rows of tables.

A row is a dictionary. Times are those of this machine and its load: ratios within one call are what to quote.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.engines.windows import simulate_relaxed
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.theta import Theta
from stablespike.dynamics.spikes import Spikes
from stablespike.learning.gradients.checkpointed import checkpointed_simulate
from stablespike.learning.gradients.time_reversed import time_reversed
from studies.benchmarks.harness import cost, timed
from studies.benchmarks.workloads import RECURRENT_END, RECURRENT_SIZE, driven_gradient, driven_network

Row = dict[str, Any]
RULES: dict[str, Callable] = {
    "recorded": simulate,
    "checkpointed": checkpointed_simulate,
    "time-reversed": time_reversed(simulate),
}
RECORDED_BYTES = 250  # per neuron and event, about: what decides whether a rule that records is tried
OPERATIONS = 120  # multiplications and additions per neuron and event: flow, pulse and their pull-back, with the replay
R_OPTIONS = {"size": RECURRENT_SIZE, "rate": 1, "duration": RECURRENT_END}
SPARE = 64  # events in the budget beyond those of float64: float32 may differ by a few
SPARE_EVENTS = 40  # own spikes of a neuron that are allowed for in a time constant, when events are counted


def gradient_rows(
    settings: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    most_memory: float,
    repeats: int,
    dtype: Any = jnp.float64,
    trials: int | None = None,
) -> list[Row]:
    """Time and temporary memory of value and gradient of R by each rule, for each setting of `driven_network`.

    A setting is what is varied and the options; the same options are measured once. Rules that keep all states are left
    out (no row) where they would take more than `most_memory` bytes; so is the time-reversed one where there are no
    native kernels, as the recorded one does its work there. Losses and norms of gradients agree to 1e-6 in float64, or
    `ArithmeticError` is raised.
    """
    known: dict[tuple, list[Row]] = {}
    rows: list[Row] = []
    for varied, options in settings:
        key = tuple(options.get(name, default) for name, default in R_OPTIONS.items())
        if key not in known:
            known[key] = _by_rule(dict(zip(R_OPTIONS, key, strict=True)), most_memory, repeats, dtype, trials)
        rows += [{"varied": varied} | row for row in known[key]]
    return rows


def _by_rule(options: Mapping[str, Any], most_memory: float, repeats: int, dtype: Any, trials: int | None) -> list[Row]:
    """One row for each rule that is tried."""
    size, duration, native = options["size"], options["duration"], jax.default_backend() == "cpu"
    with jax.default_device(jax.devices("cpu")[0]):
        solution, work = _counted_run(driven_network(jnp.float64, **options), duration)
    problem = driven_network(dtype, **options)
    events = problem[2].times.size + int(solution.spikes.count)
    shared = {"events": events, "neurons": size, "duration": duration, "spikes": int(solution.spikes.count)}
    shared |= {"bits": 8 * jnp.dtype(dtype).itemsize, "trials": trials or 1}
    shared |= {"sweeps": int(work.sweeps), "windows": int(work.windows)}
    rows, losses = [], []
    for rule, simulator in RULES.items():
        kept = RECORDED_BYTES * size * (trials or 1) * (events if rule == "recorded" else 2 * events**0.5)
        if (kept > most_memory) if rule != "time-reversed" else not native:
            continue
        workload = driven_gradient(simulator, problem, duration, max_events=events + SPARE, trials=trials)
        found = cost(workload, repeats=repeats)
        gradients = [np.asarray(one) for one in found.result[1]]
        losses.append([float(found.result[0][0]), *(float(np.linalg.norm(one)) for one in gradients)])
        measured = {"time_ms": 1e3 * found.median, "memory_mib": found.memory / 2**20}
        rows.append(shared | {"rule": rule, **measured, "flags": int(found.result[0][1])})
    if np.any(np.ptp(losses, 0) > (1e-6 if dtype == jnp.float64 else 1e-2) * np.abs(losses[0])):
        raise ArithmeticError(f"the rules disagree in loss or norms of gradients for {options}: {losses}.")
    return rows


def _counted_run(problem: Any, duration: Any) -> Any:
    """A run with a generous budget, whose spikes and sweeps are counted."""
    network, states, inputs = problem
    spare = int(SPARE_EVENTS * network.size * max(1, duration))
    return simulate_relaxed(network, states, inputs, duration, max_events=inputs.times.size + spare)


def phase_network(dtype: Any, *, size: int) -> tuple[Recurrent, Spikes]:
    """An autonomous network of theta neurons, with weights of both signs and no input."""
    weights = np.random.default_rng(0).standard_normal((size, size)) * 0.3 / np.sqrt(size)
    np.fill_diagonal(weights, 0)
    network = Recurrent(Theta(1.0, 1.25), jnp.asarray(weights, dtype), jnp.zeros((size, 1), dtype))
    return network, Spikes(jnp.zeros(0, dtype), jnp.zeros(0, int))


def many_spikes_rows(
    durations: Mapping[str, Iterable[float]], *, size: int, trials: int, repeats: int, scan: bool = True, dtype: Any
) -> list[Row]:
    """Time of a batch of trials by relaxation, by the native loop and by the plain scan (`simulate`), forwards.

    `durations` in time constants of "QIF" (R's network and inputs) and "theta" (`phase_network`) set how many spikes a
    neuron makes. On a device without native kernels all three are the scan.
    """
    rows = []
    for kind, each in durations.items():
        for duration in each:
            network, inputs = (
                phase_network(dtype, size=size)
                if kind == "theta"
                else driven_network(dtype, size=size, duration=duration)[::2]
            )
            voltages = np.random.default_rng(1).uniform(0, 0.5, (trials, size))
            states = jax.vmap(lambda one, neuron=network.neuron: initial_states(neuron, one))(
                jnp.asarray(voltages, dtype)
            )
            rows.append({"neuron": kind} | _speeds(network, states, inputs, duration, repeats, scan))
    return rows


def _speeds(network: Recurrent, states: Array, inputs: Spikes, duration: Any, repeats: int, scan: bool) -> Row:
    """One row of `many_spikes_rows`."""
    spare = int(SPARE_EVENTS * network.size * max(1, duration))

    def batch(run: Callable, budget: int) -> tuple[Callable, tuple[Array]]:
        def trials(states: Array) -> Any:
            return jax.vmap(lambda one: run(network, one, inputs, duration, max_events=budget))(states)

        return trials, (states,)

    native = jax.default_backend() == "cpu"
    if native:
        counts, work = jax.jit(batch(_counted, inputs.times.size + spare)[0])(states)
        sweeps, windows = float(work.sweeps.mean()), float(work.windows.mean())
    else:
        counts, sweeps, windows = jax.jit(batch(_plain_count, inputs.times.size + spare)[0])(states), np.nan, np.nan
    budget = inputs.times.size + int(counts.max()) + 8
    row = {
        "bits": 8 * states.dtype.itemsize,
        "neurons": network.size,
        "trials": len(states),
        "duration": duration,
        "inputs": inputs.times.size,
    }
    row |= {"spikes_per_neuron": float(counts.mean()) / network.size, "sweeps": sweeps, "windows": windows}
    runs: dict[str, Callable] = {}
    if native:
        runs["relaxed_ms"] = lambda *one, **options: simulate_relaxed(*one, **options)[0]
        runs["loop_ms"] = time_reversed(simulate, at_once=False, checkpoints=1)
    if scan or not native:
        runs["scan_ms"] = simulate
    first = {name: cost(batch(run, budget), repeats=1 if name == "scan_ms" else repeats) for name, run in runs.items()}
    again = {name: cost(batch(run, budget), repeats=repeats) for name, run in runs.items() if name != "scan_ms"}
    for name, found in first.items():
        row[name] = 1e3 * float(np.median(found.times + again[name].times if name in again else found.times))
    return row


def _counted(*one: Any, **options: Any) -> tuple[Array, Any]:
    solution, work = simulate_relaxed(*one, **options)
    return solution.spikes.count, work


def _plain_count(*one: Any, **options: Any) -> Array:
    return simulate(*one, **options).spikes.count


def matrix_product_rate(size: int = 1500, repeats: int = 5) -> float:
    """Multiplications and additions per second of products of square matrices in float64: the floor's rate."""
    square = np.ones((size, size))
    return 2 * size**3 / min(timed(np.matmul, square, square).clock for _ in range(repeats))
