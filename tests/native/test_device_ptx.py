"""Every kernel for GPUs, compiled to PTX without a GPU; what it uses of the machine, where `ptxas` is at hand."""

import re
import subprocess
import sys
import time
import types
from pathlib import Path

import jax
import numpy as np
import pytest
from tests.native.device_cases import DERIVED, NEURONS, layer_problem, lines_for

from stablespike.dynamics.neurons.carried import carried
from stablespike.native.cuda import grid, layer, network, network_adjoint
from stablespike.native.cuda.derived import device_lines
from stablespike.native.cuda.targets import (
    THREADS,
    entry_of,
    grid_kernel,
    layer_kernel,
    network_adjoint_kernel,
    network_kernel,
    ptx,
)

pytest.importorskip("numba_cuda", reason="numba-cuda, which compiles for GPUs, is not installed: envs/ptx.lock.txt")
dispatcher = pytest.importorskip("numba.cuda.dispatcher")
PTXAS = next(map(str, Path(sys.prefix).glob("lib/python*/site-packages/nvidia/*/bin/ptxas")), None)

CAPABILITIES = (8, 0), (9, 0), (12, 0)
SECONDS = 60  # of the processor, a kernel for all capabilities; the longest took about 9
NEURONS_OF_NETWORK = 100
KINDS = {
    "layer": layer.FORWARD,
    "layer-adjoint": layer.ADJOINT,
    "network": network.FORWARD,
    "network-adjoint": network_adjoint.ADJOINT,
}


@pytest.fixture(autouse=True)
def no_gpu_is_asked(monkeypatch):
    """numba-cuda asks the GPU for its compute capability before it compiles functions that a kernel calls."""
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: types.SimpleNamespace(compute_capability=(8, 0)))


def lines_and_variables(name, dtype):
    neuron, mean = (NEURONS | DERIVED)[name]
    states = layer_problem(neuron, mean)[1]
    if name in NEURONS:
        return lines_for(neuron, states, np.dtype(dtype))[0], states.shape[1]
    variables = states.shape[1] + len(jax.tree.leaves(neuron))  # those of a derived neuron carry its parameters
    return device_lines(carried(neuron, states.shape[1]), variables, np.dtype(dtype)), variables


def kernel_of(kind, lines, variables, dtype):
    if kind.startswith("layer"):
        return layer_kernel(lines.unpack, backwards=kind.endswith("adjoint"))
    make = network_adjoint_kernel if kind.endswith("adjoint") else network_kernel
    return make(lines.unpack, dtype, variables, NEURONS_OF_NETWORK)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*NEURONS, "GeneralLIF"])
def test_it_compiles_for_each_capability_within_a_minute(name, kind, dtype, tmp_path):
    lines, variables = lines_and_variables(name, dtype)
    compiles(kernel_of(kind, lines, variables, dtype), KINDS[kind], dtype, tmp_path)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("by_blocks", [False, True])
def test_a_layer_on_a_grid_compiles_for_each_capability_within_a_minute(by_blocks, backwards, dtype, tmp_path):
    compiles(grid_kernel(backwards, by_blocks), grid.ADJOINT if backwards else grid.FORWARD, dtype, tmp_path)


def compiles(kernel, arrays, dtype, folder):
    """A kernel compiles in time, takes the words of its arrays, and keeps to its precision and its registers."""
    began = time.process_time()
    for major, minor in CAPABILITIES:
        code = ptx(kernel, arrays, dtype, (major, minor))
        assert f".target sm_{major}{minor}\n" in code
        head = code.split(".entry", 1)[1].split(")", 1)[0]
        assert entry_of(code).startswith("_Z")
        words = re.findall(r"\.param \.[ub]64", head)
        assert len(words) == sum(5 + 2 * one.ndim for one in arrays.types(dtype))
        double = [line for line in code.splitlines() if ".f64" in line]
        assert bool(double) == (dtype is np.float64), double[:3]
        used_by_ptxas(code, f"sm_{major}{minor}", folder)
    assert time.process_time() - began < SECONDS


def used_by_ptxas(code, architecture, folder):
    """No register is spilled, and a block of 128 threads fits; nothing where there is no `ptxas`."""
    if PTXAS is None:
        return
    (folder / "kernel.ptx").write_text(code)
    told = subprocess.run(
        [PTXAS, f"-arch={architecture}", "-v", folder / "kernel.ptx", "-o", folder / "kernel.cubin"],
        capture_output=True, text=True, timeout=10 * SECONDS, check=True,
    ).stderr  # fmt: skip
    spilled = [int(one) for one in re.findall(r"(\d+) bytes spill", told)]
    registers = max(map(int, re.findall(r"Used (\d+) registers", told)))
    assert spilled
    assert not any(spilled)
    assert registers * THREADS <= 65536
