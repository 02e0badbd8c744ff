"""Programs for a GPU, lowered where there is none: what has no kernel is refused in a sentence, the rest lowers."""

import jax
import jax.numpy as jnp
import pytest

import stablespike as ss
from stablespike.native.order import spike_order

INPUTS = ss.Spikes(jnp.array([0.1, 0.3, 0.9]), jnp.array([0, 1, 0]))
WEIGHTS = jnp.array([[1.5, 2.0], [2.5, 0.5], [1.0, 1.0]])


def lowered(function, *arguments, platform="cuda"):
    return jax.jit(function).trace(*arguments).lower(lowering_platforms=(platform,)).as_text()


def last_spike(weights, rule):
    network = ss.Network(ss.Layer(ss.LIF(1.0), ss.Dense(weights), loop=ss.Dense(jnp.zeros((3, 3)))))
    run = ss.simulate(network, INPUTS, until=2.0, gradient=rule)
    return jnp.max(jnp.where(jnp.isfinite(run.output.times), run.output.times, 0.0))


@pytest.mark.parametrize("rule", [ss.Recorded(), ss.Checkpointed()])
def test_dense_networks_lower_for_a_gpu_without_any_kernel(rule):
    text = lowered(lambda weights: jax.grad(last_spike)(weights, rule), WEIGHTS)
    assert "custom_call @stablespike" not in text


def test_what_has_a_kernel_on_processors_only_is_refused_by_name():
    layer = ss.Layer(ss.LIF(1.0), ss.Sparse(ss.from_matrix(WEIGHTS)), loop=ss.Sparse(ss.from_matrix(jnp.eye(3) / 9)))

    def run(times):
        inputs = ss.Spikes(times, INPUTS.sources)
        return ss.simulate(ss.Network(layer), inputs, until=2.0).output.counts

    with pytest.raises(NotImplementedError, match=r"kernel stablespike\.native\.sparse.* for cuda: .*Recorded\(\)"):
        lowered(run, INPUTS.times)


def test_orders_of_spikes_are_those_of_xla_elsewhere():
    assert "stablehlo.sort" in lowered(spike_order, INPUTS.times)
    assert "custom_call @stablespike" in lowered(spike_order, INPUTS.times, platform="cpu")


def test_the_time_reversed_rule_says_that_another_takes_its_place():
    def gradient(weights):
        return jax.grad(last_spike)(weights, ss.TimeReversed())

    with pytest.warns(UserWarning, match=r"recurrent_spiking_network.* on cuda Recorded\(\) takes its place"):
        assert "custom_call @stablespike" not in lowered(gradient, WEIGHTS)
    assert "custom_call @stablespike" in lowered(gradient, WEIGHTS, platform="cpu")
