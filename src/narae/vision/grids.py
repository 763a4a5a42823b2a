"""Many pictures in one, and one picture in a file."""

import math
import os
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import ConfigError, DTypeError, ShapeError, explain, require
from narae.tensors import Tensor, no_grad
from narae.tensors.creation import from_numpy
from narae.tensors.joining import stack

Array = npt.NDArray[Any]

# Less than this between the darkest and the brightest value counts as no difference.
_LEAST_RANGE = 1e-5


@no_grad()
def make_grid(
    tensor: Tensor | Sequence[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """Put pictures beside and below each other.

    Args:
        tensor: (pictures, channels, height, width), one picture, or a list of pictures of one size;
            grey ones become coloured.
        nrow: pictures in a row.
        padding: pixels between them and around.
        normalize: scale values to 0..1.
        value_range: what becomes 0 and 1; by default the least and the greatest value.
        scale_each: find them for each picture by itself.
        pad_value: what is written between pictures.

    Returns:
        (channels, height, width); a single picture gets no border.

    Raises:
        ConfigError: if `value_range` is no pair, or there is no picture.
        DTypeError: for anything but tensors.
        ShapeError: for another number of dimensions, or pictures of several sizes.

    >>> import narae
    >>> make_grid(narae.zeros(5, 1, 8, 8), nrow=3, padding=1).shape
    narae.Size([3, 19, 28])
    """
    pictures = _as_pictures(tensor)
    if normalize:
        pictures = _normalized(pictures, value_range, scale_each)
    if len(pictures) == 1:
        return from_numpy(pictures[0].copy())
    count, channels, height, width = pictures.shape
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    high, wide = height + padding, width + padding
    shape = (channels, rows * high + padding, columns * wide + padding)
    grid = np.full(shape, pad_value, pictures.dtype)
    for index, picture in enumerate(pictures):
        top, left = index // columns * high + padding, index % columns * wide + padding
        grid[:, top : top + height, left : left + width] = picture
    return from_numpy(grid)


def save_image(
    tensor: Tensor | Sequence[Tensor],
    fp: str | os.PathLike[str] | IO[bytes],
    format: str | None = None,
    **kwargs: Any,
) -> None:
    """Write pictures into a file, as a grid if there are several.

    Args:
        tensor: pictures with values 0..1, as for `make_grid`.
        fp: a path or an open file.
        format: such as "PNG"; by default by the path's ending.
        **kwargs: what `make_grid` takes.

    Raises:
        ConfigError: if the ending of the path names no format of pictures.
    """
    images: Any = require("PIL.Image", "data", "writing pictures")
    grid = make_grid(tensor, **kwargs).numpy()  # (channels, height, width)
    values = np.clip(grid * np.asarray(255, grid.dtype) + 0.5, 0, 255).astype(np.uint8)
    image = images.fromarray(np.ascontiguousarray(values.transpose(1, 2, 0)))
    try:
        image.save(fp, format=format)
    except ValueError as error:
        rule = "the ending of the path, or format, names a kind of picture"
        raise ConfigError(explain("save_image", str(error), rule, "end it in .png")) from error


def _as_pictures(tensor: Tensor | Sequence[Tensor]) -> Array:
    """(pictures, channels, height, width), coloured."""
    if not isinstance(tensor, Tensor):
        tensor = _stacked(tensor)
    pictures = tensor.detach().numpy()
    if pictures.ndim not in (2, 3, 4):
        given, rule = f"the tensor is {tensor.shape}", "it is (pictures, channels, height, width)"
        raise ShapeError(explain("make_grid", given, rule))
    pictures = pictures.reshape(*[1] * (4 - pictures.ndim), *pictures.shape)
    if not len(pictures):
        given = f"the tensor is {tuple(pictures.shape)}"
        raise ConfigError(explain("make_grid", given, "there is at least one picture"))
    return np.repeat(pictures, 3, axis=1) if pictures.shape[1] == 1 else pictures


def _stacked(pictures: Any) -> Tensor:
    if not isinstance(pictures, list | tuple) or not pictures:
        given = f"it is {type(pictures).__name__}"
        raise DTypeError(explain("make_grid", given, "tensor or list of tensors expected"))
    for picture in pictures:
        if not isinstance(picture, Tensor):
            given = f"a list containing {type(picture).__name__}"
            raise DTypeError(explain("make_grid", given, "tensor or list of tensors expected"))
    if len({tuple(picture.shape) for picture in pictures}) > 1:
        given = f"sizes are {', '.join(str(tuple(picture.shape)) for picture in pictures[:4])}"
        raise ShapeError(explain("make_grid", given, "pictures have one size"))
    return stack(pictures)


def _normalized(pictures: Array, value_range: Any, scale_each: bool) -> Array:
    if value_range is not None and not isinstance(value_range, tuple):
        rule = "value_range has to be a tuple (min, max) if specified. min and max are numbers"
        raise ConfigError(explain("make_grid", f"value_range is {value_range!r}", rule))
    groups = pictures if scale_each else [pictures]
    done = [_scaled(group, *(value_range or (group.min(), group.max()))) for group in groups]
    return np.stack(done) if scale_each else done[0]


def _scaled(values: Array, low: Any, high: Any) -> Array:
    low, high = float(low), float(high)
    inside = np.clip(values, low, high).astype(values.dtype)
    scaled = (inside - np.asarray(low, values.dtype)) / np.asarray(
        max(high - low, _LEAST_RANGE), values.dtype
    )
    return scaled.astype(values.dtype, copy=False)
