"""Training by gradient descent as an (init, step) pair, and the loop that repeats it with checkpoints.

A step never applies a gradient that is not finite or comes from a failed simulation: it leaves the parameters as they
were and says so, and the loop raises with the history up to there.
"""

import operator
import pathlib
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from stablespike.dynamics.arguments import require_whole, shown
from stablespike.dynamics.status import Status, raise_unless_ok, sentence_of
from stablespike.learning import checkpoints
from stablespike.learning.requirements import (
    require_key,
    require_loss,
    require_optimiser,
    require_something_to_train,
    require_trials,
)
from stablespike.learning.soundness import Watch, require_watch


class TrainingState(eqx.Module):
    """What evolves: `parameters`, the optimiser's state, the random `key` and the number of `steps` done."""

    parameters: PyTree
    optimiser_state: PyTree
    key: Key[Array, ""]
    steps: Int[Array, ""]


class TrainingInfo(eqx.Module):
    """What a step is looked at by: its `loss`, the norm of its gradient, whether it was `applied`, the part of the
    optimiser's step that was taken (1 without a limit), the `status` of the simulations, and what the loss adds.
    """

    loss: Float[Array, ""]
    gradient_norm: Float[Array, ""]
    applied: Bool[Array, ""]
    step_size: Float[Array, ""]
    status: PyTree
    extra: PyTree


class StepLimit(eqx.Module):
    """A bound on what one step may change: `change(extra before, extra after)` is at most `largest`.

    A step that changes more is halved until it does not, `halvings` times at most; if that is not enough it is not
    applied. With the change of spike times this is the step of Klos & Memmesheimer (2025) that follows the gradient
    continuously.
    """

    change: Callable[[PyTree, PyTree], Float[Array, ""]] = eqx.field(static=True)
    largest: float
    halvings: int = eqx.field(default=40, static=True)


class TrainingError(RuntimeError):
    """Training met a value that is not finite or a failed simulation; `history` holds the finished epochs."""

    def __init__(self, sentence: str, history: list[dict[str, Any]]) -> None:
        super().__init__(sentence)
        self.history = history


def gradient_training(
    loss: Callable[..., tuple[Float[Array, ""], tuple[PyTree, PyTree]]],
    optimiser: optax.GradientTransformation,
    limit: StepLimit | None = None,
) -> tuple[Callable[..., TrainingState], Callable[..., tuple[TrainingState, TrainingInfo]]]:
    """The pair (init, update) that minimises `loss(parameters, batch, key) -> (value, (status, extra))`.

    Only floating-point arrays among the parameters are trained; numbers stay, NumPy's scalars included. `status` is
    that of the simulations, a `Status` with any trial axes or a tree of several (as `simulate` gives it). A `limit`
    shortens steps that change too much. Raises `ValueError` for a loss or an optimiser that is not made yet.
    """
    require_loss(loss)
    require_optimiser(optimiser)

    def init(parameters: PyTree, key: Key[Array, ""]) -> TrainingState:
        require_key(key)
        parameters = jax.tree.map(_as_trained, parameters)
        trainable = eqx.filter(parameters, eqx.is_inexact_array)
        require_something_to_train(trainable)
        return _strong(TrainingState(parameters, optimiser.init(trainable), key, jnp.zeros((), int)))

    @eqx.filter_jit
    def step(state: TrainingState, batch: PyTree) -> tuple[TrainingState, TrainingInfo]:
        key, used = jax.random.split(state.key)
        trainable, rest = eqx.partition(state.parameters, eqx.is_inexact_array)
        (value, (status, extra)), gradient = jax.value_and_grad(
            lambda varied: loss(eqx.combine(varied, rest), batch, used), has_aux=True
        )(trainable)
        norm = optax.tree.norm(gradient)
        status = _over_trials(status)
        applied = jnp.isfinite(value) & jnp.isfinite(norm) & _all_ok(status)
        size = jnp.ones_like(value)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes integer step counts with floats
            updates, optimiser_state = optimiser.update(gradient, state.optimiser_state, trainable)
        if limit is not None:
            size, short = _shortened(
                limit, extra, lambda part: loss(_moved(state.parameters, updates, part), batch, used)[1], size
            )
            applied &= short
        fresh = TrainingState(_moved(state.parameters, updates, size), optimiser_state, key, state.steps + 1)
        kept = TrainingState(state.parameters, state.optimiser_state, key, state.steps)
        dynamic, static = eqx.partition(fresh, eqx.is_array)
        dynamic = jax.tree.map(lambda new, old: _where(applied, new, old), dynamic, eqx.filter(kept, eqx.is_array))
        return _strong(eqx.combine(dynamic, static)), TrainingInfo(value, norm, applied, size, status, extra)

    return Init(init), Update(step, loss)


