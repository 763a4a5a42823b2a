"""Grids of places, and pictures read at them (spatial transformers)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import is_floating
from narae.base.errors import ConfigError, DTypeError, NotSupportedError, ShapeError, explain
from narae.primitives.resizing import computed_in

from .autocast import in_float32
from .creation import constant
from .eager import apply
from .operands import require_tensor
from .tensor import Tensor

MODES = ("bilinear", "nearest", "bicubic")
PADDING_MODES = ("zeros", "border", "reflection")


def _check(name: str, x: Any, grid: Any, dims: int | None) -> None:
    require_tensor(x, name)
    require_tensor(grid, name)
    if x.ndim not in (4, 5) or grid.ndim != x.ndim or (dims and x.ndim != dims + 2):
        raise ShapeError(
            explain(
                name,
                f"expected {dims + 2 if dims else '4 or 5'}-dimensional input and grid with the "
                f"same number of dimensions, but got {list(x.shape)} and {list(grid.shape)}",
                "the input is (batch, channels, *space), the grid (batch, *out, 2 or 3)",
            )
        )
    if grid.shape[0] != x.shape[0]:
        raise ShapeError(
            f"[{name}] expected grid and input to have same batch size, but got input with sizes "
            f"{list(x.shape)} and grid with sizes {list(grid.shape)}"
        )
    if grid.shape[-1] != x.ndim - 2:
        raise ShapeError(
            explain(
                name,
                f"the grid is {list(grid.shape)}, the input {list(x.shape)}",
                f"expected grid to have size {x.ndim - 2} in last dimension: x, y (and z)",
            )
        )
    if x.dtype is not grid.dtype or not is_floating(x._value.dtype):
        raise DTypeError(
            f"[{name}] expected input and grid to have one floating point dtype, but input has "
            f"{x.dtype} and grid has {grid.dtype}"
        )
    if 0 in x.shape[2:]:
        raise ShapeError(
            f"[{name}] expected input to have non-empty spatial dimensions, but input has sizes "
            f"{list(x.shape)}"
        )


def _named(what: str, choice: Any, names: Sequence[str]) -> str:
    """The name of a number, as PyTorch counts them."""
    if isinstance(choice, bool) or not isinstance(choice, int) or not 0 <= choice < len(names):
        raise ConfigError(f"[grid_sampler] {what} is 0 to {len(names) - 1}, not {choice!r}")
    return names[choice]


def _sampled(
    name: str, x: Any, grid: Any, mode: Any, padding: Any, align_corners: Any, dims: int | None
) -> Tensor:
    _check(name, x, grid, dims)
    chosen = _named("interpolation_mode", mode, MODES)
    if chosen == "bicubic" and x.ndim == 5:
        raise NotSupportedError(f"[{name}] bicubic interpolation only supports 4D input")
    how = {"mode": chosen, "padding": _named("padding_mode", padding, PADDING_MODES)}
    return apply(p.grid_sample, x, grid, **how, align_corners=bool(align_corners))  # type: ignore[no-any-return]


@in_float32
def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`nn.functional.grid_sample` with numbers for its modes."""
    return _sampled(
        "grid_sampler", input, grid, interpolation_mode, padding_mode, align_corners, None
    )


@in_float32
def grid_sampler_2d(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sampler` of pictures, (batch, channels, height, width)."""
    return _sampled(
        "grid_sampler_2d", input, grid, interpolation_mode, padding_mode, align_corners, 2
    )


@in_float32
def grid_sampler_3d(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sampler` of volumes, (batch, channels, depth, height, width)."""
    return _sampled(
        "grid_sampler_3d", input, grid, interpolation_mode, padding_mode, align_corners, 3
    )


def _line(count: int, align_corners: bool, dtype: Any) -> Any:
    """`count` places from -1 to 1: the edges, or the centres of as many equal parts."""
    if count <= 1:
        return np.zeros(count, dtype)
    line = np.linspace(-1, 1, count)
    return (line if align_corners else line * ((count - 1) / count)).astype(dtype)


def affine_grid_generator(theta: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """The places that an affine map sends every pixel of the output to.

    grid[n, i, j] = theta[n] @ (x_j, y_i, 1)

    Args:
        theta: (batch, 2, 3) for pictures, (batch, 3, 4) for volumes
        size: (batch, channels, *out)
        align_corners: whether -1 and 1 are the centres of the outermost pixels, or their edges

    Returns:
        (batch, *out, 2 or 3)
    """
    x: Any = theta
    batch, _, *space = (int(number) for number in size)
    wide = computed_in(x._value.dtype)
    lines = [_line(count, align_corners, wide) for count in space]
    places = np.meshgrid(*lines, indexing="ij")[::-1]
    base = np.stack([*places, np.ones(space, wide)], -1).reshape(1, -1, len(space) + 1)
    ones: Any = constant(base.astype(x._value.dtype))  # (1, pixels, dims + 1)
    grid: Any = ones.expand(batch, -1, -1).bmm(x.transpose(1, 2))
    return grid.reshape(batch, *space, len(space))  # type: ignore[no-any-return]


__all__ = [
    "affine_grid_generator",
    "grid_sampler",
    "grid_sampler_2d",
    "grid_sampler_3d",
]
