"""Networks that name the wave of every step of an electrocardiogram, trained by exact or by surrogate gradients.

Data, readout, loss and number of neurons are the same for all. Steps without a mark are wave 0, as in the published
code (Yin et al. 2021).
"""

import math
import pathlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PyTree
from scipy.signal import lfilter
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression

import stablespike as ss
from stablespike.learning.classify import Penalty, limited
from stablespike.learning.training import TrainingState
from stablespike.tasks.electrocardiograms import RATE, SIGNALS, STEPS, UNMARKED, WAVES, MarkedRecordings, wave_accuracy
from stablespike.tasks.recordings import select
from studies.cells_that_hear import ADAPTIVE, STEP, Kind, Setting, network_of, optimiser
from studies.networks_that_hear import Hearing

Marked = tuple[ss.Spikes, Int[Array, "trials steps"]]
CHANNELS = 2 * SIGNALS + 1  # the last one is the clock
CLOCK = 0.04  # s from tick to tick
FILTERS = (0.01, 0.03, 0.1, 0.3, 1.0)  # s, of the linear classifier
PUBLISHED = (  # per cent of steps, those without a mark counted as wave 0
    ("adaptive LIF, 36 recurrent neurons", "85.9", "Yin et al. 2021"),
    ("BRF, 36 recurrent neurons", "85.1 ± 0.6", "Higuchi et al. 2024"),
)

DIFFERENT = {"membrane_time_constant": (0.02, 0.6)}
KINDS = {
    "LIF": Kind(ss.LIF, {}, {"membrane_time_constant": 0.05}),
    "LIF, different": Kind(ss.LIF, DIFFERENT, bound=1.25),
    "QIF": Kind(ss.QIF, {}, {"membrane_time_constant": 0.05}),
    "SE-adaptive": ADAPTIVE,
    "BRF": Kind(  # omega from 3 to 5 and damping from 0.1 to 1 in hundredths of a step, q decays by 0.9 in a step
        ss.BalancedResonateAndFire,
        {"angular_frequency": (0.03 / STEP, 0.05 / STEP), "damping": (0.001 / STEP, 0.01 / STEP)},
        {"refractory_time_constant": -STEP / math.log(0.9), "refractory_damping": 0.01 / STEP},
        bound=4.0,
    ),
}


class Competitor(NamedTuple):
    """A kind of neuron, whether by events, and what differs for it; `hidden_rate` and `constant_rate` are of Adam.

    Training trials are cut into pieces of `steps`; their loss counts from step `skipped` on. The gradient of a batch
    has at most the norm `clipped`, that of a single trial (if not 0) the norm `limit`. `loop`: the deviation of the
    recurrent weights is loop/sqrt(hidden); `drive` is added to the weights of the clock; `trace` (s) is the readout's
    time constant. By events neurons are held, with strength `penalty`, below `most` spikes a whole trial in the mean,
    and `budget` is the room for those of one neuron. `apart`: the gradients of the hidden layer and of the readout have
    the norm `clipped` at most each, not both together.
    """

    kind: str
    exact: bool = False
    hidden_rate: float = 1e-2
    constant_rate: float = 1e-2
    steps: int = STEPS
    skipped: int = 0
    clipped: float = 0.1
    limit: float = 0.0
    loop: float = 0.5
    sharpness: float = 25.0
    penalty: float = 1e-3
    most: float = 160.0
    budget: int = 2000
    drive: float = 0.0
    trace: float = 0.02
    readout_rate: float = 1e-2
    apart: bool = False


def name_of(competitor: Competitor) -> str:
    """What a competitor is called: "LIF exact", "BRF surrogate", "LIF readout" if hidden weights do not learn."""
    if competitor.hidden_rate == 0:
        return f"{competitor.kind} readout"
    return f"{competitor.kind} {'exact' if competitor.exact else 'surrogate'}"


