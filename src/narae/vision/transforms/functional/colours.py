"""Brightness, contrast, saturation, hue and gamma; grey pictures.

Each adjustment mixes the picture with another one: factor · picture + (1 - factor) · other, where
the other is black, grey all over, or the picture in shades of grey.
"""

from typing import Any

import numpy as np

from narae.base.errors import ConfigError, explain
from narae.tensors import Tensor
from narae.tensors.arithmetic import where
from narae.tensors.creation import zeros_like
from narae.tensors.joining import stack

from .converting import convert_image_dtype
from .images import (
    check_channels,
    check_colour,
    float_dtype,
    get_image_num_channels,
    is_tensor,
    max_value,
    pillow,
)

# Shares of red, green and blue in the brightness, ITU-R BT.601.
_RED, _GREEN, _BLUE = 0.2989, 0.587, 0.114
_WITHOUT_COLOUR = {"L", "1", "I", "F"}


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """The picture in shades of grey, in one channel or in three equal ones.

    >>> import narae
    >>> rgb_to_grayscale(narae.ones(3, 1, 2))
    tensor([[[0.9999, 0.9999]]])
    """
    if num_output_channels not in (1, 3):
        given = f"num_output_channels is {num_output_channels}"
        rule = "num_output_channels should be either 1 or 3"
        raise ConfigError(explain("rgb_to_grayscale", given, rule))
    if not is_tensor(img, "rgb_to_grayscale"):
        grey = img.convert("L")
        return grey if num_output_channels == 1 else pillow().merge("RGB", [grey] * 3)
    check_colour(img, "rgb_to_grayscale")
    grey = img.clone()
    if img.shape[-3] == 3:
        red, green, blue = img.unbind(dim=-3)
        grey = (_RED * red + _GREEN * green + _BLUE * blue).to(img.dtype).unsqueeze(-3)
    return grey if num_output_channels == 1 else grey.expand(*img.shape[:-3], 3, *img.shape[-2:])


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """`rgb_to_grayscale` of a Pillow image."""
    return rgb_to_grayscale(img, num_output_channels)


def blend(img: Tensor, other: Any, factor: float) -> Tensor:
    """factor · picture + (1 - factor) · other, kept between black and white."""
    factor = float(factor)
    mixed = factor * img + (1.0 - factor) * other
    return mixed.clamp(0, max_value(img.dtype)).to(img.dtype)


def check_factor(name: str, factor: float, what: str) -> None:
    """Refuse factors below 0."""
    if factor < 0:
        given = f"{name} ({factor}) is not non-negative"
        raise ConfigError(explain(what, given, "0 takes everything away, 1 changes nothing"))


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """The picture darker (down to 0: black) or brighter (above 1).

    >>> import narae
    >>> adjust_brightness(narae.tensor([[[0.2, 0.6]]]), 2.0)
    tensor([[[0.4000, 1.0000]]])
    """
    check_factor("brightness_factor", brightness_factor, "adjust_brightness")
    if not is_tensor(img, "adjust_brightness"):
        return pillow("ImageEnhance").Brightness(img).enhance(brightness_factor)
    check_channels(img, "adjust_brightness")
    return blend(img, zeros_like(img), brightness_factor)


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """The picture with less contrast (down to 0: grey all over) or more (above 1)."""
    check_factor("contrast_factor", contrast_factor, "adjust_contrast")
    if not is_tensor(img, "adjust_contrast"):
        return pillow("ImageEnhance").Contrast(img).enhance(contrast_factor)
    check_channels(img, "adjust_contrast")
    grey = rgb_to_grayscale(img) if get_image_num_channels(img) == 3 else img
    dims = tuple(range(-min(img.ndim, 3), 0))
    mean = grey.to(float_dtype(img)).mean(dim=dims, keepdim=True)
    return blend(img, mean, contrast_factor)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """The picture with less colour (down to 0: shades of grey) or more (above 1)."""
    check_factor("saturation_factor", saturation_factor, "adjust_saturation")
    if not is_tensor(img, "adjust_saturation"):
        return pillow("ImageEnhance").Color(img).enhance(saturation_factor)
    check_channels(img, "adjust_saturation")
    if get_image_num_channels(img) == 1:
        return img
    return blend(img, rgb_to_grayscale(img), saturation_factor)


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """The picture with its colours turned on the colour circle.

    Args:
        img: the picture; one in shades of grey stays as it is.
        hue_factor: -0.5 to 0.5 of a full turn.
    """
    if not -0.5 <= hue_factor <= 0.5:
        given = f"hue_factor ({hue_factor}) is not in [-0.5, 0.5]"
        raise ConfigError(explain("adjust_hue", given, "half a turn reaches every colour"))
    if not is_tensor(img, "adjust_hue"):
        return img if img.mode in _WITHOUT_COLOUR else _turn_image(img, hue_factor)
    check_channels(img, "adjust_hue")
    if get_image_num_channels(img) == 1:
        return img
    hue, saturation, value = _hsv_of_rgb(convert_image_dtype(img, np.float32))
    turned = _rgb_of_hsv((hue + hue_factor) % 1.0, saturation, value)
    return convert_image_dtype(turned, img.dtype)


