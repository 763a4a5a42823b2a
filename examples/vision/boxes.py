"""Boxes: what IoU and generalized IoU measure, what suppression keeps, where anchors stand.

Run `python examples/vision/boxes.py`. It prints three tables and draws a figure to boxes.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import narae
from narae.base.errors import require
from narae.tensors import Tensor
from narae.vision import ops

OBJECT = (40.0, 40.0, 80.0, 80.0)
SHIFTS = (0, 5, 10, 20, 30, 40, 60, 80)
SIZE = (128, 192)  # height, width of the picture
OBJECTS = ((20.0, 24.0, 68.0, 84.0), (104.0, 16.0, 164.0, 56.0), (112.0, 66.0, 152.0, 110.0))
THRESHOLD = 0.5


# --- overlaps -------------------------------------------------------------------------------------


def overlaps() -> list[tuple[int, float, float]]:
    """A box moved to the right by some pixels: its IoU and generalized IoU with the one at rest."""
    box = narae.tensor([OBJECT])
    moved = box + narae.tensor([[float(x), 0.0, float(x), 0.0] for x in SHIFTS])
    iou, giou = ops.box_iou(box, moved)[0], ops.generalized_box_iou(box, moved)[0]
    return list(zip(SHIFTS, iou.tolist(), giou.tolist(), strict=True))


# --- suppression ----------------------------------------------------------------------------------


def detections(seed: int = 3) -> tuple[Tensor, Tensor]:
    """Boxes (12, 4) around three objects, as a detector finds them, with scores (12,)."""
    rng = np.random.default_rng(seed)
    true = np.repeat(np.array(OBJECTS), 4, axis=0)
    boxes = true + rng.normal(0, 3, true.shape)
    scores = np.round(rng.uniform(0.3, 1.0, len(boxes)), 2)
    return narae.from_numpy(boxes.astype(np.float32)), narae.from_numpy(scores.astype(np.float32))


def explain_suppression(boxes: Tensor, scores: Tensor) -> list[tuple[int, float, str]]:
    """What happens to each detection, from the highest score down."""
    kept = ops.nms(boxes, scores, THRESHOLD).tolist()
    iou = ops.box_iou(boxes, boxes)
    rows = []
    for place in scores.argsort(descending=True, stable=True).tolist():
        said = "kept"
        if place not in kept:
            better = [k for k in kept if scores[k] >= scores[place] and iou[k, place] > THRESHOLD]
            said = f"dropped: IoU {iou[better[0], place].item():.2f} with {better[0]}"
        rows.append((place, scores[place].item(), said))
    return rows


# --- anchors --------------------------------------------------------------------------------------


def anchors() -> tuple[list[tuple[int, int, int]], list[Tensor]]:
    """Two maps of strides 16 and 32: rows (stride, places, anchors), and the anchors of each."""
    generator = ops.AnchorGenerator(((32,), (64,)), ((0.5, 1.0, 2.0),) * 2)
    strides = (16, 32)
    grids = [(SIZE[0] // stride, SIZE[1] // stride) for stride in strides]
    made = generator.grid_anchors(grids, [(stride, stride) for stride in strides])
    rows = [
        (stride, height * width, len(boxes))
        for stride, (height, width), boxes in zip(strides, grids, made, strict=True)
    ]
    return rows, made


# --- the figure -----------------------------------------------------------------------------------


def picture() -> np.ndarray:
    """Three objects on a ground: (height, width, 3) in 0..1."""
    rng = np.random.default_rng(0)
    image = np.full((*SIZE, 3), 0.92) + rng.normal(0, 0.015, (*SIZE, 3))
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    colours = ((0.36, 0.55, 0.70), (0.80, 0.52, 0.35), (0.50, 0.66, 0.42))
    for (x1, y1, x2, y2), colour in zip(OBJECTS, colours, strict=True):
        across, down = (2 * x - x1 - x2) / (x2 - x1), (2 * y - y1 - y2) / (y2 - y1)
        image[across**2 + down**2 < 1] = colour
    return image.clip(0, 1)


def outline(axes: Any, box: Sequence[float], **style: Any) -> None:
    """Draw one box (x1, y1, x2, y2)."""
    from matplotlib.patches import Rectangle

    x1, y1, x2, y2 = box
    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, **style))


def show(axes: Any, title: str) -> None:
    """The picture, without ticks."""
    axes.imshow(picture(), extent=(0, SIZE[1], SIZE[0], 0))
    axes.set(title=title, xticks=[], yticks=[], xlim=(0, SIZE[1]), ylim=(SIZE[0], 0))


def draw_overlaps(axes: Any) -> None:
    """Both measures by the shift."""
    shifts, iou, giou = zip(*overlaps(), strict=True)
    axes.plot(shifts, iou, "o-", label="IoU")
    axes.plot(shifts, giou, "s--", label="generalized IoU")
    axes.axhline(0, color="0.7", linewidth=0.8)
    axes.axvline(OBJECT[2] - OBJECT[0], color="0.7", linewidth=0.8)
    axes.annotate("apart from here on", (41, 0.75), color="0.4", fontsize=9)
    axes.set(title="A box of 40 pixels moved to the right", xlabel="pixels", ylabel="overlap")
    axes.legend(loc="lower left", frameon=False)


def draw_suppression(before: Any, after: Any) -> None:
    """All detections, and those that are kept with their scores."""
    boxes, scores = detections()
    show(before, f"{len(boxes)} detections")
    for box, score in zip(boxes.tolist(), scores.tolist(), strict=True):
        outline(before, box, edgecolor="black", linewidth=1.2, alpha=0.25 + 0.75 * score)
    kept = ops.nms(boxes, scores, THRESHOLD)
    show(after, f"{len(kept)} after suppression at IoU {THRESHOLD}")
    for box, score in zip(boxes[kept].tolist(), scores[kept].tolist(), strict=True):
        outline(after, box, edgecolor="black", linewidth=1.6)
        after.text(box[0] + 2, box[1] + 2, f"{score:.2f}", va="top", fontsize=9)


def draw_anchors(axes: Any) -> None:
    """The places of both maps, and all anchors of one place of each."""
    rows, made = anchors()
    show(axes, "Anchors: three shapes at each place of two maps")
    for (stride, places, _), boxes, marker, colour in zip(
        rows, made, ".x", ("tab:blue", "tab:red"), strict=True
    ):
        corners = boxes.numpy().reshape(places, -1, 4)  # (places, anchors, 4)
        x, y = corners[:, :, 0::2].mean((1, 2)), corners[:, :, 1::2].mean((1, 2))
        axes.plot(x, y, marker, color=colour, markersize=6, label=f"stride {stride}", clip_on=False)
        nearest = np.hypot(x - SIZE[1] * 0.55, y - SIZE[0] * 0.5).argmin()
        for box in corners[nearest]:
            outline(axes, box, edgecolor=colour, linewidth=1.4)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.02), ncol=2, frameon=False)


def draw(path: Path) -> None:
    """The figure."""
    pyplot = require("matplotlib.pyplot", "train", "the figure of boxes")
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 8), layout="constrained")
    draw_overlaps(axes[0, 0])
    draw_suppression(axes[0, 1], axes[1, 1])
    draw_anchors(axes[1, 0])
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


# --- tables ---------------------------------------------------------------------------------------


def tables() -> str:
    """All three."""
    lines = ["| moved by | IoU | generalized IoU |", "|---:|---:|---:|"]
    lines += [f"| {shift} | {iou:.3f} | {giou:.3f} |" for shift, iou, giou in overlaps()]
    lines += ["", "| detection | score | suppression |", "|---:|---:|---|"]
    rows = explain_suppression(*detections())
    lines += [f"| {place} | {score:.2f} | {said} |" for place, score, said in rows]
    lines += ["", "| stride | places | anchors |", "|---:|---:|---:|"]
    lines += [f"| {stride} | {places} | {count} |" for stride, places, count in anchors()[0]]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("boxes.png"))
    chosen = parser.parse_args(argv)
    print(tables())
    draw(chosen.out)
    print(f"\ndrawn to {chosen.out}")


if __name__ == "__main__":
    main()
