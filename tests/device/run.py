"""What there is to find out on a machine with a GPU, in one go of less than ten minutes; never run so far.

    .venv-cuda13/bin/python -m tests.device.run --output gpu.json

First what `simulate` launches by itself: spikes and gradients against a processor, on a grid and with delays before the
rest, and the benchmarks S, M, R and E. Then the same kernels launched by numba-cuda, which tells a wrong launch from a
wrong kernel, and what they take: a layer of M's size, R's network in one and in 256 trials. Then E, M, R and S as XLA
compiles them. What is left after `--seconds` is left out by name.

A part that fails may spoil the GPU for its process: the rest is done by a new one, and a part that says nothing for
`--patience` seconds is ended. With `--processor` nothing is launched: the kernels are run by a processor, in this
process, to try this script where there is no GPU.
"""

import argparse
import json
import subprocess
import sys
import time
import traceback
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from tests.device import launched
from tests.native import test_device_grid as grid
from tests.native.device_cases import (
    NEURONS,
    by_processor,
    layer_problem,
    network_problem,
    operands_of,
    pull_layer,
    pull_network,
    run_layer,
    run_network,
)

import stablespike as ss
from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.engines.layers import simulate_layer
from stablespike.learning.gradients import grid_on_gpu
from stablespike.native.cuda.targets import THREADS, grid_kernel, layer_kernel, network_adjoint_kernel, network_kernel
from studies.benchmarks.harness import cost
from studies.benchmarks.workloads import (
    RECURRENT_END,
    driven_network,
    mnist_gradient,
    recurrent_gradient,
    surrogate_step,
    yin_yang_step,
)
from workflow.machine import describe_session

TOLERANCES = {"spikes": 1e-11, "bars": 1e-9}
REPEATS = 9
ANEW = 3  # what a process answers that has the next one go on


