"""Samples of resampling, windows as columns, reading at places, and labellings."""

from typing import Any

import numpy as np

from .samples import add_sample, array, turned

# --- resampling -----------------------------------------------------------------------------

_RESIZINGS: tuple[tuple[Any, Any, Any, str, bool, bool], ...] = (
    ((5,), (7,), (None,), "nearest", False, False),
    ((3, 4), (6, 2), (2.0, 0.6), "nearest", False, False),
    ((4,), (6,), (1.6,), "nearest-exact", False, False),
    ((3, 4), (5, 3), (None, None), "linear", False, False),
    ((3, 4), (5, 6), (1.7, 1.6), "linear", False, False),
    ((2, 3, 3), (3, 3, 1), (None,) * 3, "linear", True, False),
    ((3, 5), (6, 3), (None, None), "cubic", False, False),
    ((3, 5), (2, 7), (None, None), "cubic", True, False),
    ((7, 6), (3, 8), (None, None), "linear", False, True),
    ((9, 6), (4, 7), (0.5, None), "cubic", False, True),
    ((11, 4), (4, 4), (None, None), "lanczos", False, True),
)
for _space, _out, _factors, _mode, _corners, _antialias in _RESIZINGS:
    for _transposed in (False, True):
        add_sample(
            "resize",
            array(1, 2, *(_out if _transposed else _space)),
            space=_space,
            out=_out,
            factors=_factors,
            mode=_mode,
            align_corners=_corners,
            antialias=_antialias,
            transposed=_transposed,
        )

# --- windows as columns ---------------------------------------------------------------------

_WINDOWS: tuple[tuple[Any, dict[str, Any], int], ...] = (
    (
        (2, 2, 5),
        {"kernel": (3,), "stride": (1,), "padding": ((1, 1),), "dilation": (1,)},
        5,
    ),
    (
        (1, 2, 5, 4),
        {"kernel": (3, 2), "stride": (2, 1), "padding": ((1, 1), (0, 1)), "dilation": (1, 2)},
        9,
    ),
    (
        (2, 1, 3, 3),
        {"kernel": (1, 1), "stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)},
        9,
    ),
)
for _shape, _attrs, _count in _WINDOWS:
    _rows = _shape[1] * int(np.prod(_attrs["kernel"]))
    add_sample("im2col", array(*_shape), **_attrs)
    add_sample("im2col", turned(array(*_shape)), **_attrs)
    add_sample("col2im", array(_shape[0], _rows, _count), x_shape=_shape, **_attrs)

# --- reading at places ----------------------------------------------------------------------

_PLANE: tuple[Any, Any] = (1, 1, 2, 3), (1, 1, 3, 2)
_VOLUME: tuple[Any, Any] = (1, 1, 2, 1, 3), (1, 1, 1, 1, 3)
for _shapes, _mode, _padding, _corners in (
    (_PLANE, "bilinear", "zeros", False),
    (_PLANE, "bilinear", "border", True),
    (_PLANE, "bilinear", "reflection", False),
    (_PLANE, "nearest", "zeros", True),
    (_PLANE, "bicubic", "reflection", True),
    (_VOLUME, "bilinear", "reflection", True),
    (_VOLUME, "nearest", "border", False),
):
    _how: dict[str, Any] = {"mode": _mode, "padding": _padding, "align_corners": _corners}
    _x, _grid = array(*_shapes[0]), array(*_shapes[1], low=-1.63, high=1.61)
    _out = array(*_shapes[0][:2], *_shapes[1][1:-1])
    add_sample("grid_sample", _x, _grid, **_how)
    if _shapes is _PLANE and _mode != "nearest":
        add_sample("grid_sample_grad_x", _out, _grid, x_shape=_shapes[0], **_how)
        add_sample("grid_sample_grad_grid", _out, _x, _grid, **_how)

# --- labellings -----------------------------------------------------------------------------

_LABELS = np.array([[1, 1, 2], [3, 2, 0]])
_NO_LABELS = np.zeros((1, 0), np.int64)
# The last one has no path for its first target: an infinite loss.
for _shape, _labels, _steps, _counts, _blank, _safe, _orders in (
    ((5, 2, 4), _LABELS, (5, 3), (3, 2), 0, False, 2),
    ((4, 2, 4), _LABELS, (4, 3), (3, 1), 0, True, 1),
    ((3, 1, 2), _NO_LABELS, (3,), (0,), 1, False, 2),
    ((2, 2, 4), _LABELS, (2, 0), (3, 0), 0, True, 0),
):
    _x = array(*_shape, low=-3, high=-0.2)
    _ints = _labels, np.array(_steps), np.array(_counts)
    _options: dict[str, Any] = {"blank": _blank, "zero_infinity": _safe, "orders": _orders}
    add_sample("ctc_loss", _x, *_ints, **_options)
    add_sample("ctc_loss_grad", array(_shape[1]), _x, *_ints, **_options)
