"""Tangent vectors of a sparse network, carried along a list of its spikes: the chain of sparse single-spike Jacobians.

A spike changes the tangents of its source and its targets, and those of nobody else: each neuron's wait where its last
event left them, as differences of states at the same time. With d the difference before the event, s = g . d that of
the spike's time (g the gradient of the source's waiting time), f and f' the right-hand sides of the free dynamics
before and after, and J the Jacobian of the reset or the pulse, d' = J (d + f s) - f' s. The Jacobians come from the
lines of the adjoint, one unit vector after the other, and serve all vectors.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from stablespike.native.conventions import LIFTED
from stablespike.native.kernel import Buffers, Kernel, constants, number, whole
from stablespike.native.overrides.lines import (
    PLAIN,
    can_be_reversed,
    flow,
    flow_pullback,
    jump,
    jump_pullback,
    load,
    power,
    propagator,
    reset,
    reset_pullback,
    scale,
    scale_of,
    store,
    tangent,
    unreset,
    wait_gradient,
)
from stablespike.native.sparse.adjoint import at_length_one
from stablespike.native.sparse.forward import CONNECTIONS


@njit(**PLAIN)
@no_type_check
def unit(constants, small, a):
    """The unit vector `a` as a state."""
    small.fill(0)
    small[a, 0] = 1
    return load(constants, small, 0)


@njit(**PLAIN)
@no_type_check
def apply(jacobian, vectors, small):
    """Each of the `vectors` `[count, variables]` times the Jacobian, in place."""
    for c in range(vectors.shape[0]):
        for a in range(vectors.shape[1]):
            small[a, 0] = 0
            for b in range(vectors.shape[1]):
                small[a, 0] += jacobian[a, b] * vectors[c, b]
        for a in range(vectors.shape[1]):
            vectors[c, a] = small[a, 0]


@njit(**PLAIN)
@no_type_check
def put_row(constants, jacobian, small, a, bar):
    """Row `a` of a Jacobian is what its transpose makes of the unit vector `a`."""
    store(constants, small, 0, bar)
    for b in range(jacobian.shape[1]):
        jacobian[a, b] = small[b, 0]


@njit(**PLAIN)
@no_type_check
def shift(constants, state, vectors, delays, sign, small):
    """d <- d + sign f s, f being the right-hand side at `state`."""
    for a in range(vectors.shape[1]):
        speed = sign * power(constants, state, unit(constants, small, a))
        for c in range(vectors.shape[0]):
            vectors[c, a] += speed * delays[c]


@njit(**PLAIN)
@no_type_check
def carry(constants, state, dt, vectors, jacobian, small):
    """Free flow of a state, which is returned at length one, and of its tangents, in place."""
    step = propagator(constants, dt)
    raw = flow(constants, step, state)
    factor = scale_of(constants, raw)
    for a in range(vectors.shape[1]):
        bar = scale(constants, unit(constants, small, a), factor)
        put_row(constants, jacobian, small, a, flow_pullback(constants, step, state, raw, bar)[0])
    apply(jacobian, vectors, small)
    return scale(constants, raw, factor)


@njit(**PLAIN)
@no_type_check
def delay(constants, state, vectors, delays, small):
    """Fill `delays` with the differences of the spike's time that those of a state before it make."""
    store(constants, small, 0, wait_gradient(constants, state))
    for c in range(vectors.shape[0]):
        delays[c] = 0
        for a in range(vectors.shape[1]):
            delays[c] += small[a, 0] * vectors[c, a]


@njit(**PLAIN)
@no_type_check
def reach_spike(constants, state, dt, vectors, delays, jacobian, small):
    """From a neuron's last event to its spike, with the `delays` of that; the state there."""
    if can_be_reversed(constants):
        met = carry(constants, state, dt, vectors, jacobian, small)
        met = unreset(constants, reset(constants, met))
        delay(constants, met, vectors, delays, small)
        return met
    delay(constants, state, vectors, delays, small)
    return carry(constants, state, dt, vectors, jacobian, small)


