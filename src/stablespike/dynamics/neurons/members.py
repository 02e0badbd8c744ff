"""What the members of a neuron have to give: of one's own class each is tried on shapes when a neuron is made."""

import difflib
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from stablespike.dynamics.arguments import shown

PACKAGE = __name__.partition(".")[0]
CLOSE, AKIN = 0.85, 0.7  # likeness of two names of which one may be a slip, or stand for one that is missing
LONGEST = 200  # letters of another's error that a sentence repeats
WORDS = {  # of other packages, and what they are called here
    **dict.fromkeys(("dynamics", "derivative", "vector_field", "drift", "rhs"), "right_hand_side"),
    **dict.fromkeys(("spike_time", "next_spike", "time_of_spike"), "time_to_spike"),
    **dict.fromkeys(("update", "evolve", "solve"), "flow"),
    **dict.fromkeys(("receive", "kick", "on_input"), "jump"),
    **dict.fromkeys(("after_spike", "on_spike"), "reset"),
    **dict.fromkeys(("init", "initial", "init_state"), "initial_state"),
    **dict.fromkeys(("max_step", "dtmax", "dt_max"), "longest_step"),
    **dict.fromkeys(("t_max", "max_time"), "horizon"),
}


class Member(NamedTuple):
    """The arguments of a member after `self`, and what tells how a result differs from what it must be, or None."""

    takes: tuple[str, ...]
    wrong: Callable[[Any, Any], str | None]


def _no_state(given: Any, state: Any) -> str | None:
    """Whether the state, or as many numbers of its type, was given."""
    must = f"must give an array of {state.dtype} of shape {list(state.shape)}, as its state is"
    if not hasattr(given, "shape") or given.dtype != state.dtype:
        return f"{must}, not {shown(given)}{_advice(given)}"
    return None if given.shape == state.shape else _unfit(f"it gives {shown(given)}", state)


def _no_number(given: Any, state: Any) -> str | None:
    """Whether one number of the state's type, or a plain one, was given."""
    if hasattr(given, "shape") and given.shape == () and (given.dtype == state.dtype or _is_plain(given)):
        return None
    wide = ": take one of them, as [0]" if getattr(given, "shape", ()) else _advice(given)
    return f"must give one number, an array of {state.dtype} of shape [], not {shown(given)}{wide}"


def _is_plain(given: Any) -> bool:
    return bool(given.weak_type) and jnp.issubdtype(given.dtype, jnp.floating)


def _no_truth(given: Any, _: Any) -> str | None:
    """Whether True or False was given."""
    fits = hasattr(given, "shape") and given.shape == () and given.dtype == jnp.bool_
    return None if fits else f"must give True or False, an array of bool of shape [], not {shown(given)}"


def _no_pair(given: Any, state: Any) -> str | None:
    """Whether two numbers were given."""
    fits = isinstance(given, tuple) and len(given) == 2 and not any(_no_number(one, state) for one in given)
    return None if fits else f"must give two numbers, (phase, period), not {shown(given)}"


def _no_start(given: Any, _: Any) -> str | None:
    """Whether a state to start from was given."""
    fits = hasattr(given, "shape") and len(given.shape) == 1 and jnp.issubdtype(given.dtype, jnp.floating)
    must = "must give an array [variables] of floating-point numbers, the voltage first"
    return None if fits and given.shape[0] else f"{must}, not {shown(given)}{_advice(given)}"


MEMBERS = {
    "initial_state": Member((), _no_start),
    "right_hand_side": Member(("state",), _no_state),
    "distance_to_spike": Member(("state",), _no_number),
    "flow": Member(("state", "dt"), _no_state),
    "flow_until_spike": Member(("state", "dt"), _no_state),
    "velocity": Member(("state",), _no_state),
    "held": Member(("state", "dt"), _no_state),
    "time_to_spike": Member(("state",), _no_number),
    "time_to_spike_within": Member(("state", "limit"), _no_number),
    "may_spike_within": Member(("state", "dt"), _no_truth),
    "spike_time_derivative": Member(("state",), _no_state),
    "jump": Member(("state", "weight"), _no_state),
    "reset": Member(("state",), _no_state),
    "voltage": Member(("state",), _no_number),
    "trial_end_phase": Member(("state", "pulse"), _no_pair),
}
UNTRIED = ("requirements", "chart", "spikes_on_arrival", "on_grid")
FIELDS = {
    "horizon": "how far `time_to_spike` looks by itself, as `horizon: float = eqx.field(default=5.0, static=True)`",
    "longest_step": "the solver's, below the time scales of the model, as `longest_step: float = eqx.field("
    "default=0.1, static=True)`",
    "continuous": "whether a right-hand side that chooses is continuous",
}
_TRIED: set[type] = set()  # now: a member may make a neuron of its own class


def require_members(neuron: Any) -> None:
    """Raise `ValueError` for a member of one neuron that does not give what it must; nothing is computed.

    Those that this package wrote are not tried, and members that are not there (`NotImplementedError`) say so when they
    are asked for.
    """
    kind = type(neuron)
    if kind in _TRIED:
        return
    _require_known_names(kind)
    _TRIED.add(kind)
    try:
        state = _result(neuron, "initial_state", None)
        for name in [one for one in MEMBERS if _is_tried(kind, one) and state is not None]:
            _result(neuron, name, state if MEMBERS[name].takes else None)
    finally:
        _TRIED.discard(kind)


