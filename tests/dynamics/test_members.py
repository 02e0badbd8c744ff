"""A member of one's own neuron that does not give what it must is named in one sentence when the neuron is made."""

import re
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stablespike as ss
from stablespike.dynamics.neurons.members import FIELDS, MEMBERS, UNTRIED
from stablespike.dynamics.neurons.neuron import AbstractNeuron
from stablespike.dynamics.neurons.numerical import NumericalNeuron


class Model(ss.NumericalNeuron):
    """V' = V^2 + I, I' = -2 I, spike at 5."""

    gain: float = 1.0
    horizon: float = eqx.field(default=5.0, static=True)
    longest_step: float = eqx.field(default=0.1, static=True)

    def right_hand_side(self, state):
        voltage, current = state
        return jnp.stack([self.gain * voltage**2 + current, -2 * current])

    def distance_to_spike(self, state):
        return 5.0 - state[0]

    def jump(self, state, weight):
        return state.at[1].add(weight)

    def reset(self, state):
        return state.at[0].set(-5.0)


class Solved(ss.AbstractNeuron):
    """V' = drive - V and a current that rests, as its solution."""

    drive: float = 2.0

    def initial_state(self, voltage=0.0, current=0.0):
        return jnp.stack([jnp.asarray(voltage, float), jnp.asarray(current, float)])

    def voltage(self, state):
        return state[0]

    def flow(self, state, dt):
        return state.at[0].set(self.drive + (state[0] - self.drive) * jnp.exp(-dt))

    def time_to_spike(self, state):
        rise = (self.drive - state[0]) / (self.drive - 1)
        return jnp.where(state[0] >= 1, 0.0, jnp.log(jnp.maximum(rise, 1.0)))

    def jump(self, state, weight):
        return state.at[0].add(0.01 * weight)

    def reset(self, state):
        return state.at[0].set(0.0)


def three(self, state, dt=None):
    voltage, current, third = state
    return jnp.stack([voltage, current, third])


def in_place(self, state):
    state[0] = 0.0
    return state


def of_no_one(state):
    return state


