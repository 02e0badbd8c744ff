"""Gradients of networks on a grid against a backward pass that is written out by hand."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.dynamics import grid_by_hand as by_hand

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.cells import GridLeakyReadout, GridLIF
from stablespike.dynamics.grid.network import GridNetwork, Layer, run_on_grid
from stablespike.dynamics.grid.resets import (
    Detached,
    NewCurrent,
    NoReset,
    OldCurrent,
    ResetBeforeInput,
    ResetBySubtraction,
    ResetToZero,
    Unfelt,
)
from stablespike.learning import surrogates as surrogate

NAMES = tuple(by_hand.SLOPES)
RESETS = {
    "none": NoReset(), "zero": ResetToZero(), "before input": ResetBeforeInput(), "subtraction": ResetBySubtraction(),
}  # fmt: skip
FELT = {"full": lambda reset: reset, "detached": Detached, "unfelt": Unfelt}
ORDERS = {"new": NewCurrent(), "old": OldCurrent()}
CASES = [(reset, felt) for reset, felt in itertools.product(RESETS, FELT) if reset != "none" or felt == "full"]


class OneOf(eqx.Module):
    """Several functions of which one has the weight 1 and the others 0, so that all share one compilation."""

    functions: tuple = eqx.field(static=True)
    weights: jax.Array

    def __call__(self, *arguments):
        return sum(w * f(*arguments) for w, f in zip(self.weights, self.functions, strict=True))


def one_of(functions, place):
    return OneOf(tuple(functions), jax.nn.one_hot(place, len(functions)))


def spike_number(place):
    return surrogate.SurrogateSpike(one_of([getattr(surrogate, name)() for name in NAMES], place))


def network_of(p, spike, reset, driving):
    lif = GridLIF(p["membrane"], p["synapse"], p["dt"], p["threshold"], spike, reset, driving)
    readout = GridLeakyReadout(p["readout"], p["dt"])
    return GridNetwork((Layer(lif, Dense(p["W"]), Dense(p["V"])), Layer(readout, Dense(p["O"]))))


def loss(p, x, weight, spike, reset, driving):
    run = run_on_grid(network_of(p, spike, reset, driving), jnp.asarray(x))
    cell = run.final[0].cell
    return (weight * run.readout).sum() + (cell.voltage**2).sum() / 2 + (cell.current**2).sum() / 2


def split(p):
    return {k: jnp.asarray(v) for k, v in p.items() if np.ndim(v)}, {k: v for k, v in p.items() if not np.ndim(v)}


@jax.jit
def value_and_gradient(arrays, x, weight, slope, reset, order):
    """Of any of the choices, given by their places."""
    numbers = split(by_hand.example()[0])[1]
    chosen = one_of([FELT[felt](RESETS[reset]) for reset, felt in CASES], reset)
    driving = one_of(ORDERS.values(), order)
    return jax.value_and_grad(lambda q: loss(q | numbers, x, weight, spike_number(slope), chosen, driving))(arrays)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("reset", "felt"), CASES)
def test_gradient_is_the_one_written_out_by_hand(reset, felt, order):
    p, x, weight = by_hand.example()
    assert 0.1 < by_hand.forward(p, x, reset, order)[2].mean() < 0.9
    places = CASES.index((reset, felt)), list(ORDERS).index(order)
    for place, name in enumerate(NAMES):
        value, found = value_and_gradient(split(p)[0], x, weight, place, *places)
        assert value == pytest.approx(by_hand.loss(p, x, weight, reset, order), rel=1e-13)
        expected = by_hand.gradient(p, x, weight, by_hand.SLOPES[name], reset, order, felt)
        for key, gradient in found.items():
            scale = np.abs(expected[key]).max()
            np.testing.assert_allclose(
                gradient / scale, expected[key] / scale, rtol=0, atol=1e-12, err_msg=f"{name} {key}"
            )


def test_the_forward_pass_does_not_depend_on_the_surrogate():
    p, x, _ = by_hand.example()
    arrays, numbers = split(p)

    @jax.jit
    def outputs(arrays, place):
        run = run_on_grid(
            network_of(arrays | numbers, spike_number(place), ResetToZero(), NewCurrent()), jnp.asarray(x)
        )
        return run.outputs, run.final[0].cell

    first = jax.tree.leaves(outputs(arrays, 0))
    for place in range(1, len(NAMES)):
        for one, other in zip(first, jax.tree.leaves(outputs(arrays, place)), strict=True):
            assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("order", ORDERS)
def test_with_a_smooth_activation_it_is_the_slope_of_finite_differences(order):
    p, x, weight = by_hand.example()
    arrays, numbers = split(p)

    @jax.jit
    def smooth(arrays):
        def smoothed(v):
            return jax.nn.sigmoid(4 * v)

        return loss(arrays | numbers, x, weight, smoothed, ResetToZero(), ORDERS[order])

    rng = np.random.default_rng(1)
    direction = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 1, leaf.shape)), arrays)
    slope = sum(jax.tree.leaves(jax.tree.map(lambda g, d: (g * d).sum(), jax.grad(smooth)(arrays), direction)))

    def at(h):
        return smooth(jax.tree.map(lambda leaf, d: leaf + h * d, arrays, direction))

    h = 1e-3
    difference = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    assert float(slope) == pytest.approx(float(difference), rel=1e-7)
