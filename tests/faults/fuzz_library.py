"""Networks, runs, trainings and exponents that nobody meant, of few shapes and many values.

`python -m tests.faults.fuzz_library 1000` counts what becomes of them. A sound call of the library is damaged once to
three times: an argument gets an odd value, shape, type or name, or goes; single numbers among weights, states and
times become odd ones. What is accepted must give finite values, spikes in order within the trial, and counts of them.
"""

import argparse
import math
import random
import resource
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tests.faults import fuzz_gradients
from tests.faults.odd import (
    CHANNELS,
    DT,
    INPUTS,
    LOOP,
    SHAPES,
    SIZE,
    TRIALS,
    TYPES,
    UNTIL,
    W_IN,
    Arguments,
    damaged,
    floats,
    networks,
    not_finite,
    odd_array,
    odd_value,
    planted,
)
from tests.faults.outcomes import Outcome, Said, counted, table, told

import stablespike as ss
from stablespike.learning.training import TrainingError
from stablespike.stability.lyapunov import SingularJacobian

SECONDS = 120  # a case that takes longer hangs: the longest compile something
MOST_MEMORY = 12 << 30  # bytes: a case that asks for more is told so, and takes no machine with it
OURS = (ValueError, MemoryError, ss.SimulationError, TrainingError, SingularJacobian)


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


def shaped(chance: random.Random) -> tuple[str, Callable[[], str | None]]:
    """A run of which weights, inputs or states have another shape or type, each as the constructors let them pass."""
    neuron = chance.choice([ss.QIF(1.0), ss.LIF(1.0), ss.Theta(1.0)])
    sound = {"inputs": W_IN, "loop": LOOP, "times": INPUTS.times, "sources": INPUTS.sources}
    sound["initial"] = ss.initial_states(neuron, jnp.zeros(SIZE))
    odd = {
        name: chance.choice([reshaped, retyped])(chance, sound[name])
        for name in chance.sample(sorted(sound), chance.choice([1, 1, 2, 5]))
    }
    told = {name: (one.dtype, one.shape) for name, one in odd.items()}
    on = chance.choice([ss.Events(32, 10), ss.Grid(DT, ss.SuperSpike(10.0))])
    return f"{neuron} {told} {on}", lambda: made_and_ran(neuron, sound | odd, on)


def reshaped(chance: random.Random, sound: jax.Array) -> jax.Array:
    """Zeros of another shape."""
    return jnp.zeros(chance.choice(SHAPES), sound.dtype)


def retyped(chance: random.Random, sound: jax.Array) -> jax.Array:
    """The same values as another type holds them."""
    return sound.astype(chance.choice([kind for kind in TYPES if kind is not object]))


def made_and_ran(neuron: Any, of: dict[str, Any], on: Any) -> str | None:
    """Make a network of these arrays and run it."""
    network = ss.Network(ss.Layer(neuron, ss.Dense(of["inputs"]), ss.Dense(of["loop"])))
    return ran(network, ss.Spikes(of["times"], of["sources"]), UNTIL, on=on, initial=of["initial"])


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

KINDS = {"parts": part, "runs": simulated, "shapes": shaped, "gradients": fuzz_gradients.case, "training": trained}
KINDS |= {"exponents": exponents}
SHARES = {"parts": 8, "runs": 6, "shapes": 1, "gradients": 2, "training": 3, "exponents": 2}


def case_of(kinds: list[str]) -> Callable[[random.Random], tuple[str, Callable[[], str | None]]]:
    """Cases of these kinds."""

    def case(chance: random.Random) -> tuple[str, Callable[[], str | None]]:
        what, call = KINDS[chance.choices(kinds, [SHARES[kind] for kind in kinds])[0]](chance)
        return what, lambda: told(call, OURS)

    return case


def warm(kinds: list[str]) -> None:
    """Compile what every case needs, which may take longer than a case may."""
    if "runs" in kinds:
        for network, on, initial in networks().values():
            ss.simulate(network, INPUTS, UNTIL, on=on, initial=initial)
    if "gradients" in kinds:
        fuzz_gradients.warm()
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
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, resource.RLIM_INFINITY))
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
