"""Right-hand sides that may jump: found in what JAX traces of them."""

from typing import Any

import jax
from jax.extend import core

JUMPS = {"select_n", "sign", "floor", "ceil", "round", "cond", "while", "argmax", "argmin", "rem", "nextafter"}
INNER = ("jaxpr", "call_jaxpr", "body_jaxpr")


def switch_of(function: Any, state: Any) -> str | None:
    """The first operation of `function(state)` that may make it jump as the state changes, or None.

    A choice, a rounding, a sign or a remainder of what depends on the state, a comparison that is counted with, a
    number made whole, a loop whose length depends on it; a smaller or larger of two, and a modulus, bend a function and
    do not make it jump.
    """
    closed = jax.make_jaxpr(function)(state)
    return _found(closed.jaxpr, {0})


def _found(jaxpr: Any, moving: set[int]) -> str | None:
    moved = {one for index, one in enumerate(jaxpr.invars) if index in moving}
    for equation in jaxpr.eqns:
        which = {k for k, one in enumerate(equation.invars) if not isinstance(one, core.Literal) and one in moved}
        if not which:
            continue
        name = equation.primitive.name
        if _jumps(equation, which):
            return name
        inner = next((equation.params[key] for key in INNER if key in equation.params), None)
        if inner is not None:
            inner = getattr(inner, "jaxpr", inner)
            within = set(range(len(inner.invars))) if name == "scan" else which  # what is carried moves in later rounds
            found = _found(inner, within)
            if found:
                return found
        moved |= set(equation.outvars)
    return None


def _jumps(equation: Any, which: set[int]) -> bool:
    """Whether an operation may jump as its operands `which` change."""
    name = equation.primitive.name
    if name == "convert_element_type":
        old, new = equation.invars[0].aval.dtype, equation.outvars[0].aval.dtype
        return (old.kind == "b") != (new.kind == "b") or (old.kind == "f" and new.kind in "iu")
    return name in JUMPS and (0 in which or name != "select_n")