def requirements_of(neuron: Any) -> Sequence[tuple[Any, str]]:
    """The neuron's requirements; `ValueError` unless they are pairs of a condition and a sentence."""
    found = neuron.requirements()
    rows = found if isinstance(found, tuple | list) else [found]
    wrong = [one for one in rows if not (isinstance(one, tuple | list) and len(one) == 2 and isinstance(one[1], str))]
    if wrong:
        end = ": end it with `return`" if found is None else ""
        raise ValueError(
            f"`requirements()` of {type(neuron).__name__} must give a tuple of pairs, as ((self.threshold > 0, "
            f'"threshold must be positive."),), of which {shown(wrong[0])} is none{end}.'
        )
    return rows


def lacking(cls: type) -> list[str]:
    """A clause for each member that a class lacks: what it is for, and what may have been meant for it."""
    members: frozenset[str] = getattr(cls, "__abstractmethods__", frozenset())
    order = dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base) if name in members)
    purposes = {name: getattr(cls, name).__doc__ or "" for name in order}
    purposes |= {name: FIELDS.get(name, "a field") for name in sorted(getattr(cls, "__abstractvars__", ()))}
    return [f"`{name}`{_instead(cls, name)}: {purpose.rstrip('.')}" for name, purpose in purposes.items()]


def _instead(cls: type, name: str) -> str:
    """The name of a class's own that may stand for the one that is missing."""
    own = [one for one in _own_names(cls) if one not in (*FIELDS, *MEMBERS, *UNTRIED)]
    own = [one for one in own if name in FIELDS or one not in _own_fields(cls)]
    said = next((one for one in own if WORDS.get(one) == name), None)
    said = said or next(iter(difflib.get_close_matches(name, own, 1, AKIN)), None)
    return f" (it has `{said}`: did you mean `{name}`?)" if said else ""


def _require_known_names(kind: type) -> None:
    """Raise `ValueError` for a name so near to that of a member that the class does not have that it was meant."""
    own, fields = _own_names(kind), _own_fields(kind)
    known = [*MEMBERS, *UNTRIED, *(FIELDS if hasattr(kind, "right_hand_side") else ())]
    for name in [one for one in own if one not in known]:
        absent = [one for one in known if one not in own and (name not in fields or one in FIELDS)]
        near = difflib.get_close_matches(name, absent, 1, CLOSE)
        if near:
            raise ValueError(
                f"{kind.__name__} has `{name}`, which nothing looks at: did you mean `{near[0]}`? "
                "Let it begin with an underscore if it is your own."
            )


def own_classes(kind: type) -> list[type]:
    """The classes among those a class is made of that this package did not write."""
    last = max(place for place, base in enumerate(kind.__mro__) if _is_ours(base))
    return [base for base in kind.__mro__[:last] if not _is_ours(base)]


def _own_names(kind: type) -> list[str]:
    """Public names of a class that this package did not write, those of fields among them."""
    named = [name for base in own_classes(kind) for name in vars(base)] + sorted(_own_fields(kind))
    return list(dict.fromkeys(name for name in named if not name.startswith("_")))


def _own_fields(kind: type) -> set[str]:
    return {name for base in own_classes(kind) for name in vars(base).get("__annotations__", ())}


def _is_ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == PACKAGE


def _is_tried(kind: type, name: str) -> bool:
    """Whether a member was not written by this package, or is a model's of it whose state is another one now."""
    base = _writer(kind, name)
    if base is None or not _is_ours(base):
        return base is not None
    start = _writer(kind, "initial_state")
    return start is not None and not _is_ours(start) and not inspect.isabstract(base)


def _writer(kind: type, name: str) -> type | None:
    """The class in which a member is written."""
    return next((base for base in kind.__mro__ if name in vars(base)), None)


def _result(neuron: Any, name: str, state: Any) -> Any:
    """What a member gives, as shapes; raises `ValueError` where it fails or gives something else than it must."""
    takes, wrong = MEMBERS[name]
    call = f"`{name}({', '.join(takes)})` of {type(neuron).__name__}"
    method = getattr(neuron, name)
    if not callable(method):
        raise ValueError(f"{call} must be a method, not {shown(method)}: give a parameter of that name another one.")
    number = None if state is None else jax.ShapeDtypeStruct((), state.dtype)
    try:
        given = jax.eval_shape(lambda *rest: method(*rest), *[state if one == "state" else number for one in takes])
    except NotImplementedError:
        return None
    except (TypeError, ValueError, IndexError, AttributeError, NameError) as error:
        raise ValueError(f"{call} {_failure(error, name, state)}.") from error
    found = wrong(given, state)
    if found:
        raise ValueError(f"{call} {found}.")
    return given


def _advice(given: Any) -> str:
    """How to give an array of floating-point numbers instead."""
    if given is None:
        return ": end it with `return`"
    if isinstance(given, list | tuple):
        return ": make an array of them, as jnp.stack([...])"
    whole = hasattr(given, "dtype") and jnp.issubdtype(given.dtype, jnp.integer)
    return ": write its numbers with a point, as 0.0" if whole else ""


def _unfit(what: str, state: Any) -> str:
    return (
        f"does not fit the state of {state.shape[0]} variables that its `initial_state` gives ({what}): give as many, "
        "or write an `initial_state` with all variables of the model"
    )


def _failure(error: Exception, name: str, state: Any) -> str:
    """What another's error says, in its first line, and what to do about it."""
    said = " ".join(str(error).partition("\n")[0].partition("http")[0].split()).rstrip(".: ")[:LONGEST]
    if state is not None and (isinstance(error, IndexError) or "unpack" in said):
        return _unfit(said, state)
    advice = ""
    if isinstance(error, jax.errors.ConcretizationTypeError | jax.errors.TracerArrayConversionError):
        advice = ": choose by jnp.where, not by `if`, and compute by jnp, not by math or NumPy"
    elif isinstance(error, TypeError) and f"{name}()" in said:
        advice = f": begin it with `def {name}({', '.join(('self', *MEMBERS[name].takes))})`"
    return f"fails: {type(error).__name__}: {said}{advice}"
