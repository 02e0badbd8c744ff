"""Forty-digit arithmetic for single neurons, from other formulas than the package uses where there are others."""

import mpmath as mp
import numpy as np

mp.mp.dps = 50
STEP = mp.mpf(10) ** -13  # of the central differences: their error is its square
ROUNDING = 2.0**-53


def number(x) -> mp.mpf:
    return x if isinstance(x, mp.mpf) else mp.mpf(float(x))


def propagator(current, u):
    """cos(r u) and sin(r u)/r with r = sqrt I, by their power series where the sign of I is about to change."""
    z = current * u**2
    if abs(z) > 1e-3:
        root = mp.sqrt(abs(current))
        if z > 0:
            return mp.cos(root * u), mp.sin(root * u) / root
        return mp.cosh(root * u), mp.sinh(root * u) / root
    cosine = sum((-z) ** j / mp.factorial(2 * j) for j in range(12))
    sine = sum((-z) ** j / mp.factorial(2 * j + 1) for j in range(12))
    return cosine, u * sine


def qif_flow(angle, current, dt, tau):
    """Angle of (n, d) after `dt`, as a point on the circle, and the current."""
    s = mp.exp(-dt / tau)
    C, uS = propagator(current, 1 - s)
    n, d = mp.cos(angle), mp.sin(angle)
    return mp.atan2(C * d - uS * n, s * (C * n + current * uS * d)), s**2 * current


def qif_spike_time(angle, current, tau):
    """First zero of d, by the inverse tangent of the Riccati solution; inf if there is none."""
    n, d = mp.cos(angle), mp.sin(angle)
    root = mp.sqrt(abs(current))
    if current == 0:
        u = d / n if n > 0 else mp.inf
    elif current > 0:
        turn = mp.atan2(root * d, n)
        u = (turn + 2 * mp.pi if n < 0 and turn < 0 else turn) / root  # V = -inf from either side
    else:
        u = mp.atanh(root * d / n) / root if n > root * d else mp.inf
    return -tau * mp.log(1 - u) if u < 1 else mp.inf


def lif_flow(voltage, current, dt, tau):
    x = mp.exp(-dt / tau)
    return voltage * x + current * (x - x**2), x**2 * current


def lif_spike_time(voltage, current, threshold, tau):
    """First crossing from below: the larger root in x = exp(-t/tau) of I x^2 - (V + I) x + threshold = 0."""
    discriminant = (voltage + current) ** 2 - 4 * current * threshold
    if current <= 0 or discriminant < 0:
        return mp.inf
    x = ((voltage + current) + mp.sqrt(discriminant)) / (2 * current)
    return -tau * mp.log(x) if 0 < x < 1 else mp.inf


def theta_flow(voltage, dt, tau, drive):
    a = mp.sqrt(drive - mp.mpf(1) / 4)
    return mp.mpf(1) / 2 + a * mp.tan(mp.atan((voltage - mp.mpf(1) / 2) / a) + a * dt / tau)


def theta_spike_time(voltage, tau, drive):
    a = mp.sqrt(drive - mp.mpf(1) / 4)
    return tau / a * (mp.pi / 2 - mp.atan((voltage - mp.mpf(1) / 2) / a))


def oscillatory_lif_flow(voltage, dt, tau, drive):
    return drive + (voltage - drive) * mp.exp(-dt / tau)


def oscillatory_lif_spike_time(voltage, tau, drive, threshold):
    return tau * mp.log((drive - voltage) / (drive - threshold))


def gradient(function, point):
    """Central differences in forty digits."""
    point = [number(x) for x in point]
    return np.array([_slope(function, point, i) for i in range(len(point))])


def hessian(function, point):
    """Second central differences in forty digits."""
    point = [number(x) for x in point]
    size = len(point)
    return np.array(
        [[_slope(lambda *x, j=j: _slope(function, list(x), j), point, i) for j in range(size)] for i in range(size)]
    )


def _slope(function, point, index):
    up, down = list(point), list(point)
    up[index] += STEP
    down[index] -= STEP
    return (function(*up) - function(*down)) / (2 * STEP)


def condition(function, point):
    """Sum over the arguments of |x df/dx|: the error that one relative unit in every argument makes."""
    return sum(abs(number(x) * g) for x, g in zip(point, gradient(function, point), strict=True))


def on_circle(angle) -> float:
    """Distance from 0 of an angle modulo a full turn."""
    turn = 2 * mp.pi
    angle = mp.fmod(angle, turn)
    return float(min(abs(angle), abs(abs(angle) - turn)))


def units_of_rounding(computed, function, point, rounding=ROUNDING) -> float:
    """Error of `computed` in units of rounding times the condition number of `function(*point)`."""
    point = [number(x) for x in point]
    true = function(*point)
    return float(abs(number(computed) - true) / (abs(true) + condition(function, point))) / rounding


def derivative_error(computed, true) -> float:
    """Largest error, relative to the largest entry of the true array."""
    true = np.asarray(true).astype(float)
    return float(np.abs(np.asarray(computed) - true).max() / np.abs(true).max())