def setup(competitor: Competitor, hidden: int) -> Hearing:
    """Weights at the start, readout and grid, which all share but for what the competitor says. Times in s."""
    return Hearing(
        hidden=hidden, dt=STEP, mean=0.3, deviation=1.0, recurrence=competitor.loop, sharpness=competitor.sharpness,
        readout_time_constant=competitor.trace,
    )  # fmt: skip


def start_of(competitor: Competitor, hidden: int, seed: int) -> ss.Network:
    """The network at the start."""
    hearing, kind = setup(competitor, hidden), KINDS[competitor.kind]
    network = network_of(jax.random.key(seed), kind, hearing, CHANNELS, len(WAVES))
    weights = network.layers[0].inputs.weights
    driven = weights.at[:, CHANNELS - 1].add(jnp.asarray(competitor.drive, weights.dtype))
    return eqx.tree_at(lambda one: one.layers[0].inputs.weights, network, driven)


def held_out(marked: MarkedRecordings, trials: int, seed: int = 0) -> tuple[MarkedRecordings, MarkedRecordings]:
    """The training trials without so many, drawn by a seed, and these: who said what is not known, only the trial."""
    order = np.random.default_rng(seed).permutation(len(marked.recordings))
    rest, held = np.sort(order[trials:]), np.sort(order[:trials])
    return _some(marked, rest), _some(marked, held)


def _some(marked: MarkedRecordings, trials: np.ndarray) -> MarkedRecordings:
    return MarkedRecordings(select(marked.recordings, trials), marked.waves[trials])


def as_published(waves: Int[np.ndarray, "trials steps"]) -> Int[np.ndarray, "trials steps"]:
    """The waves, with steps that are not marked counted as wave 0."""
    return np.where(waves == UNMARKED, 0, waves).astype(np.int32)


def trials_of(marked: MarkedRecordings, steps: int = STEPS) -> Marked:
    """Events and waves of pieces of so many steps, one after the other; the rest of a trial is not used.

    An event in step k of a piece is a spike at k/250 s, in single precision; one more channel ticks every `CLOCK`.
    """
    one, pieces = marked.recordings, STEPS // steps
    step = np.rint(one.times.astype(np.float64) * RATE).astype(np.int64)
    inside = step < pieces * steps
    piece = one.trials[inside] * pieces + step[inside] // steps
    ticks = np.arange(0, steps, round(CLOCK * RATE))
    number = len(one) * pieces
    trial = np.concatenate([piece, np.repeat(np.arange(number), ticks.size)])
    when = np.concatenate([step[inside] % steps, np.tile(ticks, number)])
    channel = np.concatenate([one.channels[inside], np.full(number * ticks.size, CHANNELS - 1)])
    order = np.lexsort((channel, when, trial))
    counts = np.bincount(trial, minlength=number)
    place = np.arange(trial.size) - np.repeat(np.cumsum(counts) - counts, counts)
    room = 1 << math.ceil(math.log2(counts.max()))  # in sets of one kind the same, so that one program runs them
    times = np.full((number, room), np.inf, np.float32)
    sources = np.zeros(times.shape, np.int32)
    times[trial[order], place] = when[order] / RATE
    sources[trial[order], place] = channel[order]
    waves = as_published(marked.waves)[:, : pieces * steps].reshape(number, steps)
    return ss.Spikes(jnp.asarray(times), jnp.asarray(sources)), jnp.asarray(waves)


