"""Pooling functions: the largest, the average or the norm of each window."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.errors import ConfigError, ShapeError, explain
from narae.base.shapes import Shape
from narae.tensors import Tensor
from narae.tensors.autocast import as_given, in_float32
from narae.tensors.creation import constant
from narae.tensors.eager import apply

from .sizes import batched, repeated

Padding = tuple[tuple[int, int], ...]


def pooled_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    """How many windows there are; rounded up with `ceil_mode`, if the last starts in the input.

    >>> pooled_size(28, 2, 2, 0, 1, ceil_mode=False)
    14
    """
    free = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (free + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    return count


class _Windows:
    """The windows of one pooling, checked: sizes for each dimension and the padding they need."""

    def __init__(
        self,
        what: str,
        x: Any,
        kernel: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        ceil_mode: bool,
    ) -> None:
        dims = x.ndim - 2
        self.kernel = repeated(kernel, dims, "kernel_size")
        self.stride = self.kernel
        if stride is not None and stride != () and stride != []:
            self.stride = repeated(stride, dims, "stride")
        self.sizes = repeated(padding, dims, "padding")
        self.dilation = repeated(dilation, dims, "dilation")
        self._check(what)
        self.out = tuple(
            pooled_size(size, kernel, stride, padding, dilation, ceil_mode)
            for size, kernel, stride, padding, dilation in zip(
                x.shape[2:], self.kernel, self.stride, self.sizes, self.dilation, strict=True
            )
        )
        if any(count <= 0 for count in self.out) or 0 in x.shape[1:]:
            raise ShapeError(
                explain(
                    what,
                    f"Given input size: {tuple(x.shape[1:])}. Calculated output size: "
                    f"({x.shape[1]}, {', '.join(map(str, self.out))})",
                    "Output size is too small: a window does not fit into the input",
                    "use a smaller kernel, or pool less before this layer",
                )
            )
        self.padding = tuple(
            (size, max(size, self._needed(place, length)))
            for place, (size, length) in enumerate(zip(self.sizes, x.shape[2:], strict=True))
        )

    def _needed(self, place: int, length: int) -> int:
        """Padding after the input, for the last window."""
        reach = self.dilation[place] * (self.kernel[place] - 1) + 1
        return (self.out[place] - 1) * self.stride[place] + reach - length - self.sizes[place]

    def _check(self, what: str) -> None:
        for kernel, stride, size, dilation in zip(
            self.kernel, self.stride, self.sizes, self.dilation, strict=True
        ):
            if min(kernel, stride, dilation) <= 0:
                raise ConfigError(
                    f"[{what}] kernel_size, stride and dilation must be greater than zero, but are "
                    f"{self.kernel}, {self.stride}, {self.dilation}"
                )
            if size < 0 or size > (dilation * (kernel - 1) + 1) // 2:
                raise ConfigError(
                    f"[{what}] pad should be at most half of effective kernel size, and not "
                    f"negative, but got pad={size}, kernel_size={kernel} and dilation={dilation}"
                )

    def attrs(self) -> dict[str, Any]:
        """Attributes of the window primitives."""
        return {
            "kernel": self.kernel,
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
        }


# --- max ------------------------------------------------------------------------------------


def _max_pool(name: str, dims: int) -> Callable[..., Any]:
    def pool(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        x, single = batched(input, dims, name)
        windows = _Windows(name, x, kernel_size, stride, padding, dilation, ceil_mode)
        out, indices = apply(p.max_pool, x, **windows.attrs())
        if single:
            out, indices = out.squeeze(0), indices.squeeze(0)
        return (out, indices) if return_indices else out

    pool.__name__ = pool.__qualname__ = name
    pool.__doc__ = f"""The largest element of each window, over {dims} spatial dimension(s).

    Args:
        input: (batch, channels, *space), or without batch
        kernel_size, padding, dilation: one number, or one for each dimension
        stride: kernel_size by default
        ceil_mode: also windows that reach beyond the end
        return_indices: also the flat position of each largest element in its plane
    """
    return pool


max_pool1d = _max_pool("max_pool1d", 1)
max_pool2d = _max_pool("max_pool2d", 2)
max_pool3d = in_float32(_max_pool("max_pool3d", 3))


# --- average --------------------------------------------------------------------------------


def averaged(x: Any, **attrs: Any) -> Any:
    """Average pooling in the dtype of the input: integers are rounded towards 0."""
    if x.is_floating_point():
        return apply(p.average_pool, x, **attrs)
    return apply(p.average_pool, x.double(), **attrs).trunc().to(x.dtype)


def _average(
    what: str,
    input: Any,
    dims: int,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Any:
    x, single = batched(input, dims, what)
    windows = _Windows(what, x, kernel_size, stride, padding, 1, ceil_mode)
    if divisor == 0:
        raise ConfigError(f"[{what}] divisor must be not zero")
    inside = tuple((size, size) if count_include_pad else (0, 0) for size in windows.sizes)
    whole = windows.padding == inside
    if divisor is None and whole:
        divisor = math.prod(windows.kernel)
    out = averaged(x, counted=inside, divisor=divisor, **windows.attrs())
    return out.squeeze(0) if single else out


def avg_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The average of each window of a (batch, channels, length) input."""
    return _average(
        "avg_pool1d", input, 1, kernel_size, stride, padding, ceil_mode, count_include_pad, None
    )


