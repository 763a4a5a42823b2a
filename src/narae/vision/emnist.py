"""EMNIST: six ways to group handwritten letters and digits, in one archive of idx files.

The MD5 sum is the one that torchvision publishes (torchvision/datasets/mnist.py).
"""

import os
import string
from pathlib import Path

from narae.base.errors import MissingDataError, explain
from narae.io.fetch import Download, FileSet, data_cache, find_files

from .archives import folders_below, unpack

SPLITS = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
# Letters whose lower case is labelled as the upper case.
_MERGED = "cijklmopsuvwxyz"
_ALL = tuple(string.digits + string.ascii_uppercase + string.ascii_lowercase)
_MERGED_CLASSES = tuple(letter for letter in _ALL if letter not in _MERGED)
CLASSES = {
    "byclass": _ALL,
    "bymerge": _MERGED_CLASSES,
    "balanced": _MERGED_CLASSES,
    "letters": ("N/A", *string.ascii_lowercase),  # labels begin at 1
    "digits": tuple(string.digits),
    "mnist": tuple(string.digits),
}
FOLDERS = ("EMNIST/raw", "emnist", "EMNIST", "gzip", "EMNIST/raw/gzip")
EMNIST = FileSet(
    name="EMNIST",
    folders=FOLDERS,
    files={"archive": Download("gzip.zip", "md5:58c8d27c78d21e728a6bc7b3cc06412e")},
    mirrors=("https://biometrics.nist.gov/cs_links/EMNIST/",),
)


def emnist_files(
    split: str, train: bool, root: str | os.PathLike[str] | None = None, download: bool = True
) -> tuple[Path, Path]:
    """Paths of the idx files of images and labels of one split, unpacked from the archive.

    Args:
        split: one of SPLITS.
        train: the training part, or the test part.
        root: a folder to look in first; then NARAE_DATA, the cache and the network follow.
        download: whether the network may be used.

    Raises:
        DataError: if the archive is not the published one.
        MissingDataError: if neither idx files nor archive are found.
    """
    part = "train" if train else "test"
    names = [f"emnist-{split}-{part}-{kind}" for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    found = _idx_files(names, root)
    if found is None:
        archive = find_files(EMNIST, root, download)["archive"]
        members = {f"gzip/{name}.gz": f"{name}.gz" for name in names}
        unpack(archive, members, data_cache() / FOLDERS[0])
        found = _idx_files(names, data_cache())
    if found is None:
        given = f"{names[0]}.gz is gone from {data_cache()}"
        raise MissingDataError(explain("EMNIST", given, "it was unpacked there just now"))
    return found


def _idx_files(names: list[str], root: str | os.PathLike[str] | None) -> tuple[Path, Path] | None:
    for folder in folders_below(root, FOLDERS):
        paths = [
            path
            for name in names
            for path in (folder / name, folder / f"{name}.gz")
            if path.is_file()
        ]
        kinds = {path.name.removesuffix(".gz"): path for path in paths}
        if len(kinds) == len(names):
            return kinds[names[0]], kinds[names[1]]
    return None
