"""Odd values in the places of sound ones, and the small networks that they are put into.

Few shapes and many values: what is compiled once serves thousands of cases.
"""

import math
import random
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import stablespike as ss

jax.config.update("jax_enable_x64", True)
SIZE, CHANNELS, CLASSES, TRIALS, UNTIL, DT = 4, 3, 2, 4, 2.0, 0.1
RNG = np.random.default_rng(0)
W_IN, LOOP = jnp.asarray(RNG.normal(4, 2, (SIZE, CHANNELS))), jnp.asarray(RNG.normal(0, 1, (SIZE, SIZE)))
INPUTS = ss.Spikes(jnp.asarray([0.1, 0.3, 0.4, 0.9, 1.2, 1.7]), jnp.asarray([0, 1, 2, 0, 1, 2]))
NUMBERS = [0.0, -0.0, 1.0, -1.0, 0.5, 3.0, 1e-9, 1e-300, 5e-324, 1e9, -1e9, 1e160, 1e300, math.nan, math.inf, -math.inf]
ODD: list[Any] = [
    None,
    "",
    "x",
    "1.0",
    b"1",
    True,
    False,
    0,
    1,
    -1,
    2,
    2**40,
    1j,
    [],
    [1.0],
    (1.0,),
    {},
    {1.0},
    object(),
]
ODD += [
    ss.QIF,
    ss.SuperSpike,
    np.float32(0.5),
    np.int8(1),
    np.zeros(0),
    np.ones(3, bool),
    jax.random.key(0),
    len,
    np.nan,
]
SHAPES = [(), (0,), (1,), (SIZE,), (SIZE + 1,), (SIZE, SIZE), (SIZE, CHANNELS + 1), (0, 3), (1, SIZE, CHANNELS), (2, 4)]
TYPES = [np.float32, np.float64, np.float16, np.int32, np.int64, np.uint8, np.bool_, np.complex128, object]
Arguments = dict[str, Any]


def odd_value(chance: random.Random, sound: Any) -> Any:
    """Something in the place of a sound argument; of an array often a similar one."""
    if isinstance(sound, jax.Array) and not jnp.issubdtype(sound.dtype, jax.dtypes.prng_key) and chance.random() < 0.7:
        return odd_array(chance, sound)
    if isinstance(sound, eqx.Module) and chance.random() < 0.5:
        return planted(chance, sound)
    return chance.choice(NUMBERS) if chance.random() < 0.4 else chance.choice(ODD)


def odd_array(chance: random.Random, sound: jax.Array) -> Any:
    """An array like another, with a number planted, or of another type or shape, or what is no array of JAX."""
    how = chance.choice(["planted"] * 4 + ["scaled", "type", "shape", "wrong by one", "list", "numpy", "random"])
    values = np.asarray(sound)
    if how == "planted" and values.size:
        planted = np.array(values)
        with np.errstate(all="ignore"):
            planted.flat[chance.randrange(values.size)] = np.asarray(chance.choice(NUMBERS)).astype(values.dtype)
        return jnp.asarray(planted)
    if how == "type":
        with np.errstate(all="ignore"):
            other = values.astype(chance.choice(TYPES))
        return other if other.dtype == object else jnp.asarray(other)
    if how == "shape":
        return jnp.zeros(chance.choice(SHAPES), values.dtype)
    if how == "wrong by one" and values.ndim:
        return jnp.asarray(np.pad(values, [(0, chance.randint(0, 1)) for _ in values.shape]))
    if how == "list":
        return values.tolist()
    if how == "numpy":
        return values
    return sound * jnp.asarray(chance.choice([0, 1, -1, 3, 7])).astype(sound.dtype)


