"""Gradient rules without recorded trajectories: native kernels forwards, their adjoint backwards in time.

`time_reversed_layer` has the signature and the values of `stablespike.dynamics.layers.simulate_layer` and can take its
place (`simulate_layers(..., layer=time_reversed_layer)`). On CPU both directions are native code; elsewhere, and for
forward mode, the reference is used.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

from stablespike.dynamics import native
from stablespike.dynamics.kernels import layer as layer_kernel
from stablespike.dynamics.kernels import layer_adjoint as layer_adjoint_kernel
from stablespike.dynamics.kernels import theta
from stablespike.dynamics.layers import LayerSolution, simulate_layer
from stablespike.dynamics.network import Recurrent, network_flags
from stablespike.dynamics.neuron import AbstractNeuron
from stablespike.dynamics.spikes import Spikes, Status
from stablespike.dynamics.theta import Theta

KERNELS = {Theta: theta}
CORE_RANKS = (1, 2, 2, 1, 1, 0)  # parameters, weights [channels, neurons], states, times, sources, duration
PARAMETERS, WEIGHTS, STATES, TIMES, SOURCES, DURATION = range(6)
LINEAR = (WEIGHTS, STATES, TIMES)
SPIKE_TIMES, FINAL = 0, 2  # the results that carry a derivative
GROUPS = (
    16  # partial sums of the weights' cotangents: fixed, so that the result does not depend on the machine's threads
)


def time_reversed_layer(
    neuron: AbstractNeuron,
    weights: Float[Array, "neurons channels"],
    states: Float[Array, "neurons variables"],
    inputs: Spikes,
    duration,
    capacity: int,
) -> LayerSolution:
    """One layer from its input spikes, as `simulate_layer`, with a reverse mode that stores no trajectory.

    Derivatives with respect to `weights`, `states` and the input times (units: per weight, state, time) flow into spike
    times and final state. The backward pass carries the adjoint from the trial's end to its start through states that
    are replayed neuron block by neuron block, so memory does not grow with trials x events x neurons, and the states
    are exactly those of the forward pass. Trials: `jax.vmap`; weights that are shared by trials stay shared, and their
    cotangent is summed inside. If a neuron parameter or the duration is differentiated, and in forward mode, the
    derivative is that of the reference, with its memory. Second derivatives: use `simulate_layer`.

    A neuron without a kernel, or with parameters per neuron, is simulated by `simulate_layer`.
    """
    if type(neuron) not in KERNELS or any(jnp.ndim(leaf) for leaf in jax.tree.leaves(neuron)):
        return simulate_layer(neuron, weights, states, inputs, duration, capacity)
    return _time_reversed_layer(neuron, weights, states, inputs, duration, capacity)


@eqx.filter_jit
def _time_reversed_layer(neuron, weights, states, inputs, duration, capacity):
    dtype = jnp.result_type(weights)
    structure = jax.tree.structure(neuron)
    parameters = jnp.stack([jnp.asarray(leaf, dtype) for leaf in jax.tree.leaves(neuron)])
    operands = (
        parameters,
        jnp.asarray(weights).T,
        jnp.asarray(states, dtype),
        jnp.asarray(inputs.times, dtype),
        jnp.asarray(inputs.sources, jnp.int32),
        jnp.asarray(duration, dtype),
    )
    _check_shapes(operands)
    times, counts, final, flags, ends = _layer.bind(*operands, structure=structure, capacity=capacity)
    flags = flags.astype(int) | network_flags(Recurrent(neuron, jnp.zeros((1, 1), dtype), weights.reshape(1, -1)))
    return LayerSolution(times, counts.astype(int), final, Status(flags, ends, capacity))


def _check_shapes(operands) -> None:
    _, weights, states, times, sources, duration = operands
    if weights.ndim != 2 or states.ndim != 2 or weights.shape[1] != states.shape[0]:
        raise ValueError(
            f"weights {list(weights.shape[::-1])} and states {list(states.shape)} must be [neurons, channels] and "
            "[neurons, variables]."
        )
    if times.ndim != 1 or times.shape != sources.shape or duration.ndim:
        raise ValueError("input times and sources must be vectors of the same length, and the duration a number.")


_layer = Primitive("layer_of_spiking_neurons")
_layer_tangent = Primitive("layer_of_spiking_neurons_tangent")
_layer_pullback = Primitive("layer_of_spiking_neurons_pullback")
_layer.multiple_results = _layer_tangent.multiple_results = _layer_pullback.multiple_results = True


def _lead(operands, ranks=CORE_RANKS) -> tuple[int, ...]:
    """Trial axes of the whole call: an operand's leading axes have the common sizes, or 1 where trials share it."""
    return np.broadcast_shapes(*(one.shape[: one.ndim - rank] for one, rank in zip(operands, ranks, strict=True)))


