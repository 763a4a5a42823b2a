"""MNIST and the sets made in its image; digits that come with scikit-learn."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, explain
from narae.tensors import Tensor
from narae.vision import emnist, sources
from narae.vision.digits import DIGITS_CLASSES, split_digits
from narae.vision.idx import read_idx_pair

from .pictures import Folder, LabelledPictures, Transform, split_of

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class MNIST(LabelledPictures):
    """Handwritten digits, 28 x 28: 60,000 to train on and 10,000 to test on.

    The files are looked for in `root`, in the folder NARAE_DATA and in the cache, and with
    `download=True` fetched into the cache; each is checked against its published checksum.

    Args:
        root: a folder to look in first.
        train: the training part, or the test part.
        transform: applied to each picture.
        target_transform: applied to each label.
        download: whether the network may be used.

    Raises:
        DataError: if a file is damaged.
        MissingDataError: if a file is nowhere to be found.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to
    document recognition", 1998.
    """

    classes = tuple(f"{digit} - {word}" for digit, word in enumerate(_WORDS))
    _find = staticmethod(sources.mnist_files)

    def __init__(
        self,
        root: Folder | None = None,
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        self.train = train
        pictures, labels = self._read(type(self)._find(root, download))
        super().__init__(pictures, labels, transform, target_transform, root)

    def _read(self, files: Mapping[str, Path]) -> tuple[Any, Any]:
        part = "train" if self.train else "test"
        return read_idx_pair(files[f"{part}_images"], files[f"{part}_labels"])

    def extra_repr(self) -> str:
        return split_of(self.train)

    def _renamed(self, old: str, new: str) -> Tensor:
        warnings.warn(f"{old} has been renamed {new}", UserWarning, stacklevel=3)
        return getattr(self, new)

    @property
    def train_data(self) -> Tensor:
        """The old name of `data`."""
        return self._renamed("train_data", "data")

    @property
    def test_data(self) -> Tensor:
        """The old name of `data`."""
        return self._renamed("test_data", "data")

    @property
    def train_labels(self) -> Tensor:
        """The old name of `targets`."""
        return self._renamed("train_labels", "targets")

    @property
    def test_labels(self) -> Tensor:
        """The old name of `targets`."""
        return self._renamed("test_labels", "targets")


class FashionMNIST(MNIST):
    """Pieces of clothing in MNIST's form.

    Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", arXiv:1708.07747, 2017.
    """

    classes = sources.FASHION_MNIST_CLASSES
    _find = staticmethod(sources.fashion_mnist_files)


class KMNIST(MNIST):
    """Cursive Japanese letters in MNIST's form.

    Source: T. Clanuwat et al., "Deep Learning for Classical Japanese Literature",
    arXiv:1812.01718, 2018.
    """

    classes = sources.KMNIST_CLASSES
    _find = staticmethod(sources.kmnist_files)


class EMNIST(MNIST):
    """Handwritten letters and digits in MNIST's form.

    The published files hold each picture with rows and columns exchanged. Here pictures stand
    upright, as MNIST's do; torchvision gives them as they are stored (`upright=False`).

    Args:
        root: a folder to look in first.
        split: "byclass" (62 classes), "bymerge" and "balanced" (47: letters whose upper and lower
            case look alike are one), "letters" (26, labels from 1), "digits" or "mnist" (10).
        train: the training part, or the test part.
        transform: applied to each picture.
        target_transform: applied to each label.
        download: whether the network may be used.
        upright: turn the pictures upright.

    Raises:
        ConfigError: for any other split.
        DataError: if a file is damaged.
        MissingDataError: if a file is nowhere to be found.

    Source: G. Cohen, S. Afshar, J. Tapson, A. van Schaik, "EMNIST: an extension of MNIST to
    handwritten letters", arXiv:1702.05373, 2017.
    """

    splits = emnist.SPLITS

    def __init__(
        self,
        root: Folder | None = None,
        split: str = "",
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
        upright: bool = True,
    ) -> None:
        if split not in self.splits:
            given = f"split is {split!r}"
            rule = f"split is one of {', '.join(self.splits)}"
            raise ConfigError(explain("EMNIST", given, rule))
        self.split, self.train, self.upright = split, train, upright
        self.classes = emnist.CLASSES[split]
        images, labels = emnist.emnist_files(split, train, root, download)
        pictures, targets = read_idx_pair(images, labels, num_classes=len(self.classes))
        if upright:
            pictures = np.ascontiguousarray(pictures.transpose(0, 2, 1))
        LabelledPictures.__init__(self, pictures, targets, transform, target_transform, root)


class Digits(LabelledPictures):
    """Handwritten digits, 8 x 8, that come with scikit-learn: 1,437 to train on, 360 to test on.

    Nothing is downloaded. Brightness lies in 0 to 255, in seventeen steps.

    Args:
        train: the training part, or the test part.
        transform: applied to each picture.
        target_transform: applied to each label.

    Raises:
        MissingExtraError: if scikit-learn is not installed.

    >>> dataset = Digits(train=False)
    >>> dataset.data.shape, dataset.targets[:4]
    (narae.Size([360, 8, 8]), tensor([0, 2, 4, 7]))
    """

    classes = DIGITS_CLASSES

    def __init__(
        self,
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
    ) -> None:
        self.train = train
        train_images, train_labels, test_images, test_labels = split_digits()
        images, labels = (train_images, train_labels) if train else (test_images, test_labels)
        bright = np.rint(255 * images[:, 0]).astype(np.uint8)  # (items, 8, 8)
        super().__init__(bright, labels, transform, target_transform)

    def extra_repr(self) -> str:
        return split_of(self.train)
