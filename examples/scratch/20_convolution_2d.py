"""Convolution in two dimensions: channels, filters, padding, stride and the size of the result.

Run `python examples/scratch/20_convolution_2d.py`.
"""

from __future__ import annotations

import common
import numpy as np

import narae
import narae.nn as nn
import narae.nn.functional as F


def output_size(
    size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> int:
    """How many places a kernel has: (n + 2·padding - dilation·(k - 1) - 1) // stride + 1.

    >>> output_size(28, kernel=3, padding=1)
    28
    """
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def convolve(
    image: np.ndarray, kernel: np.ndarray, stride: int = 1, padding: int = 0
) -> np.ndarray:
    """One channel, one kernel, four loops.  # (H, W), (KH, KW) -> (OH, OW)"""
    image = np.pad(image, padding)
    sizes = zip(image.shape, kernel.shape, strict=True)
    out = np.zeros([output_size(n, k, stride) for n, k in sizes])
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            for i in range(kernel.shape[0]):
                for j in range(kernel.shape[1]):
                    pixel = image[row * stride + i, column * stride + j]
                    out[row, column] += kernel[i, j] * pixel
    return out


def convolve_channels(images: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """A kernel for each channel, the results added; one such set for each filter.

    Args:
        images: (items, C, H, W).
        filters: (FN, C, FH, FW).

    Returns:
        (items, FN, OH, OW).
    """
    return np.array(
        [
            [
                sum(convolve(x, k) for x, k in zip(image, kernels, strict=True))
                for kernels in filters
            ]
            for image in images
        ]
    )


def narae_conv2d(images: np.ndarray, filters: np.ndarray, **more: int) -> np.ndarray:
    """What narae.nn.Conv2d does."""
    return F.conv2d(narae.from_numpy(images), narae.from_numpy(filters), **more).numpy()


def parameters(*layers: nn.Conv2d) -> int:
    """How many weights, biases aside."""
    return sum(layer.weight.numel() for layer in layers)


def receptive_field(*layers: nn.Conv2d) -> int:
    """How many pixels wide is what one number of the result depends on: those with a gradient."""
    x = narae.ones(1, 128, 9, 9, requires_grad=True)
    out = nn.Sequential(*layers)(x)
    middle = out.shape[-1] // 2
    out[0, 0, middle, middle].backward()
    return int((x.grad[0, 0] != 0).any(dim=0).sum())


def house() -> np.ndarray:
    """A drawing of 16 × 16 pixels: a house with a roof, a door and a window."""
    image = np.zeros((16, 16))
    image[7:15, 3:13] = 0.6
    for row in range(6):
        image[1 + row, 7 - row : 9 + row] = 1.0
    image[11:15, 5:8] = 0.1
    image[9:12, 9:12] = 0.0
    return image


KERNELS = {
    "Vertical edges": np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]),
    "Horizontal edges": np.array([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]]),
    "Blur": np.array([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16,
}


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv)
    rng = np.random.default_rng(0)
    images, filters = rng.normal(0, 1, (2, 3, 8, 8)), rng.normal(0, 1, (4, 3, 3, 3))
    ours, theirs = convolve_channels(images, filters), narae_conv2d(images, filters)
    common.say(
        f"""A picture has channels (채널), and a filter has a kernel for each of them; their results
        are added. A layer with 4 filters for 3 channels has weights (FN, C, FH, FW) =
        {filters.shape}: nn.Conv2d(3, 4, 3).weight is {tuple(nn.Conv2d(3, 4, 3).weight.shape)}. Two
        pictures {images.shape} become {ours.shape}; loops and Narae differ by
        {np.abs(ours - theirs).max():.0e}."""
    )
    common.say(
        """Padding (패딩) adds zeros around, stride (스트라이드) takes larger steps, dilation leaves
        gaps in the kernel. The size of the result, by formula and from nn.Conv2d:"""
    )
    rows = []
    for size, kernel, stride, padding, dilation in (
        (28, 3, 1, 0, 1),
        (28, 3, 1, 1, 1),
        (28, 5, 2, 2, 1),
        (7, 3, 2, 0, 1),
        (32, 3, 1, 2, 2),
    ):
        layer = nn.Conv2d(1, 1, kernel, stride=stride, padding=padding, dilation=dilation)
        made = layer(narae.zeros(1, 1, size, size)).shape[-1]
        formula = output_size(size, kernel, stride, padding, dilation)
        rows.append([size, kernel, stride, padding, dilation, formula, made])
    head = ["input", "kernel", "stride", "padding", "dilation", "formula", "nn.Conv2d"]
    common.table(head, rows)
    direct, small = nn.Conv2d(128, 128, 3), (nn.Conv2d(128, 32, 1), nn.Conv2d(32, 128, 3))
    twice, once = (nn.Conv2d(128, 128, 3), nn.Conv2d(128, 128, 3)), nn.Conv2d(128, 128, 5)
    fields = receptive_field(*twice), receptive_field(once)
    common.say(
        f"""Weights are saved by 1×1 convolutions: from 128 to 128 channels a 3×3 layer has
        {parameters(direct):,}; with 32 channels in between it takes {parameters(*small):,}. And two
        3×3 layers one after the other see {fields[0]}×{fields[0]} pixels, as one 5×5 layer does
        ({fields[1]}×{fields[1]}), with {parameters(*twice):,} weights instead of
        {parameters(once):,}."""
    )
    figure, axes = common.new_figure(1, 4, width=10, height=3.1)
    common.picture(axes[0], house(), "A house")
    for place, (name, kernel) in zip(axes[1:], KERNELS.items(), strict=True):
        out = convolve(house(), kernel, padding=1)
        if name == "Blur":
            common.picture(place, out, name)
        else:
            common.picture(place, out, name, cmap="RdBu_r", vmin=-4, vmax=4)
    common.save(
        figure,
        chosen.out,
        "convolution-2d",
        """A drawing of 16 × 16 pixels and three kernels of 3 × 3, with padding 1. The edge kernels
        answer with red where the picture gets darker to the right (or downwards), with blue where
        it gets lighter, and with white where nothing changes.""",
    )


if __name__ == "__main__":
    main()
