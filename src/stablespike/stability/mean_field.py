"""Surrogate mean field: the leading exponent of a random network on a grid from what its neurons do one by one.

To the tangent vectors of a large layer with random recurrent weights V its neurons are independent: the field xi = V y
that the perturbed outputs y make is Gaussian, and its covariance e^(lambda (t + t')) c(t - t') must come back as
itself. With xi = e^((lambda + i w) t) at one frequency, a neuron on its own trajectory answers with y = u e^((lambda +
i w) t), u a stationary process of correlation R_w(s) = <conj u(t) u(t + s)>; so that for a sum of frequencies, c^ being
the Fourier transform of c,

    c(s) = g^2 sum over w of c^(w) e^(i w s) R_w(s),   g^2 = the mean over neurons of the sum of V^2 over their inputs.

The leading exponent is the lambda at which the largest eigenvalue of the right side is 1. Where the reset has no part
in the derivative (`Unfelt`) all neurons share one linear flow, u is its response times the surrogate's slope h(t), and
R_w(s) = <h(t) h(t + s)> |response|^2: two-time mean field. With `lags` 0 only <h^2> is left, which is the usual
argument by variances. Weights count through their squares alone: no mean, no structure, no training.
"""

import itertools
import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Array, Complex, Float, Num

from stablespike.dynamics.arguments import require_number, require_whole, shown
from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.cells import Cell
from stablespike.dynamics.grid.network import GridNetwork, Layer, run_on_grid
from stablespike.dynamics.network import Network
from stablespike.dynamics.neurons.neuron import Scalar
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.ways import Grid
from stablespike.learning.gradients.on_grid import as_grid_network, whole_steps

REACH = 8.0  # lags that are kept, in time constants of the slowest part of a neuron
TRACKS = 128  # neurons times trials, at most, that are followed where spikes gate the derivative
UNHEARD = 1e-5  # part of the power of the answer to one frequency that is left out
TOGETHER = 64  # frequencies
LOWEST = 0.02  # how near to that of a neuron alone, as a part of it, exponents are told from it


