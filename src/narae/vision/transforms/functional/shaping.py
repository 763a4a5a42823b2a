"""Cutting out, padding, mirroring and resizing pictures; erasing parts of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, DTypeError, ShapeError, explain
from narae.nn import functional as F
from narae.tensors import Tensor
from narae.tensors.creation import from_numpy
from narae.tensors.joining import cat

from .images import (
    PILLOW_MODES,
    Fill,
    InterpolationMode,
    Size,
    as_float_batch,
    check_picture_size,
    get_dimensions,
    interpolation_of,
    is_tensor,
    like_before,
    pair_of,
    pillow,
    refuse_kind,
)

PADDING_MODES = ("constant", "edge", "reflect", "symmetric")
_TENSOR_MODES = {"edge": "replicate", "reflect": "reflect"}
_SMOOTH = (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)
_PILLOW_ONLY = (InterpolationMode.BOX, InterpolationMode.HAMMING, InterpolationMode.LANCZOS)


def hflip(img: Any) -> Any:
    """The picture with left and right changed.

    >>> import narae
    >>> hflip(narae.tensor([[1, 2, 3]]))
    tensor([[3, 2, 1]])
    """
    if is_tensor(img, "hflip"):
        return img.flip(-1)
    return img.transpose(pillow().Transpose.FLIP_LEFT_RIGHT)


def vflip(img: Any) -> Any:
    """The picture upside down."""
    if is_tensor(img, "vflip"):
        return img.flip(-2)
    return img.transpose(pillow().Transpose.FLIP_TOP_BOTTOM)


# --- cutting out ----------------------------------------------------------------------------


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """A part of the picture; what lies outside of it is 0.

    >>> import narae
    >>> crop(narae.tensor([[1, 2], [3, 4]]), top=0, left=1, height=2, width=2)
    tensor([[2, 0],
            [4, 0]])
    """
    if not is_tensor(img, "crop"):
        return img.crop((left, top, left + width, top + height))
    _, rows, columns = get_dimensions(img)
    bottom, right = top + height, left + width
    inside = img[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if top >= 0 and left >= 0 and bottom <= rows and right <= columns:
        return inside
    return pad(inside, _around(top, bottom, rows, left, right, columns))


def _around(
    top: int, bottom: int, rows: int, left: int, right: int, columns: int
) -> tuple[int, int, int, int]:
    """What is missing on the left, top, right and bottom of a part, which may lie outside."""
    return (
        max(min(right, 0) - left, 0),
        max(min(bottom, 0) - top, 0),
        max(right - max(columns, left), 0),
        max(bottom - max(rows, top), 0),
    )


def center_crop(img: Any, output_size: Size) -> Any:
    """The middle of the picture; a picture that is too small is padded with 0.

    Args:
        img: the picture.
        output_size: (height, width), or one number for both.
    """
    height, width = pair_of(output_size, "center_crop", "output_size")
    _, rows, columns = get_dimensions(img)
    missing = (max(height - rows, 0), max(width - columns, 0))
    if any(missing):
        low = (missing[1] // 2, missing[0] // 2)
        img = pad(img, (*low, missing[1] - low[0], missing[0] - low[1]))
        _, rows, columns = get_dimensions(img)
    # Halves go to the even number, as Python rounds.
    top, left = round((rows - height) / 2), round((columns - width) / 2)
    return crop(img, top, left, height, width)


def five_crop(img: Any, size: Size) -> tuple[Any, Any, Any, Any, Any]:
    """The four corners (top left, top right, bottom left, bottom right) and the middle.

    Raises:
        ShapeError: if the picture is smaller than a part.
    """
    height, width = pair_of(size, "five_crop")
    _, rows, columns = get_dimensions(img)
    if height > rows or width > columns:
        given = f"Requested crop size {(height, width)} is bigger than input size {(rows, columns)}"
        raise ShapeError(explain("five_crop", given, "the parts are cut out of the picture"))
    corners = [(top, left) for top in (0, rows - height) for left in (0, columns - width)]
    first, second, third, fourth = (crop(img, *place, height, width) for place in corners)
    return first, second, third, fourth, center_crop(img, (height, width))


def ten_crop(img: Any, size: Size, vertical_flip: bool = False) -> tuple[Any, ...]:
    """`five_crop` of the picture and of its mirror image."""
    mirrored = vflip(img) if vertical_flip else hflip(img)
    return five_crop(img, size) + five_crop(mirrored, size)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: Size,
    interpolation: Any = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """A part of the picture, resized."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