def _result_shapes(operands, capacity):
    lead, dtype = _lead(operands), operands[WEIGHTS].dtype
    neurons, variables = operands[STATES].shape[-2:]
    whole = jnp.dtype("int32")
    shapes = [(neurons, capacity), (neurons,), (neurons, variables), (), ()]
    return [
        jax.ShapeDtypeStruct((*lead, *shape), kind)
        for shape, kind in zip(shapes, [dtype, whole, dtype, whole, dtype], strict=True)
    ]


def _reference(*operands, structure, capacity):
    """The results of `_layer` by `simulate_layer`."""

    def one_trial(parameters, weights, states, times, sources, duration):
        neuron = jax.tree.unflatten(structure, list(parameters))
        one = simulate_layer(neuron, weights.T, states, Spikes(times, sources), duration, capacity)
        return one.times, one.counts.astype("int32"), one.state, one.status.flags.astype("int32"), one.status.time

    return _over_trials(one_trial, operands, _lead(operands))


def _over_trials(function, operands, lead):
    if not lead:
        return function(*operands)
    mapped = [one.shape[0] == lead[0] for one in operands]
    operands = [one if along else one[0] for one, along in zip(operands, mapped, strict=True)]
    axes = [0 if along else None for along in mapped]
    return jax.vmap(lambda *inner: _over_trials(function, inner, lead[1:]), axes)(*operands)


def _differentiable_reference(fixed, wants, structure, capacity):
    """Spike times and final state of the reference as a function of the wanted operands."""

    def function(*varied):
        operands = list(fixed)
        for which, value in zip(wants, varied, strict=True):
            operands[which] = value
        results = _reference(*operands, structure=structure, capacity=capacity)
        return results[SPIKE_TIMES], results[FINAL]

    return function


def _flat(operand, rank):
    return operand.reshape(-1, *operand.shape[operand.ndim - rank :])


def _rows(lead_of_operand, lead):
    """For each trial, the row of a flattened operand that it uses."""
    index = np.arange(np.prod(lead_of_operand, dtype=int)).reshape(lead_of_operand)
    return np.broadcast_to(index, lead).ravel().astype(np.int32)


def _kernel_operands(operands, structure):
    """The kernel's view of the operands: one leading axis each, derived constants, and rows by trial; the neuron's
    kernel.
    """
    lead = _lead(operands)
    model = jax.tree.unflatten(structure, list(range(structure.num_leaves)))
    lines = KERNELS[type(model)]
    dtype = operands[WEIGHTS].dtype
    flat = [_flat(operand, rank) for operand, rank in zip(operands, CORE_RANKS, strict=True)]
    flat[0] = jax.vmap(lambda row: lines.derive(jax.tree.unflatten(structure, list(row)), dtype))(flat[0])
    leads = [one.shape[: one.ndim - rank] for one, rank in zip(operands, CORE_RANKS, strict=True)]
    rows = np.stack([_rows(one, lead) for one in leads], -1)
    return [*flat, jnp.asarray(rows)], lines


def _native(*operands, structure, capacity):
    """The results of `_layer` by the native kernel."""
    inputs, lines = _kernel_operands(operands, structure)
    shapes = _result_shapes(operands, capacity)
    depth = len(_lead(operands))
    flat = [jax.ShapeDtypeStruct((inputs[-1].shape[0], *one.shape[depth:]), one.dtype) for one in shapes]
    results = native.call(layer_kernel.run_entry, lines.unpack, operands[WEIGHTS].dtype, flat, *inputs)
    return [result.reshape(one.shape) for result, one in zip(results, shapes, strict=True)]


