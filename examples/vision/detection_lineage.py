"""The lineage of detectors: R-CNN, SPPNet, Fast R-CNN, Faster R-CNN and YOLO, side by side.

Run `python examples/vision/detection_lineage.py`. All five have the same small convolutions and
learn from the same canvases with digits (the recipe mnist-detection). The program prints how good
each is (mAP@0.5), how often an image, or a part of one, goes through the convolutions, and how long
an image takes, and draws that to detection_lineage.png. `--small` shows the form in half a minute.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import narae
from narae.base.errors import require
from narae.train.building import build
from narae.train.recipe import load_recipe
from narae.vision.datasets import unpad_boxes
from narae.vision.found_boxes import draw_boxes
from narae.vision.metrics import detection_scores, main_numbers
from narae.vision.models.detection import CountPasses, SelectiveSearch
from narae.vision.models.detection.lineage import LINEAGE

NAMES = {
    "rcnn": "R-CNN",
    "sppnet": "SPPNet",
    "fast-rcnn": "Fast R-CNN",
    "faster-rcnn": "Faster R-CNN",
    "yolo": "YOLO v1",
}
YEARS = {"rcnn": 2014, "sppnet": 2014, "fast-rcnn": 2015, "faster-rcnn": 2015, "yolo": 2016}
# YOLO has no regions to begin with: it needs more looks at each image, which cost it least.
LOOKS = {"yolo": 4}
# Scores from which boxes are drawn: those of YOLO contain the IoU that is to be expected.
LEAST = {"yolo": 0.25}


@dataclass(frozen=True)
class Result:
    """What came of one detector.

    Attributes:
        name: as in `LINEAGE`.
        ap50, ap: mAP at an IoU of 0.5, and the mean from 0.5 to 0.95.
        passes: rows that go through the convolutions for an image.
        search, rest: milliseconds of an image for finding regions without learning, and for all
            else: the best of three looks, the median over images.
        training: seconds of the processor's time.
        picture: a test image with what was found, (3, height, width).
    """

    name: str
    ap50: float
    ap: float
    passes: float
    search: float
    rest: float
    training: float
    picture: Any


def train(name: str, settings: dict[str, Any], backbone: Any = None) -> tuple[Any, float]:
    """A trainer after its training, and the processor's seconds that it took.

    Args:
        name: of the detector.
        settings: of the recipe.
        backbone: convolutions that learned before; they stay as they are, as in SPPNet's paper.
    """
    epochs = settings["epochs"] * LOOKS.get(name, 1)
    values = {**settings, "detector": name, "epochs": epochs, "validate_every": epochs}
    trainer = build(load_recipe("mnist-detection").changed(values))
    if backbone is not None:
        trainer.model.backbone.load_state_dict(backbone.state_dict())
        trainer.model.fine_tune = False
    began = time.process_time()
    trainer.fit()
    return trainer, time.process_time() - began


def passes_of(model: Any, images: Sequence[Any]) -> float:
    """Rows that go through the convolutions for an image."""
    with CountPasses(model) as counted:
        for image in images:
            model(image[None])
    return counted.passes / len(images)


def times_of(models: dict[str, Any], images: Sequence[Any]) -> dict[str, tuple[float, float]]:
    """Milliseconds of an image for the search of regions and for all else, of each detector.

    They take turns at each image, so that whatever else the machine does disturbs all of them.
    """
    proposer = models["rcnn"].proposer  # the same for all that have one
    # What is remembered costs nothing: it is searched for here.
    anew = SelectiveSearch(proposer.most, proposer.scales, proposer.min_size)
    search, rest = [], {name: [] for name in models}
    for image in images:
        search.append(best_time(anew, image))
        for name, model in models.items():
            model(image[None])  # compiled now, and what was found is remembered
            rest[name].append(best_time(model, image[None]))
    found = 1000 * statistics.median(search)
    return {
        name: (found if hasattr(models[name], "proposer") else 0.0, 1000 * statistics.median(own))
        for name, own in rest.items()
    }


def best_time(function: Any, x: Any) -> float:
    """Seconds of a call, the best of three: other programs disturb."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        function(x)
        times.append(time.perf_counter() - began)
    return min(times)


