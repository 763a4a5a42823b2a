"""The standard's functions that look at one element, or at one pair, at a time."""

from typing import Any

from narae import primitives as p
from narae.base.dtypes import is_floating

from .. import arithmetic, comparison, pointwise, real_numbers
from ..eager import apply, converted, no_number
from ..tensor import Tensor
from .standard import of_one, of_two, paired

_ONE = {
    "abs": pointwise.abs,
    "acos": pointwise.acos,
    "acosh": pointwise.acosh,
    "asin": pointwise.asin,
    "asinh": pointwise.asinh,
    "atan": pointwise.atan,
    "atanh": pointwise.atanh,
    "bitwise_invert": comparison.bitwise_not,
    "ceil": pointwise.ceil,
    "conj": real_numbers.conj,
    "cos": pointwise.cos,
    "cosh": pointwise.cosh,
    "exp": pointwise.exp,
    "expm1": pointwise.expm1,
    "floor": pointwise.floor,
    "imag": real_numbers.imag,
    "isfinite": comparison.isfinite,
    "isinf": comparison.isinf,
    "isnan": comparison.isnan,
    "log": pointwise.log,
    "log10": pointwise.log10,
    "log1p": pointwise.log1p,
    "log2": pointwise.log2,
    "logical_not": comparison.logical_not,
    "negative": pointwise.neg,
    "positive": pointwise.positive,
    "real": real_numbers.real,
    "reciprocal": pointwise.reciprocal,
    "round": pointwise.round,
    "signbit": pointwise.signbit,
    "sin": pointwise.sin,
    "sinh": pointwise.sinh,
    "sqrt": pointwise.sqrt,
    "square": arithmetic.square,
    "tan": pointwise.tan,
    "tanh": pointwise.tanh,
    "trunc": pointwise.trunc,
}
_TWO = {
    "add": arithmetic.add,
    "atan2": arithmetic.atan2,
    "bitwise_and": comparison.bitwise_and,
    "bitwise_left_shift": comparison.bitwise_left_shift,
    "bitwise_or": comparison.bitwise_or,
    "bitwise_right_shift": comparison.bitwise_right_shift,
    "bitwise_xor": comparison.bitwise_xor,
    "copysign": arithmetic.copysign,
    "divide": arithmetic.div,
    "equal": comparison.eq,
    "floor_divide": arithmetic.floor_divide,
    "greater": comparison.gt,
    "greater_equal": comparison.ge,
    "hypot": arithmetic.hypot,
    "less": comparison.lt,
    "less_equal": comparison.le,
    "logaddexp": arithmetic.logaddexp,
    "logical_and": comparison.logical_and,
    "logical_or": comparison.logical_or,
    "logical_xor": comparison.logical_xor,
    "maximum": arithmetic.maximum,
    "minimum": arithmetic.minimum,
    "multiply": arithmetic.mul,
    "not_equal": comparison.ne,
    "pow": arithmetic.pow,
    "remainder": arithmetic.remainder,
    "subtract": arithmetic.sub,
}
for _name, _function in _ONE.items():
    globals()[_name] = of_one(_function, _name)
for _name, _function in _TWO.items():
    globals()[_name] = of_two(_function, _name)


def sign(x: Tensor, /) -> Tensor:
    """-1, 0 or 1; NaN for NaN, where PyTorch has 0."""
    out = pointwise.sign(x)
    if not is_floating(x._value.dtype):
        return out
    return apply(p.where, comparison.isnan(x), x, out)  # type: ignore[no-any-return]


def clip(x: Tensor, /, min: Any = None, max: Any = None) -> Tensor:
    """Not below min and not above max, in the dtype of x."""
    dtype = x._value.dtype
    low, high = (None if end is None else no_number(converted(end, dtype), dtype)
                 for end in (min, max))  # fmt: skip
    out = x if low is None else arithmetic.maximum(x, low)
    out = out if high is None else arithmetic.minimum(out, high)
    return apply(p.copy, x) if out is x else out


def where(condition: Tensor, x1: Any, x2: Any, /) -> Tensor:
    """x1 where the condition holds, x2 elsewhere."""
    return arithmetic.where(condition, *paired(x1, x2, "where"))  # type: ignore[no-any-return]


def nextafter(x1: Any, x2: Any, /) -> Tensor:
    """The next number of the dtype after x1 in the direction of x2."""
    from narae import tensors

    return tensors.nextafter(*paired(x1, x2, "nextafter"))  # type: ignore[no-any-return]


__all__ = [*_ONE, *_TWO, "clip", "nextafter", "sign", "where"]
