"""Fractional max pooling: windows at random places that shrink a picture by any factor."""

from collections.abc import Callable
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.errors import ConfigError, ShapeError, explain
from narae.base.shapes import Shape
from narae.tensors import Tensor, rand, where
from narae.tensors.autocast import in_float32
from narae.tensors.creation import constant
from narae.tensors.eager import apply

from .module import Module
from .sizes import repeated


def _starts(sample: Any, size: int, out: int, kernel: int) -> Any:
    """Where the windows of one dimension begin, (batch, channels, out) of int64.

    start[i] = floor((i + u) * alpha) - floor(u * alpha) for alpha = (size - kernel) / (out - 1)
    """
    last = size - kernel
    if out == 1:
        return sample.new_full((*sample.shape, 1), last).long()
    alpha = last / (out - 1)
    if sample._value.dtype.name == "float32":
        alpha = float(np.float32(last) / np.float32(out - 1))
    steps = constant(np.arange(out).astype(sample._value.dtype))
    offset = sample.unsqueeze(-1)
    found = ((steps + offset) * alpha).long() - (offset * alpha).long()
    is_last = constant(np.arange(out) == out - 1)
    return where(is_last, last, found)


def _places(x: Any, starts: list[Any], kernel: Shape) -> Any:
    """Flat positions of all elements of all windows, (batch, channels, *out, taps)."""
    dims = len(kernel)
    batch, channels, *space = x.shape
    flat: Any = 0
    for dim, (start, width) in enumerate(zip(starts, kernel, strict=True)):
        reads = start.unsqueeze(-1) + constant(np.arange(width))  # (batch, channels, out, taps)
        shape = [1] * (2 * dims)
        shape[dim], shape[dims + dim] = reads.shape[2:]
        flat = flat * space[dim] + reads.reshape(batch, channels, *shape)
    return flat.flatten(2 + dims)


def _check(what: str, x: Any, kernel: Shape, out: Shape) -> None:
    dims = len(kernel)
    if x.ndim not in (dims + 1, dims + 2) or 0 in x.shape[-dims - 1 :]:
        raise ShapeError(
            explain(
                what,
                f"Expected {dims + 1}D or {dims + 2}D tensor with possibly 0 batch size and other "
                f"non-zero dimensions for input, but got: {list(x.shape)}",
                "the input is (batch, channels, *space), or the same without batch",
            )
        )
    for size, count, width in zip(x.shape[-dims:], out, kernel, strict=True):
        if count < 1 or count + width - 1 > size:
            raise ShapeError(
                explain(
                    what,
                    f"input size {size}, output size {count}, kernel size {width}",
                    "output size + kernel size - 1 is at most the input size, and positive",
                    "use a smaller kernel or output",
                )
            )


def _sizes(what: str, x: Any, output_size: Any, output_ratio: Any, dims: int) -> Shape:
    if output_size is not None:
        return repeated(output_size, dims, "output_size")
    if output_ratio is None:
        raise ConfigError(f"{what} requires specifying either an output_size or an output_ratio")
    ratios = _ratios(output_ratio, dims)
    return tuple(int(size * ratio) for size, ratio in zip(x.shape[-dims:], ratios, strict=True))


def _ratios(ratio: Any, dims: int) -> tuple[float, ...]:
    ratios = tuple(ratio) if isinstance(ratio, (list, tuple)) else (ratio,) * dims
    if len(ratios) != dims:
        raise ConfigError(f"output_ratio must be one number or {dims} of them, not {ratio!r}")
    return tuple(float(number) for number in ratios)


def _checked_samples(what: str, samples: Any, x: Any, dims: int) -> Any:
    """The numbers that place the windows; those of a larger batch will do."""
    fits = samples.ndim == 3 and samples.shape[0] >= x.shape[0]
    if not fits or tuple(samples.shape[1:]) != (x.shape[1], dims) or samples.dtype is not x.dtype:
        raise ShapeError(
            explain(
                what,
                f"_random_samples is {samples.dtype} {tuple(samples.shape)}, the input {x.dtype} "
                f"{tuple(x.shape)}",
                f"Expect _random_samples of the input's dtype: (batch, channels, {dims})",
            )
        )
    return samples[: x.shape[0]]


