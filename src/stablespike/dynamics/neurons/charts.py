"""Coordinates of a neuron's state in which tangent vectors are counted, one for each degree of freedom."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class AbstractChart(eqx.Module):
    """Coordinates in which a neuron's state has as many entries as it has degrees of freedom."""

    @abc.abstractmethod
    def coordinates(self, neuron: Any, state: Float[Array, "variables"]) -> Float[Array, " freedoms"]:
        """Coordinates of a state."""

    @abc.abstractmethod
    def point(self, neuron: Any, coordinates: Float[Array, " freedoms"]) -> Float[Array, "variables"]:
        """The state with these coordinates."""


class AsItIs(AbstractChart):
    """The state itself: every variable is a degree of freedom, as of `LIF`."""

    def coordinates(self, neuron: Any, state: Float[Array, "variables"]) -> Float[Array, " freedoms"]:
        """All variables."""
        return state

    def point(self, neuron: Any, coordinates: Float[Array, " freedoms"]) -> Float[Array, "variables"]:
        """The same."""
        return coordinates


class Phase(AbstractChart):
    """The phase, in units of time: `Theta`."""

    def coordinates(self, neuron: Any, state: Float[Array, "variables"]) -> Float[Array, " freedoms"]:
        """Phase since the last spike."""
        return neuron.phase(state)[None]

    def point(self, neuron: Any, coordinates: Float[Array, " freedoms"]) -> Float[Array, "variables"]:
        """State at a phase."""
        return neuron.state_at_phase(coordinates[0])


class AngleAndCurrent(AbstractChart):
    """The angle of (n, d) and the current: `QIF`."""

    def coordinates(self, neuron: Any, state: Float[Array, "variables"]) -> Float[Array, " freedoms"]:
        """atan2(d, n), which falls to 0 at the spike, and I."""
        return jnp.stack([jnp.arctan2(state[1], state[0]), state[2]])

    def point(self, neuron: Any, coordinates: Float[Array, " freedoms"]) -> Float[Array, "variables"]:
        """[cos, sin, I]."""
        return jnp.stack([jnp.cos(coordinates[0]), jnp.sin(coordinates[0]), coordinates[1]])
