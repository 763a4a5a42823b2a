"""Transforms of colours, brightness and sharpness."""

from collections.abc import Callable, Sequence
from typing import Any

from narae.base.errors import ConfigError, DTypeError, explain

from . import draws
from .containers import Transform
from .functional import colours, filtering, tones
from .functional.images import Size, get_image_num_channels

_INFINITE = float("inf")


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue changed at random, in random order.

    Args:
        brightness, contrast, saturation: the range of the factor: (least, greatest); one number x
            means (1 - x, 1 + x).
        hue: the range of the turn: (least, greatest) in -0.5 to 0.5; one number x means (-x, x).

    >>> ColorJitter(brightness=0.2)
    ColorJitter(brightness=(0.8, 1.2), contrast=None, saturation=None, hue=None)
    """

    def __init__(
        self,
        brightness: float | Sequence[float] = 0,
        contrast: float | Sequence[float] = 0,
        saturation: float | Sequence[float] = 0,
        hue: float | Sequence[float] = 0,
    ) -> None:
        super().__init__()
        self.brightness = _factors("brightness", brightness)
        self.contrast = _factors("contrast", contrast)
        self.saturation = _factors("saturation", saturation)
        self.hue = _factors("hue", hue, middle=0.0, bounds=(-0.5, 0.5))

    @staticmethod
    def get_params(
        brightness: Any, contrast: Any, saturation: Any, hue: Any
    ) -> tuple[list[int], float | None, float | None, float | None, float | None]:
        """A random order and four random factors, None where nothing is to be changed."""
        order = draws.order(4)
        first, second, third, fourth = (
            None if ends is None else draws.uniform(*ends)
            for ends in (brightness, contrast, saturation, hue)
        )
        return order, first, second, third, fourth

    def forward(self, img: Any) -> Any:
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        adjustments: tuple[Callable[[Any, float], Any], ...] = (
            colours.adjust_brightness,
            colours.adjust_contrast,
            colours.adjust_saturation,
            colours.adjust_hue,
        )
        for place in order:
            factor = factors[place]
            if factor is not None:
                img = adjustments[place](img, factor)
        return img

    def extra_repr(self) -> str:
        names = ("brightness", "contrast", "saturation", "hue")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


def _factors(
    name: str, value: Any, middle: float = 1.0, bounds: tuple[float, float] = (0.0, _INFINITE)
) -> tuple[float, float] | None:
    """(least, greatest) of what a user gives; None if it changes nothing."""
    if isinstance(value, int | float):
        if value < 0:
            rule = f"If {name} is a single number, it must be non negative."
            raise ConfigError(explain("ColorJitter", f"{name} is {value}", rule))
        low, high = middle - float(value), middle + float(value)
        low = max(low, 0.0) if middle else low
    elif isinstance(value, tuple | list) and len(value) == 2:
        low, high = float(value[0]), float(value[1])
    else:
        rule = f"{name} should be a single number or a list/tuple with length 2."
        raise DTypeError(explain("ColorJitter", f"{name} is {value!r}", rule))
    if not bounds[0] <= low <= high <= bounds[1]:
        rule = f"{name} values should be between {bounds[0]} and {bounds[1]}"
        raise ConfigError(explain("ColorJitter", f"{name} is {(low, high)}", rule))
    return None if low == high == middle else (low, high)


class Grayscale(Transform):
    """The picture in shades of grey.

    Args:
        num_output_channels: 1, or 3 equal ones.
    """

    def __init__(self, num_output_channels: int = 1) -> None:
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img: Any) -> Any:
        return colours.rgb_to_grayscale(img, self.num_output_channels)

    def extra_repr(self) -> str:
        return f"num_output_channels={self.num_output_channels}"


class GaussianBlur(Transform):
    """The picture blurred by a random width.

    Args:
        kernel_size: odd: how many pixels are mixed, or (along x, along y).
        sigma: the width in pixels: (least, greatest), or one number.
    """

    def __init__(self, kernel_size: Size, sigma: float | Sequence[float] = (0.1, 2.0)) -> None:
        super().__init__()
        self.kernel_size = filtering.check_kernel_size(kernel_size)
        ends = (sigma, sigma) if isinstance(sigma, int | float) else tuple(sigma)
        if len(ends) != 2 or not 0 < ends[0] <= ends[1]:
            rule = "sigma values should be positive and of the form (min, max)."
            raise ConfigError(explain("GaussianBlur", f"sigma is {sigma!r}", rule))
        self.sigma = ends

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        """A random width."""
        return draws.uniform(sigma_min, sigma_max)

    def forward(self, img: Any) -> Any:
        width = self.get_params(*self.sigma)
        return filtering.gaussian_blur(img, self.kernel_size, [width, width])

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, sigma={self.sigma}"


class _WithChance(Transform):
    """A change that is made with a probability."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = draws.check_probability(p, type(self).__name__)

    def forward(self, img: Any) -> Any:
        return self.change(img) if draws.share() < self.p else img

    def change(self, img: Any) -> Any:
        """What is done."""
        raise NotImplementedError(f"{type(self).__name__} defines change")

    def extra_repr(self) -> str:
        return f"p={self.p}"


class RandomGrayscale(_WithChance):
    """The picture in shades of grey with a probability; it keeps its number of channels."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__(p)

    def change(self, img: Any) -> Any:
        return colours.rgb_to_grayscale(img, get_image_num_channels(img))


class RandomInvert(_WithChance):
    """The negative of the picture with a probability."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)

    def change(self, img: Any) -> Any:
        return tones.invert(img)


class RandomPosterize(_WithChance):
    """The picture with only the `bits` highest bits of each channel, with a probability."""

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__(p)
        self.bits = bits

    def change(self, img: Any) -> Any:
        return tones.posterize(img, self.bits)

    def extra_repr(self) -> str:
        return f"bits={self.bits},p={self.p}"


class RandomSolarize(_WithChance):
    """The picture with everything from a brightness on inverted, with a probability."""

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.threshold = threshold

    def change(self, img: Any) -> Any:
        return tones.solarize(img, self.threshold)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold},p={self.p}"


class RandomAdjustSharpness(_WithChance):
    """The picture blurred (factor 0) or sharpened (above 1), with a probability."""

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.sharpness_factor = sharpness_factor

    def change(self, img: Any) -> Any:
        return filtering.adjust_sharpness(img, self.sharpness_factor)

    def extra_repr(self) -> str:
        return f"sharpness_factor={self.sharpness_factor},p={self.p}"


class RandomAutocontrast(_WithChance):
    """Each channel stretched to the full range, with a probability."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)

    def change(self, img: Any) -> Any:
        return tones.autocontrast(img)


class RandomEqualize(_WithChance):
    """Each channel with all brightnesses about equally frequent, with a probability."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)

    def change(self, img: Any) -> Any:
        return tones.equalize(img)