# --- padding --------------------------------------------------------------------------------


def pad(img: Any, padding: Size, fill: Fill = 0, padding_mode: str = "constant") -> Any:
    """The picture with more (or, for negative numbers, less) on its sides.

    Args:
        img: the picture.
        padding: one number for all sides, (left and right, top and bottom), or
            (left, top, right, bottom).
        fill: what "constant" adds: a number, or for Pillow images one a channel.
        padding_mode: "constant", "edge" (the outermost pixel again), "reflect" (mirrored without
            the outermost pixel) or "symmetric" (mirrored with it).

    >>> import narae
    >>> pad(narae.tensor([[1, 2, 3]]), (2, 0), padding_mode="symmetric")
    tensor([[2, 1, 1, 2, 3, 3, 2]])
    """
    sides = sides_of(padding)
    check_padding(fill, padding_mode)
    if not is_tensor(img, "pad"):
        return _pad_image(img, sides, fill, padding_mode)
    left, top, right, bottom = sides
    if padding_mode == "symmetric":
        return _symmetric(_symmetric(img, -1, left, right), -2, top, bottom)
    if padding_mode == "constant":
        if isinstance(fill, Sequence):
            fix = "fill a Pillow image, before ToTensor"
            rule = "fill of a tensor is one number"
            raise DTypeError(explain("pad", f"Got inappropriate fill arg {fill}", rule, fix))
        return F.pad(img, [left, right, top, bottom], value=fill or 0)
    out = F.pad(as_float_batch(img), [left, right, top, bottom], mode=_TENSOR_MODES[padding_mode])
    return like_before(out, img)


