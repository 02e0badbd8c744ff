"""Networks: layers of neurons and their connections, post index first; and the forms in which engines take them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from stablespike.dynamics.arguments import Told, shown
from stablespike.dynamics.connections import Connection
from stablespike.dynamics.grid.cells import Cell
from stablespike.dynamics.neurons.neuron import AbstractNeuron, require, require_population
from stablespike.dynamics.neurons.readout import Readout
from stablespike.native.conventions import Flag


class Layer(Told):
    """Neurons with connections from below (`inputs`; the first layer: from the channels) and among themselves (`loop`).

    `neuron` is any neuron of the package, with parameters that are numbers or arrays `[neurons]`; a `LeakyReadout` or
    `ShapedReadout`; or a `Cell`, which exists on a grid only. The connections are `Dense`, `Sparse` or `Delayed`.
    """

    neuron: Any
    inputs: Connection
    loop: Connection | None = None

    def __check_init__(self) -> None:
        """Refuse what is no neuron or connection, and parts that do not fit."""
        if not isinstance(self.neuron, AbstractNeuron | Readout | Cell):
            raise ValueError(f"a layer is made of a neuron such as QIF(), not of {shown(self.neuron)}.")
        for name, one in (("inputs", self.inputs), ("loop", self.loop)):
            if not isinstance(one, Connection) and (name == "inputs" or one is not None):
                raise ValueError(f"{name} of a layer must be Dense(weights), Sparse or Delayed, not {shown(one)}.")
        if not self.size:
            raise ValueError("a layer needs at least one neuron: its weights have shape [0, ...].")
        if self.loop is not None and self.loop.shape != (self.size, self.size):
            raise ValueError(
                f"the loop of a layer of {self.size} neurons must have shape [{self.size}, {self.size}], not "
                f"{list(self.loop.shape)}."
            )
        if self.loop is not None and isinstance(self.neuron, Readout):
            raise ValueError("a readout has no loop: it sends out voltages, not spikes.")
        if isinstance(self.neuron, AbstractNeuron):
            require_population(self.neuron, self.size)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.inputs.shape[0]


class Network(Told):
    """Layers one above the other: `Network(Layer(...), Layer(...))`. What runs it, and how, is said to `simulate`."""

    layers: tuple[Layer, ...]

    def __init__(self, *layers: Layer) -> None:
        """The layers, from the input to the output."""
        self.layers = layers

    def __check_init__(self) -> None:
        """Refuse layers that do not fit together."""
        wrong = [one for one in self.layers if not isinstance(one, Layer)]
        if not self.layers or wrong:
            given = f", not of {shown(wrong[0])}" if wrong else ""
            how = (
                "one by one, as Network(*layers)"
                if wrong and isinstance(wrong[0], list | tuple)
                else ("Network(Layer(neuron, Dense(weights)), ...)")
            )
            raise ValueError(f"a network is made of layers{given}: give {how}.")
        for below, above in zip(self.layers[:-1], self.layers[1:], strict=True):
            if above.inputs.shape[1] != below.size:
                raise ValueError(
                    f"a layer of {below.size} neurons cannot feed weights of shape {list(above.inputs.shape)} [post, "
                    "pre]."
                )

    @property
    def channels(self) -> int:
        """Number of input channels."""
        return self.layers[0].inputs.shape[1]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of neurons of each layer."""
        return tuple(layer.size for layer in self.layers)


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

    def __check_init__(self) -> None:
        """Refuse shapes that do not fit and weights or delays that cannot be meant."""
        if self.weights.ndim != 2 or self.weights.shape[0] != self.weights.shape[1]:
            raise ValueError(f"weights must have shape [neurons, neurons], not {list(self.weights.shape)}.")
        if self.input_weights.ndim != 2 or self.input_weights.shape[0] != self.size:
            raise ValueError(
                f"input_weights must have shape [{self.size}, channels], not {list(self.input_weights.shape)}."
            )
        require_population(self.neuron, self.size)
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

    def __check_init__(self) -> None:
        """Refuse layers that do not fit together."""
        for below, above in zip(self.weights[:-1], self.weights[1:], strict=True):
            if above.shape[1] != below.shape[0]:
                raise ValueError(
                    f"a layer of {below.shape[0]} neurons cannot feed weights of shape {list(above.shape)} [post, pre]."
                )
        for weights in self.weights:
            require(jnp.isfinite(weights), "weights must be finite.")
        require_population(self.neuron, sum(self.sizes))

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
    sane = jnp.all(jnp.isfinite(network.weights)) & jnp.all(jnp.isfinite(network.input_weights))
    if network.delays is not None:
        sane &= jnp.all(jnp.isfinite(network.delays) & (network.delays >= 0))
    return parameter_flags(network.neuron) | jnp.where(sane, 0, int(Flag.WEIGHTS))


def parameter_flags(neuron: AbstractNeuron) -> Int[Array, ""]:
    """The flag of parameters that cannot be meant, also known inside jit."""
    allowed = jnp.array(True)
    for condition, _ in neuron.requirements():
        allowed &= jnp.all(condition)
    return jnp.where(allowed, 0, int(Flag.PARAMETERS))


def of_its_own(solution: Any, neuron: AbstractNeuron, variables: int) -> Any:
    """What kernels give in which a neuron carried its parameters: its own states, and the flag of its parameters."""
    flags = solution.status.flags | parameter_flags(neuron)
    parts = solution.state[..., :variables], flags
    return eqx.tree_at(lambda one: (one.state, one.status.flags), solution, parts)
