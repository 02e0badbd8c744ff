"""Code that is written from a neuron's class, against JAX; and a neuron that nobody here knows through every engine."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun
from numba import njit

import stablespike as ss
from stablespike.dynamics.neurons.carried import carried, with_parameters
from stablespike.native.conventions import Flag
from stablespike.native.derived.arithmetic import NotWritten
from stablespike.native.derived.lines import callable_of, functions_of, text_of, traced

KIND = np.dtype(np.float64)


def everything(state, x):
    """Operations of all kinds, of a vector of three and a number."""
    short = jax.lax.scan(lambda c, w: (jnp.sin(c) + w * x, c[0]), state, jnp.asarray([0.5, 2.0, 0.25]))
    long = jax.lax.fori_loop(0, 200, lambda k, c: 0.99 * c + 1e-3 * jnp.cos(k.astype(float) * x), state)
    until = jax.lax.while_loop(lambda c: c[0] < 5, lambda c: 1.3 * c + 0.1, jnp.abs(state) + 0.01)
    branch = jax.lax.cond(x > 0.3, lambda s: jnp.exp(-s), lambda s: s**3, state)
    table = jnp.asarray([[1.0, 2.0, 0.0], [0.0, -1.0, 3.0]])
    moved = jnp.roll(state, 1).at[1].add(x).at[2].multiply(0.5)[::-1]
    pieces = [short[0], short[1], long, until, branch, table @ state, moved, jnp.sort(jnp.asarray([3.0, 1.0]))]
    pieces += [
        jnp.stack(
            [
                jnp.max(state),
                jnp.min(state),
                jnp.sum((state > 0).astype(float)),
                jnp.clip(x, 0.1, 0.2),
                jnp.floor(3 * x),
            ]
        )
    ]
    pieces += [jnp.stack([jnp.arctan2(x, state[0]), jnp.log1p(x), jnp.tanh(x), x**-2, jnp.sign(x - 1), jnp.sqrt(x)])]
    return jnp.concatenate(pieces)


@pytest.mark.parametrize("x", [0.2, 0.7])
def test_what_is_written_gives_what_jax_gives(x):
    code = traced(everything, KIND, (3,), ())
    run = callable_of(code)
    compiled = njit(lambda state, x: run((state, x)))
    state = (0.3, -1.2, 0.8)
    np.testing.assert_allclose(compiled(state, x), everything(jnp.asarray(state), x), rtol=1e-14, atol=1e-16)


def roundings(state, x):
    """Numbers that become whole ones, whole powers, and orders without a sign."""
    both = [jax.lax.round(state, method) for method in jax.lax.RoundingMethod]
    whole = jnp.asarray(state * 1e10, jnp.int32).astype(float)
    small = jnp.asarray(jnp.abs(x * state), jnp.int32)
    unsigned = jnp.maximum(jnp.asarray(jnp.abs(state), jnp.uint32), jnp.asarray(4e9, jnp.uint32)).astype(float)
    return jnp.concatenate([*both, whole, jax.lax.pow(jnp.asarray([1.5, 0.5, 2.0]), small), unsigned])


@pytest.mark.parametrize("state", [(0.5, -1.5, 2.5), (1e9, -3.5, float("nan"))])
def test_whole_numbers_are_those_of_jax(state):
    run = callable_of(traced(roundings, KIND, (3,), ()))
    compiled = njit(lambda state, x: run((state, x)))
    expected = jax.jit(roundings)(jnp.asarray(state), 0.9)
    np.testing.assert_array_equal(compiled(state, 0.9), expected)


def test_what_whole_numbers_do_otherwise_is_refused():
    for function, name in ((lambda a, b: a // b, "div"), (lambda a, b: jax.lax.rem(a, b), "rem")):
        with pytest.raises(NotWritten, match=f"{name} of whole numbers"):
            text_of(traced(lambda s, f=function: f(s[:1].astype(int), s[1:].astype(int)), KIND, (2,)))


def test_its_text_is_the_same_each_time_and_what_has_no_line_is_named():
    one, other = (text_of(traced(everything, KIND, (3,), ())) for _ in range(2))
    assert one == other
    assert one != text_of(traced(lambda s, x: everything(s, x + 1e-9), KIND, (3,), ()))
    with pytest.raises(NotWritten, match="sort"):
        text_of(traced(jnp.sort, KIND, (3,)))


NEURONS = {
    "LIF": (ss.LIF(0.9), [0.2, 3.0]),
    "QIF": (ss.QIF(1.1), [0.9, 0.4, 2.0]),
    "GeneralLIF": (ss.GeneralLIF(1.0, 0.3), [0.2, 6.0]),
    "GeneralQIF": (ss.GeneralQIF(1.0, 0.3), [0.9, 0.4, 6.0]),
    "AdaptiveLIF": (ss.AdaptiveLIF(), [0.1, 7.0, 0.3]),
    "Refractory": (ss.Refractory(ss.LIF(0.9), 0.3), [0.0, 3.0, 0.1]),
}


@pytest.mark.parametrize("name", NEURONS)
def test_lines_of_a_neuron_are_its_class(name):
    neuron, state = NEURONS[name]
    whole = with_parameters(neuron, jnp.asarray([state]))[0]
    inside, size = carried(neuron, len(state)), whole.shape[0]
    codes = functions_of(inside, size, KIND)
    state, bar = tuple(map(float, whole)), tuple(np.linspace(-1, 1, size))
    given = {
        # before anybody spikes: where an integration ends that goes beyond the threshold is a matter of rounding
        "flow": (state, 0.1), "unflow": (state, 0.1, bar), "power": (state, bar), "may": (state, 9.0),
        "wait": (state, 9.0),
        "slope": (state,), "reset": (state,), "unreset": (state, bar), "jump": (state, 0.4),
        "unjump": (state, 0.4, bar), "distance": (state, bar), "add": (state, bar, 2.0),
    }  # fmt: skip
    runs = [callable_of(codes[one]) for one in given]
    a, b, c, m, d, e, f, g, h, i, j, k = runs

    @njit
    def all_lines(flow, unflow, power, may, wait, slope, reset, unreset, jump, unjump, distance, add):
        first = a(flow), b(unflow), c(power), m(may), d(wait), e(slope), f(reset)
        return *first, g(unreset), h(jump), i(unjump), j(distance), k(add)

    found = all_lines(*given.values())
    for one, arguments, value in zip(given, given.values(), found, strict=True):
        closed = codes[one].closed
        (expected,) = jax.jit(jaxpr_as_fun(closed))(*map(jnp.asarray, arguments))
        np.testing.assert_allclose(value, expected, rtol=2e-13, atol=1e-15, err_msg=one)


class Perfect(ss.AbstractNeuron):
    """A neuron without leak, not one of ours: V' = I/tau, tau_s I' = -I, spike at V = 1, reset by subtraction."""

    time_constant: ss.dynamics.neurons.neuron.Parameter = 1.0
    decay: ss.dynamics.neurons.neuron.Parameter = 0.5

    def requirements(self):
        return ((jnp.asarray(self.decay) > 0, "decay must be positive."),)

    def initial_state(self, voltage=0.0, current=0.0):
        return jnp.stack([jnp.asarray(voltage, float), jnp.asarray(current, float)])

    def voltage(self, state):
        return state[0]

    def flow(self, state, dt):
        rise = -self.decay * jnp.expm1(-dt / self.decay) / self.time_constant
        return jnp.stack([state[0] + state[1] * rise, state[1] * jnp.exp(-dt / self.decay)])

    def time_to_spike(self, state):
        gap = (1 - state[0]) * self.time_constant / self.decay
        comes = (state[1] > 0) & (gap < state[1])
        part = jnp.where(comes, gap, 0) / jnp.where(comes, state[1], 1)
        return jnp.where(state[0] >= 1, 0.0, jnp.where(comes, -self.decay * jnp.log1p(-part), jnp.inf))

    def spike_time_derivative(self, state):
        return jnp.stack([-self.time_constant / state[1], jnp.zeros_like(state[1])])

    def jump(self, state, weight):
        return state.at[1].add(weight)

    def reset(self, state):
        return state.at[0].add(-1.0)


def test_in_single_precision_they_are_written_in_it():
    neuron, state = NEURONS["GeneralLIF"]
    kind = np.dtype(np.float32)
    whole = with_parameters(neuron, jnp.asarray([state], kind))[0]
    codes = functions_of(carried(neuron, len(state)), whole.shape[0], kind)
    flow, wait = callable_of(codes["flow"]), callable_of(codes["wait"])
    run = njit(lambda state, x: (flow((state, x)), wait((state, x))))
    moved, time = run(tuple(np.asarray(whole)), np.float32(9.0))
    assert "double" not in text_of(codes["flow"])
    np.testing.assert_allclose(moved, [*neuron.flow(jnp.asarray(state), 9.0).tolist(), 1.0, 0.3, 1.0], rtol=2e-5)
    np.testing.assert_allclose(time, neuron.time_to_spike(jnp.asarray(state)), rtol=1e-5)


SIZE, UNTIL = 5, 3.0
RNG = np.random.default_rng(4)
W_IN, LOOP = jnp.asarray(RNG.uniform(1, 4, (SIZE, 3))), jnp.asarray(RNG.normal(0, 0.3, (SIZE, SIZE)))
INPUTS = ss.Spikes(jnp.asarray([0.1, 0.4, 0.9, 0.9, 1.7]), jnp.asarray([0, 1, 2, 0, 1]))
OTHERS = {
    "not ours": (Perfect(jnp.linspace(0.8, 1.2, SIZE), 0.5), 1.0),
    "not alike": (ss.LIF(jnp.linspace(0.8, 1.2, SIZE), jnp.linspace(0.9, 1.1, SIZE)), 1.6),
    "numerical": (ss.AdaptiveLIF(adaptation_time_constant=2.0), 2.0),
}


def found(neuron, gain, loop, gradient, until=UNTIL):
    """Loss on spike times of a network, its spike counts, and the gradient in parameters, weights and input times."""

    def loss(operands):
        neuron, w_in, w, times = operands
        connection = None if w is None else ss.Dense(w)
        network = ss.Network(ss.Layer(neuron, ss.Dense(gain * w_in), loop=connection))
        run = ss.simulate(network, ss.Spikes(times, INPUTS.sources), until, on=ss.Events(budget=12), gradient=gradient)
        sent = run.output.times
        return jnp.sum(jnp.where(jnp.isfinite(sent), jnp.sin(sent), 0)), run.output.counts

    operands = jax.tree.map(jnp.asarray, (neuron, W_IN, loop, INPUTS.times))
    return jax.jit(jax.value_and_grad(loss, has_aux=True))(operands)


PAIRS = [(name, loop) for name in OTHERS for loop in (None, LOOP) if name != "numerical" or loop is not None]


@pytest.mark.parametrize(
    ("name", "loop"), PAIRS, ids=[f"{name}, {'layer' if loop is None else 'recurrent'}" for name, loop in PAIRS]
)
def test_any_neuron_has_kernels_and_the_gradient_of_its_parameters(name, loop):
    neuron, gain = OTHERS[name]
    (value, counts), gradients = found(neuron, gain, loop, ss.TimeReversed())
    (recorded, expected_counts), expected = found(neuron, gain, loop, ss.Recorded())
    assert counts.sum() >= SIZE
    np.testing.assert_array_equal(counts, expected_counts)
    np.testing.assert_allclose(value, recorded, rtol=1e-12)
    for one, other in zip(jax.tree.leaves(gradients), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-11 * np.abs(other).max())
        assert np.abs(other).max() > 0


def test_a_neuron_of_ones_own_runs_everywhere_else():
    """With delays, on a grid, layer by layer."""
    neuron = Perfect()
    net = ss.Network(ss.Layer(neuron, ss.Dense(W_IN), loop=ss.Delayed(LOOP, jnp.full(SIZE, 0.3))))
    exact = ss.simulate(net, INPUTS, UNTIL)
    plain = ss.Network(ss.Layer(neuron, ss.Dense(W_IN)), ss.Layer(neuron, ss.Dense(jnp.abs(LOOP) * 4)))
    grid = ss.simulate(plain, INPUTS, UNTIL, on=ss.Grid(1e-3, ss.SuperSpike(10.0)))
    events = ss.simulate(plain, INPUTS, UNTIL)
    assert exact.output.counts.sum() > 0
    counts = [np.asarray(one.layers[0].counts).astype(int) for one in (grid, events)]
    assert np.abs(counts[0] - counts[1]).max() <= 1


def test_what_cannot_be_derived_is_said_with_what_to_use():
    class Sorting(Perfect):
        def flow(self, state, dt):
            return super().flow(jnp.sort(state), dt)

    network = ss.Network(ss.Layer(Sorting(), ss.Dense(W_IN)))
    with pytest.raises(ValueError, match=r"no kernels for Sorting.*\(sort\).*use gradient=Recorded\(\)"):
        ss.simulate(network, INPUTS, UNTIL, gradient=ss.TimeReversed())


@pytest.mark.parametrize("loop", ["none", "dense", "sparse"])
@pytest.mark.parametrize(
    "made", [lambda one: ss.GeneralLIF(one, 0.3), lambda one: ss.Refractory(ss.LIF(1.0), one)], ids=["tau", "period"]
)
def test_parameters_that_training_made_impossible_are_flagged(made, loop):
    """Kernels carry parameters in the state, where nobody asks whether they are allowed."""
    inputs = ss.Spikes(jnp.array([0.1, 0.4]), jnp.zeros(2, int))
    as_made = (
        (lambda one: ss.Sparse(ss.from_matrix(one))) if loop == "sparse" else (lambda one: ss.Dense(jnp.array(one)))
    )
    below, among = as_made(np.full((2, 1), 3.0)), None if loop == "none" else as_made(np.zeros((2, 2)))

    def flags(one):
        layer = ss.Layer(made(one), below, among)
        return ss.simulate(ss.Network(layer), inputs, 1.0, on=ss.Events(8)).status.flags

    found = jax.jit(flags)
    assert int(found(0.5)) == 0
    assert int(found(-0.5)) & Flag.PARAMETERS
