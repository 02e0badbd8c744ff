"""From the membrane's velocity to spikes: inner hair cells, auditory nerve fibres and bushy cells, on a time grid.

Everything here runs on JAX for any batch of channels at once, as `(init, step)` pairs over samples of 1/24000 s. The
same lines for one channel on a CPU are in `cochlea_native`.
"""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.extend.random
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

from stablespike.tasks.cochlea.membrane import MODEL_RATE


class HairCellState(NamedTuple):
    """Transmitter in the free pool q, in the cleft c and being reprocessed w, each `[channels]`."""

    free: Float[Array, "*channels"]
    cleft: Float[Array, "*channels"]
    reprocessed: Float[Array, "*channels"]


class HairCell(eqx.Module):
    """Inner hair cell (Meddis 1986, 1988): transmitter is released by the membrane's velocity s, lost and taken back.

    k = g (s+a)/(s+a+b) where s + a > 0, else 0; dq/dt = y (m-q)₊ - k q + x w; dc/dt = k q - (l+r) c;
    dw/dt = r c - x w. A fibre spikes in a sample with probability P = h c dt. Rates in 1/s.
    """

    replenishing: float = 5.05  # y
    release: float = 2000.0  # g
    loss: float = 2500.0  # l
    return_rate: float = 6580.0  # r
    reprocessing: float = 66.3  # x
    offset: float = 5.0  # a, of the velocity
    half_release: float = 300.0  # b, in the unit of the velocity
    firing: float = 50_000.0  # h
    pool: float = 1.0  # m

    def rest(self) -> tuple[float, float, float]:
        """The state of silence: c₀ = m y k₀/(l k₀ + y (l+r)), q₀ = c₀ (l+r)/k₀, w₀ = c₀ r/x."""
        k, away = self.release * self.offset / (self.offset + self.half_release), self.loss + self.return_rate
        cleft = self.pool * self.replenishing * k / (self.loss * k + self.replenishing * away)
        return cleft * away / k, cleft, cleft * self.return_rate / self.reprocessing

    def init(self, like: Float[Array, "*channels"]) -> HairCellState:
        """Cells at rest, one for each number of `like`."""
        return HairCellState(*(jnp.full_like(like, value) for value in self.rest()))

    def step(
        self, state: HairCellState, velocity: Float[Array, "*channels"]
    ) -> tuple[HairCellState, Float[Array, "*channels"]]:
        """One Euler step, pools clipped at 0 as in the published conversion; returns P of every channel."""
        q, c, w = state
        drive, dt = velocity + self.offset, 1 / MODEL_RATE
        # The other branch is evaluated too, and must not divide by zero there.
        k = jnp.where(drive > 0, self.release * drive / (jnp.where(drive > 0, drive, 0) + self.half_release), 0)
        dq = self.replenishing * jnp.maximum(self.pool - q, 0) - k * q + self.reprocessing * w
        dc = k * q - (self.loss + self.return_rate) * c
        dw = self.return_rate * c - self.reprocessing * w
        state = HairCellState(
            *(jnp.maximum(old + dt * change, 0) for old, change in zip(state, (dq, dc, dw), strict=True))
        )
        return state, self.firing * state.cleft * dt


def firing_probability(cell: HairCell, velocity: Float[Array, "*channels steps"]) -> Float[Array, "*channels steps"]:
    """Probability per sample that a fibre spikes, from rest, under the membrane's velocity."""
    steps = jnp.moveaxis(velocity, -1, 0)
    return jnp.moveaxis(jax.lax.scan(cell.step, cell.init(steps[0]), steps)[1], 0, -1)


class FibreState(NamedTuple):
    """Spikes in the last samples `[dead time - 1, channels]`, hazard left until the next one, draws so far, and now."""

    recent: Int[Array, "recent *channels"]
    hazard: Float[Array, "*channels"]
    draws: UInt32[Array, "*channels"]
    sample: Int[Array, ""]


class Fibres(eqx.Module):
    """Nerve fibres of each channel, each of which spikes in a sample with probability P unless it did `dead` ago.

    How many of n available fibres spike is Binomial(n, P) as long as nobody asks which. Exactly so, but with random
    numbers only where there are spikes: the hazard -n ln(1-P) is added up until it passes an exponential variate, then
    the count is drawn from the binomial distribution given that it is not zero. Variate number i of channel j is
    Threefry's word at (j, i) under the key, so that batching, device and route do not matter.
    """

    fibres: int = eqx.field(static=True, default=40)
    dead: int = eqx.field(static=True, default=24)  # samples from a spike to the next possible one: 1 ms

    def init(self, key: UInt32[Array, "*sounds 2"], like: Float[Array, "*sounds channels"]) -> FibreState:
        """Rested fibres; `key` is the data of a key (`fibre_key`) for each sound."""
        draws = jnp.zeros(like.shape, jnp.uint32)
        hazard, _ = variates(key, draws, like.dtype)
        recent = jnp.zeros((self.dead - 1, *like.shape), jnp.int8)
        return FibreState(recent, hazard, draws, jnp.zeros((), jnp.int32))

    def step(
        self, key: UInt32[Array, "*sounds 2"], state: FibreState, probability: Float[Array, "*sounds channels"]
    ) -> tuple[FibreState, Int[Array, "*sounds channels"]]:
        """One sample; returns how many fibres of each channel spike in it."""
        available = self.fibres - state.recent.sum(0, dtype=jnp.int32)
        hazard = -jnp.log1p(-probability) * available.astype(probability.dtype)
        left = state.hazard - hazard
        fires = left < 0
        draws = state.draws + fires.astype(jnp.uint32)
        fresh, uniform = variates(key, draws, probability.dtype)
        some = count_given_some(available, probability, hazard, uniform, self.fibres)
        count = jnp.where(fires, some, 0)
        recent = state.recent.at[state.sample % (self.dead - 1)].set(count.astype(jnp.int8))
        return FibreState(recent, jnp.where(fires, fresh, left), draws, state.sample + 1), count


