"""Which skips a segmentation network has, and how fine it sees: FCN-32s, FCN-16s, FCN-8s, U-Net.

Discs, squares and thin crosses on a noisy ground, drawn by a seed, each pixel with its class. The
four networks learn from the same pictures, new ones in each epoch.

Run `python examples/vision/segmentation.py`; with `--small` in a few seconds. It prints a table and
draws pictures, true and predicted classes, to segmentation.png.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import narae
from narae import nn
from narae.data import DataLoader, TensorDataset
from narae.optim import AdamW
from narae.optim.lr_scheduler import OneCycleLR
from narae.tensors import Tensor
from narae.vision.metrics import SegmentationScores, segmentation_scores
from narae.vision.models.segmentation import NarrowBackbone, SmallFCN, UNet
from narae.vision.overlays import class_colours, overlay
from narae.vision.utils import make_grid, save_image

CLASSES = ("ground", "disc", "square", "cross")
SIZE, BATCH, LR = (64, 96), 8, 4e-3
WIDTHS = (16, 24, 32, 48, 64)
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "FCN-32s": lambda: SmallFCN(len(CLASSES), 32, NarrowBackbone(WIDTHS)),
    "FCN-16s": lambda: SmallFCN(len(CLASSES), 16, NarrowBackbone(WIDTHS)),
    "FCN-8s": lambda: SmallFCN(len(CLASSES), 8, NarrowBackbone(WIDTHS)),
    "U-Net": lambda: UNet(len(CLASSES), widths=(8, 16, 32, 64)),
}

Results = dict[str, tuple[nn.Module, SegmentationScores, float]]


def draw_shapes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A picture (3, height, width) in 0..1 and its classes (height, width); later shapes cover."""
    height, width = SIZE
    y, x = np.mgrid[:height, :width]
    labels = np.zeros(SIZE, np.int64)
    picture = np.broadcast_to(rng.uniform(0.2, 0.8, (3, 1, 1)), (3, *SIZE)).copy()
    for kind in rng.integers(1, len(CLASSES), rng.integers(4, 9)):
        down, across = abs(y - rng.uniform(0, height)), abs(x - rng.uniform(0, width))
        size = rng.uniform(6, 14)
        inside = {
            1: down**2 + across**2 < size**2,
            2: np.maximum(down, across) < 0.85 * size,
            3: (np.minimum(down, across) < 1.5) & (np.maximum(down, across) < size),
        }[int(kind)]
        labels[inside] = kind
        picture[:, inside] = rng.uniform(0, 1, (3, 1))
    return picture + rng.normal(0, 0.08, picture.shape), labels


def shapes(count: int, seed: int) -> TensorDataset:
    """As many pictures with their classes, the same for the same seed."""
    rng = np.random.default_rng(seed)
    pictures, labels = zip(*(draw_shapes(rng) for _ in range(count)), strict=True)
    return TensorDataset(
        narae.from_numpy(np.stack(pictures).astype(np.float32)), narae.from_numpy(np.stack(labels))
    )


def train(model: nn.Module, items: int, epochs: int) -> None:
    """Pictures are drawn anew for each epoch; each step is one program."""
    optimizer = AdamW(model.parameters(), lr=LR, weight_decay=1e-2)
    schedule = OneCycleLR(optimizer, max_lr=LR, total_steps=epochs * (items // BATCH))

    @narae.compile
    def step(images: Tensor, labels: Tensor) -> Tensor:
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    model.train()
    for epoch in range(epochs):
        for images, labels in DataLoader(shapes(items, seed=100 + epoch), BATCH, drop_last=True):
            step(images, labels)
            schedule.step()
    model.eval()


def compare(items: int, epochs: int) -> Results:
    """Each network trained, its scores on other pictures, and the seconds of CPU that it took."""
    test = DataLoader(shapes(max(items // 4, 8), seed=1), BATCH)
    found = {}
    for name, make in NETWORKS.items():
        narae.manual_seed(0)
        model, began = make(), time.process_time()
        train(model, items, epochs)
        seconds = time.process_time() - began
        found[name] = (model, segmentation_scores(model, test, len(CLASSES)), seconds)
    return found


def table(found: Results) -> str:
    """A line a network."""
    lines = [
        "| network | parameters | mIoU | "
        + " | ".join(CLASSES)
        + " | pixels right | CPU seconds |",
        "|---|" + "---:|" * (len(CLASSES) + 4),
    ]
    for name, (model, scores, seconds) in found.items():
        size = sum(each.numel() for each in model.parameters())
        each = " | ".join(f"{value:.3f}" for value in scores.iou)
        lines.append(
            f"| {name} | {size:,} | {scores.mean_iou:.3f} | {each} "
            f"| {scores.pixel_accuracy:.1%} | {seconds:.0f} |"
        )
    return "\n".join(lines)


def draw(found: Results, path: Path) -> None:
    """A line a picture: itself, its true classes, and those that each network predicts."""
    images, labels = (narae.stack(list(x)) for x in zip(*list(shapes(3, seed=2)), strict=True))
    with narae.no_grad():
        said = [model(images).argmax(dim=1) for model, _, _ in found.values()]
    colours, tiles = class_colours(len(CLASSES) - 1), []
    for place, image in enumerate(images.clamp(0, 1)):
        answers = [labels[place], *(each[place] for each in said)]
        # The ground is no shape: it stays as it is.
        tiles += [image, *(overlay(image, answer - 1, colours, alpha=0.8) for answer in answers)]
    large = [each.repeat_interleave(2, 1).repeat_interleave(2, 2) for each in tiles]
    save_image(make_grid(large, nrow=len(found) + 2, padding=4, pad_value=1.0), path)


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="few pictures, one epoch")
    parser.add_argument("--out", type=Path, default=Path("segmentation.png"))
    chosen = parser.parse_args(argv)
    found = compare(items=16, epochs=1) if chosen.small else compare(items=400, epochs=40)
    print(table(found))
    draw(found, chosen.out)
    print(f"\ndrawn to {chosen.out}")
    return {name: scores.mean_iou for name, (_, scores, _) in found.items()}


if __name__ == "__main__":
    main()
