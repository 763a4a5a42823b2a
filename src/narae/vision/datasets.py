"""Data sets of pictures, under torchvision's names.

import narae.vision.datasets as dsets

train = dsets.MNIST(root="MNIST_data/", train=True, transform=transforms.ToTensor())
"""

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from narae.base.errors import require
from narae.data import Dataset
from narae.tensors import Tensor
from narae.tensors.creation import from_numpy

from . import sources
from .digits import DIGITS_CLASSES, split_digits
from .idx import read_idx_pair

Transform = Callable[[Any], Any]


class LabelledPictures(Dataset[Any]):
    """Pictures in memory with a label each.

    Sample i is (transform(picture), target_transform(label)); the picture is a Pillow image before
    the transform, as in torchvision.

    Attributes:
        data: (items, height, width), uint8.
        targets: (items,), int64.
        classes: the name of each label.
    """

    classes: Sequence[str] = ()

    def __init__(
        self,
        data: Any,
        targets: Any,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
    ) -> None:
        self.data: Tensor = from_numpy(data)
        self.targets: Tensor = from_numpy(np.asarray(targets, np.int64))
        self.transform, self.target_transform = transform, target_transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        picture: Any = self._picture(self.data._array[index])
        target: Any = int(self.targets._array[index])
        if self.target_transform is not None:
            target = self.target_transform(target)
        return picture, target

    def _picture(self, array: Any) -> Any:
        """One transformed picture; Pillow is needed only by transforms that want its images."""
        together = getattr(self.transform, "batch", None)
        pictures = together(array[None]) if together else None
        if pictures is not None:
            return pictures[0]
        image = require("PIL.Image", "data", "pictures as images").fromarray(array)
        return image if self.transform is None else self.transform(image)

    def get_batch(self, indices: Sequence[int]) -> list[Any] | None:
        """The samples collated, if the transform works on many pictures at once."""
        together = getattr(self.transform, "batch", None)
        replaced = type(self).__getitem__ is not LabelledPictures.__getitem__
        if together is None or replaced or self.target_transform is not None:
            return None
        places = np.asarray(indices)
        pictures = together(self.data._array[places])
        return None if pictures is None else [pictures, from_numpy(self.targets._array[places])]

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class name."""
        return {name: label for label, name in enumerate(self.classes)}

    def __repr__(self) -> str:
        kind = type(self).__name__
        lines = [f"Dataset {kind}", f"    Number of datapoints: {len(self)}"]
        if self.transform is not None:
            lines.append(f"    Transform: {self.transform!r}")
        return "\n".join(lines)


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

    classes = tuple(
        f"{digit} - {word}"
        for digit, word in enumerate(
            ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
        )
    )
    _find = staticmethod(sources.mnist_files)

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        self.root, self.train = None if root is None else Path(root), train
        files = type(self)._find(self.root, download)
        part = "train" if train else "test"
        pictures, labels = read_idx_pair(files[f"{part}_images"], files[f"{part}_labels"])
        super().__init__(pictures, labels, transform, target_transform)

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
