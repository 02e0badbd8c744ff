"""A simulator as a JAX primitive whose reverse mode is a native adjoint, with trials as leading axes of its operands.

Why primitives and not `custom_vjp`: under `vmap` the cotangent of weights that all trials share would be made once per
trial and then summed. A primitive sees, when it is transposed, that the weights are shared, and sums inside its kernel.

Operands keep their rank: a leading axis is a trial axis, of the common size, or of size 1 where the trials share the
operand.
"""

import dataclasses
import warnings
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

GROUPS = 16  # partial sums of shared cotangents: fixed, so that a result does not depend on the number of threads


@dataclasses.dataclass(frozen=True)
class TrialRule:
    """What `trial_primitive` needs to know of a simulator; `static` is a hashable description of one use of it.

    `ranks` of the operands of one trial; `linear`: operands whose cotangents the adjoint gives; `carriers`: results
    that have derivatives; `kept`: results that the adjoint needs. `shapes(static, operands)` are the results of one
    trial, `reference(static, *operands)` the results of one trial by the JAX simulator, `run(static, trials)` and
    `pull(static, trials, kept, bars, wants, leads)` the native routes, on `Trials`.
    """

    name: str
    ranks: tuple[int, ...]
    linear: tuple[int, ...]
    carriers: tuple[int, ...]
    kept: tuple[int, ...]
    shapes: Callable
    reference: Callable
    run: Callable
    pull: Callable


