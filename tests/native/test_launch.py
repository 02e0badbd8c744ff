"""From a simulation to a launch on a GPU, with a stand-in of NVIDIA's driver: values, gradients, errors, lowering."""

import re
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
import pytest
from tests.native.launch_cases import CASES, END, HOW, NEURONS, SOURCES, TIMES, problem, values_and_gradients
from tests.native.stand_in import STREAM, StandIn

import stablespike as ss
from stablespike.learning.gradients import on_gpu, time_reversed
from stablespike.native import bridge
from stablespike.native.cuda import driver, launch
from stablespike.native.cuda.machine_code import NETWORK_ADJOINT, NoKernel, require_room
from stablespike.native.cuda.targets import THREADS
from stablespike.native.trial_rule import Trials

NAMES = {"_layer": (on_gpu.layer_run, on_gpu.layer_pull), "_network": (on_gpu.network_run, on_gpu.network_pull)}


@pytest.fixture
def launching(monkeypatch):
    """A function that has simulations launch kernels by a stand-in, with what it is made of."""

    def begin(**settings):
        stand_in = StandIn(**settings)
        for name, routes in NAMES.items():
            call = on_gpu.with_kernels(
                getattr(time_reversed, name), *(partial(one, stand_in.launcher) for one in routes)
            )
            monkeypatch.setattr(time_reversed, name, call)
        jax.clear_caches()
        return stand_in

    yield begin
    jax.clear_caches()


@pytest.mark.parametrize(
    ("name", "loop"), [(name, loop) for name in CASES for loop in (False, True) if not (loop and name == "GeneralLIF")]
)
def test_simulate_launches_kernels_with_the_values_and_gradients_of_processors(name, loop, launching):
    gradients, (spikes, counts, flags) = values_and_gradients(name, loop)
    stand_in = launching()
    found, (times, number, wrong) = values_and_gradients(name, loop)
    assert not stand_in.errors
    assert not np.any(flags)
    np.testing.assert_array_equal(wrong, flags)
    np.testing.assert_array_equal(number, counts)
    assert np.asarray(counts).sum() > 5
    np.testing.assert_allclose(times, spikes, rtol=0, atol=1e-12)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(gradients), strict=True):
        assert np.any(other)
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-11 * max(1, np.abs(other).max()))
    expected = ["network", "network-adjoint"] if loop else ["layer", "layer", "layer-adjoint", "layer-adjoint"]
    assert [one[0] for one in stand_in.launches] == expected
    assert {one[2:] for one in stand_in.launches} == {(THREADS, STREAM)}
    grids = [one[1] for one in stand_in.launches]
    assert grids == ([3, 3] if loop else [1, 1, 1, 1])


def test_code_is_loaded_once_and_in_what_is_compiled_again_too(launching):
    stand_in = launching()
    neuron, weights, network = problem("LIF", True)

    def counts(times, sources):
        return ss.simulate(network(neuron, weights), ss.Spikes(times, sources), until=END).output.counts

    first = jax.jit(counts)
    for _ in range(2):
        first(TIMES[0], SOURCES[0])
    jax.jit(lambda times, sources: counts(times, sources) + 0)(TIMES[0], SOURCES[0])
    assert len(stand_in.launches) == 3
    assert len(stand_in.loads) == 1


@pytest.mark.parametrize(
    ("where", "answer", "text"),
    [
        ("load", 222, "driver is older than the PTX .* update the driver, or install NVIDIA's ptxas .*CUresult 222"),
        ("load", 2, "the GPU's memory is full: run fewer trials at a time .CUresult 2."),
        ("load", 209, "compiled for another GPU than the one .* CUDA_VISIBLE_DEVICES"),
        ("find", 500, "its name is not in its code"),
        ("launch", 701, "a block of its threads needs more registers or shared memory than this GPU has"),
        ("launch", 47, r"the driver refused \(CUresult 047\)"),
    ],
)
def test_what_the_driver_refuses_is_said_in_a_sentence(where, answer, text, launching):
    stand_in = launching(**{where: answer})
    start = r"the kernel layer \(stablespike\.native\.overrides\.lif\.unpack\) could not be launched on the GPU: "
    with pytest.raises(jax.errors.JaxRuntimeError, match=f"{start}.*{text}.*the recorded rule does this on a GPU"):
        jax.block_until_ready(values_and_gradients("LIF", False))
    assert not stand_in.errors


