"""Pooling as windows, which are views, and reductions over them.

    max_pool(x) = amax of windows(x)
    window_sum(x) = sum of windows(x)

The gradients of windows that do not overlap are a repetition: each pixel belongs to one window.
"""

import math
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import BOOL
from narae.base.shapes import Shape

INT32 = np.dtype(np.int32)


def _padded(x: Any, padding: Any, value: float) -> Any:
    if not any(low or high for low, high in padding):
        return x
    low = (0, 0, *(first for first, _ in padding))
    high = (0, 0, *(last for _, last in padding))
    return p.pad(x, low=low, high=high, value=value)


def _windows(x: Any, kernel: Shape, stride: Shape, dilation: Shape) -> Any:
    """(batch, channels, *space) -> (batch, channels, *out, *kernel), a view."""
    rank = len(kernel)
    for place, (size, step, gap) in enumerate(zip(kernel, stride, dilation, strict=True)):
        x = p.windows(x, dim=2 + place, size=gap * (size - 1) + 1, step=step)
    if max(dilation, default=1) > 1:
        shape = tuple(x.shape)
        steps = (1,) * (2 + rank) + tuple(dilation)
        x = p.slice_(x, start=(0,) * len(shape), stop=shape, step=steps)
    return x


def _positions(
    space: Shape, out: Shape, kernel: Shape, stride: Shape, padding: Any, dilation: Shape
) -> tuple[Any, Any]:
    """For each pixel of each window: its flat position in the plane, and whether it is inside."""
    rank, flat, inside = len(space), None, None
    for place in range(rank):
        window = _counting(out[place], place, 2 * rank)
        tap = _counting(kernel[place], rank + place, 2 * rank)
        low = padding[place][0]
        here = p.add(_times(window, stride[place]), _times(tap, dilation[place]))
        here = p.sub(here, low) if low else here
        flat = here if flat is None else p.add(p.mul(flat, space[place]), here)
        if any(padding[place]):
            within = p.and_(p.le(0, here), p.lt(here, space[place]))
            inside = within if inside is None else p.and_(inside, within)
    return flat, inside


def _times(x: Any, factor: int) -> Any:
    return x if factor == 1 else p.mul(x, factor)


def _counting(size: int, place: int, rank: int) -> Any:
    """0, 1, 2, … along one dimension of `rank`."""
    shape = tuple(size if dim == place else 1 for dim in range(rank))
    return p.reshape(p.iota(size=size, dtype=INT32), shape=shape)


def max_pool(x: Any, *, kernel: Shape, stride: Shape, padding: Any, dilation: Shape) -> Any:
    """The largest of each window, and where in the plane it is: the first of equals, the last NaN.

    Places of NaNs are written as numbers below zero, so that the least of all is the last of them.
    """
    if math.prod(x.shape[2:]) >= 2**31 or x.dtype == BOOL:
        return NotImplemented
    if not _all_touch(x.shape[2:], kernel, stride, padding, dilation):
        return NotImplemented  # which place a window of padding has is left to NumPy
    lowest = -math.inf if x.dtype.kind not in "iu" else int(np.iinfo(x.dtype).min)
    windows = _windows(_padded(x, padding, lowest), kernel, stride, dilation)
    rank = len(kernel)
    dim = tuple(range(2 + rank, 2 + 2 * rank))
    out = p.amax(windows, dim=dim, keepdim=True)
    space = tuple(out.shape[2 : 2 + rank])
    flat, inside = _positions(x.shape[2:], space, kernel, stride, padding, dilation)
    chosen = p.eq(windows, out)
    if inside is not None:
        chosen = p.and_(chosen, inside)
    places = p.where(chosen, flat, 2**31 - 1)
    if x.dtype.kind not in "iu":
        places = p.where(p.ne(windows, windows), p.not_(flat), places)
    place = p.amin(places, dim=dim, keepdim=True)
    if x.dtype.kind not in "iu":
        place = p.where(p.lt(place, 0), p.not_(place), place)
    shape = tuple(out.shape[: 2 + rank])
    index = p.cast(p.reshape(place, shape=shape), dtype=np.dtype(np.int64))
    return p.reshape(out, shape=shape), index


def _all_touch(space: Shape, kernel: Shape, stride: Shape, padding: Any, dilation: Shape) -> bool:
    """Whether no window lies in the padding alone."""
    for size, taps, step, (low, high), gap in zip(
        space, kernel, stride, padding, dilation, strict=True
    ):
        starts = range(-low, size + high - gap * (taps - 1), step)
        reached = (range(start, start + gap * taps, gap) for start in starts)
        if not all(any(0 <= place < size for place in window) for window in reached):
            return False
    return True


def max_pool_grad(grad_out: Any, indices: Any, *, x_shape: Shape) -> Any:
    """Each number where the largest pixel of its window was.

    Windows side by side: every pixel asks its own window whether it was the one. Otherwise numbers
    are added at the indices, plane by plane.
    """
    tile = _side_by_side(indices, x_shape)
    if tile is None:
        return _added_at_indices(grad_out, indices, x_shape)
    out = tuple(grad_out.shape[2:])
    spread = [_spread(x, tile) for x in (grad_out, _narrowed(indices))]
    none = tuple((0, 0) for _ in tile)
    space = tuple(x_shape[2:])
    flat, _ = _positions(space, out, tile, tile, none, (1,) * len(tile))
    flat = p.permute(flat, dims=_interleaved(len(tile), 0))
    found = p.where(p.eq(spread[1], flat), spread[0], _zero(grad_out.dtype))
    return _cropped(found, tile, x_shape)


