"""Spike trains as data: times with the index of their channel or neuron, and how a simulation ended."""

import enum

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int


class Spikes(eqx.Module):
    """Spikes of one trial in order of time.

    `times` `[events]` in the unit of the network's time constants, ascending, padded with inf; `sources` `[events]`:
    index of the input channel or neuron (anything where the time is inf). Trials are a leading axis of both.
    """

    times: Float[Array, "*trials events"]
    sources: Int[Array, "*trials events"]

    def __check_init__(self):
        """Refuse times and sources that are no arrays or do not go together."""
        for name, values in (("times", self.times), ("sources", self.sources)):
            if not hasattr(values, "dtype"):
                raise ValueError(f"{name} of spikes must be an array, not {type(values).__name__}: use jnp.asarray.")
        if jnp.shape(self.times) != jnp.shape(self.sources):
            raise ValueError(
                f"spike times {list(jnp.shape(self.times))} and sources {list(jnp.shape(self.sources))} must have the "
                "same shape."
            )
        if not jnp.issubdtype(jnp.result_type(self.sources), jnp.integer):
            raise ValueError(f"sources of spikes are indices, not {jnp.result_type(self.sources)}.")

    @property
    def real(self) -> Bool[Array, "*trials events"]:
        """True for spikes, False for padding."""
        return jnp.isfinite(self.times)

    @property
    def count(self) -> Int[Array, "*trials"]:
        """Number of spikes of each trial."""
        return self.real.sum(-1)


def in_order(times: Float[Array, " events"], sources: Int[Array, " events"]) -> Spikes:
    """Spikes of one trial from unordered `times` (inf = none) and `sources`; equal times keep their order."""
    order = jnp.argsort(times, stable=True)
    return Spikes(times[order], sources[order])


class Flag(enum.IntFlag):
    """What can be wrong with a simulation."""

    BUDGET_EXHAUSTED = 1
    NOT_FINITE = 2
    INPUT_TIMES = 4
    INPUT_SOURCES = 8
    DELIVERIES_EXHAUSTED = 16
    PARAMETERS = 32
    WEIGHTS = 64
    DURATION = 128
    SWEEPS_EXHAUSTED = 512
    DELAY_RANGE = 1024


class Status(eqx.Module):
    """How a simulation ended: `flags` (0 = well), the `time` it reached, its `budget` and the name of that argument."""

    flags: Int[Array, "*trials"]
    time: Float[Array, "*trials"]
    budget: int = eqx.field(static=True)
    argument: str = eqx.field(static=True, default="max_events")

    @property
    def ok(self) -> Bool[Array, "*trials"]:
        """True where nothing went wrong."""
        return self.flags == 0


class SimulationError(RuntimeError):
    """A simulation whose result must not be used."""


def as_known(status: Status) -> Status:
    """The status with its values, which differentiation outside jit hides; inside jit they stay unknown."""
    flags = jax.lax.stop_gradient(jnp.asarray(status.flags, float)).astype(int)
    return Status(flags, jax.lax.stop_gradient(status.time), status.budget, status.argument)


def raise_unless_ok(status: Status) -> None:
    """Raise `SimulationError` with one sentence if any trial went wrong; inside jit (values unknown) do nothing."""
    status = as_known(status)
    if isinstance(status.flags, jax.core.Tracer):
        return
    flags = np.ravel(status.flags)
    for flag, sentence in _SENTENCES.items():
        if np.any(flags & flag):
            time = np.ravel(status.time)[np.argmax(flags & flag != 0)]
            hint = " (`sufficient_budget` finds one that suffices)" if status.argument == "max_events" else ""
            known = {"budget": status.budget, "argument": status.argument, "time": time, "hint": hint}
            raise SimulationError(sentence.format(**known))


_SENTENCES = {  # causes before consequences
    Flag.PARAMETERS: "A neuron parameter is not allowed: a time constant not positive, say, or a threshold below rest.",
    Flag.WEIGHTS: "Weights must be finite, and delays finite and not negative.",
    Flag.DELAY_RANGE: "A delay is outside of the range that the windows were made for: give another `delay_range`.",
    Flag.DURATION: "The duration of a trial must be finite and not negative.",
    Flag.INPUT_TIMES: "Input spike times must be ascending and not negative (pad with inf at the end).",
    Flag.INPUT_SOURCES: "An input spike names a channel that the input weights do not have.",
    Flag.NOT_FINITE: "The simulation met a value that is not finite at time {time:.6g}: look at states and weights.",
    Flag.DELIVERIES_EXHAUSTED: (
        "More than the reserved number of spikes were under way at time {time:.6g}: raise `max_pending` of the network."
    ),
    Flag.SWEEPS_EXHAUSTED: (
        "The budget of sweeps was exhausted at time {time:.6g}, before the end of the trial: raise `max_sweeps` or "
        "look for runaway activity."
    ),
    Flag.BUDGET_EXHAUSTED: (
        "The budget of {budget} was exhausted at time {time:.6g}, before the end of the trial: raise "
        "`{argument}`{hint} or look for runaway activity."
    ),
}


def input_flags(inputs: Spikes, channels: int, duration) -> Int[Array, ""]:
    """Flags of malformed input spikes and of an impossible duration, also known inside jit."""
    times = inputs.times
    ordered = jnp.all(times[1:] >= times[:-1]) & jnp.all(times >= 0)
    possible = jnp.isfinite(duration) & (jnp.asarray(duration) >= 0)
    known = jnp.all(~inputs.real | ((inputs.sources >= 0) & (inputs.sources < channels)))
    flags = jnp.where(ordered, 0, int(Flag.INPUT_TIMES)) | jnp.where(known, 0, int(Flag.INPUT_SOURCES))
    return flags | jnp.where(possible, 0, int(Flag.DURATION))
