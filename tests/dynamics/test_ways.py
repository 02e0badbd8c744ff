"""What arrives in the steps of a grid."""

import jax.numpy as jnp
import numpy as np

import stablespike as ss

SPIKES = ss.Spikes(jnp.array([0.1, 0.2, 0.7, jnp.inf]), jnp.array([1, 1, 0, 0]))
NETWORK = ss.Network(ss.Layer(ss.LeakyReadout(2.0), ss.Dense(jnp.eye(2))))


def test_a_channel_counts_as_often_as_it_comes_or_once():
    often, once = ss.Grid(0.5), ss.Grid(0.5, once=True)
    assert often.signals(SPIKES, 2, 3).tolist() == [[0, 2], [1, 0], [0, 0]]
    assert once.signals(SPIKES, 2, 3).tolist() == [[0, 1], [1, 0], [0, 0]]
    for on in (often, once):
        signals = on.signals(SPIKES, 2, 3)
        found, wanted = (ss.simulate(NETWORK, inputs, 1.5, on=on).output.signals for inputs in (SPIKES, signals))
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(ss.as_step(NETWORK, on=on, window=0.5).drives(SPIKES, 3)[:, 0], signals)
