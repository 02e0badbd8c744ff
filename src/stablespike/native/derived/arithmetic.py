"""Numbers of a function that is written as LLVM: known while writing, or only when the code runs; their arithmetic."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, no_type_check

import jax
import numpy as np
from llvmlite import ir
from numba import from_dtype
from numba.core import cgutils

MOST_WRITTEN = 20_000  # operations of a function
CONTRACT = ("contract",)


class NotWritten(ValueError):
    """An operation that has no line here; its text is the operation's name, for a sentence."""


class Unknown(NamedTuple):
    """A number that is known only when the code runs."""

    value: ir.Value
    dtype: np.dtype


def is_known(one: Any) -> bool:
    """Whether a number is known while writing."""
    return not isinstance(one, Unknown)


BOOLEAN = np.dtype(bool)
NUMPY: dict[str, Callable] = {"add": np.add, "add_any": np.add, "sub": np.subtract, "mul": np.multiply}
ARITHMETIC = {
    "add": ("fadd", "add"), "add_any": ("fadd", "add"), "sub": ("fsub", "sub"), "mul": ("fmul", "mul"),
    "div": ("fdiv", ""), "rem": ("frem", ""),
}  # fmt: skip
OF_FLOATS = ("div", "rem")
COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
BITS = {"and": "and_", "or": "or_", "xor": "xor"}
INTRINSICS = {"sqrt": "sqrt", "floor": "floor", "ceil": "ceil"}
ROUNDINGS = {jax.lax.RoundingMethod.AWAY_FROM_ZERO: "round", jax.lax.RoundingMethod.TO_NEAREST_EVEN: "rint"}
LIBRARY: dict[str, Callable] = {"abs": math.fabs} | {
    name: getattr(math, name)
    for name in ("exp", "expm1", "log", "log1p", "sin", "cos", "tan", "tanh", "sinh", "cosh", "asinh", "acosh", "atanh",
                 "asin", "acos", "atan", "atan2", "erf", "erfc", "pow")
}  # fmt: skip


