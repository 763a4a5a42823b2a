"""Detection scores agree with pycocotools on the same detections, and with published numbers."""

from __future__ import annotations

import contextlib
import io
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import narae
from narae.errors import ConfigError, DataError, ShapeError
from narae.vision.metrics import DetectionScores, average_precision, precision_and_recall

coco = pytest.importorskip("pycocotools.coco")
cocoeval = pytest.importorskip("pycocotools.cocoeval")

NAMES = [
    *("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"),
    *("AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large"),
]


def coco_numbers(predictions, targets) -> list[float]:
    """The twelve numbers of pycocotools; nan where it says -1."""
    annotations, found = [], []
    for image, (prediction, target) in enumerate(zip(predictions, targets, strict=True), 1):
        for place, (box, label) in enumerate(zip(target["boxes"], target["labels"], strict=True)):
            annotation = {
                "id": len(annotations) + 1,
                "image_id": image,
                "category_id": int(label),
                "bbox": as_corner_and_sides(box),
                "area": float(target["area"][place]),
                "iscrowd": int(target["iscrowd"][place]),
            }
            annotations.append(annotation)
        rows = zip(prediction["boxes"], prediction["labels"], prediction["scores"], strict=True)
        for box, label, score in rows:
            found.append(
                {
                    "image_id": image,
                    "category_id": int(label),
                    "bbox": as_corner_and_sides(box),
                    "score": float(score),
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = {
            "images": [{"id": i} for i in range(1, len(targets) + 1)],
            "annotations": annotations,
            "categories": [{"id": i} for i in (1, 2, 3)],
        }
        truth.createIndex()
        if not found:  # pycocotools cannot read an empty list
            found = [{"image_id": 1, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 0.0}]
            assert all(3 not in target["labels"] for target in targets)
        evaluation = cocoeval.COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [math.nan if x == -1 else float(x) for x in evaluation.stats]


def as_corner_and_sides(box) -> list[float]:
    x1, y1, x2, y2 = (float(x) for x in box)
    return [x1, y1, x2 - x1, y2 - y1]


@st.composite
def scenes(draw):
    """A few images with objects of three sizes and detections near them or anywhere."""
    predictions, targets = [], []
    for _ in range(draw(st.integers(1, 3))):
        seed = draw(st.integers(0, 2**20))
        objects, detections = draw(st.integers(0, 5)), draw(st.integers(0, 12))
        predictions_, target = scene(np.random.default_rng(seed), objects, detections)
        predictions.append(predictions_)
        targets.append(target)
    return predictions, targets


def scene(rng, objects: int, detections: int):
    corner = rng.integers(0, 40, (objects, 2)).astype(float)
    sides = rng.choice([6, 20, 32, 50, 96, 120], (objects, 2)).astype(float)
    true = np.concatenate([corner, corner + sides], axis=1)
    found = rng.integers(0, 60, (detections, 4)).astype(float)
    found[:, 2:] += found[:, :2] + 1
    for row in range(detections):
        if objects and rng.random() < 0.8:  # near an object, by whole pixels, so that IoUs tie
            found[row] = true[rng.integers(objects)] + rng.integers(-2, 3, 4)
    target = {
        "boxes": true,
        "labels": rng.integers(1, 3, objects),
        "area": sides.prod(axis=1) * rng.choice([1.0, 0.6], objects),
        "iscrowd": rng.random(objects) < 0.2,
    }
    prediction = {
        "boxes": found,
        "labels": rng.integers(1, 3, detections),
        "scores": rng.integers(1, 9, detections) / 8,  # with equal scores
    }
    return prediction, target


@settings(max_examples=60)
@given(scenes())
@example(
    ([scene(np.random.default_rng(0), 5, 130)[0]], [scene(np.random.default_rng(0), 5, 130)[1]])
)
def test_as_pycocotools(both):
    """I13: mAP, by COCO's rules, to 1e-6."""
    predictions, targets = both
    scores = DetectionScores()
    scores.update(predictions, targets)
    result = scores.result()
    wanted = coco_numbers(predictions, targets)
    found = [result[name] for name in NAMES]
    np.testing.assert_allclose(found, wanted, atol=1e-6, err_msg=str(NAMES))


def test_the_scenes_are_worth_comparing():
    """They reach all numbers, and scores between none and all."""
    rng = np.random.default_rng(1)
    both = [scene(rng, 12, 30) for _ in range(12)]
    predictions, targets = [list(x) for x in zip(*both, strict=True)]
    scores = DetectionScores()
    for prediction, target in zip(predictions, targets, strict=True):  # image by image
        scores.update([prediction], [target])
    found = [scores.result()[name] for name in NAMES]
    np.testing.assert_allclose(found, coco_numbers(predictions, targets), atol=1e-6)
    assert all(0.01 < x < 0.99 for x in found), str(dict(zip(NAMES, found, strict=True)))


def test_of_equal_overlaps_the_last_object_is_taken():
    """I13: so the second detection finds nothing at 0.5, as pycocotools decides."""
    target = {
        "boxes": np.array([[0.0, 0, 10, 10], [4.0, 0, 14, 10]]),
        "labels": np.array([1, 1]),
        "area": np.array([100.0, 100.0]),
        "iscrowd": np.array([False, False]),
    }
    prediction = {
        "boxes": np.array([[2.0, 0, 12, 10], [6.0, 0, 16, 10]]),
        "labels": np.array([1, 1]),
        "scores": np.array([0.9, 0.8]),
    }
    scores = DetectionScores()
    scores.update([prediction], [target])
    result = scores.result()
    wanted = coco_numbers([prediction], [target])
    np.testing.assert_allclose([result[name] for name in NAMES], wanted, atol=1e-6)
    assert result["AP50"] < 0.6


# --- PASCAL VOC ----------------------------------------------------------------------------------

# Padilla, Netto and da Silva 2020, "A Survey on Performance Metrics for Object-Detection
# Algorithms", section V: 24 detections of 15 objects; these of them, by rank, are right.
RIGHT = (1, 3, 10, 12, 13, 14, 23)


def test_published_average_precisions():
    """I13: the survey's 26.84% at 11 recalls and 24.56% as an area."""
    curve = precision_and_recall([rank in RIGHT for rank in range(1, 25)], objects=15)
    assert abs(average_precision(*curve, points=11) - 0.2684) < 5e-5
    assert abs(average_precision(*curve) - 0.2456) < 1e-4


def plain_voc(predictions, targets, label: int) -> tuple[float, float]:
    """The challenge's development kit as a loop over all detections by score."""
    rows = [
        (-score, image, row)
        for image, prediction in enumerate(predictions)
        for row, score in enumerate(prediction["scores"])
        if prediction["labels"][row] == label
    ]
    objects = sum(
        int(((target["labels"] == label) & ~target["difficult"]).sum()) for target in targets
    )
    taken, right = set(), []
    for _, image, row in sorted(rows):
        target, best, at = targets[image], -1.0, None
        for place, box in enumerate(target["boxes"]):
            if target["labels"][place] == label:
                iou = pixel_iou(predictions[image]["boxes"][row], box)
                if iou > best:
                    best, at = iou, place
        if best >= 0.5 and target["difficult"][at]:
            continue
        right.append(best >= 0.5 and (image, at) not in taken)
        if best >= 0.5:
            taken.add((image, at))
    points, hits = [], 0
    for number, one in enumerate(right, 1):
        hits += one
        points.append((hits / objects, hits / number))
    eleven = sum(max([p for r, p in points if r >= t / 10], default=0.0) for t in range(11)) / 11
    area, before = 0.0, 0.0
    for recall in sorted({r for r, _ in points}):
        area += (recall - before) * max(p for r, p in points if r >= recall)
        before = recall
    return area, eleven


def pixel_iou(a, b) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


@pytest.mark.parametrize("seed", range(6))
def test_as_the_voc_rules(seed):
    """I13: VOC's average precision, at 11 recalls and as an area, with difficult objects."""
    rng = np.random.default_rng(seed)
    both = [scene(rng, 6, 25) for _ in range(4)]
    predictions, targets = [list(x) for x in zip(*both, strict=True)]
    for prediction, target in both:
        prediction["scores"] = rng.permutation(25) / 25 + rng.random()
        target["difficult"] = rng.random(6) < 0.25
        del target["iscrowd"]
    scores = DetectionScores()
    scores.update(predictions, targets)
    table = scores.result()["classes"]
    for label in (1, 2):
        area, eleven = plain_voc(predictions, targets, label)
        assert 0.01 < area < 1
        assert abs(table[label]["VOC_AP"] - area) < 1e-9
        assert abs(table[label]["VOC_AP11"] - eleven) < 1e-9


# --- by hand -------------------------------------------------------------------------------------

BOX = [[0.0, 0.0, 10.0, 10.0]]


def one(boxes=BOX, labels=(1,), scores=None, **more):
    entry = {"boxes": np.array(boxes), "labels": np.array(labels), **more}
    return [entry if scores is None else {**entry, "scores": np.array(scores)}]


def test_difficult_objects_do_not_count():
    scores = DetectionScores()
    scores.update(
        one(BOX + [[50.0, 50, 60, 60]], (1, 1), (0.9, 0.8)),
        one(BOX + [[50.0, 50, 60, 60]], (1, 1), difficult=[True, False]),
    )
    result = scores.result()
    assert result["AP"] == result["VOC_AP"] == 1.0
    assert result["classes"][1]["objects"] == 1


def test_tensors_names_and_tables():
    scores = DetectionScores(iou_thresholds=[0.5], class_names=["background", "cat", "dog"])
    scores.update(
        [{name: narae.tensor(x) for name, x in one(BOX * 2, (1, 2), (0.9, 0.8))[0].items()}],
        [{name: narae.tensor(x) for name, x in one()[0].items()}],
    )
    result = scores.result()
    assert "AP75" not in result
    assert result["AP"] == result["AP50"] == 1.0
    assert list(result["classes"]) == ["cat", "dog"]
    assert math.isnan(result["classes"]["dog"]["AP"])
    assert result["classes"]["dog"]["detections"] == 1


def test_curve():
    scores = DetectionScores()
    scores.update(
        one(BOX + [[30.0, 30, 40, 40], [60.0, 0, 70, 10]], (1, 1, 1), (0.9, 0.8, 0.7)),
        one(BOX + [[60.0, 0, 70, 10]], (1, 1)),
    )
    curve = scores.curve(1)
    assert curve["recall"].tolist() == [0.5, 0.5, 1.0]
    np.testing.assert_allclose(curve["precision"], [1, 0.5, 2 / 3])
    np.testing.assert_allclose(curve["best_precision"], [1, 2 / 3, 2 / 3])
    assert curve["scores"].tolist() == [0.9, 0.8, 0.7]


def test_nothing_at_all():
    scores = DetectionScores()
    assert math.isnan(scores.result()["AP"])
    empty = {"boxes": narae.zeros(0, 4), "labels": np.zeros(0), "scores": np.zeros(0)}
    scores.update([empty], [{"boxes": np.zeros((0, 4)), "labels": []}])
    assert math.isnan(scores.result()["AP"])
    scores.update([empty], one())
    assert scores.result()["AP"] == scores.result()["VOC_AP"] == 0.0


@pytest.mark.parametrize(
    ("predictions", "targets", "error", "text"),
    [
        ([], one(), ShapeError, "0 predictions and 1 targets"),
        (one(), one(), DataError, "prediction of image 0 lacks scores"),
        (one(scores=[0.1, 0.2]), one(), ShapeError, r"image 0 has boxes \(1, 4\).*scores \(2,\)"),
        (one(scores=[math.nan]), one(), DataError, "nan"),
        (one([[1.0, 2, 3]], scores=[1.0]), one(), ShapeError, r"\(1, 3\)"),
        (one(scores=[1.0]), one(difficult=[True, False]), ShapeError, "2 of difficult"),
        (one(scores=[1.0]) * 2, one() + [{}], DataError, "target of image 1 lacks boxes, labels"),
    ],
)
def test_bad_input(predictions, targets, error, text):
    """The message names the image, and nothing of the call is counted."""
    scores = DetectionScores()
    with pytest.raises(error, match=text):
        scores.update(predictions, targets)
    assert scores.images == 0
    assert math.isnan(scores.result()["AP"])


def test_settings_that_make_no_sense():
    with pytest.raises(ConfigError, match="above 0"):
        DetectionScores([0.0])
    with pytest.raises(ConfigError, match="two recalls"):
        average_precision([1.0], [1.0], points=1)
    scores = DetectionScores()
    scores.update(one(scores=[0.5]), one())
    with pytest.raises(ConfigError, match=r"0\.33"):
        scores.curve(1, 0.33)
    with pytest.raises(DataError, match="class 2"):
        scores.curve(2)