def test_without_a_driver_a_sentence_says_so(launching):
    launching(absent=True)
    with pytest.raises(
        jax.errors.JaxRuntimeError, match=r"there is no NVIDIA driver \(libcuda\.so\.1\) on this machine"
    ):
        jax.block_until_ready(values_and_gradients("LIF", False))


def test_every_sentence_fits():
    _, texts = driver.sentences("the kernel network-adjoint (" + 60 * "x" + ")")
    assert all(one.tobytes().rstrip(b"\0").decode().endswith("on a GPU.") for one in texts)


def test_trials_with_weights_of_their_own_and_forward_mode_are_those_of_processors(launching):
    neuron, weights, network = problem("LIF", True)
    own = [jnp.stack([one, 1.1 * one, 0.9 * one]) for one in weights]

    def loss(weights, times, sources):
        run = ss.simulate(network(neuron, weights), ss.Spikes(times, sources), until=END, **HOW)
        return jnp.sum(jnp.where(jnp.isfinite(run.output.times), run.output.times**2, 0))

    def all_of_it():
        times, sources = jnp.asarray(TIMES), jnp.asarray(SOURCES)
        pulled = jax.vmap(jax.grad(loss))(own, times, sources)
        one = jax.grad(lambda first: loss([first, weights[1]], times[0], sources[0]))(weights[0])
        _, along = jax.jvp(lambda w: loss(w, times[0], sources[0]), [weights], [[jnp.ones_like(w) for w in weights]])
        return pulled, one, along

    expected, stand_in = all_of_it(), launching()
    found = all_of_it()
    assert not stand_in.errors
    assert {one[:2] for one in stand_in.launches} == {
        (kind, n) for kind in ("network", "network-adjoint") for n in (1, 3)
    }
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-11 * max(1, np.abs(other).max()))


def test_cotangents_of_a_trial_whose_replay_misses_are_nan_and_of_no_other():
    members, errors = np.array([[0, 2], [1, -1]], np.int32), jnp.array([0.0, 1e-12, jnp.nan])
    bars = {"weight_bars": 2, "input_weight_bars": 2, "state_bars": 3, "time_bars": 3}
    results = {name: jnp.ones((size, 4)) for name, size in bars.items()} | {"errors": errors}
    found = on_gpu._require_replay(results, members, 1e-9)
    for name, size in bars.items():
        wrong = [True, False] if size == 2 else [False, False, True]
        np.testing.assert_array_equal(np.isnan(found[name]).all(1), wrong)
        np.testing.assert_array_equal(np.isnan(found[name]).any(1), wrong)