class Trials:
    """Operands as a kernel takes them: trials flattened to one axis, with the `rows` that each trial uses.

    `flat[i]` `[rows, ...]` is operand i, `rows[trials, operands]` says which row a trial uses.
    """

    def __init__(self, operands, ranks, lead):
        self.lead, self.count = lead, int(np.prod(lead, dtype=int))
        self.flat = [flattened(one, rank) for one, rank in zip(operands, ranks, strict=True)]
        leads = [one.shape[: one.ndim - rank] for one, rank in zip(operands, ranks, strict=True)]
        self.rows = np.stack([self.rows_of(one) for one in leads], -1)

    def rows_of(self, lead) -> np.ndarray:
        """For each trial, the row of a flattened operand with trial axes `lead`."""
        index = np.arange(np.prod(lead, dtype=int)).reshape(lead)
        return np.broadcast_to(index, self.lead).ravel().astype(np.int32)

    def members(self, lead) -> tuple[np.ndarray, int]:
        """Trials of each partial sum `[sums, trials]`, padded with -1, for cotangents with trial axes `lead`.

        The second result is the number of partial sums, which are neighbours, for each row of the operand.
        """
        rows = self.rows_of(lead)
        sets = np.argsort(rows, kind="stable").reshape(np.prod(lead, dtype=int), -1)
        parts = min(sets.shape[1], max(1, GROUPS // sets.shape[0]))
        pieces = [piece for row in sets for piece in np.array_split(row, parts)]
        members = np.full((len(pieces), max(map(len, pieces))), -1, np.int32)
        for row, piece in zip(members, pieces, strict=True):
            row[: len(piece)] = piece
        return members, parts

    def gathered(self, bars, target):
        """Cotangents `[trials, ...]` summed over the trials that share the operand, whose trial axes are `target`."""
        bars = bars.reshape(*self.lead, *bars.shape[1:])
        shared = tuple(axis for axis, (full, own) in enumerate(zip(self.lead, target, strict=True)) if own != full)
        return bars.sum(shared, keepdims=True)

    def spread(self, operand, rank):
        """An operand `[trials, ...]`, whether the trials share it or not."""
        core = operand.shape[operand.ndim - rank :]
        return jnp.broadcast_to(operand, (*self.lead, *core)).reshape(self.count, *core)


def flattened(operand, rank):
    """Trial axes made one."""
    lead = operand.shape[: operand.ndim - rank]
    return operand.reshape(int(np.prod(lead, dtype=int)), *operand.shape[operand.ndim - rank :])


def summed_parts(bars, parts, target):
    """Partial sums `[rows * parts, ...]` added up; trial axes `target`."""
    return bars.reshape(bars.shape[0] // parts, parts, *bars.shape[1:]).sum(1).reshape(*target, *bars.shape[1:])


def trial_primitive(rule: TrialRule) -> Callable:
    """The function `call(static, *operands)` that runs a rule: differentiable as it says, batched by `vmap`."""
    calls = _Calls(rule)
    return lambda static, *operands: calls.run.bind(*operands, static=static)


class _Calls:
    """The three primitives of a rule (run, tangent, pull-back) and how JAX transforms them."""

    def __init__(self, rule):
        self.rule = rule
        self.result_ranks = None
        self.run, self.tangent, self.pull = (Primitive(rule.name + suffix) for suffix in ("", "_tangent", "_pullback"))
        self._register(self.run, self._run_shapes, self._run, self._reference)
        self._register(self.tangent, self._tangent_shapes, self._reference_tangent, self._reference_tangent)
        self._register(self.pull, self._pull_shapes, self._pull, self._reference_pull)
        mlir.register_lowering(self.pull, self._lowered_elsewhere)
        ad.primitive_jvps[self.run] = self._run_jvp
        ad.primitive_jvps[self.tangent] = ad.primitive_jvps[self.pull] = _no_second_derivative
        ad.primitive_transposes[self.tangent] = self._tangent_transpose

    def _register(self, primitive, shapes, cpu, elsewhere):
        primitive.multiple_results = True
        primitive.def_impl(jax.jit(primitive.bind, static_argnames=("static", "wants", "leads")))
        primitive.def_abstract_eval(lambda *operands, **keys: [_shaped(one) for one in shapes(*operands, **keys)])
        mlir.register_lowering(primitive, mlir.lower_fun(elsewhere, multiple_results=True))
        mlir.register_lowering(primitive, mlir.lower_fun(cpu, multiple_results=True), platform="cpu")
        batching.primitive_batchers[primitive] = lambda operands, axes, **keys: _batched(
            primitive, operands, axes, keys
        )

    def _lowered_elsewhere(self, context, *operands, **keys):
        platforms = " and ".join(context.module_context.platforms)
        warnings.warn(
            f"{self.rule.name}: the time-reversed rule has kernels on processors only; on {platforms} Recorded() takes "
            "its place, with the same values and memory that grows with events.",
            stacklevel=2,
        )
        return mlir.lower_fun(self._reference_pull, multiple_results=True)(context, *operands, **keys)

    def _lead(self, operands):
        """Trial axes of a whole call."""
        count = len(self.rule.ranks)
        pairs = zip(operands[:count], self.rule.ranks, strict=True)
        return np.broadcast_shapes(*(one.shape[: one.ndim - rank] for one, rank in pairs))

    def _split(self, arguments):
        count, kept = len(self.rule.ranks), len(self.rule.kept)
        return arguments[:count], arguments[count : count + kept], arguments[count + kept :]

    def _run_shapes(self, *operands, static):
        lead = self._lead(operands)
        return [jax.ShapeDtypeStruct((*lead, *one.shape), one.dtype) for one in self.rule.shapes(static, operands)]

    def _run(self, *operands, static):
        trials = Trials(operands, self.rule.ranks, self._lead(operands))
        results = self.rule.run(static, trials)
        shapes = self._run_shapes(*operands, static=static)
        return [result.reshape(one.shape) for result, one in zip(results, shapes, strict=True)]

    def _reference(self, *operands, static):
        return _over_trials(lambda *one: self.rule.reference(static, *one), operands, self._lead(operands))

    def _carried(self, static, operands, which):
        """The results that carry derivatives, by the reference, as a function of the operands `which`."""

        def function(*varied):
            whole = list(operands)
            for index, value in zip(which, varied, strict=True):
                whole[index] = value
            results = self._reference(*whole, static=static)
            return [results[index] for index in self.rule.carriers]

        return function

    def _run_jvp(self, primals, tangents, *, static):
        results = self.run.bind(*primals, static=static)
        slopes = [ad.Zero(jax.typeof(result).to_tangent_aval()) for result in results]
        moving = [
            index
            for index, (one, primal) in enumerate(zip(tangents, primals, strict=True))
            if type(one) is not ad.Zero and jnp.issubdtype(primal.dtype, jnp.inexact)
        ]
        if not moving:
            return results, slopes
        given = [tangents[index] for index in moving]
        if set(moving) <= set(self.rule.linear):
            kept = [results[index] for index in self.rule.kept]
            carried = self.tangent.bind(*primals, *kept, *given, static=static, wants=tuple(moving))
        else:
            function = self._carried(static, primals, moving)
            carried = jax.jvp(function, [primals[index] for index in moving], given)[1]
        for index, slope in zip(self.rule.carriers, carried, strict=True):
            slopes[index] = slope
        return results, slopes

    def _tangent_shapes(self, *arguments, static, wants):
        operands, _, tangents = self._split(arguments)
        leads = [one.shape[: one.ndim - self.rule.ranks[i]] for i, one in zip(wants, tangents, strict=True)]
        lead = np.broadcast_shapes(self._lead(operands), *leads)
        shapes = [self.rule.shapes(static, operands)[index] for index in self.rule.carriers]
        return [jax.ShapeDtypeStruct((*lead, *one.shape), one.dtype) for one in shapes]

    def _reference_tangent(self, *arguments, static, wants):
        operands, _, tangents = self._split(arguments)
        varied = [jnp.broadcast_to(operands[i], one.shape) for i, one in zip(wants, tangents, strict=True)]
        return jax.jvp(self._carried(static, operands, wants), varied, list(tangents))[1]

    def _tangent_transpose(self, bars, *arguments, static, wants):
        operands, kept, varied = self._split(arguments)
        fixed = [None] * (len(operands) + len(kept))
        if all(type(bar) is ad.Zero for bar in bars):
            return fixed + [ad.Zero(one.aval) for one in varied]
        shapes = [(one.aval.shape, self.rule.ranks[i]) for i, one in zip(wants, varied, strict=True)]
        leads = tuple(shape[: len(shape) - rank] for shape, rank in shapes)
        bars = [ad.instantiate_zeros(bar) for bar in bars]
        return fixed + list(self.pull.bind(*operands, *kept, *bars, static=static, wants=wants, leads=leads))

    def _pull_shapes(self, *arguments, static, wants, leads):
        del static
        cores = [arguments[i].shape[arguments[i].ndim - self.rule.ranks[i] :] for i in wants]
        return [
            jax.ShapeDtypeStruct((*lead, *core), arguments[i].dtype)
            for i, lead, core in zip(wants, leads, cores, strict=True)
        ]

    def _pull(self, *arguments, static, wants, leads):
        operands, kept, bars = self._split(arguments)
        ranks = [len(one.shape) for one in self.rule.shapes(static, operands)]
        bar_ranks = [ranks[index] for index in self.rule.carriers]
        lead = _widest(self._lead(operands), bars, bar_ranks)
        trials = Trials(operands, self.rule.ranks, lead)
        kept = [trials.spread(one, ranks[index]) for one, index in zip(kept, self.rule.kept, strict=True)]
        bars = [trials.spread(bar, rank) for bar, rank in zip(bars, bar_ranks, strict=True)]
        return self.rule.pull(static, trials, kept, bars, wants, leads)

    def _reference_pull(self, *arguments, static, wants, leads):
        operands, _, bars = self._split(arguments)
        ranks = [len(self.rule.shapes(static, operands)[index].shape) for index in self.rule.carriers]
        lead = _widest(self._lead(operands), bars, ranks)
        shapes = self._pull_shapes(*arguments, static=static, wants=wants, leads=leads)
        varied = [jnp.broadcast_to(operands[i], one.shape) for i, one in zip(wants, shapes, strict=True)]
        first = jnp.broadcast_to(operands[0], (*lead, *operands[0].shape[len(lead) :]))
        _, pull = jax.vjp(self._carried(static, [first, *operands[1:]], wants), *varied)
        bars = [
            jnp.broadcast_to(bar, (*lead, *bar.shape[bar.ndim - rank :])) for bar, rank in zip(bars, ranks, strict=True)
        ]
        return pull(bars)


def _shaped(one):
    return jax.core.ShapedArray(one.shape, one.dtype)


def _widest(lead, bars, ranks):
    return np.broadcast_shapes(lead, *(bar.shape[: bar.ndim - rank] for bar, rank in zip(bars, ranks, strict=True)))


def _over_trials(function, operands, lead):
    if not lead:
        return function(*operands)
    mapped = [one.shape[0] == lead[0] for one in operands]
    operands = [one if along else one[0] for one, along in zip(operands, mapped, strict=True)]
    axes = [0 if along else None for along in mapped]
    return jax.vmap(lambda *inner: _over_trials(function, inner, lead[1:]), axes)(*operands)


def _batched(primitive, operands, axes, keys):
    """Give every operand one more leading axis: the trials, or 1 where they share it."""
    size = next(one.shape[axis] for one, axis in zip(operands, axes, strict=True) if axis is not None)
    operands = [
        jnp.expand_dims(one, 0) if axis is None else jnp.moveaxis(one, axis, 0)
        for one, axis in zip(operands, axes, strict=True)
    ]
    if "leads" in keys:
        keys = keys | {"leads": tuple((size, *lead) for lead in keys["leads"])}
    results = primitive.bind(*operands, **keys)
    return results, [0] * len(results)


def _no_second_derivative(*_, **__):
    raise NotImplementedError(
        "The time-reversed rules have first derivatives only: use the plain simulator for second ones."
    )
