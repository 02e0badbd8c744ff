"""Flags have one meaning and a sentence each; an unknown bit is never passed over."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.engines.sparse import SparseNetwork, simulate_sparse
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.sparse_weights import fixed_in_degree
from stablespike.dynamics.status import SENTENCES, SimulationError, Status, raise_unless_ok, sentence_of
from stablespike.native.conventions import Flag


@pytest.mark.parametrize("flag", list(Flag))
def test_every_flag_is_one_bit_and_raises_its_sentence(flag):
    assert flag.value.bit_count() == 1
    status = Status(jnp.array([0, int(flag)]), jnp.array([9.0, 0.25]), 7, "capacity")
    with pytest.raises(SimulationError) as caught:
        raise_unless_ok(status)
    known = {"budget": 7, "argument": "capacity", "time": 0.25, "when": " after time 0.25", "hint": ""}
    assert str(caught.value) == SENTENCES[flag].format(**known)


def test_an_unknown_bit_raises():
    status = Status(jnp.array(1 << 20), jnp.array(0.0), 7)
    with pytest.raises(ValueError, match=f"flags without a meaning .{1 << 20}."):
        raise_unless_ok(status)


def test_the_first_failure_of_several_simulations_is_told():
    well = Status(jnp.array([0, 0]), jnp.ones(2), 7)
    failed = Status(jnp.array([0, 1]), jnp.array([1.0, 0.5]), 3, "capacity")
    assert sentence_of((well, well)) is None
    assert "budget of 3 was exhausted at time 0.5" in sentence_of((well, failed))
    assert failed.over_trials().time == 0.5


def test_a_silent_sparse_network_under_jit_is_not_well():
    neuron = LIF()
    network = SparseNetwork(neuron, fixed_in_degree(np.random.default_rng(0), 20, 3, -0.1))
    states = initial_states(neuron, jnp.zeros(20))
    status = jax.jit(lambda one: simulate_sparse(network, one, max_spikes=10).status)(states)
    assert status.flags == Flag.SILENT
    with pytest.raises(SimulationError, match="stopped spiking"):
        raise_unless_ok(status)
