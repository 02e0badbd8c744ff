"""Gradient rules without recorded trajectories: native kernels forwards, their adjoint backwards in time.

`time_reversed` takes a simulator and returns one with the same signature and values and another derivative. On CPU both
directions are native code; elsewhere, and in forward mode, the recorded simulator does the work.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stablespike.dynamics.abilities import in_kernels, lines_of
from stablespike.dynamics.engines import windows as relaxation
from stablespike.dynamics.engines.events import BLOCK, Solution, simulate
from stablespike.dynamics.engines.layers import LayerSolution, require_capacity, simulate_layer
from stablespike.dynamics.memory import require_memory
from stablespike.dynamics.network import Recurrent, network_flags, of_its_own
from stablespike.dynamics.neurons.carried import Carried, with_parameters
from stablespike.dynamics.neurons.neuron import AbstractNeuron, require_states
from stablespike.dynamics.spikes import Spikes, input_flags
from stablespike.dynamics.status import Status, raise_unless_ok
from stablespike.native.events import adjoint as network_adjoint
from stablespike.native.events import forward as network_kernel
from stablespike.native.layer import adjoint as layer_adjoint_kernel
from stablespike.native.layer import forward as layer_kernel
from stablespike.native.order import spike_ordinals
from stablespike.native.trial_rule import TrialRule, Trials, summed_parts, trial_primitive
from stablespike.native.windows import forward as relaxation_kernel

WHOLE = jnp.dtype("int32")
ROUNDINGS = 1000  # a reversal is expected to start from an error of this many units of rounding


def time_reversed(simulator: Callable, **options: Any) -> Callable:
    """The simulator with the same values whose reverse mode stores no trajectory.

    `simulator`: `simulate_layer`, or `simulate` (with the options of `time_reversed_simulate`).
    """
    if simulator is simulate:
        return functools.partial(time_reversed_simulate, **options)
    if simulator is simulate_layer and not options:
        return time_reversed_layer
    raise ValueError("time_reversed knows `simulate`, with `tolerance` and `checkpoints`, and `simulate_layer`.")


def time_reversed_layer(
    neuron: AbstractNeuron,
    weights: Float[Array, "neurons channels"],
    states: Float[Array, "neurons variables"],
    inputs: Spikes,
    duration: Any,
    capacity: int,
) -> LayerSolution:
    """One layer from its input spikes, as `simulate_layer`, with a reverse mode that stores no trajectory.

    Derivatives with respect to `weights`, `states` and input times flow into spike times and final state. The
    cotangents run from the trial's end to its start, through states that are replayed by blocks of neurons from their
    start: they are those of the forward pass to the last bit, nothing is kept between the passes, and the space of a
    thread is 2 x 128 states per volley of inputs. Trials: `jax.vmap`; weights that trials share stay shared, and their
    cotangent is summed inside.

    There are kernels by hand for `Theta`, `QIF` and `LIF` neurons that are all alike; those of any other neuron, and of
    parameters per neuron, are derived from its class, and have derivatives with respect to the parameters as well. Of
    the former these, of all the derivative with respect to the duration, and forward mode, are those of the recorded
    simulator, with its memory; second derivatives raise.
    """
    require_capacity(capacity)
    require_states(neuron, states, weights.shape[0])
    require_kernel(neuron, states, weights)
    inside, carries = in_kernels(neuron, states)
    variables = states.shape[1]
    states = with_parameters(neuron, states) if carries else states
    solution = _time_reversed_layer(inside, weights, states, inputs, duration, capacity)
    return of_its_own(solution, neuron, variables) if carries else solution


def time_reversed_simulate(
    network: Recurrent,
    states: Float[Array, "neurons variables"],
    inputs: Spikes,
    duration: Any,
    *,
    max_events: int,
    tolerance: float | None = None,
    checkpoints: int | None = None,
    at_once: bool | None = None,
) -> Solution:
    """A recurrent network, as `simulate`, with a reverse mode that keeps the list of spikes and nothing else per event.

    Derivatives with respect to both weights, `states` and input times flow into spike times and final state. The
    forward pass keeps the spikes, the final state and `checkpoints` states at equal distances in time; the backward
    pass runs the exact inverse maps (after Wunderlich & Pehle 2021, with the states reversed as well). Their rounding
    errors grow like exp(2 t/tau) between checkpoints; the largest found at a checkpoint (relative to a state of size
    one) is compared to `tolerance`, and a trial in which it is larger is replayed forwards along its spikes, in a
    memory of about 2 sqrt(events) states, as are all trials of neurons whose kernels are derived; only where that
    misses its own final state the call fails. Defaults: a tolerance of 4e-10 in float64 and 5e-4 in float32, and as
    many checkpoints as it asks for, which needs a duration and a time constant that are known when the function is
    traced. `at_once` chooses the forward pass: windows of many events at once (`dynamics.engines.windows`) or the loop
    from event to event; default: the faster one for networks of this size, and windows where kernels are derived.

    What is differentiated by the recorded simulator, and what is refused: see `time_reversed_layer`; refused are also
    delays, and weights of two types or of other ones than float32 and float64.
    """
    if max_events < 1:
        raise ValueError(f"max_events must be at least 1, not {max_events}.")
    if network.delays is not None:
        raise ValueError(
            "the time-reversed rule knows no delays: `simulate` or `checkpointed_simulate` differentiate them."
        )
    require_states(network.neuron, states, network.size)
    require_kernel(network.neuron, states, network.weights, network.input_weights, loop=True)
    inside, carries = in_kernels(network.neuron, states)
    neuron, variables = network.neuron, states.shape[1]
    if carries:
        states = with_parameters(neuron, states)
        network = Recurrent(inside, network.weights, network.input_weights)
    tolerance, checkpoints = reversal_plan(network, duration, tolerance, checkpoints)
    kept = 16 * max_events + states.dtype.itemsize * states.size * (checkpoints + 3)
    require_memory(kept, f"A trial of {max_events} events with {checkpoints} checkpoints")
    at_once = (carries or relaxation.is_faster(network)) if at_once is None else at_once
    solution = _time_reversed_simulate(network, states, inputs, duration, max_events, tolerance, checkpoints, at_once)
    solution = of_its_own(solution, neuron, variables) if carries else solution
    raise_unless_ok(solution.status)
    return solution


def has_kernel(neuron: AbstractNeuron, states: Any, *weights: Any, loop: bool = False) -> bool:
    """Whether `require_kernel` passes."""
    try:
        require_kernel(neuron, states, *weights, loop=loop)
    except ValueError:
        return False
    return True


def require_kernel(neuron: AbstractNeuron, states: Any, *weights: Any, loop: bool = False) -> None:
    """Raise `ValueError` where the reversed adjoint does not exist, naming the rules that do.

    Kernels read numbers as they lie in memory: all weights must have one type, float32 or float64.
    """
    others = "use gradient=Recorded() or Checkpointed()."
    if loop and neuron.spikes_on_arrival():
        name = type(neuron).__name__
        raise ValueError(
            f"a pulse alone can make {name} spike, which kernels of recurrent networks do not know: {others}"
        )
    types = {str(jnp.result_type(one)) for one in weights}
    if len(types) > 1 or not types <= {"float32", "float64"}:
        raise ValueError(f"the time-reversed rule knows weights of one type, float32 or float64, not {sorted(types)}.")
    try:
        in_kernels(neuron, jax.ShapeDtypeStruct(jnp.shape(states), jnp.result_type(weights[0])))
    except ValueError as error:
        raise ValueError(f"{error} Here {others}") from None


def reversal_plan(network: Any, duration: Any, tolerance: float | None, checkpoints: int | None) -> tuple[float, int]:
    """Number of checkpoints that keeps the reversal error below the tolerance; and that.

    The error grows by e in tau/2, as the current decays; at half the distance that this alone would allow, voltages
    that contract faster, and many events in a time constant, find room.
    """
    eps = float(jnp.finfo(network.weights.dtype).eps)
    tolerance = max(eps**0.6, 4 * ROUNDINGS * eps) if tolerance is None else tolerance
    if not tolerance > 2 * ROUNDINGS * eps:
        raise ValueError(
            f"A tolerance of {tolerance:g} cannot be met in {network.weights.dtype}: it must exceed "
            f"{2 * ROUNDINGS * eps:.2g}."
        )
    if isinstance(network.neuron, Carried):
        return tolerance, 1
    if checkpoints is None:
        known = (duration, network.neuron.membrane_time_constant)
        if any(isinstance(one, jax.core.Tracer) for one in known):
            raise ValueError("Give the number of `checkpoints`: duration and time constant are only known inside jit.")
        if not 0 <= float(duration) < math.inf:
            raise ValueError(f"The duration of a trial must be finite and not negative, not {float(duration):g}.")
        spacing = 0.25 * float(known[1]) * math.log(tolerance / (ROUNDINGS * eps))
        checkpoints = max(1, math.ceil(float(duration) / spacing))
    return tolerance, checkpoints


class _LayerUse(NamedTuple):
    structure: jax.tree_util.PyTreeDef
    capacity: int


class _NetworkUse(NamedTuple):
    structure: jax.tree_util.PyTreeDef
    events: int
    tolerance: float
    checkpoints: int
    at_once: bool


@eqx.filter_jit
def _time_reversed_layer(
    neuron: AbstractNeuron, weights: Array, states: Array, inputs: Spikes, duration: Any, capacity: int
) -> LayerSolution:
    if weights.ndim != 2:
        raise ValueError(f"weights must have shape [neurons, channels], not {list(weights.shape)}.")
    require_states(neuron, states, weights.shape[0])
    dtype = jnp.result_type(weights)
    operands = (_parameters(neuron, dtype), weights.T, states.astype(dtype), *_inputs(inputs, duration, dtype))
    use = _LayerUse(jax.tree.structure(neuron), capacity)
    times, counts, final, flags, ends = _layer(use, *operands)
    flags = flags.astype(int) | network_flags(Recurrent(neuron, jnp.zeros((1, 1), dtype), weights.reshape(1, -1)))
    flags = flags | input_flags(inputs, weights.shape[1], duration)
    return LayerSolution(times, counts.astype(int), final, Status(flags, ends, capacity, "capacity"))


@eqx.filter_jit
def _time_reversed_simulate(
    network: Recurrent,
    states: Array,
    inputs: Spikes,
    duration: Any,
    max_events: int,
    tolerance: float,
    checkpoints: int,
    at_once: bool,
) -> Solution:
    dtype = jnp.result_type(network.weights)
    parameters = _parameters(network.neuron, dtype)
    weights = (network.weights.T, network.input_weights.T)
    use = _NetworkUse(jax.tree.structure(network.neuron), _whole_blocks(max_events), tolerance, checkpoints, at_once)
    operands = (parameters, *weights, states.astype(dtype), *_inputs(inputs, duration, dtype))
    times, sources, counts, final, _, flags, ends = _network(use, *operands)
    flags = flags.astype(int) | network_flags(network) | input_flags(inputs, network.input_weights.shape[1], duration)
    spikes = Spikes(times, sources.astype(int))
    ordinals = spike_ordinals(spikes.times, spikes.sources, counts)
    return Solution(spikes, ordinals, counts.astype(int), final, Status(flags, ends, max_events))


def _whole_blocks(max_events: int) -> int:
    return -(-max_events // BLOCK) * min(BLOCK, max_events)


def _parameters(neuron: AbstractNeuron, dtype: Any) -> Array:
    leaves = [jnp.asarray(leaf, dtype) for leaf in jax.tree.leaves(neuron)]
    return jnp.stack(leaves) if leaves else jnp.zeros(0, dtype)


def _inputs(inputs: Spikes, duration: Any, dtype: Any) -> tuple[Array, Array, Array]:
    if inputs.times.ndim != 1 or inputs.times.shape != inputs.sources.shape:
        raise ValueError("input times and sources must be vectors of the same length; use vmap for trials.")
    return inputs.times.astype(dtype), inputs.sources.astype(WHOLE), jnp.asarray(duration, dtype)


def _call(kernel: Any, use: _LayerUse | _NetworkUse, trials: Trials, *more: Any, **sizes: int) -> Any:
    """A kernel with the neuron's lines, on the operands with derived constants in place of parameters."""
    model = jax.tree.unflatten(use.structure, list(range(use.structure.num_leaves)))
    dtype = trials.flat[1].dtype
    lines = lines_of(model, kind=dtype)
    derive = jax.vmap(lambda row: lines.derive(jax.tree.unflatten(use.structure, list(row)), dtype))
    operands = derive(trials.flat[0]), *trials.flat[1:], jnp.asarray(trials.rows)
    return kernel(*operands, *more, unpack=lines.unpack, **sizes)


