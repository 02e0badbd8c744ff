"""Sparse weights in compressed arrays, by presynaptic neuron: the targets of a spike lie side by side in memory."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jaxtyping import Array, Float, Int

from stablespike.dynamics.arguments import Told, require_whole, shown

INDEX = np.dtype("int32")
LARGEST = np.iinfo(INDEX).max
CHUNK = 1 << 22  # connections that are drawn at a time


class SparseWeights(Told):
    """Weights from `channels` neurons or input channels to `size` neurons.

    The targets of neuron or channel j are `targets[starts[j]:starts[j + 1]]`, ascending, with the `values` at the same
    places; `values` of shape `[1]` are one weight for all connections. `from_matrix`, `from_sources` and
    `fixed_in_degree` make them. Indices are int32.
    """

    starts: Int[Array, " columns"]
    targets: Int[Array, " connections"]
    values: Float[Array, " connections_or_one"]
    size: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        """Refuse arrays that do not fit together; values that are only known inside jit pass."""
        kinds = [np.dtype(one.dtype) for one in (self.starts, self.targets, self.values)]
        if kinds != [INDEX, INDEX, np.dtype(float)]:
            raise ValueError(
                f"starts and targets must be int32 and values float64, not {', '.join(map(str, kinds))}: switch JAX's "
                "x64 mode on, and let `from_matrix` or `from_sources` make them."
            )
        if self.values.shape not in ((1,), self.targets.shape):
            raise ValueError(f"values must have shape [{self.targets.shape[0]}] or [1], not {list(self.values.shape)}.")
        if any(isinstance(one, jax.core.Tracer) for one in (self.starts, self.targets, self.values)):
            return
        starts, targets = np.asarray(self.starts), np.asarray(self.targets)
        if starts.size < 1 or starts[0] != 0 or starts[-1] != targets.size or np.any(np.diff(starts) < 0):
            raise ValueError(f"starts must ascend from 0 to the number of connections, {targets.size}.")
        _require_within(targets, self.size, "a target")
        if not np.all(np.isfinite(self.values)):
            raise ValueError("weights must be finite.")

    @property
    def channels(self) -> int:
        """Number of presynaptic neurons or channels."""
        return self.starts.shape[0] - 1

    @property
    def connections(self) -> int:
        """Number of connections."""
        return self.targets.shape[0]

    def matrix(self) -> scipy.sparse.csc_array:
        """The weights `[post, pre]` as a sparse matrix of SciPy."""
        values = np.broadcast_to(np.asarray(self.values), self.targets.shape)
        parts = (values, np.asarray(self.targets), np.asarray(self.starts))
        return scipy.sparse.csc_array(parts, shape=(self.size, self.channels))


def from_matrix(matrix: Any, *, in_degree: int | None = None) -> SparseWeights:
    """Weights from a sparse matrix of SciPy `[post, pre]`; with `in_degree`, every row must have that many entries."""
    found = matrix if scipy.sparse.issparse(matrix) else _numbers(matrix)
    if found is None or found.ndim != 2 or found.dtype.kind not in "biuf":
        raise ValueError(f"weights must be a matrix [post, pre] of real numbers, not {shown(matrix)}.")
    columns = scipy.sparse.csc_array(found)
    if columns.nnz > LARGEST:
        raise ValueError(f"at most {LARGEST} connections are possible, not {columns.nnz}.")
    _require_within(columns.indices, columns.shape[0], "a target")
    columns = columns if columns.has_canonical_format else columns.copy()  # the matrix given stays as it is
    columns.sum_duplicates()
    degrees = np.bincount(columns.indices, minlength=columns.shape[0])
    if in_degree is not None and np.any(degrees != in_degree):
        wrong = int(np.argmax(degrees != in_degree))
        raise ValueError(f"neuron {wrong} has {degrees[wrong]} presynaptic neurons, not {in_degree}.")
    return _weights(columns, columns.data.astype(float))


def from_sources(
    sources: Int[np.ndarray, "post in_degree"], value: Any, *, channels: int | None = None
) -> SparseWeights:
    """Weights from the presynaptic neurons of every neuron.

    `value` is one weight for all, or weights `[post, in_degree]`. `channels` is the number of presynaptic neurons
    (default: that of the postsynaptic ones).
    """
    found = _numbers(value)
    if found is None or found.dtype.kind not in "biuf":
        raise ValueError(f"weights must be one number or an array [post, in_degree], not {shown(value)}.")
    sources, value = np.asarray(sources), found.astype(float)
    if not np.issubdtype(sources.dtype, np.integer):
        raise ValueError(f"sources are indices of presynaptic neurons, not {sources.dtype}.")
    if sources.ndim != 2:
        raise ValueError(f"sources must have shape [post, in_degree], not {list(sources.shape)}.")
    if value.ndim and value.shape != sources.shape:
        raise ValueError(f"weights must be one number or have shape {list(sources.shape)}, not {list(value.shape)}.")
    if sources.size > LARGEST:
        raise ValueError(f"at most {LARGEST} connections are possible, not {sources.size}.")
    channels = sources.shape[0] if channels is None else channels
    _require_within(sources, channels, "a presynaptic neuron")
    data = value.ravel() if value.ndim else np.empty(sources.size, np.int8)
    starts = np.arange(sources.shape[0] + 1, dtype=INDEX) * INDEX.type(sources.shape[1])
    rows = scipy.sparse.csr_array(
        (data, sources.ravel().astype(INDEX, copy=False), starts), (sources.shape[0], channels)
    )
    columns = rows.tocsc()
    return _weights(columns, columns.data if value.ndim else np.atleast_1d(value))


def fixed_in_degree(
    generator: np.random.Generator, size: int, in_degree: int, value: float, *, channels: int | None = None
) -> SparseWeights:
    """Each of `size` neurons gets `in_degree` different presynaptic neurons at random, not itself, of one weight.

    With `channels`, the presynaptic ones are that many input channels instead.
    """
    if not isinstance(generator, np.random.Generator):
        raise ValueError(f"the generator must be np.random.default_rng(seed), not {shown(generator)}.")
    require_whole(1, size=size, in_degree=in_degree, channels=1 if channels is None else channels)
    size, in_degree = int(size), int(in_degree)
    own = channels is None
    choices = size - 1 if channels is None else channels
    if not 1 <= in_degree <= choices:
        raise ValueError(f"an in-degree must lie between 1 and the {choices} possible sources, not {in_degree}.")
    if size * in_degree > LARGEST:
        raise ValueError(f"at most {LARGEST} connections are possible, not {size * in_degree}.")
    sources = np.empty((size, in_degree), INDEX)
    height = max(1, CHUNK // (in_degree if 2 * in_degree < choices else choices))
    for first in range(0, size, height):
        rows = sources[first : first + height]
        rows[:] = _different(generator, rows.shape, choices)
        if own:  # the neuron itself is left out
            rows += rows >= np.arange(first, first + rows.shape[0], dtype=INDEX)[:, None]
    return from_sources(sources, value, channels=size if channels is None else channels)


def _numbers(values: Any) -> np.ndarray | None:
    """Values as an array of NumPy's, if they make one."""
    try:
        return np.asarray(values)
    except (ValueError, TypeError):
        return None


def _different(generator: np.random.Generator, shape: tuple[int, int], choices: int) -> np.ndarray:
    """Rows of different random integers below `choices`."""
    if 2 * shape[1] >= choices:
        return generator.random((shape[0], choices)).argsort(1)[:, : shape[1]].astype(INDEX)
    rows = generator.integers(0, choices, shape, INDEX)
    while True:
        rows.sort(1)
        repeated = np.zeros(shape, bool)
        np.equal(rows[:, 1:], rows[:, :-1], out=repeated[:, 1:])
        count = int(repeated.sum())
        if count == 0:
            return rows
        rows[repeated] = generator.integers(0, choices, count, INDEX)


def _weights(columns: Any, values: np.ndarray) -> SparseWeights:
    starts, targets = (jnp.asarray(one.astype(INDEX, copy=False)) for one in (columns.indptr, columns.indices))
    return SparseWeights(starts, targets, jnp.asarray(values), columns.shape[0])


def _require_within(indices: np.ndarray, size: int, what: str) -> None:
    if indices.size and not (indices.min() >= 0 and indices.max() < size):
        worst = int(indices.min()) if indices.min() < 0 else int(indices.max())
        raise ValueError(f"{what} has index {worst}, which must lie between 0 and {size - 1}.")