def _as_trained(leaf: Any) -> Any:
    """NumPy's scalars as numbers, which stay, and its arrays of floats as JAX's, which are trained."""
    if isinstance(leaf, np.generic):
        return leaf.item()
    return jnp.asarray(leaf) if isinstance(leaf, np.ndarray) and np.issubdtype(leaf.dtype, np.inexact) else leaf


class Init:
    """What makes the first state of training, `init(parameters, key) -> state`."""

    def __init__(self, init: Callable[[PyTree, Key[Array, ""]], TrainingState]) -> None:
        """`init` does it."""
        self.init = init

    def __call__(self, parameters: PyTree, key: Key[Array, ""]) -> TrainingState:
        """The state."""
        return self.init(parameters, key)


class Update:
    """One step of training, `update(state, batch) -> (state, info)`; remembers the `loss` that it descends.

    Compared by identity, so that one object is compiled once.
    """

    def __init__(self, step: Callable[..., tuple[TrainingState, TrainingInfo]], loss: Callable[..., Any]) -> None:
        """`step` does it."""
        self.step, self.loss = step, loss

    def __call__(self, state: TrainingState, batch: PyTree) -> tuple[TrainingState, TrainingInfo]:
        """The step."""
        return self.step(state, batch)


def fault(info: TrainingInfo) -> str:
    """Why a step with this info was not applied, and what would help: a sentence or two."""
    if sentence := sentence_of(info.status):
        return sentence
    if not bool(jnp.isfinite(info.loss)):
        return f"The loss is {float(info.loss)}."
    if not bool(jnp.isfinite(info.gradient_norm)):
        return f"The norm of the gradient is {float(info.gradient_norm)}."
    return "No part of it was small enough for the limit."


def _over_trials(status: PyTree) -> PyTree:
    """Each status of a tree as that of all trials."""
    _statuses(status)
    return jax.tree.map(Status.over_trials, status, is_leaf=lambda node: isinstance(node, Status))


def _statuses(status: PyTree) -> list[Status]:
    """Each status of a tree; `TypeError` for anything else in it."""
    found = jax.tree.leaves(status, is_leaf=lambda node: isinstance(node, Status))
    if wrong := [one for one in found if not isinstance(one, Status)]:
        raise TypeError(
            f"a loss returns (value, (status, extra)) with the `Status` of its simulations, or () without any, not "
            f"{type(wrong[0]).__name__}."
        )
    return found


def _all_ok(status: PyTree) -> Bool[Array, ""]:
    """Whether nothing went wrong in any of them."""
    parts = [one.ok for one in _statuses(status)]
    return jnp.all(jnp.stack(parts)) if parts else jnp.array(True)


def _moved(parameters: PyTree, updates: PyTree, part: Array) -> PyTree:
    """The parameters after a part of a step."""
    return eqx.apply_updates(parameters, jax.tree.map(lambda update: part.astype(update.dtype) * update, updates))


