"""Tasks whose temporal complexity is a dial: what must be remembered, for how long, and how it must be combined.

Every task is a stream of fair random bits and what to answer. Chance is one half. The optimal loss is 0 where the
answer is defined: it is a function of what was shown. Delays are in steps; a step of the network's time makes them a
multiple of its time constants.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from stablespike.dynamics.spikes import Spikes

CHANCE = 0.5  # part of the bits that a constant answer, or a coin, gets right
CHANCE_LOSS = float(np.log(2))  # cross-entropy in nats of the best answer that does not look
OPTIMAL_LOSS = 0.0  # cross-entropy of an answer that knows


class BitTask(NamedTuple):
    """Streams of bits: `inputs` `[trials, steps, channels]`, `targets` `[trials, steps]`, scored where `defined`."""

    inputs: Int[np.ndarray, "trials steps channels"]
    targets: Int[np.ndarray, "trials steps"]
    defined: Bool[np.ndarray, "*trials steps"]


def copy(generator: np.random.Generator, trials: int, steps: int, delay: int) -> BitTask:
    """Answer y_t = x_(t - delay)."""
    return _parity_task(generator, trials, steps, (delay,))


def delayed_xor(generator: np.random.Generator, trials: int, steps: int, delay: int) -> BitTask:
    """Answer y_t = x_(t - delay/2) XOR x_(t - delay), for an even delay (Engelken 2023)."""
    if delay % 2 or delay < 2:
        raise ValueError(f"the delay must be even and at least 2, not {delay}.")
    return _parity_task(generator, trials, steps, (delay // 2, delay))


def nested_xor(generator: np.random.Generator, trials: int, steps: int, delay: int, depth: int) -> BitTask:
    """Answer the exclusive or of 2^depth bits, at equal distances over `delay` steps, the last `delay` steps ago.

    Depth 0 is `copy`, depth 1 `delayed_xor`. `delay` must be a multiple of 2^depth.
    """
    if depth < 0 or delay < 1 or delay % 2**depth:
        raise ValueError(f"the delay of {delay} must be a positive multiple of 2^depth, depth {depth} from 0 on.")
    return _parity_task(generator, trials, steps, tuple(delay * (k + 1) // 2**depth for k in range(2**depth)))


def store_and_recall(generator: np.random.Generator, trials: int, steps: int, rate: float) -> BitTask:
    """Three channels: a bit, `store` and `recall`. At a recall the answer is the bit of the last store (Bellec 2020).

    At each step, with probability `rate`, comes a store if nothing waits to be recalled, else the recall. Delays are
    thus geometric, 1/rate on average. `defined` `[trials, steps]` is true at recalls; other answers are not scored.
    """
    if not 0 < rate <= 1:
        raise ValueError(f"rate must lie in (0, 1], not {rate}.")
    bits = generator.integers(0, 2, (trials, steps))
    events = generator.random((trials, steps)) < rate
    number = np.cumsum(events, 1)
    store, recall = events & (number % 2 == 1), events & (number % 2 == 0)
    last = np.maximum.accumulate(np.where(store, np.arange(steps), -1), 1)
    targets = np.where(last >= 0, np.take_along_axis(bits, np.maximum(last, 0), 1), 0)
    return BitTask(np.stack([bits, store.astype(int), recall.astype(int)], 2), targets, recall)


def accuracy(task: BitTask, answers: Int[np.ndarray, "trials steps"]) -> float:
    """Part of the scored bits that are right; `ValueError` if none is scored."""
    if np.shape(answers) != task.targets.shape or not np.isin(answers, (0, 1)).all():
        raise ValueError(f"answers must be bits, 0 or 1, of shape {list(task.targets.shape)}.")
    scored = np.broadcast_to(task.defined, task.targets.shape)
    if not scored.any():
        raise ValueError("no answer of this task is scored: lengthen the trials.")
    return float((answers == task.targets)[scored].mean())


def _parity_task(generator: np.random.Generator, trials: int, steps: int, delays: tuple[int, ...]) -> BitTask:
    """The exclusive or of the bits at several delays."""
    if min(delays) < 0:
        raise ValueError(f"a delay must not be negative, {min(delays)}.")
    if max(delays) >= steps:
        raise ValueError(f"a delay of {max(delays)} steps does not fit into trials of {steps}: lengthen them.")
    bits = generator.integers(0, 2, (trials, steps))
    targets = np.zeros_like(bits)
    for delay in delays:
        targets[:, delay:] ^= bits[:, : steps - delay]
    targets[:, : max(delays)] = 0
    return BitTask(bits[:, :, None], targets, np.arange(steps) >= max(delays))


def which_channel_spikes(
    inputs: Int[np.ndarray, "trials steps channels"],
    duration: float,
    *,
    jitter: float = 0.0,
    generator: Any = None,
) -> Spikes:
    """Bits as events: input channel 2c spikes in a step where bit c is 0, channel 2c + 1 where it is 1.

    A step lasts `duration` (unit of the network's time constants) and its spikes come at its start, or uniformly within
    the first part `jitter` (0 to 1) of it. So each trial has steps x channels spikes.
    """
    if not (duration > 0 and 0 <= jitter <= 1) or (jitter > 0 and generator is None):
        raise ValueError(f"needs duration > 0, 0 <= jitter <= 1, and a generator for jitter: {duration}, {jitter}.")
    trials, steps, channels = inputs.shape
    times = np.broadcast_to(np.arange(steps)[:, None], inputs.shape) + np.zeros(inputs.shape)
    if jitter > 0:
        times = times + jitter * generator.random(inputs.shape)
    times, sources = duration * times.reshape(trials, -1), (2 * np.arange(channels) + inputs).reshape(trials, -1)
    order = np.argsort(times, 1, kind="stable")
    return Spikes(jnp.asarray(np.take_along_axis(times, order, 1)), jnp.asarray(np.take_along_axis(sources, order, 1)))


class LatencyBits(NamedTuple):
    """Input spikes, one a channel, at `times` `[trials, bits]`, and which output must spike `first` `[trials]`."""

    times: Float[np.ndarray, "trials bits"]
    first: Int[np.ndarray, " trials"]


def delayed_xor_of_latencies(
    generator: np.random.Generator, trials: int, delay: float, early: float, late: float
) -> LatencyBits:
    """Two bits as spike times, `early` for 0 and `late` for 1, the second `delay` after the first; answer their XOR.

    Output 0 must spike first if the bits are equal, output 1 if they differ. Times in the unit of the time constants;
    difficulty is delay/tau. Chance is one half, and the optimal loss 0.
    """
    if not 0 <= early < late or not delay >= 0:
        raise ValueError(f"needs 0 <= early < late and delay >= 0, not {early}, {late} and {delay}.")
    bits = generator.integers(0, 2, (trials, 2))
    return LatencyBits(np.where(bits, late, early) + np.array([0.0, delay]), bits[:, 0] ^ bits[:, 1])
