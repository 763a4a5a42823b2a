"""Convolution functions.

out[n, o, p] = b[o] + sum over c, t of w[o, c, t] * x[n, c, p * stride + t * dilation - padding]
"""

from collections.abc import Callable
from typing import Any

from narae import primitives as p
from narae.base.errors import ConfigError, DTypeError, ShapeError, explain
from narae.base.shapes import Shape
from narae.tensors import Tensor
from narae.tensors.autocast import low_precision
from narae.tensors.eager import apply

from .sizes import batched, repeated

Padding = tuple[tuple[int, int], ...]


def same_padding(kernel: Shape, dilation: Shape) -> Padding:
    """Zeros before and after, so that stride 1 keeps the size; the odd one goes after.

    >>> same_padding((3, 4), (1, 1))
    ((1, 1), (1, 2))
    """
    totals = [step * (size - 1) for size, step in zip(kernel, dilation, strict=True)]
    return tuple((total // 2, total - total // 2) for total in totals)


def _padding_of(padding: Any, kernel: Shape, stride: Shape, dilation: Shape) -> Padding:
    count = len(kernel)
    if padding == "valid":
        return ((0, 0),) * count
    if padding == "same":
        if any(step != 1 for step in stride):
            raise ConfigError("padding='same' is not supported for strided convolutions")
        return same_padding(kernel, dilation)
    if isinstance(padding, str):
        raise ConfigError(f"Invalid padding string {padding!r}, should be one of 'valid', 'same'")
    sizes = repeated(padding, count, "padding")
    if min(sizes) < 0:
        raise ConfigError(f"negative padding is not supported, and it is {sizes}")
    return tuple((size, size) for size in sizes)


def _check_steps(stride: Shape, dilation: Shape) -> None:
    if min(stride) <= 0:
        raise ConfigError(f"non-positive stride is not supported, and it is {stride}")
    if min(dilation) <= 0:
        raise ConfigError(f"dilation should be greater than zero, and it is {dilation}")


def _check_dtypes(what: str, x: Tensor, w: Tensor, b: Tensor | None) -> None:
    for name, other in (("weight", w), ("bias", b)):
        if other is not None and other.dtype is not x.dtype:
            raise DTypeError(
                explain(
                    what,
                    f"Input type ({x.dtype}) and {name} type ({other.dtype}) should be the same",
                    "a layer computes in the dtype of its weights",
                    f"convert the input (x.to({other.dtype})) or the model",
                )
            )


def _check_channels(what: str, x: Any, w: Any, groups: int) -> None:
    wanted = w.shape[1] * groups
    if x.shape[1] == wanted:
        return
    last = x.ndim > 2 and x.shape[-1] == wanted
    raise ShapeError(
        explain(
            what,
            f"Given groups={groups}, weight of size {list(w.shape)}, expected "
            f"input{list(x.shape)} to have {wanted} channels, but got {x.shape[1]} channels "
            "instead",
            "dimension 1 of the input holds the channels, in_channels of them",
            "move the channels to dimension 1: x.permute(0, 3, 1, 2)"
            if last and x.ndim == 4
            else f"in_channels should be {x.shape[1]}",
        )
    )


def _check_bias(what: str, b: Any, channels: int) -> None:
    if b is not None and tuple(b.shape) != (channels,):
        raise ShapeError(
            explain(
                what,
                f"the bias is {tuple(b.shape)}",
                f"expected bias to be 1-dimensional with {channels} elements, one a channel",
            )
        )


def _check_space(what: str, x: Any, w: Any, padding: Padding, dilation: Shape) -> None:
    padded = [size + sum(both) for size, both in zip(x.shape[2:], padding, strict=True)]
    reach = [step * (size - 1) + 1 for size, step in zip(w.shape[2:], dilation, strict=True)]
    if any(size < wanted for size, wanted in zip(padded, reach, strict=True)):
        raise ShapeError(
            explain(
                what,
                f"Calculated padded input size per channel: ({_by(padded)}). Kernel size: "
                f"({_by(reach)})",
                "Kernel size can't be greater than actual input size",
                "pad more, or pool less before this layer",
            )
        )


def _by(sizes: Any) -> str:
    return " x ".join(str(size) for size in sizes)


def _check_weight(what: str, w: Any, dims: int) -> None:
    if w.ndim != dims + 2:
        raise ShapeError(
            explain(
                what,
                f"the weight is {tuple(w.shape)}",
                f"it has {dims + 2} dimensions: channels out, channels in, {dims} of the kernel",
            )
        )


@low_precision
def convolve(
    what: str,
    dims: int,
    x: Any,
    w: Any,
    b: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Tensor:
    """Check everything, then convolve over `dims` spatial dimensions."""
    _check_weight(what, w, dims)
    x, single = batched(x, dims, what)
    stride, dilation = repeated(stride, dims, "stride"), repeated(dilation, dims, "dilation")
    _check_steps(stride, dilation)
    around = _padding_of(padding, tuple(w.shape[2:]), stride, dilation)
    _check_dtypes(what, x, w, b)
    _check_channels(what, x, w, groups)
    _check_bias(what, b, w.shape[0])
    _check_space(what, x, w, around, dilation)
    attrs = {"stride": stride, "padding": around, "dilation": dilation, "groups": groups}
    out = apply(p.conv, x, w, **attrs) if b is None else apply(p.convolution, x, w, b, **attrs)
    return out.squeeze(0) if single else out


def _convolution(name: str, dims: int, shape: str) -> Callable[..., Tensor]:
    def convolution(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        return convolve(name, dims, input, weight, bias, stride, padding, dilation, groups)

    convolution.__name__ = convolution.__qualname__ = name
    convolution.__doc__ = f"""Cross-correlation over {dims} spatial dimension(s).

    Args:
        input: (batch, in_channels, {shape}), or without batch
        weight: (out_channels, in_channels / groups, *kernel)
        bias: (out_channels,), or none
        stride, dilation: one number, or one for each spatial dimension
        padding: zeros on both sides, "same" or "valid"
        groups: cut the channels into this many independent convolutions

    Raises:
        RuntimeError: when channels, dtypes or sizes do not fit.
    """
    return convolution


conv1d = _convolution("conv1d", 1, "length")
conv2d = _convolution("conv2d", 2, "height, width")
conv3d = _convolution("conv3d", 3, "depth, height, width")


# --- transposed -----------------------------------------------------------------------------


def transposed_size(
    size: int, kernel: int, stride: int, padding: int, output_padding: int, dilation: int
) -> int:
    """(size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1."""
    return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1


def _check_output_padding(extra: Shape, stride: Shape, dilation: Shape) -> None:
    for more, step, spread in zip(extra, stride, dilation, strict=True):
        if more < 0 or more >= max(step, spread):
            raise ConfigError(
                "output padding must be smaller than either stride or dilation, but got "
                f"output_padding {extra}, stride {stride}, dilation {dilation}"
            )


@low_precision
def convolve_transposed(
    what: str,
    dims: int,
    x: Any,
    w: Any,
    b: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Tensor:
    """Check everything, then spread each pixel over its window."""
    _check_weight(what, w, dims)
    x, single = batched(x, dims, what)
    stride, dilation = repeated(stride, dims, "stride"), repeated(dilation, dims, "dilation")
    _check_steps(stride, dilation)
    sizes = repeated(padding, dims, "padding")
    extra = repeated(output_padding, dims, "output_padding")
    _check_output_padding(extra, stride, dilation)
    _check_dtypes(what, x, w, b)
    if x.shape[1] != w.shape[0]:
        raise ShapeError(
            explain(
                what,
                f"Given transposed=1, weight of size {list(w.shape)}, expected "
                f"input{list(x.shape)} to have {w.shape[0]} channels, but got {x.shape[1]} "
                "channels instead",
                "dimension 1 of the input holds the channels, in_channels of them",
                f"in_channels should be {x.shape[1]}",
            )
        )
    channels = w.shape[1] * groups
    _check_bias(what, b, channels)
    space = tuple(map(transposed_size, x.shape[2:], w.shape[2:], stride, sizes, extra, dilation))
    if min(space) <= 0:
        raise ShapeError(f"[{what}] the output would be {space}: its sizes must be positive")
    attrs = {"stride": stride, "dilation": dilation, "groups": groups}
    if all(more < step for more, step in zip(extra, stride, strict=True)):
        around = tuple((size, size) for size in sizes)
        shape = (x.shape[0], channels, *space)
        out = apply(p.conv_transpose, x, w, b, out_shape=shape, padding=around, **attrs)
    else:
        out = _far_output_padding(x, w, b, channels, space, sizes, extra, attrs)
    return out.squeeze(0) if single else out


def _far_output_padding(
    x: Any, w: Any, b: Any, channels: int, space: Shape, sizes: Shape, extra: Shape, attrs: Any
) -> Any:
    """Output padding beyond the stride: crop less, then add zeros where no window reaches."""
    around = tuple((size, max(size - more, 0)) for size, more in zip(sizes, extra, strict=True))
    zeros = tuple(max(more - size, 0) for size, more in zip(sizes, extra, strict=True))
    inner = tuple(size - more for size, more in zip(space, zeros, strict=True))
    shape = (x.shape[0], channels, *inner)
    out = apply(p.conv_transpose, x, w, None, out_shape=shape, padding=around, **attrs)
    out = apply(p.pad, out, low=(0,) * out.ndim, high=(0, 0, *zeros), value=0)
    return out if b is None else out + b.reshape(-1, *(1,) * len(zeros))


def _transposed_convolution(name: str, dims: int, shape: str) -> Callable[..., Tensor]:
    def convolution(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Tensor:
        sizes = (stride, padding, output_padding, groups, dilation)
        return convolve_transposed(name, dims, input, weight, bias, *sizes)

    convolution.__name__ = convolution.__qualname__ = name
    convolution.__doc__ = f"""The transpose of convolution over {dims} spatial dimension(s).

    Each size of the result is (size - 1) * stride - 2 * padding + dilation * (kernel - 1)
    + output_padding + 1.

    Args:
        input: (batch, in_channels, {shape}), or without batch
        weight: (in_channels, out_channels / groups, *kernel)
        bias: (out_channels,), or none
        stride, padding, output_padding, dilation: one number, or one for each dimension
        groups: cut the channels into this many independent convolutions

    Source: Zeiler, Krishnan, Taylor and Fergus, Deconvolutional networks (2010).
    """
    return convolution


conv_transpose1d = _transposed_convolution("conv_transpose1d", 1, "length")
conv_transpose2d = _transposed_convolution("conv_transpose2d", 2, "height, width")
conv_transpose3d = _transposed_convolution("conv_transpose3d", 3, "depth, height, width")

__all__ = [
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
]
