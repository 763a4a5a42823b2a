"""Layers that change the number of pixels: resampling, and moving pixels into channels."""

from typing import Any

from narae.tensors import Tensor
from narae.tensors.shuffling import channel_shuffle, pixel_shuffle, pixel_unshuffle

from .module import Module
from .resizing import interpolate


class Upsample(Module):
    """The input with another number of pixels. See `functional.interpolate`.

    Args:
        size: of the output: one number, or one for each spatial dimension
        scale_factor: instead of the size: how many times larger it is
        mode: "nearest", "linear", "bilinear", "bicubic" or "trilinear"
        align_corners: whether the centres of the outermost pixels stay in place, or their edges
        recompute_scale_factor: compute the scale from the sizes although a factor was given

    >>> import narae
    >>> narae.nn.Upsample(scale_factor=2, mode="bilinear")(narae.zeros(1, 3, 7, 7)).shape
    narae.Size([1, 3, 14, 14])
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.name = type(self).__name__
        self.size = size
        if isinstance(scale_factor, tuple):
            self.scale_factor: Any = tuple(float(factor) for factor in scale_factor)
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None
        self.mode, self.align_corners = mode, align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        return interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        by_size = self.scale_factor is None
        shown = f"size={self.size!r}" if by_size else f"scale_factor={self.scale_factor!r}"
        return f"{shown}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` with mode "nearest", for pictures."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` with mode "bilinear" and aligned corners, for pictures."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Module):
    """Channels become pixels: (.., c * r * r, h, w) -> (.., c, h * r, w * r).

    >>> import narae
    >>> narae.nn.PixelShuffle(3)(narae.zeros(1, 9, 4, 4)).shape
    narae.Size([1, 1, 12, 12])
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Pixels become channels: (.., c, h * r, w * r) -> (.., c * r * r, h, w)."""

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """The first channel of every group, then the second of every group, and so on."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


__all__ = [
    "ChannelShuffle",
    "PixelShuffle",
    "PixelUnshuffle",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]
