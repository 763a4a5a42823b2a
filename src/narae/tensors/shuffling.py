"""Moving pixels into channels and back, and shuffling channels."""

import math
from typing import Any

from narae.base.errors import ConfigError, ShapeError, explain

from .operands import require_tensor
from .tensor import Tensor


def _picture(input: Any, name: str) -> Any:
    """The input, if it has channels, rows and columns."""
    require_tensor(input, name)
    if input.ndim < 3:
        raise ShapeError(
            explain(
                name,
                f"{name} expects input to have at least 3 dimensions, but got input with "
                f"{input.ndim} dimension(s), {tuple(input.shape)}",
                "the last three dimensions are channels, height and width",
                "insert the missing ones with unsqueeze",
            )
        )
    return input


def _positive(number: int, name: str, what: str) -> int:
    if number <= 0:
        raise ConfigError(f"[{name}] expects a positive {what}, but got {number}")
    return number


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Channels become pixels: (.., c * r * r, h, w) -> (.., c, h * r, w * r).

    out[c, h * r + i, w * r + j] = input[c * r * r + i * r + j, h, w]

    Source: Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient
    Sub-Pixel Convolutional Neural Network (2016), equation 4.

    Args:
        input: (.., channels, height, width)
        upscale_factor: r

    Raises:
        RuntimeError: if the channels cannot be divided by r * r.

    >>> import narae
    >>> narae.pixel_shuffle(narae.arange(4).reshape(4, 1, 1), 2)
    tensor([[[0, 1],
             [2, 3]]])
    """
    x, r = _picture(input, "pixel_shuffle"), int(upscale_factor)
    _positive(r, "pixel_shuffle", "upscale_factor")
    *batch, channels, height, width = x.shape
    if channels % (r * r):
        raise ShapeError(
            explain(
                "pixel_shuffle",
                f"input's 'channel' dimension is {channels}, upscale_factor is {r}",
                f"pixel_shuffle expects it to be divisible by upscale_factor squared, {r * r}",
            )
        )
    n = math.prod(batch)
    x = x.reshape(n, channels // (r * r), r, r, height, width)
    x = x.permute(0, 1, 4, 2, 5, 3)  # (n, c, height, r, width, r)
    return x.reshape(*batch, channels // (r * r), height * r, width * r)  # type: ignore[no-any-return]


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Pixels become channels: (.., c, h * r, w * r) -> (.., c * r * r, h, w).

    Args:
        input: (.., channels, height, width)
        downscale_factor: r

    Raises:
        RuntimeError: if height or width cannot be divided by r.

    >>> import narae
    >>> narae.pixel_unshuffle(narae.arange(4).reshape(1, 2, 2), 2).flatten()
    tensor([0, 1, 2, 3])
    """
    x, r = _picture(input, "pixel_unshuffle"), int(downscale_factor)
    _positive(r, "pixel_unshuffle", "downscale_factor")
    *batch, channels, height, width = x.shape
    if height % r or width % r:
        raise ShapeError(
            explain(
                "pixel_unshuffle",
                f"the picture is {height} by {width}, downscale_factor is {r}",
                "pixel_unshuffle expects height and width to be divisible by downscale_factor",
            )
        )
    n = math.prod(batch)
    x = x.reshape(n, channels, height // r, r, width // r, r)
    x = x.permute(0, 1, 3, 5, 2, 4)  # (n, channels, r, r, height, width)
    return x.reshape(*batch, channels * r * r, height // r, width // r)  # type: ignore[no-any-return]


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channels in another order: the first of every group, then the second of every group, …

    Source: Zhang, Zhou, Lin and Sun, ShuffleNet (2018), section 3.1.

    Args:
        input: (batch, channels, *)
        groups: how many groups the channels are cut into

    Raises:
        RuntimeError: if the channels cannot be cut into that many groups.

    >>> import narae
    >>> narae.channel_shuffle(narae.arange(4).reshape(1, 4, 1), 2).flatten()
    tensor([0, 2, 1, 3])
    """
    return _channel_shuffle(input, groups, "channel_shuffle")


def native_channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """`channel_shuffle` under another name that PyTorch has."""
    return _channel_shuffle(input, groups, "native_channel_shuffle")


def _channel_shuffle(input: Any, groups: int, name: str) -> Tensor:
    x = _picture(input, name)
    _positive(groups, name, "number of groups to divide channels in")
    batch, channels, *rest = x.shape
    if channels % groups:
        raise ShapeError(
            f"[{name}] Number of channels must be divisible by groups. Got {channels} channels and "
            f"{groups} groups."
        )
    x = x.reshape(batch, groups, channels // groups, *rest)
    return x.transpose(1, 2).reshape(batch, channels, *rest)  # type: ignore[no-any-return]


__all__ = ["channel_shuffle", "native_channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]
