"""Products with spikes as sums of rows: what they cost is counted in spikes, not in channels times steps.

Spikes `[rows, channels]` (a row is one step of one trial) are kept as bits, 32 channels to a word. A product with
weights adds up the weights' rows of the channels that spike; the weights' cotangent adds up, channel by channel, the
rows of the result's cotangent in which the channel spikes. Every number of a result is one sum in a fixed order by one
thread, so that results do not depend on the number of threads.
"""

from typing import no_type_check

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from stablespike.native.bridge import array_at, spread
from stablespike.native.kernel import Buffers, Kernel, number, whole
from stablespike.native.layer.forward import summed_rows
from stablespike.native.overrides.lines import PLAIN

BITS = 32


@intrinsic
@no_type_check
def _lowest(typingctx, word):
    """Position of the lowest bit that is set in a word other than 0."""

    @no_type_check
    def generate(context, builder, signature, arguments):
        found = builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))
        return builder.zext(found, ir.IntType(64))

    return types.int64(types.int32), generate


@njit(**PLAIN)
@no_type_check
def pack(spikes, words):
    """Bits of the channels that are not 0; their number, or -1 if one of them is not 1 either."""
    count, binary = 0, True
    for w in range(words.shape[0]):
        here = spikes[w * BITS : (w + 1) * BITS]
        word = np.int32(0)
        for k in range(here.shape[0]):
            set_here = here[k] != 0
            binary &= (not set_here) | (here[k] == 1)
            word |= np.int32(set_here) << np.int32(k)
            count += set_here
        words[w] = word
    return count if binary else -1


@njit(**PLAIN)
@no_type_check
def unpack_into(words, channels):
    """List the channels whose bits are set, in order; their number."""
    count = 0
    for w in range(words.shape[0]):
        word = words[w]
        while word != 0:
            channels[count] = w * BITS + _lowest(word)
            word &= np.int32(word - np.int32(1))
            count += 1
    return count


PACK = Kernel(
    Buffers(
        f"{__name__}.PACK",
        own={"spikes": number("channels")},
        results={"words": whole("words"), "counts": whole("")},
    ),
    trial=pack,
)


@njit(**PLAIN)
@no_type_check
def gather_trial(weights, words, sums):
    """All steps of a trial: sums of the weights of the channels that spike."""
    channels = np.empty(weights.shape[0], np.int64)
    for t in range(words.shape[0]):
        count = unpack_into(words[t], channels)
        summed_rows(weights, 0, channels[:count], sums[t])


GATHER = Kernel(
    Buffers(
        f"{__name__}.GATHER",
        rows={"weights": number("channels neurons")},
        own={"words": whole("steps words")},
        results={"sums": number("steps neurons")},
    ),
    trial=gather_trial,
)


@njit(**PLAIN)
@no_type_check
def by_channel(words, table, tables, channels, lag):
    """Steps in which each channel of each table spikes: bounds `[tables channels + 1]`, then rows of the cotangents.

    A counting sort: first the spikes of every channel are counted, then they are filed. There are `lag` more words than
    cotangents in a trial: the last ones are left out.
    """
    steps, here = words.shape[1] - lag, np.empty(words.shape[2] * BITS, np.int64)
    bounds = np.zeros(tables * channels + 1, np.int64)
    for b in range(words.shape[0]):
        for t in range(steps):
            for k in range(unpack_into(words[b, t], here)):
                bounds[table[b] * channels + here[k] + 1] += 1
    for key in range(tables * channels):
        bounds[key + 1] += bounds[key]
    place, filed = bounds.copy(), np.empty(bounds.size + bounds[-1], np.int64)
    rows = filed[bounds.size :]
    for b in range(words.shape[0]):
        for t in range(steps):
            for k in range(unpack_into(words[b, t], here)):
                key = table[b] * channels + here[k]
                rows[place[key]] = b * steps + t
                place[key] += 1
    filed[: bounds.size] = bounds
    return filed


BUFFERS = Buffers(
    f"{__name__}.SCATTER",
    common={
        "words": whole("trials stamps words"),  # as many steps as cotangents, and a lag
        "bars": number("steps neurons"),  # of all trials
        "tables": whole("trials"),  # the table of weights that each trial uses
    },
    results={"sums": number("weights channels neurons")},
)
arrays_of = BUFFERS.read


@no_type_check
def scatter_channel(key, frame, shared, unpack, dtype):
    """One channel of one table: the sum of the cotangents' rows in which it spikes, filed at the address `shared`."""
    arrays = arrays_of(frame, dtype)
    channels = arrays.sums.shape[1]
    bounds = array_at(shared, (arrays.sums.shape[0] * channels + 1,), np.int64)
    rows = array_at(shared + bounds.nbytes, (bounds[-1],), np.int64)
    summed_rows(arrays.bars, 0, rows[bounds[key] : bounds[key + 1]], arrays.sums[key // channels, key % channels])


@no_type_check
def scatter(frame, job, unpack, dtype):
    """Cotangents of the weights of a product with spikes."""
    arrays = arrays_of(frame, dtype)
    words, sums = arrays.words, arrays.sums
    lag = words.shape[1] - arrays.bars.shape[0] // words.shape[0]
    filed = by_channel(words, arrays.tables, sums.shape[0], sums.shape[1], lag)
    spread(job, sums.shape[0] * sums.shape[1], frame, filed.ctypes.data)
    return 0 * filed.size  # it is kept until here


SCATTER = Kernel(BUFFERS, entry=scatter, job=scatter_channel)
