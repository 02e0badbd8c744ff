"""Time-reversed rules and layers on a time grid on a GPU, by the kernels of `native.cuda`, for who asks for them.

    from stablespike.learning.gradients.on_gpu import launch_kernels
    launch_kernels()  # before the first simulation

They have never run on a GPU: what is tested is the way from a simulation to a launch, with a stand-in of NVIDIA's
driver that has the same sources run by a processor. Without this call programs for a GPU are what they were.
"""

import dataclasses
import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters import mlir
from jaxtyping import Array

from stablespike.dynamics.abilities import lines_of
from stablespike.dynamics.neurons.carried import Carried
from stablespike.learning.gradients import grid_on_gpu, time_reversed
from stablespike.native.cuda import layer, network_adjoint
from stablespike.native.cuda.absent import refuse_on_gpus
from stablespike.native.cuda.derived import device_lines
from stablespike.native.cuda.driver import present_driver
from stablespike.native.cuda.launch import Launcher
from stablespike.native.cuda.machine_code import (
    LAYER,
    LAYER_ADJOINT,
    NETWORK,
    NETWORK_ADJOINT,
    NoKernel,
    compiled,
    require_compiler,
)
from stablespike.native.trial_rule import Trials, summed_parts, trial_primitive

TARGET = "stablespike_on_a_gpu"
FEWEST_SUMS, MOST_SUMS, ROOM = 16, 4096, 2**30  # partial sums of cotangents, and bytes for them and what they need
PLACES = 3  # whole numbers that are kept of a step


def launch_kernels() -> None:
    """From now on this process launches the kernels of layers and recurrent networks in programs for a GPU.

    Values and derivatives are those of `TimeReversed()`; memory grows with the square root of the number of events. A
    network with delays takes a launch for each layer, direction and window between delays. Layers of `GridLIF` cells on
    a time grid take one launch in each direction for all steps; products with spikes are matrix products there, in full
    precision. Sparse networks are refused in a sentence.
    Where there is no kernel (a network of more neurons than a block's shared memory holds, numba-cuda not installed, a
    GPU older than compute capability 8.0) a warning says why, and `Recorded()` takes its place. A trial of a network
    whose replay misses its own final state by more than the rule's tolerance has cotangents nan. Programs that were
    compiled before stay what they are. **Never run on a GPU so far.**
    """
    refuse_on_gpus()
    launcher = gpu()
    for call, run, pull in RULES:
        _register(call, functools.partial(run, launcher), functools.partial(pull, launcher))


@functools.cache
def gpu() -> Launcher:
    """The GPUs of this machine."""
    return Launcher(TARGET, present_driver(), lines_on_gpu, compiled)


def lines_on_gpu(neuron: Any, variables: int, dtype: Any) -> Any:
    """Lines of a neuron for GPUs. Raises `NoKernel` where numba-cuda, which derived ones need, is not installed."""
    if not isinstance(neuron, Carried):
        return lines_of(neuron, kind=dtype)
    require_compiler()
    return device_lines(neuron, variables, np.dtype(dtype))


def rule_of(call: Callable) -> Any:
    """The primitives behind `trial_primitive`'s function, and their rule."""
    return inspect.getclosurevars(call).nonlocals["calls"]


def with_kernels(call: Callable, run: Callable, pull: Callable) -> Callable:
    """The same rule with other native routes: a function as `trial_primitive` makes."""
    return trial_primitive(dataclasses.replace(rule_of(call).rule, run=run, pull=pull))


def _register(call: Callable, run: Callable, pull: Callable) -> None:
    """Lower the run and the pull-back of a rule by kernels, where the program is for CUDA."""
    old, new = rule_of(call), rule_of(with_kernels(call, run, pull))
    mlir.register_lowering(old.run, _lowering(old.rule.name, new._run, old._reference), platform="cuda")
    mlir.register_lowering(old.pull, _lowering(old.rule.name, new._pull, old._reference_pull), platform="cuda")