def _zero(dtype: Any) -> Any:
    return 0 if dtype.kind in "iu" else 0.0


def _narrowed(indices: Any) -> Any:
    """The 32-bit numbers that positions were before they were widened."""
    return _under(indices, p.cast)


def _side_by_side(indices: Any, x_shape: Shape) -> Shape | None:
    """The size of the windows if they touch without overlap or padding, else None."""
    found = _pool_of(indices)
    if found is None:
        return None
    kernel, stride, low, dilation = found
    fits = kernel == stride and not any(low) and max(dilation, default=1) == 1
    inside = all(
        n * k <= size for n, k, size in zip(indices.shape[2:], kernel, x_shape[2:], strict=True)
    )
    return kernel if fits and inside else None


def _pool_of(indices: Any) -> Any:
    """Kernel, stride, padding and dilation of the pooling that made these indices.

    They are made of `amin(where(ne(windows, windows), …, where(chosen, flat, …)))`, and the windows
    say how they were cut.
    """
    place = _under(_under(_under(_under(indices, p.cast), p.reshape), p.where), p.lt)
    windows = _under(_under(_under(place, p.amin), p.where), p.ne)
    if windows is None:
        return None
    chosen = _under(place.node.operands[0].node.operands[2], p.where)
    padded = chosen is None or chosen.node.operation is p.and_
    sizes, steps = [], []
    while windows is not None and windows.node is not None:
        if windows.node.operation is not p.windows:
            break
        sizes.append(windows.node.attrs["size"])
        steps.append(windows.node.attrs["step"])
        windows = windows.node.operands[0]
    if not sizes or len(sizes) != len(indices.shape) - 2:
        return None
    rank = len(sizes)
    return tuple(sizes[::-1]), tuple(steps[::-1]), (int(padded),) * rank, (1,) * rank


def _under(value: Any, operation: Any) -> Any:
    """The first operand of the operation that made a value, if it is this one."""
    node = getattr(value, "node", None)
    if node is None or node.operation is not operation:
        return None
    return node.operands[0]


def _spread(x: Any, tile: Shape) -> Any:
    """(n, c, h, w) -> (n, c, h, tile, w, tile), every element repeated: a view."""
    n, c, *out = x.shape
    shape = (n, c, *(size for each in out for size in (each, 1)))
    full = (n, c, *(size for pair in zip(out, tile, strict=True) for size in pair))
    return p.expand(p.reshape(x, shape=shape), shape=full)


def _interleaved(rank: int, first: int) -> Shape:
    """(h, w, kh, kw) -> (h, kh, w, kw)."""
    return tuple(first + dim for place in range(rank) for dim in (place, rank + place))


def _cropped(x: Any, tile: Shape, x_shape: Shape) -> Any:
    """(n, c, h, tile, w, tile) -> x_shape, zeros beyond the last whole window."""
    n, c, *pairs = x.shape
    covered = [a * b for a, b in zip(pairs[::2], pairs[1::2], strict=True)]
    joined = p.reshape(x, shape=(n, c, *covered))
    high = (0, 0, *(size - have for size, have in zip(x_shape[2:], covered, strict=True)))
    if not any(high):
        return joined
    return p.pad(joined, low=(0,) * len(high), high=high, value=_zero(x.dtype))


def _added_at_indices(grad_out: Any, indices: Any, x_shape: Shape) -> Any:
    rows = math.prod(x_shape[:2])
    plane, pooled = math.prod(x_shape[2:]), math.prod(grad_out.shape[2:])
    zeros = p.full(shape=(rows, plane), value=_zero(grad_out.dtype), dtype=grad_out.dtype)
    places = p.reshape(indices, shape=(rows, pooled))
    added = p.scatter_add(zeros, places, p.reshape(grad_out, shape=(rows, pooled)), dim=1)
    return p.reshape(added, shape=tuple(x_shape))


def window_sum(x: Any, *, kernel: Shape, stride: Shape, padding: Any, dilation: Shape) -> Any:
    """The sum of each window."""
    if x.dtype == BOOL:
        return NotImplemented
    windows = _windows(_padded(x, padding, _zero(x.dtype)), kernel, stride, dilation)
    rank = len(kernel)
    dim = tuple(range(2 + rank, 2 + 2 * rank))
    out = p.sum_(windows, dim=dim, keepdim=True)
    return p.reshape(out, shape=tuple(out.shape[: 2 + rank]))


def window_sum_grad(
    grad_out: Any, *, x_shape: Shape, kernel: Shape, stride: Shape, padding: Any, dilation: Shape
) -> Any:
    """Each number at every place of its window; those that overlap are added up tap by tap.

    before: window_sum_grad(g), windows of 3 every 2
    after:  g at 0, 2, 4, … + g at 1, 3, 5, … + g at 2, 4, 6, …
    """
    padded = any(low or high for low, high in padding)
    if tuple(kernel) == tuple(stride) and not padded and max(dilation, default=1) == 1:
        spread = _spread(grad_out, kernel)
        return _cropped(spread, kernel, x_shape)
    return NotImplemented
