"""Networks, runs, trainings and exponents that nobody meant, of few shapes and many values.

`python -m tests.faults.fuzz_library 1000` counts what becomes of them. A sound call of the library is damaged once to
three times: an argument gets an odd value, shape, type or name, or goes; single numbers among weights, states and
times become odd ones. What is accepted must give finite values, spikes in order within the trial, and counts of them.
"""

import argparse
import linecache
import math
import random
import re
import sys
import time
import traceback
from collections.abc import Callable
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from tests.faults.outcomes import Outcome, counted, table

import stablespike as ss
from stablespike.learning.training import TrainingError
from stablespike.stability.lyapunov import SingularJacobian

jax.config.update("jax_enable_x64", True)
SECONDS = 120  # a case that takes longer hangs: the longest compile something
OURS = (ValueError, ss.SimulationError, TrainingError, SingularJacobian)
SIZE, CHANNELS, CLASSES, TRIALS, UNTIL, DT = 4, 3, 2, 4, 2.0, 0.1
RNG = np.random.default_rng(0)
W_IN, LOOP = jnp.asarray(RNG.normal(4, 2, (SIZE, CHANNELS))), jnp.asarray(RNG.normal(0, 1, (SIZE, SIZE)))
INPUTS = ss.Spikes(jnp.asarray([0.1, 0.3, 0.4, 0.9, 1.2, 1.7]), jnp.asarray([0, 1, 2, 0, 1, 2]))
NUMBERS = [0.0, -0.0, 1.0, -1.0, 0.5, 3.0, 1e-9, 1e-300, 5e-324, 1e9, -1e9, 1e160, 1e300, math.nan, math.inf, -math.inf]
ODD: list[Any] = [
    None,
    "",
    "x",
    "1.0",
    b"1",
    True,
    False,
    0,
    1,
    -1,
    2,
    2**40,
    1j,
    [],
    [1.0],
    (1.0,),
    {},
    {1.0},
    object(),
]
ODD += [
    ss.QIF,
    ss.SuperSpike,
    np.float32(0.5),
    np.int8(1),
    np.zeros(0),
    np.ones(3, bool),
    jax.random.key(0),
    len,
    np.nan,
]
SHAPES = [(), (0,), (1,), (SIZE,), (SIZE + 1,), (SIZE, SIZE), (SIZE, CHANNELS + 1), (0, 3), (1, SIZE, CHANNELS), (2, 4)]
TYPES = [np.float32, np.float64, np.float16, np.int32, np.int64, np.uint8, np.bool_, np.complex128, object]
Arguments = dict[str, Any]


class Said(Exception):
    """A sentence of the library's own."""


def odd_value(chance: random.Random, sound: Any) -> Any:
    """Something in the place of a sound argument; of an array often a similar one."""
    if isinstance(sound, jax.Array) and not jnp.issubdtype(sound.dtype, jax.dtypes.prng_key) and chance.random() < 0.7:
        return odd_array(chance, sound)
    if isinstance(sound, eqx.Module) and chance.random() < 0.5:
        return planted(chance, sound)
    return chance.choice(NUMBERS) if chance.random() < 0.4 else chance.choice(ODD)


def odd_array(chance: random.Random, sound: jax.Array) -> Any:
    """An array like another, with a number planted, or of another type or shape, or what is no array of JAX."""
    how = chance.choice(["planted"] * 4 + ["scaled", "type", "shape", "wrong by one", "list", "numpy", "random"])
    values = np.asarray(sound)
    if how == "planted" and values.size:
        planted = np.array(values)
        with np.errstate(all="ignore"):
            planted.flat[chance.randrange(values.size)] = np.asarray(chance.choice(NUMBERS)).astype(values.dtype)
        return jnp.asarray(planted)
    if how == "type":
        with np.errstate(all="ignore"):
            other = values.astype(chance.choice(TYPES))
        return other if other.dtype == object else jnp.asarray(other)
    if how == "shape":
        return jnp.zeros(chance.choice(SHAPES), values.dtype)
    if how == "wrong by one" and values.ndim:
        return jnp.asarray(np.pad(values, [(0, chance.randint(0, 1)) for _ in values.shape]))
    if how == "list":
        return values.tolist()
    if how == "numpy":
        return values
    return sound * jnp.asarray(chance.choice([0, 1, -1, 3, 7])).astype(sound.dtype)


