"""Digits placed on a canvas: a task of detection that a small network learns in minutes."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from narae.base.errors import BoundsError, ConfigError, MissingDataError, explain
from narae.tensors.creation import from_numpy
from narae.vision import sources
from narae.vision.digits import split_digits
from narae.vision.idx import read_idx_pair
from narae.vision.transforms.functional import shaping

from .detection import Joint, Sample
from .pictures import Folder, VisionDataset

Source = Literal["auto", "mnist", "digits"]
Array = npt.NDArray[Any]

_SOURCES = ("auto", "mnist", "digits")
_TRIES = 20
_DIGITS_FROM = 28  # digits of scikit-learn are brought to MNIST's size
_DARK = 0.25  # what is darker than that is no part of a stroke


class MnistDetection(VisionDataset):
    """Coloured handwritten digits of several sizes on a dark, noisy canvas, with their boxes.

    Sample i depends on the seed, the part and i alone. The label of a digit is the digit plus one
    (0 stands for the background); a box is drawn tightly around the strokes.

    Args:
        root: a folder to look for MNIST in first.
        train: digits of the training part, or of the test part.
        items: how many images.
        size: height and width of the canvas.
        digits: (least, most) digits an image.
        scale: (least, greatest) size of a digit, in units of MNIST's 28 pixels.
        source: "mnist"; "digits", which come with scikit-learn, so that nothing is downloaded; or
            "auto", MNIST where it is found and the other ones where not.
        seed: another one gives other images.
        transforms: applied to image and target together.
        download: whether the network may be used for MNIST.

    Raises:
        ConfigError: for another source, wrong numbers of digits, or digits larger than the canvas.
        MissingDataError: if MNIST is asked for and nowhere to be found.

    >>> image, target = MnistDetection(items=3, source="digits")[0]
    >>> image.shape, target["boxes"].shape[1]
    (narae.Size([3, 96, 96]), 4)
    """

    classes = tuple("0123456789")

    def __init__(
        self,
        root: Folder | None = None,
        train: bool = True,
        items: int = 2000,
        size: int = 96,
        digits: tuple[int, int] = (1, 4),
        scale: tuple[float, float] = (0.7, 1.4),
        source: Source = "auto",
        seed: int = 0,
        transforms: Joint | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transforms=transforms)
        if source not in _SOURCES:
            given, rule = f"source is {source!r}", f"it is one of {', '.join(_SOURCES)}"
            raise ConfigError(explain("MnistDetection", given, rule))
        if not 0 <= digits[0] <= digits[1]:
            given = f"digits is {digits}"
            raise ConfigError(
                explain("MnistDetection", given, "it is (least, most) digits an image")
            )
        if scale[1] * _DIGITS_FROM > size:
            given = f"digits are up to {scale[1] * _DIGITS_FROM:.0f} pixels, the canvas {size}"
            raise ConfigError(explain("MnistDetection", given, "a digit fits on the canvas"))
        self.train, self.items, self.size, self.seed = train, items, size, seed
        self.digits, self.scale = digits, scale
        self._images, self._labels, self.source = _pictures(source, root, train, download)

    def __len__(self) -> int:
        return self.items

    def __getitem__(self, index: int) -> Sample:
        if not -self.items <= index < self.items:
            given = f"index is {index}"
            raise BoundsError(explain("MnistDetection", given, f"there are {self.items} images"))
        index %= self.items
        random = np.random.default_rng([self.seed, int(self.train), index])
        canvas = _background(random, self.size)
        boxes: list[list[float]] = []
        labels: list[int] = []
        for _ in range(int(random.integers(self.digits[0], self.digits[1] + 1))):
            number = int(random.integers(len(self._images)))
            digit = _scaled(self._images[number], random.uniform(*self.scale))
            box = _free_place(random, digit.shape, self.size, boxes)
            if box is not None:
                _paint(canvas, digit, box, random.uniform(0.5, 1.0, 3))
                boxes.append(box)
                labels.append(int(self._labels[number]) + 1)
        target = {
            "boxes": from_numpy(np.asarray(boxes, np.float32).reshape(-1, 4)),
            "labels": from_numpy(np.asarray(labels, np.int64)),
            "image_id": index,
        }
        image = from_numpy(canvas)
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def extra_repr(self) -> str:
        part = "Train" if self.train else "Test"
        return f"Split: {part}\nDigits: {self.source}, on {self.size} x {self.size} pixels"


def _pictures(
    source: Source, root: Folder | None, train: bool, download: bool
) -> tuple[Array, Array, str]:
    """Digits (items, height, width), 0 to 1, their labels, and where they are from."""
    if source != "digits":
        try:
            files = sources.mnist_files(root, download)
            part = "train" if train else "test"
            images, labels = read_idx_pair(files[f"{part}_images"], files[f"{part}_labels"])
            return images, labels, "mnist"
        except MissingDataError:
            if source == "mnist":
                raise
    train_images, train_labels, test_images, test_labels = split_digits()
    images, labels = (train_images, train_labels) if train else (test_images, test_labels)
    return images[:, 0], labels, "digits"


def _background(random: np.random.Generator, size: int) -> npt.NDArray[np.float32]:
    """A dark canvas (3, size, size) of one colour, with noise."""
    colour = random.uniform(0.0, 0.25, (3, 1, 1))
    noise = random.normal(0.0, 0.04, (3, size, size))
    return np.clip(colour + noise, 0, 1).astype(np.float32)


def _scaled(image: Array, scale: float) -> Array:
    """The strokes of a digit in another size, without the dark margin: (height, width), 0 to 1."""
    bright = image.astype(np.float32) / (255 if image.dtype == np.uint8 else 1)
    rows, columns = np.nonzero(bright > _DARK)
    tight = bright[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    factor = scale * _DIGITS_FROM / len(image)
    size = [max(round(side * factor), 2) for side in tight.shape]
    return np.asarray(shaping.resize(from_numpy(np.ascontiguousarray(tight[None])), size))[0]


def _free_place(
    random: np.random.Generator, shape: tuple[int, ...], size: int, taken: list[list[float]]
) -> list[float] | None:
    """A box for a digit that meets no other; None if none was found."""
    height, width = shape
    for _ in range(_TRIES):
        top, left = (int(random.integers(0, size - side + 1)) for side in (height, width))
        box = [left, top, left + width, top + height]
        if not any(_meet(box, other) for other in taken):
            return [float(x) for x in box]
    return None


def _meet(a: list[float] | list[int], b: list[float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _paint(canvas: Array, digit: Array, box: list[float], colour: Array) -> None:
    left, top, right, bottom = map(int, box)
    part = canvas[:, top:bottom, left:right]
    part += (colour[:, None, None] - part) * digit  # the colour where the stroke is
