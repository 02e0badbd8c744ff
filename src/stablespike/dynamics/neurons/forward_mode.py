"""Derivatives of any order and mode for functions of a few numbers that are computed by loops of unknown length."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array


def by_forward_mode(function: Callable[..., Array], *arguments: Any) -> Array:
    """`function(*arguments)`, a vector, where `function` need only allow forward mode (a `while` loop, an ODE solver).

    Its Jacobian is computed by forward mode at the argument and then applied, so that reverse mode needs nothing of the
    loop's insides; the Jacobian is such a function again, hence every order. Meant for a handful of arguments: the cost
    is that of one tangent for each. `arguments` are pytrees of numbers; they take the dtype of the first array.
    One limit: JAX forgets such rules when the gradient of a loop is differentiated again in reverse mode, and then
    raises an error about the inner loop; take second derivatives of a simulation as forward over reverse.
    """
    leaves, structure = jax.tree.flatten(arguments)
    dtype = next(leaf.dtype for leaf in leaves if hasattr(leaf, "shape") and jnp.ndim(leaf))
    shapes = [jnp.shape(leaf) for leaf in leaves]
    ends = [0]
    for leaf in leaves:
        ends.append(ends[-1] + jnp.size(leaf))

    def of_vector(x: Array) -> Array:
        parts = [x[a:b].reshape(shape) for a, b, shape in zip(ends[:-1], ends[1:], shapes, strict=True)]
        return function(*jax.tree.unflatten(structure, parts))

    vector = jnp.concatenate([jnp.ravel(jnp.asarray(leaf, dtype)) for leaf in leaves])
    return _with_jacobian(of_vector)(vector)


def _with_jacobian(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    @jax.custom_jvp
    def apply(x: Array) -> Array:
        return function(x)

    @apply.defjvp
    def _jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
        (x,), (dx,) = primals, tangents
        return apply(x), _with_jacobian(jax.jacfwd(function))(x) @ dx

    return apply
