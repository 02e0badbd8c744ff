"""Networks: a population of one neuron model with recurrent and input weights, post index first."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from stablespike.dynamics.neurons.neuron import AbstractNeuron, require
from stablespike.native.conventions import Flag


class Recurrent(eqx.Module):
    """Recurrent network of `neurons` neurons with `channels` input channels.

    `weights` `[post, pre]` and `input_weights` `[post, channel]` are jumps in the unit that the neuron's `jump` takes.
    `delays` of the recurrent connections, in the unit of time: None (instantaneous), `[pre]` (one per presynaptic
    neuron) or `[post, pre]` (one per connection); not negative, trainable. At most `max_pending` spikes of the whole
    network are under way at a time.
    """

    neuron: AbstractNeuron
    weights: Float[Array, "post pre"]
    input_weights: Float[Array, "post channel"]
    delays: Float[Array, "*post pre"] | None = None
    max_pending: int = eqx.field(default=64, static=True)

    def __check_init__(self):
        """Refuse shapes that do not fit and weights or delays that cannot be meant."""
        if self.weights.ndim != 2 or self.weights.shape[0] != self.weights.shape[1]:
            raise ValueError(f"weights must have shape [neurons, neurons], not {list(self.weights.shape)}.")
        if self.input_weights.ndim != 2 or self.input_weights.shape[0] != self.size:
            raise ValueError(
                f"input_weights must have shape [{self.size}, channels], not {list(self.input_weights.shape)}."
            )
        _require_population(self.neuron, self.size)
        require(jnp.isfinite(self.weights), "weights must be finite.")
        require(jnp.isfinite(self.input_weights), "input_weights must be finite.")
        if self.delays is not None:
            if self.delays.shape not in ((self.size,), (self.size, self.size)):
                raise ValueError(f"delays must have shape [{self.size}] or [{self.size}, {self.size}].")
            require(jnp.isfinite(self.delays) & (self.delays >= 0), "delays must be finite and not negative.")

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.weights.shape[0]


class Layered(eqx.Module):
    """Feed-forward network: `weights[l]` `[post, pre]` leads into layer l, the first from the input channels."""

    neuron: AbstractNeuron
    weights: tuple[Float[Array, "_ _"], ...]

    def __check_init__(self):
        """Refuse layers that do not fit together."""
        for below, above in zip(self.weights[:-1], self.weights[1:], strict=True):
            if above.shape[1] != below.shape[0]:
                raise ValueError(
                    f"a layer of {below.shape[0]} neurons cannot feed weights of shape {list(above.shape)} [post, pre]."
                )
        for weights in self.weights:
            require(jnp.isfinite(weights), "weights must be finite.")
        _require_population(self.neuron, sum(self.sizes))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of neurons of each layer."""
        return tuple(weights.shape[0] for weights in self.weights)

    def layer_neuron(self, layer: int) -> AbstractNeuron:
        """The neurons of one layer; heterogeneous parameters `[all neurons]` are cut to it."""
        start = sum(self.sizes[:layer])
        stop = start + self.sizes[layer]
        return jax.tree.map(lambda leaf: leaf[start:stop] if jnp.ndim(leaf) else leaf, self.neuron)

    def as_recurrent(self) -> Recurrent:
        """The same network as one population, layers one after the other."""
        size, first = sum(self.sizes), self.sizes[0]
        weights = jnp.zeros((size, size), self.weights[0].dtype)
        row, column = first, 0
        for block in self.weights[1:]:
            weights = weights.at[row : row + block.shape[0], column : column + block.shape[1]].set(block)
            row, column = row + block.shape[0], column + block.shape[1]
        channels = self.weights[0].shape[1]
        input_weights = jnp.zeros((size, channels), weights.dtype).at[:first].set(self.weights[0])
        return Recurrent(self.neuron, weights, input_weights)


def network_flags(network: Recurrent) -> Int[Array, ""]:
    """Flags of parameters, weights and delays that cannot be meant, also known inside jit."""
    allowed = jnp.array(True)
    for condition, _ in network.neuron.requirements():
        allowed &= jnp.all(condition)
    sane = jnp.all(jnp.isfinite(network.weights)) & jnp.all(jnp.isfinite(network.input_weights))
    if network.delays is not None:
        sane &= jnp.all(jnp.isfinite(network.delays) & (network.delays >= 0))
    return jnp.where(allowed, 0, int(Flag.PARAMETERS)) | jnp.where(sane, 0, int(Flag.WEIGHTS))


def _require_population(neuron: AbstractNeuron, size: int) -> None:
    for leaf in jax.tree.leaves(neuron):
        if jnp.ndim(leaf) and jnp.shape(leaf) != (size,):
            raise ValueError(
                f"parameters of {type(neuron).__name__} must be numbers or have shape [{size}], "
                f"not {list(jnp.shape(leaf))}."
            )
