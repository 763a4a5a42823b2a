"""What data sets of boxes have in common: the form of a sample, checks, batches.

A sample is `(image, target)`; the target holds "boxes" (n, 4), float32, corners x1, y1, x2, y2 in
pixels, "labels" (n,), int64, from 1 on (0 stands for the background), and "image_id".
"""

import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import DataError, explain
from narae.tensors import Tensor
from narae.tensors.creation import from_numpy
from narae.tensors.joining import stack

from .pictures import Folder, VisionDataset
from .reading import read_picture

Sample = tuple[Any, dict[str, Any]]
Joint = Callable[[Any, Any], tuple[Any, Any]]
Boxes = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Annotation:
    """What a data set's files say about one image.

    Attributes:
        path: the image's file.
        size: its (height, width) as the files say; None where they do not.
        boxes: (n, 4).
        entries: arrays of one number a box, by name: "labels" and more.
        image_id: a number of the image.
    """

    path: Path
    size: tuple[int, int] | None
    boxes: Boxes
    entries: Mapping[str, npt.NDArray[Any]]
    image_id: int

    def select(self, stay: npt.NDArray[np.bool_], boxes: Boxes) -> "Annotation":
        """The same with some of the boxes, in new places."""
        entries = {name: values[stay] for name, values in self.entries.items()}
        return Annotation(self.path, self.size, boxes[stay], entries, self.image_id)


class BoxesDataset(VisionDataset):
    """Images in files, with boxes: `_read` brings all annotations.

    Boxes without an area are dropped, boxes that reach out of their image are cut at its border;
    a warning says how many.

    Attributes:
        classes: names; the label of the first is 1.
        dropped, cut: how many boxes were.
    """

    classes: Sequence[str] = ()

    def __init__(self, root: Folder, transforms: Joint | None = None) -> None:
        super().__init__(root, transforms=transforms)
        self.dropped = self.cut = 0
        self._annotations = [self._cleaned(each) for each in self._read()]
        if not self._annotations:
            given = f"{self.root} names no image"
            raise DataError(explain(type(self).__name__, given, "a data set has at least one"))
        if self.dropped or self.cut:
            name = type(self).__name__
            message = (
                f"{name}: {self.dropped} boxes without an area are left out, {self.cut} boxes "
                "that reach out of their image are cut at its border"
            )
            warnings.warn(message, UserWarning, stacklevel=2 + self._levels())

    @classmethod
    def _levels(cls) -> int:
        """How many classes' `__init__` stand between the user's line and this class's."""
        below = cls.__mro__[: cls.__mro__.index(BoxesDataset)]
        return sum("__init__" in vars(each) for each in below)

    @abstractmethod
    def _read(self) -> list[Annotation]:
        """All annotations, in order."""

    def _cleaned(self, annotation: Annotation) -> Annotation:
        boxes = annotation.boxes
        if annotation.size is not None:
            height, width = annotation.size
            limits = np.array([width, height, width, height], np.float32)
            boxes = np.clip(boxes, 0, limits)
        thin = (annotation.boxes[:, 2:] <= annotation.boxes[:, :2]).any(axis=1)
        gone = (boxes[:, 2:] <= boxes[:, :2]).any(axis=1)  # thin ones, and those wholly outside
        changed = (boxes != annotation.boxes).any(axis=1)
        self.dropped += int(gone.sum())
        self.cut += int((changed & ~thin & ~gone).sum())
        return annotation.select(np.logical_not(gone), boxes)

    def __len__(self) -> int:
        return len(self._annotations)

    def __getitem__(self, index: int) -> Sample:
        annotation = self._annotations[index]
        image = read_picture(annotation.path, type(self).__name__)
        size = (image.size[1], image.size[0])
        if annotation.size is not None and size != annotation.size:
            given = f"{annotation.path} is {size}, its annotation says {annotation.size}"
            rule = "(height, width) agree, or boxes lie elsewhere"
            raise DataError(explain(type(self).__name__, given, rule))
        target = {
            "boxes": from_numpy(annotation.boxes.copy()),
            **{name: from_numpy(values.copy()) for name, values in annotation.entries.items()},
            "image_id": annotation.image_id,
        }
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def count_boxes(self) -> dict[str, int]:
        """How many boxes there are of each class."""
        labels = np.concatenate([each.entries["labels"] for each in self._annotations])
        return {name: int((labels == k).sum()) for k, name in enumerate(self.classes, 1)}