class Responses(NamedTuple):
    """Linear dynamics of single neurons along a run: x' = A x + B xi, y = C x, `tracks` being neurons of all trials.

    `flow` A `[steps, tracks, state, state]`, `entry` B and `exit` C `[steps, tracks, state]`, each of one step; the
    `share` `[tracks]` of each track in the covariance of the field is the sum of its squared weights.
    """

    flow: Float[np.ndarray, "steps tracks state state"]
    entry: Float[np.ndarray, "steps tracks state"]
    exit: Float[np.ndarray, "steps tracks state"]
    share: Float[np.ndarray, " tracks"]

    @property
    def shared(self) -> bool:
        """Whether all neurons have one flow at all times, so that only their exits differ."""
        return all(bool(np.all(one == one[:1, :1])) for one in (self.flow, self.entry))

    @property
    def alone(self) -> float:
        """Leading exponent of neurons without coupling in nats per step: of the shared flow, or the largest of all."""
        if self.shared:
            kept = float(np.abs(np.linalg.eigvals(np.median(self.flow, (0, 1)))).max())
            return math.log(kept) if kept > 0 else -math.inf
        vectors, growth = np.ones(self.entry.shape[1:]), np.zeros(self.share.size)
        steps = self.flow.shape[0]
        for step in range(steps):
            vectors = np.einsum("tij,tj->ti", self.flow[step], vectors)
            norms = np.linalg.norm(vectors, axis=1)
            with np.errstate(divide="ignore"):
                growth += np.log(norms) if step >= steps // 2 else 0  # once the vectors are those that grow fastest
            vectors /= np.where(norms > 0, norms, 1)[:, None]
        return float(growth.max()) / (steps - steps // 2)

    @property
    def reach(self) -> int:
        """Steps over which covariances are kept: some time constants of a neuron alone, of gated ones half of the run.

        A neuron that the derivative of its own reset lets grow by itself has no such time constant.
        """
        known = math.ceil(REACH / -self.alone) if self.alone < 0 else self.flow.shape[0]
        return known if self.shared else min(known, self.flow.shape[0] // 2)


def mean_field_exponent(
    network: Network,
    inputs: Spikes | Num[Array, "*trials steps channels"],
    until: Scalar | None = None,
    *,
    on: Grid,
    transient: int = 0,
    lags: int | None = None,
) -> float:
    """Leading surrogate Lyapunov exponent of a `network` `on` a grid by mean field, in nats per unit of time.

    `inputs` of one trial or of several (leading axis) are run once, which needs no tangent vectors; the first
    `transient` steps are left out, and covariances kept up to `lags` steps (default: 8 time constants). Of several
    layers the largest exponent counts. Raises `ValueError` for connections that are not `Dense` and trials shorter than
    the lags, `SimulationError` where the run failed.
    """
    layers = _layers(network, inputs, until, on, transient)
    return max(exponent_of(one, lags) for one in layers) / float(on.dt)


def critical_sharpness(
    network: Network,
    inputs: Spikes | Num[Array, "*trials steps channels"],
    until: Scalar | None = None,
    *,
    on: Grid,
    between: tuple[float, float] = (0.01, 1e4),
    transient: int = 0,
    lags: int | None = None,
) -> float:
    """The sharpness of the surrogate `on.slope` at which by mean field gradients neither fade nor explode.

    It is searched for `between` two sharpnesses on the run of the network, which knows nothing of surrogates. Arguments
    as in `mean_field_exponent`. Raises `ValueError` where gradients fade or explode at all of them.
    """
    low, high = between
    if not 0 < low < high < math.inf:
        raise ValueError(f"between must be two rising, positive and finite sharpnesses, not {shown(between)}.")
    if not hasattr(_innermost(on.slope), "sharpness"):
        raise ValueError(f"a slope with a sharpness is needed, such as SuperSpike(10.0), not {shown(on.slope)}.")

    def excess(logarithm: float) -> float:
        sharpness = jnp.asarray(math.exp(logarithm))
        slope = eqx.tree_at(lambda one: _innermost(one).sharpness, on.slope, sharpness)
        layers = _layers(network, inputs, until, eqx.tree_at(lambda one: one.slope, on, slope), transient)
        return max(math.log(max(growth(one, 0.0, lags), 1e-300)) for one in layers)

    ends = [excess(math.log(end)) for end in between]
    if ends[0] <= 0 or ends[1] >= 0:
        what, change = ("fade", "stronger") if ends[0] <= 0 else ("explode", "weaker")
        raise ValueError(
            f"gradients {what} at every sharpness between {low:g} and {high:g}: the layer needs {change} recurrent "
            "weights, or the search another range."
        )
    return math.exp(scipy.optimize.brentq(excess, math.log(low), math.log(high), xtol=1e-4))


def _innermost(slope: Any) -> Any:
    """The slope that others, which scale it, are made of."""
    return _innermost(slope.slope) if hasattr(slope, "slope") else slope


def _layers(network: Network, inputs: Any, until: Scalar | None, on: Grid, transient: int) -> list[Responses]:
    """The responses of each recurrent layer, in all trials."""
    if not isinstance(network, Network):
        raise ValueError(f"mean field takes a Network(Layer(...), ...), not {shown(network)}.")
    if on.slope is None:
        raise ValueError("mean field asks for a surrogate's slope: give on=Grid(dt, SuperSpike(10.0)).")
    require_whole(0, transient=transient)
    require_number("dt", on.dt)
    grid = as_grid_network(network, on)
    if isinstance(inputs, Spikes):
        steps = whole_steps(until, on.dt)
        signals = lambda one: on.signals(one, grid.channels, steps)  # noqa: E731
        drives = signals(inputs) if inputs.times.ndim == 1 else jax.vmap(signals)(inputs)
    else:
        drives = jnp.asarray(inputs)
    drives = drives[None] if drives.ndim == 2 else drives
    found = responses(grid, drives.astype(grid.layers[0].inputs.dtype), transient)
    if not found:
        raise ValueError("no layer has recurrent weights: its gradients cannot grow over time.")
    return found


def responses(grid: GridNetwork, drives: Float[Array, "trials steps channels"], transient: int = 0) -> list[Responses]:
    """Of every layer with a loop, the linear dynamics of its neurons along a run from rest."""
    run = jax.vmap(lambda one: run_on_grid(grid, one))(drives)
    below, found = [drives, *run.outputs[:-1]], []
    for layer, arriving, output, cells in zip(grid.layers, below, run.outputs, run.cells, strict=True):
        if layer.recurrent is None:
            continue
        if not isinstance(layer.inputs, Dense) or not isinstance(layer.recurrent, Dense):
            raise ValueError("mean field knows Dense connections without delays only.")
        parts = jax.vmap(_linearised, (None, 0, 0, 0))(layer, arriving, output, cells)
        flow, entry, exit_ = (np.asarray(part, float)[:, transient:] for part in parts)
        tracks = flow.shape[0] * flow.shape[2]
        flow, entry, exit_ = (
            np.moveaxis(part, 0, 1).reshape(part.shape[1], tracks, *part.shape[3:]) for part in (flow, entry, exit_)
        )
        share = np.tile(np.square(np.asarray(layer.recurrent.weights, float)).sum(0), drives.shape[0])
        found.append(Responses(flow, entry, exit_, share))
        _require_memory(found[-1], type(layer.cell).__name__)
    return found


def _require_memory(one: Responses, name: str) -> None:
    """Raise `ValueError` for neurons that forget at once, and for a membrane that never does."""
    if one.alone == -math.inf:
        raise ValueError(f"mean field needs neurons with a memory, and {name} forgets all from step to step.")
    if one.shared and one.alone >= 0:
        raise ValueError(f"mean field needs neurons that forget, and {name} does not: give it a time constant.")


@eqx.filter_jit
def _linearised(layer: Layer, below: Array, output: Array, cells: Any) -> tuple[Array, Array, Array]:
    """A, B and C of every step: between the state before and after it, and what is sent from the state before."""
    assert isinstance(layer.inputs, Dense)
    assert isinstance(layer.recurrent, Dense)
    rest = layer.cell.initial_state(layer.size, below.dtype)
    before = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest[:-1]]), rest, cells)
    back = jnp.concatenate([layer.cell.output(rest)[None], output[:-1]])
    arriving = below @ layer.inputs.weights.T + back @ layer.recurrent.weights.T
    return jax.vmap(lambda state, field: _of_step(layer.cell, state, field))(before, arriving)