def _fractional(
    what: str,
    input: Any,
    kernel_size: Any,
    output_size: Any,
    output_ratio: Any,
    samples: Any,
    dims: int,
) -> tuple[Any, Any]:
    out = _sizes(what, input, output_size, output_ratio, dims)
    kernel = repeated(kernel_size, dims, "kernel_size")
    _check(what, input, kernel, out)
    x = input if input.ndim == dims + 2 else input.unsqueeze(0)
    if samples is None:
        samples = rand(*x.shape[:2], dims, dtype=x.dtype)
    samples = _checked_samples(what, samples, x, dims)
    order = range(dims) if dims == 3 else reversed(range(dims))  # PyTorch: x first, or depth first
    chosen = [samples.select(-1, place) for place in order]
    starts = [
        _starts(sample, *sizes)
        for sample, *sizes in zip(chosen, x.shape[2:], out, kernel, strict=True)
    ]
    places = _places(x, starts, kernel)
    rows = x.flatten(2)
    read = apply(p.gather, rows, places.flatten(2), dim=2).reshape(places.shape)
    values, winner = apply(p.max_with_index, read, dim=read.ndim - 1, keepdim=False)
    indices = places.gather(-1, winner.unsqueeze(-1)).squeeze(-1)
    if input.ndim == dims + 1:
        return values.squeeze(0), indices.squeeze(0)
    return values, indices


def _function(name: str, dims: int, always_indices: bool) -> Callable[..., Any]:
    what = name.removesuffix("_with_indices")

    def pool(
        input: Tensor,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> Any:
        given = (input, kernel_size, output_size, output_ratio, _random_samples)
        values, indices = _fractional(what, *given, dims)
        return (values, indices) if return_indices or always_indices else values

    pool.__name__ = pool.__qualname__ = name
    pool.__doc__ = f"""The largest of windows at random, increasing places, over {dims} dimensions.

    Source: Graham, Fractional Max-Pooling (2014), section 2.

    Args:
        input: (batch, channels, *space), or without batch
        kernel_size: of the windows
        output_size, output_ratio: how many windows, or how many for each element; one of them
        return_indices: also the flat position of each largest element in its plane
        _random_samples: (batch, channels, {dims}) numbers from 0 to 1 that place the windows
    """
    return in_float32(pool)


fractional_max_pool2d = _function("fractional_max_pool2d", 2, always_indices=False)
fractional_max_pool3d = _function("fractional_max_pool3d", 3, always_indices=False)
fractional_max_pool2d_with_indices = _function("fractional_max_pool2d_with_indices", 2, True)
fractional_max_pool3d_with_indices = _function("fractional_max_pool3d_with_indices", 3, True)


class _FractionalMaxPool(Module):
    dims: int
    function: Callable[..., Any]

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = repeated(kernel_size, self.dims, "kernel_size")
        if min(self.kernel_size) <= 0:
            raise ConfigError(f"kernel_size must be greater than zero, but got {kernel_size}")
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        if (output_size is None) == (output_ratio is None):
            name = type(self).__name__
            raise ConfigError(
                f"{name} requires specifying either an output size, or a pooling ratio: only one "
                "of output_size and output_ratio may be specified"
            )
        self.output_size = None
        self.output_ratio = None
        if output_size is not None:
            self.output_size = repeated(output_size, self.dims, "output_size")
        else:
            self.output_ratio = _ratios(output_ratio, self.dims)
            if not all(0 < ratio < 1 for ratio in self.output_ratio):
                raise ConfigError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input: Tensor) -> Any:
        return type(self).function(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            _random_samples=self._buffers["_random_samples"],
        )


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest pixel of windows at random places. See `functional.fractional_max_pool2d`.

    >>> import narae
    >>> narae.nn.FractionalMaxPool2d(2, output_ratio=0.7)(narae.zeros(1, 3, 10, 10)).shape
    narae.Size([1, 3, 7, 7])
    """

    dims = 2
    function = staticmethod(fractional_max_pool2d)


class FractionalMaxPool3d(_FractionalMaxPool):
    """The largest voxel of windows at random places. See `functional.fractional_max_pool3d`."""

    dims = 3
    function = staticmethod(fractional_max_pool3d)


__all__ = [
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
]
