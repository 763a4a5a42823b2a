"""Mathematical functions as LLVM text, for scalars and vectors of float32 and float64.

`FUNCTIONS` and `BINARY` go from the name of a primitive to what writes it: called with a function
in the making and its operands, it adds the instructions and gives the result. Special cases are
NumPy's. There are no tables in memory and, but for the huge arguments of sin, cos, tan and of
remainders, no branches. lgamma, digamma and polygamma are not here.
"""

from collections.abc import Callable

from ..emit import Function, Val
from . import basic, division, error_functions, exponentials, logarithms, powers, trigonometry
from .lanes import Lanes

Unary = Callable[[Function, Val], Val]
Binary = Callable[[Function, Val, Val], Val]


def _unary(formula: Callable[[Lanes], Lanes]) -> Unary:
    return lambda f, x: formula(Lanes(f, x)).value


def _binary(formula: Callable[[Lanes, Lanes], Lanes]) -> Binary:
    return lambda f, x, y: formula(Lanes(f, x), Lanes(f, y)).value


FUNCTIONS: dict[str, Unary] = {
    "neg": _unary(basic.neg),
    "abs": _unary(basic.abs_),
    "sign": _unary(basic.sign),
    "floor": _unary(basic.floor),
    "ceil": _unary(basic.ceil),
    "round": _unary(basic.round_),
    "trunc": _unary(basic.trunc),
    "sqrt": _unary(basic.sqrt),
    "rsqrt": _unary(basic.rsqrt),
    "exp": _unary(exponentials.exp),
    "expm1": _unary(exponentials.expm1),
    "sigmoid": _unary(exponentials.sigmoid),
    "tanh": _unary(exponentials.tanh),
    "sinh": _unary(exponentials.sinh),
    "cosh": _unary(exponentials.cosh),
    "log": _unary(logarithms.log),
    "log1p": _unary(logarithms.log1p),
    "asinh": _unary(logarithms.asinh),
    "acosh": _unary(logarithms.acosh),
    "atanh": _unary(logarithms.atanh),
    "sin": _unary(trigonometry.sin),
    "cos": _unary(trigonometry.cos),
    "tan": _unary(trigonometry.tan),
    "asin": _unary(trigonometry.asin),
    "acos": _unary(trigonometry.acos),
    "atan": _unary(trigonometry.atan),
    "erf": _unary(error_functions.erf),
    "erfc": _unary(error_functions.erfc),
    "erfinv": _unary(error_functions.erfinv),
}

BINARY: dict[str, Binary] = {
    "pow": _binary(powers.pow_),
    "atan2": _binary(trigonometry.atan2),
    "fmod": _binary(division.fmod),
    "remainder": _binary(division.remainder),
    "floor_divide": _binary(division.floor_divide),
    "maximum": _binary(basic.maximum),
    "minimum": _binary(basic.minimum),
}
