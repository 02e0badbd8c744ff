"""Times one training step of a peer and prints the line of JSON that the notebook cost-compared reads.

A peer's script is `on_<peer>.py`, not `<peer>.py`: a script that is named like a package hides it. It is called as
`python on_<peer>.py workloads.npz repeats` in the peer's own environment, and takes from the file what it can run: `E`
if there are `times` `[trials, 5]`, `labels` `[trials]`, `hidden` `[5, 120]` and `output` `[120, 3]`; `S` if there are
`spikes` `[steps, trials, 700]`, `labels` `[trials]`, `W` `[700, 256]`, `R` `[256, 256]` and `O` `[256, 20]`. A file
that holds both calls the labels `E_labels` and `S_labels`.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
import optax

ARRAYS = {"E": ("times", "labels", "hidden", "output"), "S": ("spikes", "labels", "W", "R", "O")}
END = 4.0  # of a trial of E; the time of a silent output


def arrays_of(path: str, workload: str) -> tuple | None:
    """Arrays of a workload in single precision, labels as integers; None if the file lacks them."""
    with np.load(path) as file:
        names = [f"{workload}_{name}" if f"{workload}_{name}" in file else name for name in ARRAYS[workload]]
        if not all(name in file for name in names):
            return None
        arrays = [file[name] for name in names]
    return tuple(jnp.asarray(array, jnp.int32 if array.ndim == 1 else jnp.float32) for array in arrays)


def time_loss(first, labels):
    """Loss of E: mean over trials of the sum over outputs of ((t - target)/2)^2, silent = the end of the trial."""
    first = jnp.where(jnp.isfinite(first), first, END)
    target = jnp.where(jnp.arange(3) == labels[:, None], 0.9, 1.1)
    return jnp.mean(jnp.sum(((first - target) / 2) ** 2, axis=-1))


def readout_loss(readout, labels):
    """Loss of S: cross-entropy on the maximum over time of a readout `[steps, trials, classes]`."""
    return optax.softmax_cross_entropy_with_integer_labels(jnp.max(readout, axis=0), labels).mean()


def training_step(loss: Callable) -> Callable:
    """Value, gradient and Adam update of `loss(weights, *data)` as (weights, moments, *data) -> (w., m., value)."""
    optimiser = optax.adam(0.005)

    def step(weights, moments, *data):
        value, gradient = jax.value_and_grad(loss)(weights, *data)
        updates, moments = optimiser.update(gradient, moments)
        return optax.apply_updates(weights, updates), moments, value

    return step


def temporary_mib(compiled) -> float | None:
    """Temporary memory in MiB by the compiler's own analysis, None if it gives none."""
    analysis = compiled.memory_analysis()
    return None if analysis is None else analysis.temp_size_in_bytes / 2**20


def measure(peer: str, workload: str, loss: Callable, weights, *data, differs: str, repeats: int) -> None:
    """Compile a training step, run it once to warm up and `repeats` times on the clock, print what it cost."""
    arguments = (weights, optax.adam(0.005).init(weights), *data)
    start = time.perf_counter()
    compiled = jax.jit(training_step(loss)).lower(*arguments).compile()
    compile_time = time.perf_counter() - start
    value = float(jax.block_until_ready(compiled(*arguments))[-1])
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        times.append(1e3 * (time.perf_counter() - start))
    line = {
        "peer": peer,
        "version": version(peer),
        "workload": workload,
        "median_ms": float(np.median(times)),
        "times_ms": times,
        "compile_s": compile_time,
        "loss": value,
        "memory_mib": temporary_mib(compiled),
        "differs": differs,
    }
    print(json.dumps(line), flush=True)


def run(peer: str, workloads: dict[str, Callable]) -> None:
    """Measure those workloads that the file holds; each function takes its arrays: (loss, weights, data, differs)."""
    path, repeats = sys.argv[1], int(sys.argv[2])
    found = {name: arrays for name in workloads if (arrays := arrays_of(path, name)) is not None}
    if not found:
        raise SystemExit(f"{path} holds the arrays of none of the workloads {', '.join(workloads)}")
    for name, arrays in found.items():
        loss, weights, data, differs = workloads[name](*arrays)
        measure(peer, name, loss, weights, *data, differs=differs, repeats=repeats)