def damaged(chance: random.Random, sound: Arguments) -> Arguments:
    """Arguments of which some are odd, missing, renamed or too many."""
    found = dict(sound)
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
        how = chance.choice(["value"] * 12 + ["gone", "new", "renamed"])
        name = chance.choice(sorted(found)) if found else "nothing"
        if how == "value" or not found:
            found[name] = odd_value(chance, found.get(name))
        elif how == "new":
            found[chance.choice(["tau", "max_events", "weights", "recurrent", "colour"])] = 1.0
        else:
            value = found.pop(name)
            if how == "renamed":
                found[f"{name}s"] = value
    return found


# What networks are made of

PARTS: dict[str, tuple[Callable[..., Any], Arguments]] = {
    "QIF": (ss.QIF, {"membrane_time_constant": 1.0}),
    "LIF": (ss.LIF, {"membrane_time_constant": 1.0, "threshold": 1.0}),
    "Theta": (ss.Theta, {"membrane_time_constant": 1.0, "drive": 1.25}),
    "OscillatoryLIF": (ss.OscillatoryLIF, {"membrane_time_constant": 1.0, "drive": 1.25, "threshold": 1.0}),
    "GeneralQIF": (ss.GeneralQIF, {"membrane_time_constant": 1.0, "synaptic_time_constant": 0.4}),
    "ExponentialIF": (ss.ExponentialIF, {"sharpness": 0.2, "horizon": 10.0, "longest_step": 0.1}),
    "LeakyReadout": (ss.LeakyReadout, {"membrane_time_constant": 0.5, "synaptic_time_constant": 0.2}),
    "GridLIF": (ss.GridLIF, {"membrane_time_constant": 1.0, "synaptic_time_constant": 0.5, "dt": DT, "threshold": 1.0}),
    "Dense": (ss.Dense, {"weights": W_IN}),
    "Delayed": (ss.Delayed, {"weights": LOOP, "delays": jnp.full(SIZE, 0.2), "within": (0.1, 0.3)}),
    "Sparse": (ss.Sparse, {"weights": ss.from_matrix(np.asarray(W_IN))}),
    "from_matrix": (ss.from_matrix, {"matrix": np.asarray(W_IN)}),
    "fixed_in_degree": (
        ss.fixed_in_degree, {"generator": np.random.default_rng(0), "size": 5, "in_degree": 2, "value": 0.1}
    ),
    "Layer": (ss.Layer, {"neuron": ss.QIF(1.0), "inputs": ss.Dense(W_IN), "loop": ss.Dense(LOOP)}),
    "Events": (ss.Events, {"budget": 8, "looks": 10}),
    "Grid": (ss.Grid, {"dt": DT, "slope": ss.SuperSpike(10.0), "watched": False}),
    "SuperSpike": (ss.SuperSpike, {"sharpness": 10.0}),
    "MultiGaussian": (ss.MultiGaussian, {"width": 0.5, "depth": 0.15, "ratio": 6.0}),
    "SurrogateSpike": (ss.SurrogateSpike, {"slope": ss.Arctan(2.0)}),
    "Truncated": (ss.Truncated, {"every": 3}),
    "Checkpointed": (ss.Checkpointed, {"every": 3}),
    "TimeReversed": (ss.TimeReversed, {"checkpoints": 3, "tolerance": 1e-9}),
    "Spikes": (ss.Spikes, {"times": INPUTS.times, "sources": INPUTS.sources}),
    "in_order": (ss.in_order, {"times": INPUTS.times, "sources": INPUTS.sources}),
    "initial_states": (ss.initial_states, {"neuron": ss.QIF(1.0), "voltages": jnp.zeros(SIZE), "currents": 0.0}),
    "Patience": (ss.Patience, {"quantity": "loss", "epochs": 2}),
    "classify": (ss.classify, {"until": UNTIL, "on": ss.Events(32)}),
    "gradient_training": (ss.gradient_training, {"loss": ss.classify(UNTIL), "optimiser": optax.sgd(0.1)}),
}  # fmt: skip