def _turn_image(image: Any, hue_factor: float) -> Any:
    hue, saturation, value = image.convert("HSV").split()
    turned = np.asarray(hue).astype(np.int32) + int(hue_factor * 255)
    hue = pillow().fromarray((turned % 256).astype(np.uint8))
    return pillow().merge("HSV", (hue, saturation, value)).convert(image.mode)


def _hsv_of_rgb(img: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue (of a full turn), saturation and value; A. R. Smith, "Color gamut transform pairs"."""
    red, green, blue = img.unbind(dim=-3)
    value, darkest = img.amax(dim=-3), img.amin(dim=-3)
    grey = value == darkest
    spread = value - darkest
    saturation = spread / where(grey, 1.0, value)
    divisor = where(grey, 1.0, spread)
    from_red, from_green, from_blue = ((value - x) / divisor for x in (red, green, blue))
    hue = where(
        value == red,
        from_blue - from_green,
        where(value == green, 2.0 + from_red - from_blue, 4.0 + from_green - from_red),
    )
    return (hue / 6.0 + 1.0).fmod(1.0), saturation, value


def _rgb_of_hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    sector = (hue * 6.0).floor()
    within = hue * 6.0 - sector
    low = (value * (1.0 - saturation)).clamp(0, 1)
    falling = (value * (1.0 - saturation * within)).clamp(0, 1)
    rising = (value * (1.0 - saturation * (1.0 - within))).clamp(0, 1)
    # Red, green and blue in each of the six sectors of the circle: (6, 3, height, width).
    table = [
        (value, rising, low),
        (falling, value, low),
        (low, value, rising),
        (low, falling, value),
        (rising, low, value),
        (value, low, falling),
    ]
    sector = sector.to(np.int64) % 6
    chosen = [sector == number for number in range(6)]
    channels = []
    for channel in range(3):
        out = table[0][channel]
        for mask, colours in zip(chosen[1:], table[1:], strict=True):
            out = where(mask, colours[channel], out)
        channels.append(out)
    return stack(channels, dim=-3)


def adjust_gamma(img: Any, gamma: float, gain: float = 1.0) -> Any:
    """The picture with brightness gain · x^gamma, for x from 0 to 1.

    Args:
        img: the picture.
        gamma: above 1 makes shadows darker, below 1 brighter.
        gain: a factor.
    """
    if gamma < 0:
        rule = "Gamma should be a non-negative real number"
        raise ConfigError(explain("adjust_gamma", f"gamma is {gamma}", rule))
    if not is_tensor(img, "adjust_gamma"):
        table = [int((255 + 1 - 1e-3) * gain * pow(level / 255, gamma)) for level in range(256)]
        return img.convert("RGB").point(table * 3).convert(img.mode)
    check_channels(img, "adjust_gamma")
    floats = img if img.is_floating_point() else convert_image_dtype(img, np.float32)
    return convert_image_dtype((gain * floats**gamma).clamp(0, 1), img.dtype)
