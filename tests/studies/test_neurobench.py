"""NeuroBench's own package counts what `better-models` says of one of its designed networks; it prints both (-s).

Torch and NeuroBench are no dependencies: without them there is nothing to compare.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studies.better_models import MODELS, Budget, trials_of
from studies.contestants import Candidate, task_of
from studies.critical_sharpness import a_few
from studies.spoken_digits import signals_of

DESIGNED = "LIF, slow modes"


@pytest.fixture(scope="module")
def counted():
    """Costs of a trial, and of each path the weights and what is sent along it, `[trials, steps, pre]`."""
    recall, budget = task_of(4.0), Budget(trials=8, validation=8, tests=8)
    trials = trials_of(recall, budget, 1).training
    model = MODELS[DESIGNED]._replace(sharpness=10.0)  # no count depends on it
    network, _ = model.start(jax.random.key(1), recall, trials)
    candidate, spikes = Candidate(network, jnp.float32(10.0), jnp.float32(0.0)), a_few(trials)
    loss, network = model.task(candidate, recall)
    hidden, readout = network.layers
    sent = np.asarray(loss.run(network, spikes).layers[0].signals)
    before = np.concatenate([np.zeros_like(sent[:, :1]), sent[:, :-1]], 1)
    arriving = np.asarray(signals_of(loss, spikes, network.channels))
    paths = [(hidden.inputs.weights, arriving), (hidden.loop.weights, before), (readout.inputs.weights, sent)]
    return model.costs(candidate, spikes, recall), [(np.asarray(weights), signals) for weights, signals in paths]


def test_neurobench_counts_the_operations_of_a_designed_network(counted):
    torch = pytest.importorskip("torch")
    pytest.importorskip("neurobench")
    from neurobench.metrics.workload import SynapticOperations
    from neurobench.models import TorchModel

    costs, paths = counted

    class Twin(torch.nn.Module):
        """The same connections, driven by what went along them."""

        def __init__(self):
            super().__init__()
            self.paths = torch.nn.ModuleList()
            for weights, _ in paths:
                linear = torch.nn.Linear(*weights.shape[::-1], bias=False)
                linear.weight.data = torch.tensor(weights)
                self.paths.append(linear)

        def forward(self, trials):
            for step in range(trials.shape[1]):
                for linear, (_, signals) in zip(self.paths, paths, strict=True):
                    linear(torch.tensor(signals[:, step], dtype=torch.float32))
            return trials

    model, arriving = TorchModel(Twin()), torch.tensor(paths[0][1])
    model.register_hooks()
    theirs = SynapticOperations()(model, model(arriving), (arriving, torch.zeros(len(arriving))))
    print(f"{DESIGNED}: NeuroBench {theirs}; here {costs}")
    assert costs.additions > costs.multiplications > 0
    assert costs.spikes > 0
    assert (theirs["Effective_ACs"], theirs["Effective_MACs"]) == pytest.approx(
        (costs.additions, costs.multiplications)
    )
