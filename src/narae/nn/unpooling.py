"""Max unpooling: every value back where its maximum was, 0 elsewhere."""

import math
from collections.abc import Callable
from typing import Any

from narae import primitives as p
from narae.base.errors import BoundsError, ConfigError, DTypeError, ShapeError, explain
from narae.base.shapes import Shape
from narae.tensors import Tensor
from narae.tensors.autocast import in_float32
from narae.tensors.eager import apply
from narae.tensors.operands import numbers

from .module import Module
from .sizes import batched, repeated


def _output_size(x: Any, kernel: Shape, stride: Shape, padding: Shape, wanted: Any) -> Shape:
    """The size before pooling: what was asked for, if it is possible, or the smallest."""
    dims = len(kernel)
    usual = tuple(
        (count - 1) * step + size - 2 * pad
        for count, step, size, pad in zip(x.shape[-dims:], stride, kernel, padding, strict=True)
    )
    if wanted is None:
        return usual
    sizes = tuple(int(size) for size in wanted)
    sizes = sizes[2:] if len(sizes) == dims + 2 else sizes
    if len(sizes) != dims:
        raise ConfigError(
            f"output_size should be a sequence containing {dims} or {dims + 2} elements, but it "
            f"has a length of '{len(sizes)}'"
        )
    for dim, (size, least, step) in enumerate(zip(sizes, usual, stride, strict=True)):
        if not least - step < size < least + step:
            raise ConfigError(
                f'invalid output_size "{sizes}" (dim {dim} must be between {least - step} and '
                f"{least + step})"
            )
    return sizes


def _check(what: str, x: Any, indices: Any, out: Shape) -> None:
    if tuple(indices.shape) != tuple(x.shape):
        raise ShapeError(
            explain(
                what,
                f"input is {tuple(x.shape)}, indices are {tuple(indices.shape)}",
                "Expected shape of indices to be same as that of the input tensor",
                "give the indices that the pooling with return_indices=True returned",
            )
        )
    if indices._value.dtype.name != "int64":
        raise DTypeError(
            f"[{what}] elements in indices should be type int64 but got: {indices.dtype}"
        )
    if min(out) < 0 or 0 in x.shape[-len(out) - 1 :]:
        raise ShapeError(
            f"[{what}] expected non-zero channels and pixels, but got input {tuple(x.shape)} and "
            f"output_size {out}"
        )
    found, count = numbers(indices), math.prod(out)
    if found is not None and found.size and not 0 <= found.min() <= found.max() < count:
        raise BoundsError(
            f"[{what}] Found an invalid max index: {int(found.max())} (output volumes are of size "
            f"{out})"
        )


def _unpool(
    what: str,
    input: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    output_size: Any,
    dims: int,
) -> Tensor:
    kernel = repeated(kernel_size, dims, "kernel_size")
    steps = kernel if stride is None else repeated(stride, dims, "stride")
    if min(steps) <= 0:
        raise ConfigError(f"[{what}] strides should be greater than zero, but got stride: {steps}")
    pads = repeated(padding, dims, "padding")
    out = _output_size(input, kernel, steps, pads, output_size)
    x, single = batched(input, dims, what)
    _check(what, input, indices, out)
    batch, channels = x.shape[:2]
    rows = x.flatten(2)
    places = (indices.unsqueeze(0) if single else indices).flatten(2)
    empty = x.new_zeros(batch, channels, math.prod(out))
    filled = apply(p.scatter, empty, places, rows, dim=2).reshape(batch, channels, *out)
    return filled.squeeze(0) if single else filled


def _max_unpool(name: str, dims: int) -> Callable[..., Tensor]:
    def unpool(
        input: Tensor,
        indices: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        output_size: Any = None,
    ) -> Tensor:
        return _unpool(name, input, indices, kernel_size, stride, padding, output_size, dims)

    unpool.__name__ = unpool.__qualname__ = name
    unpool.__doc__ = f"""Undo a max pooling over {dims} dimension(s): what was not a maximum is 0.

    Args:
        input: (batch, channels, *pooled), or without batch
        indices: what the pooling with `return_indices=True` returned, of the same shape
        kernel_size, stride, padding: as they were for the pooling
        output_size: the size before, where several sizes pool to the same

    Raises:
        ValueError: if no input of that size is pooled to this one.
        IndexError: if an index is outside the result.
    """
    return unpool


max_unpool1d = in_float32(_max_unpool("max_unpool1d", 1))
max_unpool2d = in_float32(_max_unpool("max_unpool2d", 2))
max_unpool3d = in_float32(_max_unpool("max_unpool3d", 3))


class _MaxUnpool(Module):
    dims: int
    function: Callable[..., Tensor]

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        self.kernel_size = repeated(kernel_size, self.dims, "kernel_size")
        self.stride = repeated(kernel_size if stride is None else stride, self.dims, "stride")
        self.padding = repeated(padding, self.dims, "padding")

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return type(self).function(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Undo `MaxPool1d`. See `functional.max_unpool1d`."""

    dims = 1
    function = staticmethod(max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """Undo `MaxPool2d`. See `functional.max_unpool2d`.

    >>> import narae
    >>> pool = narae.nn.MaxPool2d(2, return_indices=True)
    >>> x = narae.tensor([[[[1.0, 2.0], [4.0, 3.0]]]])
    >>> narae.nn.MaxUnpool2d(2)(*pool(x))
    tensor([[[[0., 0.],
              [4., 0.]]]])
    """

    dims = 2
    function = staticmethod(max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """Undo `MaxPool3d`. See `functional.max_unpool3d`."""

    dims = 3
    function = staticmethod(max_unpool3d)


__all__ = [
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
]