@njit(**PLAIN)
@no_type_check
def pass_spike(constants, met, vectors, delays, jacobian, small):
    """The source resets. The state after it."""
    shift(constants, met, vectors, delays, 1.0, small)
    for a in range(vectors.shape[1]):
        put_row(constants, jacobian, small, a, reset_pullback(constants, met, unit(constants, small, a)))
    apply(jacobian, vectors, small)
    after = reset(constants, met)
    shift(constants, after, vectors, delays, -1.0, small)
    return after


@njit(**PLAIN)
@no_type_check
def pass_pulse(constants, met, weight, vectors, delays, jacobian, small):
    """A target is hit. The state after it."""
    shift(constants, met, vectors, delays, 1.0, small)
    raw = jump(constants, met, weight)
    factor = scale_of(constants, raw)
    for a in range(vectors.shape[1]):
        bar = scale(constants, unit(constants, small, a), factor)
        put_row(constants, jacobian, small, a, jump_pullback(constants, met, weight, bar)[0])
    apply(jacobian, vectors, small)
    after = scale(constants, raw, factor)
    shift(constants, after, vectors, delays, -1.0, small)
    return after


@njit(**PLAIN)
@no_type_check
def push(constants, unpack, net, initial, spikes, sources, tangents):
    """Tangents `[neurons, count, variables]` from time 0 to the last spike, in place; the flags."""
    (starts, targets, weights), flags = net, 0
    variables, states = initial.shape[1], np.empty_like(initial)
    latest, delays = np.zeros(initial.shape[0]), np.empty(tangents.shape[1])
    jacobian, small = np.empty((variables, variables)), np.empty((variables, 1))
    for j in range(initial.shape[0]):
        own = unpack(constants[j % constants.shape[0]])
        store(own, states.T, j, at_length_one(own, load(own, initial.T, j)))
    for e in range(spikes.shape[0]):
        now, i = spikes[e], sources[e]
        own = unpack(constants[i % constants.shape[0]])
        flags |= LIFTED if latest[i] == now and variables == 1 else 0
        met = reach_spike(own, load(own, states.T, i), now - latest[i], tangents[i], delays, jacobian, small)
        store(own, states.T, i, pass_spike(own, met, tangents[i], delays, jacobian, small))
        latest[i] = now
        for c in range(starts[i], starts[i + 1]):
            j = targets[c]
            own = unpack(constants[j % constants.shape[0]])
            met = carry(own, load(own, states.T, j), now - latest[j], tangents[j], jacobian, small)
            weight = weights[c % weights.shape[0]]
            store(own, states.T, j, pass_pulse(own, met, weight, tangents[j], delays, jacobian, small))
            latest[j] = now
    for j in range(initial.shape[0]):
        own = unpack(constants[j % constants.shape[0]])
        state = carry(own, load(own, states.T, j), spikes[-1] - latest[j], tangents[j], jacobian, small)
        for c in range(tangents.shape[1]):
            store(own, small, 0, tangent(own, state, load(own, tangents[j].T, c)))
            for a in range(variables):
                tangents[j, c, a] = small[a, 0]
    return flags


@njit(**PLAIN)
@no_type_check
def push_all(unpack, constants, starts, targets, weights, states, spikes, sources, given, tangents, flags):
    """Tangents at the last spike from those that are `given` at time 0."""
    for j in range(given.shape[0]):
        for c in range(given.shape[1]):
            for a in range(given.shape[2]):
                tangents[j, c, a] = given[j, c, a]
    flags[0] = push(constants, unpack, (starts, targets, weights), states, spikes, sources, tangents)


PUSH = Kernel(
    Buffers(
        f"{__name__}.PUSH",
        common={
            "constants": constants("neurons_or_1 constants"),
            **CONNECTIONS,
            "states": number("neurons variables"),
            "spikes": number("spikes"),
            "sources": whole("spikes"),
            "given": number("neurons count variables"),
        },
        results={"tangents": number("neurons count variables"), "flags": whole("1")},
    ),
    whole=push_all,
)
