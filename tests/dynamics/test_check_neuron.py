"""`check_neuron` passes the neurons of this package and names what is wrong with others."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stablespike as ss
from stablespike.dynamics.neurons.check import EQUALITIES, check_neuron

GOOD = [ss.LIF(0.9), ss.QIF(1.1), ss.OscillatoryLIF(), ss.GeneralQIF(1.0, 0.3), ss.Refractory(ss.LIF(0.9), 0.3)]


@pytest.mark.parametrize("neuron", GOOD, ids=lambda one: type(one).__name__)
def test_neurons_of_this_package_fit_together(neuron):
    check = ss.check_neuron(neuron, kernels=False)
    assert check.errors[check.worst] < 1e-8
    assert set(check.errors) == set(EQUALITIES) - {"kernels"}
    assert check.skipped == 0
    assert str(check).splitlines()[-1].startswith(check.worst)


def test_an_adaptive_quadratic_neuron_is_the_quadratic_one_where_it_is_not_adapted():
    neuron, reference = ss.AdaptiveQIF(1.1, 0.55), ss.QIF(1.1)
    moved = neuron.flow(neuron.initial_state(-0.7, 6.0), 0.4)
    expected = reference.flow(reference.initial_state(-0.7, 6.0), 0.4)
    assert abs(moved[0] - reference.voltage(expected)) < 1e-12
    time = neuron.time_to_spike(neuron.initial_state(-0.7, 6.0))
    rest = reference.time_to_spike(reference.initial_state(-0.7, 6.0)) - time
    assert 0 < rest < 1.1 / neuron.cutoff * 1.1
    assert neuron.reset(moved)[2] == 1.0
    ss.check_neuron(neuron, jnp.asarray([[-0.7, 6.0, 0.2], [0.3, 3.0, 0.1]]), kernels=False)


def test_code_that_is_derived_is_compared_too():
    assert 0 < ss.check_neuron(ss.GeneralLIF(1.0, 0.3)).errors["kernels"] < 1e-13


def test_periods_that_end_on_the_way_cannot_be_taken_back():
    neuron, states = ss.Refractory(ss.LIF(0.9), 0.3), jnp.asarray([[0.0, 5.0, 0.05]])
    with pytest.raises(ValueError, match="flow, there and back"):
        ss.check_neuron(neuron, states, kernels=False)
    ss.check_neuron(neuron, states, kernels=False, leave_out=["flow, there and back"])


class Leaky(ss.AbstractNeuron):
    """What the planted faults have in common: V' = drive - V, as its solution."""

    drive: float = 2.0

    def initial_state(self, voltage=0.0, current=0.0):
        return jnp.stack([jnp.asarray(voltage, float)])

    def voltage(self, state):
        return state[0]

    def flow(self, state, dt):
        return self.drive + (state - self.drive) * jnp.exp(-dt)

    def time_to_spike(self, state):
        rise = (self.drive - state[0]) / (self.drive - 1)
        return jnp.where(state[0] >= 1, 0.0, jnp.log(jnp.maximum(rise, 1.0)))

    def spike_time_derivative(self, state):
        return -1 / (self.drive - state)

    def jump(self, state, weight):
        return state + 0.01 * weight

    def reset(self, state):
        return jnp.zeros_like(state)


class NotBack(Leaky):
    def flow(self, state, dt):
        return super().flow(state, jnp.abs(dt))


class Late(Leaky):
    def time_to_spike(self, state):
        return 1.1 * super().time_to_spike(state)


class Held(Leaky):
    def time_to_spike(self, state):
        return Leaky(jax.lax.stop_gradient(self.drive)).time_to_spike(state)


class Steep(Leaky):
    def spike_time_derivative(self, state):
        return -2 / (self.drive - state)


class Rushing(Leaky):
    def velocity(self, state):
        return self.drive - 2 * state


class Broken(Leaky):
    def reset(self, state):
        return state * jnp.nan


FAULTS = {
    NotBack: "flow, there and back",
    Late: "time_to_spike on the way",
    Held: "parameters in time_to_spike",
    Steep: "spike_time_derivative",
    Rushing: "velocity",
    Broken: "state after a spike",
}


@pytest.mark.parametrize("kind", FAULTS)
def test_what_is_wrong_is_named(kind):
    ss.check_neuron(Leaky(), kernels=False)
    with pytest.raises(ValueError, match=rf"{kind.__name__} does not fit together.*\(`.*{FAULTS[kind]}"):
        ss.check_neuron(kind(), kernels=False)


