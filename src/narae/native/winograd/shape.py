"""Which convolutions are computed in Winograd's way, and how they are cut into blocks of tiles."""

import math
from typing import NamedTuple

from narae import primitives as p
from narae.base.dtypes import BFLOAT16, FLOAT32
from narae.ir.program import Node

from ..kernel import Machine
from ..products.tiles import fullest, has_tiles
from .tiling import POINTS, Tiling

# In float64, whoever asks for it wants exact sums. Transforms and products are in float32.
TYPES = (FLOAT32, BFLOAT16)
# Fewer channels make the transforms cost more than the products save.
LEAST_CHANNELS = 32
# Tiles of which part lies beyond the picture save less: at least this share must lie inside.
LEAST_INSIDE = 0.65
# With fewer tiles, transforming the taps costs more than it saves.
LEAST_TILES = 32
# Bytes of a block's matrices, which shall stay in a core's cache; and the tiles of a block.
BLOCK_BYTES, LEAST_BLOCK, MOST_BLOCK = 600_000, 32, 128


class WinogradShape(NamedTuple):
    """A convolution y = x * taps, or one of its gradients, in terms of the forward one."""

    images: int
    channels: int
    out_channels: int
    height: int
    width: int

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.height // 2)

    @property
    def columns(self) -> int:
        """Columns of tiles."""
        return -(-self.width // 2)

    @property
    def tiles(self) -> int:
        """Tiles of all pictures."""
        return self.images * self.rows * self.columns


def winograd_shape(node: Node, machine: Machine | None = None) -> WinogradShape | None:
    """The sizes of a convolution that is computed in this way; None if it is not.

    Where the machine multiplies tiles of bfloat16, plain sums of them are faster.
    """
    attrs, out = node.attrs, node.outputs[0]
    if node.operation is p.conv_grad_w:
        grad, x = node.operands
        taps, result, channels = out.shape, grad.shape, x.shape[1]
    else:
        x, w = node.operands
        taps, result, channels = w.shape, out.shape, x.shape[1]
    if tuple(taps[2:]) != (3, 3) or attrs["groups"] != 1 or out.dtype not in TYPES:
        return None
    if any(n != 1 for n in (*attrs["stride"], *attrs["dilation"])):
        return None
    if any(not 0 <= low <= 2 for low, _ in attrs["padding"]):
        return None
    out_channels = taps[0] if node.operation is not p.conv_grad_x else taps[1]
    shape = WinogradShape(result[0], channels, out_channels, *result[2:])
    if machine is not None and out.dtype == BFLOAT16 and has_tiles(machine):
        is_gradient = node.operation is p.conv_grad_w
        terms = (shape.images, shape.width) if is_gradient else (shape.channels,)
        if fullest(shape.channels, terms, shape.out_channels) is not None:
            return None
    return shape if _pays(shape) else None


def _pays(shape: WinogradShape) -> bool:
    both = shape.channels, shape.out_channels
    if min(both) < LEAST_CHANNELS or any(n > 64 and n % 16 for n in both):
        return False
    inside = shape.height * shape.width / (4 * shape.rows * shape.columns)
    return inside >= LEAST_INSIDE and shape.tiles >= LEAST_TILES


def tiling_of(shape: WinogradShape, images: int, least_blocks: int = 1) -> Tiling:
    """Blocks of tiles that fit the cache; a block has pictures of at most `images` that divide all.

    `least_blocks` are wanted, so that there is work for every thread.
    """
    of_tile = POINTS * 4 * (shape.channels + shape.out_channels)
    wish = max(LEAST_BLOCK, min(MOST_BLOCK, BLOCK_BYTES // of_tile))
    wish = max(1, min(wish, shape.tiles // least_blocks))
    of_image = shape.rows * shape.columns
    group, block_rows = 1, shape.rows
    if of_image < wish:
        group = divisor_near(images, wish / of_image)
    else:
        block_rows = divisor_near(shape.rows, wish / shape.columns)
    return Tiling(
        shape.images, shape.rows, shape.columns, shape.height, shape.width, group, block_rows
    )


def divisor_near(size: int, wish: float) -> int:
    """The divisor that is nearest to a wish, as a ratio."""
    divisors = [d for d in range(1, size + 1) if size % d == 0]
    return min(divisors, key=lambda d: abs(math.log(d / wish)))