def _of_step(cell: Cell, state: Any, field: Float[Array, " neurons"]) -> tuple[Array, Array, Array]:
    """A, B and C of one step; a neuron's state, of one number or of several, reaches others through the field only."""
    varied, rest = eqx.partition(state, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(varied)
    merged = _merged(leaves)

    def whole(merged: Array) -> Any:
        return eqx.combine(jax.tree.unflatten(structure, _like(leaves, merged)), rest)

    def advance(merged: Array, field: Array) -> Array:
        state = whole(merged)
        moved = cell.advance(state, cell.output(state), field)
        return _merged(jax.tree.leaves(eqx.filter(moved, eqx.is_inexact_array)))

    def sent(merged: Array) -> Array:
        return cell.output(whole(merged))

    columns, row = [], []
    for part in jnp.eye(merged.shape[1], dtype=merged.dtype):
        along = jnp.broadcast_to(part, merged.shape)
        columns.append(jax.jvp(lambda x: advance(x, field), (merged,), (along,))[1])
        row.append(jax.jvp(sent, (merged,), (along,))[1])
    entry = jax.jvp(lambda x: advance(merged, x), (field,), (jnp.ones_like(field),))[1]
    return jnp.stack(columns, -1), entry, jnp.stack(row, -1)


def _merged(leaves: list[Array]) -> Float[Array, "neurons state"]:
    return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], 1)


def _like(leaves: list[Array], merged: Float[Array, "neurons state"]) -> list[Array]:
    sizes = [math.prod(leaf.shape[1:]) for leaf in leaves]
    parts = jnp.split(merged, np.cumsum(sizes)[:-1], axis=1)
    return [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]


def exponent_of(one: Responses, lags: int | None = None) -> float:
    """Leading exponent of a layer in nats per step; that of a neuron alone where its coupling is too weak to matter."""
    alone = one.alone
    unit = max(abs(alone), 1 / one.flow.shape[0])

    def excess(rate: float) -> float:
        return math.log(max(growth(one, rate, lags), 1e-300))

    low = (1 - LOWEST) * alone if alone < 0 else alone + LOWEST * unit
    high = max(0.0, alone + unit)
    if excess(high) <= 0:
        if excess(low) <= 0:
            return alone
    else:
        low = high
        while excess(high := high + unit) > 0:
            low = high
    return float(scipy.optimize.brentq(excess, low, high, xtol=1e-4 * unit))


def growth(one: Responses, rate: float, lags: int | None = None) -> float:
    """Largest eigenvalue of the map of the field's covariance, for exponent `rate` in nats per step."""
    kept = one.reach if lags is None else require_lags(lags)
    half = max(kept, one.reach)  # of the period in which frequencies are counted
    if one.flow.shape[0] <= kept:
        raise ValueError(
            f"covariances over {kept} steps cannot be had from {one.flow.shape[0]} steps of a run: make it longer."
        )
    frequencies = np.arange(_heard(one, rate, half) + 1)
    waves = np.exp(1j * np.pi * np.outer(frequencies, np.arange(kept + 1)) / half)  # [frequencies, lags]
    answers = _of_shared_flow if one.shared else _of_gated_flow
    back = (waves * answers(one, rate, np.pi * frequencies / half, kept)).real.T
    count = np.where((frequencies == 0) | (frequencies == half), 1.0, 2.0)  # of equal frequencies
    ahead = waves.real * np.where((np.arange(kept + 1) == 0) | (np.arange(kept + 1) == half), 1.0, 2.0)
    return _largest(back * count / (2 * half), ahead)


