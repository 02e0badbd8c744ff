"""Exact networks from weak to strong coupling: exponents, growth of gradients, and what a finite push does to them."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

import stablespike as ss
from stablespike.dynamics.status import SimulationError, Status, raise_unless_ok
from stablespike.stability.event_tangent import EventNetworkState
from stablespike.stability.lyapunov import kaplan_yorke_dimension
from stablespike.stability.steps import EventWindow
from stablespike.tasks.poisson import poisson_spikes
from studies.gradients_through_time import growth_of_gradients, growth_rate

NEURONS = {"LIF": ss.LIF, "QIF": ss.QIF}
DIRECTIONS = 8  # of pushes of one size


class Coupling(NamedTuple):
    """A recurrent network and its input. Times in tau, rates in spikes per tau and channel.

    Recurrent weights are `loop`/sqrt(neurons) times numbers of mean -`inhibition` and deviation `deviation`, each
    connection present with probability `present`, the others stronger by as much; input weights of a neuron have the
    mean that gives a current of `mean` plus `inhibition` `loop` sqrt(neurons) `balance`, against which inhibition acts,
    and the deviation `spread`/sqrt(channels).
    """

    loop: float
    neurons: int = 32
    inhibition: float = 1.0
    deviation: float = 0.5
    present: float = 1.0
    channels: int = 20
    rate: float = 2.0
    mean: float = 8.0
    spread: float = 4.0
    balance: float = 1.0


def coupled_network(key: Key[Array, ""], neuron: str, one: Coupling) -> ss.Network:
    """A layer of these neurons (tau = 1), recurrent."""
    keys, size = jax.random.split(key, 3), (one.neurons, one.neurons)
    current = one.mean + one.inhibition * one.balance * one.loop * math.sqrt(one.neurons)
    inputs = current / (one.rate * one.channels) + one.spread / math.sqrt(one.channels) * jax.random.normal(
        keys[0], (one.neurons, one.channels)
    )
    numbers = -one.inhibition + one.deviation * jax.random.normal(keys[1], size)
    there = jax.random.bernoulli(keys[2], one.present, size) & ~jnp.eye(one.neurons, dtype=bool)
    loop = one.loop / math.sqrt(one.neurons) * jnp.where(there, numbers / one.present, 0)
    return ss.Network(ss.Layer(NEURONS[neuron](1.0), ss.Dense(inputs), ss.Dense(loop)))


def step_of(neuron: str, one: Coupling, seed: int, budget: int) -> EventWindow:
    """The network as a step of one tau."""
    network = coupled_network(jax.random.key(seed), neuron, one)
    step = ss.as_step(network, on=ss.Events(budget), window=1.0)
    assert isinstance(step, EventWindow)
    return step


def inputs_of(one: Coupling, seed: int, windows: int) -> ss.Spikes:
    """Poisson input of so many windows."""
    return poisson_spikes(np.random.default_rng(seed), one.rate, one.channels, float(windows))


def row_of(
    neuron: str, one: Coupling, seed: int, *, windows: int, transient: int, delay: int, budget: int
) -> dict[str, Any]:
    """Exponents of one run, the growth of gradients over `delay` windows of another, and why there are none.

    `dimension` is that of Kaplan and Yorke per degree of freedom, `positive` the part of exponents above zero, `norm`
    the root mean square of the gradient after the delay of a loss with gradient 1 at its end. A network that is silent
    or runs away, beyond a budget of so many spikes of a neuron in a window, is a row with its reason.
    """
    step = step_of(neuron, one, seed, budget)
    names = {"neuron": neuron, "seed": seed} | one._asdict()
    drives, freedoms = step.drives(inputs_of(one, seed, windows), windows), 2 * one.neurons
    key = jax.random.key(seed)
    options = {"transient": transient, "count": freedoms, "blocks": 8, "duration": step.duration}
    try:
        found = ss.lyapunov_spectrum(step, step.rest(), drives, key=key, **options)
        rate = step.require_ran(found.state.system, windows)
        growth = growth_of_gradients(step, inputs_of(one, 1000 + seed, delay), delay)
    except (SimulationError, ValueError) as error:
        return names | {"reason": str(error)}
    exponents = np.asarray(found.exponents)
    return names | {
        "rate": rate,
        "exponent": float(exponents[0]),
        "error": float(found.standard_errors[0]),
        "positive": float((exponents > 0).mean()),
        "dimension": float(kaplan_yorke_dimension(found.exponents)) / freedoms,
        "growth": growth_rate(growth, delay / 3),
        "norm": float(growth.norm[-1]),
        "reason": "",
    }


@eqx.filter_jit
def _runs(
    step: EventWindow, starts: Array, drives: ss.Spikes
) -> tuple[Float[Array, "runs windows neurons"], Array, Array]:
    """Currents at the end of each window, from the coordinates `starts` of each run; the last ones; flags."""
    rest = step.rest()

    def one(state: EventNetworkState, drive: ss.Spikes) -> tuple[EventNetworkState, Array]:
        after = step(state, drive)
        return after, after.coordinates[:, 1]

    def run(start: Array) -> tuple[Array, Array, Array]:
        last, currents = jax.lax.scan(one, eqx.tree_at(lambda state: state.coordinates, rest, start), drives)
        return currents, last.coordinates, last.flags

    return jax.vmap(run)(starts)


def pushed(
    neuron: str, one: Coupling, seed: int, sizes: Sequence[float], *, transient: int, windows: int, budget: int
) -> list[dict[str, Any]]:
    """How far runs are apart, `windows` after their currents were pushed, in units of the currents' deviation in time.

    A row for each of `sizes`, in the same units, and for each of `DIRECTIONS` random directions; the distance is the
    root mean square over neurons and the last quarter of the windows. Raises `SimulationError` for an exhausted budget.
    """
    step = step_of(neuron, one, seed, budget)
    drives = step.drives(inputs_of(one, seed, transient + windows), transient + windows)
    before, after = (jax.tree.map(lambda leaf, part=part: leaf[part], drives) for part in _parts(transient))
    currents, start, flags = _runs(step, step.rest().coordinates[None], before)
    deviation = currents[0].std(0).mean()
    directions = jax.random.normal(jax.random.key(seed), (DIRECTIONS, one.neurons))
    pushes = deviation * jnp.concatenate([jnp.zeros((1, one.neurons)), *(size * directions for size in sizes)])
    runs, _, more = _runs(step, start[0][None].repeat(len(pushes), 0).at[:, :, 1].add(pushes), after)
    failed = jnp.bitwise_or.reduce(jnp.concatenate([flags, more]))
    raise_unless_ok(Status(failed, jnp.asarray(float(transient + windows)), budget, "budget"))
    apart = jnp.sqrt(jnp.mean((runs[1:] - runs[0])[:, -(windows // 4) :] ** 2, (1, 2))) / deviation
    names = {"neuron": neuron, "seed": seed, "loop": one.loop}
    return [
        names | {"size": size, "distance": float(far)}
        for size, far in zip(np.repeat(sizes, DIRECTIONS).tolist(), apart, strict=True)
    ]


def _parts(transient: int) -> tuple[slice, slice]:
    return slice(None, transient), slice(transient, None)