def avg_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The average of each window of a (batch, channels, height, width) input.

    Args:
        input: (batch, channels, height, width), or without batch
        kernel_size, padding: one number, or (height, width)
        stride: kernel_size by default
        ceil_mode: also windows that reach beyond the end
        count_include_pad: divide by the size of the window even where it holds padding
        divisor_override: divide by this instead
    """
    return _average(
        "avg_pool2d",
        input,
        2,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    )


@in_float32
def avg_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The average of each window of a (batch, channels, depth, height, width) input."""
    return _average(
        "avg_pool3d",
        input,
        3,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    )


# --- norm -----------------------------------------------------------------------------------


def _norm_pool(name: str, dims: int, average: Callable[..., Any]) -> Callable[..., Any]:
    def pool(
        input: Any,
        norm_type: float,
        kernel_size: Any,
        stride: Any = None,
        ceil_mode: bool = False,
    ) -> Any:
        kernel = repeated(kernel_size, dims, "kernel_size")
        mean = average(input**norm_type, kernel, stride, 0, ceil_mode)
        total = mean.sign() * mean.abs().relu() * math.prod(kernel)
        return total ** (1.0 / norm_type)

    pool.__name__ = pool.__qualname__ = name
    pool.__doc__ = "The norm (sum of x ** norm_type) ** (1 / norm_type) of each window."
    return pool


lp_pool1d = _norm_pool("lp_pool1d", 1, avg_pool1d)
lp_pool2d = _norm_pool("lp_pool2d", 2, avg_pool2d)
lp_pool3d = _norm_pool("lp_pool3d", 3, avg_pool3d)


# --- adaptive -------------------------------------------------------------------------------


