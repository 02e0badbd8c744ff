"""What an epoch of training costs: the processor's time and the memory of its steps, measured on the first batch."""

from typing import NamedTuple

import equinox as eqx
import jax
import optax
from jaxtyping import PyTree

import stablespike as ss
from stablespike.learning.classify import Classification, Labelled
from studies.benchmarks.harness import Cost, cost


class EpochCost(NamedTuple):
    """Processor seconds of an epoch's steps, its judging apart, and bytes that a step takes beside what it is given."""

    seconds: float
    memory: int


def step_cost(
    loss: Classification,
    optimiser: optax.GradientTransformation,
    network: ss.Network,
    batch: Labelled,
    repeats: int = 3,
) -> Cost:
    """The harness's cost of one training step, compiled as a whole; the network stays as it is."""
    init, update = ss.gradient_training(loss, optimiser)
    arrays, rest = eqx.partition(init(network, jax.random.key(0)), eqx.is_array)

    def step(arrays: PyTree, batch: Labelled) -> PyTree:
        return eqx.filter(update(eqx.combine(arrays, rest), batch)[0], eqx.is_array)

    return cost((step, (arrays, batch)), repeats=repeats)


def epoch_cost(
    loss: Classification,
    optimiser: optax.GradientTransformation,
    network: ss.Network,
    trials: Labelled,
    batch_size: int,
    repeats: int = 3,
) -> EpochCost:
    """The cost of an epoch: so many steps as there are whole batches, each the median of `repeats` of the first one.

    Events cost what there are of them: a trained network and one at its start differ.
    """
    batch = jax.tree.map(lambda leaf: leaf[:batch_size], trials)
    one = step_cost(loss, optimiser, network, batch, repeats)
    return EpochCost(one.processor_median * (trials[1].shape[0] // batch_size), one.memory)
