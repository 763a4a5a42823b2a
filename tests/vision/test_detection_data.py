"""Data sets of boxes: what is read, what is repaired and counted, what is refused."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

import narae
from narae.errors import BoundsError, ConfigError, DataError, FileFormatError, MissingDataError
from narae.io.fetch import data_roots
from narae.vision.datasets import (
    BCCD,
    Cached,
    CocoDetection,
    MnistDetection,
    PadBoxes,
    VOCDetection,
    collate_samples,
    unpad_boxes,
)

Image = pytest.importorskip("PIL.Image")

CELL = ("cell", (2, 3, 10, 9))


def write_voc(root: Path, images: dict[str, list], size=(16, 12), head: str = "") -> Path:
    """A folder in VOC's form; each image has objects (name, corners)."""
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, objects in images.items():
        Image.new("RGB", size, (40, 80, 120)).save(root / "JPEGImages" / f"{name}.jpg")
        found = "".join(
            f"<object><name>{kind}</name><difficult>1</difficult><bndbox>"
            + "".join(
                f"<{key}>{x}</{key}>"
                for key, x in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
            )
            + "</bndbox></object>"
            for kind, corners in objects
        )
        text = (
            f"{head}<annotation><size><width>{size[0]}</width><height>{size[1]}</height></size>"
            f"{found}</annotation>"
        )
        (root / "Annotations" / f"{name}.xml").write_text(text)
    (root / "ImageSets/Main/train.txt").write_text("".join(f"{name}\n" for name in images))
    return root


def test_voc_is_read(tmp_path):
    write_voc(tmp_path, {"b": [CELL, ("dot", (0, 0, 4, 4))], "a": []})
    dataset = VOCDetection(tmp_path, classes=("dot", "cell"))
    image, target = dataset[0]
    assert (len(dataset), image.size, image.mode) == (2, (16, 12), "RGB")
    assert target["boxes"].tolist() == [[2, 3, 10, 9], [0, 0, 4, 4]]
    assert target["boxes"].dtype == narae.float32
    assert target["labels"].tolist() == [2, 1]
    assert target["difficult"].tolist() == [True, True]
    assert dataset[1][1]["boxes"].shape == (0, 4)
    assert dataset.count_boxes() == {"dot": 1, "cell": 1}
    assert "Split: train" in repr(dataset)


def test_a_development_kit_is_found(tmp_path):
    write_voc(tmp_path / "VOCdevkit" / "VOC2007", {"a": [("dog", (0, 0, 5, 5))]})
    dataset = VOCDetection(tmp_path, year="2007")
    assert dataset[0][1]["labels"].tolist() == [dataset.classes.index("dog") + 1]


def test_boxes_without_an_area_are_dropped_and_others_cut_with_a_count(tmp_path):
    """I13: boxes outside of the image are cut or left out, and a warning counts them."""
    thin, upside = ("cell", (4, 4, 4, 9)), ("cell", (9, 9, 5, 5))
    wide, away = ("cell", (8, 8, 99, 99)), ("cell", (50, 50, 60, 60))
    write_voc(tmp_path, {"a": [CELL, thin, upside, wide, away]})
    with pytest.warns(
        UserWarning, match=r"3 boxes without an area .*, 1 boxes that reach out"
    ) as seen:
        dataset = VOCDetection(tmp_path, classes=("cell",))
    assert seen[0].filename == __file__
    assert (dataset.dropped, dataset.cut) == (3, 1)
    assert dataset[0][1]["boxes"].tolist() == [[2, 3, 10, 9], [8, 8, 16, 12]]
    assert len(dataset[0][1]["labels"]) == len(dataset[0][1]["difficult"]) == 2


def test_unknown_class_names_are_refused(tmp_path):
    write_voc(tmp_path, {"a": [("cel", (0, 0, 5, 5))]})
    with pytest.raises(DataError, match=r"a\.xml has the class 'cel'; one of cell, dot.*mean cell"):
        VOCDetection(tmp_path, classes=("cell", "dot"))