class Naming(eqx.Module):
    """Mean cross-entropy of the readout's voltages after every step, times a gain; steps before `skipped` do not count.

    By events the voltages are looked at, exactly, at the ends of the steps.
    """

    on: ss.Events | ss.Grid
    steps: int
    gain: float
    skipped: int = 0
    limit: float | None = None
    penalty: Penalty | None = None

    def run(self, network: ss.Network, spikes: ss.Spikes, limit: float | None = None) -> ss.Run:
        """The network on all trials; the gradient of each of them has at most the norm `limit`."""
        trials = spikes.times.shape[0]

        def one_trial(one: ss.Spikes) -> ss.Run:
            own = network if limit is None else limited(network, limit / trials, one.times)
            return ss.simulate(own, one, self.steps / RATE, on=self.on)

        return jax.vmap(one_trial)(spikes)

    def __call__(
        self, network: ss.Network, batch: Marked, key: Key[Array, ""] | None = None
    ) -> tuple[Float[Array, ""], tuple[Any, tuple[Int[Array, "trials steps"], Array]]]:
        """The loss; status, the waves named, and the spikes of each hidden neuron in each trial."""
        spikes, waves = batch
        run = self.run(network, spikes, None if key is None else self.limit)
        scores = self.gain * run.output.sent
        costs = optax.softmax_cross_entropy_with_integer_labels(scores, waves)
        loss = costs[:, self.skipped :].mean()
        if self.penalty is not None and key is not None:
            loss = loss + self.penalty(network, spikes, run)
        return loss, (run.status, (jnp.argmax(scores, -1), run.layers[0].counts))


def naming(competitor: Competitor, hearing: Hearing, *, whole: bool) -> Naming:
    """The loss on whole trials, or on the pieces that a competitor is trained on."""
    steps, skipped = (STEPS, 0) if whole else (competitor.steps, competitor.skipped)
    if not competitor.exact:
        on = ss.Grid(STEP, ss.SuperSpike(competitor.sharpness))
        return Naming(on, steps, hearing.gain, skipped, competitor.limit or None)
    part = steps / STEPS
    band = ss.RateBand(0.0, competitor.most * part, competitor.penalty)
    by_events = ss.Events(math.ceil(competitor.budget * part), steps)
    return Naming(by_events, steps, hearing.gain, skipped, competitor.limit or None, ss.DrivenRates(band))


class Named(NamedTuple):
    """What a network makes of trials: the wave `named` in each step, and the mean spikes of each hidden neuron."""

    waves: Int[np.ndarray, "trials steps"]
    rates: Float[np.ndarray, " hidden"]


def named(loss: Naming, network: ss.Network, trials: Marked, at_once: int = 78) -> Named:
    """The waves that a network names, so many trials at once; the last trial fills up what is left of a batch."""
    parts, number = [], len(trials[1])
    for start in range(0, number, at_once):
        here = np.minimum(np.arange(start, start + at_once), number - 1)
        _, (status, found) = _evaluated(loss, network, jax.tree.map(lambda leaf: leaf[here], trials))  # noqa: B023
        ss.raise_unless_ok(status)
        parts.append([np.asarray(one) for one in found])
    waves, counts = (np.concatenate(some)[:number] for some in zip(*parts, strict=True))
    return Named(waves, counts.mean(0))


_evaluated = eqx.filter_jit(lambda loss, network, trials: loss(network, trials, None))


def judged(loss: Naming, trials: Marked, marked: MarkedRecordings) -> Callable[[ss.Network], dict[str, Any]]:
    """What `fit` can `evaluate`: both accuracies, the activity, and seconds of the processor since the last epoch."""
    last = [time.process_time()]

    def evaluate(network: ss.Network) -> dict[str, Any]:
        found = named(loss, network, trials)
        accuracy = wave_accuracy(found.waves, marked.waves)
        before, last[0] = last[0], time.process_time()
        return {
            "test_accuracy": accuracy.published,
            "marked": accuracy.marked,
            "rate": float(found.rates.mean()),
            "silent": float((found.rates == 0).mean()),
            "seconds": last[0] - before,
        }

    return evaluate


def rule_of(competitor: Competitor, steps: int) -> optax.GradientTransformation:
    """Gradients below a norm, then Adam, whose rates fall to 0 by half a cosine in so many steps."""
    setting = Setting(
        hidden_rate=competitor.hidden_rate,
        constant_rate=competitor.constant_rate,
        readout_rate=competitor.readout_rate,
    )
    return optax.chain(clip_of(competitor), optimiser(KINDS[competitor.kind], setting, steps))


def clip_of(competitor: Competitor) -> optax.GradientTransformation:
    """What keeps the gradient of a batch below a norm: all of it, or each layer's."""
    clip = optax.clip_by_global_norm(competitor.clipped)
    return optax.partition({"hidden": clip, "readout": clip}, parts_of) if competitor.apart else clip


