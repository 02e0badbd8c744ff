"""Two-state cells on a grid: their papers' equations in NumPy, closed forms, derivatives, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.dynamics import two_states_by_hand as by_hand

import stablespike as ss
from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.cells import Heaviside
from stablespike.dynamics.grid.network import GridNetwork, Layer, run_on_grid

CELLS = {
    "adaptive": lambda p, spike: ss.SymplecticAdaptiveLIF(
        p["membrane"], p["adaptation"], p["a"], p["b"], p["dt"], p["threshold"], spike
    ),
    "resonating": lambda p, spike: ss.BalancedResonateAndFire(
        p["omega"], p["damping"], p["refractory"], p["dt"], p["more"], p["threshold"], spike
    ),
    "complex_lif": lambda p, spike: ss.ComplexLIF(
        p["timestep"], p["decay"], p["frequency"], p["dt"], p["gain"], p["threshold"], spike
    ),
}
STEP = Heaviside()
TRAINED = {
    "adaptive": ("membrane", "adaptation", "a", "b"),
    "resonating": ("omega", "damping", "refractory"),
    "complex_lif": ("timestep", "decay", "frequency", "gain"),
}


def layer_of(name, p, spike=STEP):
    arrays = {key: jnp.asarray(value) for key, value in p.items() if np.ndim(value)}
    numbers = {key: value for key, value in p.items() if not np.ndim(value)}
    return Layer(CELLS[name](arrays | numbers, spike), Dense(arrays["W"]), Dense(arrays["R"]))


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_follows_its_paper(name):
    p, x = by_hand.example()
    run = run_on_grid(GridNetwork((layer_of(name, p),)), jnp.asarray(x))
    spikes, voltage = getattr(by_hand, name)(p, x)
    np.testing.assert_array_equal(run.outputs[0], spikes)
    assert 0.05 < spikes.mean() < 0.9
    np.testing.assert_allclose(run.final[0].cell.voltage, voltage, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_with_a_smooth_activation_its_derivative_is_the_slope_of_finite_differences(name):
    p, x = by_hand.example()
    varied = {key: jnp.asarray(p[key]) for key in (*TRAINED[name], "W", "R")}

    def smooth(v):
        return jax.nn.sigmoid(4 * v)

    @jax.jit
    def loss(varied):
        run = run_on_grid(GridNetwork((layer_of(name, p | varied, smooth),)), jnp.asarray(x))
        return (run.outputs[0] ** 2).sum() + (run.final[0].cell.voltage ** 2).sum()

    rng = np.random.default_rng(1)
    for key in varied:  # one parameter at a time: none is lost in the sum of all
        direction = jnp.asarray(rng.normal(0, 1, varied[key].shape))
        slope = float((jax.grad(loss)(varied)[key] * direction).sum())

        def at(h, key=key, direction=direction):
            return float(loss(varied | {key: varied[key] + h * direction}))

        h = 1e-4
        difference = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
        assert slope == pytest.approx(difference, rel=1e-6, abs=1e-8), key
        assert abs(slope) > 1e-6, key


@pytest.mark.parametrize("name", CELLS)
def test_with_spikes_its_derivative_knows_the_surrogate_of_each(name):
    """As a sum over spikes: with the slope doubled, what reaches the input weights through one spike doubles."""
    p, x = by_hand.example()

    def gradient(factor):
        spike = ss.SurrogateSpike(lambda v: factor / (1 + 10 * jnp.abs(v)) ** 2)

        def loss(weights):
            layer = layer_of(name, p | {"W": weights, "R": np.zeros((7, 7))}, spike)
            return run_on_grid(GridNetwork((layer,)), jnp.asarray(x[:1])).outputs[0].sum()

        return jax.grad(loss)(jnp.asarray(p["W"]))

    np.testing.assert_allclose(gradient(2.0), 2 * gradient(1.0), rtol=1e-12)
    assert jnp.abs(gradient(1.0)).max() > 1e-6


def voltages(cell, first, steps=400):
    """Of a neuron that gets one pulse in the first step, below its threshold."""
    network = GridNetwork((Layer(cell, Dense(jnp.ones((1, 1)))),))
    run = run_on_grid(network, first * jnp.eye(steps, 1))
    assert not run.outputs[0].any()
    return np.asarray(run.cells[0].voltage[:, 0])


def test_oscillations_of_a_resonator_neither_grow_nor_fade_without_damping():
    """Each step turns (U, V) by arcsin(dt omega) and keeps their length: what the bound of divergence is for."""
    dt, omega = 0.1, 2.0
    found = voltages(ss.BalancedResonateAndFire(omega, 0.0, 1.0, dt), 0.9)
    np.testing.assert_allclose(found, 0.9 * np.cos(np.arcsin(dt * omega) * np.arange(400)), atol=1e-10)
    damped = voltages(ss.BalancedResonateAndFire(omega, 0.5, 1.0, dt), 0.9)
    turn = np.sqrt(1 - (dt * omega) ** 2) - 0.5 * dt + 1j * dt * omega
    np.testing.assert_allclose(damped, 0.9 * (turn ** np.arange(400)).real, atol=1e-10)


def test_a_pulse_turns_and_fades_in_a_complex_neuron():
    found = voltages(ss.ComplexLIF(0.2, 0.5, np.pi, 1.0, gain=0.8), 0.9)
    n = np.arange(400)
    np.testing.assert_allclose(found, 0.72 * np.exp(-0.1 * n) * np.cos(0.2 * np.pi * n), atol=1e-12)


def test_symplectic_steps_keep_an_oscillation_that_steps_forwards_let_grow():
    """A strong coupling: eigenvalues lie inside the unit circle, those of steps forwards outside."""
    tau, slow, a, dt = 20.0, 200.0, 300.0, 1.0
    found = voltages(ss.SymplecticAdaptiveLIF(tau, slow, a, 0.0, dt), 0.9)
    q, r = np.exp(-dt / tau), np.exp(-dt / slow)
    symplectic = np.array([[q - (1 - q) * (1 - r) * a, -(1 - q) * r], [(1 - r) * a, r]])
    forwards = np.array([[q, -(1 - q)], [(1 - r) * a, r]])
    largest = [np.abs(np.linalg.eigvals(one)).max() for one in (symplectic, forwards)]
    assert largest[0] < 1 < largest[1]
    state, expected = np.array([0.9 * (1 - q), 0.0]), []
    for _ in range(400):
        expected.append(state[0])
        state = symplectic @ state
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert (np.diff(np.sign(found[:100])) != 0).sum() > 3  # it oscillates


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: ss.SymplecticAdaptiveLIF(0.4, 9.0, 1.0, 1.0, 0.5), "membrane_time_constant must be .* one step"),
        (lambda: ss.SymplecticAdaptiveLIF(4.0, jnp.nan, 1.0, 1.0, 0.5), "adaptation_time_constant must be"),
        (lambda: ss.SymplecticAdaptiveLIF(4.0, 9.0, -1.0, 1.0, 0.5), "voltage_adaptation must be finite and not neg"),
        (lambda: ss.SymplecticAdaptiveLIF(4.0, 9.0, 1.0, jnp.inf, 0.5), "spike_adaptation must be finite and not neg"),
        (lambda: ss.BalancedResonateAndFire(2.1, 0.1, 2.0, 0.5), "angular_frequency must lie between 0 and 1/dt"),
        (lambda: ss.BalancedResonateAndFire(1.0, -0.1, 2.0, 0.5), "damping must be finite and not negative"),
        (lambda: ss.BalancedResonateAndFire(1.0, 0.1, 0.2, 0.5), "refractory_time_constant must be .* one step"),
        (lambda: ss.BalancedResonateAndFire(1.0, 0.1, 2.0, 0.5, -1.0), "refractory_damping must be finite and not"),
        (lambda: ss.ComplexLIF(0.0, 0.5, 3.0, 0.5), "timestep must be finite and positive"),
        (lambda: ss.ComplexLIF(0.1, -0.5, 3.0, 0.5), "decay must be finite and positive"),
        (lambda: ss.ComplexLIF(0.1, 0.5, jnp.nan, 0.5), "frequency must be finite and not negative"),
        (lambda: ss.ComplexLIF(0.1, 0.5, 3.0, 0.0), "dt must be positive"),
        (lambda: ss.ComplexLIF(0.1, 0.5, 3.0, 0.5, threshold=0.0), "threshold must lie above"),
        (lambda: ss.ComplexLIF(0.1, 0.5, 3.0, 0.5, spike=ss.SuperSpike()), "spike must be a step like SurrogateSpike"),
    ],
)
def test_what_cannot_be_meant_is_refused(build, sentence):
    with pytest.raises(ValueError, match=sentence):
        build()
