"""Networks that hear with a surrogate gradient, of neurons that differ: from LIF to adaptive and resonating cells.

Data, readout, loss, penalties, optimiser and number of neurons are those of `networks_that_hear`.
"""

import dataclasses
import math
import pathlib
import time
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key, PyTree
from sklearn.linear_model import LogisticRegression

import stablespike as ss
from stablespike.dynamics.grid.cells import SpikingCell
from stablespike.learning.classify import Classification, Labelled
from stablespike.learning.training import TrainingState
from stablespike.tasks.recordings import binned, cut, merge_channels
from stablespike.tasks.speaker_splits import Split
from studies.networks_that_hear import Competitor, Hearing, hearing_network, hearing_task

SURROGATE = Competitor(exact=False)
Ends = tuple[float, float]


class Kind(NamedTuple):
    """A kind of neuron: its class, the ends between which each trained parameter is drawn, and what all neurons share.

    Parameters are drawn evenly by their logarithm and stay within a factor of `bound` of their ends. Weights of the
    hidden layer are those of LIF times `scale`: a pulse moves these membranes more, or less.
    """

    neuron: type[Any]
    drawn: Mapping[str, Ends]
    shared: Mapping[str, Any] = MappingProxyType({})
    scale: float = 1.0
    bound: float = 2.0


STEP = 0.004  # s, of the published networks: their parameters of a step, in seconds
LIF = Kind(ss.LIF, {}, {"membrane_time_constant": 0.02})
DIFFERENT = Kind(ss.LIF, {"membrane_time_constant": (0.02, 0.1)}, bound=1.25)  # synapses, twice as fast, are resolved
ADAPTIVE = Kind(  # 5 to 25 and 60 to 300 steps; couplings of 120 times up to 1 and up to 2 for their step
    ss.SymplecticAdaptiveLIF,
    {
        "membrane_time_constant": (5 * STEP, 25 * STEP),
        "adaptation_time_constant": (60 * STEP, 300 * STEP),
        "voltage_adaptation": (6.0, 60.0),
        "spike_adaptation": (6.0, 60.0),
    },
    {"reset": ss.Detached(ss.ResetToZero())},
    2.5,
)
RESONATING = Kind(  # omega from 5 to 10 and damping from 2 to 3 in hundredths of a step, q decays by 0.9 in a step
    ss.BalancedResonateAndFire,
    {
        "angular_frequency": (0.05 / STEP, 0.1 / STEP),
        "damping": (0.02 / STEP, 0.03 / STEP),
    },
    {"refractory_time_constant": -STEP / math.log(0.9), "refractory_damping": 0.01 / STEP},
    0.7,
)
COMPLEX = Kind(  # D from 0.01 to 0.5 a step, k = 1/2, omega = pi, as S4D-Lin starts
    ss.ComplexLIF,
    {"timestep": (0.02, 0.5), "decay": (0.5, 0.5), "frequency": (math.pi, math.pi)},
    {"reset": ss.Detached(ss.ResetBySubtraction())},
    0.7,
)
KINDS = {
    "LIF": LIF,
    "LIF, different": DIFFERENT,
    "SE-adaptive": ADAPTIVE,
    "BRF": RESONATING,
    "C-SiLIF": COMPLEX,
}


PUBLISHED = (  # per cent
    ("recurrent LIF, 128 neurons", "71.4 ± 1.9", "Cramer et al. 2022"),
    ("BRF, 128 recurrent neurons", "91.4 ± 0.4", "the authors' code of Higuchi et al. 2024, last epoch"),
    ("C-SiLIF, 128 neurons a layer, not recurrent", "95.06 ± 0.37", "Fabre et al. 2025"),
)


class Setting(NamedTuple):
    """What is chosen on the validation speakers. `dropout`: the part of hidden neurons that the readout does not hear
    in a step of training; `shift` and `stretch` of trials in training; `constant_rate` of Adam for logarithms of the
    neurons' parameters.
    """

    hidden_rate: float = 8e-3
    dropout: float = 0.0
    shift: int = 6
    stretch: float = 0.2
    constant_rate: float = 1e-2
    readout_rate: float = 1e-2
    batch_size: int = 50