def part(chance: random.Random) -> tuple[str, Callable[[], str | None]]:
    """Something that a network is made of, or that is made for training."""
    name = chance.choice(sorted(PARTS))
    make, sound = PARTS[name]
    given = damaged(chance, sound)
    return (
        f"{name}({given})",
        lambda: not_finite(make(**given)) if name == "initial_states" else used(name, make, given),
    )


def used(name: str, make: Callable[..., Any], given: Arguments) -> None:
    """Make it, and a network of it where it is a neuron."""
    made = make(**given)
    if isinstance(made, ss.AbstractNeuron | ss.LeakyReadout):
        ss.Network(ss.Layer(made, ss.Dense(W_IN)))


# Runs


def recurrent(neuron: Any) -> ss.Network:
    """Four neurons that hear three channels and each other."""
    return ss.Network(ss.Layer(neuron, ss.Dense(W_IN), ss.Dense(LOOP)))


@cache
def networks() -> dict[str, tuple[ss.Network, Any, Any]]:
    """Every way to be connected, with the way it is run and its states at the start."""
    sparse = [ss.Sparse(ss.from_matrix(np.asarray(one))) for one in (W_IN, LOOP)]
    readout = ss.Layer(ss.LeakyReadout(0.5), ss.Dense(jnp.ones((CLASSES, SIZE))))
    found = {f"recurrent {type(one).__name__}": recurrent(one) for one in (ss.QIF(1.0), ss.LIF(1.0), ss.Theta(1.0))}
    found["oscillatory"] = recurrent(ss.OscillatoryLIF(1.0))
    found["heterogeneous"] = recurrent(ss.QIF(jnp.linspace(0.5, 1.5, SIZE)))
    found["general"] = recurrent(ss.GeneralQIF(1.0, 0.4))
    found["forward"] = ss.Network(ss.Layer(ss.LIF(1.0), ss.Dense(W_IN)), readout)
    found["delayed"] = ss.Network(ss.Layer(ss.LIF(1.0), ss.Dense(W_IN), ss.Delayed(LOOP, jnp.full(SIZE, 0.3))))
    found["late inputs"] = ss.Network(ss.Layer(ss.QIF(1.0), ss.Delayed(W_IN, jnp.full(CHANNELS, 0.1))))
    found["sparse"] = ss.Network(ss.Layer(ss.LIF(1.0), *sparse))
    runs = {name: (one, ss.Events(32, 10), None) for name, one in found.items()}
    states = ss.initial_states(ss.QIF(1.0), jnp.zeros(SIZE))
    runs["started"] = (recurrent(ss.QIF(1.0)), ss.Events(32, 10), states)
    grid = ss.Grid(DT, ss.SuperSpike(10.0))
    runs["grid"] = (found["forward"], grid, None)
    runs["grid of delays"] = (found["delayed"], grid, None)
    runs["grid of QIF"] = (recurrent(ss.QIF(1.0)), grid, states)
    runs["grid of sparse"] = (found["sparse"], grid, None)
    return runs


RULES: list[Any] = [None, ss.Recorded(), ss.Checkpointed(), ss.TimeReversed(), ss.Truncated(3), ss.EProp()]
RULES += [ss.RealTimeRecurrent(), ss.Recorded, "exact", 1]
ENDS: list[Any] = [UNTIL] * 12 + [
    0.0,
    1.0,
    1e-9,
    1e6,
    -1.0,
    math.nan,
    math.inf,
    "2",
    None,
    np.float32(2.0),
    2,
    [2.0],
    True,
]


def planted(chance: random.Random, tree: Any) -> Any:
    """A tree of which one array of floats has an odd number somewhere, past the checks of constructors."""
    leaves, build = jax.tree.flatten(tree)
    places = [k for k, leaf in enumerate(leaves) if eqx.is_inexact_array(leaf) and leaf.size]
    if places:
        place = chance.choice(places)
        values = np.array(leaves[place])
        values.flat[chance.randrange(values.size)] = chance.choice(NUMBERS)
        leaves[place] = jnp.asarray(values)
    return jax.tree.unflatten(build, leaves)