def count_given_some(
    available: Int[Array, "*channels"],
    probability: Float[Array, "*channels"],
    hazard: Float[Array, "*channels"],
    uniform: Float[Array, "*channels"],
    most: int,
) -> Int[Array, "*channels"]:
    """Binomial(available, probability) given that it is at least 1, by inversion of its distribution function."""
    n = available.astype(probability.dtype)
    some = jnp.where(hazard > 0, -jnp.expm1(-hazard), 1)  # 1 - (1-P)ⁿ
    odds = probability / (1 - probability)
    mass = n * odds * (1 - some) / some
    left, count = uniform - mass, jnp.ones_like(available)
    for k in range(1, most):
        more = (left > 0) & (k < available) & (count == k)
        count = jnp.where(more, k + 1, count)
        mass = mass * odds * (n - k) / (k + 1)
        left = left - mass
    return count


def variates(
    key: UInt32[Array, "*sounds 2"], draws: UInt32[Array, "*sounds channels"], dtype: Any
) -> tuple[Float[Array, "*sounds channels"], Float[Array, "*sounds channels"]]:
    """Exponential and uniform variate number `draws` of every channel: Threefry's two words at (channel, draws).

    Uniform numbers are odd multiples of 2⁻²⁴: exact in float32 and never 0 or 1.
    """
    channel = jnp.broadcast_to(jnp.arange(draws.shape[-1], dtype=jnp.uint32), draws.shape)
    words = (jnp.broadcast_to(key[..., None, k], draws.shape) for k in (0, 1))
    pair = jax.extend.random.threefry2x32_p.bind(*words, channel, draws)
    first, second = (((word >> 9).astype(dtype) + 0.5) / 2**23 for word in pair)
    return -jnp.log(first), second


def fibre_key(key: Any) -> UInt32[Array, "*sounds 2"]:
    """The two words of a Threefry key (JAX's default kind)."""
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or jax.random.key_impl(key) != "threefry2x32":
        raise ValueError("The cochlea's random numbers need a key of JAX's default kind: jax.random.key(seed).")
    return jax.random.key_data(key)


class BushyState(NamedTuple):
    """Current, membrane potential and samples left of the dead time, each `[channels]`."""

    current: Float[Array, "*channels"]
    potential: Float[Array, "*channels"]
    dead: Int[Array, "*channels"]


class BushyCell(eqx.Module):
    """Leaky integrate-and-fire cell that all fibres of a channel excite (Cramer et al. 2022).

    In every sample I ← I exp(-dt/τ_I) + fibre spikes, V ← V exp(-dt/τ_V) + I (g/fibres) dt; V ≥ 1 is a spike, after
    which V stays 0 for `dead` samples while I goes on. Time constants in s, g in 1/s.
    """

    synaptic_time_constant: float = 0.5e-3  # τ_I
    membrane_time_constant: float = 1e-3  # τ_V
    strength: float = 13_000.0 / 40  # g per fibre
    dead: int = eqx.field(static=True, default=24)

    def decays(self) -> tuple[float, float]:
        """Factors of I and V per sample."""
        constants = (self.synaptic_time_constant, self.membrane_time_constant)
        current, potential = (math.exp(-1 / (MODEL_RATE * constant)) for constant in constants)
        return current, potential

    def init(self, like: Float[Array, "*channels"]) -> BushyState:
        """Cells at rest, one for each number of `like`."""
        return BushyState(jnp.zeros_like(like), jnp.zeros_like(like), jnp.zeros(like.shape, jnp.int32))

    def step(self, state: BushyState, count: Int[Array, "*channels"]) -> tuple[BushyState, Bool[Array, "*channels"]]:
        """One sample with `count` fibre spikes; returns whether each cell spikes in it."""
        keep_current, keep_potential = self.decays()
        current = state.current * keep_current + count.astype(state.current.dtype)
        potential = state.potential * keep_potential + current * (self.strength / MODEL_RATE)
        spikes = (potential >= 1) & (state.dead == 0)
        potential = jnp.where(spikes | (state.dead > 0), 0, potential)
        dead = jnp.where(spikes, self.dead, jnp.maximum(state.dead - 1, 0))
        return BushyState(current, potential, dead), spikes