def sides_of(padding: Any) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what `pad` takes.

    >>> sides_of((1, 2))
    (1, 2, 1, 2)
    """
    if isinstance(padding, int):
        return padding, padding, padding, padding
    if not isinstance(padding, tuple | list):
        given = f"Got inappropriate padding arg {padding!r}"
        raise DTypeError(explain("pad", given, "padding is an int, or a tuple of 1, 2 or 4"))
    if len(padding) not in (1, 2, 4):
        rule = "Padding must be an int or a 1, 2, or 4 element tuple"
        raise ConfigError(explain("pad", f"padding has {len(padding)} elements", rule))
    left, top, right, bottom = tuple(padding) * (4 // len(padding))
    return left, top, right, bottom


def check_padding(fill: Any, padding_mode: str) -> None:
    """Refuse other fills and modes than `pad` knows."""
    if fill is not None and not isinstance(fill, int | float | tuple | list):
        given = f"Got inappropriate fill arg {fill!r}"
        raise DTypeError(explain("pad", given, "fill is a number, or one a channel"))
    if padding_mode not in PADDING_MODES:
        rule = "Padding mode should be either constant, edge, reflect or symmetric"
        raise ConfigError(explain("pad", f"padding_mode is {padding_mode!r}", rule))


def _symmetric(x: Tensor, dim: int, low: int, high: int) -> Tensor:
    length = x.shape[dim]
    if max(low, high) > length:
        given = f"the picture is {tuple(x.shape)}, {max(low, high)} is added to {length}"
        raise ShapeError(explain("pad", given, "a picture can be mirrored once on each side"))
    x = x.narrow(dim, -min(low, 0), length + min(low, 0) + min(high, 0))
    length = x.shape[dim]
    before = x.narrow(dim, 0, max(low, 0)).flip(dim)
    after = x.narrow(dim, length - max(high, 0), max(high, 0)).flip(dim)
    return cat([before, x, after], dim)


def _pad_image(image: Any, sides: Sequence[int], fill: Fill, padding_mode: str) -> Any:
    if padding_mode == "constant":
        colour = fill_of_image(image, fill)
        out = pillow("ImageOps").expand(image, border=tuple(sides), fill=colour)
    else:
        out = _pad_by_values(image, sides, padding_mode)
    if image.mode == "P":
        out.putpalette(image.getpalette())
    return out


def _pad_by_values(image: Any, sides: Sequence[int], padding_mode: str) -> Any:
    left, top, right, bottom = (max(-side, 0) for side in sides)
    array = np.asarray(image)
    array = array[top : array.shape[0] - bottom, left : array.shape[1] - right]
    left, top, right, bottom = (max(side, 0) for side in sides)
    around = ((top, bottom), (left, right), (0, 0))[: array.ndim]
    mode: Any = padding_mode
    return pillow().fromarray(np.pad(array, around, mode))


def fill_of_image(image: Any, fill: Fill) -> Any:
    """A colour as Pillow takes it for an image: a number, or a tuple of one a channel."""
    channels = len(image.getbands())
    numbers: list[float] = list(fill) if isinstance(fill, Sequence) else [fill or 0] * channels
    numbers = numbers * channels if len(numbers) == 1 else numbers
    if len(numbers) != channels:
        given = f"fill has {len(numbers)} numbers, the image {channels} channels"
        raise ShapeError(
            explain(
                "fill",
                given,
                "The number of elements in 'fill' does not match the number of channels",
            )
        )
    numbers = numbers if image.mode == "F" else [int(number) for number in numbers]
    return tuple(numbers) if channels > 1 else numbers[0]


# --- resizing -------------------------------------------------------------------------------


def resize(
    img: Any,
    size: Size,
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """The picture in another size.

    Args:
        img: the picture.
        size: (height, width), or one number for the shorter side; the other one follows.
        interpolation: how values between pixels are found.
        max_size: the longer side is at most so long; only with one number as size.
        antialias: whether a tensor that shrinks is averaged over the pixels it had; Pillow images
            always are.
    """
    mode = interpolation_of(interpolation)
    _, rows, columns = get_dimensions(img)
    height, width = resized_size((rows, columns), size, max_size)
    if (height, width) == (rows, columns):
        return img
    check_picture_size((height, width), "resize")
    if not is_tensor(img, "resize"):
        return img.resize((width, height), PILLOW_MODES[mode])
    if mode in _PILLOW_ONLY:
        refuse_mode(mode, "resize")
    smooth = mode in _SMOOTH
    out = F.interpolate(
        as_float_batch(img),
        size=(height, width),
        mode=mode.value,
        align_corners=False if smooth else None,
        antialias=bool(antialias) and smooth,
    )
    if mode is InterpolationMode.BICUBIC and img._value.dtype == np.uint8:
        out = out.clamp(0, 255)  # it swings over the edges
    return like_before(out, img)


def resized_size(
    picture: tuple[int, int], size: Size, max_size: int | None = None
) -> tuple[int, int]:
    """(height, width) that `resize` gives a picture of (height, width).

    >>> resized_size((100, 200), 50), resized_size((100, 200), 50, max_size=80)
    ((50, 100), (40, 80))
    """
    if isinstance(size, Sequence) and len(size) == 2:
        if max_size is not None:
            given = f"size is {tuple(size)}, max_size {max_size}"
            rule = "max_size should only be passed if size specifies the smaller edge"
            raise ConfigError(explain("resize", given, rule))
        return int(size[0]), int(size[1])
    shorter = pair_of(size, "resize")[0]
    rows, columns = picture
    longer = int(shorter * max(picture) / min(picture))
    if max_size is not None:
        if max_size <= shorter:
            given = f"max_size = {max_size} and size = {size}"
            rule = "max_size must be strictly greater than the size of the smaller edge"
            raise ConfigError(explain("resize", given, rule))
        if longer > max_size:
            shorter, longer = int(max_size * shorter / longer), max_size
    return (longer, shorter) if columns <= rows else (shorter, longer)


def refuse_mode(mode: InterpolationMode, what: str) -> None:
    """Say that tensors cannot be interpolated so."""
    given = f"Interpolation mode '{mode.value}' is unsupported with Tensor input"
    raise ConfigError(explain(what, given, "it needs Pillow", "apply it before ToTensor()"))


# --- erasing --------------------------------------------------------------------------------


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Tensor:
    """The picture with a rectangle of other values.

    Args:
        img: (..., channels, height, width).
        i, j: the top left corner.
        h, w: height and width of the rectangle.
        v: a tensor that broadcasts to (channels, h, w), or a number.
        inplace: write into the picture.
    """
    if not isinstance(img, Tensor):
        refuse_kind(img, "erase", "img should be Tensor Image")
    out = img if inplace else img.clone()
    out[..., i : i + h, j : j + w] = v if isinstance(v, Tensor) else from_numpy(np.asarray(v))
    return out
