"""Boxes in COCO's form: one JSON file for all images."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from narae.base.errors import DataError, FileFormatError, MissingDataError, explain

from .detection import Annotation, BoxesDataset, Joint
from .pictures import Folder

_NEEDED = ("images", "annotations", "categories")


class CocoDetection(BoxesDataset):
    """A folder of images, and a JSON file of boxes x, y, width, height with categories.

    Labels count the categories from 1 in the order of their ids, without gaps; `category_ids` says
    which id each label stands for. Targets also hold "iscrowd" and "area".

    Args:
        root: the folder of the images.
        annFile: the JSON file.
        transforms: applied to image and target together.

    Raises:
        DataError: for an annotation of an unknown image or category, or a file without images.
        FileFormatError: if the JSON file or an image is damaged.
        MissingDataError: if a file is not there.

    Source: T.-Y. Lin et al., "Microsoft COCO: Common Objects in Context", 2014.
    """

    def __init__(self, root: Folder, annFile: Folder, transforms: Joint | None = None) -> None:
        self.annotation_file = Path(annFile).expanduser()
        self._content = _read_json(self.annotation_file)
        categories = {
            _field(each, "id", self.annotation_file): str(each.get("name", each["id"]))
            for each in self._content["categories"]
        }
        self.category_ids: Sequence[int] = tuple(sorted(categories))
        self.classes = tuple(categories[number] for number in self.category_ids)
        super().__init__(root, transforms)

    def _read(self) -> list[Annotation]:
        path, content = self.annotation_file, self._content
        of_image: dict[Any, list[Any]] = defaultdict(list)
        known = {_field(image, "id", path) for image in content["images"]}
        for each in content["annotations"]:
            number = _field(each, "image_id", path)
            if number not in known:
                given = f"{path}: an annotation is of image {number}"
                raise DataError(explain("CocoDetection", given, "it is one of `images`"))
            of_image[number].append(each)
        images = sorted(content["images"], key=lambda image: image["id"])
        return [self._annotation(image, of_image[image["id"]]) for image in images]

    def _annotation(self, image: Mapping[str, Any], found: Sequence[Any]) -> Annotation:
        path = self.annotation_file
        corners = np.asarray([_box_of(each, path) for each in found], np.float32).reshape(-1, 4)
        sides = corners[:, 2:]
        boxes = np.concatenate([corners[:, :2], corners[:, :2] + sides], axis=1)
        own_areas = [each.get("area", w * h) for each, (w, h) in zip(found, sides, strict=True)]
        entries = {
            "labels": np.asarray([self._label_of(each) for each in found], np.int64),
            "iscrowd": np.asarray([bool(each.get("iscrowd", 0)) for each in found], np.bool_),
            "area": np.asarray(own_areas, np.float32),
        }
        size = (image["height"], image["width"]) if {"height", "width"} <= set(image) else None
        name = str(_field(image, "file_name", path))
        file = Path(str(self._root)) / name
        return Annotation(file, size, boxes, entries, image["id"])

    @property
    def _root(self) -> Any:
        return self.root

    def _label_of(self, annotation: Mapping[str, Any]) -> int:
        number = _field(annotation, "category_id", self.annotation_file)
        if number not in self.category_ids:
            given = f"{self.annotation_file}: an annotation has the category {number!r}"
            rule = f"one of {', '.join(map(str, self.category_ids))}"
            raise DataError(explain("CocoDetection", given, rule))
        return self.category_ids.index(number) + 1


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        given = f"there is no file {path}"
        raise MissingDataError(explain("CocoDetection", given, "annFile names a JSON file"))
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        given = f"{path} is no JSON ({error})"
        raise FileFormatError(explain("CocoDetection", given, "a JSON file is")) from error
    if not isinstance(content, dict):
        content = {}
    for name in _NEEDED:
        rows = content.get(name)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            given, rule = f"{path} has no list {name!r}", f"it has {', '.join(_NEEDED)}"
            raise FileFormatError(explain("CocoDetection", given, rule))
    return content


def _field(row: Mapping[str, Any], name: str, path: Path) -> Any:
    if name not in row:
        given = f"{path}: an entry has no {name!r}: {str(row)[:80]}"
        raise FileFormatError(explain("CocoDetection", given, "COCO's form has it"))
    return row[name]


def _box_of(row: Mapping[str, Any], path: Path) -> list[float]:
    """x, y, width, height."""
    box = _field(row, "bbox", path)
    numbers = isinstance(box, list) and all(isinstance(x, int | float) for x in box)
    if not numbers or len(box) != 4 or not np.isfinite(box).all():
        given = f"{path}: bbox is {box!r}"
        raise FileFormatError(explain("CocoDetection", given, "it is x, y, width, height"))
    return [float(x) for x in box]