of_no_one.__qualname__ = "Mine.reset"
ARRAY, NUMBER = (
    r"must give an array of float64 of shape \[2\], as its state is, not ",
    "must give one number, an array of ",
)
UNFIT = "does not fit the state of 2 variables that its `initial_state` gives "
WRONG = {
    "no return": (Model, {"reset": lambda self, state: None}, r"`reset\(state\)`", f"{ARRAY}None: end it with"),
    "no return, jump": (Model, {"jump": lambda self, s, w: None}, r"`jump\(state, weight\)`", f"{ARRAY}None"),
    "no return, flow": (Solved, {"flow": lambda self, s, dt: None}, r"`flow\(state, dt\)`", f"{ARRAY}None"),
    "no return, voltage": (Solved, {"voltage": lambda self, s: None}, r"`voltage\(state\)`", f"{NUMBER}.* not None"),
    "no return, distance": (Model, {"distance_to_spike": lambda self, s: None}, "`distance_to_spike", "not None"),
    "no return, start": (
        Solved, {"initial_state": lambda self, voltage=0.0, current=0.0: None}, r"`initial_state\(\)`",
        r"must give an array \[variables\] of floating-point numbers, the voltage first, not None: end it",
    ),
    "list": (
        Model, {"right_hand_side": lambda self, s: [s[0] ** 2, s[1]]}, r"`right_hand_side\(state\)`",
        rf"{ARRAY}a list: make an array of them, as jnp.stack\(\[...\]\)",
    ),
    "tuple": (Model, {"right_hand_side": lambda self, s: (s[0], s[1])}, "`right_hand_side", f"{ARRAY}a tuple: make"),
    "list, start": (
        Solved, {"initial_state": lambda self, voltage=0.0, current=0.0: [voltage, current]}, r"`initial_state\(\)`",
        "not a list: make",
    ),
    "too few": (
        Model, {"right_hand_side": lambda self, s: s[:1]}, r"`right_hand_side\(state\)`",
        rf"{UNFIT}\(it gives an array of float64 of shape \[1\]\): give as many, or write an `initial_state`",
    ),
    "too few, reset": (Model, {"reset": lambda self, s: s[1:]}, r"`reset\(state\)`", UNFIT),
    "too many": (Solved, {"jump": lambda self, s, w: jnp.append(s, w)}, r"`jump\(state, weight\)`", UNFIT),
    "takes too many": (Model, {"right_hand_side": three}, "`right_hand_side", rf"{UNFIT}\(not enough values to unpack"),
    "takes too many, flow": (Solved, {"flow": three}, r"`flow\(state, dt\)`", rf"{UNFIT}\(not enough values to unpack"),
    "a number for a state": (Solved, {"reset": lambda self, s: 0.0}, r"`reset\(state\)`", "not fit"),
    "start of no variable": (
        Solved, {"initial_state": lambda self, voltage=0.0, current=0.0: jnp.asarray(voltage, float)},
        r"`initial_state\(\)`", r"not an array of float64 of shape \[\]",
    ),
    "whole numbers": (
        Solved, {"reset": lambda self, s: jnp.array([0, 0])}, r"`reset\(state\)`",
        rf"{ARRAY}an array of int64 of shape \[2\]: write its numbers with a point, as 0.0",
    ),
    "whole numbers, slope": (Model, {"right_hand_side": lambda self, s: jnp.array([1, 0])}, "`right_hand", "a point"),
    "whole numbers, start": (
        Solved, {"initial_state": lambda self, voltage=0.0, current=0.0: jnp.array([0, 0])}, r"`initial_state\(\)`",
        "an array of int64 of shape .* with a point",
    ),
    "whole time": (Solved, {"time_to_spike": lambda self, s: 1}, r"`time_to_spike\(state\)`", "int64 .* with a point"),
    "single precision": (
        Solved, {"reset": lambda self, s: jnp.zeros(2, jnp.float32)}, r"`reset\(state\)`",
        rf"{ARRAY}an array of float32 of shape \[2\]\.$",
    ),
    "time of shape [1]": (
        Solved, {"time_to_spike": lambda self, s: 1 - s[:1]}, r"`time_to_spike\(state\)`",
        rf"{NUMBER}float64 of shape \[\], not an array of float64 of shape \[1\]: take one of them, as \[0\]",
    ),
    "time of shape [2]": (Solved, {"time_to_spike": lambda self, s: 1 - s}, r"`time_to_spike\(state\)`", "take one"),
    "distance of shape [2]": (Model, {"distance_to_spike": lambda self, s: 5 - s}, "`distance_to_spike", "take one"),
    "voltage of shape [1]": (Model, {"voltage": lambda self, s: s[:1]}, r"`voltage\(state\)`", "take one"),
    "derivative of shape []": (
        Solved, {"spike_time_derivative": lambda self, s: s[0]}, r"`spike_time_derivative\(state\)`", UNFIT
    ),
    "truth": (
        Solved, {"may_spike_within": lambda self, s, dt: s[0]}, r"`may_spike_within\(state, dt\)`",
        r"must give True or False, an array of bool of shape \[\], not an array of float64",
    ),
    "pair": (
        Solved, {"trial_end_phase": lambda self, s, pulse=0.0: s[0]}, r"`trial_end_phase\(state, pulse\)`",
        r"must give two numbers, \(phase, period\), not an array",
    ),
    "if": (
        Solved, {"time_to_spike": lambda self, s: 0.0 if s[0] > 1 else 1.0}, r"`time_to_spike\(state\)`",
        "fails: TracerBoolConversionError: .*: choose by jnp.where, not by `if`",
    ),
    "math": (
        Solved, {"flow": lambda self, s, dt: s * np.exp(-dt)}, r"`flow\(state, dt\)`",
        "fails: TracerArrayConversionError: .*, and compute by jnp, not by math or NumPy",
    ),
    "in place": (Solved, {"reset": in_place}, r"`reset\(state\)`", r"fails: TypeError: .*immutable"),
    "no self": (
        Solved, {"reset": of_no_one}, r"`reset\(state\)`", r"positional.*: begin it with `def reset\(self, state\)`"
    ),
    "arguments": (Solved, {"flow": lambda self, s: s}, r"`flow\(state, dt\)`", "fails: TypeError: .*positional"),
    "a field that is not there": (
        Solved, {"reset": lambda self, s: s * self.gian}, r"`reset\(state\)`", "fails: AttributeError: .*'gian'"
    ),
    "a field in its place": (
        Solved, {"reset": 0.0, "__annotations__": {"reset": float}}, r"`reset\(state\)`",
        "must be a method, not 0.0: give a parameter of that name another one",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_a_member_gives_instead_is_said_when_the_neuron_is_made(case):
    base, members, name, sentence = WRONG[case]
    begun = time.process_time()
    with pytest.raises(ValueError, match=rf"^{name}.* of Mine .*{sentence}") as refused:
        type("Mine", (base,), members)()
    said = str(refused.value)
    assert "\n" not in said
    assert said.endswith(".")
    assert len(said) < 400
    assert time.process_time() - begun < 5


def test_what_is_right_is_not_refused():
    assert Model().gain == 1.0
    assert Solved(3.0).drive == 3.0
    plain = type("Mine", (Solved,), {"time_to_spike": lambda self, state: jnp.inf, "reset": lambda self, state: state})
    assert plain().time_to_spike(jnp.zeros(2)) == np.inf
    assert Solved(jnp.array([2.0, 3.0])).drive.shape == (2,)
    assert jax.jit(lambda drive: Solved(drive).flow(jnp.zeros(2), 1.0))(2.0).shape == (2,)
    assert Solved(jnp.zeros(0)).drive.shape == (0,)


def test_a_member_may_make_neurons_of_its_own_class_or_not_be_there():
    class Twice(Solved):
        def flow(self, state, dt):
            return Solved.flow(Twice(2.0), state, dt) if self.drive == 1.5 else Solved.flow(self, state, dt)

        def trial_end_phase(self, state, pulse=0.0):
            raise NotImplementedError("it does not go on.")

    np.testing.assert_allclose(Twice(1.5).flow(jnp.zeros(2), 1.0), Solved().flow(jnp.zeros(2), 1.0), rtol=1e-15)


@pytest.mark.parametrize(
    ("given", "shown"),
    [(None, "None is none: end it with"), (jnp.asarray(True), "an array"), ((True, "must."), "True")],
)
def test_requirements_that_are_no_pairs(given, shown):
    with pytest.raises(ValueError, match=rf"^`requirements\(\)` of Mine must give a tuple of pairs.* of which {shown}"):
        type("Mine", (Solved,), {"requirements": lambda self: given})()


def of(base, left_out, **others):
    """A class as another one, some of whose names have gone, others come."""
    names = {name: one for name, one in vars(base).items() if not name.startswith("_") and name != left_out}
    fields = {name: one for name, one in base.__annotations__.items() if name != left_out}
    defaults = {"horizon": eqx.field(default=5.0, static=True), "longest_step": eqx.field(default=0.1, static=True)}
    kept = {name: default for name, default in defaults.items() if name in fields}
    return type("Mine", base.__bases__, {**names, **kept, "__annotations__": fields, **others})


LACKING = {
    "horizon": (Model, "horizon", {}, r"lacks `horizon`: how far `time_to_spike` looks.* as `horizon: float = eqx"),
    "longest_step": (Model, "longest_step", {}, "lacks `longest_step`: the solver's"),
    "horizn": (
        Model,
        "horizon",
        {"horizn": 5.0},
        r"lacks `horizon` \(it has `horizn`: did you mean `horizon`\?\): how",
    ),
    "rest": (
        Model,
        "reset",
        {"rest": 1},
        r"lacks `reset` \(it has `rest`: did you mean `reset`\?\): State right after",
    ),
    "rhs": (Model, "right_hand_side", {"rhs": 1}, r"lacks `right_hand_side` \(it has `rhs`: did you mean"),
    "spike_time": (Solved, "time_to_spike", {"spike_time": 1}, r"lacks `time_to_spike` \(it has `spike_time`: did"),
    "nothing alike": (Model, "reset", {"reset_voltage": 1}, "lacks `reset`: State"),
}


@pytest.mark.parametrize("case", LACKING)
def test_a_member_that_is_not_there_and_what_was_meant_for_it(case):
    base, name, others, sentence = LACKING[case]
    with pytest.raises(TypeError, match=f"^Mine {sentence}") as refused:
        of(base, name, **others)()
    assert "\n" not in str(refused.value)
    assert of(base, "nothing")()


@pytest.mark.parametrize(
    ("base", "wrong", "right"),
    [
        (Solved, "requirement", "requirements"),
        (Solved, "may_spike_witin", "may_spike_within"),
        (Solved, "spike_time_derivatives", "spike_time_derivative"),
        (Model, "continous", "continuous"),
        (Model, "initial_states", "initial_state"),
    ],
)
def test_a_name_that_nothing_looks_at_but_was_meant_for_another(base, wrong, right):
    with pytest.raises(ValueError, match=rf"^Mine has `{wrong}`, which nothing looks at: did you mean `{right}`\?"):
        type("Mine", (base,), {wrong: True})()
    assert type("Mine", (base,), {f"_{wrong}": True})()


def test_names_of_ones_own_are_left_alone():
    own = {"initial_states": 1, "resets": 1, "flow_back": 1, "spike_times": 1, "gains": 2.0}
    assert type("Mine", (Solved,), own)()
    assert type("Mine", (Solved,), {"voltages": 1.0, "__annotations__": {"voltages": float}})()


def test_all_that_the_abstract_classes_name_is_known():
    public = {name for kind in (AbstractNeuron, NumericalNeuron) for name in (*vars(kind), *kind.__annotations__)}
    assert {name for name in public if not re.match("_", name)} == {*MEMBERS, *UNTRIED, *FIELDS}
