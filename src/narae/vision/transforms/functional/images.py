"""What a picture is: a Pillow image, or a tensor (..., channels, height, width)."""

from collections.abc import Sequence
from enum import Enum
from typing import Any, NoReturn

import numpy as np

from narae.base.dtypes import as_numpy
from narae.base.errors import ConfigError, DTypeError, ShapeError, explain, require
from narae.tensors import Tensor

Size = int | Sequence[int]
Fill = float | Sequence[float] | None


class InterpolationMode(Enum):
    """How values between pixels are found; BOX, HAMMING and LANCZOS for Pillow images only."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


PILLOW_MODES = {
    InterpolationMode.NEAREST: 0,
    InterpolationMode.NEAREST_EXACT: 0,
    InterpolationMode.LANCZOS: 1,
    InterpolationMode.BILINEAR: 2,
    InterpolationMode.BICUBIC: 3,
    InterpolationMode.BOX: 4,
    InterpolationMode.HAMMING: 5,
}
_MODES_OF_PILLOW = {number: mode for mode, number in reversed(PILLOW_MODES.items())}


def interpolation_of(mode: Any) -> InterpolationMode:
    """The mode that an InterpolationMode, or Pillow's number for one, means.

    >>> interpolation_of(2)
    <InterpolationMode.BILINEAR: 'bilinear'>
    """
    if isinstance(mode, InterpolationMode):
        return mode
    if isinstance(mode, int) and int(mode) in _MODES_OF_PILLOW:
        return _MODES_OF_PILLOW[int(mode)]
    rule = (
        "Argument interpolation should be a InterpolationMode or a corresponding Pillow "
        "integer constant"
    )
    raise DTypeError(explain("transforms", f"interpolation is {mode!r}", rule))


def pillow(part: str = "Image") -> Any:
    """A module of Pillow, which is imported only where it is needed."""
    return require(f"PIL.{part}", "data", "transforming images")


def is_pillow_image(picture: Any) -> bool:
    """Whether a picture is a Pillow image; asks without importing Pillow."""
    return hasattr(picture, "getbands") and hasattr(picture, "convert")


def is_tensor(picture: Any, what: str) -> bool:
    """Whether a picture is a tensor; False for a Pillow image, an error for anything else."""
    if is_pillow_image(picture):
        return False
    if not isinstance(picture, Tensor):
        refuse_kind(picture, what)
    if picture.ndim < 2:
        given = f"the picture is a tensor of shape {tuple(picture.shape)}"
        rule = "Tensor is not a torch image: it is (..., channels, height, width)"
        raise DTypeError(explain(what, given, rule))
    return True


def refuse_kind(picture: Any, what: str, rule: str = "") -> NoReturn:
    """Say that something is no picture."""
    fix = "put ToPILImage() or ToTensor() before it" if isinstance(picture, np.ndarray) else ""
    rule = rule or "img should be PIL Image or Tensor"
    raise DTypeError(explain(what, f"the picture is {type(picture).__name__}", rule, fix))


def get_dimensions(img: Any) -> list[int]:
    """Channels, height and width of a picture.

    >>> import narae
    >>> get_dimensions(narae.zeros(3, 4, 5))
    [3, 4, 5]
    """
    if not is_tensor(img, "get_dimensions"):
        width, height = img.size
        return [len(img.getbands()), height, width]
    channels = 1 if img.ndim == 2 else img.shape[-3]
    return [channels, *img.shape[-2:]]


def get_image_size(img: Any) -> list[int]:
    """Width and height of a picture."""
    return get_dimensions(img)[:0:-1]


def get_image_num_channels(img: Any) -> int:
    """How many channels a picture has."""
    return get_dimensions(img)[0]


def max_value(dtype: Any) -> int:
    """What white is: the greatest integer, or 1 for floats.

    >>> max_value(np.uint8), max_value(np.float32)
    (255, 1)
    """
    numpy_dtype = np.dtype(as_numpy(dtype))
    return int(np.iinfo(numpy_dtype).max) if numpy_dtype.kind in "iu" else 1


def check_channels(img: Tensor, what: str, permitted: Sequence[int] = (1, 3)) -> None:
    """Refuse tensors that are not grey or coloured pictures."""
    channels = get_image_num_channels(img)
    if channels not in permitted:
        rule = f"Input image tensor permitted channel values are {list(permitted)}"
        raise DTypeError(explain(what, f"the picture is {tuple(img.shape)}", rule))


def check_colour(img: Tensor, what: str) -> None:
    """Refuse tensors without a dimension for 1 or 3 channels."""
    if img.ndim < 3:
        rule = "Input image tensor should have at least 3 dimensions"
        raise DTypeError(explain(what, f"the picture is {tuple(img.shape)}", rule))
    check_channels(img, what)


def pair_of(size: Any, what: str, name: str = "size") -> tuple[int, int]:
    """(height, width) of one number or of two.

    >>> pair_of(3, "CenterCrop")
    (3, 3)
    """
    if isinstance(size, int | float):
        return int(size), int(size)
    if not isinstance(size, Sequence) or len(size) not in (1, 2):
        rule = f"Please provide only two dimensions (h, w) for {name}."
        raise ConfigError(explain(what, f"{name} is {size!r}", rule))
    return int(size[0]), int(size[-1])


def as_float_batch(img: Tensor, dtype: Any = None) -> Tensor:
    """A picture as floats (items, channels, height, width); floats keep their dtype."""
    if not img.is_floating_point():
        img = img.to(np.float32 if dtype is None else dtype)
    return img if img.ndim >= 4 else img.reshape(1, *[1] * (3 - img.ndim), *img.shape)


def like_before(out: Tensor, img: Tensor) -> Tensor:
    """Undo `as_float_batch`: dimensions and dtype become those of `img`; integers are rounded."""
    if img.ndim < 4:
        out = out.reshape(*img.shape[:-2], *out.shape[-2:])
    return out if img.is_floating_point() else out.round().to(img.dtype)


def float_dtype(img: Tensor) -> np.dtype[Any]:
    """The dtype a picture is computed with."""
    return img._value.dtype if img.is_floating_point() else np.dtype(np.float32)


def check_picture_size(size: Sequence[int], what: str) -> None:
    """Refuse sizes of no pixels."""
    if min(size) < 1:
        given = f"the size is {tuple(size)}"
        raise ShapeError(explain(what, given, "height and width are at least 1"))
