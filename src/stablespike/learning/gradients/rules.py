"""Gradient rules of `simulate`: the same values, another derivative or memory; `Truncated` is in `through_time`."""

from typing import Any

import equinox as eqx

from stablespike.dynamics.arguments import Told, require_number, require_whole
from stablespike.dynamics.neurons.neuron import require
from stablespike.learning.gradients.through_time import Checkpointed, Truncated


class Recorded(Told):
    """States of all events or steps are kept: derivatives of every mode and order, memory that grows with them."""


class TimeReversed(Told):
    """The exact adjoint with the states run backwards in time: memory of the list of spikes, whatever the network.

    First derivatives in reverse mode, of networks of `QIF`, `LIF` or `Theta` neurons with one set of parameters a layer
    and without delays between neurons of a dense layer. `checkpoints` states are kept to bound the rounding of the
    reversal, by default as many as the `tolerance` (default 4e-10 in float64, 5e-4 in float32) asks for.
    """

    checkpoints: int | None = eqx.field(static=True, default=None)
    tolerance: float | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        """Refuse a number of checkpoints that cannot be meant."""
        if self.checkpoints is not None:
            require_whole(1, checkpoints=self.checkpoints)
        if self.tolerance is not None:
            require_number("tolerance", self.tolerance)
            require(0 < self.tolerance < 1, f"tolerance must lie between 0 and 1, not {self.tolerance}.")


class ParallelInTime(Told):
    """No loop over inputs: layers of `QIF` neurons by associative scans, at a depth of the logarithm of their inputs.

    Derivatives of every mode and order; memory of about 30 numbers for each input and neuron. For layers whose neurons
    do not see each other, or only after delays above 0, one for each presynaptic neuron; parameters may differ.
    """


class EProp(Told):
    """e-prop on a grid (Bellec et al. 2020): paths through other neurons of the layer are left out of the derivative.

    `feedback` `[neurons, outputs]` carries the errors back, by default the readout's own weights; see `eprop`.
    """

    feedback: Any = None


class RealTimeRecurrent(Told):
    """Real-time recurrent learning on a grid: the exact derivative, carried forwards in time; see `real_time`."""


Rule = Recorded | Checkpointed | TimeReversed | ParallelInTime | Truncated | EProp | RealTimeRecurrent
RULES = (Recorded, Checkpointed, TimeReversed, ParallelInTime, Truncated, EProp, RealTimeRecurrent)
