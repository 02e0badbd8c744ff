"""Layers of QIF neurons in parallel over time beside the loop over inputs: time, memory, depth and errors, as rows."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax.extend import core
from jaxtyping import Array

from stablespike.dynamics.engines.layers import LayerSolution, simulate_layer
from stablespike.dynamics.engines.parallel_in_time import parallel_in_time_layer
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import raise_unless_ok
from stablespike.learning.gradients.time_reversed import time_reversed_layer
from studies.benchmarks.harness import cost

ENGINES: dict[str, Callable] = {
    "parallel": parallel_in_time_layer,
    "native": time_reversed_layer,
    "recorded": simulate_layer,
}
MEAN, DEVIATION = 2.0, 2.4  # of the stationary current
FASTEST = 0.75  # spikes of a neuron per tau for which there is room
EXACT = np.longdouble
HALF_TURN = np.arctan2(EXACT(0), EXACT(-1))
NOTHING = EXACT(1e-300)  # in place of a current of 0
Row = dict[str, Any]


class Task(NamedTuple):
    """A layer and a trial: `inputs` of random channels, `rate` of them per tau = 1, into `neurons` QIF neurons.

    Weights are random, with the same mean for every neuron, so that currents have the mean `MEAN` and the deviation
    `DEVIATION` at any rate.
    """

    inputs: int
    rate: float
    neurons: int
    seed: int
    channels: int = 20
    bits: int = 64

    @property
    def until(self) -> float:
        """End of the trial."""
        return self.inputs / self.rate

    @property
    def budget(self) -> int:
        """Spikes of a neuron."""
        return 20 + int(FASTEST * self.until)


def layer_of(task: Task) -> tuple[QIF, Array, Array, Spikes]:
    """Neuron, weights, states at the start and inputs."""
    rng, dtype = np.random.default_rng(task.seed), jnp.dtype(f"float{task.bits}")
    gaps = rng.exponential(size=task.inputs + 1)
    times = np.cumsum(gaps)[:-1] / gaps.sum() * task.until
    size = (task.neurons, task.channels)
    spread = rng.standard_normal(size)
    weights = 2 * MEAN / task.rate + 2 * DEVIATION / np.sqrt(task.rate) * (spread - spread.mean(1, keepdims=True))
    states = initial_states(QIF(1.0), jnp.asarray(rng.uniform(0, 0.5, task.neurons), dtype))
    inputs = Spikes(jnp.asarray(times, dtype), jnp.asarray(rng.integers(task.channels, size=task.inputs)))
    return QIF(1.0), jnp.asarray(weights, dtype), states, inputs


def run(engine: str, task: Task) -> LayerSolution:
    """The layer by an engine; raises `SimulationError`."""
    solution = ENGINES[engine](*layer_of(task), task.until, task.budget)
    raise_unless_ok(solution.status)
    return solution


def loss_of(engine: str, task: Task) -> tuple[Callable, tuple]:
    """A smooth function of all spike times, its flags beside it, of weights and input times; and these two."""
    neuron, weights, states, inputs = layer_of(task)

    def loss(weights: Array, times: Array) -> tuple[Array, Array]:
        given = Spikes(times, inputs.sources)
        solution = ENGINES[engine](neuron, weights, states, given, task.until, task.budget)
        real = jnp.isfinite(solution.times)
        return jnp.sum(jnp.where(real, jnp.sin(jnp.where(real, solution.times, 0)), 0)), solution.status.flags

    return loss, (weights, inputs.times)


def cost_rows(task: Task, engines: list[str], repeats: int) -> list[Row]:
    """Processor time and temporary memory of value and of value with gradient, for each engine.

    Memory is the compiler's count, which does not see what native kernels take for themselves. Raises
    `ArithmeticError` where gradients differ by more than a millionth (float32: a hundredth), or a run failed.
    """
    rows: list[Row] = []
    gradients = []
    for engine in engines:
        loss, operands = loss_of(engine, task)
        forward = cost((loss, operands), repeats=repeats)
        both = cost((jax.value_and_grad(loss, (0, 1), has_aux=True), operands), repeats=repeats)
        if int(both.result[0][1]):
            raise ArithmeticError(f"a run of {engine} failed, with flags {int(both.result[0][1])}: {task}.")
        gradients.append(np.concatenate([np.ravel(one) for one in both.result[1]]).astype(float))
        measured = {"forward_ms": 1e3 * forward.processor_median, "gradient_ms": 1e3 * both.processor_median}
        clock = {"forward_clock_ms": 1e3 * forward.median, "gradient_clock_ms": 1e3 * both.median}
        memory = {"memory_mib": both.memory / 2**20, "compile_s": both.compile_time}
        rows.append({"engine": engine} | task._asdict() | measured | clock | memory)
    for row, one in zip(rows, gradients, strict=True):
        row["apart"] = float(np.linalg.norm(one - gradients[-1]) / np.linalg.norm(gradients[-1]))
        if row["apart"] > (1e-6 if task.bits == 64 else 1e-2):
            raise ArithmeticError(f"gradients of {row['engine']} are {row['apart']:.2g} apart: {task}.")
    return rows


def error_rows(task: Task, engines: list[str]) -> list[Row]:
    """Errors of spike times in tau, against a loop in extended precision, for each engine; all counts must agree."""
    counts, exact = reference(task)
    rows = []
    for engine in engines:
        found = run(engine, task)
        if not np.array_equal(found.counts, counts):
            raise ArithmeticError(f"{engine} counts other spikes than the reference: {task}.")
        times = np.asarray(found.times).astype(EXACT)
        off = np.abs(np.concatenate([one[:k] - e for one, k, e in zip(times, counts, exact, strict=True)]))
        errors = {"median": float(np.median(off)), "largest": float(off.max()), "spikes": int(counts.sum())}
        rows.append({"engine": engine} | task._asdict() | errors)
    return rows


def reference(task: Task) -> tuple[np.ndarray, list[np.ndarray]]:
    """Counts and spike times of every neuron by a loop over the inputs in NumPy's `longdouble`."""
    _, weights, states, inputs = layer_of(task)
    n, d, current = np.asarray(states).T.astype(EXACT)
    pulses = np.asarray(weights).astype(EXACT).T[np.asarray(inputs.sources)]
    bounds = np.append(np.asarray(inputs.times).astype(EXACT), EXACT(task.until))
    trains: list[list[Any]] = [[] for _ in range(task.neurons)]
    now = EXACT(0)
    for k, until in enumerate(bounds):
        gone = -np.expm1(now - until)
        first, gap = _zeros(n, d, current)
        for j in np.flatnonzero(first <= gone):
            u = first[j]
            while u <= gone:
                trains[j].append(now - np.log1p(-u))
                u += gap[j]
        n, d, current = _flow(n, d, current, gone)
        if k < len(pulses):
            current = current + pulses[k]
        now = until
    return np.array([len(one) for one in trains]), [np.array(one, EXACT) for one in trains]


