"""Blurring and sharpening: each pixel mixed with its neighbours."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import ConfigError, DTypeError, explain
from narae.nn import functional as F
from narae.tensors import Tensor
from narae.tensors.creation import constant

from .colours import blend, check_factor
from .converting import pil_to_tensor, to_pil_image
from .images import (
    Size,
    as_float_batch,
    check_channels,
    float_dtype,
    is_tensor,
    like_before,
    pillow,
)

Array = npt.NDArray[Any]


def gaussian_blur(img: Any, kernel_size: Size, sigma: float | Sequence[float] | None = None) -> Any:
    """The picture blurred: weights exp(-d² / 2σ²) of pixels at the distance d.

    Args:
        img: the picture; it is mirrored at its edges.
        kernel_size: odd: how many pixels are mixed, or (along x, along y).
        sigma: the width in pixels, or (along x, along y); 0.15 · kernel_size + 0.35 by default.
    """
    sizes = check_kernel_size(kernel_size)
    widths = _check_sigma(sigma, sizes)
    if not is_tensor(img, "gaussian_blur"):
        blurred = gaussian_blur(pil_to_tensor(img), sizes, widths)
        return to_pil_image(blurred, mode=img.mode)
    batch = as_float_batch(img)
    across, down = (size // 2 for size in sizes)
    padded = F.pad(batch, [across, across, down, down], mode="reflect")
    kernel = gaussian_kernel(sizes, widths).astype(float_dtype(img))
    return like_before(_filter(padded, kernel), img)


def gaussian_kernel(sizes: Sequence[int], widths: Sequence[float]) -> Array:
    """Weights (down, across) that sum to 1.

    >>> gaussian_kernel((3, 1), (1.0, 1.0)).round(4)
    array([[0.2741, 0.4519, 0.2741]])
    """
    rows = []
    for size, width in zip(sizes, widths, strict=True):
        distance = np.arange(size) - (size - 1) / 2
        weights = np.exp(-0.5 * (distance / width) ** 2)
        rows.append(weights / weights.sum())
    across, down = rows
    return down[:, None] * across[None, :]


def check_kernel_size(kernel_size: Any) -> tuple[int, int]:
    """(along x, along y) of one odd number or two."""
    if not isinstance(kernel_size, int | tuple | list):
        rule = "kernel_size should be int or a sequence of integers"
        raise DTypeError(explain("gaussian_blur", f"kernel_size is {kernel_size!r}", rule))
    sizes = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
    if len(sizes) != 2 or any(size < 0 or size % 2 == 0 for size in sizes):
        rule = "kernel_size should have odd and positive integers, one or two"
        raise ConfigError(explain("gaussian_blur", f"kernel_size is {kernel_size!r}", rule))
    return sizes[0], sizes[1]


def _check_sigma(sigma: Any, sizes: Sequence[int]) -> list[float]:
    if sigma is None:
        return [size * 0.15 + 0.35 for size in sizes]
    if not isinstance(sigma, int | float | tuple | list):
        rule = "sigma should be either float or sequence of floats"
        raise DTypeError(explain("gaussian_blur", f"sigma is {sigma!r}", rule))
    numbers = [sigma] if isinstance(sigma, int | float) else list(sigma)
    if len(numbers) not in (1, 2) or min(numbers) <= 0:
        rule = "sigma should have positive values, one or two"
        raise ConfigError(explain("gaussian_blur", f"sigma is {sigma!r}", rule))
    return [float(number) for number in (numbers * 2)[:2]] if len(numbers) == 1 else numbers


def _filter(batch: Tensor, kernel: Array) -> Tensor:
    """Each channel for itself by one kernel, without padding."""
    channels = batch.shape[-3]
    weight = constant(np.ascontiguousarray(np.broadcast_to(kernel, (channels, 1, *kernel.shape))))
    return F.conv2d(batch, weight, groups=channels)


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """The picture blurred (0), as it is (1) or sharpened (above 1).

    The blurred one mixes each pixel, five times, with its eight neighbours.
    """
    check_factor("sharpness_factor", sharpness_factor, "adjust_sharpness")
    if not is_tensor(img, "adjust_sharpness"):
        return pillow("ImageEnhance").Sharpness(img).enhance(sharpness_factor)
    check_channels(img, "adjust_sharpness")
    if min(img.shape[-2:]) <= 2:
        return img
    kernel = np.ones((3, 3), float_dtype(img))
    kernel[1, 1] = 5
    inner = like_before(_filter(as_float_batch(img), kernel / kernel.sum()), img)
    blurred = img.clone()
    blurred[..., 1:-1, 1:-1] = inner
    return blend(img, blurred, sharpness_factor)