def _heard(one: Responses, rate: float, half: int) -> int:
    """The highest of the frequencies up to `half` that a neuron answers with more than a small part of its power."""
    typical = one._replace(**{name: np.median(getattr(one, name), (0, 1))[None, None] for name in ("flow", "entry")})
    typical = typical._replace(exit=np.sqrt(np.square(one.exit).mean((0, 1)))[None, None], share=np.ones(1))
    power = _of_shared_flow(typical, rate, np.pi * np.arange(half + 1) / half, 0).real[:, 0]
    return int(np.flatnonzero(power >= UNHEARD * power.max())[-1])


def require_lags(lags: int) -> int:
    """The number; `ValueError` unless it is whole and not negative."""
    require_whole(0, lags=lags)
    return lags


def _of_shared_flow(one: Responses, rate: float, frequencies: np.ndarray, lags: int) -> Complex[np.ndarray, "k lags"]:
    """g^2 R_w(s) where only the exits change with time."""
    shift = np.exp(rate + 1j * frequencies)[:, None, None] * np.eye(one.flow.shape[-1])
    answer = np.linalg.solve(shift - one.flow[0, 0], one.entry[0, 0][None, :, None])[..., 0]  # [frequencies, state]
    felt = [place for place in range(one.exit.shape[-1]) if one.exit[..., place].any()]  # parts of the state
    found = np.zeros((frequencies.size, lags + 1), complex)
    for first, second in itertools.product(felt, felt):
        over = correlation(one.exit[..., first], one.exit[..., second], one.share, lags)
        found += (answer[:, first].conj() * answer[:, second])[:, None] * over
    return found


def _of_gated_flow(one: Responses, rate: float, frequencies: np.ndarray, lags: int) -> Complex[np.ndarray, "k lags"]:
    """g^2 R_w(s) where spikes change the flow: the answer of each track is followed."""
    tracks = one.share.size
    picked = np.unique(np.linspace(0, tracks - 1, min(tracks, TRACKS)).astype(int))
    share = one.share[picked] * (one.share.sum() / one.share[picked].sum()) * (picked.size / tracks)
    parts = tuple(jnp.asarray(part[:, picked], complex) for part in (one.flow, one.entry, one.exit))
    found = np.empty((frequencies.size, lags + 1), complex)
    for start in range(0, frequencies.size, TOGETHER):
        here = frequencies[np.minimum(np.arange(start, start + TOGETHER), frequencies.size - 1)]
        sent = np.asarray(_followed(*parts, jnp.exp(-rate - 1j * here)))
        for k in range(min(TOGETHER, frequencies.size - start)):
            found[start + k] = correlation(sent[..., k], sent[..., k], share, lags)
    return found


@jax.jit
def _followed(flow: Array, entry: Array, out: Array, turns: Array) -> Array:
    """Answers `[steps, tracks, frequencies]` of every track to a field of each frequency, from rest."""

    def one(answer: Array, step: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        flow, entry, out = step
        moved = (flow[..., None] * answer[:, None]).sum(2) + entry[..., None]
        return turns * moved, (out[..., None] * answer).sum(1)

    start = jnp.zeros((*flow.shape[1:3], turns.size), turns.dtype)
    return jax.lax.scan(one, start, (flow, entry, out))[1]


def correlation(
    one: Num[np.ndarray, "steps tracks"], other: Num[np.ndarray, "steps tracks"], share: np.ndarray, lags: int
) -> Num[np.ndarray, " lags"]:
    """Mean over times and tracks of conj one(t) other(t + s), weighted by the tracks' shares, for s = 0 ... lags."""
    steps = one.shape[0]
    size = 1 << math.ceil(math.log2(steps + lags + 1))
    spectra = [np.fft.fft(signal, size, axis=0) for signal in (one, other)]
    cross = (spectra[0].conj() * spectra[1]) @ share / share.size
    return np.fft.ifft(cross)[: lags + 1] / (steps - np.arange(lags + 1))


def _largest(back: Float[np.ndarray, "lags k"], ahead: Float[np.ndarray, "k lags"], turns: int = 2000) -> float:
    """Largest eigenvalue of back @ ahead, which keeps covariances covariances, by the power method."""
    vector, value = np.zeros(ahead.shape[1]), 0.0
    vector[0] = 1.0
    for _ in range(turns):
        vector = back @ (ahead @ vector)
        last, value = value, float(np.abs(vector[0]))  # a covariance is largest at lag 0
        if value == 0 or not math.isfinite(value):
            return value
        vector /= value
        if abs(value - last) < 1e-10 * value:
            break
    return value
