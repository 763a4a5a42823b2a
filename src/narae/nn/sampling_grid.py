"""`affine_grid` and `grid_sample`: spatial transformers."""

from collections.abc import Sequence
from typing import Any

from narae.base.errors import ConfigError, NotSupportedError, explain
from narae.base.notices import warn_user
from narae.tensors import Tensor
from narae.tensors.autocast import in_float32
from narae.tensors.grid_sampling import (
    MODES,
    PADDING_MODES,
    affine_grid_generator,
    grid_sampler,
)


def _corners(align_corners: bool | None) -> bool:
    if align_corners is None:
        warn_user(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since "
            "1.3.0. Please specify align_corners=True if the old behavior is desired."
        )
    return bool(align_corners)


@in_float32
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """The input, read at the places of a grid.

    out[n, :, i, j] = the value of input[n] at the place grid[n, i, j] = (x, y)

    Source: Jaderberg et al., Spatial Transformer Networks (2015), section 3.3.

    Args:
        input: (batch, channels, height, width) or (batch, channels, depth, height, width)
        grid: (batch, *out, 2 or 3): x, y (and z) from -1, the left, upper, front edge, to 1
        mode: "bilinear", "nearest" or "bicubic" (pictures only)
        padding_mode: what is beyond the edges: "zeros", "border" (the nearest pixel), "reflection"
        align_corners: whether -1 and 1 are the centres of the outermost pixels, or their edges

    Returns:
        (batch, channels, *out)

    >>> import narae
    >>> x = narae.arange(4.0).reshape(1, 1, 2, 2)
    >>> middle = narae.zeros(1, 1, 1, 2)
    >>> narae.nn.functional.grid_sample(x, middle, align_corners=False)
    tensor([[[[1.5000]]]])
    """
    if mode not in MODES:
        raise ConfigError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: {mode!r}"
        )
    if padding_mode not in PADDING_MODES:
        raise ConfigError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or "
            f"'reflection', but got: {padding_mode!r}"
        )
    numbers = MODES.index(mode), PADDING_MODES.index(padding_mode)
    return grid_sampler(input, grid, *numbers, _corners(align_corners))


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The places that an affine map sends every pixel of the output to, for `grid_sample`.

    grid[n, i, j] = theta[n] @ (x_j, y_i, 1)

    Args:
        theta: (batch, 2, 3) for pictures, (batch, 3, 4) for volumes
        size: of the output, (batch, channels, *out)
        align_corners: whether -1 and 1 are the centres of the outermost pixels, or their edges

    >>> import narae
    >>> theta = narae.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> narae.nn.functional.affine_grid(theta, (1, 1, 1, 2), align_corners=False)
    tensor([[[[-0.5000,  0.0000],
              [ 0.5000,  0.0000]]]])
    """
    corners = _corners(align_corners)
    if not theta.is_floating_point():
        raise ConfigError(f"Expected theta to have floating point type, but got {theta.dtype}")
    if len(size) not in (4, 5):
        raise NotSupportedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {list(size)}."
        )
    dims = len(size) - 2
    shape: Any = tuple(theta.shape)
    if shape != (size[0], dims, dims + 1):
        raise ConfigError(
            explain(
                "affine_grid",
                f"theta is {shape}, size is {list(size)}",
                f"Expected a batch of {dims}D affine matrices, ({size[0]}, {dims}, {dims + 1})",
            )
        )
    if corners and min(size[2:]) == 1:
        warn_user(
            "Since version 1.3.0, affine_grid behavior has changed for unit-size grids when "
            "align_corners=True: the one pixel is in the middle."
        )
    elif min(size) <= 0:
        raise ConfigError(f"Expected non-zero, positive output size. Got {list(size)}")
    return affine_grid_generator(theta, size, corners)


__all__ = ["affine_grid", "grid_sample"]
