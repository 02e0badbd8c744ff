"""NeuroBench's metrics: against values counted by hand, and against NeuroBench itself where it is installed."""

import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.cells import GridLeakyReadout, GridLIF
from stablespike.dynamics.grid.network import GridNetwork, Layer, run_on_grid
from stablespike.stability.synaptic_operations import (
    Operations,
    Projection,
    activation_sparsity,
    connection_sparsity,
    event_operations,
    event_sparsity,
    footprint,
    synaptic_operations,
)

WEIGHTS = np.array([[1.0, 0.0, -2.0], [0.5, 0.0, 0.0]])  # fan-outs 2, 0, 1
SPIKES = np.array([[[1, 1, 0], [0, 0, 1]], [[1, 0, 1], [0, 0, 0]]])  # 2 trials, 2 steps: 2 + 0, 1; 2 + 1, 0


def test_operations_counted_by_hand():
    assert synaptic_operations([Projection(SPIKES, WEIGHTS)]) == Operations(3.0, 0.0, 12.0)
    numbers = SPIKES * np.array([1.0, 0.3])[:, None]  # the second step of both trials is not of spikes
    assert synaptic_operations([Projection(numbers, WEIGHTS)]) == Operations(2.5, 0.5, 12.0)
    both = [Projection(SPIKES, WEIGHTS), Projection(SPIKES[..., :2], np.ones((2, 2)))]
    assert synaptic_operations(both) == Operations(3.0 + 3.0, 0.0, 12.0 + 8.0)


def test_sparsities_counted_by_hand():
    assert connection_sparsity([WEIGHTS, np.ones((2, 2))]) == pytest.approx(3 / 10)
    assert activation_sparsity([SPIKES]) == pytest.approx(7 / 12)
    assert event_sparsity([SPIKES.sum(1)], steps=2) == pytest.approx(7 / 12)
    assert event_operations([SPIKES.sum(1)], [WEIGHTS], steps=2) == Operations(3.0, 0.0, 12.0)


def test_the_footprint_is_that_of_the_arrays():
    network = {"weights": jnp.zeros((2, 3)), "bias": jnp.zeros(2, jnp.float32), "name": "any", "step": 0.1}
    assert footprint(network) == 6 * 8 + 2 * 4


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"Weights \[2, 3\] \[post, pre\] don't fit 2 inputs"):
        synaptic_operations([Projection(SPIKES[..., :2], WEIGHTS)])
    with pytest.raises(ValueError, match=r"the same trials, at least one, not \[1, 2\]"):
        synaptic_operations([Projection(SPIKES, WEIGHTS), Projection(SPIKES[:1], WEIGHTS)])
    with pytest.raises(ValueError, match="no activation sparsity"):
        activation_sparsity([SPIKES[:0]])
    with pytest.raises(ValueError, match="no connection sparsity"):
        connection_sparsity([])
    with pytest.raises(ValueError, match="at least one step, not 0"):
        event_operations([SPIKES.sum(1)], [WEIGHTS], steps=0)


def grid_run(generator):
    """A recurrent network of 5 neurons, half of whose weights are 0, and its run on 4 trials of 7 steps."""
    matrices = [generator.normal(size=shape) * generator.integers(0, 2, shape) for shape in ((5, 3), (5, 5), (2, 5))]
    inputs, loop, readout = (jnp.asarray(3 * one) for one in matrices)
    layers = (
        Layer(GridLIF(5.0, 3.0, 1.0), Dense(inputs), Dense(loop)),
        Layer(GridLeakyReadout(5.0, 1.0), Dense(readout)),
    )
    signals = jnp.asarray(generator.integers(0, 2, (4, 7, 3)), float)
    network = GridNetwork(layers)
    spikes = np.stack([run_on_grid(network, one).outputs[0] for one in signals])
    before = np.concatenate([np.zeros_like(spikes[:, :1]), spikes[:, :-1]], 1)
    return network, [Projection(signals, inputs), Projection(before, loop), Projection(spikes, readout)]


def test_neurobench_gives_the_same_numbers():
    torch = pytest.importorskip("torch")
    pytest.importorskip("neurobench")
    from neurobench.metrics.static import ConnectionSparsity, Footprint
    from neurobench.metrics.workload import ActivationSparsity, SynapticOperations
    from neurobench.models import TorchModel

    network, projections = grid_run(np.random.default_rng(0))

    class Passed(torch.nn.Module):
        """Sends on what our network's neurons sent out."""

        def forward(self, x):
            return x

    class Twin(torch.nn.Module):
        """The same connections, driven by the same signals."""

        def __init__(self):
            super().__init__()
            self.connections = torch.nn.ModuleList()
            for one in projections:
                post, pre = one.weights.shape
                linear = torch.nn.Linear(pre, post, bias=False, dtype=torch.float64)
                linear.weight.data = torch.tensor(np.asarray(one.weights))
                self.connections.append(linear)
            self.neurons = Passed()

        def forward(self, trials):
            for step in range(trials.shape[1]):
                for linear, one in zip(self.connections, projections, strict=True):
                    linear(torch.tensor(np.asarray(one.signals))[:, step])
                self.neurons(torch.tensor(np.asarray(projections[2].signals))[:, step])
            return trials

    model = TorchModel(Twin())
    model.add_activation_module(Passed)
    assert Footprint()(model) == footprint(network)
    sparsity = connection_sparsity([one.weights for one in projections])
    assert float(ConnectionSparsity()(model)) == pytest.approx(sparsity, abs=5e-4)  # rounded there
    trials = torch.tensor(np.asarray(projections[0].signals)), torch.zeros(4)
    model.register_hooks()
    theirs = SynapticOperations()(model, model(trials[0]), trials)
    ours = synaptic_operations(projections)
    assert ours.effective_acs > 0
    assert [theirs[name] for name in ("Effective_ACs", "Effective_MACs", "Dense")] == pytest.approx(list(ours))
    assert ActivationSparsity()(model, None, trials) == pytest.approx(activation_sparsity([projections[2].signals]))
