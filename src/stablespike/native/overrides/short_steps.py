"""QIF neurons over short steps, several to an instruction: flow and its reversal with the series of the flow written
out, without a branch.

For |z| = |I| u^2 < 0.1 a few terms of C, S and dS/dz are all the digits there are. The inverse flow over the same step
has the same z, so that one evaluation serves the reversal and the pull-back. Equations as in
`stablespike.dynamics.neurons.qif`.
"""

from typing import no_type_check

import numpy as np
from numba import njit, types
from numba.extending import overload

from stablespike.native.overrides.lines import PLAIN, propagator
from stablespike.native.overrides.qif import EVEN, ODD, SLOPE

SMALL = 0.1  # |z| below which the first terms left out are below rounding: 7 in float64, 4 in float32
E6, E5, E4, E3, E2, E1, E0 = map(float, EVEN[-7:])
O6, O5, O4, O3, O2, O1, O0 = map(float, ODD[-7:])
D5, D4, D3, D2, D1, D0 = map(float, SLOPE[-6:])
F3, F2, F1, F0 = map(np.float32, EVEN[-4:])
P3, P2, P1, P0 = map(np.float32, ODD[-4:])
G3, G2, G1, G0 = map(np.float32, SLOPE[-4:])


@njit(**PLAIN)
@no_type_check
def _double(z):
    C = (((((E6 * z + E5) * z + E4) * z + E3) * z + E2) * z + E1) * z + E0
    return C, (((((O6 * z + O5) * z + O4) * z + O3) * z + O2) * z + O1) * z + O0


@njit(**PLAIN)
@no_type_check
def _single(z):
    return ((F3 * z + F2) * z + F1) * z + F0, ((P3 * z + P2) * z + P1) * z + P0


@njit(**PLAIN)
@no_type_check
def _double_slope(z):
    return ((((D5 * z + D4) * z + D3) * z + D2) * z + D1) * z + D0


@njit(**PLAIN)
@no_type_check
def _single_slope(z):
    return ((G3 * z + G2) * z + G1) * z + G0


def series(z):
    """C(z) and S(z) for small |z|."""
    raise NotImplementedError


def series_slope(z):
    """dS/dz for small |z|."""
    raise NotImplementedError


@overload(series, strict=False, jit_options=PLAIN)
@no_type_check
def _choose_series(z):
    chosen = _single if z is types.float32 else _double
    return lambda z: chosen(z)


@overload(series_slope, strict=False, jit_options=PLAIN)
@no_type_check
def _choose_slope(z):
    chosen = _single_slope if z is types.float32 else _double_slope
    return lambda z: chosen(z)


@njit(**PLAIN)
@no_type_check
def all_small(constants, currents, u):
    """Whether |I| u^2 < 0.1 for all neurons."""
    large = constants.zero + SMALL / (u * u) if u != constants.zero else constants.one / constants.zero
    exceeding = 0
    for j in range(currents.shape[0]):
        exceeding += not abs(currents[j]) < large
    return exceeding == 0


@njit(**PLAIN)
@no_type_check
def short_sweep(constants, state, ahead, s, u):
    """Free flow of all neurons into `ahead`, which may be `state`; whether one of them may have spiked on the way."""
    N, D, currents, new_N, new_D, new_currents = state[0], state[1], state[2], ahead[0], ahead[1], ahead[2]
    hits, square = 0, u * u
    for j in range(N.shape[0]):
        n, d, current = N[j], D[j], currents[j]
        C, S = series(current * square)
        new_n, new_d = s * (C * n + current * (u * S) * d), C * d - u * S * n
        hits += new_d <= constants.slack * new_n
        new_N[j], new_D[j], new_currents[j] = new_n, new_d, s * s * current
    return hits > 0


@njit(**PLAIN)
@no_type_check
def short_unflow(constants, state, bars, dt):
    """Back through a free flow of length `dt > 0`, in place, for states (at length one after) and cotangents.

    With (n, d, I) before and n_, d_, I_ the cotangents after the flow,
    n' = s C n_ - u S d_, d' = s I u S n_ + C d_,
    I' = (s u (S + z dS) d - u^2 S n / 2) n_ - (u^2 S d / 2 + u^3 dS n) d_ + s^2 I_.
    """
    N, D, currents, N_bars, D_bars, current_bars = state[0], state[1], state[2], bars[0], bars[1], bars[2]
    (s, u), (grown, back) = propagator(constants, dt), propagator(constants, -dt)
    half = constants.half
    for j in range(N.shape[0]):
        current = grown * grown * currents[j]
        z = current * (u * u)
        (C, S), slope = series(z), series_slope(z)
        n = grown * (C * N[j] + currents[j] * (back * S) * D[j])
        d = C * D[j] - back * S * N[j]
        length = np.sqrt(n * n + d * d)
        n, d = n / length, d / length
        n_bar, d_bar = N_bars[j] * length, D_bars[j] * length
        by_n = s * (u * (S + z * slope) * d) - half * s * (u * u * S) * n
        by_d = -half * (u * u * S) * d - u * u * u * slope * n
        N[j], D[j], currents[j] = n, d, current
        N_bars[j] = s * (C * n_bar) - u * S * d_bar
        D_bars[j] = s * (current * (u * S) * n_bar) + C * d_bar
        current_bars[j] = by_n * n_bar + by_d * d_bar + s * s * current_bars[j]
    return True
