"""What functions of linear algebra ask of their arguments, and how they deliver results."""

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from narae.base.dtypes import is_floating, is_half
from narae.base.errors import DTypeError, ShapeError, explain
from narae.base.shapes import Shape, broadcast_shapes

from ..linear import check_dtypes, shape_text
from ..operands import deliver, dtype_name
from ..tensor import Tensor


def shape_of(x: Tensor) -> Shape:
    """The shape as a tuple."""
    return tuple(x._value.shape)


# --- arguments ------------------------------------------------------------------------------


def require_matrix(what: str, x: Any, name: str = "A") -> Tensor:
    """A tensor of at least two dimensions, itself.

    Raises:
        TypeError: when it is not a tensor.
        RuntimeError: when it has fewer dimensions.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{what}(): argument '{name}' must be Tensor, not {type(x).__name__}")
    if len(shape_of(x)) < 2:
        raise ShapeError(
            explain(
                what,
                f"{name} is {shape_text(x)}",
                f"The input tensor {name} must have at least 2 dimensions",
                "give it rows and columns with reshape or unsqueeze",
            )
        )
    return x


def require_square(what: str, x: Any, name: str = "A") -> Tensor:
    """A tensor of square matrices, itself."""
    rows, columns = shape_of(require_matrix(what, x, name))[-2:]
    if rows != columns:
        raise ShapeError(
            explain(
                what,
                f"{name} is {shape_text(x)}",
                f"{name} must be batches of square matrices, but they are {rows} by {columns} "
                "matrices",
                "narae.linalg.lstsq and pinv take any shape",
            )
        )
    return x  # type: ignore[no-any-return]


def require_floating(what: str, x: Tensor, half: bool = False) -> Tensor:
    """A tensor of float32 or float64 (or of any floating point dtype), itself."""
    dtype = x._value.dtype
    if not is_floating(dtype):
        raise DTypeError(
            explain(
                what,
                f"elements are {x.dtype}",
                f"Expected a floating point or complex tensor as input. Got {dtype_name(dtype)}",
                "convert with .float()",
            )
        )
    if is_half(dtype) and not half:
        raise DTypeError(
            explain(
                what,
                f"elements are {x.dtype}",
                f"Low precision dtypes not supported. Got {dtype_name(dtype)}",
                "convert with .float()",
            )
        )
    return x


def matrix(what: str, x: Any, name: str = "A") -> Tensor:
    """Matrices of float32 or float64."""
    return require_floating(what, require_matrix(what, x, name))


def square(what: str, x: Any, name: str = "A") -> Tensor:
    """Square matrices of float32 or float64."""
    return require_floating(what, require_square(what, x, name))


def require_same_dtype(what: str, *operands: Tensor) -> None:
    """Refuse operands of several dtypes."""
    check_dtypes(what, *operands)


def require_rows(what: str, a: Tensor, b: Tensor, left: bool = True) -> None:
    """Refuse a right-hand side whose size does not fit the square matrices."""
    place = -2 if left else -1
    if shape_of(a)[-1] != shape_of(b)[place]:
        raise ShapeError(
            explain(
                what,
                f"A is {shape_text(a)}, B is {shape_text(b)}",
                f"Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'}",
                f"the {'second to last' if left else 'last'} size of B must be {shape_of(a)[-1]}",
            )
        )


def common_batch(what: str, *operands: Tensor) -> Shape:
    """The broadcast leading dimensions of matrices."""
    return broadcast_shapes(*(shape_of(x)[:-2] for x in operands), what=what)


# --- results --------------------------------------------------------------------------------


def deliver_all(result: Any, out: Any, what: str) -> Any:
    """Write one or several results into `out`; the results themselves when it is None."""
    if out is None:
        return result
    if isinstance(result, Tensor):
        return deliver(result, out, what)
    items: Sequence[Tensor] = tuple(out)
    if len(items) != len(result):
        raise ShapeError(f"{what}(): out= has {len(items)} tensors, the results are {len(result)}")
    written = [deliver(x, place, what) for x, place in zip(result, items, strict=True)]
    return type(result)(*written) if hasattr(result, "_fields") else tuple(written)


def takes_out(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function the keyword `out`: a tensor, or a tuple, that results are written to."""
    what = f"linalg.{function.__name__}"

    @wraps(function)
    def run(*arguments: Any, out: Any = None, **options: Any) -> Any:
        result = function(*arguments, **options)
        return result if out is None else deliver_all(result, out, what)

    signature = inspect.signature(function)
    extra = inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=None)
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), extra]
    )
    return run
