"""How a network is run: event by event, exactly, or on a time grid with a surrogate's slope."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stablespike.dynamics.arguments import Told, require_made, require_number, require_whole, shown
from stablespike.dynamics.grid.neuron import Distance, PhaseInStep, counts_on_grid
from stablespike.dynamics.grid.resets import Detached, Reset, ResetToZero
from stablespike.dynamics.neurons.neuron import Scalar, require
from stablespike.dynamics.spikes import Spikes

DEFAULT_BUDGET = 16
MOST_STEPS = 10**8  # of a grid: what arrives in more of them fits into no memory
Slope = Callable[[Float[Array, "..."]], Float[Array, "..."]]


class Events(Told):
    """Spike by spike, exactly. `budget` is the room for spikes of one neuron in a trial (a readout has none).

    In a sparse layer the neurons share the room of all. Without a budget a sufficient one is found outside jit; inside
    it is 16. `looks` is how often in a trial, evenly up to its end, a `LeakyReadout` is looked at.
    """

    budget: int | None = eqx.field(static=True, default=None)
    looks: int = eqx.field(static=True, default=100)

    def __check_init__(self) -> None:
        """Refuse numbers that cannot be meant."""
        for name, value in (("budget", self.budget), ("looks", self.looks)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1):
                raise ValueError(f"{name} must be a whole number, at least 1, not {shown(value)}.")


class Grid(Told):
    """In steps of `dt` (unit: the time constants), with the surrogate derivative `slope` (None: none, values only).

    `LIF` neurons become the field's current-based cells, I' = a I + input, V' = (b V + (1 - b) I')(1 - s), whose spike
    resets by `reset`; every other neuron flows exactly between grid points (`GridNeuron`), with the argument of the
    surrogate from `spiked_by`. An input counts in the step in which it arrives, as often as it comes (`once`: at most
    once for each channel); a spike acts on the layer above in its own step, within its layer in the next. Where it is
    `watched`, a run has the states of all cells after every step.

    Every step is kept, as numbers of all channels and neurons: a trial that has no room for them is refused before it
    starts. One that has it runs without a word, however many steps it takes: progress is for the caller to show.
    """

    dt: Scalar
    slope: Slope | None = None
    reset: Reset = Detached(ResetToZero())
    spiked_by: Distance = PhaseInStep()
    watched: bool = eqx.field(static=True, default=False)
    once: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        """Refuse a step that is none, and a slope that is a spike."""
        require_number("dt", self.dt)
        for name in ("slope", "reset", "spiked_by"):
            require_made(name, getattr(self, name))
        require((jnp.asarray(self.dt) > 0) & jnp.isfinite(jnp.asarray(self.dt)), f"dt must be positive, not {self.dt}.")
        if self.slope is not None and not callable(self.slope):
            raise ValueError(f"slope must be a surrogate's slope such as SuperSpike(10.0), not {shown(self.slope)}.")

    def signals(self, spikes: Spikes, channels: int, steps: int) -> Float[Array, "steps channels"]:
        """What arrives in each step: how often a channel spikes in it, or (`once`) whether it does."""
        require_whole(1, steps=steps)
        if not isinstance(spikes, Spikes) or spikes.times.ndim != 1 or steps > MOST_STEPS:
            raise ValueError(
                f"inputs of one trial must be Spikes(times, sources) in at most {MOST_STEPS} steps, not "
                f"{shown(spikes)} in {steps}."
            )
        counts = counts_on_grid(spikes, channels, self.dt, steps)
        return jnp.minimum(counts, 1) if self.once else counts
