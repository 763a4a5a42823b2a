"""Memory of given sizes and strides: making it, and changing its sizes in place."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from narae.base.dtypes import as_numpy, default_dtype
from narae.base.errors import GraphError, ShapeError, explain
from narae.base.shapes import Shape, contiguous_strides

from .creation import _finished, arange, array_from, constant
from .devices import check_device
from .movement import sizes_of
from .tensor import Tensor
from .views import has_overlap


def empty_strided(
    size: Sequence[int],
    stride: Sequence[int],
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **layout: Any,
) -> Tensor:
    """A tensor to be written to whose elements lie in memory as `stride` says.

    Args:
        size: of each dimension.
        stride: how many elements apart neighbours along each dimension are.
        dtype, device, requires_grad: as in `empty`.
        layout: `layout` and `pin_memory`, which have no meaning here.

    >>> import narae
    >>> narae.empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    check_device(device)
    sizes, steps = tuple(size), tuple(stride)
    if len(sizes) != len(steps):
        raise ShapeError(
            f"[empty_strided] dimensionality of sizes ({len(sizes)}) must match dimensionality of "
            f"strides ({len(steps)})"
        )
    if min((*sizes, *steps), default=0) < 0:
        raise ShapeError(f"[empty_strided] sizes {sizes} and strides {steps} must not be negative")
    wanted = default_dtype() if dtype is None else as_numpy(dtype)
    return _finished(constant(_strided(sizes, steps, wanted)), requires_grad)


def _strided(sizes: Shape, steps: Shape, dtype: Any) -> Any:
    reach = sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
    memory = np.zeros(0 if 0 in sizes else reach + 1, dtype)
    return np.lib.stride_tricks.as_strided(memory, sizes, [step * dtype.itemsize for step in steps])


def _new_empty_strided(
    self: Tensor, size: Sequence[int], stride: Sequence[int], *, dtype: Any = None, **options: Any
) -> Tensor:
    """A tensor of this dtype to be written to, with the given strides."""
    wanted = self._value.dtype if dtype is None else dtype
    return empty_strided(size, stride, dtype=wanted, **options)


def empty_permuted(
    size: Sequence[int],
    physical_layout: Sequence[int],
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **layout: Any,
) -> Tensor:
    """A tensor to be written to, contiguous once its dimensions are put in `physical_layout`.

    Args:
        size: of each dimension, in logical order.
        physical_layout: the dimensions from the outermost in memory to the innermost.
        dtype, device, requires_grad, layout: as in `empty_strided`.
    """
    sizes, order = tuple(size), tuple(physical_layout)
    if sorted(order) != [dim for dim, _ in enumerate(sizes)]:
        raise ShapeError(
            explain(
                "empty_permuted",
                f"size is {sizes}, physical_layout {order}",
                "Number of dimensions in size does not match the length of the physical_layout, or "
                "a dimension is out of range or appears twice",
            )
        )
    steps = [0] * len(sizes)
    inner = contiguous_strides([sizes[dim] for dim in order])
    for dim, step in zip(order, inner, strict=True):
        steps[dim] = step
    return empty_strided(sizes, steps, dtype=dtype, device=device, requires_grad=requires_grad)


def scalar_tensor(
    s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **layout: Any
) -> Tensor:
    """A number as a 0-d tensor of the default floating point dtype, or of `dtype`."""
    check_device(device)
    wanted = default_dtype() if dtype is None else as_numpy(dtype)
    return _finished(constant(np.asarray(s).astype(wanted)), requires_grad)


def frombuffer(
    buffer: Any,
    *,
    dtype: Any,
    count: int = -1,
    offset: int = 0,
    requires_grad: bool = False,
) -> Tensor:
    """A vector on the memory of an object with the buffer protocol, such as `bytearray`.

    Args:
        buffer: the object.
        dtype: how to read its bytes.
        count: how many elements; all by default.
        offset: how many bytes to leave out at the start.
        requires_grad: record what is computed from it.
    """
    try:
        array = np.frombuffer(buffer, as_numpy(dtype), count, offset)
    except ValueError as error:
        raise ShapeError(
            explain("frombuffer", f"count is {count}, offset {offset}", str(error))
        ) from error
    return _finished(constant(array), requires_grad)