def _layer_shapes(use: _LayerUse, operands: Any) -> list[jax.ShapeDtypeStruct]:
    dtype, (neurons, variables) = operands[1].dtype, operands[2].shape[-2:]
    shapes = [(neurons, use.capacity), (neurons,), (neurons, variables), (), ()]
    dtypes = [dtype, WHOLE, dtype, WHOLE, dtype]
    return [jax.ShapeDtypeStruct(shape, one) for shape, one in zip(shapes, dtypes, strict=True)]


def _layer_reference(
    use: _LayerUse, parameters: Array, weights: Array, states: Array, times: Array, sources: Array, duration: Any
) -> tuple[Array, ...]:
    neuron = jax.tree.unflatten(use.structure, list(parameters))
    one = simulate_layer(neuron, weights.T, states, Spikes(times, sources), duration, use.capacity)
    return one.times, one.counts.astype(WHOLE), one.state, one.status.flags.astype(WHOLE), one.status.time


def _layer_run(use: _LayerUse, trials: Trials) -> Any:
    return _call(layer_kernel.RUN, use, trials, capacity=use.capacity)


def _layer_pull(
    use: _LayerUse, trials: Trials, kept: Any, bars: Any, wants: tuple[int, ...], leads: Any
) -> list[Array]:
    del kept
    leads = dict(zip(wants, leads, strict=True))
    target = leads.get(1, (1,) * len(trials.lead))
    members, parts = trials.members(target)
    wanted = trials.flat[3].shape[-1] if 3 in wants else 0
    results = _call(layer_adjoint_kernel.PULL, use, trials, *bars, jnp.asarray(members), wanted=wanted)
    found = {1: summed_parts(results[0], parts, target)}
    found |= {i: trials.gathered(results[i - 1], leads[i]) for i in (2, 3) if i in wants}
    return [found[i] for i in wants]


