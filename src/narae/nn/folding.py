"""`unfold` and `fold`: windows as columns of a matrix, and back (im2col, col2im)."""

import math
from typing import Any

from narae import primitives as p
from narae.base.errors import ConfigError, ShapeError, explain
from narae.base.shapes import Shape
from narae.primitives.folding import window_counts
from narae.tensors import Tensor
from narae.tensors.eager import apply

from .module import Module
from .sizes import repeated


def _windows(
    what: str, kernel_size: Any, dilation: Any, padding: Any, stride: Any
) -> dict[str, Any]:
    """The attributes of im2col and col2im, checked."""
    kernel, steps = repeated(kernel_size, 2, "kernel_size"), repeated(stride, 2, "stride")
    spread, pads = repeated(dilation, 2, "dilation"), repeated(padding, 2, "padding")
    for name, sizes in (("kernel size", kernel), ("stride", steps), ("dilation", spread)):
        if min(sizes) <= 0:
            raise ConfigError(f"[{what}] {name} should be greater than zero, but got {sizes}")
    if min(pads) < 0:
        raise ConfigError(f"[{what}] padding should be non-negative, but got {pads}")
    both = tuple((size, size) for size in pads)
    return {"kernel": kernel, "stride": steps, "padding": both, "dilation": spread}


def unfold(
    input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Every window of a picture as a column (im2col).

    out[n, (c, i, j), (p, q)] = padded[n, c, p * stride + i * dilation, q * stride + j * dilation]

    With it a convolution is one matrix product. Source: Chellapilla, Puri and Simard, High
    Performance Convolutional Neural Networks for Document Processing (2006), section 2.1.

    Args:
        input: (batch, channels, height, width), or without batch
        kernel_size, dilation, padding, stride: one number, or (height, width)

    Returns:
        (batch, channels * kernel height * kernel width, windows)

    Raises:
        RuntimeError: if there is no room for a window.

    >>> import narae
    >>> x = narae.arange(6.0).reshape(1, 1, 2, 3)
    >>> narae.nn.functional.unfold(x, 2)
    tensor([[[0., 1.],
             [1., 2.],
             [3., 4.],
             [4., 5.]]])
    """
    x: Any = input
    windows = _windows("unfold", kernel_size, dilation, padding, stride)
    if x.ndim not in (3, 4) or 0 in x.shape[-3:]:
        raise ShapeError(
            explain(
                "unfold",
                "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other "
                f"non-zero dimensions for input, but got: {list(x.shape)}",
                "the input is (batch, channels, height, width), or the same without batch",
            )
        )
    out = window_counts(tuple(x.shape[-2:]), **windows)
    if min(out) < 1:
        raise ShapeError(
            explain(
                "unfold",
                f"Given input with spatial size {tuple(x.shape[-2:])} and {_shown(windows)}, "
                f"calculated shape of the array of sliding blocks as {out}",
                "its components must be at least one: a window does not fit into the input",
                "use a smaller kernel or dilation, or more padding",
            )
        )
    if x.ndim == 3:
        return apply(p.im2col, x.unsqueeze(0), **windows).squeeze(0)
    return apply(p.im2col, x, **windows)


def _shown(windows: dict[str, Any]) -> str:
    pads = tuple(low for low, _ in windows["padding"])
    return (
        f"kernel_size={windows['kernel']}, dilation={windows['dilation']}, padding={pads}, "
        f"stride={windows['stride']}"
    )


def fold(
    input: Tensor,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """Columns added back to the windows they came from (col2im), the transpose of `unfold`.

    Where windows overlap their elements are added: `fold(unfold(x))` is x times the number of
    windows that hold each pixel.

    Args:
        input: (batch, channels * kernel height * kernel width, windows), or without batch
        output_size: of the picture, (height, width)
        kernel_size, dilation, padding, stride: as they were for `unfold`

    Returns:
        (batch, channels, height, width)

    Raises:
        RuntimeError: if the sizes do not belong to such windows.

    >>> import narae
    >>> narae.nn.functional.fold(narae.ones(1, 4, 2), (2, 3), 2)
    tensor([[[[1., 2., 1.],
              [1., 2., 1.]]]])
    """
    x: Any = input
    space = repeated(output_size, 2, "output_size")
    windows = _windows("fold", kernel_size, dilation, padding, stride)
    if x.ndim not in (2, 3) or 0 in x.shape[-2:]:
        raise ShapeError(
            explain(
                "fold",
                "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and "
                f"non-zero dimensions for input, but got: {list(x.shape)}",
                "the input is (batch, channels * taps, windows), or the same without batch",
            )
        )
    _check_columns(x, space, windows)
    cols = x if x.ndim == 3 else x.unsqueeze(0)
    shape = (cols.shape[0], cols.shape[1] // math.prod(windows["kernel"]), *space)
    out = apply(p.col2im, cols, x_shape=shape, **windows)
    return out if x.ndim == 3 else out.squeeze(0)


def _check_columns(x: Any, space: Shape, windows: dict[str, Any]) -> None:
    rows, columns = x.shape[-2:]
    taps = math.prod(windows["kernel"])
    if rows % taps:
        raise ShapeError(
            explain(
                "fold",
                f"the input is {list(x.shape)}, kernel_size={windows['kernel']}",
                "Expected size of input's dimension 1 to be divisible by the product of "
                f"kernel_size, but got input.size(1)={rows}",
            )
        )
    counts = window_counts(space, **windows)
    if min(counts) < 1 or columns != math.prod(counts):
        raise ShapeError(
            explain(
                "fold",
                f"Given output_size={space} and {_shown(windows)}, expected size of input's "
                f"dimension 2 to match the calculated number of sliding blocks "
                f"{counts[0]} * {counts[1]} = {math.prod(counts)}, but got input.size(2)={columns}",
                "there is one column for each window",
                "give the kernel_size, dilation, padding and stride that unfold was given",
            )
        )


class Unfold(Module):
    """Every window of a picture as a column (im2col). See `functional.unfold`.

    >>> import narae
    >>> narae.nn.Unfold(3, padding=1)(narae.zeros(2, 5, 8, 8)).shape
    narae.Size([2, 45, 64])
    """

    def __init__(
        self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> None:
        super().__init__()
        self.kernel_size, self.dilation = kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


class Fold(Module):
    """Columns added back to the windows they came from (col2im). See `functional.fold`."""

    def __init__(
        self,
        output_size: Any,
        kernel_size: Any,
        dilation: Any = 1,
        padding: Any = 0,
        stride: Any = 1,
    ) -> None:
        super().__init__()
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return fold(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, "
            f"dilation={self.dilation}, padding={self.padding}, stride={self.stride}"
        )


__all__ = ["Fold", "Unfold", "fold", "unfold"]