CHANGES = {
    "as before": {},
    "more augmentation": {"shift": 10, "stretch": 0.3},
    "dropout": {"dropout": 0.2},
    "twice the rate": {"hidden_rate": 1.6e-2},
}


def setting_with(changes: Iterable[str]) -> Setting:
    """The usual setting with some of the `CHANGES`."""
    setting = Setting()
    for one in changes:
        setting = setting._replace(**CHANGES[one])  # type: ignore[arg-type]
    return setting


def network_of(key: Key[Array, ""], kind: Kind, hearing: Hearing, channels: int, classes: int) -> ss.Network:
    """The network at the start: that of `hearing_network` with other neurons, and with weights to their measure."""
    network = hearing_network(key, SURROGATE, hearing, channels, classes)
    hidden, readout = network.layers
    scaled = jax.tree.map(lambda leaf: kind.scale * leaf, (hidden.inputs, hidden.loop))
    return ss.Network(ss.Layer(neurons(jax.random.fold_in(key, 1), kind, hearing), *scaled), readout)


def neurons(key: Key[Array, ""], kind: Kind, hearing: Hearing) -> Any:
    """A hidden layer of neurons of a kind, with parameters in single precision."""
    shared = dict(kind.shared)
    if issubclass(kind.neuron, SpikingCell):
        shared |= {"dt": hearing.dt, "spike": ss.SurrogateSpike(ss.SuperSpike(hearing.sharpness))}
    drawn = {
        name: _drawn(one, ends, hearing.hidden)
        for one, (name, ends) in zip(jax.random.split(key, max(len(kind.drawn), 1)), kind.drawn.items(), strict=False)
    }
    return kind.neuron(**drawn, **shared)


def _drawn(key: Key[Array, ""], ends: Ends, size: int) -> Float[Array, " neurons"]:
    low, high = ends
    return (low * jnp.exp(math.log(high / low) * jax.random.uniform(key, (size,)))).astype(jnp.float32)


class Held(eqx.Module):
    """The penalties of `networks_that_hear` on spike counts, whose derivative is that of the surrogate.

    For other cells than LIF the slope that an exact network needs (`DrivenRates`) has no meaning.
    """

    band: ss.RateBand
    ceiling: ss.CountCeiling

    def __call__(self, network: ss.Network, spikes: ss.Spikes, run: ss.Run) -> Float[Array, ""]:
        """The penalty of a batch."""
        counts = run.layers[0].counts
        return self.band(counts) + self.ceiling(counts)


def task_of(hearing: Hearing) -> Classification:
    """Loss, readout and augmentation of all kinds."""
    band = ss.RateBand(hearing.fewest, hearing.most, hearing.penalty)
    held = Held(band, ss.CountCeiling(hearing.loudest, hearing.penalty))
    return dataclasses.replace(hearing_task(SURROGATE, hearing), penalty=held)


class Dropped(eqx.Module):
    """A `loss` in whose training steps the readout does not hear each hidden neuron with `probability`.

    The others count as much more. Who is silent is drawn anew in every step, for all trials of its batch together.
    """

    loss: Classification
    probability: float

    def require_trials(self, network: ss.Network, trials: Labelled) -> None:
        """Refuse trials as the loss does."""
        self.loss.require_trials(network, trials)

    def __call__(self, network: ss.Network, batch: Labelled, key: Any = None) -> Any:
        """What the loss gives for the thinned network."""
        if key is None or not self.probability:
            return self.loss(network, batch, key)
        own, key = jax.random.split(key)
        return self.loss(thinned(network, own, self.probability), batch, key)


def thinned(network: ss.Network, key: Key[Array, ""], probability: float) -> ss.Network:
    """A network whose readout hears each hidden neuron with 1 - `probability`, and then as much more of it."""
    weights = network.layers[-1].inputs.weights
    heard = jax.random.bernoulli(key, 1 - probability, weights.shape[1:]).astype(weights.dtype)
    return eqx.tree_at(lambda one: one.layers[-1].inputs.weights, network, weights * heard / (1 - probability))


