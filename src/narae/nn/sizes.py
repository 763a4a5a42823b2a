"""Sizes that are given once for all spatial dimensions, or one for each."""

from typing import Any

from narae.base.errors import ConfigError, ShapeError, explain
from narae.base.shapes import Shape


def repeated(value: Any, count: int, what: str = "size") -> Shape:
    """`3` or `(3,)` as (3, 3); a sequence of `count` numbers as it is.

    >>> repeated(3, 2)
    (3, 3)
    """
    if isinstance(value, int):
        return (value,) * count
    sizes = tuple(int(size) for size in value)
    if len(sizes) == 1:
        return sizes * count
    if len(sizes) != count:
        raise ConfigError(f"{what} must be one number or {count} of them, not {value!r}")
    return sizes


def batched(x: Any, dims: int, what: str) -> tuple[Any, bool]:
    """The input with a batch dimension, and whether it had none.

    Raises:
        RuntimeError: when the number of dimensions is neither `dims` + 1 nor `dims` + 2.
    """
    if x.ndim == dims + 2:
        return x, False
    if x.ndim == dims + 1:
        return x.unsqueeze(0), True
    wanted = "(batch, channels, " + ", ".join(["length", "height", "width"][-dims:]) + ")"
    if dims == 1:
        wanted = "(batch, channels, length)"
    if dims == 3:
        wanted = "(batch, channels, depth, height, width)"
    raise ShapeError(
        explain(
            what,
            f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {what}, but got "
            f"input of size: {list(x.shape)}",
            f"the input is {wanted}, or the same without batch",
            "insert the missing dimension with unsqueeze, or reshape",
        )
    )