def _network_shapes(use: _NetworkUse, operands: Any) -> list[jax.ShapeDtypeStruct]:
    dtype, (neurons, variables) = operands[1].dtype, operands[3].shape[-2:]
    events = (use.events,)
    shapes = [events, events, (neurons,), (neurons, variables), (use.checkpoints, neurons, variables), (), ()]
    dtypes = [dtype, WHOLE, WHOLE, dtype, dtype, WHOLE, dtype]
    return [jax.ShapeDtypeStruct(shape, one) for shape, one in zip(shapes, dtypes, strict=True)]


def _network_reference(
    use: _NetworkUse,
    parameters: Array,
    weights: Array,
    input_weights: Array,
    states: Array,
    times: Array,
    sources: Array,
    duration: Any,
) -> tuple[Array, ...]:
    network = Recurrent(jax.tree.unflatten(use.structure, list(parameters)), weights.T, input_weights.T)
    one = simulate(network, states, Spikes(times, sources), duration, max_events=use.events)
    whole = [one.spikes.sources, one.counts]
    checks = jnp.zeros((use.checkpoints, *one.state.shape), one.state.dtype)
    whole = [array.astype(WHOLE) for array in whole]
    return one.spikes.times, *whole, one.state, checks, one.status.flags.astype(WHOLE), one.status.time


