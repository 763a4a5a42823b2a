"""MNIST as plain NumPy arrays, for programs that are written from scratch."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from .idx import read_idx_pair
from .sources import mnist_files

Array = npt.NDArray[Any]
Part = tuple[Array, Array]

_BRIGHTEST = 255
_CLASSES = 10


def load_mnist(
    normalize: bool = True,
    flatten: bool = True,
    one_hot_label: bool = False,
    root: str | os.PathLike[str] | None = None,
    download: bool = True,
) -> tuple[Part, Part]:
    """MNIST as ((x_train, t_train), (x_test, t_test)): 60,000 and 10,000 pictures with labels.

    Args:
        normalize: brightness as float32 in 0 to 1; otherwise as uint8 in 0 to 255.
        flatten: pictures of (784,); otherwise of (1, 28, 28).
        one_hot_label: labels as ten numbers, 1.0 at the label and 0.0 elsewhere; otherwise as
            one number in 0 to 9 (uint8).
        root: a folder to look in first; then the folder NARAE_DATA, the cache and the network.
        download: whether the network may be used.

    Raises:
        DataError: if a file is damaged.
        MissingDataError: if a file is nowhere to be found.

    Source: the function of this name in K. Saitoh, "Deep Learning from Scratch", 2016.
    """
    files = mnist_files(root, download)
    train, test = (
        read_idx_pair(files[f"{part}_images"], files[f"{part}_labels"])
        for part in ("train", "test")
    )
    return (
        _arranged(*train, normalize, flatten, one_hot_label),
        _arranged(*test, normalize, flatten, one_hot_label),
    )


def _arranged(
    images: Array, labels: Array, normalize: bool, flatten: bool, one_hot_label: bool
) -> Part:
    if normalize:
        images = images.astype(np.float32) / _BRIGHTEST
    shape = (len(images), -1) if flatten else (len(images), 1, *images.shape[1:])
    return images.reshape(shape), one_hot(labels) if one_hot_label else labels


def one_hot(labels: Array, classes: int = _CLASSES) -> Array:
    """Labels (items,) as rows (items, classes) with 1.0 at the label and 0.0 elsewhere.

    >>> one_hot(np.array([2, 0]), classes=3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    out = np.zeros((labels.size, classes))
    out[np.arange(labels.size), labels.ravel()] = 1.0
    return out
