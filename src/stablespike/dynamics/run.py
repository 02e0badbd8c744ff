"""What a simulation gives, whatever engine ran it: the trains of every layer, its states at the end, a status."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import Status
from stablespike.native.order import spike_order


class Trains(eqx.Module):
    """What the neurons of one layer sent out in a trial; `counts` `[neurons]` are their numbers of spikes.

    Event-based engines fill a table (layers) or a list (`listed`, `ordinals`: recurrent and sparse networks) of exact
    times; each is made into the other on demand, trial by trial where `vmap` made trials of them. On a grid, and of a
    readout, `signals` `[samples, neurons]` are what was sent at the times `at` `[samples]`: spikes (0 or 1, with the
    surrogate's derivative) or voltages.
    """

    counts: Float[Array, " neurons"] | Int[Array, " neurons"]
    budget: int = eqx.field(static=True)
    table: Float[Array, "neurons capacity"] | None = None
    listed: Spikes | None = None
    ordinals: Int[Array, " events"] | None = None
    at: Float[Array, " samples"] | None = None
    signals: Float[Array, "samples neurons"] | None = None
    shared: bool = eqx.field(static=True, default=False)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.counts.shape[-1]

    @property
    def times(self) -> Float[Array, "*trials neurons spikes"]:
        """Spike times of every neuron, ascending, inf where it has fewer than the budget (on a grid: than steps)."""
        if self.shared:
            raise ValueError("neurons of a sparse layer share their room: take `spikes`, or `spike_times(n)`.")
        return self.spike_times(self.budget)

    def spike_times(self, spikes: int) -> Float[Array, "*trials neurons spikes"]:
        """The first `spikes` spike times of every neuron, inf where it has fewer."""

        def times(one: Trains) -> Array:
            if one.listed is not None and one.ordinals is not None:
                nothing = jnp.full((one.size, spikes), jnp.inf, one.listed.times.dtype)
                place = jnp.where(one.listed.real, one.ordinals, spikes)
                return nothing.at[one.listed.sources, place].set(one.listed.times, mode="drop")
            table = one._table()
            return jnp.pad(table, ((0, 0), (0, max(0, spikes - table.shape[1]))), constant_values=jnp.inf)[:, :spikes]

        return self._of_trials(times)

    def _of_trials(self, function: Callable) -> Any:
        """The function of one trial, of these or of all trials."""
        for _ in range(self.counts.ndim - 1):
            function = jax.vmap(function)
        return function(self)

    def _table(self) -> Float[Array, "neurons spikes"]:
        if self.table is not None:
            return self.table
        if self.signals is None or self.at is None:
            raise ValueError("these trains have no spikes.")
        return jnp.sort(jnp.where(self.signals.T > 0, self.at, jnp.inf), -1)

    @property
    def spikes(self) -> Spikes:
        """All spikes in order of time, at equal times by neuron, padded with inf."""

        def spikes(one: Trains) -> Spikes:
            times = one._table().ravel()
            order = spike_order(times)
            return Spikes(times[order], order.astype(int) // one._table().shape[1])

        return self.listed if self.listed is not None else self._of_trials(spikes)

    @property
    def sent(self) -> Float[Array, "*trials samples neurons"]:
        """`signals`, of trains that have them."""
        if self.signals is None:
            raise ValueError("a run by events has no signals of steps: take times, or put a readout above.")
        return self.signals

    def weighted(self) -> tuple[Float[Array, "*trials neurons spikes"], Float[Array, "*trials neurons spikes"]]:
        """Times and sizes of what was sent: for readouts that work by events as on a grid.

        By events the size of a spike is 1, and 0 (at time 0) where there is none; on a grid there is an entry for every
        step, whose size has the surrogate's derivative.
        """
        if self.signals is not None and self.at is not None:
            sizes = jnp.swapaxes(self.signals, -1, -2)
            return jnp.broadcast_to(self.at[..., None, :], sizes.shape), sizes
        times = self.times
        real = jnp.isfinite(times)
        return jnp.where(real, times, 0), real.astype(times.dtype)


class Run(eqx.Module):
    """Result of `simulate`: `layers`, their `states` at the end of the trial, and the `status`.

    On a grid `cells` are the states of each layer after every step (None by events). Inside jit, where a failed run
    cannot raise, look at the status.
    """

    layers: tuple[Trains, ...]
    states: tuple[Any, ...]
    status: Status
    cells: tuple[Any, ...] | None = None

    @property
    def output(self) -> Trains:
        """Trains of the last layer."""
        return self.layers[-1]