class Cached(VisionDataset):
    """Another data set of samples, each read once and kept; transforms are applied each time.

    Args:
        dataset: what to keep; its own transforms should draw nothing.
        transforms: applied to a kept sample, anew at each look; they give new tensors and leave
            those of the sample as they are.

    >>> from narae.vision.datasets import MnistDetection
    >>> kept = Cached(MnistDetection(items=2, source="digits"))
    >>> kept[0][0] is kept[0][0]
    True
    """

    def __init__(self, dataset: Any, transforms: Joint | None = None) -> None:
        super().__init__(transforms=transforms)
        self.dataset, self.classes = dataset, getattr(dataset, "classes", ())
        self._samples: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        place = index + len(self) if index < 0 else index
        if place not in self._samples:
            self._samples[place] = self.dataset[place]
        image, target = self._samples[place]
        return (image, target) if self.transforms is None else self.transforms(image, target)


# --- batches ------------------------------------------------------------------------------------


def collate_samples(samples: Sequence[Sample]) -> tuple[Any, list[dict[str, Any]]]:
    """A batch: the images as one tensor, or as a list if their sizes differ; targets as a list."""
    images, targets = zip(*samples, strict=True)
    same = len({tuple(image.shape) for image in images}) == 1
    return (stack(list(images)) if same else list(images)), list(targets)


class PadBoxes:
    """Makes batches of fixed shape, as one program for all of them needs it.

    A batch is images (batch, 3, height, width), boxes (batch, most, 4), labels (batch, most) and
    whether a box is difficult (batch, most); where there is no box, the label is 0.

    Args:
        most: boxes an image has at most.

    >>> import narae
    >>> sample = narae.zeros(3, 8, 8), {"boxes": narae.ones(1, 4), "labels": narae.tensor([5])}
    >>> images, boxes, labels, _ = PadBoxes(3)([sample])
    >>> boxes.shape, labels
    (narae.Size([1, 3, 4]), tensor([[5, 0, 0]]))
    """

    def __init__(self, most: int) -> None:
        self.most = most

    def __call__(self, samples: Sequence[Sample]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        images, targets = zip(*samples, strict=True)
        boxes = np.zeros((len(samples), self.most, 4), np.float32)
        labels = np.zeros((len(samples), self.most), np.int64)
        difficult = np.zeros((len(samples), self.most), np.bool_)
        for place, target in enumerate(targets):
            count = len(target["labels"])
            if count > self.most:
                given = f"an image has {count} boxes"
                rule = f"a batch has room for {self.most} an image"
                raise DataError(explain("PadBoxes", given, rule, f"PadBoxes({count})"))
            boxes[place, :count] = np.asarray(target["boxes"]).reshape(-1, 4)
            labels[place, :count] = np.asarray(target["labels"])
            if target.get("difficult") is not None:
                difficult[place, :count] = np.asarray(target["difficult"])
        return stack(list(images)), from_numpy(boxes), from_numpy(labels), from_numpy(difficult)


def unpad_boxes(boxes: Any, labels: Any, difficult: Any = None) -> list[dict[str, Any]]:
    """The targets of a batch that `PadBoxes` made.

    >>> import narae
    >>> boxes, labels = narae.zeros(1, 2, 4), narae.tensor([[7, 0]])
    >>> unpad_boxes(boxes, labels)[0]["labels"]
    tensor([7])
    """
    found = []
    for place, row in enumerate(np.asarray(labels)):
        real = row > 0
        target = {
            "boxes": from_numpy(np.asarray(boxes)[place][real]),
            "labels": from_numpy(row[real]),
        }
        if difficult is not None:
            target["difficult"] = from_numpy(np.asarray(difficult)[place][real])
        found.append(target)
    return found
