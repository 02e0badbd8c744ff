"""What holds exact gradients back on long trials: their norms, whether trials agree, how far one may follow them.

Networks, data and loss are those of `electrocardiogram`.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

import stablespike as ss
from stablespike.tasks.electrocardiograms import MarkedRecordings
from stablespike.tasks.recordings import select
from studies.electrocardiogram import Competitor, Marked, Naming, name_of, naming, setup

BASE: Mapping[str, Any] = MappingProxyType(
    {"exact": True, "hidden_rate": 5e-4, "steps": 325, "skipped": 50, "clipped": 0.2, "limit": 1.0, "loop": 0.1}
)
CONTROL = "readout alone"
CHANGES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "large steps": {"hidden_rate": 5e-3, "limit": 0.2, "apart": True},
        "driven": {"drive": 3.0, "most": 320.0},
        CONTROL: {"hidden_rate": 0.0},
    }
)


def changed(kind: str, changes: Iterable[str]) -> Competitor:
    """The exact network of `electrocardiogram` with some of the `CHANGES`, the last one in force where they differ."""
    settings = dict(BASE)
    for one in changes:
        settings |= CHANGES[one]
    return Competitor(kind, **settings)


def called(kind: str, changes: Iterable[str]) -> str:
    """What it is called: "LIF exact", "QIF exact, driven"."""
    return ", ".join([name_of(Competitor(kind, exact=True)), *changes])


def hidden_weights(network: ss.Network) -> Float[Array, " weights"]:
    """Input and recurrent weights of the hidden layer in a row."""
    return ravel_pytree(_hidden(network))[0]


def _hidden(network: Any) -> Any:
    return network.layers[0].inputs.weights, network.layers[0].loop.weights


def with_hidden_weights(network: ss.Network, weights: Float[Array, " weights"]) -> ss.Network:
    """The network with other weights, in the order of `hidden_weights`."""
    return eqx.tree_at(_hidden, network, ravel_pytree(_hidden(network))[1](weights))


class Gradients(NamedTuple):
    """The gradient of the loss of each trial, by the weights of the `hidden` layer and those of the `readout`."""

    hidden: Float[Array, "trials weights"]
    readout: Float[Array, "trials others"]


def gradients_of(loss: Naming, network: ss.Network, trials: Marked) -> Gradients:
    """The gradients of single trials; raises where a simulation failed."""
    status, found = _gradients(loss, network, trials)
    ss.raise_unless_ok(status)
    return found


@eqx.filter_jit
def _gradients(loss: Naming, network: ss.Network, trials: Marked) -> tuple[Any, Gradients]:
    def one(spikes: ss.Spikes, waves: Array) -> tuple[Any, Gradients]:
        batch = jax.tree.map(lambda leaf: leaf[None], (spikes, waves))
        bars, (status, _) = eqx.filter_grad(lambda net: loss(net, batch), has_aux=True)(network)
        return status, Gradients(hidden_weights(bars), bars.layers[1].inputs.weights.ravel())

    return jax.vmap(one)(*trials)


def some_of(marked: MarkedRecordings, trials: Iterable[int]) -> MarkedRecordings:
    """The trials of these numbers, in this order."""
    chosen = np.fromiter(trials, int)
    return MarkedRecordings(select(marked.recordings, chosen), marked.waves[chosen])


def spread(trials: Marked, number: int) -> Any:
    """So many of the pieces, evenly from the first to the last trial."""
    chosen = np.linspace(0, len(trials[1]) - 1, number).round().astype(int)
    return jax.tree.map(lambda leaf: leaf[chosen], trials)


def agreement(gradients: Float[np.ndarray, "trials weights"], splits: int = 100, seed: int = 0) -> float:
    """Cosine between the mean gradients of two halves of the trials, in the mean over random halves.

    1: trials agree; 0: what one half says of the weights is chance to the other.
    """
    generator, cosines = np.random.default_rng(seed), np.empty(splits)
    half = len(gradients) // 2
    for split in range(splits):
        order = generator.permutation(len(gradients))
        one, other = (gradients[part].mean(0) for part in (order[:half], order[half : 2 * half]))
        cosines[split] = one @ other / (np.linalg.norm(one) * np.linalg.norm(other))
    return float(cosines.mean())


def shortened(gradients: Float[np.ndarray, "trials weights"], limit: float) -> Float[np.ndarray, "trials weights"]:
    """Gradients of trials, each made as short as `limit` where it is longer; 0 leaves them."""
    norms = np.linalg.norm(gradients, axis=1, keepdims=True)
    return gradients * np.minimum(1, limit / np.maximum(norms, np.finfo(norms.dtype).tiny)) if limit else gradients


def described(gradients: Gradients, limit: float = 0.0) -> dict[str, float]:
    """Norms of a trial's gradient (root of the mean square), of their mean, and what the loudest trial is of all.

    `hidden` and `readout` are norms of single trials; `mean` that of the mean over trials of the hidden layer's;
    `loudest` the part of the sum of squares that one trial has; `agreement` and `limited agreement` are those of trials
    as they are and with the limit.
    """
    hidden, readout = (np.asarray(one, float) for one in gradients)
    squares = (hidden**2).sum(1)
    return {
        "hidden": float(np.sqrt(squares.mean())),
        "readout": float(np.sqrt((readout**2).sum(1).mean())),
        "middle": float(np.sqrt(np.median(squares))),
        "mean": float(np.linalg.norm(hidden.mean(0))),
        "loudest": float(squares.max() / squares.sum()),
        "agreement": agreement(hidden),
        "limited agreement": agreement(shortened(hidden, limit)),
        "readout agreement": agreement(readout),
    }


def exponent(lengths: Iterable[float], norms: Iterable[float]) -> float:
    """The slope of the logarithm of norms against that of lengths, by least squares."""
    return float(np.polyfit(np.log(list(lengths)), np.log(list(norms)), 1)[0])


def in_double(tree: Any) -> Any:
    """The same network or trials in double precision: losses of steps that single precision does not resolve."""
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if eqx.is_inexact_array(leaf) else leaf, tree)


@eqx.filter_jit
def losses_along(
    loss: Naming,
    network: ss.Network,
    trials: Marked,
    direction: Float[Array, " weights"],
    sizes: Float[Array, " sizes"],
) -> Float[Array, " sizes"]:
    """The loss after steps of these sizes along a direction of the hidden weights; the unit is the norm of these."""
    start = hidden_weights(network)
    unit = direction * (jnp.linalg.norm(start) / jnp.linalg.norm(direction))
    return jax.lax.map(lambda size: loss(with_hidden_weights(network, start + size * unit), trials)[0], sizes)


def on_pieces(competitor: Competitor, hidden: int, steps: int) -> Naming:
    """The loss of a competitor on pieces of so many steps, all of which count."""
    own = competitor._replace(steps=steps, skipped=0)
    return naming(own, setup(own, hidden), whole=False)
