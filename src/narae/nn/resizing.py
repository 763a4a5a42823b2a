"""`interpolate`: pictures of another size."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import is_floating
from narae.base.errors import ConfigError, NotSupportedError, ShapeError, explain
from narae.base.notices import warn_user
from narae.base.shapes import Shape
from narae.tensors import Tensor
from narae.tensors.eager import apply

from .pool import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d

# Which curve each mode draws between the elements, and for how many spatial dimensions.
_CURVES: dict[str, tuple[str, tuple[int, ...]]] = {
    "nearest": ("nearest", (1, 2, 3)),
    "nearest-exact": ("nearest-exact", (1, 2, 3)),
    "area": ("area", (1, 2, 3)),
    "linear": ("linear", (1,)),
    "bilinear": ("linear", (2,)),
    "trilinear": ("linear", (3,)),
    "bicubic": ("cubic", (2,)),
    "lanczos": ("lanczos", (2,)),
}
_LINES = ("linear", "bilinear", "trilinear")
_WITHOUT_CORNERS = ("nearest", "nearest-exact", "area")
_AVERAGES = (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)


def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """The input with another number of pixels.

    An output pixel o lies at (o + 1/2) * scale - 1/2 in the input, where scale is input size /
    output size (or 1 / scale_factor if that was given); with `align_corners` at
    o * (input size - 1) / (output size - 1).

    Args:
        input: (batch, channels, *space) with one to three spatial dimensions
        size: of the output: one number, or one for each spatial dimension
        scale_factor: instead of the size: the size is then floor(input size * scale_factor)
        mode: "nearest", "nearest-exact", "linear" (one dimension), "bilinear" or "bicubic" (two),
            "trilinear" (three), "area" (averages), "lanczos" (two, with antialias)
        align_corners: whether the centres of the outermost pixels stay in place, or their edges;
            for modes that interpolate, False by default
        recompute_scale_factor: compute the scale from the sizes although a factor was given
        antialias: when the picture shrinks, let every input pixel count ("bilinear", "bicubic")

    Raises:
        ValueError: if not exactly one of size and scale_factor is given, or one does not fit.
        NotImplementedError: if the mode is for another number of dimensions.

    >>> import narae
    >>> x = narae.tensor([[[1.0, 3.0]]])
    >>> narae.nn.functional.interpolate(x, scale_factor=2, mode="linear")
    tensor([[[1.0000, 1.5000, 2.5000, 3.0000]]])
    """
    _check_options(input, mode, align_corners, antialias)
    out, factors = _sizes(input, size, scale_factor, recompute_scale_factor, mode)
    space = tuple(input.shape[2:])
    curve, dims = _CURVES[mode]
    if len(space) not in dims:
        raise NotSupportedError(
            f"Got {len(space) + 2}D input, but {mode} mode needs {dims[0] + 2}D input. Fix: "
            f"mode={_LINES[len(space) - 1]!r}"
        )
    if mode == "area":
        return _AVERAGES[len(space) - 1](input, out)
    if min((*space, *out, input.shape[1])) <= 0:
        raise ShapeError(
            explain(
                "interpolate",
                f"Input and output sizes should be greater than 0, but got input "
                f"{tuple(input.shape)} and output {out}",
                "there are no pixels to interpolate",
            )
        )
    how = {"space": space, "out": out, "factors": factors, "mode": curve}
    corners = {"align_corners": bool(align_corners), "antialias": antialias}
    return _resized(input, **how, **corners)


def _resized(x: Any, **how: Any) -> Tensor:
    """Pictures of bytes are computed in float32 and rounded."""
    if is_floating(x._value.dtype) or how["mode"].startswith("nearest"):
        _check_dtype(x)
        return apply(p.resize, x, **how, transposed=False)
    _check_dtype(x)
    wide = apply(p.resize, x.float(), **how, transposed=False)
    return wide.round().clamp(0, 255).to(x.dtype)


def _check_dtype(x: Any) -> None:
    dtype = x._value.dtype
    if not is_floating(dtype) and dtype != np.uint8:
        raise NotSupportedError(
            explain(
                "interpolate",
                f"the input is {x.dtype}",
                "interpolate is not implemented for other integers than uint8",
                "convert with .float()",
            )
        )


def _check_options(x: Any, mode: str, align_corners: bool | None, antialias: bool) -> None:
    if mode not in _CURVES or x.ndim not in (3, 4, 5):
        raise NotSupportedError(
            "Input Error: Only 3D, 4D and 5D input Tensors supported "
            f"(got {x.ndim}D) for the modes: {' | '.join(_CURVES)} (got {mode})"
        )
    if align_corners is not None and mode in _WITHOUT_CORNERS:
        raise ConfigError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear "
            f"| bicubic | trilinear, not with {mode}. Fix: leave it away"
        )
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and x.ndim == 4):
        raise ConfigError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires "
            f"a 4-D tensor as input, not {mode} of {x.ndim} dimensions"
        )
    if mode == "lanczos" and (align_corners or not antialias):
        raise ConfigError(
            "Lanczos mode requires antialias=True and does not support align_corners=True"
        )


def _sizes(
    x: Any, size: Any, scale_factor: Any, recompute: bool | None, mode: str
) -> tuple[Shape, tuple[float | None, ...]]:
    """The output's size, and the factors that count."""
    dims = x.ndim - 2
    if (size is None) == (scale_factor is None):
        rule = "either size or scale_factor should be defined"
        if size is not None:
            rule = "only one of size or scale_factor should be defined"
        raise ConfigError(f"[interpolate] {rule}")
    if size is not None:
        if recompute:
            raise ConfigError("recompute_scale_factor is not meaningful with an explicit size.")
        return _whole(_each(x, size, dims, "output")), (None,) * dims
    factors = [float(factor) for factor in _each(x, scale_factor, dims, "scale_factor")]
    out = tuple(int(count * factor) for count, factor in zip(x.shape[2:], factors, strict=True))
    return out, ((None,) * dims if recompute or mode == "area" else tuple(factors))


def _each(x: Any, value: Any, dims: int, what: str) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)):
        return (value,) * dims
    if len(value) != dims:
        raise ConfigError(
            f"Input and {what} must have the same number of spatial dimensions, but got input with "
            f"spatial dimensions of {list(x.shape[2:])} and {what} of {value}. The input is "
            "(batch, channels, *space); give one number for each dimension of space"
        )
    return value


def _whole(sizes: Sequence[Any]) -> Shape:
    for size in sizes:
        if isinstance(size, bool) or not hasattr(size, "__index__"):
            raise TypeError(
                "expected size to be one of int or Tuple[int] or Tuple[int, int] or "
                f"Tuple[int, int, int], but got {size!r}"
            )
    return tuple(int(size) for size in sizes)


def upsample(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """`interpolate` under its old name."""
    warn_user("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode "nearest", under its old name."""
    warn_user(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead."
    )
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode "bilinear" and aligned corners, under its old name."""
    warn_user(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead."
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


__all__ = ["interpolate", "upsample", "upsample_bilinear", "upsample_nearest"]
