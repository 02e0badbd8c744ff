"""Any neuron with an absolute refractory period."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool

from stablespike.dynamics.arguments import shown
from stablespike.dynamics.neurons.charts import AbstractChart, AsItIs
from stablespike.dynamics.neurons.neuron import (
    AbstractNeuron,
    Parameter,
    Scalar,
    State,
    one_neuron,
    positive_time,
    require,
)


class Refractory(AbstractNeuron):
    """A neuron that is held for a time after each spike: `Refractory(LIF(), period=0.3)`.

    For the `period`, in the neuron's unit of time, its voltage stays where the reset puts it; everything else, as its
    current, goes on and takes inputs; pulses to the voltage are lost. State: that of the neuron, then what is left of
    the period. The end of a period is a time like any other in closed form, so that gradients know of it: a later spike
    makes the next one later through it. Both the neuron's parameters and the period may be trained.
    """

    neuron: Any
    period: Parameter = 0.1

    def __check_init__(self) -> None:
        """Refuse what is no neuron."""
        fits = isinstance(self.neuron, AbstractNeuron)
        require(fits, f"Refractory takes a neuron such as LIF(), not {shown(self.neuron)}.")

    def requirements(self) -> tuple[tuple[Bool[Array, "..."], str], ...]:
        """Those of the neuron, a positive period, and a reset that can hold it."""
        sentence = (
            f"a second reset moves {type(self.neuron).__name__} on, so that its reset cannot hold it: write its `held`."
        )
        return (
            *self.neuron.requirements(),
            positive_time("period", self.period),
            (_can_be_held(self.neuron), sentence),
        )

    def initial_state(self, voltage: Scalar = 0.0, current: Scalar = 0.0) -> State:
        """That of the neuron, not refractory."""
        return self._joined(self.neuron.initial_state(voltage, current), 0.0)

    def voltage(self, state: State) -> Scalar:
        """That of the neuron."""
        return self.neuron.voltage(state[:-1])

    def spikes_on_arrival(self) -> bool:
        """As the neuron."""
        return self.neuron.spikes_on_arrival()

    def flow(self, state: State, dt: Scalar) -> State:
        """Held for what is left of the period, then free.

        Backwards as if no period had ended on the way: what one hides cannot be taken back.
        """
        waited = self._waited(state, dt)
        return self._joined(self.neuron.flow(waited, self._free(state, dt)), _clock(state, dt))

    def flow_until_spike(self, state: State, dt: Scalar) -> State:
        """The same, where a spike may end it."""
        waited = self._waited(state, dt)
        return self._joined(self.neuron.flow_until_spike(waited, self._free(state, dt)), _clock(state, dt))

    def chart(self) -> AbstractChart:
        """The state itself; there is none yet for neurons with other coordinates."""
        if not isinstance(self.neuron.chart(), AsItIs):
            name = type(self.neuron).__name__
            raise ValueError(f"exponents of refractory {name} neurons are not there: LIF neurons have them.")
        return AsItIs()

    def held(self, state: State, dt: Scalar) -> State:
        """As the neuron is held; the period runs."""
        return self._joined(self.neuron.held(state[:-1], dt), _clock(state, dt))

    def time_to_spike(self, state: State) -> Scalar:
        """What is left of the period, and the neuron's time from then on."""
        return _clock(state, 0.0) + self.neuron.time_to_spike(self._waited(state, state[-1]))

    def time_to_spike_within(self, state: State, limit: Scalar) -> Scalar:
        """The same, looked for up to the limit."""
        rest = self._waited(state, state[-1])
        return _clock(state, 0.0) + self.neuron.time_to_spike_within(rest, _left(limit, state[-1]))

    def may_spike_within(self, state: State, dt: Scalar) -> Bool[Array, ""]:
        """Not before the period ends."""
        waited = self._waited(state, dt)
        return (state[-1] <= dt) & self.neuron.may_spike_within(waited, self._free(state, dt))

    def spike_time_derivative(self, state: State) -> State:
        """That of the neuron; within a period that of the whole wait."""
        own = self._joined(self.neuron.spike_time_derivative(state[:-1]), 0.0)
        return jnp.where(state[-1] > 0, super().spike_time_derivative(state), own)

    def jump(self, state: State, weight: Scalar) -> State:
        """As the neuron; what it does to the voltage of one that is held is lost."""
        return self._joined(self.neuron.jump(state[:-1], weight), state[-1])

    def reset(self, state: State) -> State:
        """As the neuron, and the period begins."""
        return self._joined(self.neuron.reset(state[:-1]), self.period)

    def _free(self, state: State, dt: Scalar) -> Scalar:
        return jnp.where(state[-1] > 0, _left(dt, state[-1]), dt)

    def _waited(self, state: Array, dt: Scalar) -> Array:
        """The neuron's own state after its period, or after `dt`, if that is shorter."""
        own = state[:-1]
        return jnp.where(state[-1] > 0, self.neuron.held(own, jnp.where(dt < state[-1], dt, state[-1])), own)

    def _joined(self, own: Array, left: Scalar) -> Array:
        return jnp.append(own, jnp.asarray(left, own.dtype))


def _clock(state: Array, dt: Scalar) -> Scalar:
    """What is left of the period after `dt`; nothing where nothing was."""
    return jnp.where(state[-1] > 0, _left(state[-1], dt), 0)


def _left(time: Scalar, passed: Scalar) -> Scalar:
    """What is left of a time; one-sided where nothing is."""
    return jnp.where(time > passed, time - passed, 0)


def _can_be_held(neuron: AbstractNeuron) -> Bool[Array, ""]:
    """Whether the neuron says how it is held, or a second reset changes nothing, as `AbstractNeuron.held` needs."""
    if type(neuron).held is not AbstractNeuron.held:
        return jnp.asarray(True)
    one = one_neuron(neuron, 0)
    after = one.reset(one.initial_state(0.3, 0.7))
    return jnp.all(one.reset(after) == after)