def odd_inputs(chance: random.Random, on: Any) -> Any:
    """Input spikes, or what may be taken for them."""
    how = chance.choice(["sound", "sound", "times", "times", "sources", "both", "none", "raster", "odd"])
    if how == "none":
        return ss.Spikes(jnp.zeros(0), jnp.zeros(0, int))
    if how == "raster":
        return odd_array(chance, jnp.ones((20, CHANNELS)))
    if how == "odd":
        return odd_value(chance, INPUTS)
    times = odd_array(chance, INPUTS.times) if how in ("times", "both") else INPUTS.times
    sources = odd_array(chance, INPUTS.sources) if how in ("sources", "both") else INPUTS.sources
    return ss.Spikes(times, sources)


def simulated(chance: random.Random) -> tuple[str, Callable[[], str | None]]:
    """A run of a network by events or on a grid."""
    name = chance.choice(sorted(networks()))
    network, on, initial = networks()[name]
    given: Arguments = {"network": network, "until": UNTIL, "on": on, "initial": initial, "gradient": None}
    given["inputs"] = INPUTS
    named = [name]
    for what in chance.choices(["weights", "inputs", "inputs", "until", "gradient", "initial", "on", "network"], k=2):
        named.append(what)
        if what == "weights":
            given["network"] = planted(chance, given["network"])
        elif what == "inputs":
            state = chance.getstate()
            given["inputs"] = lambda state=state: odd_inputs(restored(chance, state), on)
            chance.random()
        elif what == "until":
            given["until"] = chance.choice(ENDS)
        elif what == "gradient":
            given["gradient"] = chance.choice(RULES)
        elif what == "initial" and initial is not None and chance.random() < 0.7:
            given["initial"] = odd_array(chance, initial)
        elif chance.random() < 0.3:
            given[what] = odd_value(chance, None)
    return f"{named} {given}", lambda: ran(**given)


def restored(chance: random.Random, state: Any) -> random.Random:
    """Chance as it was: what is made from it may raise, which belongs into the case."""
    chance.setstate(state)
    return chance


def ran(network: Any, inputs: Any, until: Any, **options: Any) -> str | None:
    """Simulate, and say what is wrong with what was accepted."""
    inputs = inputs() if callable(inputs) else inputs
    run = ss.simulate(network, inputs, until, **options)
    for layer in run.layers:
        if layer.signals is not None and not np.isfinite(np.asarray(layer.signals)).all():
            return "signals that are not finite"
        if layer.signals is None and (wrong := wrong_spikes(layer, float(until))):
            return wrong
    return "states that are no numbers" if any(np.isnan(one).any() for one in floats(run.states)) else None


def wrong_spikes(layer: ss.Trains, until: float) -> str | None:
    """What is wrong with the spikes of a layer by events."""
    spikes = layer.spikes
    times = np.asarray(spikes.times)[np.asarray(spikes.real)]
    if np.isnan(np.asarray(spikes.times)).any():
        return "spike times that are no numbers"
    if np.any(np.diff(times) < 0) or np.any(times < 0) or np.any(times > until):
        return "spikes out of order or outside of the trial"
    counts = np.bincount(np.asarray(spikes.sources)[np.asarray(spikes.real)], minlength=layer.size)
    return None if np.array_equal(counts, np.asarray(layer.counts)) else "counts that are not those of the spikes"


def not_finite(tree: Any) -> str | None:
    """Whether there are arrays with values that are not finite."""
    return None if all(np.isfinite(one).all() for one in floats(tree)) else "values that are not finite"


def floats(tree: Any) -> list[np.ndarray]:
    """Arrays of a tree."""
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)]


# Derivatives

DIFFERENTIATED = ["recurrent QIF", "recurrent LIF", "recurrent Theta", "forward", "delayed", "sparse", "grid"]


