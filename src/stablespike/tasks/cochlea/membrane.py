"""The basilar membrane of the cochlea: sound in, velocity of the membrane at every place along it out.

Shallow-water model of Sieroka et al. (2006) as used for the Spiking Heidelberg Digits (Cramer et al. 2022, with the
parameters that its authors corrected in 2021). It is linear: per place one transfer function over frequency, which
depends on the length of the sound only, so that it is computed once for a fixed length, and shorter sounds are padded.
"""

import hashlib
import pathlib
import zipfile
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import scipy.fft
import scipy.special
from jaxtyping import Array, Complex, Float

from stablespike.tasks.whole_files import whole_file

SAMPLING_RATE = 48_000  # of the sound, in Hz
MODEL_RATE = SAMPLING_RATE // 2  # of everything behind the membrane: the filter keeps half of the spectrum
GROUP = 20  # channels whose transfer functions are in memory at once


class BasilarMembrane(eqx.Module):
    """Membrane of stiffness S(c) = C₀ exp(-αc) - a, resistance R(c) = R₀ exp(-αc/2) and mass m under fluid of depth h.

    Lengths in cm from the base (c = 0, high tones) to the apex, masses in g, times in s. R₀ = δ √(C₀ m).
    """

    stiffness: float = 1e9  # C₀
    slack: float = 3500.0  # a
    decay: float = 3.0  # α, 1/cm
    density: float = 1.0  # ρ
    damping: float = 0.15  # δ
    depth: float = 0.1  # h
    mass: float = 0.05  # m
    extent: float = 3.5  # of the membrane, cm

    def positions(self, channels: int) -> Float[np.ndarray, " channels"]:
        """Places c of the channels, evenly from base to apex."""
        if channels < 1:
            raise ValueError(f"A cochlea of {channels} channels is none: give at least 1.")
        return np.linspace(0, self.extent, channels)

    def resonance(self, position: Float[np.ndarray, " channels"]) -> Float[np.ndarray, " channels"]:
        """Resonance frequency √(S(c)/m)/2π in Hz: 22.5 kHz at the base, 110 Hz at the apex."""
        return np.sqrt(self._stiffness(position) / self.mass) / (2 * np.pi)

    def transfer(
        self, frequency: Float[np.ndarray, " frequencies"], position: Float[np.ndarray, " channels"]
    ) -> Complex[np.ndarray, "channels frequencies"]:
        """Velocity at c per pressure at the stapes, v = (2ω/ξ(ω,c)) z(ω) p(ω,c)/p(ω,0), at `frequency` ω/2π in Hz.

        p = √(G/g) H₀⁽¹⁾(G) is the pressure difference across the membrane, z the input impedance, ξ = S - mω² - iωR.
        """
        w = 2 * np.pi * frequency
        base = self._pressure(w, 0.0)
        rows = [2 * w / self._impedance(w, c) * self._pressure(w, c) / base for c in position]
        found = np.stack(rows) * self._input_impedance(w)
        if not np.isfinite(found).all():
            raise ValueError("The membrane's transfer function is not finite: frequencies must be positive and finite.")
        return found

    def _stiffness(self, c: Any) -> Any:
        return self.stiffness * np.exp(-self.decay * c) - self.slack

    def _resistance(self, c: Any) -> Any:
        return self.damping * np.sqrt(self.stiffness * self.mass) * np.exp(-self.decay * c / 2)

    def _impedance(self, w: Any, c: Any) -> Any:
        """ξ(ω,c)."""
        return self._stiffness(c) - self.mass * w**2 - 1j * w * self._resistance(c)

    def _wave_number(self, w: Any, c: Any) -> Any:
        """g(ω,c) = ω √(ρ/(h ξ))."""
        return w * np.sqrt(self.density / (self.depth * self._impedance(w, c)))

    def _pressure(self, w: Any, c: Any) -> Any:
        phase = self._phase(w, c)
        return np.sqrt(phase / self._wave_number(w, c)) * scipy.special.hankel1(0, phase)

    def _phase(self, w: Any, c: Any) -> Any:
        """G(ω,c), the wave number integrated along the membrane; its logarithm holds the two ends, ln(A/B(c))."""
        inertia = self.mass * w**2 + self.slack
        ends = self._end(w, 0.0) / self._end(w, c)
        scale = 2 * np.sqrt(2) * 1j * w / (self.decay * np.sqrt(2 * self.depth * inertia))
        return 2 * self._wave_number(w, 0.0) / self.decay - scale * np.log(ends)

    def _end(self, w: Any, c: Any) -> Any:
        """B(c), which is A at c = 0."""
        resistance, inertia = self._resistance(c), self.mass * w**2 + self.slack
        root = np.sqrt(self._stiffness(c) - self.mass * w**2 - 1j * resistance * w)
        rest = 2 * self.slack + w * (2 * self.mass * w + 1j * resistance)
        return self.decay / 2 * np.exp(self.decay * c / 2) * (-2 * root + 1j * rest / np.sqrt(inertia))

    def _input_impedance(self, w: Any) -> Any:
        """z(ω) = √(2C₀/h) (iJ₀(k) + Y₀(k))/(J₁(k) - iY₁(k)), k = (2ω/α) √(2/(hC₀))."""
        k = 2 * w / self.decay * np.sqrt(2 / (self.depth * self.stiffness))
        j0, y0, j1, y1 = (f(k) for f in (scipy.special.j0, scipy.special.y0, scipy.special.j1, scipy.special.y1))
        return np.sqrt(2 * self.stiffness / self.depth) * (1j * j0 + y0) / (j1 - 1j * y1)


