"""How a simulation ended: flags with a sentence each, carried as data inside jit and raised at the boundary."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from stablespike.native.conventions import Flag


class Status(eqx.Module):
    """How a simulation ended: `flags` (0 = well), the `time` it reached, its `budget` and the name of that argument.

    Trials are leading axes of flags and time. Several simulations, with budgets of their own, are a tuple of these.
    """

    flags: Int[Array, "*trials"]
    time: Float[Array, "*trials"]
    budget: int = eqx.field(static=True)
    argument: str = eqx.field(static=True, default="max_events")

    @property
    def ok(self) -> Bool[Array, "*trials"]:
        """True where nothing went wrong."""
        return self.flags == 0

    def over_trials(self) -> "Status":
        """All trials as one: every flag, and the time of the first trial that failed (well: of the first)."""
        first = jnp.argmax(self.flags.ravel() != 0)
        flags = jnp.bitwise_or.reduce(self.flags.ravel())
        return Status(flags, self.time.ravel()[first], self.budget, self.argument)


class SimulationError(RuntimeError):
    """A simulation whose result must not be used."""


SENTENCES = {  # causes before consequences
    Flag.PARAMETERS: "A neuron parameter is not allowed: a time constant not positive, say, or a threshold below rest.",
    Flag.WEIGHTS: "Weights must be finite, and delays finite and not negative.",
    Flag.DELAY_RANGE: "A delay is outside of the range that its connection was made for (`within`): keep trained delays"
    " inside of it, or make it wider.",
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
    Flag.TWICE_IN_STEP: "A neuron would have spiked twice in one step, at time {time:.6g}: take a smaller `dt`.",
    Flag.BUDGET_EXHAUSTED: (
        "The budget of {budget} was exhausted at time {time:.6g}, before the end of the trial: raise "
        "`{argument}`{hint} or look for runaway activity."
    ),
    Flag.SILENT: (
        "The network stopped spiking{when}, before it had made the {budget} spikes that were asked "
        "for: give it a drive or input, or a finite duration."
    ),
    Flag.TIED: "Neurons spiked at the very same time, where exponents are not defined: start from other states.",
    Flag.LIFTED: (
        "A pulse lifted a neuron to its spike at once, where exponents are not defined: inhibit only, or use another "
        "neuron."
    ),
    Flag.NOT_DEFINED: "Not all of the {budget} exponents that were asked for are defined: lower `{argument}`.",
}
HINTS = {
    "budget": " (on=Events(budget=...))",
    "max_events": " (`sufficient_budget` finds one that suffices)",
}
KNOWN = sum(int(flag) for flag in SENTENCES)


def as_known(status: Status) -> Status:
    """The status with its values, which differentiation outside jit hides; inside jit they stay unknown."""
    flags = jax.lax.stop_gradient(jnp.asarray(status.flags, float)).astype(int)
    return Status(flags, jax.lax.stop_gradient(status.time), status.budget, status.argument)


def sentence_of(status: PyTree) -> str | None:
    """What went wrong first, with its remedy, in one sentence; None if nothing did. For known values.

    `status` is a `Status` or a tree of them. A bit without a meaning raises `ValueError`.
    """
    for one in jax.tree.leaves(status, is_leaf=lambda node: isinstance(node, Status)):
        flags, times = np.ravel(one.flags), np.ravel(one.time)
        if unknown := int(np.bitwise_or.reduce(flags)) & ~KNOWN:
            raise ValueError(f"A simulation set flags without a meaning ({unknown}): its status cannot be trusted.")
        for flag, sentence in SENTENCES.items():
            if np.any(flags & flag):
                first = int(np.argmax(flags & flag != 0))
                when = f" after time {times[first]:.6g}" if np.isfinite(times[first]) else ""
                known = {"budget": one.budget, "argument": one.argument, "time": times[first], "when": when}
                return sentence.format(**known, hint=HINTS.get(one.argument, ""))
    return None


def raise_unless_ok(status: PyTree) -> None:
    """Raise `SimulationError` with one sentence if any trial went wrong; inside jit (values unknown) do nothing."""
    known = jax.tree.map(as_known, status, is_leaf=lambda node: isinstance(node, Status))
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(known)):
        return
    if sentence := sentence_of(known):
        raise SimulationError(sentence)
