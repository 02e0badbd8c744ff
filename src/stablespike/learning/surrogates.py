"""Surrogate derivatives: a spike that is exact forwards and has a made-up slope backwards.

The argument of all of them is the distance to threshold v, in units of the threshold. The forward pass does not depend
on the choice: it is the same Heaviside function. All slopes but `MultiGaussian`, which is made of densities, are 1 at
threshold, so that a larger sharpness means a narrower slope, not a higher one; published scales are put back by
`Scaled`, and grids of different steps made comparable by `PerTime`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from stablespike.dynamics.arguments import Told, require_made, require_number
from stablespike.dynamics.neurons.neuron import Scalar, require

Slope = Callable[[Float[Array, "..."]], Float[Array, "..."]]


def _require_positive(**values: Scalar) -> None:
    """Raise `ValueError` that names the first of the values that is not positive and finite."""
    for name, value in values.items():
        require_number(name, value)
        require((value > 0) & (value < jnp.inf), f"{name} must be positive and finite, not {value}.")


class SurrogateSpike(Told):
    """H(v) with the derivative `slope(v)`; H(0) = 1.

    The derivative is taken by this rule in forward and in reverse mode, and to any order by differentiating `slope`.
    Within a loop (`lax.scan`) an inner derivative must be taken in forward mode (`jax.jvp`): of `jax.grad`, `jax.vjp`
    or `jax.linearize` of a loop, JAX 0.10 takes further derivatives with spikes that have none.
    """

    slope: Slope

    def __check_init__(self) -> None:
        """Refuse the class of a slope."""
        require_made("slope", self.slope)

    def __call__(self, v: Float[Array, "..."]) -> Float[Array, "..."]:
        """Spikes (0 or 1) where v >= 0, of the type of v."""
        return _spike(v, self.slope(v))


@jax.custom_jvp
def _spike(v: Array, slope_at_v: Any) -> Array:
    del slope_at_v
    return (v >= 0).astype(v.dtype)


@_spike.defjvp
def _spike_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Any]:
    v, slope_at_v = primals
    return _spike(v, slope_at_v), slope_at_v * tangents[0]


class Scaled(Told):
    """`factor` times a `slope`: the dampening factor 0.3 of Bellec et al. (2018), say."""

    slope: Slope
    factor: float

    def __call__(self, v: Float[Array, "..."]) -> Float[Array, "..."]:
        """The derivative at v."""
        return self.factor * self.slope(v)


class PerTime(Told):
    """(dt/step) times a `slope`: on a grid of steps of `dt` what `slope` is on one of `step`, in units of time.

    A slope alone is felt once a step, so that finer grids, with more steps near threshold, have gradients that grow
    faster; so scaled, its sum over the steps of a crossing and with it the exponents keep a limit as `dt` goes to 0.
    """

    slope: Slope
    dt: Scalar
    step: Scalar

    def __check_init__(self) -> None:
        """Refuse steps that are none."""
        require_made("slope", self.slope)
        _require_positive(dt=self.dt, step=self.step)

    def __call__(self, v: Float[Array, "..."]) -> Float[Array, "..."]:
        """The derivative at v."""
        return self.dt / self.step * self.slope(v)


class SuperSpike(Told):
    """1/(1 + sharpness |v|)^2, of integral 2/sharpness (Zenke & Ganguli 2018)."""

    sharpness: Scalar = 10.0

    def __check_init__(self) -> None:
        """Refuse a slope that has no width."""
        _require_positive(sharpness=self.sharpness)

    def __call__(self, v: Float[Array, "..."]) -> Float[Array, "..."]:
        """The derivative at v."""
        return 1 / (1 + self.sharpness * jnp.abs(v)) ** 2


class Sigmoid(Told):
    """4 s (1 - s), s the logistic function of sharpness v (its derivative, scaled to 1), of integral 4/sharpness."""

    sharpness: Scalar = 10.0

    def __check_init__(self) -> None:
        """Refuse a slope that has no width."""
        _require_positive(sharpness=self.sharpness)

    def __call__(self, v: Float[Array, "..."]) -> Float[Array, "..."]:
        """The derivative at v."""
        s = jax.nn.sigmoid(self.sharpness * v)
        return 4 * s * (1 - s)


class Arctan(Told):
    """1/(1 + (sharpness v)^2), of integral pi/sharpness (Fang et al. 2021)."""

    sharpness: Scalar = 10.0

    def __check_init__(self) -> None:
        """Refuse a slope that has no width."""
        _require_positive(sharpness=self.sharpness)

    def __call__(self, v: Float[Array, "..."]) -> Float[Array, "..."]:
        """The derivative at v."""
        return 1 / (1 + (self.sharpness * v) ** 2)


class Triangle(Told):
    """max(0, 1 - sharpness |v|), of integral 1/sharpness (Bellec et al. 2018)."""

    sharpness: Scalar = 1.0

    def __check_init__(self) -> None:
        """Refuse a slope that has no width."""
        _require_positive(sharpness=self.sharpness)

    def __call__(self, v: Float[Array, "..."]) -> Float[Array, "..."]:
        """The derivative at v."""
        return jnp.maximum(0, 1 - self.sharpness * jnp.abs(v))


class Gaussian(Told):
    """exp(-(sharpness v)^2 / 2), of integral sqrt(2 pi)/sharpness."""

    sharpness: Scalar = 2.0

    def __check_init__(self) -> None:
        """Refuse a slope that has no width."""
        _require_positive(sharpness=self.sharpness)

    def __call__(self, v: Float[Array, "..."]) -> Float[Array, "..."]:
        """The derivative at v."""
        return jnp.exp(-((self.sharpness * v) ** 2) / 2)


class MultiGaussian(Told):
    """(1 + h) G(v; 0, width) - h G(v; width, s width) - h G(v; -width, s width), G normal densities (Yin et al. 2021).

    `depth` is h, `ratio` is s. The derivative is negative away from the threshold. A sum of densities, of integral
    1 - h; not 1 at v = 0.
    """

    width: Scalar = 0.5
    depth: Scalar = 0.15
    ratio: Scalar = 6.0

    def __check_init__(self) -> None:
        """Refuse densities without a width."""
        _require_positive(width=self.width, ratio=self.ratio)

    def __call__(self, v: Float[Array, "..."]) -> Float[Array, "..."]:
        """The derivative at v."""

        def density(mean: Any, deviation: Any) -> Array:
            return jax.scipy.stats.norm.pdf(v, mean, deviation)

        sides = density(self.width, self.ratio * self.width) + density(-self.width, self.ratio * self.width)
        return (1 + self.depth) * density(0.0, self.width) - self.depth * sides
