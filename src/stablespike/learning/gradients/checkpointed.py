"""The recorded rule with checkpoints: states are kept at every so many events and worked out again in between."""

import math
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from stablespike.dynamics.engines.events import Solution, run_events, solution_of
from stablespike.dynamics.event_step import initial_network_state
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import raise_unless_ok


def checkpointed_simulate(
    network: Recurrent,
    states: Float[Array, "neurons variables"],
    inputs: Spikes,
    duration: Any,
    *,
    max_events: int,
    every: int | None = None,
) -> Solution:
    """A recurrent network, as `simulate`, whose reverse mode keeps the states of about 2 sqrt(events) events only.

    Blocks of `every` events (default: sqrt(`max_events`)) start from kept states; the backward pass runs each block
    once more and records it. Memory grows with the square root of the number of events (Griewank 1992), time by one
    forward pass.
    """
    if max_events < 1:
        raise ValueError(f"max_events must be at least 1, not {max_events}.")
    solution = _checkpointed(network, states, inputs, duration, max_events, every)
    raise_unless_ok(solution.status)
    return solution


@eqx.filter_jit
def _checkpointed(
    network: Recurrent, states: Array, inputs: Spikes, duration: Any, max_events: int, every: int | None
) -> Solution:
    length = every or math.isqrt(max_events)
    start = initial_network_state(network, states)
    final, events = run_events(network, start, inputs, duration, max_events, length=length, around=jax.checkpoint)
    return solution_of(network, inputs, duration, max_events, final, events)
