"""What happens to one sound on its way through the cochlea, and its statistics in bands of neighbouring channels."""

import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from stablespike.tasks.cochlea.cells import firing_probability
from stablespike.tasks.cochlea.membrane import MODEL_RATE, MembraneFilter, velocity_of_one
from stablespike.tasks.cochlea.model import Cochlea, SpikeTrain, hear, prepare
from stablespike.tasks.dataset_error import DatasetError

BANDS = 10


class Journey(NamedTuple):
    """Velocity of the membrane and firing probability per sample of 1/24000 s, and one spike train for each seed."""

    velocity: Float[np.ndarray, "channels steps"]
    probability: Float[np.ndarray, "channels steps"]
    trains: list[SpikeTrain]


class BandStatistics(NamedTuple):
    """Of ten bands of channels, from base to apex: root mean square of the velocity, mean probability, spikes.

    `spikes` `[seeds, bands]` of each run.
    """

    velocity: Float[np.ndarray, " bands"]
    probability: Float[np.ndarray, " bands"]
    spikes: Float[np.ndarray, "seeds bands"]


def follow(cochlea: Cochlea, sound: Float[np.ndarray, " samples"], seeds: Sequence[int]) -> Journey:
    """One sound at 48 kHz through all stages of the cochlea."""
    velocity = velocity_of_one(cochlea.membrane, prepare(sound))
    probability = np.asarray(eqx.filter_jit(firing_probability)(cochlea.hair_cell, jnp.asarray(velocity)))
    return Journey(velocity, probability, [hear(cochlea, sound, jax.random.key(seed)) for seed in seeds])


def band_statistics(journey: Journey) -> BandStatistics:
    """The journey's statistics; the number of channels must be a multiple of ten."""
    channels = len(journey.velocity)
    if channels % BANDS:
        raise ValueError(f"{channels} channels can't be divided into {BANDS} bands.")
    velocity, probability = (part.reshape(BANDS, -1) for part in (journey.velocity, journey.probability))
    spikes = [
        np.bincount(train.channels * BANDS // channels, minlength=BANDS).astype(float) for train in journey.trains
    ]
    mean_square = (velocity.astype(float) ** 2).mean(1)
    return BandStatistics(np.sqrt(mean_square), probability.mean(1), np.array(spikes).reshape(-1, BANDS))


def reference_statistics(file: str | pathlib.Path, name: str) -> BandStatistics:
    """Those of the published conversion for the sound `name`, from the file that comes with it."""
    try:
        one = json.loads(pathlib.Path(file).read_text(encoding="utf-8"))["files"][name]
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f"{file} is missing or holds no statistics of {name} ({error}): put it there.") from error
    runs = np.array([run["spikes_per_band"] for run in one["runs"]], float)
    return BandStatistics(np.array(one["bm_rms_per_band"]), np.array(one["hair_prob_mean_per_band"]), runs)


def click_delays(membrane: MembraneFilter) -> Float[np.ndarray, " channels"]:
    """Time in s from a click until the membrane moves most, at each place from base to apex; negative before it.

    As published: v of the shallow-water model belongs to exp(-iωt), the inverse transform to exp(+iωt), so that time
    runs backwards along the membrane, and places of low tones move before the click.
    """
    click = np.zeros(membrane.length)
    click[membrane.length // 4] = 1
    moved = np.abs(velocity_of_one(membrane, click))
    return moved.argmax(1) / MODEL_RATE - (membrane.length // 4) / (2 * MODEL_RATE)
