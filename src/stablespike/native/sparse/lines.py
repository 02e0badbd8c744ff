"""What a neuron plugs into the sparse kernel, so that a pulse touches one cache line and needs few operations.

A neuron's row holds numbers that stay constant between events, as seen from a reference time that the whole network
shares; `now` is the time since then. What changes with time is in the frame, which is the same for all neurons with
the same parameters, and is worked out once per event.

- Oscillatory LIF: V = I0 (1 - G exp(-now/tau)): a pulse adds to G.
- LIF with exponential current: V = B x - A x^2, I = A x^2, x = exp(-now/tau): a pulse adds to A and B.
- Theta: (x, y) turned back to the reference time: a pulse is the shear, seen from there.
- QIF with exponential current: its state at the time of its last event, and that time.
- Any other neuron: the same (`stablespike.native.derived.rows`).

Equations and units are those of the JAX classes; a test pins the ones to the others.
"""

from typing import no_type_check

import jax.numpy as jnp
from numba import types
from numba.extending import overload

from stablespike.native.overrides.lines import PLAIN


def frame(constants, now):
    """What an event at `now` needs and all neurons with these constants share."""
    raise NotImplementedError


def columns(constants):
    """Numbers in a row."""
    raise NotImplementedError


def enter(constants, rows, j, state):
    """Fill the row of neuron j from its state at the reference time."""
    raise NotImplementedError


def leave(constants, step, now, rows, j, state):
    """Fill the state of neuron j at `now` from its row."""
    raise NotImplementedError


def hit(constants, step, now, rows, j, weight):
    """A pulse of this weight reaches neuron j."""
    raise NotImplementedError


def due(constants, step, now, rows, j):
    """Time of the next spike of neuron j, seen from `now`: a function of the row alone, unless the spike is due."""
    raise NotImplementedError


def fire(constants, step, now, rows, j):
    """Neuron j spikes and is reset."""
    raise NotImplementedError


def pulses_and_reset_commute(constants):
    """Whether a pulse at the very time of a spike leaves the same state before the reset as after it."""
    raise NotImplementedError


def inhibition_delays(constants):
    """Whether a pulse of negative weight never brings a spike sooner."""
    raise NotImplementedError


def rebase(constants, step, now, rows, j):
    """Make `now` the reference time."""
    raise NotImplementedError


def hit_bar(constants, step, bars, j, weight):
    """Cotangents of the weight and the time of a pulse that adds to row j; that of the row stays."""
    raise NotImplementedError


def fire_bar(constants, step, row, bars, j, time_bar, first, together):
    """Pull row j back through its spike, given the cotangent of the spike's time; what of that is left.

    All of it is left if the row was not at its threshold: the spike came with the event before. Asked only for spikes
    at time 0 (`first`) and at the time of another event (`together`), lest rounding of late times look the same.
    """
    raise NotImplementedError


def enter_bar(constants, bar, state_bar):
    """Fill the cotangent of the state at the reference time from that of the row."""
    raise NotImplementedError


def leave_bar(constants, step, row, state_bar, bars, j):
    """Fill the cotangent of row j from that of the state it leads to; that of the time."""
    raise NotImplementedError


def rebase_bar(constants, step, bars, j):
    """Cotangent of row j before the reference time moved on."""
    raise NotImplementedError


def plugs_of(constants_type, delays=True):
    """Decorator factory: `@plug(hit)` registers a function as the line `hit` for constants of that named tuple.

    `delays`: what the line `inhibition_delays` says of them.
    """

    def plug(name):
        def decorate(function):
            @no_type_check
            def choose(constants, *_):
                if isinstance(constants, types.BaseNamedTuple) and constants.instance_class is constants_type:
                    return function
                return None

            overload(name, strict=False, jit_options=PLAIN)(choose)
            return function

        return decorate

    plug(inhibition_delays)(lambda constants: delays)
    return plug


def table(dtype, *columns):
    """Constants `[neurons or 1, constants]`; one row if the neurons share them all."""
    vectors = [jnp.atleast_1d(jnp.asarray(one, dtype)) for one in columns]
    rows = max(one.shape[0] for one in vectors)
    return jnp.stack([jnp.broadcast_to(one, (rows,)) for one in vectors], 1)
