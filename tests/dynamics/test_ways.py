"""What arrives in the steps of a grid."""

import jax.numpy as jnp
import numpy as np
import pytest

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


@pytest.mark.parametrize("windows", [0, -1, True], ids=repr)
@pytest.mark.parametrize("on", [ss.Grid(0.5), ss.Events()], ids=lambda on: type(on).__name__)
def test_a_number_of_windows_that_is_none_is_refused(on, windows):
    network = ss.Network(ss.Layer(ss.LIF(1.0), ss.Dense(jnp.eye(2))))
    with pytest.raises(ValueError, match=r"^windows must be a whole number and at least 1, not "):
        ss.as_step(network, on=on, window=0.5).drives(SPIKES, windows)
