"""Arguments that cannot be meant, refused in a sentence before anything is computed."""

import dataclasses
import difflib
import inspect
import numbers
import operator
import typing
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

WORDS = {  # of other packages, and what they are called here
    **dict.fromkeys(("tau", "tau_m", "tau_mem", "time_constant"), "membrane_time_constant"),
    **dict.fromkeys(("tau_s", "tau_syn"), "synaptic_time_constant"),
    **dict.fromkeys(("v_th", "v_threshold", "theta"), "threshold"),
    **dict.fromkeys(("recurrent", "recurrent_weights"), "loop"),
    **dict.fromkeys(("weights", "input_weights", "feedforward"), "inputs"),
    **dict.fromkeys(("max_events", "max_spikes", "capacity"), "budget"),
    **dict.fromkeys(("step", "time_step", "delta_t"), "dt"),
    **dict.fromkeys(("surrogate", "spike"), "slope"),
    **dict.fromkeys(("alpha", "beta", "scale"), "sharpness"),
    **dict.fromkeys(("indices", "channels", "neurons"), "sources"),
    **dict.fromkeys(("delay",), "delays"),
    **dict.fromkeys(("current", "bias"), "drive"),
}


class Told(eqx.Module):
    """A module that says in a sentence which argument it does not have, or is not given."""

    def __new__(cls, *arguments: Any, **keywords: Any) -> Any:
        """Refuse them; without any it may be a copy that is made."""
        if arguments or keywords:
            require_arguments(cls, arguments, keywords)
        return super().__new__(cls)


def require_arguments(callee: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """Raise `ValueError` that names the argument that a class or function does not have or is not given."""
    signature = inspect.signature(callee)
    try:
        signature.bind(*arguments, **keywords)
    except TypeError as error:
        names = list(signature.parameters)
        unknown = next((name for name in keywords if name not in names), None)
        takes = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names) or "nothing"
        if unknown is None:
            raise ValueError(f"{callee.__name__} takes {takes}: {error}.") from None
        near = WORDS.get(unknown) if WORDS.get(unknown) in names else None
        near = near or next(iter(difflib.get_close_matches(unknown, names, 1)), None)
        hint = f"write {near}=... (it takes {takes})" if near else f"it takes {takes}"
        raise ValueError(f"{callee.__name__} has no argument {unknown!r}: {hint}.") from None


def is_number(value: Any) -> bool:
    """Whether a value is a real number, or an array of them."""
    kind = getattr(value, "dtype", None)
    if kind is None:
        return isinstance(value, numbers.Real) and not isinstance(value, bool)
    return jnp.issubdtype(kind, jnp.floating) or jnp.issubdtype(kind, jnp.integer)


def require_number(name: str, value: Any) -> None:
    """Raise `ValueError` unless a value is one number, known or not."""
    if not is_number(value) or np.ndim(value):
        raise ValueError(f"{name} must be a number, not {shown(value)}.")


def require_whole(least: int, **values: Any) -> None:
    """Raise `ValueError` that names the first of the values that is no whole number of at least `least`."""
    for name, value in values.items():
        try:
            possible = not isinstance(value, bool) and operator.index(value) >= least
        except TypeError:
            possible = False
        if not possible:
            raise ValueError(f"{name} must be a whole number and at least {least}, not {shown(value)}.")


def require_numbers(module: Any) -> None:
    """Raise `ValueError` that names the first field of a neuron that must be a number, or an array of them, and is not.

    Fields of other types, which neurons of one's own may have, are no text, list or class.
    """
    for field in dataclasses.fields(module):
        value, types = getattr(module, field.name), (field.type, *typing.get_args(field.type))
        if value is None and (field.default is None or type(None) in types):
            continue
        numeric = float in types
        impossible = value is None or isinstance(value, str | bytes | list | tuple | dict | set | bool | complex | type)
        if (numeric and not is_number(value)) or (impossible and not field.metadata.get("static")):
            raise ValueError(
                f"{field.name} of {type(module).__name__} must be a number or an array [neurons], not {shown(value)}: "
                "give plain numbers, all times in one unit."
            )


def require_made(name: str, value: Any) -> None:
    """Raise `ValueError` for a class where an object of it is meant."""
    if isinstance(value, type):
        raise ValueError(f"{name} must be an object, not {shown(value)}.")


def shown(value: Any) -> str:
    """A value as a sentence names it that ends with it: classes with how to make an object, arrays by their shape."""
    if isinstance(value, type):
        return f"the class {value.__name__}: write {value.__name__}(...)"
    if value is None or isinstance(value, str | bytes | bool | numbers.Number):
        return repr(value) if len(repr(value)) < 60 else f"{repr(value)[:60]}..."
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"an array of {value.dtype} of shape {list(value.shape)}"
    name = getattr(value, "__name__", None) if callable(value) else None
    name = f"function {name}" if name else type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
