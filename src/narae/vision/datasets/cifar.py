"""CIFAR-10 and CIFAR-100: small colour pictures of things and animals."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from narae.vision import cifar
from narae.vision.cifar_classes import CIFAR10_CLASSES, CIFAR100_CLASSES

from .pictures import Folder, LabelledPictures, Transform, VisionDataset, split_of


class CIFAR10(LabelledPictures):
    """Colour pictures, 32 x 32, in 10 classes: 50,000 to train on and 10,000 to test on.

    The Python and the binary form are found; a part of the binary form can be used, too, and a
    warning says that it is one.

    Args:
        root: a folder to look in first; then the folder NARAE_DATA and the cache follow.
        train: the training part, or the test part.
        transform: applied to each picture.
        target_transform: applied to each label.
        download: whether the network may be used.

    Attributes:
        data: (items, 32, 32, 3), an array of uint8.
        targets: a list of labels.

    Raises:
        DataError: if a file is damaged.
        MissingDataError: if there are no files.

    Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """

    classes: Sequence[str] = CIFAR10_CLASSES
    _set = cifar.CIFAR10

    def __init__(
        self,
        root: Folder | None = None,
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        VisionDataset.__init__(self, root, None, transform, target_transform)
        self.train = train
        pictures, labels = cifar.read_cifar(self._set, train, root, download)
        self.data: np.ndarray[Any, Any] = pictures
        self.targets: list[int] = labels.tolist()

    def extra_repr(self) -> str:
        return split_of(self.train)


class CIFAR100(CIFAR10):
    """Colour pictures, 32 x 32, in 100 classes: 500 a class to train on and 100 to test on."""

    classes = CIFAR100_CLASSES
    _set = cifar.CIFAR100
