"""What changes each brightness by a rule: inversion, posterizing, solarizing, equalizing."""

from typing import Any

import numpy as np

from narae.base.errors import ConfigError, DTypeError, explain
from narae.tensors import Tensor
from narae.tensors.arithmetic import where
from narae.tensors.creation import constant
from narae.tensors.joining import stack

from .images import check_colour, float_dtype, is_tensor, max_value, pillow


def invert(img: Any) -> Any:
    """The negative of the picture.

    >>> import narae
    >>> invert(narae.tensor([[[0, 200]]], dtype=narae.uint8))
    tensor([[[255,  55]]], dtype=narae.uint8)
    """
    if not is_tensor(img, "invert"):
        return pillow("ImageOps").invert(img)
    check_colour(img, "invert")
    return max_value(img.dtype) - img


def posterize(img: Any, bits: int) -> Any:
    """The picture with fewer shades: only the `bits` highest bits of each channel are kept."""
    if not 0 <= bits <= 8:
        rule = "The number of bits should be between 0 and 8"
        raise ConfigError(explain("posterize", f"bits is {bits}", rule))
    if not is_tensor(img, "posterize"):
        return pillow("ImageOps").posterize(img, bits)
    check_colour(img, "posterize")
    _check_8_bit(img, "posterize")
    return img & (256 - 2 ** (8 - bits))


def solarize(img: Any, threshold: float) -> Any:
    """The picture with everything from a brightness on inverted."""
    if not is_tensor(img, "solarize"):
        return pillow("ImageOps").solarize(img, threshold)
    check_colour(img, "solarize")
    if threshold > max_value(img.dtype):
        given = f"threshold is {threshold}, the picture {img.dtype}"
        rule = f"Threshold should be less than bound of img: {max_value(img.dtype)}"
        raise DTypeError(explain("solarize", given, rule))
    return where(img >= threshold, invert(img), img)


def autocontrast(img: Any) -> Any:
    """Each channel stretched so that its darkest pixel is black and its brightest white."""
    if not is_tensor(img, "autocontrast"):
        return pillow("ImageOps").autocontrast(img)
    check_colour(img, "autocontrast")
    white, dtype = max_value(img.dtype), float_dtype(img)
    darkest = img.amin(dim=(-2, -1), keepdim=True).to(dtype)
    spread = img.amax(dim=(-2, -1), keepdim=True).to(dtype) - darkest
    flat = spread == 0
    scale = white / where(flat, float(white), spread)
    stretched = (img - where(flat, 0.0, darkest)) * scale
    return stretched.clamp(0, white).to(img.dtype)


def equalize(img: Any) -> Any:
    """Each channel changed so that all brightnesses are about equally frequent."""
    if not is_tensor(img, "equalize"):
        return pillow("ImageOps").equalize(img)
    check_colour(img, "equalize")
    _check_8_bit(img, "equalize")
    if img.ndim > 3:
        return stack([equalize(picture) for picture in img])
    return stack([_equalize_channel(channel) for channel in img])


def _equalize_channel(channel: Tensor) -> Tensor:
    counts = np.bincount(channel._array.ravel(), minlength=256)
    brightest = counts[np.flatnonzero(counts)[-1]] if channel.numel() else 0
    step = (counts.sum() - brightest) // 255
    if step == 0:
        return channel
    below = np.cumsum(counts) - counts  # how many pixels are darker
    table = np.clip((below + step // 2) // step, 0, 255).astype(np.uint8)
    return constant(table[channel._array])


def _check_8_bit(img: Tensor, what: str) -> None:
    if img._value.dtype != np.uint8:
        rule = "Only uint8 image tensors are supported"
        fix = "convert_image_dtype(img, narae.uint8), or apply it before ToTensor()"
        raise DTypeError(explain(what, f"the picture is {img.dtype}", rule, fix))
