"""Boxes in the form of the PASCAL VOC challenges: an XML file an image."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from narae.base.errors import DataError, FileFormatError, MissingDataError, explain
from narae.io.fetch import data_roots

from .detection import Annotation, BoxesDataset, Joint
from .pictures import Folder

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_MOST_BYTES = 1 << 24
_DECLARATION = re.compile(rb"<!(DOCTYPE|ENTITY)", re.IGNORECASE)


class VOCDetection(BoxesDataset):
    """A folder with `JPEGImages`, `Annotations` (XML) and `ImageSets/Main` (lists of names).

    Corners are as the files have them. Boxes without an area are dropped, boxes that reach out of
    their image are cut; a warning says how many.

    Args:
        root: that folder, or one that has it as `VOCdevkit/VOC<year>`.
        year: of the challenge, for folders of the second kind.
        image_set: the name of a list, such as "train", "val" or "trainval".
        classes: names; the label of the first is 1.
        transforms: applied to image and target together.

    Raises:
        DataError: for a class that is not among `classes`, or an empty list of images.
        FileFormatError: if an annotation or an image is damaged.
        MissingDataError: if a file is not there.

    Source: M. Everingham et al., "The PASCAL Visual Object Classes (VOC) Challenge", 2010.
    """

    classes: Sequence[str] = VOC_CLASSES

    def __init__(
        self,
        root: Folder,
        year: str = "2012",
        image_set: str = "train",
        classes: Sequence[str] | None = None,
        transforms: Joint | None = None,
    ) -> None:
        self.image_set = image_set
        self.classes = tuple(type(self).classes if classes is None else classes)
        self._folder = _folder_of(Path(root).expanduser(), year)
        super().__init__(root, transforms)

    def _read(self) -> list[Annotation]:
        lists = self._folder / "ImageSets" / "Main"
        path = lists / f"{self.image_set}.txt"
        if not path.is_file():
            known = ", ".join(sorted(file.stem for file in lists.glob("*.txt"))) or "none"
            given = f"there is no list {path}"
            raise MissingDataError(explain("VOCDetection", given, f"lists there: {known}"))
        names = [line.split()[0] for line in path.read_text("utf-8").splitlines() if line.strip()]
        return [self._annotation(name, number) for number, name in enumerate(names)]

    def _annotation(self, name: str, number: int) -> Annotation:
        path = self._folder / "Annotations" / f"{name}.xml"
        tree = read_xml(path)
        objects = tree.findall("object")
        boxes = [_corners_of(each, path) for each in objects]
        labels = [self._label_of(each, path) for each in objects]
        entries = {
            "labels": np.asarray(labels, np.int64),
            "difficult": np.asarray([_flag(each, "difficult") for each in objects], np.bool_),
        }
        array = np.asarray(boxes, np.float32).reshape(-1, 4)
        return Annotation(self._image_of(name), _size_of(tree), array, entries, number)

    def _image_of(self, name: str) -> Path:
        return self._folder / "JPEGImages" / f"{name}.jpg"

    def _label_of(self, element: Any, path: Path) -> int:
        name = (element.findtext("name") or "").strip()
        if name not in self.classes:
            close = difflib.get_close_matches(name, self.classes, n=1)
            fix = f"did you mean {close[0]}?" if close else "give VOCDetection classes=..."
            given, rule = f"{path} has the class {name!r}", f"one of {', '.join(self.classes)}"
            raise DataError(explain("VOCDetection", given, rule, fix))
        return self.classes.index(name) + 1

    def extra_repr(self) -> str:
        return f"Split: {self.image_set}"


class BCCD(VOCDetection):
    """Blood cells under the microscope, 364 images of 640 x 480: red ones, white ones, platelets.

    The folder is `root`, or `bccd` (or `BCCD`) in it, in NARAE_DATA, or in the cache.

    Args:
        root: a folder to look in first.
        image_set: "train" (205), "val" (87), "trainval" (292) or "test" (72).
        transforms: applied to image and target together.

    Raises:
        MissingDataError: if it is nowhere to be found.

    Source: Shenggan, BCCD Dataset, 2017 (github.com/Shenggan/BCCD_Dataset), MIT licence.
    """

    classes = ("RBC", "WBC", "Platelets")

    def __init__(
        self,
        root: Folder | None = None,
        image_set: str = "train",
        transforms: Joint | None = None,
    ) -> None:
        super().__init__(_find_bccd(root), image_set=image_set, transforms=transforms)


def _find_bccd(root: Folder | None) -> Path:
    looked = []
    for _, folder in data_roots(root):
        for place in (folder / "bccd", folder / "BCCD", folder):
            if (place / "Annotations").is_dir() and (place / "JPEGImages").is_dir():
                return place
        looked.append(str(folder))
    given = f"BCCD is in none of {', '.join(looked)}"
    rule = "it is a folder with Annotations, ImageSets and JPEGImages"
    fix = "git clone https://github.com/Shenggan/BCCD_Dataset, and --data-dir BCCD_Dataset/BCCD"
    raise MissingDataError(explain("BCCD", given, rule, fix))


def _folder_of(root: Path, year: str) -> Path:
    inside = root / "VOCdevkit" / f"VOC{year}"
    return inside if inside.is_dir() else root


# --- an annotation ------------------------------------------------------------------------------


def read_xml(path: Path) -> Any:
    """The root element of a small XML file.

    Raises:
        MissingDataError: if there is no such file.
        FileFormatError: if it is no XML, very large, or declares entities (which may grow without
            end).
    """
    if not path.is_file():
        given = f"there is no file {path}"
        raise MissingDataError(explain("VOCDetection", given, "each image has an annotation"))
    if path.stat().st_size > _MOST_BYTES:
        given = f"{path} has {path.stat().st_size:,} bytes"
        raise FileFormatError(explain("VOCDetection", given, f"at most {_MOST_BYTES:,}"))
    text = path.read_bytes()
    if _DECLARATION.search(text):
        given = f"{path} declares a document type"
        raise FileFormatError(explain("VOCDetection", given, "an annotation has none"))
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        given = f"{path} is no XML ({error})"
        raise FileFormatError(explain("VOCDetection", given, "an annotation is")) from error


def _number(element: Any, name: str, path: Path) -> float:
    text = element.findtext(name)
    try:
        value = float(text)
        if np.isfinite(value):
            return value
    except (TypeError, ValueError):
        pass
    given, rule = f"{path}: {name} of a box is {text!r}", "corners are numbers"
    raise FileFormatError(explain("VOCDetection", given, rule))


def _corners_of(element: Any, path: Path) -> list[float]:
    box = element.find("bndbox")
    if box is None:
        given = f"{path} has an object without a bndbox"
        raise FileFormatError(explain("VOCDetection", given, f"it holds {', '.join(_CORNERS)}"))
    return [_number(box, name, path) for name in _CORNERS]


def _flag(element: Any, name: str) -> bool:
    return (element.findtext(name) or "0").strip() not in ("", "0")


def _size_of(tree: Any) -> tuple[int, int] | None:
    """(height, width), None where the file does not say."""
    words = [(tree.findtext(f"size/{name}") or "").strip() for name in ("height", "width")]
    if not all(word.isdigit() and int(word) for word in words):
        return None
    return int(words[0]), int(words[1])
