"""A folder of pictures, and a folder of masks with the same names."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from narae.base.errors import DataError, MissingDataError, ShapeError, explain
from narae.vision.places import place_of
from narae.vision.transforms.functional.images import pillow

from .folder import is_image_file
from .pictures import Folder, Transform, VisionDataset
from .reading import read_picture

Pairs = list[tuple[str, str]]

_NO_CLASS = 255


class MaskFolder(VisionDataset):
    """Pictures with a mask of classes each, as in Oxford-IIIT Pet: images/cat.jpg, masks/cat.png.

    Sample i is (picture, mask): Pillow images of one size before `transforms`; a mask's pixels are
    numbers of classes.

    Args:
        images, masks: the two folders; a file and its mask differ in the ending alone. They may
            lie in a .zip file.
        names: which ones, without endings; or a text file with a name at the beginning of each
            line, as Oxford's `trainval.txt`; None: all of `images`.
        classes: their names; with these a mask's values are checked.
        ignore_index: a value of masks that stands for no class. It becomes 255 where it would be
            the number of a class otherwise, as 0 is if `first` is 1, or is no byte.
        first: the value of the first class: Oxford's masks begin at 1. It becomes 0.
        transforms: applied to picture and mask together: see `narae.vision.transforms.joint`.
        transform, target_transform: applied to one of them.

    Attributes:
        ignore_index: the value that stands for no class in the masks of samples.

    Raises:
        DataError: if two files have one name; for a sample, if its mask has other values.
        FileFormatError, ShapeError: for a sample, if a file is damaged, or the sizes differ.
        MissingDataError: if there is no picture, or one has no mask.

    Source: O. Parkhi et al., "Cats and dogs", 2012 (the form of folders).
    """

    def __init__(
        self,
        images: Folder,
        masks: Folder,
        names: Sequence[str] | Folder | None = None,
        classes: Sequence[str] = (),
        ignore_index: int | None = None,
        first: int = 0,
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
    ) -> None:
        super().__init__(images, transforms, transform, target_transform)
        self.classes, self.first = tuple(classes), first
        self._unlabelled = self.ignore_index = ignore_index
        taken = max(len(self.classes), first) if first else 0  # these are, or become, classes
        if ignore_index is not None and not taken <= ignore_index <= _NO_CLASS:
            self.ignore_index = _NO_CLASS
        self.pairs = pairs_of(images, masks, names, type(self).__name__)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        what = type(self).__name__
        path, beside = self.pairs[index]
        picture, mask = read_picture(path, what), read_picture(beside, what, mode=None)
        if mask.size != picture.size:
            given = f"{beside} is {mask.size}, {path} is {picture.size} (width, height)"
            raise ShapeError(explain(what, given, "a mask has the size of its picture"))
        mask = self._checked(mask, beside)
        return (picture, mask) if self.transforms is None else self.transforms(picture, mask)

    def _checked(self, mask: Any, path: str) -> Any:
        """The mask as a Pillow image whose values are classes."""
        what, values = type(self).__name__, np.asarray(mask)
        if values.ndim != 2 or values.dtype.kind not in "iub":
            given = f"{path} has the mode {mask.mode}"
            rule = "a mask has one channel, whose values are numbers of classes"
            raise DataError(explain(what, given, rule, "write the classes, not their colours"))
        ignored = values == self._unlabelled
        classes = values.astype(np.int64) - self.first  # below 0 there is no class
        most = len(self.classes) or _NO_CLASS + 1
        wrong = (classes < 0) | (classes >= most)
        if self.ignore_index is not None:
            wrong |= classes == self.ignore_index
        wrong &= np.logical_not(ignored)
        if wrong.any():
            raise DataError(self._of_no_class(path, int(values[wrong][0]), most))
        if self.ignore_index is not None:
            classes[ignored] = self.ignore_index
        return pillow().fromarray(classes.astype(np.uint8))

    def _of_no_class(self, path: str, value: int, most: int) -> str:
        rule = f"classes are {self.first} to {self.first + most - 1}"
        if self._unlabelled is not None:
            rule += f", and {self._unlabelled} where there is none"
        return explain(type(self).__name__, f"{path} holds the value {value}", rule)


def pairs_of(
    images: Folder, masks: Folder, names: Sequence[str] | Folder | None, what: str
) -> Pairs:
    """Paths of pictures and their masks, in the order of `names`, or sorted.

    Raises:
        DataError: if two files have one name.
        MissingDataError: if there is no picture, one that is named is not there, or has no mask.
    """
    pictures, beside = _files_by_name(images, what), _files_by_name(masks, what)
    wanted = sorted(pictures) if names is None else _names_of(names)
    if not wanted:
        given = f"{images} holds no picture" if names is None else f"{names!r} names no picture"
        raise MissingDataError(explain(what, given, "there is at least one"))
    for name in wanted:
        if name not in pictures:
            given, rule = f"{images} holds no picture {name}", "the list of names asks for it"
            raise MissingDataError(explain(what, given, rule))
        if name not in beside:
            given = f"{pictures[name]} has no mask in {masks}"
            rule = "each picture has a mask with the same name, whatever the ending"
            raise MissingDataError(explain(what, given, rule))
    return [(pictures[name], beside[name]) for name in wanted]


def _files_by_name(folder: Folder, what: str) -> dict[str, str]:
    whole = Path(folder).expanduser()
    if not place_of(whole).is_folder():
        given, rule = f"there is no folder {whole}", "pictures were expected there"
        raise MissingDataError(explain(what, given, rule, "check the path"))
    found: dict[str, str] = {}
    for file in place_of(whole.parent).files_below(whole.name):
        if not is_image_file(file):
            continue
        before = found.setdefault(Path(file).stem, file)
        if before != file:
            given, rule = f"{before} and {file}", "a name without its ending stands for one file"
            raise DataError(explain(what, given, rule))
    return found


def _names_of(names: Sequence[str] | Folder) -> list[str]:
    if not isinstance(names, str | os.PathLike):
        return list(names)
    with place_of(names).open() as file:
        lines = file.read().decode("utf-8").splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
