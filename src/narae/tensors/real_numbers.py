"""PyTorch's functions of complex numbers, for the real ones: most give back what they are given."""

import math
from typing import Any

from narae import primitives as p
from narae.base.errors import NotSupportedError, explain

from .comparison import isnan
from .eager import apply
from .movement import transpose
from .operands import as_float, deliver, require_tensor
from .tensor import Tensor


def angle(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle to the positive real axis: 0, pi for negative numbers, NaN for NaN.

    >>> import narae
    >>> narae.angle(narae.tensor([-2.0, 0.0, 3.0]))
    tensor([3.1416, 0.0000, 0.0000])
    """
    x = as_float(require_tensor(input, "angle"))
    # By way of the sign, which has a gradient, that of a constant: zero.
    negative = apply(p.relu, apply(p.neg, apply(p.sign, x)))
    result = apply(p.where, isnan(x), math.nan, apply(p.mul, negative, math.pi))
    return result if out is None else deliver(result, out, "angle")


def conj(input: Tensor) -> Tensor:
    """The conjugate, which is the tensor itself."""
    return require_tensor(input, "conj")


def conj_physical(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The conjugate, which is the tensor itself."""
    return conj(input) if out is None else deliver(conj(input), out, "conj_physical")


def real(input: Tensor) -> Tensor:
    """The real part, which is the tensor itself."""
    return require_tensor(input, "real")


def imag(input: Tensor) -> Tensor:
    """Refuses, as PyTorch does: real numbers store no imaginary part.

    Raises:
        RuntimeError: always.
    """
    raise NotSupportedError(
        explain(
            "imag",
            f"the tensor is {require_tensor(input, 'imag').dtype}",
            "imag is not implemented for tensors with non-complex dtypes",
            "the imaginary part of a real tensor is zeros_like(x)",
        )
    )


def resolve_conj(input: Tensor) -> Tensor:
    """The tensor itself: nothing is conjugated lazily."""
    return require_tensor(input, "resolve_conj")


def resolve_neg(input: Tensor) -> Tensor:
    """The tensor itself: nothing is negated lazily."""
    return require_tensor(input, "resolve_neg")


def is_conj(input: Tensor) -> bool:
    """Always False: nothing is conjugated lazily."""
    return False


def is_neg(input: Tensor) -> bool:
    """Always False: nothing is negated lazily."""
    return False


def is_complex(input: Tensor) -> bool:
    """Always False: complex numbers are out of scope."""
    return require_tensor(input, "is_complex").is_complex()


def adjoint(input: Tensor) -> Tensor:
    """The last two dimensions exchanged (numbers are real)."""
    return transpose(input, -2, -1)


def _conj_physical_in_place(self: Tensor) -> Tensor:
    """In-place form of `conj_physical`: nothing changes."""
    return self


OPERATORS: dict[str, Any] = {
    "conj_physical_": _conj_physical_in_place,
    "real": property(real),
    "imag": property(imag),
}
__all__ = [
    "adjoint", "angle", "conj", "conj_physical", "imag", "is_complex", "is_conj", "is_neg", "real",
    "resolve_conj", "resolve_neg",
]  # fmt: skip
METHODS = [name for name in __all__ if name not in ("imag", "is_complex", "real")]
