"""Networks that hear with a surrogate gradient, whose neurons differ in their time constants, fixed or trained."""

import math
import pathlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key, PyTree

import stablespike as ss
from stablespike.learning.classify import Labelled
from stablespike.learning.training import TrainingState
from studies.networks_that_hear import Competitor, Hearing, Learning, hearing_network, hearing_task

SURROGATE = Competitor(exact=False)


class Membranes(NamedTuple):
    """Time constants of the hidden membranes in s, drawn evenly by their logarithm; those of synapses are half of them.

    `rate` is that of Adam for their logarithms, 0 where they stay; they stay within a factor of `bound` of the ends.
    """

    fastest: float = 0.02
    slowest: float = 0.02
    rate: float = 0.0
    bound: float = 1.25


def name_of(membranes: Membranes) -> str:
    """What networks with these are called: "20 ms", "20 to 100 ms", "20 to 100 ms, trained"."""
    ends = dict.fromkeys(f"{1000 * end:g}" for end in (membranes.fastest, membranes.slowest))
    return f"{' to '.join(ends)} ms{', trained' if membranes.rate else ''}"


def network_of(key: Key[Array, ""], membranes: Membranes, hearing: Hearing, channels: int, classes: int) -> ss.Network:
    """The network at the start: that of `hearing_network`, each neuron with a time constant of its own."""
    network = hearing_network(key, SURROGATE, hearing, channels, classes)
    ratio = math.log(membranes.slowest / membranes.fastest)
    drawn = jax.random.uniform(jax.random.fold_in(key, 1), (hearing.hidden,))
    constants = (membranes.fastest * jnp.exp(ratio * drawn)).astype(jnp.float32)
    return eqx.tree_at(lambda one: one.layers[0].neuron, network, ss.LIF(constants))


def optimiser(membranes: Membranes, learning: Learning, steps: int) -> optax.GradientTransformation:
    """Adam for weights as in `networks_that_hear`, and for the logarithms of time constants.

    Rates fall to 0 by half a cosine.
    """

    def adam(rate: float) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(rate, steps))

    parts = {"hidden": adam(learning.hidden_rate), "readout": adam(learning.readout_rate)}
    in_logarithms = optax.chain(_scaled(), adam(membranes.rate), _within(membranes))
    parts["constants"] = in_logarithms if membranes.rate else optax.set_to_zero()
    return optax.partition(parts, _names)


def _scaled() -> optax.GradientTransformation:
    """Derivatives by the logarithms of the parameters."""
    return optax.stateless(lambda updates, params: jax.tree.map(jnp.multiply, updates, params))


def _within(membranes: Membranes) -> optax.GradientTransformation:
    """Steps of the logarithms as steps of the parameters, which end within their bounds."""
    low, high = membranes.fastest / membranes.bound, membranes.slowest * membranes.bound

    def moved(step: Array, at: Array) -> Array:
        return (jnp.clip(at * jnp.exp(step), low, high) - at).astype(at.dtype)

    return optax.stateless(lambda updates, params: jax.tree.map(moved, updates, params))


def _names(network: PyTree) -> PyTree:
    """The part that each array of a network belongs to."""

    def name(path: Any, _: Any) -> str:
        if path[1].idx == 1:
            return "readout"
        return "constants" if path[2].name == "neuron" else "hidden"

    return jax.tree_util.tree_map_with_path(name, network)


def train(
    membranes: Membranes,
    training: Labelled,
    *,
    channels: int,
    classes: int,
    seed: int,
    hearing: Hearing,
    learning: Learning,
    evaluate: Callable[[ss.Network], dict[str, Any]],
    checkpoint: pathlib.Path | str | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> tuple[TrainingState, list[dict[str, Any]]]:
    """One network, trained and evaluated after every epoch; goes on from its checkpoint."""
    start = network_of(jax.random.key(seed), membranes, hearing, channels, classes)
    steps = learning.epochs * (training[1].shape[0] // learning.batch_size)
    init, update = ss.gradient_training(hearing_task(SURROGATE, hearing), optimiser(membranes, learning, steps))
    return ss.fit(
        update, init(start, jax.random.key(1000 + seed)), training, epochs=learning.epochs,
        batch_size=learning.batch_size, evaluate=evaluate, checkpoint=checkpoint, progress=progress,
        identity=f"{membranes} {hearing} {learning} {seed}",
    )  # fmt: skip
