"""Classic filters: each pixel becomes a weighted sum of its neighbours.

They are convolutions with weights that somebody thought of; a convolutional layer learns its own.

    out[i, j] = sum over (u, v) of kernel[u, v] * image[i + u - middle, j + v - middle]

>>> import narae
>>> step = narae.tensor([[0.0, 0.0, 1.0, 1.0]] * 3)
>>> sobel_x(step)[1]  # bright where it gets brighter from left to right
tensor([0., 4., 4., 0.])
>>> box_blur(step)[1]
tensor([0.0000, 0.3333, 0.6667, 1.0000])
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.dtypes import as_numpy
from narae.base.errors import ConfigError, DTypeError, ShapeError, explain
from narae.nn import functional as F
from narae.tensors import Tensor
from narae.tensors.creation import from_numpy

from .transforms.functional import to_tensor
from .transforms.functional.filtering import gaussian_kernel

Array = npt.NDArray[Any]

# How a picture goes on beyond its edges, and what that is called for padding.
EDGES = {"mirror": "reflect", "nearest": "replicate", "zeros": "constant"}

SOBEL_X = np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
SOBEL_Y = SOBEL_X.T
LAPLACIAN = np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
EMBOSS = np.array([[-2.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [0.0, 1.0, 2.0]])


def filter2d(image: Any, kernel: Any, edges: str = "mirror") -> Tensor:
    """Each channel of a picture, filtered by one kernel.

    Args:
        image: a float tensor (height, width), (channels, height, width) or (batch, channels,
            height, width), or a Pillow image, whose values become 0 to 1. Gradients pass.
        kernel: (height, width), both odd.
        edges: "mirror" (the edge's pixel is not repeated), "nearest", or "zeros".

    Raises:
        ConfigError: for other edges, or a kernel without a middle.
        DTypeError: for a tensor of integers.
        ShapeError: for a tensor of other dimensions.
    """
    x = _batch(image)  # (batch, channels, height, width)
    weights = _checked_kernel(kernel)
    if edges not in EDGES:
        rule = f"edges are {', '.join(EDGES)}"
        raise ConfigError(explain("filter2d", f"edges={edges!r}", rule))
    down, across = (size // 2 for size in weights.shape)
    padded = F.pad(x, [across, across, down, down], mode=EDGES[edges])
    out = F.conv2d(padded, _for_each_channel(weights, x), groups=x.shape[1])
    return out.reshape(image.shape if isinstance(image, Tensor) else out.shape[1:])


def _batch(image: Any) -> Tensor:
    x = image if isinstance(image, Tensor) else to_tensor(image)
    if x.ndim not in (2, 3, 4):
        rule = "a picture is (height, width), (channels, height, width), or a batch of the latter"
        raise ShapeError(explain("filter2d", f"the picture is {tuple(x.shape)}", rule))
    if not x.is_floating_point():
        rule = "sums of weighted pixels need a floating point dtype"
        raise DTypeError(explain("filter2d", f"the picture is {x.dtype}", rule, "image / 255"))
    return x.reshape(*(1,) * (4 - x.ndim), *x.shape)


def _checked_kernel(kernel: Any) -> Array:
    weights = np.asarray(kernel, np.float64)
    if weights.ndim != 2 or any(size % 2 == 0 for size in weights.shape):
        rule = "a kernel is (height, width), both odd, so that it has a middle"
        raise ConfigError(explain("filter2d", f"the kernel is {weights.shape}", rule))
    return weights


def _for_each_channel(weights: Array, x: Tensor) -> Tensor:
    """The kernel as weights of a convolution in groups: (channels, 1, height, width)."""
    repeated = np.broadcast_to(weights, (x.shape[1], 1, *weights.shape))
    return from_numpy(np.ascontiguousarray(repeated, as_numpy(x.dtype)))


# --- blurring ---------------------------------------------------------------------------------


def box_blur(image: Any, size: int = 3, edges: str = "mirror") -> Tensor:
    """The mean of a square of pixels.

    Args:
        image, edges: as for `filter2d`.
        size: height and width of the square, odd.
    """
    return filter2d(image, np.full((size, size), 1 / size**2), edges)


def gaussian_blur(
    image: Any, sigma: float = 1.0, truncate: float = 4.0, edges: str = "mirror"
) -> Tensor:
    """Weights exp(-d² / 2 σ²) for pixels at the distance d.

    Args:
        image, edges: as for `filter2d`.
        sigma: σ in pixels.
        truncate: weights end at this many σ.

    Raises:
        ConfigError: if sigma is not above zero.
    """
    if sigma <= 0:
        raise ConfigError(explain("gaussian_blur", f"sigma={sigma}", "it is above zero"))
    size = 2 * math.floor(truncate * sigma + 0.5) + 1
    along, down = gaussian_kernel((size, 1), (sigma, sigma)), (1, size)
    blurred = filter2d(image, along, edges)  # one direction after the other: 2 n, not n² products
    return filter2d(blurred, gaussian_kernel(down, (sigma, sigma)), edges)


# --- edges ------------------------------------------------------------------------------------


def sobel_x(image: Any, edges: str = "mirror") -> Tensor:
    """How much brighter it gets from left to right: vertical edges."""
    return filter2d(image, SOBEL_X, edges)


def sobel_y(image: Any, edges: str = "mirror") -> Tensor:
    """How much brighter it gets from top to bottom: horizontal edges."""
    return filter2d(image, SOBEL_Y, edges)


def sobel(image: Any, edges: str = "mirror") -> Tensor:
    """How strong the edges are, whatever their direction: √(x² + y²)."""
    return (sobel_x(image, edges).square() + sobel_y(image, edges).square()).sqrt()


def laplacian(image: Any, edges: str = "mirror") -> Tensor:
    """The second derivatives: how far a pixel is below the mean of its four neighbours, times 4."""
    return filter2d(image, LAPLACIAN, edges)


# --- others -----------------------------------------------------------------------------------


def sharpen(image: Any, amount: float = 1.0, edges: str = "mirror") -> Tensor:
    """The picture minus `amount` times its Laplacian: differences to neighbours grow.

    Args:
        image, edges: as for `filter2d`.
        amount: 0 leaves the picture as it is.
    """
    middle = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    return filter2d(image, middle - amount * LAPLACIAN, edges)


def emboss(image: Any, edges: str = "mirror") -> Tensor:
    """As if light fell on a relief from the lower right."""
    return filter2d(image, EMBOSS, edges)


FILTERS: dict[str, Callable[[Any], Tensor]] = {
    "box blur": box_blur,
    "Gaussian blur": gaussian_blur,
    "Sobel x": sobel_x,
    "Sobel y": sobel_y,
    "Sobel": sobel,
    "Laplacian": laplacian,
    "sharpen": sharpen,
    "emboss": emboss,
}