def _network_run(use: _NetworkUse, trials: Trials) -> Any:
    sizes = {"events": use.events, "checkpoints": use.checkpoints}
    if not use.at_once:
        return _call(network_kernel.RUN, use, trials, **sizes)
    most = jnp.full((), relaxation.enough_sweeps(use.events, use.checkpoints), WHOLE)
    return _call(relaxation_kernel.RUN, use, trials, most, **sizes)[:-1]


def _network_pull(use: _NetworkUse, trials: Trials, kept: Any, bars: Any, wants: Any, leads: Any) -> list[Array]:
    leads, dtype = dict(zip(wants, leads, strict=True)), trials.flat[1].dtype
    nobody = (1,) * len(trials.lead)
    both = np.broadcast_shapes(leads.get(1, nobody), leads.get(2, nobody))
    members, parts = trials.members(both)
    wanted = trials.flat[4].shape[-1] if 4 in wants else 0
    more = (*kept, *bars, jnp.full((), use.tolerance, dtype), jnp.asarray(members))
    results = _call(network_adjoint.PULL, use, trials, *more, wanted=wanted)
    found = {i: trials.gathered(results[i - 1], leads[i]) for i in (3, 4) if i in wants}
    for i in {1, 2} & set(wants):
        bars = summed_parts(results[i - 1], parts, both)
        shared = tuple(axis for axis, (one, own) in enumerate(zip(both, leads[i], strict=True)) if one != own)
        found[i] = bars.sum(shared, keepdims=True)
    return [found[i] for i in wants]


_layer = trial_primitive(
    TrialRule(
        name="layer_of_spiking_neurons",
        ranks=layer_kernel.RUN.buffers.ranks,  # parameters in place of constants
        linear=(1, 2, 3),
        carriers=(0, 2),
        kept=(),
        shapes=_layer_shapes,
        reference=_layer_reference,
        run=_layer_run,
        pull=_layer_pull,
    )
)
_network = trial_primitive(
    TrialRule(
        name="recurrent_spiking_network",
        ranks=network_kernel.RUN.buffers.ranks,
        linear=(1, 2, 3, 4),
        carriers=(0, 3),
        kept=(0, 1, 3, 4, 5),
        shapes=_network_shapes,
        reference=_network_reference,
        run=_network_run,
        pull=_network_pull,
    )
)