def differentiated(chance: random.Random) -> tuple[str, Callable[[], str | None]]:
    """The gradient of a run with respect to its network, some of whose numbers are odd."""
    name = chance.choice(DIFFERENTIATED)
    network, on, _ = networks()[name]
    network = planted(chance, network) if chance.random() < 0.8 else network
    rule = chance.choice([None, None, ss.Recorded()])
    return f"{name} {rule} {network}", lambda: gradient_of(network, on, rule)


def gradient_of(network: ss.Network, on: Any, rule: Any) -> str | None:
    """Differentiate the sum of all spike times or signals, and say what is wrong with it."""

    def loss(varied):
        run = ss.simulate(eqx.combine(varied, rest), INPUTS, UNTIL, on=on, gradient=rule)
        times = run.output.signals if run.output.signals is not None else run.output.spikes.times
        return jnp.sum(jnp.where(jnp.isfinite(times), times, 0))

    varied, rest = eqx.partition(network, eqx.is_inexact_array)
    return not_finite(jax.grad(loss)(varied))


# Training


@cache
def trainings() -> dict[str, tuple[Any, Any, ss.Network]]:
    """Pairs (init, update), each compiled once, with a network."""
    network = networks()["forward"][0]
    found = {}
    for name, on in (("events", ss.Events(32, 10)), ("grid", ss.Grid(DT, ss.SuperSpike(10.0)))):
        found[name] = (*ss.gradient_training(ss.classify(UNTIL, on=on), optax.sgd(0.01)), network)
    return found


def trained(chance: random.Random) -> tuple[str, Callable[[], str | None]]:
    """An epoch of training with trials, labels and options of which some are odd."""
    name = chance.choice(sorted(trainings()))
    init, update, network = trainings()[name]
    start = {"parameters": network, "key": jax.random.key(0)}
    spikes = jax.tree.map(lambda leaf: jnp.stack([leaf] * TRIALS), INPUTS)
    data: Arguments = {"times": spikes.times, "sources": spikes.sources, "labels": jnp.asarray([0, 1, 0, 1])}
    options: Arguments = {"epochs": 1, "batch_size": 2}
    if chance.random() < 0.4:
        options["judge"] = (spikes, data["labels"])
    where = chance.choice(["start", "weights", "data", "data", "data", "options", "options", "swapped", "nothing"])
    if where == "start":
        start = damaged(chance, start)
    if where == "weights":
        start["parameters"] = planted(chance, network)
    if where == "data":
        data = {**data, **{key: odd_value(chance, data[key]) for key in chance.sample(sorted(data), 1)}}
    if where == "options":
        options = damaged(chance, options)
        if isinstance(options.get("epochs"), int) and options["epochs"] > 1:
            options["epochs"] = 1  # many are no hang
    swapped = where == "swapped"
    return f"{name} {where} {start} {data} {options}", lambda: fitted(init, update, start, data, options, swapped)


def fitted(init: Any, update: Any, start: Arguments, data: Arguments, options: Arguments, swapped: bool) -> str | None:
    """Train, and say what is not finite."""
    trials = ss.Spikes(data["times"], data["sources"]), data["labels"]
    state = init(**start)
    state, history = ss.fit(*((state, update) if swapped else (update, state)), trials, **options)
    if not all(math.isfinite(value) for row in history for value in row.values()):
        return "a history that is not finite"
    return not_finite(state.parameters)


# Exponents

EXPONENTS: Arguments = {"count": 2, "transient": 0, "blocks": 2, "key": jax.random.key(0)}


@cache
def steps() -> dict[str, Any]:
    """Networks of which exponents are taken."""
    quiet = ss.Network(ss.Layer(ss.Theta(1.0), ss.Dense(W_IN), ss.Dense(-0.1 * jnp.abs(LOOP))))
    return {
        "QIF": (networks()["recurrent QIF"][0], ss.Events(32)),
        "Theta": (quiet, ss.Events(32)),
        "grid": (networks()["recurrent LIF"][0], ss.Grid(DT, ss.SuperSpike(10.0))),
    }


