"""The files of CIFAR-10 and CIFAR-100, in their binary form and in their Python form.

A record of the binary form is its labels (one byte each) and 3,072 bytes: 32 x 32 red, then green,
then blue. The Python form is a pickled dict with the same numbers; it is read by an unpickler that
knows arrays and nothing else, so that a file can run no code.

The MD5 sums are those that torchvision publishes (torchvision/datasets/cifar.py).

Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import DataError, FileFormatError, MissingDataError, explain
from narae.io.fetch import Download, FileSet, data_cache, file_checksum, find_files
from narae.io.pickles import read_pickles

from .archives import folders_below, unpack

Array = npt.NDArray[Any]
Pictures = tuple[Array, Array]

SIDE = 32
_PIXELS = 3 * SIDE * SIDE
_ADDRESS = ("https://www.cs.toronto.edu/~kriz/",)


@dataclass(frozen=True)
class CifarSet:
    """One of the two sets.

    Attributes:
        name: what people call it.
        classes: how many there are.
        labels: bytes before each picture of the binary form; the last is the label.
        key: of the labels in the Python form.
        train, test: the files of the Python form and their MD5 sums.
        items: how many pictures the parts have: (train, test).
        archive: the files with everything.
        folders: where files may be below a root.
        binary: names of binary files: (train, test), with * for anything.
    """

    name: str
    classes: int
    labels: int
    key: str
    train: dict[str, str]
    test: dict[str, str]
    items: tuple[int, int]
    archive: FileSet
    folders: tuple[str, ...]
    binary: tuple[str, str]

    @property
    def folder(self) -> str:
        """The folder of the Python form, in the archive and below a root."""
        return self.folders[0]


CIFAR10 = CifarSet(
    name="CIFAR10",
    classes=10,
    labels=1,
    key="labels",
    train={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    },
    test={"test_batch": "40351d587109b95175f43aff81a1287e"},
    items=(50_000, 10_000),
    archive=FileSet(
        name="CIFAR10",
        folders=("cifar10", "CIFAR10"),
        files={
            "python": Download("cifar-10-python.tar.gz", "md5:c58f30108f718f92721af3b95e74349a")
        },
        mirrors=_ADDRESS,
    ),
    folders=(
        "cifar-10-batches-py",
        "cifar-10-batches-bin",
        "cifar10/cifar-10-batches-py",
        "cifar10/cifar-10-batches-bin",
        "cifar10",
    ),
    binary=("data_batch*.bin", "test_batch*.bin"),
)
CIFAR100 = CifarSet(
    name="CIFAR100",
    classes=100,
    labels=2,
    key="fine_labels",
    train={"train": "16019d7e3df5f24257cddd939b257f8d"},
    test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
    items=(50_000, 10_000),
    archive=FileSet(
        name="CIFAR100",
        folders=("cifar100", "CIFAR100"),
        files={
            "python": Download("cifar-100-python.tar.gz", "md5:eb9058c3a382ffc7106e4002c42a8d85")
        },
        mirrors=_ADDRESS,
    ),
    folders=(
        "cifar-100-python",
        "cifar-100-binary",
        "cifar100/cifar-100-python",
        "cifar100/cifar-100-binary",
        "cifar100",
    ),
    binary=("train*.bin", "test*.bin"),
)


def read_cifar(
    wanted: CifarSet,
    train: bool,
    root: str | os.PathLike[str] | None = None,
    download: bool = True,
) -> Pictures:
    """Find and read one part of a set.

    Below `root`, the folder NARAE_DATA and the cache, files of either form are looked for, then
    the archive; with `download=True` it is fetched. Binary files may be a part of the set; a
    warning says so then.

    Returns:
        Pictures (items, 32, 32, 3), uint8, and labels (items,), int64.

    Raises:
        DataError: if a file is damaged.
        MissingDataError: if nothing is found.
    """
    for folder in folders_below(root, wanted.folders):
        found = _read_folder(wanted, train, folder)
        if found is not None:
            return found
    archive = _find_archive(wanted, root, download)
    folder = data_cache() / wanted.folder
    names = [*wanted.train, *wanted.test]
    unpack(archive, {f"{wanted.folder}/{name}": name for name in names}, folder)
    found = _read_folder(wanted, train, folder)
    if found is None:
        given = f"{folder} is empty"
        raise MissingDataError(explain(wanted.name, given, "it was unpacked just now"))
    return found


def _find_archive(wanted: CifarSet, root: str | os.PathLike[str] | None, download: bool) -> Path:
    try:
        return find_files(wanted.archive, root, download)["python"]
    except MissingDataError as error:
        forms = " or ".join(wanted.folders[:2])
        error.add_note(f"Unpacked files count as well, in a folder {forms} in one of these places.")
        raise


def _read_folder(wanted: CifarSet, train: bool, folder: Path) -> Pictures | None:
    """One part from the files of a folder; None if it has none of them."""
    names = wanted.train if train else wanted.test
    if all((folder / name).is_file() for name in names):
        parts = [_read_checked(wanted, folder / name, md5) for name, md5 in names.items()]
        return _joined(parts)
    files = sorted(folder.glob(wanted.binary[0 if train else 1]))
    if not files:
        return None
    pictures, labels = _joined([read_binary(file, wanted) for file in files])
    items = wanted.items[0 if train else 1]
    if len(labels) != items:
        part = "training" if train else "test"
        message = (
            f"{wanted.name}: {folder} holds a subset, {len(labels):,} of {items:,} {part} pictures"
        )
        warnings.warn(message, UserWarning, stacklevel=4)
    return pictures, labels


def _joined(parts: list[Pictures]) -> Pictures:
    pictures, labels = zip(*parts, strict=True)
    return np.concatenate(pictures), np.concatenate(labels)


def read_binary(path: str | os.PathLike[str], wanted: CifarSet) -> Pictures:
    """Read one file of the binary form.

    Returns:
        Pictures (items, 32, 32, 3), uint8, and labels (items,), int64.

    Raises:
        FileFormatError: if it is not made of whole records with labels in their range.
    """
    values = np.fromfile(path, np.uint8)
    record = wanted.labels + _PIXELS
    if not len(values) or len(values) % record:
        given = f"{path} has {len(values):,} bytes"
        rule = f"a binary file of {wanted.name} is whole records of {record:,} bytes"
        raise FileFormatError(explain(wanted.name, given, rule, "fetch the file again"))
    records = values.reshape(-1, record)
    return _checked(path, wanted, records[:, wanted.labels :], records[:, wanted.labels - 1])


def _checked(path: Any, wanted: CifarSet, pixels: Array, labels: Array) -> Pictures:
    if labels.min() < 0 or labels.max() >= wanted.classes:
        bad = labels.max() if labels.max() >= wanted.classes else labels.min()
        rule = f"labels lie in 0 to {wanted.classes - 1}"
        raise FileFormatError(explain(wanted.name, f"{path} holds the label {bad}", rule))
    planes = pixels.reshape(-1, 3, SIDE, SIDE)  # (items, channels, height, width)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels.astype(np.int64)


# --- the Python form ------------------------------------------------------------------------


def _read_checked(wanted: CifarSet, path: Path, md5: str) -> Pictures:
    found = file_checksum(path, "md5")
    if found != f"md5:{md5}":
        given = f"{path}: its checksum is {found}"
        fix = "delete the file and fetch it again"
        raise DataError(explain(wanted.name, given, f"the published one is md5:{md5}", fix))
    return read_python(path, wanted)


def read_python(path: str | os.PathLike[str], wanted: CifarSet) -> Pictures:
    """Read one file of the Python form without running code from it.

    Returns:
        Pictures (items, 32, 32, 3), uint8, and labels (items,), int64.

    Raises:
        FileFormatError: if it holds anything else than a batch of the set.
    """
    try:
        batch = next(read_pickles(path, encoding="latin1"))
        pixels, labels = batch["data"], np.asarray(batch[wanted.key])
    except (FileFormatError, StopIteration, KeyError, TypeError, IndexError, ValueError) as error:
        given = f"{path} is no batch of {wanted.name} ({error})"
        rule = f"it is a pickled dict of data (items, {_PIXELS}) and {wanted.key}"
        raise FileFormatError(explain(wanted.name, given, rule, "fetch the file again")) from error
    good = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8
    if not good or pixels.ndim != 2 or pixels.shape[1] != _PIXELS or not len(pixels):
        given = f"{path}: data is {getattr(pixels, 'shape', type(pixels).__name__)}"
        rule = f"it is (items, {_PIXELS}) of uint8"
        raise FileFormatError(explain(wanted.name, given, rule))
    if labels.shape != (len(pixels),) or labels.dtype.kind not in "iu":
        given = f"{path} has {len(pixels)} pictures, {wanted.key} are {labels.shape}"
        raise FileFormatError(explain(wanted.name, given, "each picture has one label"))
    return _checked(path, wanted, pixels, labels)
