"""Lyapunov exponents against everything that is known about them in closed form."""

import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import digamma

from stablespike.dynamics.grid.cells import GridLIF, MembraneState
from stablespike.dynamics.grid.network import LayerState
from stablespike.dynamics.grid.resets import Detached, ResetToZero
from stablespike.learning.surrogates import SuperSpike, SurrogateSpike
from stablespike.stability.covariant import covariant_vectors
from stablespike.stability.flossing import Adaptive
from stablespike.stability.lyapunov import (
    SingularJacobian,
    block_standard_errors,
    entropy_rate,
    kaplan_yorke_dimension,
    lyapunov_estimator,
    lyapunov_spectrum,
    push_tangents,
)
from stablespike.stability.surrogate_tangent import PUBLIC, recurrent_step

KEY = jax.random.key(0)
GATED, FULL = Detached(ResetToZero()), ResetToZero()
A, B = np.exp(-1 / 5), np.exp(-1 / 10)
NEURONS, CHANNELS = 5, 3


class Linear(eqx.Module):
    matrix: jax.Array

    def __call__(self, state, drive):
        return self.matrix @ state if drive is None else drive @ state


class Rate(eqx.Module):
    """x <- g J tanh(x), in the coordinates x or, with a `frame` A, in A x."""

    weights: jax.Array
    frame: jax.Array | None = None

    def __call__(self, state, drive):
        if self.frame is None:
            return self.weights @ jnp.tanh(state)
        return self.frame @ (self.weights @ jnp.tanh(jnp.linalg.solve(self.frame, state)))


def surrogate_network(reset, dtype=np.float64):
    rng = np.random.default_rng(1)
    spike = SurrogateSpike(SuperSpike(5.0))
    inward = jnp.asarray(rng.normal(2, 1, (NEURONS, CHANNELS)), dtype)
    cell = GridLIF(10.0, 5.0, 1.0, spike=spike, reset=reset)
    return recurrent_step(cell, jnp.asarray(rng.normal(0, 2, (NEURONS, NEURONS)), dtype), inward)


DRIVES = jnp.asarray(np.random.default_rng(0).random((400, CHANNELS)) < 0.3, float)


def test_constant_matrix_has_the_moduli_of_its_eigenvalues():
    vectors = np.random.default_rng(2).normal(size=(4, 4))
    eigenvalues = np.array([3.0, 1.5, -0.9, 0.2])
    matrix = vectors @ np.diag(eigenvalues) @ np.linalg.inv(vectors)
    found = lyapunov_spectrum(
        Linear(jnp.asarray(matrix)), jnp.zeros(4), None, steps=600, transient=400, interval=2, count=4, key=KEY
    )
    np.testing.assert_allclose(found.exponents, np.log(np.abs(eigenvalues)), atol=1e-12)
    assert np.all(found.standard_errors < 1e-12)
    assert found.trace.shape == (100, 4)


def test_product_of_gaussian_matrices():
    size, gain, steps = 4, 1.3, 4000
    matrices = jnp.asarray(np.random.default_rng(3).normal(0, gain / np.sqrt(size), (steps, size, size)))
    found = lyapunov_spectrum(
        Linear(jnp.eye(size)), jnp.zeros(size), matrices, transient=100, count=size, blocks=40, key=KEY
    )
    order = np.arange(1, size + 1)
    expected = np.log(gain) + (np.log(2 / size) + digamma((size - order + 1) / 2)) / 2
    errors = np.asarray(found.standard_errors)
    assert np.all(np.abs(found.exponents - expected) < 3 * errors)
    assert errors.max() < 0.02
    assert np.abs(found.exponents.sum() - np.linalg.slogdet(matrices[100:])[1].mean()) < 1e-12


def test_rate_networks_follow_mean_field():
    rng, gain, size = np.random.default_rng(4), 2.0, 400
    weights = jnp.asarray(rng.normal(0, gain / np.sqrt(size), (4, size, size)))
    start = jnp.asarray(rng.normal(size=size))

    def spectrum(weights):
        return lyapunov_spectrum(Rate(weights), start, None, steps=1500, transient=300, interval=5, count=2, key=KEY)

    leading, second = jax.vmap(spectrum)(weights).exponents.T
    error = np.std(leading, ddof=1) / 2
    assert error < 0.02 * 0.1547
    assert abs(np.mean(leading) - 0.1547) < 3 * error  # networks of 800 neurons would be a little closer yet: 0.154
    assert np.all(leading > second)


