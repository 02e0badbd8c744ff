"""Along how many directions gradients come back through time and depth, and whether networks with more of them learn.

Networks and task are those of `predicting_trainability`: a cue is to be recalled after a delay. Units of time are tau.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

import stablespike as ss
from stablespike.learning.classify import Labelled
from stablespike.learning.gradients.on_grid import as_grid_network
from stablespike.stability.gradient_statistics import dimension_estimate
from studies.critical_sharpness import Recall, recall_trials
from studies.held_out_families import area
from studies.predicting_trainability import Drawn, Subject, hidden_gradients, network_of, subject_of


class Kind(NamedTuple):
    """A network to look at: layers of `neurons`, strength of the recurrence, sharpness of the surrogate."""

    loop: float
    sharpness: float
    layers: int = 1
    neurons: int = 100


@eqx.filter_jit
def gradients_before(
    subject: Subject, trials: Labelled, recall: Recall, steps: int, moments: tuple[int, ...]
) -> list[Float[Array, "trials moments state"]]:
    """For each layer, the gradient of each trial's loss by the layer's state before the steps `moments`."""
    network, on = network_of(subject, steps)
    grid, length = as_grid_network(network, on), round(recall.duration * steps)

    def one(spikes: ss.Spikes, label: Int[Array, ""]) -> list[Array]:
        signals = on.signals(spikes, recall.channels, length).astype(subject.readout.dtype)
        hidden = hidden_gradients(grid, signals, label, recall)

        def at(state: object, moment: int) -> Array:
            return ravel_pytree(jax.tree.map(lambda leaf: leaf[moment], state))[0]

        return [jnp.stack([at(state, moment) for moment in moments]) for state in hidden]

    return jax.vmap(one)(*trials)


def dimension_of(gradients: Float[Array, "trials state"]) -> tuple[float, float]:
    """Participation ratio of the gradients without the bias of few trials, and as these trials say it by themselves.

    NaN where gradients are 0 or not finite, or too few to tell.
    """
    init, step = ss.gradient_dimension(centred=False, dtype=jnp.float64)
    try:
        return dimension_estimate(step(init(), jnp.asarray(gradients)))
    except ValueError:
        return math.nan, math.nan


def known_gradients(generator: np.random.Generator, dimension: int, trials: int) -> Float[Array, "trials dimension"]:
    """Gaussian gradients that are spread evenly over so many directions."""
    return jnp.asarray(generator.normal(size=(trials, dimension)))


def bias_rows(dimensions: Sequence[int], sizes: Sequence[int], repeats: int = 20) -> pd.DataFrame:
    """Both estimates of known dimensions: means over `repeats` draws of so many trials, and a deviation."""
    rows = []
    for dimension in dimensions:
        for size in sizes:
            generator = np.random.default_rng([dimension, size])
            drawn = [dimension_of(known_gradients(generator, dimension, size)) for _ in range(repeats)]
            estimates, naive = np.array(drawn).T
            row = {"dimension": dimension, "trials": size, "estimate": np.nanmean(estimates), "naive": naive.mean()}
            rows.append(row | {"deviation": np.nanstd(estimates)})
    return pd.DataFrame(rows)


def profile_rows(kind: Kind, seed: int, delay: float, before: Sequence[float], *, trials: int = 256) -> pd.DataFrame:
    """A row for each layer and each of the times `before` the end of the delay: dimension and norm of the gradients."""
    recall, steps = Recall(delay=delay, neurons=kind.neurons, loop=kind.loop), 10
    drawn = Drawn(delay, kind.loop, kind.sharpness, neurons=kind.neurons, layers=kind.layers, steps=steps)
    single = (
        subject_of(jax.random.key(seed), drawn, recall),
        recall_trials(np.random.default_rng(seed), recall, trials),
    )
    subject, (spikes, labels) = jax.tree.map(lambda leaf: jnp.asarray(leaf, _doubled(leaf.dtype)), single)
    moments = tuple(round((recall.cue + delay - time) * steps) for time in before)
    rows = []
    for layer, gradients in enumerate(gradients_before(subject, (spikes, labels), recall, steps, moments)):
        for place, time in enumerate(before):
            estimate, naive = dimension_of(gradients[:, place])
            norms = np.linalg.norm(gradients[:, place], axis=-1)
            row = {"layer": layer + 1, "before": time, "dimension": estimate, "naive": naive}
            rows.append(row | {"norm": float(np.log10(np.maximum(norms, 1e-300)).mean())})
    return pd.DataFrame(rows).assign(**kind._asdict(), seed=seed)


def _doubled(dtype: np.dtype) -> np.dtype:
    return jnp.dtype(jnp.float64) if jnp.issubdtype(dtype, jnp.floating) else dtype


def areas(
    table: pd.DataFrame, learns: Bool[np.ndarray, " networks"], columns: Sequence[str], seed: int = 0
) -> pd.DataFrame:
    """How well each column alone tells who learns: the area under the curve, with the 95 % interval of resampled rows.

    Values that are missing rank lowest. An area below one half says that smaller values learn.
    """
    draws = np.random.default_rng(seed).integers(0, len(table), (2000, len(table)))
    rows = []
    for column in columns:
        values = table[column].fillna(-np.inf).to_numpy(float)
        low, high = np.nanquantile(area(values[draws], learns[draws]), [0.025, 0.975])
        rows.append({"measured": column, "area": float(area(values, learns)), "low": low, "high": high})
    return pd.DataFrame(rows)
