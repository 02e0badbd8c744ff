"""Connections of networks on a grid: weights, with or without delays of whole steps."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from stablespike.dynamics.neurons.neuron import require


class Connection(eqx.Module):
    """How signals `[pre]` become what arrives at neurons `[post]`; linear in the signals.

    `history` is what the connection remembers of signals before the first one given.
    """

    weights: eqx.AbstractVar[Float[Array, "post pre"]]

    @abc.abstractmethod
    def initial_history(self) -> Any:
        """The history in which there were no signals."""

    @abc.abstractmethod
    def over_time(self, history: Any, signals: Float[Array, "steps pre"]) -> tuple[Float[Array, "steps post"], Any]:
        """What arrives in every step, and the history after the last one."""

    def __call__(self, history: Any, signal: Float[Array, " pre"]) -> tuple[Float[Array, " post"], Any]:
        """What arrives in one step, and the history after it."""
        arriving, history = self.over_time(history, signal[None])
        return arriving[0], history


class Dense(Connection):
    """Arriving = W signal, `weights` W `[post, pre]`."""

    weights: Float[Array, "post pre"]

    def __check_init__(self):
        """Refuse what is no finite matrix."""
        require_matrix(self.weights)

    def initial_history(self) -> None:
        """Nothing is remembered."""

    def over_time(self, history: None, signals: Float[Array, "steps pre"]) -> tuple[Float[Array, "steps post"], None]:
        """All steps, as one matrix product."""
        return signals @ self.weights.T, history


class Delayed(Connection):
    """Arriving_i(t) = sum_j W_ij signal_j(t - d_ij), with delays d of whole steps, at least 0.

    `weights` W `[post, pre]`; `delays` `[pre]` (one for each presynaptic neuron) or `[post, pre]` (one for each
    connection), on top of those of an undelayed connection: none from layer to layer, one step within a recurrent
    layer. The history is the last signals `[longest, pre]`, oldest first. Work per step, besides the product: a
    selection for each of the longest + 1 delays; with `[post, pre]` a product for each of them.
    """

    weights: Float[Array, "post pre"]
    delays: Int[Array, "*post pre"]
    longest: int = eqx.field(static=True)

    def __init__(
        self, weights: Float[Array, "post pre"], delays: Int[Array, "*post pre"] | Int[np.ndarray, "*post pre"]
    ):
        """`delays` must be known; inside jit that is a NumPy array."""
        if isinstance(delays, jax.core.Tracer):
            raise ValueError("delays must be known when the network is built: inside jit, give a NumPy array.")
        require(np.asarray(delays) >= 0, "delays must not be negative.")
        self.weights, self.delays = weights, jnp.asarray(delays)
        self.longest = int(np.max(np.asarray(delays), initial=0))

    def __check_init__(self):
        """Refuse delays that do not fit the weights or lie in the future."""
        require_matrix(self.weights)
        post, pre = self.weights.shape
        if self.delays.shape not in ((pre,), (post, pre)):
            raise ValueError(f"delays must have shape [{pre}] or [{post}, {pre}], not {list(self.delays.shape)}.")
        if not jnp.issubdtype(self.delays.dtype, jnp.integer):
            raise ValueError(f"delays on a grid are whole numbers of steps, not {self.delays.dtype}.")

    def initial_history(self) -> Float[Array, "longest pre"]:
        """Silence."""
        return jnp.zeros((self.longest, self.weights.shape[1]), self.weights.dtype)

    def over_time(
        self, history: Float[Array, "longest pre"], signals: Float[Array, "steps pre"]
    ) -> tuple[Float[Array, "steps post"], Float[Array, "longest pre"]]:
        """All steps: the signals shifted by each delay, as far as it applies."""
        steps, known = signals.shape[0], jnp.concatenate([history, signals])
        shifted = [known[self.longest - delay :][:steps] for delay in range(self.longest + 1)]
        applies = [self.delays == delay for delay in range(self.longest + 1)]
        if self.delays.ndim == 1:
            delayed = sum(jnp.where(here, past, 0) for here, past in zip(applies, shifted, strict=True))
            return delayed @ self.weights.T, known[steps:]
        parts = (past @ jnp.where(here, self.weights, 0).T for here, past in zip(applies, shifted, strict=True))
        return sum(parts, jnp.zeros((), signals.dtype)), known[steps:]


def require_matrix(weights) -> None:
    """Raise `ValueError` unless the weights are a matrix of finite floats."""
    if jnp.ndim(weights) != 2:
        raise ValueError(f"weights must have shape [post, pre], not {list(jnp.shape(weights))}.")
    require(jnp.isfinite(weights), "weights must be finite.")