def parts_of(network: PyTree) -> PyTree:
    """Whether each array of a network of two layers belongs to the "hidden" one or to the "readout"."""

    def name(path: Any, _: Any) -> str:
        return "readout" if path[1].idx == 1 else "hidden"

    return jax.tree_util.tree_map_with_path(name, network)


def train(
    competitor: Competitor,
    training: MarkedRecordings,
    validation: MarkedRecordings,
    *,
    hidden: int,
    epochs: int,
    batch_steps: int,
    seeds: Sequence[int],
    folder: pathlib.Path | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> dict[int, tuple[TrainingState, list[dict[str, Any]]]]:
    """A network for each seed, judged on the validation trials after every epoch; goes on from checkpoints in `folder`.

    A batch has as many pieces as `batch_steps` steps make. One program is compiled for all seeds.
    """
    hearing, kind = setup(competitor, hidden), KINDS[competitor.kind]
    pieces = trials_of(training, competitor.steps)
    size = batch_steps // competitor.steps
    rule = rule_of(competitor, epochs * (len(pieces[1]) // size))
    init, update = ss.gradient_training(naming(competitor, hearing, whole=False), rule)
    loss, whole = naming(competitor, hearing, whole=True), trials_of(validation)
    found = {}
    for seed in seeds:
        start = start_of(competitor, hidden, seed)
        found[seed] = ss.fit(
            update, init(start, jax.random.key(1000 + seed)), pieces, epochs=epochs, batch_size=size,
            evaluate=judged(loss, whole, validation), progress=progress,
            checkpoint=None if folder is None else folder / f"{name_of(competitor)}-{seed}.eqx".replace(" ", "-"),
            identity=f"{competitor._replace(budget=0)} {hearing} {kind} {epochs} {batch_steps} {seed}",
        )  # fmt: skip
    return found


def sign_test(one: Float[np.ndarray, " trials"], other: Float[np.ndarray, " trials"]) -> dict[str, float]:
    """In how many trials the one, and in how many the other is ahead, and how likely so unequal a part is by chance."""
    first, second = int((one > other).sum()), int((other > one).sum())
    p = binomtest(first, first + second).pvalue if first + second else 1.0
    return {"only kind": first, "only other": second, "p": float(p)}


def interval(accuracy: Float[np.ndarray, " trials"], draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean over trials by the bootstrap: trials are drawn with repetition."""
    chosen = np.random.default_rng(seed).integers(len(accuracy), size=(draws, len(accuracy)))
    low, high = np.quantile(accuracy[chosen].mean(1), [0.025, 0.975])
    return float(low), float(high)


def filtered(marked: MarkedRecordings, every: int = 1) -> Float[np.ndarray, "samples features"]:
    """Events of all channels, and their traces exp(-t/tau) for all `FILTERS`, in each `every`-th step of all trials."""
    one = marked.recordings
    counts = np.zeros((len(one), STEPS, 2 * SIGNALS), np.float32)
    np.add.at(counts, (one.trials, np.rint(one.times * RATE).astype(int), one.channels), 1)
    traces = [lfilter([1.0], [1.0, -math.exp(-STEP / constant)], counts, axis=1) for constant in FILTERS]
    features = np.concatenate([counts, *traces], -1)[:, ::every]
    return features.reshape(-1, features.shape[-1]).astype(np.float32)


def linear_waves(
    training: MarkedRecordings, test: MarkedRecordings, every: int = 20
) -> Int[np.ndarray, "trials steps"]:
    """Waves of the test's steps by logistic regression on `filtered` events, learned from each `every`-th step.

    L-BFGS takes 100 steps at most.
    """
    model = LogisticRegression(C=1.0, max_iter=100, tol=1e-3)
    features = filtered(training, every)
    size = np.where(features.any(0), features.std(0), 1)
    model.fit(features / size, as_published(training.waves)[:, ::every].ravel())
    return model.predict(filtered(test) / size).reshape(test.waves.shape)
