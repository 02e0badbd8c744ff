"""Leaky membranes that do not spike: what a network is read out by, by events in closed form and on a grid."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from stablespike.dynamics.arguments import Told, require_numbers
from stablespike.dynamics.neurons.neuron import Scalar, require


class LeakyReadout(Told):
    """Leaky membrane without threshold: tau_m V' = -V + I, tau_s I' = -I, a spike of weight w adds w to I.

    `membrane_time_constant` tau_m and `synaptic_time_constant` tau_s (default: tau_m/2) in the network's unit of time;
    V and I are dimensionless, both 0 at the start. A spike at time 0 gives V(t) = w tau_s/(tau_m - tau_s)
    (exp(-t/tau_m) - exp(-t/tau_s)), for tau_s = tau_m/2 the x - x^2 of the LIF neuron: continuous in all spike times.
    """

    membrane_time_constant: Scalar
    synaptic_time_constant: Scalar | None = None

    def __check_init__(self) -> None:
        """Refuse time constants that are not positive, or equal."""
        require_numbers(self)
        _require_time_constants(self.tau_m, self.tau_s)

    @property
    def tau_m(self) -> Scalar:
        """The membrane time constant."""
        return self.membrane_time_constant

    @property
    def tau_s(self) -> Scalar:
        """The synaptic time constant."""
        return self.membrane_time_constant / 2 if self.synaptic_time_constant is None else self.synaptic_time_constant

    def on_grid(self, on: Any, spike: Callable) -> Any:
        """The cell that stands for it on a time grid `on`; it does not `spike`."""
        from stablespike.dynamics.grid.cells import GridLeakyReadout  # here, as cells are made of neurons

        del spike
        return GridLeakyReadout(self.tau_m, on.dt, self.tau_s)

    def voltages(
        self, times: Float[Array, "neurons spikes"], sizes: Float[Array, "neurons spikes"], looks: int, until: Scalar
    ) -> Float[Array, "looks neurons"]:
        """Response to each neuron's spikes of these `sizes` (0: none) with weight 1, at `looks` times up to `until`.

        The looks are even, the last one at `until`. What arrived between two looks is summed, then decays, so that the
        cost is that of the spikes and looks^2. Spikes count from the look at their time or the first one after it.
        """
        step = jnp.asarray(until, times.dtype) / looks
        place = jnp.clip(jnp.ceil(times / step).astype(int) - 1, 0, looks - 1)
        rows = jnp.broadcast_to(jnp.arange(times.shape[0])[:, None], times.shape)
        since = step * (place + 1).astype(times.dtype) - times
        looked = step * jnp.arange(looks, dtype=times.dtype)
        parts = []
        for tau in (self.tau_m, self.tau_s):
            new = jnp.zeros((looks, times.shape[0]), times.dtype)
            new = new.at[place, rows].add(sizes * jnp.exp(-since / tau), mode="drop")
            apart = looked[:, None] - looked
            parts.append(jnp.where(apart >= 0, jnp.exp(-jnp.maximum(apart, 0) / tau), 0) @ new)
        slow, fast = parts
        return self.tau_s / (self.tau_m - self.tau_s) * (slow - fast)


class ShapedReadout(Told):
    """Leaky membrane whose mean over the trial, early times counting more, is sent out once, at the trial's end.

    V is that of `LeakyReadout`; its mean is weighted by exp(-t/T), T = `weighting_time_constant` (inf: not weighted). A
    spike of weight 1 at time t adds K(t), an integral in closed form (`response`), so that its derivative is exact.
    With the plain mean nearly nothing depends on when a spike comes, as the area under its response is always the
    same: an exact gradient, which sees spikes move but not appear or vanish, then teaches hidden neurons hardly
    anything. With T of the order of the trial it does (loss shaping, Nowotny et al. 2025). A mean over a few looks is
    no substitute: where they lie further apart than the time constants, their sum depends on where between two looks a
    spike falls, and its derivative is noise. By events only: on a grid take a `LeakyReadout` and
    `ExponentiallyWeightedMean`.
    """

    membrane_time_constant: Scalar
    weighting_time_constant: Scalar
    synaptic_time_constant: Scalar | None = None

    def __check_init__(self) -> None:
        """Refuse time constants that are not positive, or equal."""
        require_numbers(self)
        _require_time_constants(self.tau_m, self.tau_s)
        require(jnp.asarray(self.weighting_time_constant) > 0, "weighting_time_constant must be positive, or inf.")

    @property
    def tau_m(self) -> Scalar:
        """The membrane time constant."""
        return self.membrane_time_constant

    @property
    def tau_s(self) -> Scalar:
        """The synaptic time constant."""
        return self.membrane_time_constant / 2 if self.synaptic_time_constant is None else self.synaptic_time_constant

    def on_grid(self, on: Any, spike: Callable) -> Any:
        """Refused: it is made of spike times."""
        del on, spike
        raise ValueError(
            "ShapedReadout exists by events only: on a grid use a LeakyReadout and "
            "Outputs(ExponentiallyWeightedMean(T/dt))."
        )

    def response(self, times: Float[Array, "..."], until: Scalar) -> Float[Array, "..."]:
        """K(t) = tau_s/(tau_m - tau_s) e^(-t/T) (f(tau_m) - f(tau_s))/Z, 0 for t after `until`.

        f(tau) = (1 - e^(-(until - t) q))/q, q = 1/T + 1/tau; Z = T (1 - e^(-until/T)), until for T = inf.
        """
        rate = 1 / jnp.asarray(self.weighting_time_constant, times.dtype)
        left = jnp.maximum(jnp.asarray(until, times.dtype) - times, 0)

        def area(tau: Scalar) -> Float[Array, "..."]:
            pace = rate + 1 / jnp.asarray(tau, times.dtype)
            return -jnp.expm1(-left * pace) / pace

        peak = jnp.asarray(self.tau_s / (self.tau_m - self.tau_s), times.dtype)
        return peak * jnp.exp(-times * rate) * (area(self.tau_m) - area(self.tau_s)) / _weight(rate, until, times.dtype)

    def voltages(
        self, times: Float[Array, "neurons spikes"], sizes: Float[Array, "neurons spikes"], looks: int, until: Scalar
    ) -> Float[Array, "1 neurons"]:
        """Weighted mean of the response to each neuron's spikes of these `sizes` (0: none) with weight 1."""
        del looks
        return (sizes * self.response(times, until)).sum(-1)[None]


Readout = LeakyReadout | ShapedReadout


def _weight(rate: Float[Array, ""], until: Scalar, dtype: Any) -> Float[Array, ""]:
    """The integral of exp(-rate t) up to `until`."""
    end = jnp.asarray(until, dtype)
    safe = jnp.where(rate > 0, rate, 1)
    return jnp.where(rate > 0, -jnp.expm1(-end * safe) / safe, end)


def _require_time_constants(tau_m: Scalar, tau_s: Scalar) -> None:
    for name, value in (("membrane_time_constant", tau_m), ("synaptic_time_constant", tau_s)):
        require((jnp.asarray(value) > 0) & jnp.isfinite(value), f"{name} must be positive and finite.")
    require(
        jnp.asarray(tau_m) != jnp.asarray(tau_s),
        "membrane and synaptic time constant of a readout must differ: change one of them by a part in a thousand.",
    )
