"""What data sets of pictures have in common: transforms, a text, and pictures in memory."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, explain, require
from narae.data import Dataset
from narae.tensors import Tensor
from narae.tensors.creation import from_numpy

Transform = Callable[[Any], Any]
Folder = str | os.PathLike[str]


class StandardTransform:
    """One transform of pictures and one of labels, as one of pairs."""

    def __init__(
        self, transform: Transform | None = None, target_transform: Transform | None = None
    ) -> None:
        self.transform, self.target_transform = transform, target_transform

    def __call__(self, picture: Any, target: Any) -> tuple[Any, Any]:
        if self.transform is not None:
            picture = self.transform(picture)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return picture, target

    def __repr__(self) -> str:
        lines = ["StandardTransform"]
        named = {"Transform: ": self.transform, "Target transform: ": self.target_transform}
        for name, transform in named.items():
            if transform is not None:
                lines.append(name + repr(transform).replace("\n", "\n" + " " * len(name)))
        return "\n".join(lines)


class VisionDataset(Dataset[Any]):
    """A data set of pictures: define `__getitem__` and `__len__`.

    Args:
        root: where the files are.
        transforms: applied to picture and label together.
        transform: applied to each picture.
        target_transform: applied to each label.

    Raises:
        ConfigError: for `transforms` beside one of the other two.
    """

    def __init__(
        self,
        root: Folder | None = None,
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
    ) -> None:
        apart = transform is not None or target_transform is not None
        if transforms is not None and apart:
            given = "transforms and transform or target_transform are given"
            rule = "Only transforms or transform/target_transform can be passed as argument"
            raise ConfigError(explain(type(self).__name__, given, rule))
        self.root = None if root is None else Path(root).expanduser()
        self.transform, self.target_transform = transform, target_transform
        self.transforms: Any = transforms
        if apart:
            self.transforms = StandardTransform(transform, target_transform)

    def extra_repr(self) -> str:
        """More lines for the text of a data set."""
        return ""

    def __repr__(self) -> str:
        lines = [f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            lines.append(f"Root location: {self.root}")
        lines += self.extra_repr().splitlines()
        if self.transforms is not None:
            lines.append(repr(self.transforms))
        return "\n    ".join([f"Dataset {type(self).__name__}", *lines])


class LabelledPictures(VisionDataset):
    """Pictures in memory with a label each.

    Sample i is (transform(picture), target_transform(label)); the picture is a Pillow image before
    the transform, as in torchvision.

    Attributes:
        data: (items, height, width) or (items, height, width, channels), uint8.
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
        root: Folder | None = None,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.data: Any = from_numpy(data)
        self.targets: Any = from_numpy(np.asarray(targets, np.int64))

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        picture = self._picture(_array_of(self.data)[index])
        target: Any = int(self.targets[index])
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
        pictures = together(_array_of(self.data)[np.asarray(indices)])
        if pictures is None:
            return None
        labels = np.asarray([int(self.targets[index]) for index in indices], np.int64)
        return [pictures, from_numpy(labels)]

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class name."""
        return {name: label for label, name in enumerate(self.classes)}


def _array_of(data: Any) -> Any:
    return data._array if isinstance(data, Tensor) else np.asarray(data)


def split_of(train: bool) -> str:
    """The line that says which part of a data set it is."""
    return f"Split: {'Train' if train else 'Test'}"