@pytest.mark.parametrize(("bytes_of_one", "sums"), [(1, 60), (2**26, 16), (2**25, 32)])
def test_there_are_as_many_partial_sums_as_fit_and_every_trial_is_in_one_of_its_row(bytes_of_one, sums):
    lead = (2, 30)
    trials = Trials([jnp.zeros((2, 1, 3)), jnp.zeros((1, 30, 4))], (1, 1), lead)
    members, parts = on_gpu.partial_sums(trials, (2, 1), bytes_of_one)
    assert len(members) == sums == 2 * parts
    assert sorted(members[members >= 0]) == list(range(60))
    for row, group in enumerate(members.reshape(2, -1)):
        assert {int(one) // 30 for one in group if one >= 0} == {row}


def header():
    """The header of XLA's foreign functions that jaxlib ships."""
    return Path(jaxlib.__file__).parent.joinpath("include/xla/ffi/api/c_api.h").read_text()


def fields(name):
    """Members of a structure of that header, in order."""
    body = re.search(rf"struct {name} {{(.*?)\n}};", header(), re.S)[1]
    return re.findall(r"(\w+)\)?;", re.sub(r"//.*", "", body))


def test_words_of_the_call_frame_are_where_the_header_says():
    table = fields("XLA_FFI_Api")
    version = 2  # words more than members, as the version is a structure of three words
    assert table.index("XLA_FFI_Stream_Get") + version == launch.STREAM_GET
    assert table.index("XLA_FFI_Error_Create") + version == bridge.API_ERROR_CREATE
    assert fields("XLA_FFI_Stream_Get_Args") == ["struct_size", "extension_start", "ctx", "stream"]
    frame = fields("XLA_FFI_CallFrame")
    assert frame[launch.CONTEXT] == "ctx"
    assert frame[5:8] == ["args", "rets", "attrs"]
    sizes = [len(fields(f"XLA_FFI_{one}")) for one in ("Args", "Rets", "Attrs")]
    assert sizes[0] + sizes[1] + 5 == launch.ATTRIBUTES
    attributes = fields("XLA_FFI_Attrs")
    assert attributes[launch.LIST_OF_ATTRIBUTES] == "attrs"
    for one in ("Args", "Rets"):
        assert fields(f"XLA_FFI_{one}")[launch.COUNT] == "size"
        assert fields(f"XLA_FFI_{one}")[launch.POINTERS].endswith("s")
    buffer = fields("XLA_FFI_Buffer")
    assert [buffer[place] for place in (launch.TYPE, bridge.DATA, bridge.RANK, bridge.DIMENSIONS)] == [
        "dtype", "data", "rank", "dims",
    ]  # fmt: skip
    kinds = dict(re.findall(r"XLA_FFI_DataType_(\w+) = (\d+)", header()))
    assert [int(kinds[one]) for one in ("S64", "F64")] == list(launch.LONG_TYPES)


@pytest.fixture
def registered():
    """A function that has programs for CUDA lowered by kernels; undone at the end."""

    def begin(launcher):
        for call, run, pull in on_gpu.RULES:
            on_gpu._register(call, partial(run, launcher), partial(pull, launcher))
        jax.clear_caches()

    yield begin
    for call, _, _ in on_gpu.RULES:
        old = on_gpu.rule_of(call)
        lower = jax.interpreters.mlir.lower_fun(old._reference, multiple_results=True)
        jax.interpreters.mlir.register_lowering(old.run, lower, platform="cuda")
        jax.interpreters.mlir.register_lowering(old.pull, old._lowered_elsewhere, platform="cuda")
    jax.clear_caches()


def lowered(loop):
    """The program of a gradient, for CUDA."""
    among = {"loop": ss.Dense(jnp.zeros((NEURONS, NEURONS)))} if loop else {}
    network = ss.Network(ss.Layer(ss.LIF(1.0), ss.Dense(jnp.ones((NEURONS, 2))), **among))

    def loss(times):
        spikes = ss.simulate(network, ss.Spikes(times, jnp.asarray(SOURCES[0])), until=END, **HOW).output.times
        return jnp.sum(jnp.where(jnp.isfinite(spikes), spikes, 0))

    return jax.jit(jax.grad(loss)).trace(jnp.asarray(TIMES[0])).lower(lowering_platforms=("cuda",)).as_text()


@pytest.mark.parametrize("loop", [False, True], ids=["layers", "network"])
def test_programs_for_cuda_call_the_kernels_and_hold_no_recorded_loop(loop, registered):
    stand_in = StandIn()
    registered(stand_in.launcher)
    text = lowered(loop)
    assert text.count(f"custom_call @{stand_in.launcher.target}") == 2
    assert "stablehlo.while" not in text


def test_a_network_too_large_for_a_block_is_recorded_and_a_warning_says_why(registered):
    stand_in = StandIn()
    registered(stand_in.launcher._replace(compiled=refusing))
    with pytest.warns(
        UserWarning, match=r"recurrent_spiking_network: no kernel on the GPU, as 9000 neurons need \d+ byt"
    ):
        text = lowered(True)
    assert f"custom_call @{stand_in.launcher.target}" not in text
    assert "stablehlo.while" in text


def refusing(kind, unpack, dtype, sizes, capabilities):
    """As `compiled`, for a network of other sizes than it is asked for."""
    require_room(kind, dtype, (2, 9000))


def test_asking_for_kernels_without_the_compiler_says_what_is_missing(registered):
    registered(on_gpu.gpu())
    try:
        import numba_cuda  # noqa: F401
    except ImportError:
        with pytest.warns(
            UserWarning, match="layer_of_spiking_neurons: no kernel on the GPU, as numba-cuda, which comp"
        ):
            assert "stablehlo.while" in lowered(False)
    else:
        assert lowered(False).count(f"custom_call @{on_gpu.TARGET}") == 2


def test_room_is_asked_for_networks_only_and_said_in_bytes():
    require_room(NETWORK_ADJOINT, np.float32, (2, 500))
    with pytest.raises(NoKernel, match=r"3000 neurons need .* bytes of shared memory, and a block has 49152"):
        require_room(NETWORK_ADJOINT, np.float64, (2, 3000))
