"""Gradients of runs by every rule, of networks, inputs and states of which single numbers are odd.

A kind of `tests.faults.fuzz_library`; `python -m tests.faults.fuzz_gradients 100 "grid of sparse"` takes some networks.
"""

import argparse
import random
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tests.faults.odd import INPUTS, NUMBERS, UNTIL, networks, not_finite
from tests.faults.outcomes import Said, counted, table, told

import stablespike as ss

RULES = (None, ss.Recorded(), ss.Checkpointed(), ss.TimeReversed(), ss.Truncated(3), ss.EProp(), ss.RealTimeRecurrent())
RULES += (ss.ParallelInTime(),)
OURS = (ValueError, ss.SimulationError)
Differentiated = tuple[ss.Network, Any, Any]


def case(chance: random.Random, names: tuple[str, ...] = ()) -> tuple[str, Callable[[], str | None]]:
    """The gradient of a run, by a rule that it may not have, with respect to all that it is made of."""
    name, rule = chance.choice(names or sorted(networks())), chance.choice(RULES)
    network, on, initial = networks()[name]
    given = [network, INPUTS.times, initial]
    told = [name, repr(rule)]
    for _ in range(chance.choice([0, 1, 1, 1, 2])):
        which = chance.choice([0, 0, 0, 1, 2])
        given[which], what = turned(chance, given[which])
        told.append(f"{('network', 'times', 'states')[which]} {what}")
    return ", ".join(told), lambda: gradient_of(tuple(given), on, rule)


def turned(chance: random.Random, tree: Any) -> tuple[Any, str]:
    """A tree of which one number is another one, and which."""
    leaves, build = jax.tree.flatten(tree)
    places = [k for k, leaf in enumerate(leaves) if eqx.is_inexact_array(leaf) and leaf.size]
    if not places:
        return tree, "whole"
    place, value = chance.choice(places), chance.choice(NUMBERS)
    values = np.array(leaves[place])
    at = chance.randrange(values.size)
    values.flat[at] = value
    leaves[place] = jnp.asarray(values)
    return jax.tree.unflatten(build, leaves), f"{place}:{at} = {value}"


def gradient_of(given: Differentiated, on: Any, rule: Any) -> str | None:
    """Differentiate all spike times or signals, and say what is wrong with the gradient."""
    varied, rest = eqx.partition(given, eqx.is_inexact_array)
    return not_finite(jax.grad(loss)(varied, rest, on, rule))


def loss(varied: Any, rest: Any, on: Any, rule: Any) -> jax.Array:
    """The sum of the output's signals, or of its spike times."""
    network, times, initial = eqx.combine(varied, rest)
    inputs = ss.Spikes(times, INPUTS.sources)
    output = ss.simulate(network, inputs, UNTIL, on=on, gradient=rule, initial=initial).output
    if output.signals is not None:
        return jnp.sum(output.signals)
    return jnp.sum(jnp.where(output.spikes.real, output.spikes.times, 0.0))


@cache
def warm() -> None:
    """Compile all gradients that exist; what else becomes of them is counted as cases are."""
    for network, on, initial in networks().values():
        for rule in RULES:
            with suppress(Exception):
                gradient_of((network, INPUTS.times, initial), on, rule)


def main() -> None:
    """Print what became of so many cases of some networks (default: of all)."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()

    def of_these(chance: random.Random) -> tuple[str, Callable[[], str | None]]:
        what, call = case(chance, tuple(chosen.names))
        return what, lambda: told(call, OURS)

    outcomes = counted(of_these, chosen.count, chosen.seed, (Said,), 120)
    print(table("gradients", outcomes))
    sys.exit(any(found.kind not in ("result", "sentence") for found in outcomes))


if __name__ == "__main__":
    main()