def test_an_equality_that_is_tried_twice_has_the_larger_error():
    """After four tenths of a wait that is a tenth too long 0.56 of it are left, not 0.6."""
    check = ss.check_neuron(Late(), kernels=False, tolerance=1.0)
    assert abs(check.errors["time_to_spike on the way"] - 0.04 / 1.6) < 1e-6


@pytest.mark.parametrize("kind", [ss.LIF, ss.GeneralLIF, ss.QIF, ss.GeneralQIF, ss.AdaptiveLIF, ss.Refractory])
def test_a_neuron_never_says_that_no_spike_may_come_before_one_comes(kind):
    """At random states and intervals, against the time of the spike."""
    neuron = kind(ss.LIF(0.8), 0.2) if kind is ss.Refractory else kind(0.8)
    random, size = np.random.default_rng(0), 4000
    drawn = (jnp.asarray(random.uniform(low, high, size)) for low, high in ((-2, 0.999), (-5, 40)))
    starts = ss.initial_states(neuron, *drawn)
    if kind is ss.Refractory:
        starts = starts.at[::2, -1].set(random.uniform(0, 0.2, size // 2))
    within = jnp.asarray(random.exponential(0.2, size))
    may = jax.jit(jax.vmap(neuron.may_spike_within))(starts, within)
    comes = jax.jit(jax.vmap(neuron.time_to_spike))(starts) <= within
    assert not np.any(comes & ~may)
    assert 0.1 < np.mean(comes) <= np.mean(may) < 1


def test_velocity_of_the_quadratic_neuron_is_the_slope_of_its_flow():
    neuron, still = ss.QIF(0.7), jnp.zeros(())
    for state in jnp.asarray([[0.6, 0.8, 3.0], [-1.0, 0.0, -2.0], [0.3, 0.5, 9.0]]):
        slope = jax.jvp(lambda dt, state=state: neuron.flow(state, dt), (still,), (jnp.ones(()),))[1]
        np.testing.assert_allclose(neuron.velocity(state), slope, rtol=1e-13, atol=1e-14)


def test_what_cannot_be_checked_is_said():
    with pytest.raises(ValueError, match="no state that was tried leads to a spike"):
        ss.check_neuron(ss.LIF(), jnp.zeros((2, 2)))
    with pytest.raises(ValueError, match="no equality \\['flw'\\]"):
        ss.check_neuron(ss.LIF(), leave_out=["flw"])
    with pytest.raises(ValueError, match="nothing is left to check"):
        ss.check_neuron(ss.LIF(), kernels=False, leave_out=list(EQUALITIES))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"neuron": ss.LIF}, "takes a neuron such as LIF"),
        ({"neuron": ss.LeakyReadout(0.5)}, "takes a neuron such as LIF"),
        ({"neuron": ss.LIF(jnp.zeros(0))}, "at least one neuron, not of none"),
        ({"states": "x"}, "states must be an array"),
        ({"weight": "x"}, "weight must be a number"),
        ({"weight": jnp.ones(2)}, "weight must be a number"),
        ({"weight": np.nan}, "weight must be finite"),
        ({"tolerance": np.nan}, "tolerance must be at least 0"),
        ({"tolerance": "x"}, "tolerance must be a number"),
        ({"leave_out": "kernels"}, "leave_out must be a tuple of names"),
        ({"leave_out": None}, "leave_out must be a tuple of names"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        inspect.unwrap(check_neuron)(**{"neuron": ss.LIF(), "kernels": False} | given)


def test_a_threshold_far_below_the_current_keeps_the_derivative_of_its_spikes():
    """Rounding carries such a neuron past its threshold, where the derivative of its wait alone would be 0."""
    check = ss.check_neuron(ss.GeneralLIF(1.0, 0.3, 1e-9), kernels=False)
    assert check.errors["spike_time_derivative"] < 1e-6


def test_a_class_without_a_member_says_which_and_what_it_is_for():
    class Half(ss.AbstractNeuron):
        def flow(self, state, dt):
            return state

    with pytest.raises(TypeError, match=r"Half lacks `time_to_spike`: Time until the next spike.*; `reset`: State"):
        Half()
    with pytest.raises(TypeError, match=r"lacks `jump`.*`right_hand_side`: dx/dt of the free evolution"):
        type("Model", (ss.NumericalNeuron,), {})()
    assert Leaky().requirements() == ()
