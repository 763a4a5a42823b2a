"""Pooling layers."""

from typing import Any

from narae.tensors import Tensor

from . import pool
from .module import Module
from .sizes import repeated


class _Pool(Module):
    function: Any
    shown: tuple[str, ...] = ()

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.shown)


# --- max ------------------------------------------------------------------------------------


class _MaxPool(_Pool):
    shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input: Tensor) -> Any:
        return type(self).function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


class MaxPool1d(_MaxPool):
    """The largest element of each window of (batch, channels, length)."""

    function = staticmethod(pool.max_pool1d)


class MaxPool2d(_MaxPool):
    """The largest pixel of each window of (batch, channels, height, width).

    Args:
        kernel_size: one number, or (height, width)
        stride: kernel_size by default
        padding, dilation: one number, or (height, width)
        return_indices: also return the flat position of each largest pixel
        ceil_mode: also windows that reach beyond the end

    >>> import narae
    >>> narae.nn.MaxPool2d(2)(narae.zeros(1, 32, 28, 28)).shape
    narae.Size([1, 32, 14, 14])
    """

    function = staticmethod(pool.max_pool2d)


class MaxPool3d(_MaxPool):
    """The largest voxel of each window of (batch, channels, depth, height, width)."""

    function = staticmethod(pool.max_pool3d)


# --- average --------------------------------------------------------------------------------


class AvgPool1d(_Pool):
    """The average of each window of (batch, channels, length)."""

    shown = ("kernel_size", "stride", "padding")

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = repeated(kernel_size, 1, "kernel_size")
        self.stride = self.kernel_size if stride is None else repeated(stride, 1, "stride")
        self.padding = repeated(padding, 1, "padding")
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return pool.avg_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )


class _AvgPool(_Pool):
    shown = ("kernel_size", "stride", "padding")

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool2d(_AvgPool):
    """The average of each window of (batch, channels, height, width)."""

    function = staticmethod(pool.avg_pool2d)


class AvgPool3d(_AvgPool):
    """The average of each window of (batch, channels, depth, height, width)."""

    function = staticmethod(pool.avg_pool3d)


# --- norm -----------------------------------------------------------------------------------


class _LPPool(_Pool):
    shown = ("norm_type", "kernel_size", "stride", "ceil_mode")

    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type, self.kernel_size = norm_type, kernel_size
        self.stride, self.ceil_mode = stride, ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        norm = float(self.norm_type)
        return type(self).function(input, norm, self.kernel_size, self.stride, self.ceil_mode)


class LPPool1d(_LPPool):
    """The p-norm of each window of (batch, channels, length)."""

    function = staticmethod(pool.lp_pool1d)


class LPPool2d(_LPPool):
    """The p-norm of each window of (batch, channels, height, width)."""

    function = staticmethod(pool.lp_pool2d)


class LPPool3d(_LPPool):
    """The p-norm of each window of (batch, channels, depth, height, width)."""

    function = staticmethod(pool.lp_pool3d)


# --- adaptive -------------------------------------------------------------------------------


class _AdaptiveAvgPool(_Pool):
    shown = ("output_size",)

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, self.output_size)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Averages over windows chosen so that the output has `output_size` elements."""

    function = staticmethod(pool.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Averages over windows chosen so that the output is `output_size`, (height, width)."""

    function = staticmethod(pool.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Averages over windows chosen so that the output is `output_size`."""

    function = staticmethod(pool.adaptive_avg_pool3d)


class _AdaptiveMaxPool(_Pool):
    shown = ("output_size",)

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Tensor) -> Any:
        return type(self).function(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest of windows chosen so that the output has `output_size` elements."""

    function = staticmethod(pool.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest of windows chosen so that the output is `output_size`, (height, width)."""

    function = staticmethod(pool.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest of windows chosen so that the output is `output_size`."""

    function = staticmethod(pool.adaptive_max_pool3d)


__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
]
