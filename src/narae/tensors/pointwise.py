"""Functions of one tensor, element by element: exponentials, roots, angles, rounding, parts."""

import math
from collections.abc import Callable
from typing import Any

from narae import primitives as p
from narae.base.dtypes import is_floating
from narae.base.errors import DTypeError

from .eager import apply, converted, unary
from .methods import in_place
from .operands import as_float, deliver, refuse_dtype, require_tensor
from .tensor import Tensor

Function = Callable[..., Tensor]


def _floating(operation: Any, name: str = "", text: str = "") -> Function:
    """A function whose results are floating point; integers are converted first."""
    run = _runner(operation)
    name = name or operation.name.rstrip("_")

    def function(input: Tensor, *, out: Tensor | None = None) -> Tensor:
        if not isinstance(input, Tensor):
            require_tensor(input, name)
        if input._value.dtype.kind != "f":
            input = as_float(input)
        result = run(input)
        return result if out is None else deliver(result, out, name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = text or f"{operation.formula}, element by element."
    return function


def _runner(operation: Any) -> Callable[[Tensor], Tensor]:
    if operation.kind == "composite":
        return lambda x: apply(operation, x)
    return unary(operation)


def _any_number(operation: Any, name: str = "", accepts_bool: bool = False) -> Function:
    """A function that keeps integers."""
    run = _runner(operation)
    name = name or operation.name.rstrip("_")

    def function(input: Tensor, *, out: Tensor | None = None) -> Tensor:
        require_tensor(input, name)
        if input._value.dtype.kind == "b" and not accepts_bool:
            raise refuse_dtype(name, input, "it needs numbers")
        result = run(input) if input._value.dtype.kind != "b" else apply(p.copy, input)
        return result if out is None else deliver(result, out, name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{operation.formula}, element by element."
    return function


def _rounding(operation: Any, name: str = "") -> Function:
    """A function that leaves integers as they are."""
    run = _runner(operation)
    name = name or operation.name.rstrip("_")

    def function(input: Tensor, *, out: Tensor | None = None) -> Tensor:
        require_tensor(input, name)
        if input._value.dtype.kind in "iu":
            result: Tensor = apply(p.copy, input)
        elif input._value.dtype.kind == "b":
            raise refuse_dtype(name, input, "it needs numbers")
        else:
            result = run(input)
        return result if out is None else deliver(result, out, name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{operation.formula}, element by element; integers stay as they are."
    return function


# --- exponentials and roots ------------------------------------------------------------------

exp, exp2, expm1 = _floating(p.exp), _floating(p.exp2), _floating(p.expm1)
log, log1p = _floating(p.log), _floating(p.log1p)
log2, log10 = _floating(p.log2), _floating(p.log10)
sqrt, rsqrt = _floating(p.sqrt), _floating(p.rsqrt)
reciprocal = _floating(p.reciprocal)
sigmoid = expit = _floating(p.sigmoid)

# --- angles ----------------------------------------------------------------------------------

sin, cos, tan = _floating(p.sin), _floating(p.cos), _floating(p.tan)
asin, acos, atan = _floating(p.asin), _floating(p.acos), _floating(p.atan)
sinh, cosh, tanh = _floating(p.sinh), _floating(p.cosh), _floating(p.tanh)
asinh, acosh, atanh = _floating(p.asinh), _floating(p.acosh), _floating(p.atanh)
arcsin, arccos, arctan = asin, acos, atan
arcsinh, arccosh, arctanh = asinh, acosh, atanh
sinc = _floating(p.sinc)


def deg2rad(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Degrees to radians: input * pi / 180."""
    return deliver(apply(p.mul, as_float(input), math.pi / 180), out, "deg2rad")


def rad2deg(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Radians to degrees: input * 180 / pi."""
    return deliver(apply(p.mul, as_float(input), 180 / math.pi), out, "rad2deg")


# --- special functions -----------------------------------------------------------------------

erf, erfc, erfinv = _floating(p.erf), _floating(p.erfc), _floating(p.erfinv)
lgamma, digamma = _floating(p.lgamma), _floating(p.digamma)


def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma.

    Raises:
        RuntimeError: for a negative n.
    """
    if n < 0:
        raise DTypeError("polygamma(n, x) does not support negative n.")
    if n == 0:
        return digamma(input)
    return apply(p.polygamma, as_float(input), order=int(n))  # type: ignore[no-any-return]


def _polygamma_method(self: Tensor, n: int) -> Tensor:
    return polygamma(n, self)


_polygamma_in_place = in_place(_polygamma_method, "polygamma_")


def logit(input: Tensor, eps: float | None = None, *, out: Tensor | None = None) -> Tensor:
    """log(x / (1 - x)), with x kept eps away from 0 and 1."""
    return deliver(apply(p.logit, as_float(input), eps=eps), out, "logit")


# --- sign and size ---------------------------------------------------------------------------

abs = absolute = _any_number(p.abs_)
sign = sgn = _any_number(p.sign, accepts_bool=True)
_negated = unary(p.neg)


def neg(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """-input.

    Raises:
        TypeError: for bool tensors, whose inverse is `~`.
    """
    require_tensor(input, "neg")
    if input._value.dtype.kind == "b":
        raise DTypeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to "
            "invert a mask, use the `~` or `logical_not()` operator instead."
        )
    result = _negated(input)
    return result if out is None else deliver(result, out, "neg")


negative = neg


def positive(input: Tensor) -> Tensor:
    """input itself.

    Raises:
        TypeError: for bool tensors.
    """
    if input._value.dtype.kind == "b":
        raise DTypeError("The `+` operator, on a bool tensor is not supported.")
    return input


def signbit(input: Tensor) -> Tensor:
    """Whether the sign is negative, that of -0.0 included."""
    value = input._value
    negative_number = (
        apply(p.lt, input, 0) if value.dtype.kind != "b" else apply(p.ne, input, input)
    )
    if not is_floating(value.dtype):
        return negative_number  # type: ignore[no-any-return]
    zero = apply(p.eq, input, 0)
    below = apply(p.lt, apply(p.div, 1, input.detach()), 0)
    return apply(p.or_, negative_number, apply(p.and_, zero, below))  # type: ignore[no-any-return]


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 below zero, `values` at zero, 1 above."""
    require_tensor(input, "heaviside")
    if not isinstance(values, Tensor):
        raise TypeError(
            f"heaviside(): argument 'values' (position 2) must be Tensor, not "
            f"{type(values).__name__}"
        )
    if input._value.dtype != values._value.dtype:
        raise DTypeError("heaviside is not yet implemented for tensors with different dtypes.")
    dtype = input._value.dtype
    above = converted(apply(p.lt, 0, input), dtype)
    return apply(p.where, apply(p.eq, input, 0), values, above)  # type: ignore[no-any-return]


# --- rounding --------------------------------------------------------------------------------

floor, ceil, trunc = _rounding(p.floor), _rounding(p.ceil), _rounding(p.trunc)
fix = trunc
_nearest = _rounding(p.round_)


def round(input: Tensor, *, decimals: int = 0, out: Tensor | None = None) -> Tensor:
    """The nearest number with that many decimals; ties go to the even one.

    >>> import narae
    >>> narae.round(narae.tensor([0.5, 1.5, 2.567]), decimals=1)
    tensor([0.5000, 1.5000, 2.6000])
    """
    if decimals == 0:
        return _nearest(input, out=out)
    if not is_floating(input._value.dtype):
        raise refuse_dtype("round", input, "decimals need floating point numbers")
    scale = 10.0 ** math.fabs(decimals)
    up, down = (p.mul, p.div) if decimals > 0 else (p.div, p.mul)
    nearest = apply(p.round_, apply(up, input, scale))
    return deliver(apply(down, nearest, scale), out, "round")


def frac(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input - trunc(input)."""
    if not is_floating(input._value.dtype):
        raise refuse_dtype("frac", input, "it needs floating point numbers")
    return deliver(apply(p.sub, input, apply(p.trunc, input)), out, "frac")


# --- operators -------------------------------------------------------------------------------


OPERATORS = {
    "__neg__": neg,
    "__pos__": positive,
    "__abs__": abs,
    "polygamma": _polygamma_method,
    "polygamma_": _polygamma_in_place,
}

__all__ = [
    "abs", "absolute", "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan",
    "arctanh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "deg2rad", "digamma",
    "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "fix", "floor", "frac", "heaviside",
    "lgamma", "log", "log10", "log1p", "log2", "logit", "neg", "negative", "polygamma",
    "positive", "rad2deg", "reciprocal", "round", "rsqrt", "sgn", "sigmoid", "sign", "signbit",
    "sin", "sinc", "sinh", "sqrt", "tan", "tanh", "trunc",
]  # fmt: skip
METHODS = [name for name in __all__ if name != "polygamma"]
IN_PLACE = [name for name in METHODS if name not in ("positive", "signbit")]
