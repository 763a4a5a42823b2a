"""The transpose of broadcasting: sum a gradient down to the shape that its operand had."""

from typing import Any

from narae.base.shapes import Shape

from .movement import reshape
from .record import shape_of
from .reductions import sum_


def sum_to_shape(x: Any, shape: Shape) -> Any:
    """Sum over every dimension that `shape` lacks or has with size 1.

    before: x (5, 3, 4), shape (3, 1)
    after:  sum over dimensions 0 and 2, reshaped to (3, 1)
    """
    found = shape_of(x)
    if found == shape:
        return x
    extra = len(found) - len(shape)
    dims = tuple(
        dim
        for dim, size in enumerate(found)
        if dim < extra or (shape[dim - extra] == 1 and size != 1)
    )
    summed = sum_(x, dim=dims, keepdim=True) if dims else x
    return reshape(summed, shape=shape) if shape_of(summed) != shape else summed
