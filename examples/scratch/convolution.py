"""Convolution and pooling by hand: unfold the windows, multiply, reshape.

im2col copies every window of every picture into a row; then a convolution is one matrix product,
and pooling takes the largest number of a row. col2im adds the windows back: it is the backward pass
of im2col.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def places(size: int, kernel: int, stride: int, padding: int) -> int:
    """How many windows fit along one side."""
    return (size + 2 * padding - kernel) // stride + 1


def im2col(images: Array, kernel: int, stride: int = 1, padding: int = 0) -> Array:
    """Every window as a row.

    Args:
        images: (items, C, H, W).
        kernel, stride, padding: of the windows, the same in both directions.

    Returns:
        (items · OH · OW, C · kernel · kernel).
    """
    items, channels, height, width = images.shape
    rows, columns = (places(size, kernel, stride, padding) for size in (height, width))
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.empty((items, channels, kernel, kernel, rows, columns), images.dtype)
    for i in range(kernel):
        for j in range(kernel):
            to_row, to_column = i + stride * rows, j + stride * columns
            windows[:, :, i, j] = padded[:, :, i:to_row:stride, j:to_column:stride]
    return windows.transpose(0, 4, 5, 1, 2, 3).reshape(items * rows * columns, -1)


def col2im(
    windows: Array, shape: tuple[int, ...], kernel: int, stride: int = 1, padding: int = 0
) -> Array:
    """Add every row back to where its window was.

    Args:
        windows: (items · OH · OW, C · kernel · kernel).
        shape: (items, C, H, W) of the images.
        kernel, stride, padding: as for `im2col`.

    Returns:
        The images; a pixel that lay in n windows gets n numbers.
    """
    items, channels, height, width = shape
    rows, columns = (places(size, kernel, stride, padding) for size in (height, width))
    windows = windows.reshape(items, rows, columns, channels, kernel, kernel)
    windows = windows.transpose(0, 3, 4, 5, 1, 2)  # (items, C, kernel, kernel, OH, OW)
    high, wide = height + 2 * padding, width + 2 * padding
    images = np.zeros((items, channels, high, wide), windows.dtype)
    for i in range(kernel):
        for j in range(kernel):
            to_row, to_column = i + stride * rows, j + stride * columns
            images[:, :, i:to_row:stride, j:to_column:stride] += windows[:, :, i, j]
    return images[:, :, padding : padding + height, padding : padding + width]


class Convolution:
    """out = x ⋆ w + b, in three steps: unfold, multiply, reshape."""

    def __init__(self, w: Array, b: Array, stride: int = 1, padding: int = 0) -> None:
        self.params, self.grads = {"w": w, "b": b}, {}  # (FN, C, FH, FW), (FN,)
        self.stride, self.padding = stride, padding

    def forward(self, x: Array, train: bool = True) -> Array:  # (n, C, H, W) -> (n, FN, OH, OW)
        w, b = self.params["w"], self.params["b"]
        self.shape = x.shape
        # 1. Pictures and filters become matrices.
        self.rows = im2col(x, w.shape[-1], self.stride, self.padding)  # (n·OH·OW, C·FH·FW)
        columns = w.reshape(len(w), -1).T  # (C·FH·FW, FN)
        # 2. One matrix product.
        out = self.rows @ columns + b  # (n·OH·OW, FN)
        # 3. Back to pictures, one channel for each filter.
        sizes = [places(size, w.shape[-1], self.stride, self.padding) for size in x.shape[2:]]
        return out.reshape(len(x), *sizes, len(w)).transpose(0, 3, 1, 2)

    def backward(self, grad_out: Array) -> Array:  # (n, FN, OH, OW) -> (n, C, H, W)
        w = self.params["w"]
        grad = grad_out.transpose(0, 2, 3, 1).reshape(-1, len(w))  # (n·OH·OW, FN)
        self.grads = {"w": (grad.T @ self.rows).reshape(w.shape), "b": grad.sum(axis=0)}
        windows = grad @ w.reshape(len(w), -1)  # (n·OH·OW, C·FH·FW)
        return col2im(windows, self.shape, w.shape[-1], self.stride, self.padding)


class MaxPooling:
    """The largest number of every window, in three steps: unfold, row maximum, reshape."""

    def __init__(self, kernel: int, stride: int | None = None) -> None:
        self.params, self.grads = {}, {}
        self.kernel, self.stride = kernel, stride or kernel

    def forward(self, x: Array, train: bool = True) -> Array:  # (n, C, H, W) -> (n, C, OH, OW)
        self.shape = x.shape
        # 1. Each channel by itself, so that a row is one window of one channel.
        alone = x.reshape(-1, 1, *x.shape[2:])  # (n·C, 1, H, W)
        rows = im2col(alone, self.kernel, self.stride)  # (n·C·OH·OW, kernel·kernel)
        # 2. The largest of each row.
        self.largest = rows.argmax(axis=1)
        out = rows[np.arange(len(rows)), self.largest]
        # 3. Back to pictures.
        sizes = [places(size, self.kernel, self.stride, 0) for size in x.shape[2:]]
        return out.reshape(*x.shape[:2], *sizes)

    def backward(self, grad_out: Array) -> Array:  # (n, C, OH, OW) -> (n, C, H, W)
        rows = np.zeros((grad_out.size, self.kernel**2), grad_out.dtype)
        rows[np.arange(len(rows)), self.largest] = grad_out.ravel()
        alone = (self.shape[0] * self.shape[1], 1, *self.shape[2:])
        return col2im(rows, alone, self.kernel, self.stride).reshape(self.shape)