def range(
    start: float,
    end: float,
    step: float = 1,
    *,
    dtype: Any = None,
    requires_grad: bool = False,
    **options: Any,
) -> Tensor:
    """start, start + step, … up to and including end. `arange` leaves the end out, as Python does.

    >>> import narae
    >>> narae.range(1, 3)
    tensor([1., 2., 3.])
    """
    if step == 0 or (end - start) * step < 0:
        raise ShapeError(
            f"[range] start is {start}, end {end}, step {step}; upper bound and lower bound "
            "inconsistent with step sign"
        )
    wanted = default_dtype() if dtype is None else as_numpy(dtype)
    count = math.floor((end - start) / step) + 1
    steps = arange(count, dtype=np.float64)
    return _finished((steps * step + start).to(wanted), requires_grad)


# --- sizes in place --------------------------------------------------------------------------


def _resize_(self: Tensor, *sizes: Any, memory_format: Any = None) -> Tensor:
    """Change the sizes in place: elements stay in memory order, new ones are zero.

    Raises:
        RuntimeError: for tensors that require gradients, and for views and tensors that have
            views, unless the number of elements stays.
    """
    wanted = sizes_of(sizes)
    if min(wanted, default=0) < 0:
        raise ShapeError(f"[resize_] sizes {wanted} must not be negative")
    if self.requires_grad:
        raise GraphError("[resize_] cannot resize variables that require grad. Fix: use reshape")
    if wanted == tuple(self._value.shape):
        return self
    _resized(self, wanted)
    return self


def _resized(x: Tensor, wanted: Shape) -> None:
    array, count = x._array, math.prod(wanted)
    if x._view is not None or x._viewed or has_overlap(x):
        raise GraphError(
            explain(
                "resize_",
                f"the tensor {tuple(x.shape)} shares its memory with views",
                "only a tensor on memory of its own can be resized",
                "use reshape, or clone() first",
            )
        )
    flat = array.reshape(-1)
    if count > flat.size:
        grown = np.zeros(count, array.dtype)
        grown[: flat.size] = flat
        flat = grown
    x._log()
    x._value = flat[:count].reshape(wanted)
    x._bump()


def _resize_as_(self: Tensor, the_template: Tensor, *, memory_format: Any = None) -> Tensor:
    """Change the sizes in place to those of another tensor."""
    return _resize_(self, tuple(the_template.shape))


def resize_as_(input: Tensor, the_template: Tensor, *, memory_format: Any = None) -> Tensor:
    """Change the sizes of a tensor in place to those of another one."""
    return _resize_as_(input, the_template)


def fill_diagonal_(input: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Write a number on the main diagonal, in place.

    Args:
        input: at least two dimensions; all of equal size if there are more.
        fill_value: the number.
        wrap: start anew below the square part of a tall matrix, after one row.
    """
    shape = tuple(input._value.shape)
    if len(shape) < 2 or (len(shape) > 2 and len(set(shape)) > 1):
        raise ShapeError(
            f"[fill_diagonal_] the tensor is {shape}; it needs two dimensions or more, and more "
            "than two must be of equal size"
        )
    places = np.zeros(shape, bool)
    np.fill_diagonal(places, True, wrap=wrap)
    return input.masked_fill_(constant(places), fill_value)  # type: ignore[no-any-return]


def _map_(self: Tensor, function: Any, *others: Tensor) -> Tensor:
    arrays = [x._array for x in (self, *others)]
    results = [function(*numbers) for numbers in zip(*(a.ravel().tolist() for a in arrays))]  # noqa: B905
    made = array_from(results, self._value.dtype).reshape(tuple(self.shape))
    return self.copy_(constant(made))  # type: ignore[no-any-return]


def apply_(input: Tensor, callable: Any) -> Tensor:
    """Replace each element by `callable(element)`, in place; slow: a Python call for each."""
    return _map_(input, callable)


def map_(input: Tensor, tensor: Tensor, callable: Any) -> Tensor:
    """Replace each element by `callable(element, other)`, in place; slow."""
    return _map_(input, callable, tensor)


OPERATORS = {
    "new_empty_strided": _new_empty_strided,
    "resize_": _resize_,
    "resize_as_": _resize_as_,
}
__all__ = [
    "empty_permuted", "empty_strided", "frombuffer", "range", "resize_as_", "scalar_tensor",
]  # fmt: skip
METHODS = ["apply_", "fill_diagonal_", "map_"]
