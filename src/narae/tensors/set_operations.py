"""Membership: which elements occur among others."""

from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import result_type
from narae.base.errors import DTypeError, explain
from narae.ir import Value

from .comparison import eq
from .creation import constant
from .eager import apply, as_operand, converted, no_number
from .movement import reshape
from .operands import deliver, payload
from .reductions import any as any_of
from .tensor import Tensor


def isin(
    elements: Any,
    test_elements: Any,
    *,
    assume_unique: bool = False,
    invert: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """Whether each element occurs among the test elements.

    Args:
        elements: a tensor, or a number.
        test_elements: a tensor, or a number; at least one of both is a tensor.
        assume_unique: has no meaning here: the result is the same.
        invert: whether each element does not occur.
        out: where the result is written.

    >>> import narae
    >>> narae.isin(narae.tensor([[1, 2], [3, 4]]), narae.tensor([2, 3]))
    tensor([[False,  True],
            [ True, False]])
    """
    first, second = _checked(elements, test_elements)
    if type(first._value) is Value or type(second._value) is Value:
        found = _compared(first, second)
    else:
        found = constant(np.isin(_plain(first), _plain(second)))
    found = apply(p.not_, found) if invert else found
    return found if out is None else deliver(found, out, "isin")


def _checked(elements: Any, test_elements: Any) -> tuple[Tensor, Tensor]:
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise TypeError("isin(): one of elements and test_elements must be a Tensor")
    given = [as_operand(elements, "isin"), as_operand(test_elements, "isin")]
    dtype = result_type([payload(x) for x in given])
    if dtype.kind == "b":
        raise DTypeError(
            explain("isin", "the elements are bools", "Unsupported input type encountered for "
                    "isin(): Bool", "compare with ==")
        )  # fmt: skip
    first, second = (no_number(converted(x, dtype), dtype) for x in given)
    return first, second


def _plain(x: Tensor) -> Any:
    """An array that NumPy can sort: bfloat16 as float32, which is exact."""
    array = x._array
    return array.astype(np.float32) if array.dtype.kind == "V" else array


def _compared(first: Tensor, second: Tensor) -> Tensor:
    """All with all, for a trace, which has no numbers to sort."""
    wide = reshape(first, (*first._value.shape, 1))
    return any_of(eq(wide, reshape(second, (-1,))), -1)


__all__ = ["isin"]