def optimiser(kind: Kind, setting: Setting, steps: int) -> optax.GradientTransformation:
    """Adam for weights, and for the logarithms of the neurons' parameters; rates fall to 0 by half a cosine."""

    def falling(rate: float) -> optax.Schedule:
        return optax.cosine_decay_schedule(rate, steps)

    parts = {
        name: ss.in_logarithms(optax.adam(falling(setting.constant_rate)), low / kind.bound, high * kind.bound)
        for name, (low, high) in kind.drawn.items()
    }
    for name, rate in (("hidden", setting.hidden_rate), ("readout", setting.readout_rate)):
        parts[name] = optax.adam(falling(rate))
    return optax.partition(parts, _names)


def _names(network: PyTree) -> PyTree:
    """The part that each array of a network belongs to: a parameter's name, "hidden" or "readout"."""

    def name(path: Any, _: Any) -> str:
        if path[1].idx == 1:
            return "readout"
        return path[3].name if path[2].name == "neuron" else "hidden"

    return jax.tree_util.tree_map_with_path(name, network)


def train(
    kind: Kind,
    training: Labelled,
    *,
    channels: int,
    classes: int,
    seed: int,
    hearing: Hearing,
    setting: Setting,
    epochs: int,
    evaluate: Callable[[ss.Network], dict[str, Any]],
    checkpoint: pathlib.Path | str | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> tuple[TrainingState, list[dict[str, Any]]]:
    """One network, trained and evaluated after every epoch; goes on from its checkpoint."""
    start = network_of(jax.random.key(seed), kind, hearing, channels, classes)
    hearing = hearing._replace(shift=setting.shift, stretch=setting.stretch)
    loss = Dropped(task_of(hearing), setting.dropout)
    steps = epochs * (training[1].shape[0] // setting.batch_size)
    init, update = ss.gradient_training(loss, optimiser(kind, setting, steps))
    return ss.fit(
        update, init(start, jax.random.key(1000 + seed)), training, epochs=epochs, batch_size=setting.batch_size,
        evaluate=evaluate, checkpoint=checkpoint, progress=progress,
        identity=f"{kind.neuron.__name__} {dict(kind.drawn)} {dict(kind.shared)} {kind.scale} {kind.bound} {hearing} "
        f"{setting} {epochs} {seed}",
    )  # fmt: skip


def linear_accuracy(split: Split, duration: float, steps: int = 300) -> float:
    """Part of the test trials that logistic regression on square roots of spike counts names rightly.

    The features and the penalty are those of `linear_baseline.logistic_accuracy`, whose solution to its end takes more
    than ten minutes on all Heidelberg Digits; here L-BFGS takes `steps` steps at most.
    """
    (train, test) = (
        np.sqrt(binned(merge_channels(cut(part, duration), 35), 14, duration).reshape(len(part), -1)) for part in split
    )
    model = LogisticRegression(C=0.1, max_iter=steps, tol=1e-3)
    return float(model.fit(train, split.train.labels).score(test, split.test.labels))


def timed(evaluate: Callable[[ss.Network], dict[str, Any]]) -> Callable[[ss.Network], dict[str, Any]]:
    """`evaluate` with the `seconds` on the clock since it was called last: those of an epoch, its judging included."""
    last = [time.perf_counter()]

    def found(network: ss.Network) -> dict[str, Any]:
        result = evaluate(network)
        before, last[0] = last[0], time.perf_counter()
        return result | {"seconds": last[0] - before}

    return found


def count(network: ss.Network) -> int:
    """Number of trained numbers: weights, and parameters of the hidden neurons where these are arrays."""
    hidden, readout = network.layers
    trained = eqx.filter((hidden, readout.inputs), eqx.is_inexact_array)
    return sum(leaf.size for leaf in jax.tree.leaves(trained))


def quantiles(kind: Kind, network: ss.Network) -> list[dict[str, Any]]:
    """Of each trained parameter of the hidden neurons: the ends of its range at the start, quantiles over neurons."""
    rows = []
    for name, (low, high) in kind.drawn.items():
        values = np.asarray(getattr(network.layers[0].neuron, name))
        found = dict(zip(("tenth", "middle", "ninetieth"), np.quantile(values, [0.1, 0.5, 0.9]).tolist(), strict=True))
        rows.append({"parameter": name, "low": low, "high": high} | found)
    return rows
