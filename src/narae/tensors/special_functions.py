"""Special functions that PyTorch offers at the top level, and the parts of numbers.

The others are in `narae.tensors.special`, whose address is `narae.special`.
"""

from collections.abc import Callable
from typing import Any

from narae import primitives as p
from narae.base.dtypes import is_floating
from narae.base.errors import ShapeError, explain
from narae.base.shapes import broadcast_shapes

from .eager import apply, no_number, unary
from .operands import as_float, common, deliver, refuse_dtype, require_tensor, require_tensors
from .results import named_result
from .tensor import Tensor

Function = Callable[..., Tensor]
FrexpResult = named_result("frexp", "mantissa", "exponent")


def of_one(operation: Any, name: str, text: str, differentiable: bool = True) -> Function:
    """A function of one tensor with floating point results; integers are converted first."""
    run: Any = unary(operation) if operation.kind != "composite" else None

    def function(input: Tensor, *, out: Tensor | None = None) -> Tensor:
        x = as_float(require_tensor(input, name))
        if not differentiable:
            x = x.detach()
        result = apply(operation, x) if run is None else run(x)
        return result if out is None else deliver(result, out, name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


def of_two(operation: Any, name: str, text: str, numbers: bool = True, **attrs: Any) -> Function:
    """A function of two operands with floating point results; one of them may be a number."""

    def function(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
        require_tensors(name, input, other, numbers, numbers)
        pair = common(name, input, other, floating=True)
        dtype = next(x._value.dtype for x in pair if isinstance(x, Tensor))
        first, second = (no_number(x, dtype) for x in pair)
        broadcast_shapes(first.shape, second.shape, what=name)
        return deliver(apply(operation, first, second, **attrs), out, name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


# --- Bessel and gamma ------------------------------------------------------------------------

i0 = of_one(
    p.i0,
    "i0",
    """Modified Bessel function of the first kind, order zero.

    Source: NIST Digital Library of Mathematical Functions, section 10.25.

    >>> import narae
    >>> narae.i0(narae.tensor([0.0, 1.0]))
    tensor([1.0000, 1.2661])
    """,
)


def _incomplete(operation: Any, text: str) -> Function:
    of_floats = of_two(operation, operation.name, "", numbers=False)

    def function(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
        require_tensors(operation.name, input, other, False, False)
        if not (is_floating(input._value.dtype) or is_floating(other._value.dtype)):
            raise refuse_dtype(operation.name, input, "it needs floating point numbers")
        return of_floats(input, other, out=out)

    function.__name__ = function.__qualname__ = operation.name
    function.__doc__ = text
    return function


igamma = _incomplete(
    p.igamma,
    """Regularized lower incomplete gamma function.

    1 / Gamma(input) times the integral of t ** (input - 1) exp(-t) from 0 to other. Gradients
    flow to `other` alone.

    Args:
        input: the order, not negative.
        other: the upper limit, not negative.
        out: a tensor to write the result into.

    Source: NIST Digital Library of Mathematical Functions, section 8.2.

    >>> import narae
    >>> narae.igamma(narae.tensor([1.0, 4.0]), narae.tensor([2.0, 4.0]))
    tensor([0.8647, 0.5665])
    """,
)
igammac = _incomplete(
    p.igammac,
    """Regularized upper incomplete gamma function, 1 - igamma(input, other).

    >>> import narae
    >>> narae.igammac(narae.tensor([1.0, 4.0]), narae.tensor([2.0, 4.0]))
    tensor([0.1353, 0.4335])
    """,
)


def mvlgamma(input: Tensor, p: int, *, out: Tensor | None = None) -> Tensor:
    """Logarithm of the multivariate gamma function of dimension p.

    p (p - 1) / 4 log(pi) + the sum over j = 0 … p - 1 of lgamma(input - j / 2)

    Args:
        input: numbers above (p - 1) / 2.
        p: the dimension, at least 1.
        out: a tensor to write the result into.

    Raises:
        RuntimeError: when p is below 1.

    >>> import narae
    >>> narae.mvlgamma(narae.tensor([2.0, 3.0]), 2)
    tensor([0.4516, 1.5502])
    """
    x = as_float(require_tensor(input, "mvlgamma"))
    if p < 1:
        raise ShapeError(
            explain(
                "mvlgamma",
                f"p is {p}",
                "p has to be greater than or equal to 1",
                "give the number of dimensions",
            )
        )
    return deliver(apply(_mvlgamma, x, order=int(p)), out, "mvlgamma")


_mvlgamma = p.mvlgamma

# --- the parts of numbers --------------------------------------------------------------------


def frexp(input: Tensor, *, out: tuple[Tensor, Tensor] | None = None) -> Any:
    """Mantissa and exponent: input = mantissa * 2 ** exponent, with 0.5 <= |mantissa| < 1.

    Args:
        input: floating point numbers.
        out: two tensors, the second int32, to write the results into.

    Raises:
        TypeError: for integers.

    >>> import narae
    >>> narae.frexp(narae.tensor([6.0, 0.0]))
    narae.return_types.frexp(
    mantissa=tensor([0.7500, 0.0000]),
    exponent=tensor([3, 0], dtype=narae.int32))
    """
    if not is_floating(require_tensor(input, "frexp")._value.dtype):
        rule = "torch.frexp() only supports floating-point dtypes; convert with .float()"
        raise refuse_dtype("frexp", input, rule)
    results = apply(p.frexp, input)
    if out is not None:
        results = [deliver(x, y, "frexp") for x, y in zip(results, out, strict=True)]
    return FrexpResult(*results)


def nextafter(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The next floating point number after `input` in the direction of `other`.

    >>> import narae
    >>> narae.nextafter(narae.tensor([1.0]), narae.tensor([2.0])).item() - 1 == 2**-23
    True
    """
    require_tensors("nextafter", input, other, False, False)
    first, second = common("nextafter", input, other)
    broadcast_shapes(first.shape, second.shape, what="nextafter")
    if not is_floating(first._value.dtype):
        raise refuse_dtype("nextafter", first, "it needs floating point numbers")
    return deliver(apply(p.nextafter, first, second), out, "nextafter")


def _of_integers(operation: Any, text: str) -> Function:
    name = operation.name

    def function(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
        require_tensors(name, input, other, False, False)
        first, second = common(name, input, other)
        broadcast_shapes(first.shape, second.shape, what=name)
        if first._value.dtype.kind not in "iu":
            raise refuse_dtype(name, first, "it needs integers")
        return deliver(apply(operation, first, second), out, name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


gcd = _of_integers(
    p.gcd,
    """The greatest common divisor of integers, never negative; that of 0 and 0 is 0.

    >>> import narae
    >>> narae.gcd(narae.tensor([12, -4]), narae.tensor([18, 0]))
    tensor([6, 4])
    """,
)
lcm = _of_integers(
    p.lcm,
    """The least common multiple of integers, never negative; 0 where one of them is 0.

    >>> import narae
    >>> narae.lcm(narae.tensor([4, 0]), narae.tensor([-6, 3]))
    tensor([12,  0])
    """,
)

__all__ = ["frexp", "gcd", "i0", "igamma", "igammac", "lcm", "mvlgamma", "nextafter"]
METHODS = __all__
IN_PLACE = [name for name in __all__ if name != "frexp"]
