"""What the native kernels know of each neuron: the one place where a neuron model is given kernels.

Everything else that a neuron can do follows from its class (`dynamics/neurons/neuron.py`).
"""

from functools import cache
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

    lines: Any = None
    reversible: bool = False
    rows: Any = None
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


@cache
def _tried(neuron: Carried, kind: np.dtype) -> Any:
    try:
        return derived_lines(neuron, neuron.variables + neuron.model.num_leaves, kind)
    except NotWritten as error:
        return error


def _lines(neuron: Carried, kind: Any) -> Any:
    found = _tried(neuron, np.dtype(kind))
    if isinstance(found, NotWritten):
        name = type(jax.tree.unflatten(neuron.model, list(range(neuron.model.num_leaves)))).__name__
        raise ValueError(f"there are no kernels for {name}: its class does what has no line in them ({found}).")
    return found


def lines_of(neuron: AbstractNeuron, ability: str = "lines", kind: Any = None) -> Any:
    """Lines of a neuron for layers and dense networks (`lines`) or for sparse networks (`rows`).

    Raises `ValueError`, naming the neurons that have them, for one that has not.
    """
    if isinstance(neuron, Carried):
        return _lines(neuron, kind)
    found = getattr(abilities(neuron), ability)
    if found is None:
        raise ValueError(f"there are kernels for {those_with(ability)}, not for {type(neuron).__name__}.")
    return found
