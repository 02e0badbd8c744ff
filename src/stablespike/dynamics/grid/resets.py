"""What a spike does to the membrane of a neuron on a grid, and which current drives it: the choices papers differ in.

Every reset is a function of the `decayed` voltage b V, the `driven` part (1 - b) I, the `spikes` s of the last step and
the `threshold`, all `[neurons]`, and gives the new voltage.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from stablespike.dynamics.neurons.neuron import Parameter

Values = Float[Array, "*neurons"]
Reset = Callable[[Values, Values, Values, Parameter], Values]


class NoReset(eqx.Module):
    """V' = b V + (1 - b) I."""

    def __call__(self, decayed: Values, driven: Values, spikes: Values, threshold: Parameter) -> Values:
        """The new voltage."""
        del spikes, threshold
        return decayed + driven


class ResetToZero(eqx.Module):
    """V' = (b V + (1 - b) I)(1 - s): what arrives in the step after the spike is lost as well."""

    def __call__(self, decayed: Values, driven: Values, spikes: Values, threshold: Parameter) -> Values:
        """The new voltage."""
        del threshold
        return (decayed + driven) * (1 - spikes)


class ResetBeforeInput(eqx.Module):
    """V' = b V (1 - s) + (1 - b) I: to zero, and what arrives in the step after the spike counts."""

    def __call__(self, decayed: Values, driven: Values, spikes: Values, threshold: Parameter) -> Values:
        """The new voltage."""
        del threshold
        return decayed * (1 - spikes) + driven


class ResetBySubtraction(eqx.Module):
    """V' = b V + (1 - b) I - threshold s."""

    def __call__(self, decayed: Values, driven: Values, spikes: Values, threshold: Parameter) -> Values:
        """The new voltage."""
        return decayed + driven - threshold * spikes


class Detached(eqx.Module):
    """A `reset` whose spikes are constants to the derivative: the factor or term applies, its surrogate does not.

    With `ResetToZero` the Jacobian is the one that is called *gated*.
    """

    reset: Reset

    def __call__(self, decayed: Values, driven: Values, spikes: Values, threshold: Parameter) -> Values:
        """The new voltage."""
        return self.reset(decayed, driven, jax.lax.stop_gradient(spikes), threshold)


class Unfelt(eqx.Module):
    """A `reset` that the derivative does not feel at all: the value is its own, the derivative that of no reset.

    The Jacobian is the one that is called *public*: of determinant (ab)^n for n neurons. That is so for gradients of
    ordinary training and for tangent vectors. A derivative of tangent vectors, as flossing takes it, follows them along
    the states at which they were taken, and these feel the `reset` as it says itself: `Unfelt(Detached(ResetToZero()))`
    as the gate 1 - s of constant spikes, `Unfelt(ResetToZero())` with the surrogate of these spikes as well.
    """

    reset: Reset

    def __call__(self, decayed: Values, driven: Values, spikes: Values, threshold: Parameter) -> Values:
        """The new voltage."""
        return _with_derivative_of(decayed + driven, self.reset(decayed, driven, spikes, threshold))


@jax.custom_jvp
def _with_derivative_of(differentiated: Array, value: Array) -> Array:
    del differentiated
    return value


@_with_derivative_of.defjvp
def _with_derivative_of_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Any]:
    return primals[1], tangents[0]  # not the rule again: to a derivative from outside the value is what it is


class NewCurrent(eqx.Module):
    """Update order current, then voltage: the voltage is driven by the current that has just been updated."""

    def __call__(self, old: Values, new: Values) -> Values:
        """The current that drives."""
        del old
        return new


class OldCurrent(eqx.Module):
    """Update order voltage, then current: the voltage is driven by the current before the update."""

    def __call__(self, old: Values, new: Values) -> Values:
        """The current that drives."""
        del new
        return old
