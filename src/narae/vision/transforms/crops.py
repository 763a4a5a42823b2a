"""Transforms that resize, cut out, pad, mirror or erase."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from narae.base.errors import ConfigError, DTypeError, ShapeError, explain
from narae.tensors import Tensor
from narae.tensors.creation import empty, tensor

from . import draws
from .containers import Transform
from .functional import shaping
from .functional.images import (
    Fill,
    InterpolationMode,
    Size,
    get_dimensions,
    interpolation_of,
    pair_of,
    refuse_kind,
)

_TRIES = 10


class Resize(Transform):
    """The picture in another size.

    Args:
        size: (height, width), or one number for the shorter side; the other one follows.
        interpolation: how values between pixels are found.
        max_size: the longer side is at most so long; only with one number as size.
        antialias: whether a tensor that shrinks is averaged over the pixels it had; Pillow images
            always are.

    >>> from PIL import Image
    >>> Resize(16)(Image.new("L", (64, 32))).size
    (32, 16)
    """

    def __init__(
        self,
        size: Size,
        interpolation: Any = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        if not isinstance(size, int | Sequence):
            rule = "Size should be int or sequence"
            raise DTypeError(explain("Resize", f"size is {size!r}", rule))
        if isinstance(size, Sequence) and len(size) not in (1, 2):
            rule = "If size is a sequence, it should have 1 or 2 values"
            raise ConfigError(explain("Resize", f"size is {size!r}", rule))
        self.size, self.max_size, self.antialias = size, max_size, antialias
        self.interpolation = interpolation_of(interpolation)

    def forward(self, img: Any) -> Any:
        return shaping.resize(img, self.size, self.interpolation, self.max_size, self.antialias)

    def extra_repr(self) -> str:
        return (
            f"size={self.size}, interpolation={self.interpolation.value}, "
            f"max_size={self.max_size}, antialias={self.antialias}"
        )


class _Sized(Transform):
    """A transform that is said by a size."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = pair_of(size, type(self).__name__)

    def extra_repr(self) -> str:
        return f"size={self.size}"


class CenterCrop(_Sized):
    """The middle of the picture; a picture that is too small is padded with 0.

    >>> import narae
    >>> CenterCrop(1)(narae.arange(9).reshape(1, 3, 3))
    tensor([[[4]]])
    """

    def forward(self, img: Any) -> Any:
        return shaping.center_crop(img, self.size)


class FiveCrop(_Sized):
    """The four corners and the middle, as a tuple."""

    def forward(self, img: Any) -> Any:
        return shaping.five_crop(img, self.size)


class TenCrop(_Sized):
    """The four corners and the middle of the picture and of its mirror image, as a tuple."""

    def __init__(self, size: Size, vertical_flip: bool = False) -> None:
        super().__init__(size)
        self.vertical_flip = vertical_flip

    def forward(self, img: Any) -> Any:
        return shaping.ten_crop(img, self.size, self.vertical_flip)

    def extra_repr(self) -> str:
        return f"size={self.size}, vertical_flip={self.vertical_flip}"


class Pad(Transform):
    """More on the sides of the picture; see `functional.pad`."""

    def __init__(self, padding: Size, fill: Fill = 0, padding_mode: str = "constant") -> None:
        super().__init__()
        shaping.sides_of(padding)
        shaping.check_padding(fill, padding_mode)
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def forward(self, img: Any) -> Any:
        return shaping.pad(img, self.padding, self.fill, self.padding_mode)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode}"


