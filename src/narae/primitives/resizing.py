"""Resampling pictures on another grid, one dimension after the other.

Along one dimension it is a product with a sparse matrix: each output element is the sum of a few
input elements (taps) with fixed weights. Its gradient is the product with the transposed matrix,
which is sparse as well; so one operation serves both.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from narae.base.shapes import Shape

from .composite import Composite
from .elementwise import add, mul
from .indexing import take
from .record import shape_of

Array = Any


class Taps(NamedTuple):
    """A sparse matrix: out[o] = sum over k of weight[k, o] * x[index[k, o]].

    Attributes:
        index: (taps, out), int64.
        weight: (taps, out); None if every output is a copy of one input.
        used: (taps, out) of bool; None if all are. Others are padding: their weight is 0.
    """

    index: Array
    weight: Array | None
    used: Array | None


def _scale(size: int, out: int, factor: float | None, align_corners: bool, dtype: Any) -> Any:
    """The step between output elements, in input elements.

    A factor that was given counts, even if the output's size was rounded down.
    """
    kind = dtype.type
    if align_corners:
        return kind(size - 1) / kind(out - 1) if out > 1 else kind(0)
    if factor is not None and factor > 0:
        return kind(1.0 / factor)
    return kind(size) / kind(out)


def _nearest(size: int, out: int, factor: float | None, exact: bool) -> Taps:
    """The element at floor(scale * o), or, if exact, at floor(scale * (o + 1/2))."""
    single = np.dtype(np.float32)
    places = np.arange(out, dtype=single) + single.type(0.5 if exact else 0)
    found = np.floor(places * _scale(size, out, factor, False, single)).astype(np.int64)
    return Taps(np.minimum(found, size - 1)[None], None, None)


def _centres(size: int, out: int, factor: float | None, align_corners: bool, dtype: Any) -> Any:
    """Where each output element lies among the inputs; element i covers i - 1/2 to i + 1/2."""
    scale = _scale(size, out, factor, align_corners, dtype)
    places = np.arange(out, dtype=dtype)
    half = dtype.type(0.5)
    return places * scale if align_corners else (places + half) * scale - half


def _linear(size: int, out: int, factor: float | None, align_corners: bool, dtype: Any) -> Taps:
    """A line between the two nearest elements; the edge beyond the last."""
    if size == out:
        return Taps(np.arange(out)[None], None, None)
    place = np.maximum(_centres(size, out, factor, align_corners, dtype), dtype.type(0))
    first = np.minimum(place.astype(np.int64), size - 1)
    part = np.clip(place - first.astype(dtype), 0, 1).astype(dtype)
    second = np.minimum(first + 1, size - 1)
    return Taps(np.stack([first, second]), np.stack([1 - part, part]), None)


def cubic(distance: Any, a: float) -> Any:
    """The convolution kernel of Keys 1981, Cubic Convolution Interpolation, with its parameter."""
    x = abs(distance)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0)).astype(distance.dtype)


def _cubic(size: int, out: int, factor: float | None, align_corners: bool, dtype: Any) -> Taps:
    """A cubic through four elements; those beyond the edge repeat it."""
    place = _centres(size, out, factor, align_corners, dtype)
    first = np.minimum(np.floor(place).astype(np.int64), size - 1)
    part = np.clip(place - first.astype(dtype), 0, 1).astype(dtype)
    offsets = np.arange(-1, 3)[:, None]
    weight = cubic(part - offsets.astype(dtype), -0.75)
    return Taps(np.clip(first + offsets, 0, size - 1), weight, None)


def _triangle(x: Array) -> Array:
    return np.maximum(1 - abs(x), 0)


def _lanczos(x: Array) -> Array:
    return np.where(abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


_FILTERS: dict[str, tuple[Callable[[Array], Array], int]] = {
    "linear": (_triangle, 2),
    "cubic": (lambda x: cubic(x, -0.5), 4),
    "lanczos": (_lanczos, 6),
}


def _filtered(
    size: int, out: int, factor: float | None, align_corners: bool, dtype: Any, mode: str
) -> Taps:
    """A filter that is widened when the picture shrinks, so that every input counts (antialias)."""
    if size == out:  # also if a factor was given
        return Taps(np.arange(out)[None], None, None)
    function, width = _FILTERS[mode]
    scale = float(_scale(size, out, factor, align_corners, dtype))
    wide = max(scale, 1.0)
    support = width / 2 * wide
    centre = scale * (np.arange(out) + 0.5)  # (out,)
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + support + 0.5).astype(np.int64), size)
    offsets = np.arange(max(int((last - first).max()), 1))[:, None]
    index = first + offsets  # (taps, out)
    used = index < last
    weight = np.where(used, function((index - centre + 0.5) / wide), 0.0)
    total = weight.sum(0)
    weight = weight / np.where(total == 0, 1, total)
    return Taps(np.minimum(index, size - 1), weight.astype(dtype), used)


def _transposed(taps: Taps, size: int, dtype: Any) -> Taps:
    """The transposed matrix; entries are sorted by input, and numbered from 0 within each."""
    count, out = taps.index.shape
    weight = np.ones((count, out), dtype) if taps.weight is None else taps.weight
    kept = np.flatnonzero(np.ones((count, out), bool) if taps.used is None else taps.used)
    kept = kept[np.argsort(kept % out, kind="stable")]
    kept = kept[np.argsort(taps.index.reshape(-1)[kept], kind="stable")]
    target = taps.index.reshape(-1)[kept]
    counts = np.bincount(target, minlength=size)
    row = np.arange(len(kept)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = (max(int(counts.max()), 1), size)
    index, values = np.zeros(shape, np.int64), np.zeros(shape, dtype)
    used = np.zeros(shape, bool)
    index[row, target], values[row, target] = kept % out, weight.reshape(-1)[kept]
    used[row, target] = True
    return Taps(index, values, None if used.all() else used)


@lru_cache(maxsize=512)
def taps_of(
    size: int,
    out: int,
    factor: float | None,
    mode: str,
    align_corners: bool,
    antialias: bool,
    transposed: bool,
    dtype: Any,
) -> Taps:
    """The matrix of one dimension.

    >>> taps_of(2, 4, None, "nearest", False, False, False, np.dtype("float32")).index
    array([[0, 0, 1, 1]])
    """
    if mode in ("nearest", "nearest-exact"):
        taps = _nearest(size, out, factor, mode == "nearest-exact")
    elif antialias:
        taps = _filtered(size, out, factor, align_corners, dtype, mode)
    elif mode == "linear":
        taps = _linear(size, out, factor, align_corners, dtype)
    else:
        taps = _cubic(size, out, factor, align_corners, dtype)
    return _transposed(taps, size, dtype) if transposed else taps


def computed_in(dtype: Any) -> Any:
    """The dtype of coordinates and weights: float64 for float64, else float32."""
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)


def matrices(
    dtype: Any,
    *,
    space: Shape,
    out: Shape,
    factors: tuple[float | None, ...],
    transposed: bool,
    **how: Any,
) -> list[tuple[int, Taps]]:
    """Dimensions and their matrices in the order in which to multiply: the last one first."""
    wide = computed_in(dtype)
    found = [
        (place + 2, taps_of(size, count, factor, transposed=transposed, dtype=wide, **how))
        for place, (size, count, factor) in enumerate(zip(space, out, factors, strict=True))
    ]
    return found if transposed else found[::-1]


def _along(x: Any, taps: Taps, dim: int) -> Any:
    """The product with one matrix."""
    if taps.weight is None:
        return take(x, taps.index[0], dim=dim)
    shape = (-1,) + (1,) * (len(shape_of(x)) - dim - 1)
    total = None
    for index, weight in zip(taps.index, taps.weight, strict=True):
        part = mul(take(x, index, dim=dim), weight.astype(x.dtype).reshape(shape))
        total = part if total is None else add(total, part)
    return total


def _resize(x: Any, **how: Any) -> Any:
    for dim, taps in matrices(x.dtype, **how):
        x = _along(x, taps, dim)
    return x


def _resize_grad(grad: Any, transposed: bool, **how: Any) -> Any:
    return resize(grad, transposed=not transposed, **how)


resize: Composite = Composite(
    "resize",
    "x",
    "(batch, channels, *space) resampled to (batch, channels, *out), or the transpose of that",
    _resize,
    grads=(_resize_grad,),
    grad_name="UpsampleBackward0",
)


__all__ = ["Taps", "computed_in", "cubic", "matrices", "resize", "taps_of"]