def damaged(chance: random.Random, sound: Arguments) -> Arguments:
    """Arguments of which some are odd, missing, renamed or too many."""
    found = dict(sound)
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
        how = chance.choice(["value"] * 12 + ["gone", "new", "renamed"])
        name = chance.choice(sorted(found)) if found else "nothing"
        if how == "value" or not found:
            found[name] = odd_value(chance, found.get(name))
        elif how == "new":
            found[chance.choice(["tau", "max_events", "weights", "recurrent", "colour"])] = 1.0
        else:
            value = found.pop(name)
            if how == "renamed":
                found[f"{name}s"] = value
    return found


def planted(chance: random.Random, tree: Any) -> Any:
    """A tree of which one array of floats has an odd number somewhere, past the checks of constructors."""
    leaves, build = jax.tree.flatten(tree)
    places = [k for k, leaf in enumerate(leaves) if eqx.is_inexact_array(leaf) and leaf.size]
    if places:
        place = chance.choice(places)
        values = np.array(leaves[place])
        values.flat[chance.randrange(values.size)] = chance.choice(NUMBERS)
        leaves[place] = jnp.asarray(values)
    return jax.tree.unflatten(build, leaves)


def not_finite(tree: Any) -> str | None:
    """Whether there are arrays with values that are not finite."""
    return None if all(np.isfinite(one).all() for one in floats(tree)) else "values that are not finite"


def floats(tree: Any) -> list[np.ndarray]:
    """Arrays of a tree."""
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)]


# Networks


def recurrent(neuron: Any) -> ss.Network:
    """Four neurons that hear three channels and each other."""
    return ss.Network(ss.Layer(neuron, ss.Dense(W_IN), ss.Dense(LOOP)))


@cache
def networks() -> dict[str, tuple[ss.Network, Any, Any]]:
    """Every way to be connected, with the way it is run and its states at the start."""
    sparse = [ss.Sparse(ss.from_matrix(np.asarray(one))) for one in (W_IN, LOOP)]
    readout = ss.Layer(ss.LeakyReadout(0.5), ss.Dense(jnp.ones((CLASSES, SIZE))))
    found = {f"recurrent {type(one).__name__}": recurrent(one) for one in (ss.QIF(1.0), ss.LIF(1.0), ss.Theta(1.0))}
    found["oscillatory"] = recurrent(ss.OscillatoryLIF(1.0))
    found["heterogeneous"] = recurrent(ss.QIF(jnp.linspace(0.5, 1.5, SIZE)))
    found["general"] = recurrent(ss.GeneralQIF(1.0, 0.4))
    found["forward"] = ss.Network(ss.Layer(ss.LIF(1.0), ss.Dense(W_IN)), readout)
    found["delayed"] = ss.Network(ss.Layer(ss.LIF(1.0), ss.Dense(W_IN), ss.Delayed(LOOP, jnp.full(SIZE, 0.3))))
    found["late inputs"] = ss.Network(ss.Layer(ss.QIF(1.0), ss.Delayed(W_IN, jnp.full(CHANNELS, 0.1))))
    found["sparse"] = ss.Network(ss.Layer(ss.LIF(1.0), *sparse))
    runs = {name: (one, ss.Events(32, 10), None) for name, one in found.items()}
    states = ss.initial_states(ss.QIF(1.0), jnp.zeros(SIZE))
    runs["started"] = (recurrent(ss.QIF(1.0)), ss.Events(32, 10), states)
    grid = ss.Grid(DT, ss.SuperSpike(10.0))
    runs["grid"] = (found["forward"], grid, None)
    runs["grid of delays"] = (found["delayed"], grid, None)
    looked_at = ss.Layer(ss.GridLeakyReadout(0.5, DT), ss.Dense(jnp.ones((CLASSES, SIZE))))
    read = ss.Network(ss.Layer(ss.LIF(1.0), ss.Dense(W_IN), ss.Dense(LOOP)), looked_at)
    runs["grid that is read"] = (read, grid, None)
    runs["grid of QIF"] = (recurrent(ss.QIF(1.0)), grid, states)
    runs["grid of sparse"] = (found["sparse"], grid, None)
    return runs