class RandomCrop(Transform):
    """A part of the picture at a random place.

    Args:
        size: (height, width), or one number for both.
        padding: added first, as by `Pad`.
        pad_if_needed: pad pictures that are too small on both sides, so that a part can be cut.
        fill, padding_mode: how to pad.

    Raises:
        ShapeError: if a picture is smaller than the part.

    >>> import narae
    >>> RandomCrop(4, padding=1)(narae.zeros(3, 4, 4)).shape
    narae.Size([3, 4, 4])
    """

    def __init__(
        self,
        size: Size,
        padding: Size | None = None,
        pad_if_needed: bool = False,
        fill: Fill = 0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        shaping.check_padding(fill, padding_mode)
        self.size = pair_of(size, "RandomCrop")
        self.padding, self.pad_if_needed = padding, pad_if_needed
        self.fill, self.padding_mode = fill, padding_mode

    @staticmethod
    def get_params(img: Any, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Top, left, height and width of a random part."""
        _, rows, columns = get_dimensions(img)
        height, width = output_size
        if rows < height or columns < width:
            given = f"Required crop size {(height, width)} is larger than input image size"
            fix = "RandomCrop(..., padding=4) or pad_if_needed=True"
            raise ShapeError(explain("RandomCrop", f"{given} {(rows, columns)}", "it fits", fix))
        if (rows, columns) == (height, width):
            return 0, 0, rows, columns
        top = draws.integer(0, rows - height + 1)
        return top, draws.integer(0, columns - width + 1), height, width

    def forward(self, img: Any) -> Any:
        if self.padding is not None:
            img = shaping.pad(img, self.padding, self.fill, self.padding_mode)
        if self.pad_if_needed:
            _, rows, columns = get_dimensions(img)
            missing = (max(self.size[1] - columns, 0), max(self.size[0] - rows, 0))
            if any(missing):
                img = shaping.pad(img, missing, self.fill, self.padding_mode)
        return shaping.crop(img, *self.get_params(img, self.size))

    def extra_repr(self) -> str:
        return f"size={self.size}, padding={self.padding}"


class RandomResizedCrop(Transform):
    """A random part of random size and shape, resized: the augmentation of ImageNet.

    Args:
        size: (height, width) of the result, or one number for both.
        scale: which share of the area the part has: (least, greatest).
        ratio: width / height of the part: (least, greatest).
        interpolation, antialias: how to resize.

    Source: C. Szegedy et al., "Going deeper with convolutions", 2015, section 6.
    """

    def __init__(
        self,
        size: Size,
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: Any = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.size = pair_of(size, "RandomResizedCrop")
        self.scale = draws.check_range(scale, "scale", "RandomResizedCrop", 0)
        self.ratio = draws.check_range(ratio, "ratio", "RandomResizedCrop", 0)
        self.interpolation, self.antialias = interpolation_of(interpolation), antialias

    @staticmethod
    def get_params(
        img: Any, scale: Sequence[float], ratio: Sequence[float]
    ) -> tuple[int, int, int, int]:
        """Top, left, height and width of a random part; after ten misses of the middle."""
        _, rows, columns = get_dimensions(img)
        for _ in range(_TRIES):
            area = rows * columns * draws.uniform(*scale)
            shape = draws.log_uniform(ratio)
            width, height = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
            if 0 < width <= columns and 0 < height <= rows:
                top = draws.integer(0, rows - height + 1)
                return top, draws.integer(0, columns - width + 1), height, width
        height, width = rows, columns
        if columns / rows < min(ratio):
            height = round(columns / min(ratio))
        elif columns / rows > max(ratio):
            width = round(rows * max(ratio))
        return (rows - height) // 2, (columns - width) // 2, height, width

    def forward(self, img: Any) -> Any:
        part = self.get_params(img, self.scale, self.ratio)
        return shaping.resized_crop(
            img, *part, self.size, self.interpolation, antialias=self.antialias
        )

    def extra_repr(self) -> str:
        scale, ratio = (tuple(round(x, 4) for x in ends) for ends in (self.scale, self.ratio))
        return (
            f"size={self.size}, scale={scale}, ratio={ratio}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias}"
        )


class RandomFlip(Transform):
    """One of the two mirror images, with a probability."""

    _flip: Callable[[Any], Any]

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = draws.check_probability(p, type(self).__name__)

    def forward(self, img: Any) -> Any:
        return type(self)._flip(img) if draws.share() < self.p else img

    def extra_repr(self) -> str:
        return f"p={self.p}"


class RandomHorizontalFlip(RandomFlip):
    """Left and right changed, with a probability.

    >>> import narae
    >>> RandomHorizontalFlip(p=1.0)(narae.tensor([[1, 2]]))
    tensor([[2, 1]])
    """

    _flip = staticmethod(shaping.hflip)


class RandomVerticalFlip(RandomFlip):
    """Upside down, with a probability."""

    _flip = staticmethod(shaping.vflip)


class RandomErasing(Transform):
    """A random rectangle erased, with a probability; for tensors.

    Args:
        p: the probability.
        scale: which share of the area is erased: (least, greatest).
        ratio: height / width of the rectangle: (least, greatest).
        value: what is written: a number, one a channel, or "random" (normal numbers).
        inplace: write into the picture.

    Source: Z. Zhong et al., "Random Erasing Data Augmentation", arXiv:1708.04896, 2017.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: Any = 0,
        inplace: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(value, int | float | str | tuple | list):
            rule = "Argument value should be either a number or str or a sequence"
            raise DTypeError(explain("RandomErasing", f"value is {value!r}", rule))
        if isinstance(value, str) and value != "random":
            rule = "If value is str, it should be 'random'"
            raise ConfigError(explain("RandomErasing", f"value is {value!r}", rule))
        self.p = draws.check_probability(p, "RandomErasing")
        self.scale = draws.check_range(scale, "scale", "RandomErasing", 0)
        self.ratio = draws.check_range(ratio, "ratio", "RandomErasing", 0)
        if self.scale[1] > 1:
            given = f"scale is {scale}"
            raise ConfigError(explain("RandomErasing", given, "Scale should be between 0 and 1"))
        self.value, self.inplace = value, inplace

    @staticmethod
    def get_params(
        img: Tensor,
        scale: Sequence[float],
        ratio: Sequence[float],
        value: Sequence[float] | None = None,
    ) -> tuple[int, int, int, int, Tensor]:
        """Top, left, height, width and values; after ten misses the picture itself."""
        channels, rows, columns = get_dimensions(img)
        for _ in range(_TRIES):
            area = rows * columns * draws.uniform(*scale)
            shape = draws.log_uniform(ratio)
            height, width = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
            if not (height < rows and width < columns):
                continue
            if value is None:
                values = empty(channels, height, width).normal_()
            else:
                values = tensor(list(value))[:, None, None]
            top = draws.integer(0, rows - height + 1)
            return top, draws.integer(0, columns - width + 1), height, width, values
        return 0, 0, rows, columns, img

    def forward(self, img: Tensor) -> Tensor:
        if not isinstance(img, Tensor):
            refuse_kind(img, "RandomErasing", "img should be Tensor Image: put it after ToTensor()")
        if draws.share() >= self.p:
            return img
        value = self._numbers()
        if value is not None and len(value) not in (1, img.shape[-3]):
            given = f"value has {len(value)} numbers, the picture {img.shape[-3]} channels"
            rule = "value has either a single number or one a channel"
            raise ShapeError(explain("RandomErasing", given, rule))
        part = self.get_params(img, self.scale, self.ratio, value)
        return shaping.erase(img, *part, inplace=self.inplace)

    def _numbers(self) -> list[float] | None:
        """What is written; None for random numbers."""
        if isinstance(self.value, str):
            return None
        numbers = [self.value] if isinstance(self.value, int | float) else self.value
        return [float(number) for number in numbers]

    def extra_repr(self) -> str:
        return (
            f"p={self.p}, scale={self.scale}, ratio={self.ratio}, value={self.value}, "
            f"inplace={self.inplace}"
        )