def _members(lead_of_weights, lead):
    """Trials of each partial sum `[groups, trials]`, padded with -1; groups of the same weights are neighbours."""
    weights = _rows(lead_of_weights, lead)
    sets = np.argsort(weights, kind="stable").reshape(np.prod(lead_of_weights, dtype=int), -1)
    parts = min(sets.shape[1], max(1, GROUPS // sets.shape[0]))
    pieces = [piece for row in sets for piece in np.array_split(row, parts)]
    members = np.full((len(pieces), max(map(len, pieces))), -1, np.int32)
    for row, piece in zip(members, pieces, strict=True):
        row[: len(piece)] = piece
    return members, parts


def _native_pullback(*arguments, structure, capacity, wants, leads):
    """Cotangents of the wanted operands, each with the trial axes `leads` (sums over the trials that share it)."""
    operands, (spike_bars, final_bars) = arguments[:6], arguments[6:]
    lead = _lead(arguments, (*CORE_RANKS, 2, 2))
    leads = dict(zip(wants, leads, strict=True))
    inputs, lines = _kernel_operands(
        [jnp.broadcast_to(operands[0], (*lead, operands[0].shape[-1])), *operands[1:]], structure
    )
    members, parts = _members(leads.get(WEIGHTS, (1,) * len(lead)), lead)
    trials, dtype = inputs[-1].shape[0], operands[WEIGHTS].dtype
    bars = [_flat(jnp.broadcast_to(bar, (*lead, *bar.shape[-2:])), 2) for bar in (spike_bars, final_bars)]
    events = inputs[TIMES].shape[-1] if TIMES in wants else 0
    shapes = [(len(members), *inputs[WEIGHTS].shape[1:]), bars[1].shape, (trials, events)]
    shapes = [jax.ShapeDtypeStruct(shape, dtype) for shape in shapes]
    results = native.call(
        layer_adjoint_kernel.pull_entry, lines.unpack, dtype, shapes, *inputs, *bars, jnp.asarray(members)
    )
    weight_bars = results[0].reshape(-1, parts, *results[0].shape[1:]).sum(1)
    by_operand = {WEIGHTS: weight_bars, STATES: results[1], TIMES: results[2]}
    return [_gathered(by_operand[which], which, lead, leads[which]) for which in wants]


def _gathered(bars, which, lead, target):
    """Cotangents by trial, summed over the trials that share the operand."""
    if which == WEIGHTS:
        return bars.reshape(*target, *bars.shape[1:])
    bars = bars.reshape(*lead, *bars.shape[1:])
    shared = tuple(axis for axis, (full, own) in enumerate(zip(lead, target, strict=True)) if own != full)
    return bars.sum(shared, keepdims=True)


def _reference_tangent(*arguments, structure, capacity, wants):
    operands, tangents = arguments[:6], arguments[6:]
    varied = [jnp.broadcast_to(operands[which], one.shape) for which, one in zip(wants, tangents, strict=True)]
    return jax.jvp(_differentiable_reference(operands, wants, structure, capacity), varied, list(tangents))[1]


def _reference_pullback(*arguments, structure, capacity, wants, leads):
    operands, bars = arguments[:6], arguments[6:]
    lead = _lead(arguments, (*CORE_RANKS, 2, 2))
    ranks = [CORE_RANKS[which] for which in wants]
    varied = [
        jnp.broadcast_to(operands[which], (*own, *operands[which].shape[operands[which].ndim - rank :]))
        for which, own, rank in zip(wants, leads, ranks, strict=True)
    ]
    whole = [jnp.broadcast_to(operands[0], (*lead, operands[0].shape[-1])), *operands[1:]]
    _, pull = jax.vjp(_differentiable_reference(whole, wants, structure, capacity), *varied)
    return pull(tuple(jnp.broadcast_to(bar, (*lead, *bar.shape[-2:])) for bar in bars))


def _layer_jvp(primals, tangents, *, structure, capacity):
    results = _layer.bind(*primals, structure=structure, capacity=capacity)
    moving = tuple(which for which, one in enumerate(tangents) if type(one) is not ad.Zero and which != SOURCES)
    slopes = [ad.Zero(jax.typeof(result).to_tangent_aval()) for result in results]
    if not moving:
        return results, slopes
    given = [tangents[which] for which in moving]
    if set(moving) <= set(LINEAR):
        pair = _layer_tangent.bind(*primals, *given, structure=structure, capacity=capacity, wants=moving)
    else:
        function = _differentiable_reference(primals, moving, structure, capacity)
        pair = jax.jvp(function, [primals[which] for which in moving], given)[1]
    slopes[SPIKE_TIMES], slopes[FINAL] = pair
    return results, slopes


def _layer_transpose(bars, *arguments, structure, capacity, wants):
    operands, varied = arguments[:6], arguments[6:]
    if all(type(bar) is ad.Zero for bar in bars):
        return [None] * len(operands) + [ad.Zero(one.aval) for one in varied]
    leads = tuple(
        one.aval.shape[: len(one.aval.shape) - CORE_RANKS[which]] for which, one in zip(wants, varied, strict=True)
    )
    bars = [ad.instantiate_zeros(bar) for bar in bars]
    results = _layer_pullback.bind(*operands, *bars, structure=structure, capacity=capacity, wants=wants, leads=leads)
    return [None] * len(operands) + list(results)


def _batched(primitive, operands, axes, parameters):
    """Give every operand one more leading axis: the trials, or 1 where they share it."""
    size = next(one.shape[axis] for one, axis in zip(operands, axes, strict=True) if axis is not None)
    operands = [
        jnp.expand_dims(one, 0) if axis is None else jnp.moveaxis(one, axis, 0)
        for one, axis in zip(operands, axes, strict=True)
    ]
    if "leads" in parameters:
        parameters = parameters | {"leads": tuple((size, *lead) for lead in parameters["leads"])}
    results = primitive.bind(*operands, **parameters)
    return results, [0] * len(results)


def _no_second_derivative(*_, **__):
    raise NotImplementedError("time_reversed_layer has first derivatives only: use simulate_layer for second ones.")


def _register(primitive, shapes, cpu, elsewhere) -> None:
    """Abstract evaluation, execution, lowering by platform and batching of a primitive."""
    primitive.def_abstract_eval(
        lambda *operands, **parameters: [
            jax.core.ShapedArray(one.shape, one.dtype) for one in shapes(*operands, **parameters)
        ]
    )
    names = ("structure", "capacity", "wants", "leads")
    primitive.def_impl(jax.jit(primitive.bind, static_argnames=names))
    mlir.register_lowering(primitive, mlir.lower_fun(elsewhere, multiple_results=True))
    if cpu is not elsewhere:
        mlir.register_lowering(primitive, mlir.lower_fun(cpu, multiple_results=True), platform="cpu")
    batching.primitive_batchers[primitive] = lambda operands, axes, **parameters: _batched(
        primitive, operands, axes, parameters
    )


def _tangent_shapes(*arguments, structure, capacity, wants):
    del structure
    lead = _lead(arguments, (*CORE_RANKS, *(CORE_RANKS[which] for which in wants)))
    shapes = _result_shapes(arguments[:6], capacity)
    depth = len(lead)
    return [jax.ShapeDtypeStruct((*lead, *shapes[i].shape[depth:]), shapes[i].dtype) for i in (SPIKE_TIMES, FINAL)]


def _pullback_shapes(*arguments, structure, capacity, wants, leads):
    del structure, capacity
    cores = [arguments[which].shape[arguments[which].ndim - CORE_RANKS[which] :] for which in wants]
    return [
        jax.ShapeDtypeStruct((*lead, *core), arguments[WEIGHTS].dtype) for lead, core in zip(leads, cores, strict=True)
    ]


_register(_layer, lambda *one, structure, capacity: _result_shapes(one, capacity), _native, _reference)
_register(_layer_tangent, _tangent_shapes, _reference_tangent, _reference_tangent)
_register(_layer_pullback, _pullback_shapes, _native_pullback, _reference_pullback)
ad.primitive_jvps[_layer] = _layer_jvp
ad.primitive_jvps[_layer_tangent] = _no_second_derivative
ad.primitive_jvps[_layer_pullback] = _no_second_derivative
ad.primitive_transposes[_layer_tangent] = _layer_transpose