@no_type_check
class Arithmetic:
    """Writes operations on numbers where an LLVM builder stands; `context` and `typing` are numba's."""

    def __init__(self, context, typing, builder):
        self.context, self.typing, self.builder, self.written = context, typing, builder, 0

    def elementwise(self, equation: Any, ones: list[Any], kinds: list[np.dtype]) -> Any:
        """One number of an operation that treats each alike."""
        name, params = equation.primitive.name, equation.params
        kind = equation.outvars[0].aval.dtype
        if name == "convert_element_type":
            return self.converted(ones[0], kind)
        if name == "select_n":
            return self._selected(ones, kind)
        if name == "integer_pow":
            return self._power(ones[0], params["y"], kind)
        if name == "pow":
            ones = [ones[0], self.converted(ones[1], kind)]
        if name == "round":
            self._count()
            return Unknown(self._intrinsic(ROUNDINGS[params["rounding_method"]], [self.value(ones[0], kind)]), kind)
        if name == "clamp":
            return self.number("min", [self.number("max", [ones[1], ones[0]]), ones[2]])
        if name in COMPARISONS:
            return self.compared(COMPARISONS[name], ones, kinds[0])
        return self.number(name, ones)

    def number(self, name: str, ones: list[Any]) -> Any:
        """One number from others of one type."""
        known = [is_known(one) for one in ones]
        if all(known) and name in NUMPY:
            with np.errstate(all="ignore"):
                return NUMPY[name](*ones)
        neutral = {"add": 0, "add_any": 0, "mul": 1}.get(name)
        for one, other, sure in zip(ones, reversed(ones), known, strict=True):
            if neutral is not None and sure and one == neutral:
                return other
        kind = next((one.dtype for one in ones if not is_known(one)), np.asarray(ones[0]).dtype)
        self._count()
        value = self._value_of(name, [self.value(one, kind) for one in ones], kind)
        return Unknown(value, np.dtype(bool) if name == "is_finite" else kind)

    def _count(self):
        self.written += 1
        if self.written > MOST_WRITTEN:
            raise NotWritten(f"more than {MOST_WRITTEN} operations")

    def _value_of(self, name, values, kind):
        builder, floating = self.builder, kind.kind == "f"
        if name in OF_FLOATS and not floating:  # by zero, or without a sign, they are others in LLVM
            raise NotWritten(f"{name} of whole numbers")
        if name in ARITHMETIC:
            method = getattr(builder, ARITHMETIC[name][0 if floating else 1])
            return method(*values, flags=CONTRACT) if floating and name != "rem" else method(*values)
        if name in BITS:
            return getattr(builder, BITS[name])(*values)
        if name == "not":
            return builder.not_(values[0])
        if name == "neg":
            return self._opposite(values[0]) if floating else builder.neg(values[0])
        if name in ("max", "min"):
            return self._extreme(name, values, kind)
        if not floating:
            raise NotWritten(f"{name} of whole numbers")
        one = ir.Constant(values[0].type, 1.0)
        if name in INTRINSICS:
            return self._intrinsic(INTRINSICS[name], values)
        if name == "square":
            return builder.fmul(values[0], values[0], flags=CONTRACT)
        if name == "rsqrt":
            return builder.fdiv(one, self._intrinsic("sqrt", values))
        if name == "is_finite":
            return builder.fcmp_ordered("==", builder.fsub(values[0], values[0]), ir.Constant(values[0].type, 0.0))
        if name == "sign":
            zero = ir.Constant(values[0].type, 0.0)
            signed = builder.select(builder.fcmp_ordered("<", values[0], zero), self._opposite(one), one)
            return builder.select(builder.fcmp_unordered("ueq", values[0], zero), values[0], signed)
        if name == "logistic":
            fall = self._library(math.exp, [self._opposite(values[0])], kind)
            return builder.fdiv(one, builder.fadd(one, fall))
        if name in LIBRARY:
            return self._library(LIBRARY[name], values, kind)
        raise NotWritten(name)

    def _opposite(self, value):
        """-x as compilers for GPUs know it, whose LLVM has no instruction for it."""
        return self.builder.fsub(ir.Constant(value.type, -0.0), value)

    def _extreme(self, name, values, kind):
        builder, (one, other), sign = self.builder, values, ">" if name == "max" else "<"
        if kind.kind != "f":
            compare = builder.icmp_signed if kind.kind == "i" else builder.icmp_unsigned
            return builder.select(compare(sign, one, other), one, other)
        chosen = builder.select(builder.fcmp_ordered(sign, one, other), one, other)
        return builder.select(builder.fcmp_unordered("uno", one, one), one, chosen)

    def _intrinsic(self, name, values):
        kind = values[0].type
        signature = ir.FunctionType(kind, [kind] * len(values))
        function = self.builder.module.declare_intrinsic(f"llvm.{name}", [kind], signature)
        return self.builder.call(function, values)

    def _library(self, function, values, kind):
        number = from_dtype(kind)
        known = self.typing.resolve_value_type(function)
        signature = known.get_call_type(self.typing, (number,) * len(values), {})
        code = self.context.get_function(known, signature)
        cast = [
            self.context.cast(self.builder, one, number, to) for one, to in zip(values, signature.args, strict=True)
        ]
        result = code(self.builder, cast)
        self.context.add_linking_libs(getattr(code, "libs", ()))
        return self.context.cast(self.builder, result, signature.return_type, number)

    def _selected(self, ones, kind):
        which, cases = ones[0], ones[1:]
        if is_known(which):
            return cases[int(which)]
        if all(is_known(one) for one in cases) and len({_bytes(one) for one in cases}) == 1:
            return cases[0]
        if len(cases) > 2 or which.dtype != BOOLEAN:
            raise NotWritten("a choice among more than two")
        no, yes = (self.value(one, kind) for one in cases)
        return Unknown(self.builder.select(which.value, yes, no), kind)

    def _power(self, one: Any, exponent: int, kind: np.dtype) -> Any:
        if exponent < 0:
            return self.number("div", [kind.type(1), self._power(one, -exponent, kind)])
        result: Any = kind.type(1)
        while exponent:
            result = self.number("mul", [result, one]) if exponent % 2 else result
            exponent //= 2
            one = self.number("mul", [one, one]) if exponent else one
        return result

    def compared(self, sign, ones, kind):
        """Whether two numbers of one type stand in a relation."""
        values = [self.value(one, kind) for one in ones]
        if kind.kind == "f":
            compare = self.builder.fcmp_unordered if sign == "!=" else self.builder.fcmp_ordered
        else:
            compare = self.builder.icmp_signed if kind.kind == "i" else self.builder.icmp_unsigned
        return Unknown(compare(sign, *values), np.dtype(bool))

    def converted(self, one, kind):
        """A number of another type."""
        if is_known(one):
            return np.asarray(one).astype(kind)[()]
        value, builder, to, old = one.value, self.builder, self.type_of(kind), one.dtype
        if old == kind:
            return one
        if kind == BOOLEAN:
            zero = ir.Constant(value.type, 0)
            compare = builder.fcmp_unordered if old.kind == "f" else builder.icmp_signed
            new = compare("!=", value, zero)
        elif kind.kind == "f":
            if old.kind == "f":
                new = builder.fpext(value, to) if kind.itemsize > old.itemsize else builder.fptrunc(value, to)
            else:
                new = builder.sitofp(value, to) if old.kind == "i" else builder.uitofp(value, to)
        elif old.kind == "f":
            new = self._whole(value, to, kind)
        elif kind.itemsize > old.itemsize or old == BOOLEAN:
            new = builder.sext(value, to) if old.kind == "i" else builder.zext(value, to)
        else:
            new = builder.trunc(value, to) if kind.itemsize < old.itemsize else value
        return Unknown(new, kind)

    def _whole(self, value, to, kind):
        """A whole number of a float: the nearest that there is of one that is too large, 0 of one that is none."""
        sign = "s" if kind.kind == "i" else "u"
        signature = ir.FunctionType(to, [value.type])
        name = f"llvm.fpto{sign}i.sat.i{to.width}.{'f64' if value.type == ir.DoubleType() else 'f32'}"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, signature, name), [value])

    def type_of(self, kind):
        """LLVM's type of a number; a truth value has one bit."""
        return ir.IntType(1) if kind == BOOLEAN else self.context.get_value_type(from_dtype(kind))

    def value(self, one, kind):
        """A number as LLVM has it."""
        if not is_known(one):
            return one.value
        return ir.Constant(self.type_of(kind), bool(one) if kind == BOOLEAN else np.asarray(one).astype(kind).item())


def _bytes(one: Any) -> bytes:
    return np.asarray(one).tobytes()
