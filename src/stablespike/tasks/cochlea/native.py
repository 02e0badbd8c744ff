"""Hair cells, fibres and bushy cells of one sound on a CPU: `cochlea_cells` channel by channel, compiled by numba.

It restates those equations with the same random numbers, so that the spikes are the same; a test holds the two
together.
"""

from typing import no_type_check

import numba
import numpy as np

from stablespike.tasks.cochlea.membrane import MODEL_RATE

ROTATIONS = np.array([[13, 15, 26, 6], [17, 29, 16, 24]], np.uint32)
LANES = 8  # channels whose hair cells are computed side by side


@numba.njit(cache=True, error_model="numpy")
@no_type_check
def threefry(first_key, second_key, x, y):
    """Threefry-2x32 with 20 rounds (Salmon et al. 2011), JAX's generator: two words for two counters."""
    keys = (first_key, second_key, np.uint32(first_key ^ second_key ^ np.uint32(0x1BD11BDA)))
    x, y = np.uint32(x + keys[0]), np.uint32(y + keys[1])
    for group in range(5):
        for place in range(4):
            turn = ROTATIONS[group % 2, place]
            x = np.uint32(x + y)
            y = np.uint32((y << turn) | (y >> np.uint32(32 - turn))) ^ x
        x = np.uint32(x + keys[(group + 1) % 3])
        y = np.uint32(y + keys[(group + 2) % 3] + np.uint32(group + 1))
    return x, y


@numba.njit(cache=True, error_model="numpy")
@no_type_check
def variates(first_key, second_key, channel, draw):
    """Exponential and uniform variate number `draw` of a channel."""
    x, y = threefry(first_key, second_key, np.uint32(channel), np.uint32(draw))
    return -np.log((np.float64(x >> np.uint32(9)) + 0.5) / 2**23), (np.float64(y >> np.uint32(9)) + 0.5) / 2**23


@numba.njit(cache=True, error_model="numpy")
@no_type_check
def hazard_of(p):
    """-ln(1-p); where p is small, as nearly always, by its series, whose rest is below the rounding."""
    if p > 0.02:
        return -np.log1p(-p)
    return p * (
        1 + p * (1 / 2 + p * (1 / 3 + p * (1 / 4 + p * (1 / 5 + p * (1 / 6 + p * (1 / 7 + p * (1 / 8 + p / 9)))))))
    )


@numba.njit(cache=True, error_model="numpy")
@no_type_check
def fibre_hazards(velocity, hair, rest, hazards):
    """Fill -ln(1-P) of a few channels `[steps, channels]`; the inner loop over channels becomes vector instructions."""
    steps, channels = velocity.shape
    y, g, l, r, x, a, b, h, m = hair
    dt = 1 / MODEL_RATE
    q, c, w = np.full(channels, rest[0]), np.full(channels, rest[1]), np.full(channels, rest[2])
    for step in range(steps):
        for i in range(channels):
            drive = max(velocity[step, i] + a, 0.0)
            k = g * drive / (drive + b)
            dq = y * max(m - q[i], 0.0) - k * q[i] + x * w[i]
            dc, dw = k * q[i] - (l + r) * c[i], r * c[i] - x * w[i]
            q[i], c[i], w[i] = max(q[i] + dt * dq, 0.0), max(c[i] + dt * dc, 0.0), max(w[i] + dt * dw, 0.0)
        for i in range(channels):
            hazards[step, i] = hazard_of(h * c[i] * dt)


@numba.njit(cache=True, error_model="numpy")
@no_type_check
def count_given_some(available, hazard, uniform):
    """Binomial(available, 1 - exp(-hazard)) given that it is at least 1, by inversion."""
    some, odds = -np.expm1(-hazard * available), np.expm1(hazard)
    mass = available * odds * (1 - some) / some
    count, left = 1, uniform - mass
    while left > 0 and count < available:
        mass = mass * odds * (available - count) / (count + 1)
        left -= mass
        count += 1
    return count


@numba.njit(cache=True, error_model="numpy")
@no_type_check
def channel_spikes(hazards, first_key, second_key, channel, fibres, fibre_dead, bushy, bushy_dead, samples):
    """Fill the samples in which the bushy cell of one channel spikes; returns how many."""
    recent = np.zeros(fibre_dead - 1, np.int64)
    available, place, draw, spikes, dead = fibres, 0, 0, 0, 0
    waiting, _ = variates(first_key, second_key, channel, draw)
    current, potential = 0.0, 0.0
    for step in range(hazards.size):
        waiting -= hazards[step] * available
        count = 0
        if waiting < 0:
            draw += 1
            waiting, uniform = variates(first_key, second_key, channel, draw)
            count = count_given_some(available, hazards[step], uniform)
        available += recent[place] - count
        recent[place] = count
        place = place + 1 if place < fibre_dead - 2 else 0
        current = current * bushy[0] + count
        potential = potential * bushy[1] + current * bushy[2]
        if dead > 0:
            dead, potential = dead - 1, 0.0
        elif potential >= 1:
            samples[spikes] = step
            spikes, dead, potential = spikes + 1, bushy_dead, 0.0
    return spikes


@numba.njit(cache=True, error_model="numpy", nogil=True)
@no_type_check
def cell_spikes(velocity, first_key, second_key, hair, rest, fibres, fibre_dead, bushy, bushy_dead):
    """Number of spikes of each channel `[channels]` and the samples of their spikes `[channels, room]`.

    `hair` holds y, g, l, r, x, a, b, h, m; `rest` q, c, w; `bushy` the decays of I and V and the strength per sample.
    """
    channels, steps = velocity.shape
    counts = np.zeros(channels, np.int64)
    samples = np.zeros((channels, steps // (bushy_dead + 1) + 1), np.int32)
    for first in range(0, channels, LANES):
        some = np.ascontiguousarray(velocity[first : first + LANES].T)
        hazards = np.empty(some.shape)
        fibre_hazards(some, hair, rest, hazards)
        for k in range(some.shape[1]):
            one = np.ascontiguousarray(hazards[:, k])
            counts[first + k] = channel_spikes(
                one, first_key, second_key, first + k, fibres, fibre_dead, bushy, bushy_dead, samples[first + k]
            )
    return counts, samples