def test_damaged_annotations_are_named(tmp_path):
    write_voc(tmp_path, {"a": [CELL]})
    path = tmp_path / "Annotations" / "a.xml"
    whole = path.read_text()
    damages = {
        whole[:-20]: "a.xml is no XML",
        whole.replace("<xmin>2</xmin>", "<xmin>two</xmin>"): "xmin of a box is 'two'",
        whole.replace("<ymax>9</ymax>", ""): "ymax of a box is None",
        whole.replace("<ymax>9</ymax>", "<ymax>nan</ymax>"): "ymax of a box is 'nan'",
        whole.replace("bndbox", "box"): "an object without a bndbox",
        f'<!DOCTYPE x [<!ENTITY e "e">]>{whole}': "declares a document type",
    }
    for text, words in damages.items():
        path.write_text(text)
        with pytest.raises(FileFormatError, match=words):
            VOCDetection(tmp_path, classes=("cell",))
    path.unlink()
    with pytest.raises(MissingDataError, match=r"there is no file .*a\.xml"):
        VOCDetection(tmp_path, classes=("cell",))


def test_damaged_images_are_named(tmp_path):
    write_voc(tmp_path, {"a": [CELL]})
    dataset = VOCDetection(tmp_path, classes=("cell",))
    path = tmp_path / "JPEGImages" / "a.jpg"
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"no picture"):
        path.write_bytes(damaged)
        with pytest.raises(FileFormatError, match=r"a\.jpg cannot be read"):
            dataset[0]
    Image.new("RGB", (20, 20)).save(path)
    with pytest.raises(DataError, match=r"a.jpg is \(20, 20\), its annotation says \(12, 16\)"):
        dataset[0]
    path.unlink()
    with pytest.raises(MissingDataError, match=r"there is no file .*a\.jpg"):
        dataset[0]


def test_empty_and_missing_lists_are_refused(tmp_path):
    write_voc(tmp_path, {})
    with pytest.raises(DataError, match="names no image"):
        VOCDetection(tmp_path)
    with pytest.raises(MissingDataError, match=r"there is no list .*val.txt; lists there: train"):
        VOCDetection(tmp_path, image_set="val")