class MembraneFilter(eqx.Module):
    """Transfer functions of all channels for sounds of up to `length` samples at 48 kHz, ready to be multiplied.

    The model's velocity is the real part of an inverse transform of the one-sided spectrum Y = v X, which aliases what
    lies above 12 kHz; as a real transform that is ½(Y[k] + conj Y[-k]). `low` holds v[k]/2 `[channels, half]` and
    `high` conj v[-k]/2 of the first channels, those in which it is above the rounding of `low`.
    """

    low: Complex[Array | np.ndarray, "channels half"]
    high: Complex[Array | np.ndarray, "some half"]
    length: int = eqx.field(static=True)

    @property
    def channels(self) -> int:
        """Number of places along the membrane."""
        return self.low.shape[0]

    @property
    def samples(self) -> int:
        """Samples of the velocity, at 24 kHz."""
        return self.length // 2 + 1


def membrane_filter(channels: int, length: int, *, membrane: BasilarMembrane | None = None) -> MembraneFilter:
    """The filter of evenly spaced `channels` in single precision: about 1.6 µs per channel and two samples."""
    membrane = BasilarMembrane() if membrane is None else membrane
    return filter_at(membrane, membrane.positions(channels), length)


def filter_at(
    membrane: BasilarMembrane, positions: Float[np.ndarray, " channels"], length: int, *, dtype: type = np.complex64
) -> MembraneFilter:
    """Compute the filter of channels anywhere along the membrane for sounds of up to `length` samples.

    The frequencies are 1 Hz ... 24 kHz in length/2 + 1 even steps, as in the published conversion.
    """
    if length < 2:
        raise ValueError(f"A membrane filter for sounds of {length} samples is none: give at least 2.")
    frequency = np.linspace(1, SAMPLING_RATE / 2, length // 2 + 1)
    partner = -np.arange(frequency.size // 2 + 1) % frequency.size
    groups = np.array_split(positions, -(-positions.size // GROUP))
    rows = (row / 2 for group in groups for row in membrane.transfer(frequency, group))
    parts = [(row[: partner.size].astype(dtype), row[partner].conj().astype(dtype)) for row in rows]
    low, high = (np.stack(part) for part in zip(*parts, strict=True))
    needed = np.abs(high[:, 1:]).max(1) > np.finfo(dtype).eps * np.abs(low).max(1)
    kept = needed.size - int(needed[::-1].argmax()) if needed.any() else 0
    low[kept:, 0] *= 2  # bin 0 is its own partner
    return MembraneFilter(low, high[:kept], length)


def cached_membrane_filter(
    folder: str | pathlib.Path, channels: int, length: int, *, membrane: BasilarMembrane | None = None
) -> MembraneFilter:
    """The filter from a file in `folder`, computed and left there on first use (8 bytes per channel and ½ sample).

    The file's name carries all parameters; it appears in one step, so that no reader finds half of it.
    """
    membrane = BasilarMembrane() if membrane is None else membrane
    name = hashlib.sha256(repr((membrane, channels, length)).encode()).hexdigest()[:12]
    path = pathlib.Path(folder) / f"membrane-{channels}-channels-{length}-samples-{name}.npz"
    if not path.exists():
        found = membrane_filter(channels, length, membrane=membrane)
        with whole_file(path) as partial, partial.open("wb") as target:
            np.savez(target, low=np.asarray(found.low), high=np.asarray(found.high))
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return MembraneFilter(arrays["low"], arrays["high"], length)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"The membrane filter {path} is damaged ({error}): remove it, it is computed anew.") from error


def velocity(
    membrane: MembraneFilter, sounds: Float[Array, "*sounds samples"]
) -> Float[Array, "*sounds channels steps"]:
    """Velocity of the membrane at 24 kHz under prepared sounds of up to `length` samples at 48 kHz."""
    _check_length(membrane, sounds.shape[-1])
    spectrum = jnp.fft.rfft(sounds, membrane.length)[..., None, :].astype(membrane.low.dtype)
    partner = -np.arange(membrane.low.shape[1]) % membrane.samples
    low = jnp.asarray(membrane.low) * spectrum[..., : partner.size]
    aliased = jnp.asarray(membrane.high) * spectrum[..., partner].conj()
    folded = low.at[..., : membrane.high.shape[0], :].add(aliased)
    return jnp.fft.irfft(folded, membrane.samples)


def velocity_of_one(
    membrane: MembraneFilter, sound: Float[np.ndarray, " samples"]
) -> Float[np.ndarray, "channels steps"]:
    """The same for one sound by numpy and scipy, the quickest on a CPU; only the steps that the sound lasts."""
    _check_length(membrane, sound.size)
    spectrum = scipy.fft.rfft(sound, membrane.length).astype(membrane.low.dtype)
    partner = -np.arange(membrane.low.shape[1]) % membrane.samples
    folded = np.asarray(membrane.low) * spectrum[: partner.size]
    folded[: membrane.high.shape[0]] += np.asarray(membrane.high) * spectrum[partner].conj()
    return scipy.fft.irfft(folded, membrane.samples, overwrite_x=True)[:, : sound.size // 2 + 1]


def _check_length(membrane: MembraneFilter, samples: int) -> None:
    if samples > membrane.length:
        raise ValueError(
            f"A sound of {samples} samples ({samples / SAMPLING_RATE:.3g} s) is longer than the {membrane.length} of "
            "the membrane filter: make the filter longer, or cut the sound."
        )
