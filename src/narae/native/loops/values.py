"""Elementwise primitives as LLVM instructions, by the primitives' names and NumPy's meaning.

Arguments and results are as `nest_types` holds them in registers. 16-bit floating point is
computed in float32 and rounded once for each primitive.
"""

from collections.abc import Callable, Sequence
from typing import Any

from narae.base.dtypes import BOOL, NumpyDType, is_floating

from .. import vecmath
from ..emit import Function, Val
from .integers import INTEGER_BINARY, absolute_integer, integer_power, sign_integer
from .types import converted, register_type, rounded

Attrs = tuple[tuple[str, Any], ...]
Unary = Callable[[Function, Val], Val]
Binary = Callable[[Function, Val, Val], Val]

COMPARISONS = {"eq": ("oeq", "eq", "eq"), "ne": ("une", "ne", "ne"), "lt": ("olt", "slt", "ult")}
COMPARISONS["le"] = ("ole", "sle", "ule")
BITS = {"and": "and", "or": "or", "xor": "xor"}
_BOOL_BINARY = {"add": "or", "mul": "and", "maximum": "or", "minimum": "and", **BITS}
_MOVES = {"copy", "detach"}


class Unsupported(Exception):
    """What this nest asks for has no native form."""


# --- floating point -------------------------------------------------------------------------


def _intrinsic(name: str) -> Unary:
    return lambda f, x: f.call(f"llvm.{name}.{x.type.suffix}", x.type, x)


_absolute, _root = _intrinsic("fabs"), _intrinsic("sqrt")


def _sign(f: Function, x: Val) -> Val:
    """-1, 0 or 1; 0 for NaN."""
    zero, one = f.const(0.0, x.type), f.const(1.0, x.type)
    low = f.select(f.compare("olt", x, zero), f.const(-1.0, x.type), zero)
    return f.select(f.compare("ogt", x, zero), one, low)


def _reciprocal_root(f: Function, x: Val) -> Val:
    return f.div(f.const(1.0, x.type), _root(f, x))


def larger(f: Function, x: Val, y: Val) -> Val:
    """The larger of two floats; NaN wins."""
    most = f.select(f.compare("ogt", x, y), x, y)  # y where y is NaN
    return f.select(f.compare("uno", x, x), x, most)


def smaller(f: Function, x: Val, y: Val) -> Val:
    """The smaller of two floats; NaN wins."""
    least = f.select(f.compare("olt", x, y), x, y)
    return f.select(f.compare("uno", x, x), x, least)


FLOAT_UNARY: dict[str, Unary] = {
    "neg": Function.neg,
    "abs": _absolute,
    "sign": _sign,
    "floor": _intrinsic("floor"),
    "ceil": _intrinsic("ceil"),
    "round": _intrinsic("rint"),
    "trunc": _intrinsic("trunc"),
    "sqrt": _root,
    "rsqrt": _reciprocal_root,
}
FLOAT_BINARY: dict[str, Binary] = {
    "add": Function.add,
    "sub": Function.sub,
    "mul": Function.mul,
    "div": Function.div,
    "maximum": larger,
    "minimum": smaller,
}


def float_function(operation: str) -> Any:
    """The function of floats that a primitive is, or None."""
    own = FLOAT_UNARY.get(operation) or FLOAT_BINARY.get(operation)
    return own or vecmath.FUNCTIONS.get(operation) or vecmath.BINARY.get(operation)


# --- the table ------------------------------------------------------------------------------

_INTEGER_UNARY = {"neg", "abs", "sign", "not", "floor", "ceil", "round", "trunc"}


def supported(operation: str, dtype: NumpyDType) -> bool:
    """Whether a primitive can be applied to arguments of a dtype (for `cast`: any)."""
    if operation in COMPARISONS or operation in _MOVES or operation in {"where", "cast"}:
        return True
    if is_floating(dtype):
        return operation not in BITS and float_function(operation) is not None
    if dtype == BOOL:
        return operation in _BOOL_BINARY or operation == "not"
    return operation in _INTEGER_UNARY or operation in INTEGER_BINARY or operation == "pow"


def apply(
    f: Function,
    operation: str,
    arguments: Sequence[Val],
    dtypes: Sequence[NumpyDType],
    dtype: NumpyDType,
) -> Val:
    """Write one primitive.

    Args:
        arguments, dtypes: values in registers, all scalars or all vectors, and their dtypes
        dtype: of the result
    """
    first = arguments[0]
    if operation in _MOVES:
        return first
    if operation == "cast":
        return converted(f, first, dtypes[0], dtype)
    if operation == "where":
        return _where(f, arguments, dtypes, dtype)
    if not supported(operation, dtypes[0]) or len(set(dtypes)) > 1:
        raise Unsupported(f"{operation} of {', '.join(map(str, dtypes))}")
    if operation in COMPARISONS:
        return f.compare(_comparison(operation, dtypes[0]), first, arguments[1])
    if is_floating(dtypes[0]):
        return rounded(f, float_function(operation)(f, *arguments), dtype)
    if dtypes[0] == BOOL:
        return _of_bools(f, operation, arguments)
    return _of_integers(f, operation, arguments, dtype)


def _where(
    f: Function, arguments: Sequence[Val], dtypes: Sequence[NumpyDType], dtype: NumpyDType
) -> Val:
    condition = converted(f, arguments[0], dtypes[0], BOOL)
    x = converted(f, arguments[1], dtypes[1], dtype)
    y = converted(f, arguments[2], dtypes[2], dtype)
    return f.select(condition, x, y)


def _comparison(operation: str, dtype: NumpyDType) -> str:
    for_floats, signed, unsigned = COMPARISONS[operation]
    if is_floating(dtype):
        return for_floats
    return signed if dtype.kind == "i" else unsigned


def _of_bools(f: Function, operation: str, arguments: Sequence[Val]) -> Val:
    if operation == "not":
        return f.binary("xor", arguments[0], f.const(1, arguments[0].type))
    return f.binary(_BOOL_BINARY[operation], arguments[0], arguments[1])


def _of_integers(f: Function, operation: str, arguments: Sequence[Val], dtype: NumpyDType) -> Val:
    first, signed = arguments[0], dtype.kind == "i"
    if operation == "neg":
        return f.neg(first)
    if operation == "abs":
        return absolute_integer(f, first) if signed else first
    if operation == "sign":
        return sign_integer(f, first, signed)
    if operation == "not":
        return f.binary("xor", first, f.const(-1, first.type))
    if operation in _INTEGER_UNARY:  # rounding
        return first
    if operation == "pow":
        return integer_power(f, first, arguments[1], signed)
    return INTEGER_BINARY[operation](f, first, arguments[1], signed)


# --- what an operation costs ----------------------------------------------------------------

_DIVISIONS = {"div", "sqrt", "rsqrt", "floor_divide", "remainder", "fmod"}


def cost(operation: str, dtype: NumpyDType) -> int:
    """About how many simple instructions a primitive takes."""
    rounding = 0 if register_type(dtype).bytes == dtype.itemsize else 4
    if operation in _DIVISIONS:
        return 8 + rounding if is_floating(dtype) else 80  # no vectors of whole numbers divide
    if operation in COMPARISONS or operation in _MOVES or operation in {"where", "cast"}:
        return 1
    plain = operation in FLOAT_UNARY or operation in FLOAT_BINARY or operation in BITS
    return (1 if plain or not is_floating(dtype) else 40) + rounding
