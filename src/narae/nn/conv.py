"""Convolution layers: `Conv1d`, `Conv2d`, `Conv3d` and their transposes."""

from typing import Any

from narae.base.errors import ConfigError
from narae.tensors import Parameter, Tensor, empty

from .convolution import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    same_padding,
)
from .linear import start_like_linear
from .module import Module
from .padding import pad
from .sizes import repeated

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Module):
    """What all convolution layers have in common."""

    weight: Tensor
    bias: Tensor | None
    dims: int
    transposed = False

    def _set_up(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        output_padding: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        kind: dict[str, Any],
    ) -> None:
        _check_channels(in_channels, out_channels, groups)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = repeated(kernel_size, self.dims, "kernel_size")
        self.stride = repeated(stride, self.dims, "stride")
        self.padding = padding if isinstance(padding, str) else repeated(padding, self.dims)
        self.dilation = repeated(dilation, self.dims, "dilation")
        self.output_padding = repeated(output_padding, self.dims, "output_padding")
        self.padding_mode = padding_mode
        self._check_padding()
        channels = (out_channels, in_channels // groups)
        if self.transposed:
            channels = (in_channels, out_channels // groups)
        self.weight = Parameter(empty((*channels, *self.kernel_size), **kind))
        if bias:
            self.bias = Parameter(empty(out_channels, **kind))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _check_padding(self) -> None:
        if self.padding_mode not in _PADDING_MODES:
            raise ConfigError(
                f"padding_mode must be one of {_PADDING_MODES}, but got "
                f"padding_mode='{self.padding_mode}'"
            )
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ConfigError(
                    f"Invalid padding string {self.padding!r}, should be one of 'same', 'valid'"
                )
            if self.padding == "same" and any(step != 1 for step in self.stride):
                raise ConfigError("padding='same' is not supported for strided convolutions")

    def reset_parameters(self) -> None:
        """Draw new weights."""
        start_like_linear(self.weight, self.bias)

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        zeros, ones = (0,) * self.dims, (1,) * self.dims
        for name, usual in (
            ("padding", zeros),
            ("dilation", ones),
            ("output_padding", zeros),
            ("groups", 1),
        ):
            value = getattr(self, name)
            if value != usual:
                text += f", {name}={value}"
        if self.bias is None:
            text += ", bias=False"
        return text if self.padding_mode == "zeros" else f"{text}, padding_mode={self.padding_mode}"


def _check_channels(in_channels: int, out_channels: int, groups: int) -> None:
    if groups <= 0:
        raise ConfigError("groups must be a positive integer")
    for name, count in (("in_channels", in_channels), ("out_channels", out_channels)):
        if count % groups:
            raise ConfigError(
                f"{name} must be divisible by groups, and {count} is not divisible by {groups}"
            )


class _Forward(_Convolution):
    """Convolution; a subclass says over how many dimensions."""

    function: Any

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self._set_up(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            0,
            groups,
            bias,
            padding_mode,
            {"device": device, "dtype": dtype},
        )

    def _copied_padding(self) -> tuple[int, ...]:
        """The numbers for `pad`, whose order starts with the last dimension."""
        if self.padding == "valid":
            return (0,) * (2 * self.dims)
        if self.padding == "same":
            pairs = same_padding(self.kernel_size, self.dilation)
        else:
            pairs = tuple((size, size) for size in repeated(self.padding, self.dims))
        return tuple(size for pair in reversed(pairs) for size in pair)

    def forward(self, input: Tensor) -> Tensor:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input, padding = pad(input, self._copied_padding(), self.padding_mode), 0
        return type(self).function(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )


class Conv1d(_Forward):
    """Convolution over (batch, channels, length), or without batch."""

    dims = 1
    function = staticmethod(conv1d)


class Conv2d(_Forward):
    """Convolution over (batch, channels, height, width), or without batch.

        out[n, o, p] = b[o] + sum over c, t of w[o, c, t] * x[n, c, p * stride + t - padding]

    Each size of the result is floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1.

    Args:
        in_channels, out_channels: the number of channels before and after
        kernel_size, stride, dilation: one number, or (height, width)
        padding: zeros on both sides, "same" or "valid"
        groups: cut the channels into this many independent convolutions
        bias: whether b is added
        padding_mode: "zeros", "reflect", "replicate" or "circular"

    >>> import narae
    >>> layer = narae.nn.Conv2d(1, 32, 3, padding=1)
    >>> layer
    Conv2d(1, 32, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    >>> layer(narae.zeros(1, 1, 28, 28)).shape
    narae.Size([1, 32, 28, 28])
    """

    dims = 2
    function = staticmethod(conv2d)


class Conv3d(_Forward):
    """Convolution over (batch, channels, depth, height, width), or without batch."""

    dims = 3
    function = staticmethod(conv3d)


class _Transposed(_Convolution):
    """Transposed convolution; a subclass says over how many dimensions."""

    transposed = True
    function: Any

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if padding_mode != "zeros":
            raise ConfigError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        self._set_up(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            output_padding,
            groups,
            bias,
            padding_mode,
            {"device": device, "dtype": dtype},
        )

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        extra = self.output_padding
        if output_size is not None:
            extra = self._extra_for(input, tuple(output_size))
        return type(self).function(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            extra,
            self.groups,
            self.dilation,
        )

    def _extra_for(self, input: Tensor, wanted: tuple[int, ...]) -> tuple[int, ...]:
        """The output padding that gives the wanted output size."""
        space = tuple(input.shape[-self.dims :])
        if len(wanted) not in (self.dims, input.ndim):
            raise ConfigError(
                f"output_size must have {self.dims} or {input.ndim} elements (got {len(wanted)})"
            )
        wanted = wanted[-self.dims :]
        sizes = repeated(self.padding, self.dims)
        least = tuple(
            (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1
            for size, kernel, stride, padding, dilation in zip(
                space, self.kernel_size, self.stride, sizes, self.dilation, strict=True
            )
        )
        most = tuple(size + stride - 1 for size, stride in zip(least, self.stride, strict=True))
        for size, low, high in zip(wanted, least, most, strict=True):
            if not low <= size <= high:
                raise ConfigError(
                    f"requested an output size of {wanted}, but valid sizes range from {least} to "
                    f"{most} (for an input of {space})"
                )
        return tuple(size - low for size, low in zip(wanted, least, strict=True))


class ConvTranspose1d(_Transposed):
    """Transposed convolution over (batch, channels, length), or without batch."""

    dims = 1
    function = staticmethod(conv_transpose1d)


class ConvTranspose2d(_Transposed):
    """Transposed convolution over (batch, channels, height, width), or without batch.

    Each size of the result is (size - 1) stride - 2 padding + dilation (kernel - 1)
    + output_padding + 1.

    Args:
        in_channels, out_channels: the number of channels before and after
        kernel_size, stride, padding, output_padding, dilation: one number, or (height, width)
        groups: cut the channels into this many independent convolutions
        bias: whether a bias is added

    >>> import narae
    >>> narae.nn.ConvTranspose2d(8, 4, 2, stride=2)(narae.zeros(1, 8, 7, 7)).shape
    narae.Size([1, 4, 14, 14])
    """

    dims = 2
    function = staticmethod(conv_transpose2d)


class ConvTranspose3d(_Transposed):
    """Transposed convolution over (batch, channels, depth, height, width), or without batch."""

    dims = 3
    function = staticmethod(conv_transpose3d)


__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]