def _lowering(name: str, by_kernel: Callable, recorded: Callable) -> Callable:
    def lowered(context: Any, *operands: Any, **keys: Any) -> Any:
        try:
            return mlir.lower_fun(by_kernel, multiple_results=True)(context, *operands, **keys)
        except NoKernel as reason:
            warnings.warn(
                f"{name}: no kernel on the GPU, as {reason}; Recorded() takes its place, with the same values and "
                "memory that grows with events.",
                stacklevel=2,
            )
            return mlir.lower_fun(recorded, multiple_results=True)(context, *operands, **keys)

    return lowered


def _swapped(array: Array) -> Array:
    """Neurons and variables, the last two axes, the other way round."""
    return jnp.swapaxes(array, -1, -2)


def _operands(launcher: Launcher, use: Any, trials: Trials, states: int) -> tuple[Any, list[Array]]:
    """The neuron's lines, and the operands with derived constants in place of parameters; `states` is their place."""
    model = jax.tree.unflatten(use.structure, list(range(use.structure.num_leaves)))
    dtype, flat = trials.flat[1].dtype, list(trials.flat)
    lines = launcher.lines(model, flat[states].shape[-1], dtype)
    flat[0] = jax.vmap(lambda row: lines.derive(jax.tree.unflatten(use.structure, list(row)), dtype))(flat[0])
    flat[states] = _swapped(flat[states])
    return lines, [*flat, jnp.asarray(trials.rows)]


