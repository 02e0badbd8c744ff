"""The door of simulation: `simulate` chooses the engine for a network and refuses what does not exist."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from stablespike.dynamics.arguments import is_number, require_number, shown
from stablespike.dynamics.network import Network
from stablespike.dynamics.neurons.neuron import AbstractNeuron, Scalar, require_states
from stablespike.dynamics.neurons.readout import Readout
from stablespike.dynamics.run import Run
from stablespike.dynamics.spikes import Spikes, require_inputs
from stablespike.dynamics.status import SimulationError, as_known, raise_unless_ok
from stablespike.dynamics.ways import DEFAULT_BUDGET, Events, Grid
from stablespike.learning.gradients.by_events import planned_checkpoints, run_by_events
from stablespike.learning.gradients.finite import guarded
from stablespike.learning.gradients.on_grid import as_grid_network, run_on_a_grid
from stablespike.learning.gradients.rules import RULES, Rule
from stablespike.native.conventions import Flag

EXACTLY = Events()
EXACT_TYPES = {np.dtype(np.float32), np.dtype(np.float64)}
LARGEST_BUDGET = 1 << 16
LARGE = 10_000  # neurons of a layer for which room is scarce: the search for a budget starts at one spike
OTHER_WORDS = {
    **dict.fromkeys(
        ("max_events", "max_spikes", "capacity", "capacities", "budget"), "budgets are given as on=Events(budget=...)"
    ),
    **dict.fromkeys(("dt", "steps", "slope", "surrogate"), "a grid is given as on=Grid(dt, slope)"),
    **dict.fromkeys(("duration", "time"), "the end of the trial is the third argument, `until`"),
    **dict.fromkeys(("states", "state"), "states at the start are given as initial=..."),
}


def simulate(
    network: Network,
    inputs: Spikes | Num[Array, "steps channels"],
    until: Scalar | None = None,
    *,
    on: Events | Grid = EXACTLY,
    gradient: Rule | None = None,
    initial: tuple[Any, ...] | Float[Array, "neurons variables"] | None = None,
    **unknown: Any,
) -> Run:
    """One trial of a network, from time 0 to `until` (unit of the time constants); trials are batched by `jax.vmap`.

    `inputs` are spikes of the channels; on a grid also what arrives in each step `[steps, channels]`, and `until` may
    then be left out. Spikes after `until` do not count; where they are the most of a trial they are refused, as a slip
    of the unit (`inputs.before(until)` leaves them out; inside jit and vmap, where times are unknown, nothing is said).
    `on` says how: `Events()`, exactly, or `Grid(dt, slope)`. `gradient` is the rule of the derivative: by default the
    fastest one that is exact for this way (by events `TimeReversed` where it exists, else `Recorded`; on a grid
    backpropagation through time in native kernels); one that a network does not have is refused.
    `initial` are states of every layer `[neurons, variables]` (`initial_states` makes them; of cells, their own), by
    default V = 0 without current.

    Raises `ValueError` for what cannot be meant, before anything is compiled, and `SimulationError` outside jit for a
    run that failed, or whose gradient is not finite; inside jit look at `run.status`, and at the gradient.
    """
    _require(network, on, gradient, unknown)
    _require_trial(network, inputs, until, on)
    started = _as_tuple(initial, network, on)
    inputs, until = _in_one_unit(network, inputs, until, on)
    network, inputs, started = guarded((network, inputs, started))
    if not isinstance(on, Events):
        return _checked(_on_grid(as_grid_network(network, on), inputs, until, on, gradient, started))
    checkpoints = planned_checkpoints(network, until, gradient)
    if on.budget is not None:
        return _checked(_by_events(network, inputs, until, on, gradient, started, checkpoints))
    start = 1 if max(network.sizes) > LARGE else DEFAULT_BUDGET
    return _with_sufficient_budget(
        lambda budget: _by_events(network, inputs, until, Events(budget, on.looks), gradient, started, checkpoints),
        start,
    )


def _checked(run: Run) -> Run:
    raise_unless_ok(run.status)
    return run


def _with_sufficient_budget(run: Callable[[int], Run], budget: int) -> Run:
    """The run with this budget, doubled until it suffices where that can be known."""
    while True:
        found = run(budget)
        flags = as_known(found.status).flags
        exhausted = not isinstance(flags, jax.core.Tracer) and bool(jnp.any(flags & int(Flag.BUDGET_EXHAUSTED)))
        if not exhausted:
            return _checked(found)
        if 2 * budget > LARGEST_BUDGET:
            raise SimulationError(
                f"No budget up to {budget} spikes of a neuron suffices: the network's activity may be running away."
            )
        budget *= 2


_by_events = eqx.filter_jit(run_by_events)
_on_grid = eqx.filter_jit(run_on_a_grid)


def _require(network: Any, on: Any, gradient: Any, unknown: dict[str, Any]) -> None:
    """Refuse what cannot be meant, in one sentence."""
    for name in unknown:
        hint = OTHER_WORDS.get(name, "it takes network, inputs, until, on, gradient and initial")
        raise ValueError(f"simulate has no argument {name!r}: {hint}.")
    if not isinstance(network, Network):
        raise ValueError(f"simulate runs a Network(Layer(...), ...), not {shown(network)}.")
    if not isinstance(on, Events | Grid):
        raise ValueError(f"on must be Events() or Grid(dt, slope), not {shown(on)}.")
    if gradient is not None and not isinstance(gradient, RULES):
        names = ", ".join(f"{one.__name__}(...)" for one in RULES)
        raise ValueError(f"gradient must be one of {names} or None, not {shown(gradient)}.")


def _require_trial(network: Any, inputs: Any, until: Any, on: Any) -> None:
    """Refuse inputs and ends of a trial that cannot be meant."""
    if until is None and isinstance(inputs, Spikes):
        raise ValueError("say until when the trial lasts: simulate(network, inputs, until).")
    if until is not None:
        require_number("until, the end of the trial,", until)
        if not isinstance(until, jax.core.Tracer) and not 0 <= float(until) < float("inf"):
            raise ValueError(f"until, the end of the trial, must be a finite number, not negative, not {until}.")
    if not isinstance(inputs, Spikes):
        return _require_signals(network, inputs, on)
    types = {inputs.times.dtype, *(one.dtype for layer in network.layers for one in (layer.inputs, layer.loop) if one)}
    if isinstance(on, Events) and not types <= EXACT_TYPES:
        raise ValueError(
            f"by events weights and times are float64 or float32, not {', '.join(sorted(map(str, types)))}."
        )
    if inputs.times.ndim != 1:
        raise ValueError(
            f"input times must be a vector, not {list(inputs.times.shape)}: trials are batched by "
            "jax.vmap(lambda one: simulate(network, one, until))."
        )
    return require_inputs(inputs, network.channels, until, ordered=isinstance(on, Events))


def _require_signals(network: Any, inputs: Any, on: Any) -> None:
    """Refuse what is no array of what arrives in each step."""
    if isinstance(on, Events) or not hasattr(inputs, "dtype") or not is_number(inputs) or jnp.ndim(inputs) != 2:
        raise ValueError(
            f"inputs must be Spikes(times, sources){' or an array [steps, channels]' if isinstance(on, Grid) else ''} "
            f"of one trial, not {shown(inputs)}; trials are batched by jax.vmap."
        )
    if inputs.shape[1] != network.channels or not inputs.shape[0]:
        raise ValueError(
            f"inputs [steps, channels] of shape {list(inputs.shape)} do not fit a network of {network.channels} "
            "channels, in at least one step."
        )


def _as_tuple(initial: Any, network: Any, on: Any) -> tuple[Any, ...] | None:
    """States by layer; those of a network of one layer need no tuple."""
    if initial is None:
        return None
    if isinstance(initial, list):
        raise ValueError("initial must be a tuple of states, one a layer, not a list: initial=tuple(states).")
    if not isinstance(initial, tuple):
        initial = (initial,)
    if len(initial) != len(network.layers):
        raise ValueError(f"initial must be a tuple of {len(network.layers)} states, one a layer, not {len(initial)}.")
    for states, layer in zip(initial, network.layers, strict=True):
        if states is not None:
            _require_initial(states, layer, on)
    return initial


def _require_initial(states: Any, layer: Any, on: Any) -> None:
    """Refuse what are no states of a layer; those of cells are compared with rest where they are used."""
    name = type(layer.neuron).__name__
    if isinstance(on, Events) and isinstance(layer.neuron, Readout):
        raise ValueError("by events a readout starts at rest: give None in its place in `initial`.")
    if isinstance(on, Grid) and isinstance(states, eqx.Module):
        return
    if not hasattr(states, "dtype") or not jnp.issubdtype(states.dtype, jnp.floating):
        raise ValueError(
            f"initial states of {name} must be an array of floating-point numbers [neurons, variables], not "
            f"{shown(states)}: `initial_states` makes them from voltages."
        )
    finite = jnp.all(jnp.isfinite(jax.lax.stop_gradient(states)))
    if not isinstance(finite, jax.core.Tracer) and not finite:
        raise ValueError(f"initial states of {name} must be finite.")
    if isinstance(layer.neuron, AbstractNeuron):
        require_states(layer.neuron, states, layer.size)


def _in_one_unit(network: Any, inputs: Any, until: Any, on: Any) -> tuple[Any, Any]:
    """Inputs, and the end of the trial as a number that is known where it can be."""
    if until is not None and not isinstance(until, jax.core.Tracer):
        until = float(np.asarray(until))
    if isinstance(inputs, Spikes) or until is None:
        return inputs, until
    steps = jnp.shape(inputs)[0]
    if not isinstance(until, jax.core.Tracer) and round(float(until) / float(on.dt)) != steps:
        raise ValueError(f"{steps} steps of {on.dt} do not end at {until}: leave `until` out, or give other inputs.")
    return inputs, None