class Launched:
    """Runs kernels on the GPU, and remembers how long each took there."""

    def __init__(self):
        self.kernels, self.seconds = {}, {}

    @property
    def cuda(self):
        """numba-cuda, once it is needed."""
        from numba import cuda

        return cuda

    def __call__(self, kind, lines, arrays, count, threads, repeats=1):
        """As `by_processor`; the seconds of each repeat go to `seconds[kind]`."""
        threads = THREADS
        kernel, blocks = self._kernel(kind, lines, arrays), -(-count // threads) if "layer" in kind else count
        there, taken = tuple(map(self.cuda.to_device, arrays)), []
        for _ in range(repeats):
            begin, end = self.cuda.event(), self.cuda.event()
            begin.record()
            kernel[blocks, threads](there)
            end.record()
            end.synchronize()
            taken.append(self.cuda.event_elapsed_time(begin, end) / 1000)
        for one, array in zip(there, arrays, strict=True):
            one.copy_to_host(array)
        self.seconds[kind] = taken

    def _kernel(self, kind, lines, arrays):
        dtype, backwards = arrays[0].dtype, kind.endswith("adjoint")
        key = kind, lines.unpack, dtype, arrays[3].shape[1:]
        if key not in self.kernels:
            make = network_adjoint_kernel if backwards else network_kernel
            sizes = arrays[3].shape[1:]
            kernel = layer_kernel(lines.unpack, backwards) if "layer" in kind else make(lines.unpack, dtype, *sizes)
            self.kernels[key] = self.cuda.jit(kernel)
        return self.kernels[key]

    def on_a_grid(self, kind, arrays, count, threads):
        """As `test_device_grid.by_processor`, for what takes a block for a trial."""
        there, key = tuple(map(self.cuda.to_device, arrays)), (kind, arrays[0].dtype)
        if key not in self.kernels:
            self.kernels[key] = self.cuda.jit(grid_kernel(kind.backwards, kind.by_blocks))
        self.kernels[key][count, THREADS](there)
        for one, array in zip(there, arrays, strict=True):
            one.copy_to_host(array)


def difference(one, other, names):
    """The largest, relative to the largest number, over arrays by name; inf where one is infinite and the other not."""
    worst = 0.0
    for name in names:
        a, b = one[name].astype(float), other[name].astype(float)
        finite = np.isfinite(a)
        if not np.array_equal(finite, np.isfinite(b)):
            return float("inf")
        worst = max(worst, np.abs(a[finite] - b[finite]).max(initial=0) / np.abs(a[finite]).max(initial=1))
    return float(worst)


def layer_check(name, run):
    """Differences of a small layer, forwards and back."""
    neuron, mean = NEURONS[name]
    weights, *rest = layer_problem(neuron, mean)
    lines, operands = operands_of(neuron, [weights], *rest, np.float64)
    one, other = run_layer(lines, operands, run=by_processor), run_layer(lines, operands, run=run)
    bars = np.ones_like(one["spikes"]), np.ones_like(one["final"])
    back, again = (pull_layer(lines, operands, *bars, run=which) for which in (by_processor, run))
    return {
        "spikes": difference(one, other, ("spikes", "counts", "final", "flags")),
        "bars": difference(back, again, ("weight_bars", "state_bars", "time_bars")),
    }


def network_check(name, run):
    """Differences of a small recurrent network, forwards and back."""
    neuron, mean = NEURONS[name]
    weights, inputs, *rest = network_problem(neuron, mean)
    lines, operands = operands_of(neuron, [weights, inputs], *rest, np.float64)
    settings = {"threads": THREADS}
    one, other = (run_network(lines, operands, 160, **settings, run=which) for which in (by_processor, run))
    bars = np.ones_like(one["spikes"]), np.ones_like(one["final"])
    back, again = (pull_network(lines, operands, one, *bars, **settings, run=which) for which in (by_processor, run))
    return {
        "spikes": difference(one, other, ("spikes", "spike_sources", "counts", "final", "flags")),
        "bars": difference(back, again, ("weight_bars", "input_weight_bars", "state_bars", "time_bars")),
    }


def checked(found):
    """The differences, with the word whether they are within their tolerances."""
    return found | {"right": all(found[name] <= most for name, most in TOLERANCES.items())}


def grid_check(run):
    """Differences of a small recurrent layer on a grid, forwards and back."""
    trials, use = grid.problem(True), grid.use_of(grid.GATES[0])
    here, there = grid.launcher(THREADS), grid.launcher(THREADS, run)
    one, other = (grid_on_gpu.layer_run(each, use, trials) for each in (here, there))
    bars = [jnp.ones_like(one[place]) for place in (0, 1)]
    back, again = (
        grid_on_gpu.layer_pull(each, use, trials, grid.kept_of(one), bars, *grid.wanted()) for each in (here, there)
    )
    values, cotangents = ({str(k): np.asarray(x) for k, x in enumerate(found)} for found in (one, back))
    return {
        "spikes": difference(values, {str(k): np.asarray(x) for k, x in enumerate(other)}, values),
        "bars": difference(cotangents, {str(k): np.asarray(x) for k, x in enumerate(again)}, cotangents),
    }


def layer_costs(dtype, run, trials, neurons, inputs):
    """Seconds of a layer's kernels, forwards and back: Theta, four spikes a neuron at most."""
    rng, neuron = np.random.default_rng(0), ss.Theta(6 / np.pi, 1.25)
    _, states, _, _ = layer_problem(neuron, 0.0, size=neurons)
    weights = jnp.asarray(rng.normal(0.05, 0.1, (neurons, 100)))
    times, sources = np.sort(rng.uniform(0, 2, (trials, inputs)), 1), rng.integers(0, 100, (trials, inputs))
    lines, operands = operands_of(neuron, [weights], states, times, sources, dtype)
    found = run_layer(lines, operands, 4, run=run)
    groups = np.arange(trials, dtype=np.int32)[:, None]
    pull_layer(lines, operands, np.ones_like(found["spikes"]), np.ones_like(found["final"]), groups=groups, run=run)


def network_costs(dtype, run, trials):
    """Seconds of a network's kernels, forwards and back: R in so many trials."""
    network, states, inputs = driven_network(jnp.dtype(dtype))
    times = np.broadcast_to(np.asarray(inputs.times), (trials, inputs.times.size))
    sources = np.broadcast_to(np.asarray(inputs.sources), times.shape)
    weights = [network.weights, network.input_weights]
    lines, operands = operands_of(network.neuron, weights, states, times, sources, dtype)
    operands[6] = np.full(1, RECURRENT_END, dtype)
    found = run_network(lines, operands, 1000, threads=THREADS, run=run)
    bars, groups = (np.ones_like(found["spikes"]), np.ones_like(found["final"])), np.arange(trials, dtype=np.int32)
    pull_network(lines, operands, found, *bars, threads=THREADS, groups=groups[:, None], run=run)
    return {"spikes": int(found["counts"][0].sum()), "flags": int(np.bitwise_or.reduce(found["flags"]))}


def timed_kernels(make, run, *arguments):
    """Seconds of each repeat by kernel."""
    seconds = {}

    def repeated(kind, lines, arrays, count, threads):
        run(kind, lines, arrays, count, threads, repeats=REPEATS + 1)
        seconds[kind] = run.seconds[kind][1:]

    more = make(arguments[0], repeated, *arguments[1:])
    return {"seconds": seconds} | (more or {})


def by_xla(workload):
    """What a workload costs as XLA compiles it."""
    found = cost(workload, repeats=REPEATS)
    return {"seconds": found.times, "compile": found.compile_time, "temporary bytes": found.memory}


def points():
    """A hundred and fifty points of the unit square, for E; classes do not change what it costs."""
    rng = np.random.default_rng(0)
    return rng.uniform(0, 2, (150, 5)), rng.integers(0, 3, 150)


def yin_yang():
    """E's workload."""
    return yin_yang_step(simulate_layer, *points(), jnp.float32, capacities=(4, 2))


def parts(processor):
    """Everything there is to do, by name, in order of importance."""
    run = by_processor if processor else Launched()
    every = launched.checks(checked, processor)
    every |= {} if processor else launched.costs(by_xla, points())
    on_a_grid = grid.by_processor if processor else run.on_a_grid
    every |= {"recurrent, on a grid, kernels": lambda: checked(grid_check(on_a_grid))}
    every |= {f"layer, {name}": lambda name=name: checked(layer_check(name, run)) for name in NEURONS}
    every |= {f"network, {name}": lambda name=name: checked(network_check(name, run)) for name in NEURONS}
    if processor:
        return every
    for dtype in (np.float32, np.float64):
        word = np.dtype(dtype).name
        every |= {
            f"R x 256, kernels, {word}": lambda dtype=dtype: timed_kernels(network_costs, run, dtype, 256),
            f"R x 1, kernels, {word}": lambda dtype=dtype: timed_kernels(network_costs, run, dtype, 1),
            f"M's layer, kernels, {word}": lambda dtype=dtype: timed_kernels(layer_costs, run, dtype, 1000, 100, 400),
        }
    return every | {
        "S, XLA": lambda: by_xla(surrogate_step(jnp.float32)),
        "R, XLA": lambda: by_xla(recurrent_gradient(simulate, jnp.float64)),
        "E, XLA": lambda: by_xla(yin_yang()),
        "M, XLA": lambda: by_xla(mnist_gradient(ss.Recorded(), jnp.float32)),
    }


def provenance():
    """The commit, whether anything else is in the tree, the machine, and what its driver says of itself."""

    def said(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError) as error:
            return f"none: {error}"

    query = "--query-gpu=name,driver_version,memory.total,compute_cap"
    return describe_session() | {
        "commit": said("git", "rev-parse", "HEAD"),
        "changes": said("git", "status", "--porcelain"),
        "gpu": said("nvidia-smi", query, "--format=csv,noheader"),
    }


def read(output):
    """What has been found so far, by part."""
    return json.loads(output.read_text())["results"] if output.exists() else {}


def write(output, results):
    """Keep what has been found: the old file is there until the new one is whole."""
    new = output.with_suffix(".new")
    new.write_text(json.dumps({"results": results, "provenance": provenance()}, indent=1))
    new.replace(output)


def failures(results):
    """How many parts failed, or found what is wrong."""
    return sum("error" in one or not one.get("right", True) for one in results.values())


def run_here(asked, names):
    """Do what has not been done, up to the first part that fails: 0 if all is done, else ANEW."""
    began, results = time.monotonic(), read(asked.output)
    every = parts(asked.processor)
    for name in names:
        if name in results:
            continue
        try:
            late = time.monotonic() - began > asked.seconds
            results[name] = {"left out": f"{asked.seconds:g} s had passed"} if late else every[name]()
        except Exception:
            results[name] = {"error": traceback.format_exc()}
        print(f"{time.monotonic() - began:6.1f} s  {name}: {json.dumps(results[name])[:300]}", flush=True)
        write(asked.output, results)
        if "error" in results[name] and not asked.processor:
            return ANEW
    return 0


def run_apart(asked, names):
    """Have processes do it, one after another, and end one that says nothing for too long."""
    began = time.monotonic()
    while missing := [name for name in names if name not in read(asked.output)]:
        left = asked.seconds - (time.monotonic() - began)
        same = ["--output", str(asked.output), "--only", asked.only, "--seconds", f"{left:.1f}", "--here"]
        process, heard = subprocess.Popen([sys.executable, "-m", "tests.device.run", *same]), time.monotonic()
        while process.poll() is None:
            time.sleep(0.2)
            now = [name for name in names if name not in read(asked.output)]
            if now != missing:
                missing, heard = now, time.monotonic()
            if missing and time.monotonic() - heard > asked.patience:
                process.kill()
                process.wait()
                write(asked.output, read(asked.output) | {missing[0]: {"error": f"silent for {asked.patience:g} s"}})
        if process.returncode not in (0, ANEW) and missing and missing[0] not in read(asked.output):
            write(
                asked.output, read(asked.output) | {missing[0]: {"error": f"its process ended: {process.returncode}"}}
            )


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="a JSON file, written after every part")
    parser.add_argument("--seconds", type=float, default=540, help="after these no part is begun")
    parser.add_argument("--patience", type=float, default=120, help="seconds that one part may take")
    parser.add_argument("--processor", action="store_true", help="launch nothing; the kernels' checks only")
    parser.add_argument("--here", action="store_true", help="in this process, up to the first part that fails")
    parser.add_argument("--only", default="", help="parts whose name holds this text")
    asked = parser.parse_args(arguments)
    jax.config.update("jax_enable_x64", True)
    names = [name for name in parts(asked.processor) if asked.only in name]
    if not asked.here:
        asked.output.unlink(missing_ok=True)
    if asked.here or asked.processor:
        ended = run_here(asked, names)
        return ended if asked.here else failures(read(asked.output))
    run_apart(asked, names)
    return failures(read(asked.output))


if __name__ == "__main__":
    sys.exit(main())