def compare(settings: dict[str, Any], count: int) -> tuple[list[Result], Any]:
    """All five, and the test image of the pictures with its true boxes."""
    trainers, training, points = {}, {}, {}
    for name in LINEAGE:
        backbone = trainers["rcnn"].model.backbone if name == "sppnet" else None
        trainers[name], training[name] = train(name, settings, backbone)
        data = trainers[name].data
        model = trainers[name].judged.eval()
        points[name] = main_numbers(detection_scores(model, data.test, data.classes))
        print(f"{NAMES[name]}: {points[name]['ap50']:.3f} after {training[name]:.0f} s", flush=True)
    models = {name: trainer.judged.eval() for name, trainer in trainers.items()}
    own = [data.test.dataset[k][0] for k in range(min(count, len(data.test.dataset)))]
    times = times_of(models, own)
    images, *targets = next(iter(data.test))
    results = []
    for name, model in models.items():
        said = enlarged(images[0], model(images[:1])[0], data.classes, LEAST.get(name, 0.5))
        ap50, ap = points[name]["ap50"], points[name]["ap"]
        numbers = ap50, ap, passes_of(model, own), *times[name], training[name]
        results.append(Result(name, *numbers, said))
    return results, enlarged(images[0], unpad_boxes(*targets)[0], data.classes)


def enlarged(image: Any, found: dict[str, Any], classes: Sequence[str], least: float = 0.0) -> Any:
    """A picture with boxes, twice as large, so that their names can be read."""
    large = narae.from_numpy(np.asarray(image).repeat(2, axis=1).repeat(2, axis=2))
    return draw_boxes(large, {**found, "boxes": 2 * found["boxes"]}, classes, least)


# --- on the screen --------------------------------------------------------------------------------


def table(results: Sequence[Result]) -> str:
    """A row for each detector."""
    head = ["", "year", "mAP@0.5", "mAP", "passes", "search ms", "rest ms", "image ms", "train s"]
    rows = [head]
    for each in results:
        rows.append(
            [
                NAMES[each.name],
                str(YEARS[each.name]),
                f"{each.ap50:.3f}",
                f"{each.ap:.3f}",
                f"{each.passes:.0f}",
                f"{each.search:.1f}",
                f"{each.rest:.1f}",
                f"{each.search + each.rest:.1f}",
                f"{each.training:.0f}",
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )


def draw(results: Sequence[Result], truth: Any, path: Path) -> None:
    """Time and accuracy of each, and the same test image as each sees it."""
    require("matplotlib", "train", "drawing figures")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.4), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(1.4, 1))
    left, right = upper.subplots(1, 2)
    names = [NAMES[each.name] for each in results]
    search, rest = ([getattr(each, part) for each in results] for part in ("search", "rest"))
    left.barh(names, search, color="#b9c4d0", label="search for regions")
    left.barh(names, rest, left=search, color="#3f72af", label="network and suppression")
    left.invert_yaxis()
    left.set_xlabel("milliseconds an image")
    left.legend(frameon=False)
    bars = right.barh(names, [each.ap50 for each in results], color="#3f72af")
    passes = [f"{each.passes:.0f} pass{'es' if each.passes > 1 else ''}" for each in results]
    words = [f"{each.ap50:.3f}, {said}" for each, said in zip(results, passes, strict=True)]
    right.bar_label(bars, words, padding=4)
    right.invert_yaxis()
    right.set_xlim(0, 1.35)
    right.set_xticks(np.linspace(0, 1, 6))
    right.set_xlabel("mAP at an IoU of 0.5")
    for axes, (title, picture) in zip(
        lower.subplots(1, len(results) + 1),
        [("truth", truth), *((NAMES[each.name], each.picture) for each in results)],
        strict=True,
    ):
        axes.imshow(np.asarray(picture).transpose(1, 2, 0), interpolation="nearest")
        axes.set_title(title)
        axes.axis("off")
    figure.savefig(path, dpi=110)


def main(argv: Sequence[str] | None = None) -> list[Result]:
    """Train, measure, print, draw."""
    parser = argparse.ArgumentParser(description="Five detectors, side by side")
    parser.add_argument("--small", action="store_true", help="few images, a minute")
    parser.add_argument("--items", type=int, help="images to learn from (1000)")
    parser.add_argument("--epochs", type=int, help="looks at each image (12; YOLO 48)")
    parser.add_argument("--figure", type=Path, default=Path("detection_lineage.png"))
    chosen = parser.parse_args(argv)
    settings: dict[str, Any] = {"items": chosen.items or 1000, "epochs": chosen.epochs or 12}
    if chosen.small:
        settings = {"items": chosen.items or 24, "epochs": chosen.epochs or 2, "width": 8}
        settings["source"] = "digits"
    results, truth = compare(settings, count=4 if chosen.small else 40)
    print(f"\n{table(results)}\n")
    print(
        f"passes: rows through the convolutions an image; times on {narae.get_num_threads()} cores"
    )
    draw(results, truth, chosen.figure)
    print(f"drawn to {chosen.figure}")
    return results


if __name__ == "__main__":
    main()