def test_exponents_do_not_depend_on_coordinates():
    rng = np.random.default_rng(5)
    weights, start = jnp.asarray(rng.normal(0, 1.5, (4, 4))), rng.normal(size=4)
    frames = jnp.stack([jnp.eye(4), jnp.asarray(rng.normal(size=(4, 4)) + 3 * np.eye(4))])

    def spectrum(frame):
        step = Rate(weights, frame)
        return lyapunov_spectrum(step, frame @ start, None, steps=4000, transient=2000, interval=2, count=4, key=KEY)

    plain, other = jax.vmap(spectrum)(frames).exponents
    bound = 2 * np.log(np.linalg.cond(frames[1])) / 2000  # what another measure of length can change at the ends
    np.testing.assert_allclose(plain, other, atol=bound)
    assert np.max(np.abs(plain - other)) < 0.02 * np.min(np.abs(np.diff(plain)))


@pytest.fixture(scope="module")
def public():
    network = surrogate_network(PUBLIC)
    found = lyapunov_spectrum(network, network.rest(), DRIVES, transient=100, count=2 * NEURONS, key=KEY)
    return network, found


def test_public_surrogate_exponents_obey_the_conservation_law(public):
    _, found = public
    law = NEURONS * np.log(A * B)
    assert abs(found.exponents.sum() - law) < 1e-12
    assert np.ptp(found.exponents) > 0.1


@pytest.mark.parametrize("reset", [PUBLIC, GATED, FULL])
def test_jacobian_of_each_convention(reset):
    network = surrogate_network(reset)
    rng = np.random.default_rng(6)
    mem, syn = rng.normal(1, 1, NEURONS), rng.normal(0, 1, NEURONS)
    state = (LayerState(MembraneState(jnp.asarray(mem), jnp.asarray(syn)), None, None),)
    _, rows = push_tangents(network, state, DRIVES[0], jnp.eye(2 * NEURONS))
    spike, slope = (mem >= 1).astype(float), 1 / (1 + 5 * np.abs(mem - 1)) ** 2
    layer = network.network.layers[0]
    pre = B * mem + (1 - B) * (A * syn + layer.inputs.weights @ DRIVES[0] + layer.recurrent.weights @ spike)
    factors = {PUBLIC: B * np.ones(NEURONS), GATED: B * (1 - spike), FULL: B * (1 - spike) - pre * slope}
    expected = A**NEURONS * np.prod(factors[reset])
    assert spike.any()
    np.testing.assert_allclose(np.linalg.det(rows), expected, rtol=1e-12, atol=1e-18)


def test_forward_pass_does_not_depend_on_the_convention():
    networks = [surrogate_network(reset) for reset in (PUBLIC, GATED, FULL)]
    states = [network.rest() for network in networks]
    for drive in DRIVES[:20]:
        states = [network(state, drive) for network, state in zip(networks, states, strict=True)]
        for other in states[1:]:
            np.testing.assert_array_equal(states[0][0].cell.voltage, other[0].cell.voltage)


def test_sums_of_exponents_are_mean_log_determinants():
    network = surrogate_network(FULL)
    found = lyapunov_spectrum(network, network.rest(), DRIVES, transient=100, count=2 * NEURONS, key=KEY)

    def scan(state, drive):
        new, rows = push_tangents(network, state, drive, jnp.eye(2 * NEURONS))
        return new, jnp.linalg.slogdet(rows)[1]

    _, logarithms = jax.lax.scan(scan, network.rest(), DRIVES)
    np.testing.assert_allclose(found.exponents.sum(), logarithms[100:].mean(), rtol=1e-12)


def test_a_longer_interval_and_fewer_exponents_change_nothing(public):
    network, full = public
    few = lyapunov_spectrum(network, network.rest(), DRIVES, transient=100, interval=4, count=3, key=KEY)
    np.testing.assert_allclose(few.exponents, full.exponents[:3], atol=0.05)  # another basis at the start
    init, step = lyapunov_estimator(network, 3)
    carry = init(network.rest(), KEY)
    total = 0
    for drive in DRIVES[:4]:
        carry, info = step(carry, drive[None])
        total += info.growth
    init, step = lyapunov_estimator(network, 3, interval=4)
    _, info = step(init(network.rest(), KEY), DRIVES[:4])
    np.testing.assert_allclose(info.growth, total, rtol=1e-12)


