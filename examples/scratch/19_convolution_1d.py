"""Convolution in one dimension: a small kernel slides over a signal.

Run `python examples/scratch/19_convolution_1d.py`.
"""

from __future__ import annotations

import common
import numpy as np

import narae
import narae.nn as nn
import narae.nn.functional as F


def cross_correlation(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """out[i] = Σ_k kernel[k]·x[i + k]: the kernel lies on the signal as it is.

    >>> cross_correlation(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 0.0, -1.0]))
    array([-2., -2.])
    """
    out = np.zeros(len(x) - len(kernel) + 1)
    for i in range(len(out)):
        for k in range(len(kernel)):
            out[i] += kernel[k] * x[i + k]
    return out


def convolution(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """out[i] = Σ_k kernel[k]·x[i - k], where all of it lies inside: the kernel is turned round."""
    size = len(kernel)
    out = np.zeros(len(x) - size + 1)
    for i in range(len(out)):
        for k in range(size):
            out[i] += kernel[k] * x[i + size - 1 - k]
    return out


def narae_conv1d(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """What narae.nn.Conv1d does, on one signal of one channel."""
    signal, weight = narae.from_numpy(x)[None, None], narae.from_numpy(kernel.copy())[None, None]
    return F.conv1d(signal, weight)[0, 0].numpy()


def signal(length: int = 200) -> np.ndarray:
    """A plateau, a bump and noise."""
    t = np.linspace(0, 1, length)
    clean = ((t > 0.15) & (t < 0.45)) + np.exp(-(((t - 0.75) / 0.05) ** 2))
    return clean + np.random.default_rng(0).normal(0, 0.08, length)


def kernels() -> dict[str, np.ndarray]:
    """A mean, a difference, and a bell."""
    bell = np.exp(-0.5 * (np.arange(-6, 7) / 2.5) ** 2)
    return {
        "box (mean of 9)": np.full(9, 1 / 9),
        "edge (-1, 0, 1)": np.array([-1.0, 0.0, 1.0]),
        "Gaussian (13)": bell / bell.sum(),
    }


def parameter_counts(lengths: list[int], size: int = 9) -> tuple[list[int], list[int]]:
    """Parameters of a convolution and of a dense layer with the same input and output."""
    conv = [sum(p.numel() for p in nn.Conv1d(1, 1, size).parameters()) for _ in lengths]
    layers = (nn.Linear(length, length - size + 1) for length in lengths)
    return conv, [sum(p.numel() for p in layer.parameters()) for layer in layers]


def draw_signals(out: object) -> None:
    """The signal, and what each kernel makes of it."""
    x, tried = signal(), kernels()
    figure, axes = common.new_figure(1, 4, width=11, height=2.9)
    axes[0].plot(x, lw=1, color=common.INK)
    axes[0].set(title="Signal", xlabel="position")
    for place, (name, kernel) in zip(axes[1:], tried.items(), strict=True):
        start = len(kernel) // 2
        filtered = cross_correlation(x, kernel)
        place.plot(x, lw=1, color=common.PALE)
        place.plot(np.arange(len(filtered)) + start, filtered, lw=1.6)
        place.set(title=name.capitalize(), xlabel="position")
    caption = """A signal and what three kernels make of it. Box and Gaussian weaken the noise and
        keep the plateau; the edge kernel strengthens the places where the signal changes and
        answers about 0 elsewhere."""
    common.save(figure, out, "convolution-1d", caption)


def draw_parameters(out: object) -> None:
    """Convolution against dense."""
    lengths = [16, 32, 64, 128, 256, 512, 1024]
    conv, dense = parameter_counts(lengths)
    figure, axes = common.new_figure(width=7, height=3.2)
    axes.loglog(lengths, dense, marker="o", color=common.ORANGE, label="dense layer")
    axes.loglog(lengths, conv, marker="o", color=common.BLUE, label="convolution, kernel of 9")
    axes.set_xticks(lengths, lengths)
    axes.xaxis.minorticks_off()
    axes.set(xlabel="length of the input", ylabel="parameters", title="Same input, same output")
    axes.legend()
    caption = f"""Parameters of two layers with the same sizes of input and output. For a signal of
        1,024 numbers the dense layer has {dense[-1]:,}, the convolution {conv[-1]}."""
    common.save(figure, out, "convolution-parameters", caption)


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv)
    x, kernel = np.array([0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0]), np.array([1.0, 2.0, 3.0])
    common.say(
        """A kernel (커널) of size 3 slides over seven numbers; at each of the 7 - 3 + 1 = 5 places
        its three weights are multiplied with what lies below, and added. The weights are the same
        everywhere."""
    )
    shifted = np.roll(x, 1)
    rows = [
        ["x", str(x)],
        ["kernel", str(kernel)],
        ["cross-correlation", str(cross_correlation(x, kernel))],
        ["convolution", str(convolution(x, kernel))],
        ["narae's conv1d", str(narae_conv1d(x, kernel))],
        ["x one to the right", str(shifted)],
        ["cross-correlation", str(cross_correlation(shifted, kernel))],
    ]
    common.table([], rows)
    flipped = cross_correlation(x, kernel[::-1])
    common.say(
        f"""Strictly, convolution (합성곱) turns the kernel round, and what networks compute, the +
        form, is cross-correlation; convolution equals cross-correlation with the kernel flipped:
        {bool((convolution(x, kernel) == flipped).all())}. Conv1d, Conv2d and Conv3d are
        cross-correlations, as in PyTorch. Where x moves, the result moves along, because the
        weights do not depend on the place (커널이 위치에 따라 바뀌지 않는다)."""
    )
    draw_signals(chosen.out)
    draw_parameters(chosen.out)


if __name__ == "__main__":
    main()