def _zeros(n: np.ndarray, d: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First zero of d in u = 1 - exp(-t), and the distance of the next ones (inf if there are none)."""
    root = np.sqrt(np.maximum(np.abs(current), NOTHING))
    rising = n > root * d
    decaying = np.arctanh(np.where(rising, root * d, 0) / np.where(rising, n, 1)) / root
    turning = np.arctan2(root * d, n) / root
    positive = current >= 0
    first = np.where(positive, turning, np.where(rising, decaying, np.inf))
    return first, np.where(positive, HALF_TURN / root, np.inf)


def _flow(n: np.ndarray, d: np.ndarray, current: np.ndarray, gone: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """n, d >= 0 and I when the clock has come to u = `gone`."""
    root = np.sqrt(np.maximum(np.abs(current), NOTHING)) * gone
    here = np.maximum(root, NOTHING)
    up = current >= 0
    cosine, sine = np.where(up, np.cos(root), np.cosh(root)), np.where(up, np.sin(here), np.sinh(here)) / here
    n, d = (1 - gone) * (cosine * n + current * gone * sine * d), cosine * d - gone * sine * n
    length = np.where(d < 0, -1, 1) * np.hypot(n, d)
    return n / length, d / length, (1 - gone) ** 2 * current


class Program(NamedTuple):
    """Of a lowered program: the longest chain of operations that wait for each other, loops, and calls out of it."""

    depth: int
    loops: int
    calls: int


def program_rows(task: Task, engines: list[str], platform: str = "cuda") -> list[Row]:
    """Depth of value and gradient of a trial for a platform that need not be there, and its loops and calls."""
    rows = []
    for engine in engines:
        loss, operands = loss_of(engine, task)
        names = {"engine": engine} | task._asdict()
        rows.append(names | lowered(jax.value_and_grad(loss, (0, 1), has_aux=True), operands, platform)._asdict())
    return rows


def lowered(function: Callable, operands: tuple, platform: str) -> Program:
    """A function, lowered for a platform without compiling it; rounds of loops of unknown length count as one."""
    text = export.export(jax.jit(function), platforms=[platform])(*operands).mlir_module()
    depth = depth_of(jax.make_jaxpr(function)(*operands).jaxpr)
    return Program(depth, text.count("stablehlo.while"), text.count("custom_call"))


def depth_of(jaxpr: core.Jaxpr) -> int:
    """Operations on the longest path through a program, each counted as one, whatever the size of its arrays.

    A `scan` counts as often as it goes round, a `while` loop once.
    """
    depths: dict[Any, int] = {}
    for equation in jaxpr.eqns:
        before = [depths.get(one, 0) for one in equation.invars if isinstance(one, core.Var)]
        length = max(before, default=0) + _length(equation)
        depths |= dict.fromkeys(equation.outvars, length)
    return max(depths.values(), default=0)


def _length(equation: core.JaxprEqn) -> int:
    given = equation.params.values()
    parts = [one for value in given for one in (value if isinstance(value, tuple) else (value,))]
    inner = [depth_of(getattr(one, "jaxpr", one)) for one in parts if hasattr(getattr(one, "jaxpr", one), "eqns")]
    if equation.primitive.name == "scan":
        return int(equation.params["length"]) * max(inner)
    return sum(inner) if equation.primitive.name == "while" else max([1, *inner])