def _shortened(limit: StepLimit, before: Any, after: Callable, size: Array) -> tuple[Array, Array]:
    """The first of the sizes 1, 1/2, 1/4, ... whose step changes no more than the limit; whether there is one."""

    def too_much(part: Array) -> Array:
        status, extra = after(part)
        return ~((limit.change(before, extra) <= limit.largest) & _all_ok(_over_trials(status)))

    def halve(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        part, _, count = carry
        return part / 2, too_much(part / 2), count + 1

    start = size, too_much(size), jnp.zeros((), int)
    part, failed, _ = jax.lax.while_loop(lambda carry: carry[1] & (carry[2] < limit.halvings), halve, start)
    return part, ~failed


def _strong(state: PyTree) -> PyTree:
    """The state with definite dtypes, so that the first step and all others share one compiled program."""
    return jax.tree.map(lambda leaf: leaf.astype(leaf.dtype) if eqx.is_inexact_array(leaf) else leaf, state)


def _where(condition: Array, new: Array, old: Array) -> Array:
    if jnp.issubdtype(new.dtype, jax.dtypes.prng_key):
        return new
    return jnp.where(condition, new, old)


def shuffled_batches(key: Key[Array, ""], trials: int, batch_size: int) -> Int[Array, "batches batch"]:
    """Indices of one epoch's minibatches, every trial at most once; a remainder smaller than a batch is left out."""
    require_whole(1, batch_size=batch_size)
    batches = trials // batch_size
    if batches == 0:
        raise ValueError(f"batch_size {batch_size} exceeds the {trials} trials of the training set.")
    return jax.random.permutation(key, trials)[: batches * batch_size].reshape(batches, batch_size)


def _require_pair(step: Any, state: Any) -> None:
    """Raise `ValueError` unless a step and a state are what `gradient_training` and its init make."""
    if isinstance(step, Init) or not callable(step):
        raise ValueError(
            f"training takes update, the second of init, update = gradient_training(...), not {shown(step)}: "
            "fit(update, init(parameters, key), trials)."
        )
    if not isinstance(state, TrainingState):
        raise ValueError(
            f"training starts from a state, which init(parameters, key) makes, not from {shown(state)}: "
            "fit(update, init(parameters, key), trials)."
        )


@eqx.filter_jit
def _scan(step: Callable, state: PyTree, batch: PyTree, steps: int) -> tuple[Any, Any]:
    dynamic, static = eqx.partition(state, eqx.is_array)

    def body(carry: PyTree, _: Any) -> tuple[PyTree, Any]:
        new, info = step(eqx.combine(carry, static), batch)
        return eqx.filter(new, eqx.is_array), info

    dynamic, infos = jax.lax.scan(body, dynamic, length=steps)
    return eqx.combine(dynamic, static), infos


def descend(
    step: Callable[..., tuple[TrainingState, TrainingInfo]],
    state: TrainingState,
    batch: PyTree,
    *,
    steps: int,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
    chunk: int = 100,
) -> tuple[TrainingState, TrainingInfo]:
    """Repeat a step on one and the same batch, `steps` times (rounded up to whole chunks), as compiled scans.

    Returns the state and the infos of all steps `[steps, ...]`, the first of the untrained network. A step that was not
    applied raises `TrainingError`. `step` and `state` may be batched over seeds by `eqx.filter_vmap`: the axis of the
    seeds then follows that of the steps. `progress` wraps the chunks.
    """
    require_whole(1, steps=steps, chunk=chunk)
    _require_pair(step, state)
    parts: list[TrainingInfo] = []
    for done in progress(range(0, steps, chunk)):
        state, infos = _scan(step, state, batch, chunk)
        parts.append(infos)
        if not bool(infos.applied.all()):
            where = np.unravel_index(int(np.argmin(np.asarray(infos.applied))), infos.applied.shape)
            place = int(where[0])
            info = jax.tree.map(operator.itemgetter(where), eqx.tree_at(lambda one: one.extra, infos, None))
            raise TrainingError(
                f"Step {done + place + 1} was not applied. {fault(info)}",
                [{"step": index, "loss": loss} for index, loss in enumerate(_losses(parts)[: done + place])],
            )
    return state, jax.tree.map(lambda *columns: jnp.concatenate(columns), *parts)


def _losses(parts: Iterable) -> list[float]:
    return np.concatenate([np.asarray(part.loss) for part in parts]).tolist()


def fit(
    step: Callable[..., tuple[TrainingState, TrainingInfo]],
    state: TrainingState,
    data: PyTree,
    *,
    epochs: int,
    batch_size: int = 32,
    judge: PyTree = None,
    evaluate: Callable[[PyTree], dict[str, Any]] | None = None,
    watch: Watch | None = None,
    checkpoint: pathlib.Path | str | None = None,
    identity: str = "",
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> tuple[TrainingState, list[dict[str, Any]]]:
    """Train for `epochs` epochs over `data` (arrays with a leading trial axis) and return the state and the history.

    The history has a row for the untrained network (epoch 0) and one per epoch: mean loss, mean gradient norm, the
    `accuracy_on` trials `judge` that are not trained on, and what `evaluate(parameters)` returns, if these are given.
    A `watch` adds what it samples, and warns where the training degrades.
    With a `checkpoint` file every epoch is saved, and an interrupted run goes on from there, bit for bit; a checkpoint
    of another `identity` (any text) or of another model raises `ValueError` and is left as it is; one of more epochs is
    returned. `progress` wraps the epochs (e.g. tqdm). Raises `ValueError` for what cannot be meant, trials that the
    loss does not take (see `classify`) among it, before anything is compiled.
    """
    require_whole(1, epochs=epochs)
    return train(
        step, state, data, epochs=epochs, batch_size=batch_size, evaluate=_evaluation(step, state, judge, evaluate),
        watch=watch, checkpoint=checkpoint, identity=identity, progress=progress,
    )  # fmt: skip


def train(
    step: Callable[..., tuple[TrainingState, TrainingInfo]],
    state: TrainingState,
    data: PyTree,
    *,
    epochs: int,
    batch_size: int,
    evaluate: Callable[[PyTree], dict[str, Any]],
    watch: Watch | None = None,
    checkpoint: pathlib.Path | str | None = None,
    identity: str = "",
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> tuple[TrainingState, list[dict[str, Any]]]:
    """What `fit` does, also for no epochs: then the state is that of the checkpoint, if there is one, or the given."""
    require_whole(0, epochs=epochs)
    require_whole(1, batch_size=batch_size)
    _require_pair(step, state)
    require_trials(step, state.parameters, data)
    if watch is not None:
        require_watch(watch, step)
    trials = _trials(data)
    checkpoint = None if checkpoint is None else checkpoints.checkpoint_file(checkpoint)
    state, history = checkpoints.restored(checkpoint, identity, state)
    if not history:
        history = [{"epoch": 0, **_as_numbers(evaluate(state.parameters))}]
    for epoch in progress(range(len(history), epochs + 1)):
        losses, norms = [], []
        for indices in shuffled_batches(jax.random.fold_in(state.key, epoch), trials, batch_size):
            batch = jax.tree.map(operator.itemgetter(indices), data)
            state, info = step(state, batch)
            losses.append(info.loss)
            norms.append(info.gradient_norm)
            if not bool(info.applied):
                raise TrainingError(
                    f"Step {int(state.steps) + 1} (epoch {epoch}) was not applied. {fault(info)}",
                    history,
                )
        means = {"loss": jnp.mean(jnp.stack(losses)), "gradient_norm": jnp.mean(jnp.stack(norms))}
        history.append({"epoch": epoch, **_as_numbers(means), **_as_numbers(evaluate(state.parameters))})
        if watch is not None:
            _watched(watch, getattr(step, "loss", None), state.parameters, batch, history[-1])
        checkpoints.save(checkpoint, identity, state, history)
    return state, history


def _watched(watch: Watch, loss: Any, parameters: PyTree, batch: PyTree, row: dict[str, Any]) -> None:
    """Write down what a watch samples, and say where the training degrades."""
    row |= watch(loss, parameters, batch)
    if sentence := watch.sentence(row, watch.error_bound(parameters)):
        warnings.warn(f"After epoch {row['epoch']} {sentence}", RuntimeWarning, stacklevel=4)


def _evaluation(
    step: Any, state: TrainingState, judge: Any, evaluate: Callable | None
) -> Callable[[PyTree], dict[str, Any]]:
    """What is written down of the parameters after every epoch."""
    _require_pair(step, state)
    if judge is not None and not isinstance(step, Update):
        raise ValueError("`judge` needs the update that `gradient_training` made, which knows its loss.")
    if judge is not None:
        require_trials(step, state.parameters, judge)

    def all_of(parameters: PyTree) -> dict[str, Any]:
        judged = {} if judge is None else accuracy_on(step.loss, parameters, judge)
        return judged | ({} if evaluate is None else evaluate(parameters))

    return evaluate if judge is None and evaluate is not None else all_of


def accuracy_on(loss: Callable[..., Any], parameters: PyTree, trials: tuple[PyTree, Array]) -> dict[str, Any]:
    """Part of the trials `(inputs, labels)` whose largest score is that of the label, and the loss.

    `loss(parameters, trials, None)` returns `(value, (status, scores [trials, classes]))`, as what `classify` makes
    does. Raises `SimulationError` if a simulation failed.
    """
    if says := getattr(loss, "require_trials", None):
        says(parameters, trials)
    value, (status, scores) = _evaluated(loss, parameters, trials)
    raise_unless_ok(status)
    return {"test_accuracy": jnp.mean(jnp.argmax(scores, -1) == trials[1]), "test_loss": value}


_evaluated = eqx.filter_jit(lambda loss, parameters, trials: loss(parameters, trials, None))


def _trials(data: PyTree) -> int:
    """Number of trials; an index beyond the shortest array would be clamped in silence."""
    sizes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(data)}
    if len(sizes) != 1 or sizes == {()}:
        raise ValueError(f"all arrays of the data need one leading axis of trials, not {sorted(sizes)}.")
    return sizes.pop()[0]


def _as_numbers(mapping: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(mapping, dict) or any(jnp.ndim(value) for value in mapping.values()):
        shapes = {k: jnp.shape(v) for k, v in mapping.items()} if isinstance(mapping, dict) else mapping
        raise ValueError(f"`evaluate` must return a dictionary of numbers, not {shapes}.")
    return {name: value.item() if hasattr(value, "item") else value for name, value in mapping.items()}
