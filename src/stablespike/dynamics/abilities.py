"""What the native kernels know of each neuron: the one place where a neuron model is given kernels.

Everything else that a neuron can do follows from its class (`dynamics/neurons/neuron.py`).
"""

from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from stablespike.dynamics.neurons.carried import Carried, carried
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import AbstractNeuron
from stablespike.dynamics.neurons.oscillatory_lif import OscillatoryLIF
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.native.derived.arithmetic import NotWritten
from stablespike.native.derived.lines import derived_lines
from stablespike.native.derived.rows import derived_rows
from stablespike.native.overrides import lif, oscillatory_lif, qif, theta
from stablespike.native.sparse import lif as lif_rows
from stablespike.native.sparse import oscillatory_lif as oscillatory_lif_rows
from stablespike.native.sparse import qif as qif_rows
from stablespike.native.sparse import theta as theta_rows


class Abilities(NamedTuple):
    """Lines of a neuron (modules with `derive` and `unpack`), and what may be done with them.

    `lines`: those of layers and dense networks, their adjoints and tangents; `reversible`: whether its resets can be
    undone, so that a run can be reversed in time; `rows`: the lines of sparse networks; `adds`: whether a pulse acts on
    these rows by adding, so that their adjoint keeps nothing for it.
    """

    lines: ModuleType | None = None
    reversible: bool = False
    rows: ModuleType | None = None
    adds: bool = False


ABILITIES: dict[type, Abilities] = {
    OscillatoryLIF: Abilities(oscillatory_lif, rows=oscillatory_lif_rows, adds=True),
    LIF: Abilities(lif, reversible=True, rows=lif_rows, adds=True),
    Theta: Abilities(theta, reversible=True, rows=theta_rows),
    QIF: Abilities(qif, reversible=True, rows=qif_rows),
}


def abilities(neuron: AbstractNeuron) -> Abilities:
    """What the kernels can do with a neuron; nothing, if they do not know it."""
    return ABILITIES.get(type(neuron), Abilities())


def those_with(ability: str) -> str:
    """Names of the neurons that have an ability, for a sentence."""
    return ", ".join(kind.__name__ for kind, one in ABILITIES.items() if getattr(one, ability))


def in_kernels(neuron: AbstractNeuron, states: Any) -> tuple[AbstractNeuron, bool]:
    """The neuron that kernels of layers and dense networks run, and whether it carries its parameters in its state.

    A neuron with lines by hand is one, if all of a population are alike; of any other the lines are derived from its
    class. Raises `ValueError` where that cannot be done.
    """
    if abilities(neuron).reversible and not any(jnp.ndim(leaf) for leaf in jax.tree.leaves(neuron)):
        return neuron, False
    found = carried(neuron, jnp.shape(states)[-1])
    _lines(found, jnp.result_type(states))
    return found, True


def in_sparse_kernels(neuron: AbstractNeuron, states: Any) -> tuple[AbstractNeuron, bool]:
    """As `in_kernels`, of sparse networks: those of neurons with lines by hand need not be alike."""
    if abilities(neuron).rows is not None or isinstance(neuron, Carried):
        return neuron, False
    if neuron.spikes_on_arrival():
        name = type(neuron).__name__
        raise ValueError(f"a pulse alone can make {name} spike, which derived kernels of sparse networks do not know.")
    found = carried(neuron, jnp.shape(states)[-1])
    _lines(found, jnp.result_type(states), derived_rows)
    return found, True


@cache
def _tried(neuron: Carried, kind: np.dtype, derive: Callable) -> Any:
    try:
        return derive(neuron, neuron.variables + neuron.model.num_leaves, kind)
    except NotWritten as error:
        return error


def _lines(neuron: Carried, kind: Any, derive: Callable = derived_lines) -> Any:
    found = _tried(neuron, np.dtype(kind), derive)
    if isinstance(found, NotWritten):
        name = type(jax.tree.unflatten(neuron.model, list(range(neuron.model.num_leaves)))).__name__
        raise ValueError(f"there are no kernels for {name}: its class does what has no line in them ({found}).")
    return found


def lines_of(neuron: AbstractNeuron, ability: str = "lines", kind: Any = None) -> Any:
    """Lines of a neuron for layers and dense networks (`lines`) or for sparse networks (`rows`).

    Raises `ValueError`, naming the neurons that have them, for one that has not.
    """
    if isinstance(neuron, Carried):
        return _lines(neuron, kind, derived_lines if ability == "lines" else derived_rows)
    found = getattr(abilities(neuron), ability)
    if found is None:
        raise ValueError(f"there are kernels for {those_with(ability)}, not for {type(neuron).__name__}.")
    return found
