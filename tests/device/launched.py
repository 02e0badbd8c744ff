"""What `simulate` launches on a GPU, beside what it does on a processor in the same process."""

import functools
import subprocess

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tests.learning import test_grid_route as grid
from tests.native.launch_cases import CASES, delayed_problem, values_and_gradients

import stablespike as ss
from stablespike.dynamics.abilities import lines_of
from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.engines.layers import simulate_layer
from stablespike.learning.gradients.grid_route import run_on_grid_natively
from stablespike.learning.gradients.on_gpu import gpu, launch_kernels
from stablespike.learning.gradients.time_reversed import time_reversed
from stablespike.native.cuda.machine_code import LAYER, NETWORK, compiled, ptxas
from studies.benchmarks.grid_workloads import surrogate_training_step
from studies.benchmarks.workloads import mnist_gradient, recurrent_gradient, yin_yang_step

GRID_CASES = 0, 1, 4  # a reset of each kind, with the new current and with the old one


def facts():
    """What the launch finds on this machine: the driver's functions, GPUs, the compiler, code of two kernels."""
    driver, tool, lines = gpu().driver, ptxas(), lines_of(ss.LIF(1.0))
    kinds = ((LAYER, ()), (NETWORK, (2, 100)))
    sizes = {
        kind.name: len(compiled(kind, lines.unpack, np.dtype("float64"), room, driver.capabilities).image)
        for kind, room in kinds
    }
    version = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout if tool else "none"
    functions = all((driver.load, driver.kernel, driver.launch))
    return {
        "capabilities": driver.capabilities,
        "functions": functions,
        "ptxas": version.split("\n")[-2:],
        "bytes": sizes,
    }


def simulated(name, loop, device):
    """Spikes, counts and derivatives on a device, as arrays."""
    with jax.default_device(device):
        gradients, (spikes, counts, _) = values_and_gradients(name, loop)
    return [np.asarray(one, float) for one in (spikes, counts, *jax.tree.leaves(gradients))]


def on_a_grid(case, device):
    """Spikes of two layers on a grid, one of them recurrent, and all derivatives, on a device, as arrays."""
    with jax.default_device(device):
        network, inputs = grid.network_of(*grid.CASES[case]), grid.batch()
        arrays, rest = eqx.partition(network, eqx.is_inexact_array)

        def loss(arrays, inputs):
            run = jax.vmap(lambda one: run_on_grid_natively(eqx.combine(arrays, rest), one))(inputs)
            return jnp.sum(jnp.sin(run.readout)), run.outputs[:2]

        gradients, spikes = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(arrays, inputs)
    return [np.asarray(one, float) for one in (*spikes, *jax.tree.leaves(gradients))]


def in_windows(name, device):
    """Spikes, counts and derivatives of a network with delays on a device, as arrays."""
    with jax.default_device(device):
        varied, loss = delayed_problem(name)
        gradients, (spikes, counts, _) = jax.jit(jax.grad(loss, has_aux=True))(varied)
    return [np.asarray(one, float) for one in (spikes, counts, *gradients)]


def furthest(one, other):
    """The largest difference, relative to the largest number or to one; inf where one is infinite and another not."""
    finite = np.isfinite(one)
    if not np.array_equal(finite, np.isfinite(other)):
        return float("inf")
    return float(np.abs(one[finite] - other[finite]).max(initial=0) / np.abs(one[finite]).max(initial=1))


def compared(simulated, device):
    """Differences between a device and a processor."""
    here, there = simulated(jax.devices("cpu")[0]), simulated(device)
    differences = [furthest(one, other) for one, other in zip(here, there, strict=True)]
    return {"spikes": max(differences[:2]), "bars": max(differences[2:])}


def checks(checked, processor):
    """Parts that compare, by name; with `processor` the device is one, and nothing is launched.

    What was built last, and has been tried least, comes first.
    """

    def part(simulated):
        if not processor:
            launch_kernels()
        return checked(compared(simulated, jax.devices("cpu" if processor else "cuda")[0]))

    every = {f"on a grid, case {case}": functools.partial(on_a_grid, case) for case in GRID_CASES}
    every |= {f"delays, {name}": functools.partial(in_windows, name) for name in ("LIF", "Theta")}
    for loop, word in ((False, "feed-forward"), (True, "recurrent")):
        every |= {f"simulate, {word}, {name}": functools.partial(simulated, name, loop) for name in CASES}
    found = {} if processor else {"what the launch finds": facts}
    return found | {name: lambda one=one: part(one) for name, one in every.items()}


def costs(by_xla, yin_yang):
    """The benchmarks that the time-reversed rules run, by launched kernels, by name."""

    def part(make):
        launch_kernels()
        return by_xla(make())

    rule, layer = ss.TimeReversed(), time_reversed(simulate_layer)
    every = {
        "S, launched": lambda: surrogate_training_step(run_on_grid_natively, jnp.float32),
        "M, launched": lambda: mnist_gradient(rule, jnp.float32),
        "R, launched": lambda: recurrent_gradient(time_reversed(simulate, tolerance=1e-9, checkpoints=1), jnp.float64),
        "E, launched": lambda: yin_yang_step(layer, *yin_yang, jnp.float32, capacities=(4, 2)),
    }
    return {name: lambda make=make: part(make) for name, make in every.items()}
