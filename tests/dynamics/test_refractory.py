"""Neurons that are held for a time after each spike."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stablespike as ss

INPUTS = ss.Spikes(jnp.asarray([0.1, 0.4, 0.9, 1.3]), jnp.asarray([0, 1, 0, 1]))
RNG = np.random.default_rng(3)
LOOP, W_IN = jnp.asarray(RNG.normal(0, 1.0, (3, 3))), jnp.asarray(RNG.uniform(3, 6, (3, 2)))
SLOPE = -0.3602449185  # by finite differences of another code, given to six digits; ours to all of these


def total(neuron, w_in, period, gradient, loop=None):
    """Sum of all spike times of a recurrent network of refractory neurons."""
    neuron = ss.Refractory(neuron, period)
    start = ss.initial_states(neuron, jnp.asarray([0.0, 0.1, 0.2]))
    network = ss.Network(ss.Layer(neuron, ss.Dense(w_in), loop=ss.Dense(LOOP) if loop is None else loop))
    run = ss.simulate(network, INPUTS, 4.0, on=ss.Events(budget=20), gradient=gradient, initial=(start,))
    return jnp.sum(jnp.where(jnp.isfinite(run.output.times), run.output.times, 0))


class Leaky(ss.NumericalNeuron):
    """LIF by its right-hand side."""

    horizon: float = eqx.field(default=4.0, static=True)
    longest_step: float = eqx.field(default=0.2, static=True)

    def requirements(self):
        return ()

    def right_hand_side(self, state):
        return jnp.stack([state[1] - state[0], -2 * state[1]])

    def distance_to_spike(self, state):
        return 1.0 - state[0]

    def jump(self, state, weight):
        return state.at[1].add(weight)

    def reset(self, state):
        return state.at[0].set(0.0)


@pytest.mark.parametrize(
    ("neuron", "gradient"),
    [(ss.LIF(), ss.Recorded()), (ss.LIF(), ss.TimeReversed()), (Leaky(), ss.TimeReversed())],
    ids=["recorded", "kernels", "numerical"],
)
def test_the_gradient_knows_of_the_end_of_a_period(neuron, gradient):
    value, (slopes, by_period) = jax.jit(jax.value_and_grad(lambda w, p: total(neuron, w, p, gradient), (0, 1)))(
        W_IN, jnp.asarray(0.3)
    )
    assert float(value) == pytest.approx(7.851288569, rel=1e-9)
    assert float(slopes[0, 0]) == pytest.approx(SLOPE, rel=1e-8)
    assert float(by_period) == pytest.approx(7.32718625, rel=1e-7)


def test_with_delays_it_is_that_of_differences():
    loop = ss.Delayed(LOOP, jnp.asarray([0.2, 0.3, 0.25]))
    run = jax.jit(jax.value_and_grad(lambda w: total(ss.LIF(), w, 0.3, None, loop)))
    step, at = 1e-5, jnp.zeros_like(W_IN).at[0, 0].set(1.0)
    difference = (run(W_IN + step * at)[0] - run(W_IN - step * at)[0]) / (2 * step)
    assert float(run(W_IN)[1][0, 0]) == pytest.approx(float(difference), rel=1e-7)


def test_spikes_are_at_least_a_period_apart_and_currents_go_on():
    neuron = ss.Refractory(ss.LIF(), 0.5)
    network = ss.Network(ss.Layer(neuron, ss.Dense(jnp.asarray([[40.0]]))))
    free = ss.Network(ss.Layer(ss.LIF(), ss.Dense(jnp.asarray([[40.0]]))))
    inputs = ss.Spikes(jnp.asarray([0.1]), jnp.asarray([0]))
    held, loose = (ss.simulate(one, inputs, 4.0, on=ss.Events(20)).output for one in (network, free))
    apart = np.diff(held.times[0][: int(held.counts[0])])
    assert held.counts[0] < loose.counts[0]
    assert apart.min() >= 0.5
    first = held.times[0][0]
    state = jnp.asarray([0.0, 40 * jnp.exp(-2 * (first + 0.5 - 0.1))])
    assert float(held.times[0][1]) == pytest.approx(float(first + 0.5 + ss.LIF().time_to_spike(state)), rel=1e-12)


@pytest.mark.parametrize("neuron", [ss.QIF(), ss.GeneralQIF(), ss.Theta(), ss.AdaptiveLIF(), ss.Izhikevich()])
def test_every_neuron_can_be_held(neuron):
    """After a spike the voltage stays for the period; what a spike adds is added once."""
    refractory = ss.Refractory(neuron, 0.5)
    after = refractory.reset(refractory.initial_state(0.3, 2.0))
    held = jax.jit(refractory.flow)(after, 0.2)
    np.testing.assert_allclose(refractory.voltage(held), refractory.voltage(after), rtol=1e-12)
    np.testing.assert_allclose(held[-1], 0.3, rtol=1e-12)
    assert not refractory.time_to_spike(after) < 0.5
    twice = jax.jit(refractory.flow)(held, 0.1)
    np.testing.assert_allclose(jax.jit(refractory.flow)(after, 0.3), twice, rtol=1e-11, atol=1e-12)


class Subtracting(ss.LIF):
    """Its reset takes the threshold off."""

    def reset(self, state):
        return state.at[0].add(-1.0)


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(ValueError, match="takes a neuron such as"):
        ss.Refractory(ss.LIF, 0.1)
    with pytest.raises(ValueError, match="period must be positive"):
        ss.Refractory(ss.LIF(), 0.0)
    with pytest.raises(ValueError, match="a second reset moves Subtracting on"):
        ss.Refractory(Subtracting())
    with pytest.raises(ValueError, match="exponents of refractory QIF"):
        ss.Refractory(ss.QIF()).chart()


def test_a_right_hand_side_that_jumps_is_refused():
    class Clocked(Leaky):
        def right_hand_side(self, state):
            return jnp.where(state[1] > 0, state[1] - state[0], 0.0) * jnp.ones(2)

    class Counted(Leaky):
        def right_hand_side(self, state):
            return (state[1] > 0).astype(float) * super().right_hand_side(state)

    class Tabled(Leaky):
        def right_hand_side(self, state):
            return jnp.asarray([0.1, 0.2, 0.3])[jnp.asarray(state[0], int)] * jnp.ones(2)

    class Looped(Leaky):
        def right_hand_side(self, state):
            return jax.lax.fori_loop(0, 3, lambda _, x: jnp.where(x > 0, x, -1.0), state)

    class Trusted(Clocked):
        continuous = True

    with pytest.raises(ValueError, match=r"Clocked may jump \(select_n.*Refractory\(Clocked"):
        Clocked()
    for one in (Counted, Tabled, Looped):
        with pytest.raises(ValueError, match=f"{one.__name__} may jump"):
            one()
    assert Trusted().continuous
    assert Leaky().voltage(jnp.zeros(2)) == 0
