"""Gradients that are computed forwards in time, as (init, step): nothing of the past is stored.

The loss is a sum over steps, of `loss(output, target)`. A rule is a pair `init(network) -> state` and
`step(network, state, signal, target) -> (state, info)`; its state has the `gradient` so far, of the structure of
`eqx.filter(network, eqx.is_inexact_array)`. Parameters may change between steps; sensitivities are then those of a
network that changes slowly.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from stablespike.dynamics.grid.network import GridNetwork, Signals, require_inputs, run_status
from stablespike.dynamics.status import Status, raise_unless_ok

StepLoss = Callable[[Float[Array, " outputs"], Any], Float[Array, ""]]
Rule = tuple[Callable[[GridNetwork], Any], Callable[[GridNetwork, Any, Array, Any], tuple[Any, Any]]]


class RealTimeState(eqx.Module):
    """State of the `network`, its `sensitivities` (a leading axis of parameters on each number), the `gradient`."""

    network: PyTree
    sensitivities: PyTree
    gradient: PyTree


class StepInfo(eqx.Module):
    """What is looked at: the `output` of the network and the `loss` of this step."""

    output: Float[Array, " outputs"]
    loss: Float[Array, ""]


def real_time_recurrent_learning(loss: StepLoss) -> Rule:
    """Real-time recurrent learning: the exact gradient, by the forward sensitivities P = dx/dp of the state x.

    P' = (dx'/dx) P + dx'/dp; gradient' = gradient + (dl/dx') P' + dl/dp. For n neurons it needs memory of order n^3 and
    time of order n^4 per step: for small networks (Williams & Zipser 1989).
    """

    def init(network: GridNetwork) -> RealTimeState:
        parameters = eqx.filter(network, eqx.is_inexact_array)
        size = jax.flatten_util.ravel_pytree(parameters)[0].size
        state = network.initial_state()
        moving = eqx.filter(state, eqx.is_inexact_array)
        sensitivities = jax.tree.map(lambda leaf: jnp.zeros((size, *leaf.shape), leaf.dtype), moving)
        return RealTimeState(state, sensitivities, jax.tree.map(jnp.zeros_like, parameters))

    def step(
        network: GridNetwork, state: RealTimeState, signal: Float[Array, " channels"], target: Any
    ) -> tuple[RealTimeState, StepInfo]:
        parameters, others = eqx.partition(network, eqx.is_inexact_array)
        flat, unravel = jax.flatten_util.ravel_pytree(parameters)
        moving, rest = eqx.partition(state.network, eqx.is_inexact_array)

        def move(flat: Array, moving: PyTree) -> tuple[tuple[PyTree, Array], tuple[PyTree, Array]]:
            new, output = eqx.combine(unravel(flat), others).step(eqx.combine(moving, rest), signal)
            new_moving, new_rest = eqx.partition(new, eqx.is_inexact_array)
            return (new_moving, loss(output, target)), (new_rest, output)

        def push(direction: Array, sensitivity: PyTree) -> tuple[Any, Any, Any]:
            return jax.jvp(move, (flat, moving), (direction, sensitivity), has_aux=True)

        (moved, value), (sensitivities, slopes), (new_rest, output) = jax.vmap(push, out_axes=(None, 0, None))(
            jnp.eye(flat.size, dtype=flat.dtype), state.sensitivities
        )
        gradient = jax.tree.map(jnp.add, state.gradient, unravel(slopes))
        return RealTimeState(eqx.combine(moved, new_rest), sensitivities, gradient), StepInfo(output, value)

    return init, step


def gradient_in_real_time(
    rule: Rule, network: GridNetwork, inputs: Signals, targets: PyTree
) -> tuple[Float[Array, ""], PyTree, Status]:
    """Loss, gradient and status of a trial by a rule, (init, step); `targets` have a leading axis of steps.

    Raises `SimulationError` outside jit; inside, look at the status, as of `run_on_grid`.
    """
    require_inputs(network, inputs)
    if any(jnp.shape(leaf)[:1] != jnp.shape(inputs)[:1] for leaf in jax.tree.leaves(targets)):
        raise ValueError(f"targets must have a leading axis of {jnp.shape(inputs)[0]} steps, as the inputs.")
    init, step = rule
    signals = inputs.astype(network.layers[0].inputs.dtype)

    def scanned(state: Any, example: tuple[Any, Any]) -> tuple[Any, tuple[Array, Array]]:
        state, info = step(network, state, *example)
        wrong = [layer.cell.flags(new.cell) for layer, new in zip(network.layers, state.network, strict=True)]
        return state, (info.loss, jnp.bitwise_or.reduce(jnp.stack(wrong)))

    state, (losses, flags) = jax.lax.scan(scanned, init(network), (signals, targets))
    status = run_status(network, inputs, flags)
    raise_unless_ok(status)
    return losses.sum(), state.gradient, status
