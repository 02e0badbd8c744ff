"""Right-hand sides that may jump: found in what JAX traces of them."""

from typing import Any

import jax
from jax.extend import core

JUMPS = {"select_n", "sign", "floor", "ceil", "round", "cond", "argmax", "argmin", "rem", "nextafter"}


def switch_of(function: Any, state: Any) -> str | None:
    """The first operation of `function(state)` that may make it jump as the state changes, or None.

    A choice, a rounding, a sign or a remainder of what depends on the state; a smaller or larger of two, and a modulus,
    bend a function and do not make it jump.
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
        inner = next((equation.params[key] for key in ("jaxpr", "call_jaxpr") if key in equation.params), None)
        if name in JUMPS and (0 in which or name != "select_n"):
            return name
        if inner is not None and name != "scan":
            found = _found(getattr(inner, "jaxpr", inner), which)
            if found:
                return found
        moved |= set(equation.outvars)
    return None