def _spans(size: int, count: int) -> list[range]:
    """The windows that cut `size` elements into `count` nearly equal, perhaps overlapping parts.

    before: 5 elements, 3 windows
    after:  0-1, 1-3, 3-4
    """
    return [range(place * size // count, -(-(place + 1) * size // count)) for place in range(count)]


def _adaptive_sizes(x: Any, wanted: Any, dims: int, what: str) -> Shape:
    if wanted is None or isinstance(wanted, int):
        wanted = (wanted,) * dims
    wanted = tuple(wanted)
    if len(wanted) != dims:
        raise ConfigError(f"[{what}] output_size must have {dims} elements, not {wanted}")
    sizes = tuple(
        x.shape[place + 2] if size is None else int(size) for place, size in enumerate(wanted)
    )
    if min(sizes) < 0:
        raise ConfigError(f"[{what}] elements of output_size must not be negative: {sizes}")
    if 0 in x.shape[1:]:
        raise ShapeError(
            f"[{what}] Expected input to have non-zero size for non-batch dimensions, but input "
            f"has sizes {list(x.shape)}"
        )
    return sizes


def _is_even(space: Shape, sizes: Shape) -> bool:
    return all(count and size % count == 0 for size, count in zip(space, sizes, strict=True))


def _even_windows(space: Shape, sizes: Shape) -> dict[str, Any]:
    kernel = tuple(size // count for size, count in zip(space, sizes, strict=True))
    dims = len(sizes)
    return {
        "kernel": kernel,
        "stride": kernel,
        "padding": ((0, 0),) * dims,
        "dilation": (1,) * dims,
    }


def _adaptive_average(what: str, input: Any, output_size: Any, dims: int) -> Any:
    x, single = batched(input, dims, what)
    sizes = _adaptive_sizes(x, output_size, dims, what)
    space = tuple(x.shape[2:])
    if _is_even(space, sizes):
        windows = _even_windows(space, sizes)
        none = windows["padding"]
        count = math.prod(windows["kernel"])
        out = apply(p.average_pool, x, counted=none, divisor=count, **windows)
    else:
        out = x
        for place, (size, count) in enumerate(zip(space, sizes, strict=True)):
            out = _averaged_along(out, place + 2, size, count)
    return out.squeeze(0) if single else out


def _averaged_along(x: Any, dim: int, size: int, count: int) -> Any:
    """Multiply by the matrix of averages along one dimension."""
    averages = np.zeros((size, count), x._value.dtype)
    for place, span in enumerate(_spans(size, count)):
        averages[span.start : span.stop, place] = 1 / len(span)
    return (x.transpose(dim, -1) @ constant(averages)).transpose(dim, -1)


@as_given
def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """Averages over as many windows as the output has elements, (batch, channels, length)."""
    return _adaptive_average("adaptive_avg_pool1d", input, output_size, 1)


@as_given
def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Averages over as many windows as the output has pixels, (batch, channels, height, width)."""
    return _adaptive_average("adaptive_avg_pool2d", input, output_size, 2)


@in_float32
def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """Averages over as many windows as the output has voxels."""
    return _adaptive_average("adaptive_avg_pool3d", input, output_size, 3)


def _adaptive_max(what: str, input: Any, output_size: Any, dims: int, return_indices: bool) -> Any:
    """Uneven windows are first copied out side by side, all of the same length."""
    x, single = batched(input, dims, what)
    sizes = _adaptive_sizes(x, output_size, dims, what)
    space = tuple(x.shape[2:])
    places = None
    if not _is_even(space, sizes):
        spans = [_equal_spans(*pair) for pair in zip(space, sizes, strict=True)]
        for place, span in enumerate(spans):
            x = apply(p.take, x, constant(span), dim=place + 2)
        flat = np.arange(math.prod(space)).reshape(space)
        places = flat[np.ix_(*spans)].reshape(-1)
    out, indices = apply(p.max_pool, x, **_even_windows(tuple(x.shape[2:]), sizes))
    if places is not None:
        indices = apply(p.take, constant(places), indices, dim=0)
    if single:
        out, indices = out.squeeze(0), indices.squeeze(0)
    return (out, indices) if return_indices else out


def _equal_spans(size: int, count: int) -> Any:
    """The elements of every window, one window after the other; short ones repeat their last."""
    spans = _spans(size, count)
    longest = max(len(span) for span in spans)
    return np.concatenate([[*span, *[span[-1]] * (longest - len(span))] for span in spans]).astype(
        np.int64
    )


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest of as many windows as the output has elements."""
    return _adaptive_max("adaptive_max_pool1d", input, output_size, 1, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest of as many windows as the output has pixels."""
    return _adaptive_max("adaptive_max_pool2d", input, output_size, 2, return_indices)


@in_float32
def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest of as many windows as the output has voxels."""
    return _adaptive_max("adaptive_max_pool3d", input, output_size, 3, return_indices)


__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]
