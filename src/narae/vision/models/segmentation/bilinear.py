"""Upsampling by transposed convolution that begins as bilinear interpolation."""

import numpy as np
import numpy.typing as npt

import narae.nn as nn
from narae.base.errors import ConfigError, explain
from narae.tensors import no_grad
from narae.tensors.creation import from_numpy

Array = npt.NDArray[np.float32]


def bilinear_kernel(stride: int) -> Array:
    """The kernel (2 stride, 2 stride) that spreads each value over the pixels around it.

        k[i] = 1 - |i + 1/2 - stride| / stride,    K = k kᵀ

    Source: Long et al., Fully convolutional networks for semantic segmentation (2015), section 3.3.

    >>> bilinear_kernel(2)[0] * 16
    array([1., 3., 3., 1.], dtype=float32)
    """
    places = np.arange(2 * stride) + 0.5
    line = 1 - np.abs(places - stride) / stride  # (2 stride,)
    return np.outer(line, line).astype(np.float32)


def bilinear_upsampling(channels: int, stride: int, learned: bool = True) -> nn.ConvTranspose2d:
    """A transposed convolution, channel by channel, that begins as bilinear interpolation.

    Args:
        channels: before and after.
        stride: how many times as high and wide the result is; even.
        learned: whether the kernel may change in training.

    Raises:
        ConfigError: for a stride that is not even.

    >>> import narae
    >>> up = bilinear_upsampling(1, 2)
    >>> up(narae.tensor([[[[0.0, 4.0, 8.0]]]]))[0, 0, 0] / 0.75
    tensor([0., 1., 3., 5., 7., 6.], grad_fn=<DivBackward0>)
    """
    if stride < 2 or stride % 2:
        rule = "it is even, so that the result is so many times as large"
        raise ConfigError(explain("bilinear_upsampling", f"stride is {stride}", rule))
    up = nn.ConvTranspose2d(
        channels, channels, 2 * stride, stride, stride // 2, groups=channels, bias=False
    )
    with no_grad():
        up.weight.copy_(from_numpy(bilinear_kernel(stride)).expand(up.weight.shape))
    up.weight.requires_grad_(learned)
    return up