def test_gated_networks_that_spike_have_exponents_of_minus_infinity():
    network = surrogate_network(GATED)
    with pytest.raises(SingularJacobian, match="Only the first"):
        lyapunov_spectrum(network, network.rest(), DRIVES, transient=100, count=2 * NEURONS, key=KEY)


def test_a_jacobian_of_low_rank_is_refused_and_not_padded():
    rng = np.random.default_rng(7)
    matrix = rng.normal(size=(4, 2)) @ rng.normal(size=(2, 4))
    with pytest.raises(SingularJacobian, match="Only the first 2 of 3"):
        lyapunov_spectrum(Linear(jnp.asarray(matrix)), jnp.zeros(4), None, steps=40, transient=20, count=3, key=KEY)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"count": 5}, "5 exponents were asked for, but the state has 4 dimensions"),
        ({"count": 0}, "must be a whole number and at least 1, not 0"),
        ({"interval": 0}, "must be a whole number and at least 1, not 0"),
        ({"transient": -1}, "transient must be a whole number and at least 0, not -1"),
        ({"transient": 40}, "a transient of 40 steps leaves nothing of a run of 40"),
        ({"transient": 15, "interval": 2}, "must be multiples of the interval, 2"),
        ({"blocks": 30}, "there must be from 2 to 20"),
        ({"steps": None}, "needs its number of steps"),
    ],
)
def test_bad_input(options, sentence):
    options = {"steps": 40, "transient": 20, "count": 2, "key": KEY} | options
    with pytest.raises(ValueError, match=sentence):
        lyapunov_spectrum(Linear(jnp.eye(4)), jnp.zeros(4), None, **options)


def test_whole_numbers_of_numpy_are_whole_numbers():
    """In a process without the type checks of the tests."""
    code = """if True:
        import jax, jax.numpy as jnp, numpy as np, stablespike as ss
        numbers = {"steps": 40, "transient": 20, "count": 2, "interval": 2, "blocks": 5}
        step, key = lambda state, drive: jnp.array([2.0, 0.5]) * state, jax.random.key(0)
        for kind in (int, np.int8, np.int64):
            given = {name: kind(one) for name, one in numbers.items()}
            print(ss.lyapunov_spectrum(step, jnp.zeros(2), None, **given, key=key).exponents)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stderr
    assert len(set(lines)) == 1


def test_standard_errors_are_those_of_independent_blocks():
    growth = jnp.asarray(np.random.default_rng(8).normal(0.3, 1.0, (4000, 1)))
    errors = block_standard_errors(growth, jnp.ones(4000), 40)
    np.testing.assert_allclose(errors, 1 / np.sqrt(4000), rtol=0.4)
    assert block_standard_errors(2 * growth, jnp.full(4000, 2.0), 40) == pytest.approx(errors)


def test_dimension_and_entropy():
    assert kaplan_yorke_dimension(np.array([0.9, 0.0, -14.57])) == pytest.approx(2 + 0.9 / 14.57)
    assert kaplan_yorke_dimension(np.array([-0.1, -0.2])) == 0
    assert entropy_rate(jnp.array([0.9, 0.1, -3.0])) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="needs so many that the sum is negative"):
        kaplan_yorke_dimension(np.array([0.9, 0.1]))
    with pytest.raises(ValueError, match="needs more of them"):
        entropy_rate(np.array([0.9, 0.1]))


def test_networks_without_events_and_states_that_are_not_finite_are_refused():
    silent, options = surrogate_network(PUBLIC), {"transient": 10, "count": 2, "key": KEY}
    with pytest.raises(ValueError, match="Layer 1 is silent: there are no events to average over; raise"):
        lyapunov_spectrum(silent, silent.rest(), jnp.zeros((40, CHANNELS)), **options)
    with pytest.raises(SingularJacobian, match="not finite"):
        lyapunov_spectrum(lambda state, drive: 0.5 * state + drive, jnp.ones(3), jnp.full(40, jnp.nan), **options)


def test_exponents_that_are_no_numbers_are_no_small_ones():
    with pytest.raises(ValueError, match="not a number"):
        entropy_rate(np.array([1.0, np.nan, -3.0]))
    with pytest.raises(ValueError, match="not a number"):
        Adaptive(10.0).due(0, 0, 0, lambda: jnp.array([jnp.nan, 0.1]))
    with pytest.raises(SingularJacobian, match="not finite"):
        covariant_vectors(
            lambda state, drive: state * jnp.nan, jnp.ones(3), jnp.zeros(30), count=2, transient=1, settle=1, key=KEY
        )