def test_bccd_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("NARAE_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(MissingDataError, match=r"BCCD is in none of .*nowhere"):
        BCCD(tmp_path)


def there_is_bccd() -> bool:
    return any((folder / "bccd" / "Annotations").is_dir() for _, folder in data_roots(None))


@pytest.mark.skipif(not there_is_bccd(), reason="BCCD is not there (NARAE_DATA)")
def test_bccd_has_its_published_boxes():
    """I13: counts of the published data set, less its two boxes of no area."""
    with pytest.warns(UserWarning, match="2 boxes without an area"):
        train = BCCD(image_set="trainval")
    test = BCCD(image_set="test")
    both = {name: train.count_boxes()[name] + test.count_boxes()[name] for name in BCCD.classes}
    assert both == {"RBC": 4155 - 2, "WBC": 372, "Platelets": 361}
    assert (len(train), len(test)) == (292, 72)
    assert test[0][0].size == (640, 480)


# --- COCO ---------------------------------------------------------------------------------------


def coco(**changes):
    content = {
        "images": [
            {"id": 7, "file_name": "b.png", "height": 12, "width": 16},
            {"id": 3, "file_name": "a.png", "height": 12, "width": 16},
        ],
        "annotations": [
            {"image_id": 7, "category_id": 90, "bbox": [2, 3, 8, 6], "area": 20, "iscrowd": 1},
            {"image_id": 7, "category_id": 18, "bbox": [0, 0, 4.5, 4], "iscrowd": 0},
            {"image_id": 7, "category_id": 18, "bbox": [5, 5, 0, 4]},
        ],
        "categories": [{"id": 90, "name": "brush"}, {"id": 18, "name": "dog"}],
    }
    return {**content, **changes}


def write_coco(root: Path, content) -> Path:
    for name in ("a", "b"):
        Image.new("RGB", (16, 12)).save(root / f"{name}.png")
    path = root / "boxes.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_coco_is_read(tmp_path):
    with pytest.warns(UserWarning, match="1 boxes without an area"):
        dataset = CocoDetection(tmp_path, write_coco(tmp_path, coco()))
    assert dataset.classes == ("dog", "brush")
    assert dataset.category_ids == (18, 90)
    assert len(dataset[0][1]["boxes"]) == 0
    _, target = dataset[1]
    assert target["image_id"] == 7
    assert target["boxes"].tolist() == [[2, 3, 10, 9], [0, 0, 4.5, 4]]
    assert target["labels"].tolist() == [2, 1]
    assert target["iscrowd"].tolist() == [True, False]
    assert target["area"].tolist() == [20, 18]


REFUSED = [
    ("{", FileFormatError, "is no JSON"),
    ([1], FileFormatError, "has no list 'images'"),
    (coco(categories=None), FileFormatError, "has no list 'categories'"),
    (coco(images=[]), DataError, "an annotation is of image 7"),
    (coco(images=[], annotations=[]), DataError, "names no image"),
    (coco(categories=[]), DataError, "has the category 90"),
    (coco(annotations=[{"image_id": 7, "category_id": 18}]), FileFormatError, "has no 'bbox'"),
    (
        coco(annotations=[{"image_id": 7, "category_id": 18, "bbox": [1, 2, "3", 4]}]),
        FileFormatError,
        "bbox is",
    ),
]


@pytest.mark.parametrize(("content", "error", "words"), REFUSED)
def test_other_json_is_refused(tmp_path, content, error, words):
    with pytest.raises(error, match=words):
        CocoDetection(tmp_path, write_coco(tmp_path, content))


def test_a_missing_json_file_is_named(tmp_path):
    with pytest.raises(MissingDataError, match=r"there is no file .*none\.json"):
        CocoDetection(tmp_path, tmp_path / "none.json")


# --- digits on a canvas -------------------------------------------------------------------------


def test_digits_on_a_canvas_are_seeded_and_boxed_tightly():
    first = MnistDetection(items=20, source="digits")
    again, other = (MnistDetection(items=20, source="digits", seed=seed) for seed in (0, 1))
    for k in range(20):
        image, target = first[k]
        np.testing.assert_array_equal(image, again[k][0])
        assert image.shape == (3, 96, 96)
        assert 1 <= len(target["boxes"]) <= 4
        assert 1 <= target["labels"].min() <= target["labels"].max() <= 10
        outside = np.asarray(image).max(0)
        for x1, y1, x2, y2 in target["boxes"].int().tolist():
            inside = np.asarray(image)[:, y1:y2, x1:x2].max(0)
            assert inside.max() > 0.45  # strokes are bright
            for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
                assert edge.max() > 0.1
            outside[y1:y2, x1:x2] = 0
        assert outside.max() < 0.5  # and what is outside of all boxes is dark
    assert not np.array_equal(first[0][0], other[0][0])
    with pytest.raises(BoundsError, match="there are 20 images"):
        first[20]


def test_a_canvas_without_digits_and_counting_from_the_end():
    empty = MnistDetection(items=3, source="digits", digits=(0, 0))
    assert empty[0][1]["boxes"].shape == (0, 4)
    some = MnistDetection(items=3, source="digits")
    np.testing.assert_array_equal(some[-1][0], some[2][0])
    kept = Cached(some)
    assert kept[-1][0] is kept[2][0]
    with pytest.raises(ConfigError, match="digits is"):
        MnistDetection(items=3, source="digits", digits=(3, 1))


def test_parts_have_digits_of_their_own():
    train, test = (MnistDetection(train=part, source="digits", items=2) for part in (True, False))
    assert len(train._images) > len(test._images)


def test_other_sources_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("NARAE_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="source is 'svhn'"):
        MnistDetection(source="svhn")
    with pytest.raises(ConfigError, match="a digit fits on the canvas"):
        MnistDetection(size=20, source="digits")
    with pytest.raises(MissingDataError):
        MnistDetection(source="mnist")
    assert MnistDetection(items=1).source == "digits"  # nothing is downloaded


# --- batches ------------------------------------------------------------------------------------


def test_batches_are_padded_and_taken_apart_again():
    samples = [MnistDetection(items=5, source="digits")[k] for k in range(5)]
    images, boxes, labels, difficult = PadBoxes(6)(samples)
    assert (images.shape, boxes.shape, labels.shape) == ((5, 3, 96, 96), (5, 6, 4), (5, 6))
    for found, (_, target) in zip(unpad_boxes(boxes, labels, difficult), samples, strict=True):
        np.testing.assert_array_equal(found["boxes"], target["boxes"])
        np.testing.assert_array_equal(found["labels"], target["labels"])
    with pytest.raises(DataError, match="room for 0 an image"):
        PadBoxes(0)(samples)


def test_images_of_several_sizes_stay_a_list():
    small, large = (narae.zeros(3, 4, 4), {}), (narae.zeros(3, 5, 4), {})
    assert isinstance(collate_samples([small, large])[0], list)
    assert collate_samples([small, small])[0].shape == (2, 3, 4, 4)


def test_kept_samples_are_read_once_and_changed_anew():
    looks = []

    class Counting:
        classes = ("a",)

        def __len__(self):
            return 2

        def __getitem__(self, index):
            looks.append(index)
            return index, {}

    kept = Cached(Counting(), lambda image, target: (image + 10, target))
    assert [kept[1][0], kept[1][0], kept[0][0]] == [11, 11, 10]
    assert looks == [1, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(kept) == 2
