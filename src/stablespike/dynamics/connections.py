"""Connections: dense, sparse or delayed weights, post index first; the same objects by events and on a grid."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from stablespike.dynamics.arguments import Told, is_number, shown
from stablespike.dynamics.neurons.neuron import Scalar, require
from stablespike.dynamics.sparse_weights import SparseWeights

LONGEST = 10_000  # steps of a delay on a grid


class Connection(Told):
    """How signals `[pre]` become what arrives at neurons `[post]`; linear in the signals.

    `history` is what the connection remembers of signals before the first one given.
    """

    weights: eqx.AbstractVar[Any]

    @property
    def shape(self) -> tuple[int, int]:
        """(post, pre)."""
        if isinstance(self.weights, SparseWeights):
            return self.weights.size, self.weights.channels
        return self.weights.shape

    @property
    def dtype(self) -> Any:
        """Floating-point type of the weights."""
        return jnp.result_type(self.weights.values if isinstance(self.weights, SparseWeights) else self.weights)

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

    def __check_init__(self) -> None:
        """Refuse what is no finite matrix."""
        require_matrix(self.weights)

    def initial_history(self) -> None:
        """Nothing is remembered."""

    def over_time(self, history: None, signals: Float[Array, "steps pre"]) -> tuple[Float[Array, "steps post"], None]:
        """All steps, as one matrix product."""
        return signals @ self.weights.T, history


class DelayedSteps(Connection):
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
    ) -> None:
        """`delays` must be known; inside jit that is a NumPy array."""
        if isinstance(delays, jax.core.Tracer):
            raise ValueError("delays must be known when the network is built: inside jit, give a NumPy array.")
        require(np.asarray(delays) >= 0, "delays must not be negative.")
        self.weights, self.delays = weights, jnp.asarray(delays)
        self.longest = int(np.max(np.asarray(delays), initial=0))
        require_few_steps(float(self.longest))

    def __check_init__(self) -> None:
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


class Delayed(Connection):
    """Weights W `[post, pre]` whose signals arrive after `delays`, in the unit of the time constants, not negative.

    `delays` are `[pre]` (one for each presynaptic neuron or channel) or `[post, pre]` (one for each connection), on top
    of the step that a recurrent connection on a grid has anyway; there they are rounded to whole steps. `within`
    (shortest, longest) bounds them: what an engine plans by, so that delays may be trained between the two; by default
    they are bounded by what they are now.
    """

    weights: Float[Array, "post pre"]
    delays: Float[Array, "*post pre"]
    within: tuple[float, float] = eqx.field(static=True)

    def __init__(
        self,
        weights: Float[Array, "post pre"],
        delays: Float[Array, "*post pre"],
        within: tuple[float, float] | None = None,
    ) -> None:
        """`within` may be left out where the delays are known: outside jit."""
        if within is None:
            if isinstance(delays, jax.core.Tracer):
                raise ValueError(
                    "inside jit, where delays are unknown, give their range: `within=(shortest, longest)`."
                )
            require_matrix(weights)
            require_floats(delays, "delays")
            if not jnp.size(delays):
                raise ValueError("delays must be at least one.")
            within = float(jnp.min(delays)), float(jnp.max(delays))
        self.weights, self.delays, self.within = weights, delays, within

    def __check_init__(self) -> None:
        """Refuse delays that do not fit the weights or lie in the future."""
        require_matrix(self.weights)
        require_floats(self.delays, "delays")
        post, pre = self.weights.shape
        if self.delays.shape not in ((pre,), (post, pre)):
            raise ValueError(f"delays must have shape [{pre}] or [{post}, {pre}], not {list(self.delays.shape)}.")
        if not isinstance(self.within, tuple) or len(self.within) != 2 or not all(map(is_number, self.within)):
            raise ValueError(f"within must be a pair (shortest, longest) of numbers, not {shown(self.within)}.")
        low, high = self.within
        if not 0 <= low <= high < np.inf:
            raise ValueError(f"delays must be finite and not negative: they cannot lie within {self.within}.")
        require((self.delays >= low) & (self.delays <= high), f"delays must lie within {self.within}.")

    def in_steps(self, dt: Scalar) -> DelayedSteps:
        """The same connection on a grid."""
        if isinstance(self.delays, jax.core.Tracer):
            raise ValueError("delays on a grid are whole steps: they cannot be trained, or unknown inside jit.")
        steps = np.rint(np.asarray(self.delays) / dt)
        require_few_steps(float(steps.max(initial=0)))
        return DelayedSteps(self.weights, steps.astype(int))

    def initial_history(self) -> Any:
        """There is none until the step is known."""
        raise ValueError("delays become whole steps when a network is put on a grid: use `in_steps(dt)`.")

    def over_time(self, history: Any, signals: Float[Array, "steps pre"]) -> tuple[Float[Array, "steps post"], Any]:
        """Not without the step."""
        return self.initial_history()


class Sparse(Connection):
    """Sparse weights, as `fixed_in_degree`, `from_matrix` and `from_sources` make them: a spike costs its targets.

    By events the network is simulated spike by spike, at up to millions of neurons; on a grid a step costs all
    connections.
    """

    weights: SparseWeights

    def __check_init__(self) -> None:
        """Refuse what is no sparse matrix."""
        if not isinstance(self.weights, SparseWeights):
            raise ValueError(
                f"Sparse takes what `fixed_in_degree`, `from_matrix` or `from_sources` makes, not "
                f"{shown(self.weights)}."
            )

    def initial_history(self) -> None:
        """Nothing is remembered."""

    def over_time(self, history: None, signals: Float[Array, "steps pre"]) -> tuple[Float[Array, "steps post"], None]:
        """All steps: every connection adds what its source sends."""
        weights = self.weights
        sources = jnp.repeat(
            jnp.arange(weights.channels), jnp.diff(weights.starts), total_repeat_length=weights.connections
        )
        sent = weights.values * signals[:, sources]
        arriving = jnp.zeros((signals.shape[0], weights.size), sent.dtype).at[:, weights.targets].add(sent)
        return arriving, history


def require_few_steps(longest: float) -> None:
    """Raise `ValueError` for a delay of more steps than a grid can take: each of them is work in every step."""
    if longest > LONGEST:
        raise ValueError(
            f"delays on a grid must be at most {LONGEST} steps, each of which is work, not {longest:g}: give them in "
            "the unit of dt, or take a larger dt."
        )


def require_floats(array: Any, name: str) -> None:
    """Raise `ValueError` unless something is an array of floating-point numbers."""
    kind = getattr(array, "dtype", type(array).__name__)
    if not hasattr(array, "dtype") or not is_number(array) or not jnp.issubdtype(kind, jnp.floating):
        raise ValueError(
            f"{name} must be an array of floating-point numbers, as `jnp.asarray({name}, float)`, not {kind}."
        )


def require_matrix(weights: Any) -> None:
    """Raise `ValueError` unless the weights are a matrix of finite floats."""
    require_floats(weights, "weights")
    if jnp.ndim(weights) != 2:
        raise ValueError(f"weights must have shape [post, pre], not {list(jnp.shape(weights))}.")
    require(jnp.isfinite(weights), "weights must be finite.")
