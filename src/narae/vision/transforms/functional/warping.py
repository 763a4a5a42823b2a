"""Rotation, shear and perspective: each pixel of the result looks up where it came from.

Positions are (x, y) to the right and down, in pixels; the matrices map positions of the result to
positions of the picture, so nothing is left empty in between.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import ConfigError, DTypeError, ShapeError, explain
from narae.nn import functional as F
from narae.tensors import Tensor
from narae.tensors.creation import constant
from narae.tensors.joining import cat

from .images import (
    PILLOW_MODES,
    Fill,
    InterpolationMode,
    as_float_batch,
    float_dtype,
    get_dimensions,
    get_image_num_channels,
    interpolation_of,
    is_tensor,
    like_before,
    pillow,
)
from .shaping import fill_of_image, refuse_mode

Array = npt.NDArray[Any]
_TENSOR_MODES = (InterpolationMode.NEAREST, InterpolationMode.BILINEAR)
_NEARLY_WHOLE = 1e-4  # so that rounding errors do not add a row


def inverse_affine_matrix(
    center: Sequence[float],
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: Sequence[float],
) -> list[float]:
    """The six numbers (a, b, c, d, e, f) with x = a x' + b y' + c and y = d x' + e y' + f.

    The map from (x, y) to (x', y') is: move the center to 0, shear, rotate, scale, move back and
    translate. Angles are in degrees.

    >>> inverse_affine_matrix((0, 0), 0, (3, 0), 1.0, (0, 0))
    [1.0, 0.0, -3.0, 0.0, 1.0, 0.0]
    """
    turn, shear_x, shear_y = (math.radians(number) for number in (angle, *shear))
    # rotation · shear along y · shear along x
    forward = np.array(
        [
            [
                math.cos(turn - shear_y) / math.cos(shear_y),
                -math.cos(turn - shear_y) * math.tan(shear_x) / math.cos(shear_y) - math.sin(turn),
            ],
            [
                math.sin(turn - shear_y) / math.cos(shear_y),
                -math.sin(turn - shear_y) * math.tan(shear_x) / math.cos(shear_y) + math.cos(turn),
            ],
        ]
    )
    (a, b), (c, d) = forward
    inverse = np.array([[d, -b], [-c, a]]) / scale  # the determinant of `forward` is 1
    moved = np.asarray(center, float) + np.asarray(translate, float)
    offset = np.asarray(center, float) - inverse @ moved
    rows = np.column_stack([inverse, offset]) + 0.0  # no minus zeros
    return [float(number) for number in rows.flatten()]


def affine(
    img: Any,
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: float | Sequence[float],
    interpolation: Any = InterpolationMode.NEAREST,
    fill: Fill = None,
    center: Sequence[float] | None = None,
) -> Any:
    """The picture sheared, rotated, scaled and moved, in this order, in its own frame.

    Args:
        img: the picture.
        angle: clockwise, in degrees.
        translate: (to the right, down), in pixels.
        scale: 2 makes everything twice as large.
        shear: in degrees, along x, or along (x, y).
        interpolation: how values between pixels are found.
        fill: what appears outside of the picture: a number, or one a channel; 0 by default.
        center: (x, y) of what stays in place but for the translation; the middle by default.
    """
    mode = interpolation_of(interpolation)
    shears = _check_affine(angle, translate, scale, shear, center)
    _, height, width = get_dimensions(img)
    if not is_tensor(img, "affine"):
        middle = [width * 0.5, height * 0.5] if center is None else center
        matrix = inverse_affine_matrix(middle, angle, translate, scale, shears)
        return _transform_image(img, "AFFINE", matrix, mode, fill)
    middle = _from_middle(center, width, height)
    matrix = inverse_affine_matrix(middle, angle, translate, scale, shears)
    return _sample(img, _affine_positions(matrix, img, height, width), mode, fill, "affine")


def rotate(
    img: Any,
    angle: float,
    interpolation: Any = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Fill = None,
) -> Any:
    """The picture rotated.

    Args:
        img: the picture.
        angle: counter-clockwise, in degrees.
        interpolation: how values between pixels are found.
        expand: make the result so large that nothing is cut off (about the middle).
        center: (x, y) of what stays in place; the middle by default.
        fill: what appears outside of the picture: a number, or one a channel; 0 by default.
    """
    mode = interpolation_of(interpolation)
    if not isinstance(angle, int | float):
        given = f"angle is {type(angle).__name__}"
        raise DTypeError(explain("rotate", given, "Argument angle should be int or float"))
    _check_pair("rotate", "center", center)
    if not is_tensor(img, "rotate"):
        colour = fill_of_image(img, fill)
        return img.rotate(angle, PILLOW_MODES[mode], expand, center, fillcolor=colour)
    _, height, width = get_dimensions(img)
    middle = _from_middle(center, width, height)
    matrix = inverse_affine_matrix(middle, -angle, (0, 0), 1.0, (0, 0))
    rows, columns = _expanded_size(matrix, height, width) if expand else (height, width)
    return _sample(img, _affine_positions(matrix, img, rows, columns), mode, fill, "rotate")


def perspective(
    img: Any,
    startpoints: Sequence[Sequence[int]],
    endpoints: Sequence[Sequence[int]],
    interpolation: Any = InterpolationMode.BILINEAR,
    fill: Fill = None,
) -> Any:
    """The picture as seen from another side: four points move, and straight lines stay straight.

    Args:
        img: the picture.
        startpoints: four points (x, y) of the picture: top left, top right, bottom right, bottom
            left.
        endpoints: where they are in the result.
        interpolation: how values between pixels are found.
        fill: what appears outside of the picture: a number, or one a channel; 0 by default.
    """
    mode = interpolation_of(interpolation)
    numbers = perspective_coefficients(startpoints, endpoints)
    if not is_tensor(img, "perspective"):
        return _transform_image(img, "PERSPECTIVE", numbers, mode, fill)
    return _sample(img, _perspective_positions(numbers, img), mode, fill, "perspective")


def perspective_coefficients(
    startpoints: Sequence[Sequence[float]], endpoints: Sequence[Sequence[float]]
) -> list[float]:
    """Eight numbers with x = (a x' + b y' + c) / (g x' + h y' + 1), y = (d x' + e y' + f) / (…).

    >>> square = [(0, 0), (9, 0), (9, 9), (0, 9)]
    >>> [round(number, 6) + 0.0 for number in perspective_coefficients(square, square)]
    [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    """
    if len(startpoints) != 4 or len(endpoints) != 4:
        given = f"got {len(startpoints)} startpoints and {len(endpoints)} endpoints"
        raise ConfigError(explain("perspective", given, "Please provide exactly four corners"))
    rows = []
    for (x, y), (u, v) in zip(startpoints, endpoints, strict=True):
        rows.append([u, v, 1, 0, 0, 0, -x * u, -x * v])
        rows.append([0, 0, 0, u, v, 1, -y * u, -y * v])
    wanted = np.asarray(startpoints, float).flatten()
    solution = np.linalg.lstsq(np.asarray(rows, float), wanted, rcond=None)[0]
    return [float(number) for number in solution.astype(np.float32)]


def _check_affine(
    angle: Any, translate: Any, scale: Any, shear: Any, center: Any
) -> tuple[float, float]:
    """Refuse what `affine` cannot use; returns the shear along x and along y."""
    if not isinstance(angle, int | float):
        given = f"angle is {type(angle).__name__}"
        raise DTypeError(explain("affine", given, "Argument angle should be int or float"))
    _check_pair("affine", "translate", translate, needed=True)
    _check_pair("affine", "center", center)
    if scale <= 0:
        rule = "Argument scale should be positive"
        raise ConfigError(explain("affine", f"scale is {scale}", rule))
    if isinstance(shear, int | float):
        return float(shear), 0.0
    if not isinstance(shear, Sequence):
        rule = "Shear should be either a single value or a sequence of two values"
        raise DTypeError(explain("affine", f"shear is {shear!r}", rule))
    if len(shear) not in (1, 2):
        rule = "Shear should be a sequence containing two values"
        raise ConfigError(explain("affine", f"shear is {shear!r}", rule))
    return float(shear[0]), float(shear[-1])


def _check_pair(what: str, name: str, value: Any, needed: bool = False) -> None:
    if value is None and not needed:
        return
    if not isinstance(value, tuple | list):
        given = f"{name} is {value!r}"
        raise DTypeError(explain(what, given, f"Argument {name} should be a sequence"))
    if len(value) != 2:
        given = f"{name} is {value!r}"
        raise ConfigError(explain(what, given, f"Argument {name} should be of length 2: (x, y)"))


# --- Pillow images --------------------------------------------------------------------------


def _transform_image(
    image: Any, kind: str, numbers: Sequence[float], mode: InterpolationMode, fill: Fill
) -> Any:
    colour = fill_of_image(image, fill)
    method = getattr(pillow().Transform, kind)
    return image.transform(image.size, method, numbers, PILLOW_MODES[mode], fillcolor=colour)


# --- tensors --------------------------------------------------------------------------------


def _from_middle(center: Sequence[float] | None, width: int, height: int) -> tuple[float, float]:
    """A point (x, y), seen from the middle of the picture."""
    return (0.0, 0.0) if center is None else (center[0] - width * 0.5, center[1] - height * 0.5)


def _pixel_middles(rows: int, columns: int, dtype: Any) -> tuple[Array, Array]:
    """x and y of the middles of pixels, seen from the middle of the result."""
    y, x = np.meshgrid(
        np.arange(rows, dtype=dtype) - (rows - 1) / 2,
        np.arange(columns, dtype=dtype) - (columns - 1) / 2,
        indexing="ij",
    )
    return x.astype(dtype), y.astype(dtype)  # (rows, columns) each


def _affine_positions(matrix: Sequence[float], img: Tensor, rows: int, columns: int) -> Array:
    """Where each pixel of the result looks, from -1 to 1 over the picture: (rows, columns, 2)."""
    dtype = float_dtype(img)
    x, y = _pixel_middles(rows, columns, dtype)
    half = np.array([[img.shape[-1] / 2], [img.shape[-2] / 2]], dtype)
    scaled = np.asarray(matrix, dtype).reshape(2, 3) / half
    return np.stack([x, y, np.ones_like(x)], axis=-1) @ scaled.T  # (rows, columns, 3) @ (3, 2)


def _perspective_positions(numbers: Sequence[float], img: Tensor) -> Array:
    dtype = float_dtype(img)
    rows, columns = img.shape[-2:]
    a, b, c, d, e, f, g, h = np.asarray(numbers, dtype)
    x, y = _pixel_middles(rows, columns, dtype)
    x, y = x + columns / 2, y + rows / 2
    below = g * x + h * y + 1
    half = np.array([columns / 2, rows / 2], dtype)
    seen = np.stack([a * x + b * y + c, d * x + e * y + f], axis=-1)
    return (seen / half / below[..., None] - 1).astype(dtype)


def _expanded_size(matrix: Sequence[float], height: int, width: int) -> tuple[int, int]:
    """(height, width) of the smallest frame that holds the four corners after the rotation."""
    linear = np.asarray(matrix, np.float32).reshape(2, 3)
    corners = np.array([[x * width, y * height, 1] for x in (-0.5, 0.5) for y in (-0.5, 0.5)])
    turned = (corners.astype(np.float32) @ linear.T) + np.array(
        [width * 0.5, height * 0.5], np.float32
    )
    low, high = (
        np.trunc(ends / np.float32(_NEARLY_WHOLE)) * np.float32(_NEARLY_WHOLE)
        for ends in (turned.min(axis=0), turned.max(axis=0))
    )
    columns, rows = np.ceil(high) - np.floor(low)
    return int(rows), int(columns)


def _sample(
    img: Tensor, positions: Array, mode: InterpolationMode, fill: Fill, what: str
) -> Tensor:
    if mode not in _TENSOR_MODES:
        refuse_mode(mode, what)
    batch = as_float_batch(img)  # (items, channels, height, width)
    grid = constant(positions[None].astype(batch._value.dtype))
    grid = grid.expand(batch.shape[0], *grid.shape[1:])
    if fill is None:
        out = F.grid_sample(batch, grid, mode=mode.value, align_corners=False)
        return like_before(out, img)
    colour = _colour(img, fill, what)
    # One more channel of ones tells how much of each pixel lies inside the picture.
    inside = batch.new_ones((batch.shape[0], 1, *batch.shape[2:]))
    both = F.grid_sample(cat([batch, inside], 1), grid, mode=mode.value, align_corners=False)
    out, share = both[:, :-1], both[:, -1:]
    return like_before(out * share + (1.0 - share) * colour, img)


def _colour(img: Tensor, fill: Any, what: str) -> Tensor:
    numbers = list(fill) if isinstance(fill, Sequence) else [fill]
    channels = get_image_num_channels(img)
    if len(numbers) not in (1, channels):
        given = f"fill has {len(numbers)} numbers, the picture {channels} channels"
        rule = "The number of elements in 'fill' cannot broadcast to match the number of channels"
        raise ShapeError(explain(what, given, rule))
    array = np.asarray(numbers, float_dtype(img))
    return constant(array.reshape(-1, 1, 1))  # (channels, 1, 1)
