"""How good detections are: average precision and recall, as COCO and PASCAL VOC count them.

Lin et al. 2014, "Microsoft COCO"; Everingham et al. 2010, "The PASCAL VOC Challenge".
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import ConfigError, DataError, ShapeError, explain

from .average_precision import (
    COCO_POINTS,
    average_precision,
    best_precision,
    precision_and_recall,
    precision_at,
)
from .box_matching import areas, match_as_coco, match_as_voc, overlaps
from .detection_input import of_label, read_prediction, read_target

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# Square pixels, from and to; COCO's words for them.
SIZES: dict[str, tuple[float, float]] = {
    "": (0.0, 1e10),
    "_small": (0.0, 32.0**2),
    "_medium": (32.0**2, 96.0**2),
    "_large": (96.0**2, 1e10),
}
_COUNTS = (1, 10, 100)  # detections of a class and image that recall is counted for


@dataclass(frozen=True)
class _Record:
    """What became of one class in one image; detections by descending score."""

    scores: Floats  # (detections,), at most 100
    found: Flags  # (sizes, thresholds, detections)
    idle: Flags  # (sizes, thresholds, detections): neither right nor wrong
    objects: npt.NDArray[np.int64]  # (sizes,), those that count
    voc_scores: Floats  # (all detections,)
    voc_found: Flags
    voc_idle: Flags
    voc_objects: int


class DetectionScores:
    """Collects detections image by image, then says how good they are.

    Objects marked "difficult" and crowds are neither to be found nor wrong to find. An object's
    "area" decides its size class; without one, its box does.

    Args:
        iou_thresholds: overlaps from which an object counts as found; by default 0.5, 0.55, … 0.95.
        class_names: names of labels 0, 1, …, for the tables.
        voc_threshold: the overlap for the numbers after VOC's rules.

    >>> scores = DetectionScores(class_names=["background", "cell"])
    >>> box = np.array([[0.0, 0.0, 10.0, 10.0]])
    >>> scores.update(
    ...     [{"boxes": box, "labels": [1], "scores": [0.9]}],
    ...     [{"boxes": box + 1, "labels": [1]}])
    >>> result = scores.result()
    >>> result["AP50"], round(result["AP"], 2), result["classes"]["cell"]["objects"]
    (1.0, 0.4, 1)
    """

    def __init__(
        self,
        iou_thresholds: Sequence[float] | None = None,
        class_names: Sequence[str] | None = None,
        voc_threshold: float = 0.5,
    ) -> None:
        given = np.linspace(0.5, 0.95, 10) if iou_thresholds is None else iou_thresholds
        self.iou_thresholds = np.asarray(given, np.float64)
        if (
            not len(self.iou_thresholds)
            or not ((self.iou_thresholds > 0) & (self.iou_thresholds <= 1)).all()
        ):
            rule = "overlaps are above 0 and at most 1"
            raise ConfigError(explain("DetectionScores", f"iou_thresholds is {given}", rule))
        self.class_names = None if class_names is None else list(class_names)
        self.voc_threshold = voc_threshold
        self.images = 0
        self._records: dict[int, list[_Record]] = defaultdict(list)

    # --- collecting -----------------------------------------------------------------------------

    def update(
        self, predictions: Sequence[Mapping[str, Any]], targets: Sequence[Mapping[str, Any]]
    ) -> None:
        """Take in some images.

        Args:
            predictions: for each image "boxes" (n, 4) as corners, "labels" (n,), "scores" (n,).
            targets: for each image "boxes" (m, 4) and "labels" (m,); perhaps "difficult" (m,),
                "iscrowd" (m,) and "area" (m,).

        Raises:
            ShapeError: other numbers of images, or of labels than of boxes.
            DataError: scores that are not numbers.
        """
        if len(predictions) != len(targets):
            given = f"{len(predictions)} predictions and {len(targets)} targets"
            raise ShapeError(explain("DetectionScores", given, "each image has one of both"))
        read = [
            (read_prediction(one, place), read_target(other, place))
            for place, (one, other) in enumerate(
                zip(predictions, targets, strict=True), self.images
            )
        ]
        for prediction, target in read:  # only when all of them are right
            self.images += 1
            for label in np.unique(np.concatenate([prediction["labels"], target["labels"]])):
                chosen, true = of_label(prediction, label), of_label(target, label)
                self._records[int(label)].append(self._record(chosen, true))

    def _record(self, found: dict[str, Any], true: dict[str, Any]) -> _Record:
        """Match the detections and objects of one class in one image."""
        order = np.argsort(-found["scores"], kind="stable")
        boxes, scores = found["boxes"][order], found["scores"][order]
        crowd = true["iscrowd"]
        most = _COUNTS[-1]
        iou = overlaps(boxes[:most], true["boxes"], crowd)
        small, large = np.array(list(SIZES.values())).T[..., None]  # (sizes, 1) each
        ignored = (true["area"] < small) | (true["area"] > large)  # (sizes, objects)
        ignored |= crowd | true["difficult"]
        right, idle = match_as_coco(iou, self.iou_thresholds, ignored, crowd)
        area = areas(boxes[:most])
        outside = (area < small) | (area > large)  # (sizes, detections)
        idle |= ~right & outside[:, None]
        easy = ~(true["difficult"] | crowd)
        voc = match_as_voc(overlaps(boxes, true["boxes"]), self.voc_threshold, ~easy)
        counts = (~ignored).sum(axis=1)
        return _Record(scores[:most], right, idle, counts, scores, *voc, int(easy.sum()))

    # --- counting -------------------------------------------------------------------------------

    def result(self) -> dict[str, Any]:
        """All numbers; nan where there is no object to find.

        Returns:
            "AP": the mean over thresholds and classes, "AP50" and "AP75" at one threshold, if it
            is among them; "AP_small", "AP_medium" and "AP_large" for objects of a size;
            "AR_1", "AR_10" and "AR_100": the mean recall with so many detections a class and
            image, and "AR_small" … of 100; "VOC_AP" and "VOC_AP11": the area under the curve and
            the mean at 11 recalls, after VOC's rules at one threshold, means over classes; and
            "classes", a table of some of these for each class, by name or label.
        """
        labels = sorted(self._records)
        all_ap = {size: self._precisions(labels, i) for i, size in enumerate(SIZES)}
        result: dict[str, Any] = {"AP": _mean(all_ap[""])}
        for name, threshold in (("AP50", 0.5), ("AP75", 0.75)):
            place = self._place(threshold)
            if place is not None:
                result[name] = _mean(all_ap[""][:, place])
        for size in list(SIZES)[1:]:
            result[f"AP{size}"] = _mean(all_ap[size])
        for most in _COUNTS:
            result[f"AR_{most}"] = _mean(self._recalls(labels, 0, most))
        for number, size in list(enumerate(SIZES))[1:]:
            result[f"AR{size}"] = _mean(self._recalls(labels, number, _COUNTS[-1]))
        voc = [self._voc(label) for label in labels]
        result["VOC_AP"] = _mean(np.array([each[0] for each in voc]))
        result["VOC_AP11"] = _mean(np.array([each[1] for each in voc]))
        result["classes"] = self._table(labels, all_ap[""], voc)
        return result

    def _table(
        self, labels: list[int], ap: Floats, voc: list[tuple[float, float]]
    ) -> dict[Any, dict[str, float]]:
        table = {}
        for row, label in enumerate(labels):
            records = self._records[label]
            line: dict[str, float] = {"AP": _mean(ap[row])}
            place = self._place(0.5)
            if place is not None:
                line["AP50"] = _mean(ap[row, place])
            line["AR_100"] = _mean(self._recalls([label], 0, _COUNTS[-1]))
            line["VOC_AP"], line["VOC_AP11"] = voc[row]
            line["objects"] = sum([int(each.objects[0]) for each in records])
            line["detections"] = sum([len(each.voc_scores) for each in records])
            table[self.name_of(label)] = line
        return table

    def name_of(self, label: int) -> Any:
        """The name of a label; the label where it has none."""
        names = self.class_names or ()
        return names[label] if 0 <= label < len(names) else label

    def _place(self, threshold: float) -> int | None:
        near = np.flatnonzero(np.isclose(self.iou_thresholds, threshold))
        return int(near[0]) if len(near) else None

    def _in_order(self, label: int, size: int, most: int) -> tuple[Floats, Flags, Flags, int]:
        """All images' detections of a class by descending score, and the number of objects."""
        records = self._records[label]
        scores = np.concatenate([each.scores[:most] for each in records])
        order = np.argsort(-scores, kind="stable")
        found = np.concatenate([each.found[size, :, :most] for each in records], axis=1)
        idle = np.concatenate([each.idle[size, :, :most] for each in records], axis=1)
        objects = sum([int(each.objects[size]) for each in records])
        return scores[order], found[:, order], idle[:, order], objects

    def _precisions(self, labels: list[int], size: int) -> Floats:
        """Average precision of each class at each threshold: (classes, thresholds)."""
        result = np.full((len(labels), len(self.iou_thresholds)), np.nan)
        recalls = np.linspace(0, 1, COCO_POINTS)  # rounded as pycocotools rounds them
        for row, label in enumerate(labels):
            _, found, idle, objects = self._in_order(label, size, _COUNTS[-1])
            if not objects:
                continue
            for column, (right, without) in enumerate(zip(found, idle, strict=True)):
                curve = precision_and_recall(right[~without], objects)
                result[row, column] = precision_at(recalls, *curve).mean()
        return result

    def _recalls(self, labels: list[int], size: int, most: int) -> Floats:
        """The recall of each class at each threshold: (classes, thresholds)."""
        result = np.full((len(labels), len(self.iou_thresholds)), np.nan)
        for row, label in enumerate(labels):
            _, found, idle, objects = self._in_order(label, size, most)
            if objects:
                result[row] = (found & ~idle).sum(axis=1) / objects
        return result

    def _voc(self, label: int) -> tuple[float, float]:
        """Average precision after VOC's rules: the area, and at 11 recalls."""
        records = self._records[label]
        objects = sum([each.voc_objects for each in records])
        if not objects:
            return float("nan"), float("nan")
        scores = np.concatenate([each.voc_scores for each in records])
        order = np.argsort(-scores, kind="stable")
        found = np.concatenate([each.voc_found for each in records])[order]
        idle = np.concatenate([each.voc_idle for each in records])[order]
        curve = precision_and_recall(found[~idle], objects)
        return average_precision(*curve), average_precision(*curve, points=11)

    def curve(self, label: int, iou_threshold: float = 0.5) -> dict[str, Floats]:
        """The precision-recall curve of a class.

        Args:
            label: the class.
            iou_threshold: one of `iou_thresholds`.

        Returns: "recall", "precision", "best_precision" (at this recall or a larger one) and
            "scores", each (detections,), by descending score.

        Raises:
            ConfigError: another threshold.
            DataError: a class without objects.
        """
        place = self._place(iou_threshold)
        if place is None:
            given = f"the threshold {iou_threshold}"
            rule = f"it is one of {self.iou_thresholds.round(4).tolist()}"
            raise ConfigError(explain("DetectionScores.curve", given, rule))
        if not any(each.objects[0] for each in self._records.get(label, ())):
            given = f"there is no object of class {self.name_of(label)}"
            raise DataError(explain("DetectionScores.curve", given, "recall needs objects"))
        scores, found, idle, objects = self._in_order(label, 0, _COUNTS[-1])
        counted = ~idle[place]
        precision, recall = precision_and_recall(found[place][counted], objects)
        return {
            "recall": recall,
            "precision": precision,
            "best_precision": best_precision(precision),
            "scores": scores[counted],
        }


def _mean(values: Any) -> float:
    """The mean of those that are numbers; nan if none is."""
    values = np.asarray(values)
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
