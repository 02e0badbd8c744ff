"""From sound to spikes by the cochlea of the Spiking Heidelberg Digits (Cramer et al. 2022), at any number of channels.

Sound at 48 kHz is scaled to a root mean square of 0.3, faded in and out by a Hann window, and heard: membrane, hair
cells, nerve fibres, bushy cells. One sound on a CPU: `hear`; many at once, on a GPU above all: `hear_together`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from stablespike.tasks.cochlea.cells import BushyCell, Fibres, HairCell, fibre_key
from stablespike.tasks.cochlea.membrane import MODEL_RATE, MembraneFilter, velocity, velocity_of_one
from stablespike.tasks.cochlea.native import cell_spikes

LONGEST_DIGIT = (
    67_198  # samples that hold every recording of the Heidelberg Digits; half of it + 1 is quick to transform
)


class SpikeTrain(NamedTuple):
    """Spikes of one recording in order of time: `times` `[spikes]` in s, `channels` `[spikes]` (0 = highest tone)."""

    times: Float[np.ndarray, " spikes"]
    channels: Int[np.ndarray, " spikes"]


class Cochlea(eqx.Module):
    """All that turns sound into spikes, each part replaceable."""

    membrane: MembraneFilter
    hair_cell: HairCell = HairCell()
    fibres: Fibres = Fibres()
    bushy_cell: BushyCell = BushyCell()


def prepare(sound: Float[np.ndarray, " samples"], *, loudness: float = 0.3) -> Float[np.ndarray, " samples"]:
    """Scale the root mean square to `loudness`, then fade in over the first half and out over the second (Hann).

    Raises ValueError for a sound that is empty, silent or not finite, of which there is nothing to hear.
    """
    sound = np.asarray(sound, float)
    if sound.size < 2:
        raise ValueError(f"A recording of {sound.size} samples is empty: there is nothing to hear.")
    if not np.isfinite(sound).all():
        raise ValueError("A recording has samples that are not finite numbers.")
    size = np.sqrt(np.mean(sound**2))
    if size == 0:
        raise ValueError("A recording is silent: every sample is 0.")
    half = sound.size // 2
    rise = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(half) / max(2 * half - 1, 1))
    return sound * (loudness / size) * np.concatenate([rise, np.ones(sound.size % 2), rise[::-1]])


def hear(cochlea: Cochlea, sound: Float[np.ndarray, " samples"], key: Key[Array, ""]) -> SpikeTrain:
    """Spikes of one recording at 48 kHz, on the CPU (about 0.4 s for 0.72 s of sound at 700 channels).

    The same key and sound give the same spikes; those of `hear_together` differ where rounding decides.
    """
    moved = velocity_of_one(cochlea.membrane, prepare(sound))
    hair, fibres, bushy = cochlea.hair_cell, cochlea.fibres, cochlea.bushy_cell
    rates = (hair.replenishing, hair.release, hair.loss, hair.return_rate, hair.reprocessing)
    constants = tuple(map(float, (*rates, hair.offset, hair.half_release, hair.firing, hair.pool)))
    words = tuple(np.asarray(fibre_key(key)))
    synapse = (*bushy.decays(), bushy.strength / MODEL_RATE)
    counts, samples = cell_spikes(
        moved, *words, constants, hair.rest(), fibres.fibres, fibres.dead, synapse, bushy.dead
    )
    channels = np.repeat(np.arange(counts.size), counts)
    return in_time(samples[np.arange(samples.shape[1]) < counts[:, None]], channels)


def hear_together(
    cochlea: Cochlea, sounds: Sequence[Float[np.ndarray, "_"]], keys: Key[Array, " sounds"]
) -> list[SpikeTrain]:
    """Spikes of several recordings, one key each, in one JAX program on the default device."""
    prepared = [prepare(sound) for sound in sounds]
    longest = max((sound.size for sound in prepared), default=0)
    if longest > cochlea.membrane.length:
        raise ValueError(
            f"A sound of {longest} samples is longer than the {cochlea.membrane.length} of the membrane filter: make "
            "the filter longer, or cut the sound."
        )
    padded = np.stack([np.pad(sound, (0, cochlea.membrane.length - sound.size)) for sound in prepared])
    raster = np.asarray(spike_raster(cochlea, jnp.asarray(padded, cochlea.membrane.low.real.dtype), keys))
    trains = (np.nonzero(raster[:, k, :][: sound.size // 2 + 1]) for k, sound in enumerate(prepared))
    return [in_time(samples, channels) for samples, channels in trains]


@eqx.filter_jit
def spike_raster(
    cochlea: Cochlea, sounds: Float[Array, "sounds samples"], keys: Key[Array, " sounds"]
) -> Bool[Array, "steps sounds channels"]:
    """Which bushy cell spikes in which sample of 1/24000 s, for sounds that are prepared and padded to one length."""
    moved = jnp.moveaxis(velocity(cochlea.membrane, sounds), -1, 0)
    words = fibre_key(keys)

    def step(state: tuple[Any, Any, Any], velocity: Array) -> tuple[tuple[Any, Any, Any], Array]:
        hair, fibres, bushy = state
        hair, probability = cochlea.hair_cell.step(hair, velocity)
        fibres, count = cochlea.fibres.step(words, fibres, probability)
        bushy, spikes = cochlea.bushy_cell.step(bushy, count)
        return (hair, fibres, bushy), spikes

    still = moved[0]
    start = cochlea.hair_cell.init(still), cochlea.fibres.init(words, still), cochlea.bushy_cell.init(still)
    return jax.lax.scan(step, start, moved)[1]


def in_time(samples: Int[np.ndarray, " spikes"], channels: Int[np.ndarray, " spikes"]) -> SpikeTrain:
    """Spikes at samples of 1/24000 s, sorted by time and then channel."""
    order = np.lexsort((channels, samples))
    return SpikeTrain(samples[order] / MODEL_RATE, channels[order])
