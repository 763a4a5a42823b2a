"""What detection scores are computed from, as arrays whose sizes go together."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from narae.base.errors import DataError, ShapeError, explain

from .box_matching import areas


def read_prediction(prediction: Mapping[str, Any], image: int) -> dict[str, Any]:
    """Boxes (n, 4), labels (n,) and scores (n,) of one image.

    Args:
        prediction: "boxes", "labels" and "scores", tensors or arrays.
        image: its number, for messages.

    Raises:
        DataError: something is missing, or a score is not a number.
        ShapeError: sizes that do not go together.

    >>> read_prediction({"boxes": [[0, 0, 1, 1]], "labels": [2], "scores": [0.5]}, 0)["labels"]
    array([2])
    """
    found = _read(prediction, ("boxes", "labels", "scores"), f"the prediction of image {image}")
    if np.isnan(found["scores"]).any():
        given = f"a score of image {image} is nan"
        raise DataError(explain("DetectionScores", given, "scores are numbers"))
    return found


def read_target(target: Mapping[str, Any], image: int) -> dict[str, Any]:
    """Boxes (n, 4) and labels, difficult, iscrowd and area (n,) of one image.

    Args:
        target: "boxes" and "labels"; perhaps the others.
        image: its number, for messages.

    Raises:
        DataError: something is missing.
        ShapeError: sizes that do not go together.
    """
    true = _read(target, ("boxes", "labels"), f"the target of image {image}")
    count = len(true["labels"])
    for name in ("difficult", "iscrowd"):
        true[name] = _vector(target.get(name, np.zeros(count)), bool)
    true["area"] = _vector(target.get("area", areas(true["boxes"])), np.float64)
    for name in ("difficult", "iscrowd", "area"):
        if len(true[name]) != count:
            given = f"the target of image {image} has {count} boxes, {len(true[name])} of {name}"
            raise ShapeError(explain("DetectionScores", given, "each box has one"))
    return true


def _read(given: Mapping[str, Any], names: Sequence[str], what: str) -> dict[str, Any]:
    missing = [name for name in names if name not in given]
    if missing:
        rule = f"it has {', '.join(names)}"
        raise DataError(explain("DetectionScores", f"{what} lacks {', '.join(missing)}", rule))
    boxes = _array(given["boxes"], np.float64)
    boxes = boxes.reshape(-1, 4) if boxes.size == 0 else boxes
    kinds = {"labels": np.int64, "scores": np.float64}
    read: dict[str, Any] = {name: _vector(given[name], kinds[name]) for name in names[1:]}
    counts = {len(values) for values in read.values()}
    if boxes.ndim != 2 or boxes.shape[1] != 4 or counts != {len(boxes)}:
        sizes = ", ".join([f"{name} {values.shape}" for name, values in read.items()])
        said = f"{what} has boxes {boxes.shape}, {sizes}"
        raise ShapeError(explain("DetectionScores", said, "boxes are (n, 4), all else is (n,)"))
    return {"boxes": boxes, **read}


def _array(values: Any, dtype: Any) -> Any:
    return np.asarray(values.detach() if hasattr(values, "detach") else values, dtype)


def _vector(values: Any, dtype: Any) -> Any:
    return _array(values, dtype).reshape(-1)


def of_label(values: dict[str, Any], label: int) -> dict[str, Any]:
    """Of all that belongs to an image, what has one label."""
    own = values["labels"] == label
    return {name: each[own] for name, each in values.items()}
