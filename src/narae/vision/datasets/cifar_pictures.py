"""CIFAR-10's pictures, or those of a folder in their place, as recipes need them."""

from pathlib import Path
from typing import Any

from narae.vision.places import train_and_test_folders

from .cifar import CIFAR10
from .folder import ImageFolder
from .pictures import Transform


def cifar10_or_folders(
    folder: Path | None, train_transform: Transform, test_transform: Transform
) -> tuple[Any, Any]:
    """Pictures to train on and pictures to test on, in the same classes.

    Args:
        folder: a folder or .zip file with folders `train` and `test` of classes; anything else is
            where CIFAR-10 is looked for first, then the folder NARAE_DATA and the cache follow.
        train_transform, test_transform: applied to the pictures of each part.

    Raises:
        MissingDataError: if there are no pictures, and none can be downloaded.
    """
    pictures = train_and_test_folders(folder)
    if pictures is None:
        train = CIFAR10(folder, train=True, transform=train_transform, download=True)
        return train, CIFAR10(folder, train=False, transform=test_transform, download=True)
    train_part = ImageFolder(pictures / "train", train_transform)
    return train_part, ImageFolder(pictures / "test", test_transform)