def exponents(chance: random.Random) -> tuple[str, Callable[[], str | None]]:
    """Lyapunov exponents of a network."""
    name = chance.choice(sorted(steps()))
    network, on = steps()[name]
    made: Arguments = {"network": network, "window": 0.5, "on": on}
    cut: Arguments = {"inputs": INPUTS, "windows": 4}
    options = dict(EXPONENTS)
    where = chance.choice(["made", "weights", "weights", "cut", "options", "options", "nothing"])
    if where == "made":
        made = damaged(chance, made)
    elif where == "weights":
        made["network"] = planted(chance, network)
    elif where == "cut":
        cut = damaged(chance, cut)
    elif where == "options":
        options = damaged(chance, options)
    return f"{name} {where} {made} {cut} {options}", lambda: spectrum(made, cut, options)


def spectrum(made: Arguments, cut: Arguments, options: Arguments) -> str | None:
    """Take them, and say what is not finite."""
    step = ss.as_step(**made)
    found = ss.lyapunov_spectrum(step, step.rest(), step.drives(**cut), **options)
    return not_finite((found.exponents, found.standard_errors))


# Counting

KINDS = {"parts": part, "runs": simulated, "gradients": differentiated, "training": trained, "exponents": exponents}
SHARES = {"parts": 8, "runs": 6, "gradients": 2, "training": 3, "exponents": 2}


def told(call: Callable[[], str | None]) -> str | None:
    """The call, whose errors are sentences only where a line of ours raises them."""
    try:
        return call()
    except TypeError as error:
        if re.match(r"[\w.]+\(\) (missing|takes|got an unexpected|got multiple)", str(error)):
            raise Said("Python says which argument is missing or too many") from error
        raise
    except OURS as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        ours = "/stablespike/" in frame.filename and "raise" in linecache.getline(frame.filename, frame.lineno or 0)
        if ours and str(error).endswith((".", ")")):
            raise Said(str(error)) from error
        raise RuntimeError(f"foreign: {type(error).__name__}: {error}").with_traceback(error.__traceback__) from None


def case_of(kinds: list[str]) -> Callable[[random.Random], tuple[str, Callable[[], str | None]]]:
    """Cases of these kinds."""

    def case(chance: random.Random) -> tuple[str, Callable[[], str | None]]:
        what, call = KINDS[chance.choices(kinds, [SHARES[kind] for kind in kinds])[0]](chance)
        return what, lambda: told(call)

    return case


def warm(kinds: list[str]) -> None:
    """Compile what every case needs, which may take longer than a case may."""
    if "runs" in kinds:
        for network, on, initial in networks().values():
            ss.simulate(network, INPUTS, UNTIL, on=on, initial=initial)
    if "gradients" in kinds:
        for name in DIFFERENTIATED:
            gradient_of(*networks()[name][:2], None)
    for init, update, network in trainings().values() if "training" in kinds else ():
        spikes, labels = jax.tree.map(lambda leaf: jnp.stack([leaf] * TRIALS), INPUTS), jnp.asarray([0, 1, 0, 1])
        ss.fit(update, init(network, jax.random.key(0)), (spikes, labels), epochs=1, batch_size=2)
    for network, on in steps().values() if "exponents" in kinds else ():
        spectrum({"network": network, "window": 0.5, "on": on}, {"inputs": INPUTS, "windows": 4}, dict(EXPONENTS))


def fuzz(count: int, seed: int, kinds: list[str]) -> list[Outcome]:
    """Run `count` cases of these kinds."""
    warm(kinds)
    return counted(case_of(kinds), count, seed, (Said,), SECONDS)


def main() -> None:
    """Print what became of the cases of each kind; the exit status says whether all were results and sentences."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("count", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), default=sorted(KINDS))
    chosen = parser.parse_args()
    failed = False
    for kind in chosen.kinds:
        begun = time.process_time()
        share = SHARES[kind] / sum(SHARES[one] for one in chosen.kinds)
        outcomes = fuzz(round(chosen.count * share), chosen.seed, [kind])
        print(table(kind, outcomes), f"  [{time.process_time() - begun:.0f} s]", sep="\n", flush=True)
        failed |= any(found.kind not in ("result", "sentence") for found in outcomes)
    sys.exit(failed)


if __name__ == "__main__":
    main()
