"""Convolution and pooling as matrix operations: im2col and back.

The layers themselves are in `convolution.py`, next to this program; read them first.

Run `python examples/scratch/22_im2col.py`.
"""

from __future__ import annotations

import time

import common
import numpy as np
from convolution import Convolution, MaxPooling, col2im, im2col

import narae
import narae.nn.functional as F


def leaf(array: np.ndarray) -> narae.Tensor:
    """A tensor that wants a gradient."""
    return narae.from_numpy(array.copy()).requires_grad_()


def largest(*pairs: tuple[np.ndarray, narae.Tensor]) -> float:
    """The largest difference between our arrays and Narae's tensors."""
    return max(float(np.abs(ours - theirs.detach().numpy()).max()) for ours, theirs in pairs)


def compare_convolution(stride: int, padding: int) -> float:
    """Result and three gradients against conv2d."""
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(2, 3, 8, 7)), rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4)
    layer, tensors = Convolution(w, b, stride, padding), [leaf(x), leaf(w), leaf(b)]
    expected = F.conv2d(*tensors, stride=stride, padding=padding)
    out = layer.forward(x)
    grad_out = rng.normal(size=out.shape)
    expected.backward(narae.from_numpy(grad_out))
    arrays = layer.backward(grad_out), layer.grads["w"], layer.grads["b"]
    grads = zip(arrays, (tensor.grad for tensor in tensors), strict=True)
    return largest((out, expected), *grads)


def compare_pooling(kernel: int, stride: int) -> float:
    """Result and gradient against max_pool2d."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 8, 7))
    layer, x_ = MaxPooling(kernel, stride), leaf(x)
    expected = F.max_pool2d(x_, kernel, stride)
    out = layer.forward(x)
    grad_out = rng.normal(size=out.shape)
    expected.backward(narae.from_numpy(grad_out))
    return largest((out, expected), (layer.backward(grad_out), x_.grad))


def loops(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The same convolution with a Python loop for every number of the result."""
    items, filters, size = len(x), len(w), w.shape[-1]
    sides = [length - size + 1 for length in x.shape[2:]]
    out = np.zeros((items, filters, *sides))
    for place in np.ndindex(out.shape):
        n, f, row, column = place
        out[place] = (x[n, :, row : row + size, column : column + size] * w[f]).sum()
    return out


def seconds(action: object) -> float:
    """How long it takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def number_cells(axes: object, matrix: np.ndarray, title: str) -> None:
    """A matrix with its numbers written into coloured cells."""
    common.picture(axes, matrix, title, cmap="Blues", vmin=-4, vmax=22)
    for (row, column), value in np.ndenumerate(matrix):
        axes.text(column, row, f"{value:g}", ha="center", va="center", fontsize=9)


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv)
    image = np.arange(1.0, 17).reshape(1, 1, 4, 4)
    rows = im2col(image, kernel=3)
    again = col2im(rows, image.shape, kernel=3)
    common.say(
        f"""im2col (im2col로 데이터 전개) copies each of the four 3×3 windows of a 4×4 picture into
        a row: {image.shape} becomes {rows.shape}. col2im adds the rows back; a pixel that lay in n
        windows comes back n times as large. 7 lay in {again[0, 0, 1, 2] / 7:.0f} windows, 1 in
        {again[0, 0, 0, 0]:.0f}."""
    )
    common.say("With it both layers are three steps. Against Narae's, results and gradients:")
    comparisons = {
        "Convolution": compare_convolution(1, 0),
        "Convolution, stride 2, padding 1": compare_convolution(2, 1),
        "MaxPooling(2)": compare_pooling(2, 2),
        "MaxPooling(3), stride 2": compare_pooling(3, 2),
    }
    common.table(
        ["layer", "largest difference"],
        [[name, f"{gap:.1e}"] for name, gap in comparisons.items()],
    )
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 3, 28, 28)), rng.normal(size=(8, 3, 5, 5))
    layer = Convolution(w, np.zeros(8))
    slow, fast = (
        seconds(lambda: loops(x, w)),
        min(seconds(lambda: layer.forward(x)) for _ in range(3)),
    )
    same = np.abs(loops(x, w) - layer.forward(x)).max()
    common.say(
        f"""For four pictures of 28×28 with three channels and eight filters, loops take
        {1e3 * slow:.0f} ms and the three steps {1e3 * fast:.1f} ms; the results differ by
        {same:.0e}. The price is memory: {layer.rows.size / x.size:.0f} times the pictures."""
    )
    pooled = MaxPooling(2)
    out = pooled.forward(image)
    grad = pooled.backward(np.array([[[[1.0, 2.0], [3.0, 4.0]]]]))
    common.say(
        f"""Max pooling (풀링) halves height and width: {image.shape[2:]} becomes {out.shape[2:]}.
        The gradient goes to where the maximum was, and nowhere else: {int((grad != 0).sum())} of
        16 pixels get one."""
    )
    widths = {"width_ratios": (4, 9, 3)}
    figure, axes = common.new_figure(1, 3, width=10, height=3.2, gridspec_kw=widths)
    number_cells(axes[0], image[0, 0], "Picture")
    number_cells(axes[1], rows, "im2col: a window in each row")
    number_cells(axes[2], grad[0, 0], "Pooling's gradient")
    common.save(
        figure,
        chosen.out,
        "im2col",
        """Left: a picture. Middle: its four 3×3 windows, unfolded; a convolution multiplies this
        matrix with the filters as columns. Right: the gradients 1, 2, 3, 4 of 2×2 max pooling go to
        the largest pixel of each window.""",
    )


if __name__ == "__main__":
    main()