def partial_sums(trials: Trials, lead: tuple[int, ...], bytes_of_one: int) -> tuple[np.ndarray, int]:
    """As `Trials.members`, with as many sums as there is room for: each is one lane of work on a GPU.

    The number follows from shapes alone, so that a result does not depend on the GPU.
    """
    rows = trials.rows_of(lead)
    sets = np.argsort(rows, kind="stable").reshape(np.prod(lead, dtype=int), -1)
    most = max(FEWEST_SUMS, min(MOST_SUMS, ROOM // max(1, bytes_of_one)))
    parts = min(sets.shape[1], max(1, most // sets.shape[0]))
    pieces = [piece for row in sets for piece in np.array_split(row, parts)]
    members = np.full((len(pieces), max(map(len, pieces))), -1, np.int32)
    for row, piece in zip(members, pieces, strict=True):
        row[: len(piece)] = piece
    return members, parts


def layer_run(launcher: Launcher, use: Any, trials: Trials) -> list[Array]:
    """The results of a layer as the rule `layer_of_spiking_neurons` has them."""
    lines, operands = _operands(launcher, use, trials, 2)
    lanes = trials.count * operands[1].shape[-1]
    found = launcher(LAYER, lines.unpack, operands, lanes, capacity=use.capacity)
    flags, ends = jnp.bitwise_or.reduce(found["flags"], axis=1), found["ends"].min(1)
    return [found["spikes"], found["counts"], _swapped(found["final"]), flags, ends]


def layer_pull(
    launcher: Launcher, use: Any, trials: Trials, kept: Any, bars: Any, wants: tuple[int, ...], leads: Any
) -> list[Array]:
    """The cotangents of a layer's operands that are wanted."""
    del kept
    lines, operands = _operands(launcher, use, trials, 2)
    leads = dict(zip(wants, leads, strict=True))
    target = leads.get(1, (1,) * len(trials.lead))
    (channels, neurons), (variables, _), inputs = operands[1].shape[-2:], operands[2].shape[-2:], operands[3].shape[-1]
    places = layer.block_size(layer.most_steps(inputs, use.capacity)) + 1
    step = operands[1].dtype.itemsize * (variables + 2) + 4 * PLACES
    members, parts = partial_sums(trials, target, neurons * (channels * operands[1].dtype.itemsize + 2 * places * step))
    sizes = {"levels": 2, "places": places, "moment": 2, "progress": PLACES, "lanes": len(members) * neurons}
    more = [bars[0], _swapped(bars[1]), jnp.asarray(members)]
    sizes["wanted"] = inputs if 3 in wants else 0
    results = launcher(LAYER_ADJOINT, lines.unpack, [*operands, *more], sizes["lanes"], **sizes)
    found = {1: summed_parts(results["weight_bars"], parts, target)}
    if 2 in wants:
        found[2] = trials.gathered(_swapped(results["state_bars"]), leads[2])
    if 3 in wants:
        found[3] = trials.gathered(results["time_bars"].sum(-1), leads[3])
    return [found[i] for i in wants]


def network_run(launcher: Launcher, use: Any, trials: Trials) -> list[Array]:
    """The results of a recurrent network as the rule `recurrent_spiking_network` has them; no checkpoints are kept."""
    lines, operands = _operands(launcher, use, trials, 3)
    found = launcher(NETWORK, lines.unpack, operands, trials.count, events=use.events)
    final = _swapped(found["final"])
    checks = jnp.zeros((trials.count, use.checkpoints, *final.shape[1:]), final.dtype)
    return [
        *(found[name] for name in ("spikes", "spike_sources", "counts")),
        final,
        checks,
        found["flags"],
        found["ends"],
    ]


def network_pull(
    launcher: Launcher, use: Any, trials: Trials, kept: Any, bars: Any, wants: tuple[int, ...], leads: Any
) -> list[Array]:
    """The cotangents of a recurrent network's operands that are wanted."""
    lines, operands = _operands(launcher, use, trials, 3)
    leads, nobody = dict(zip(wants, leads, strict=True)), (1,) * len(trials.lead)
    both = np.broadcast_shapes(leads.get(1, nobody), leads.get(2, nobody))
    (channels, neurons), (variables, _), inputs = operands[2].shape[-2:], operands[3].shape[-2:], operands[4].shape[-1]
    size, blocks = network_adjoint.block_sizes(use.events, inputs)
    numbers = neurons * (neurons + channels + variables * (size + blocks + 1))
    members, parts = partial_sums(trials, both, operands[1].dtype.itemsize * numbers)
    spikes, sources, final, _, flags = kept
    more = [spikes, sources, _swapped(final), flags, bars[0], _swapped(bars[1]), jnp.asarray(members)]
    sizes = {"blocks": blocks, "size": size, "wanted": inputs if 4 in wants else 0}
    results = _require_replay(
        launcher(NETWORK_ADJOINT, lines.unpack, [*operands, *more], len(members), **sizes), members, use.tolerance
    )
    found = {}
    for i, name in ((1, "weight_bars"), (2, "input_weight_bars")):
        if i in wants:
            shared = tuple(axis for axis, (one, own) in enumerate(zip(both, leads[i], strict=True)) if one != own)
            found[i] = summed_parts(results[name], parts, both).sum(shared, keepdims=True)
    if 3 in wants:
        found[3] = trials.gathered(_swapped(results["state_bars"]), leads[3])
    if 4 in wants:
        found[4] = trials.gathered(results["time_bars"], leads[4])
    return [found[i] for i in wants]


def _require_replay(results: dict[str, Array], members: np.ndarray, tolerance: float) -> dict[str, Array]:
    """The cotangents; nan where a replay missed its final state, as no error can be raised from a GPU."""
    wrong = ~(results["errors"] <= tolerance)
    of_sums = jnp.any(wrong[members] & (members >= 0), axis=1)

    def spoilt(name: str, where: Array) -> Array:
        bars = results[name]
        return jnp.where(where.reshape(-1, *(1,) * (bars.ndim - 1)), jnp.asarray(jnp.nan, bars.dtype), bars)

    sums = {name: spoilt(name, of_sums) for name in ("weight_bars", "input_weight_bars")}
    return results | sums | {name: spoilt(name, wrong) for name in ("state_bars", "time_bars")}


RULES: tuple[tuple[Callable, Callable, Callable], ...] = (
    (time_reversed._layer, layer_run, layer_pull),
    (time_reversed._network, network_run, network_pull),
    *grid_on_gpu.RULES,
)
