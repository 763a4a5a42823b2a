"""Augmentation: other pictures of the same things, made by transforms, with much data and little.

First all transforms with 300 samples; then rotations with 1,000, 10,000 and 60,000 (or the whole of
scikit-learn's digits with `--small`), each for whole epochs of at most 900 updates.

Run `python examples/regularization/augmentation.py`; with `--small` in a few seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import harness
import numpy as np
from harness import Variant

from narae.data import DataLoader
from narae.vision.datasets.pictures import LabelledPictures
from narae.vision.transforms import (
    Compose,
    InterpolationMode,
    RandomAffine,
    RandomErasing,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomRotation,
    ToTensor,
)

SMOOTH = InterpolationMode.BILINEAR


def augmented(name: str, *before, after=()) -> Variant:
    """Each picture is transformed anew each time: some transforms of pictures, some of tensors."""
    transform = Compose([*before, ToTensor(), *after])

    def loader(images, labels) -> DataLoader:
        pixels = np.round(np.asarray(images)[:, 0] * 255).astype(np.uint8)
        pictures = LabelledPictures(pixels, np.asarray(labels), transform)
        return DataLoader(pictures, min(harness.BATCH, len(pictures)), shuffle=True)

    return Variant(name, loader=loader)


PLAIN = Variant("as it is")
TURN = augmented("rotation by up to 15°", RandomRotation(15, SMOOTH))
TURN_FAR = augmented("rotation by up to 45°", RandomRotation(45, SMOOTH))
SHIFT = augmented("shift by up to 10 %", RandomAffine(0, translate=(0.1, 0.1)))
VARIANTS = (
    PLAIN,
    TURN,
    TURN_FAR,
    SHIFT,
    augmented("shift, rotate, scale, shear", RandomAffine(15, (0.1, 0.1), (0.9, 1.1), 10, SMOOTH)),
    augmented("perspective", RandomPerspective(0.3, interpolation=SMOOTH)),
    augmented("erased boxes", after=[RandomErasing()]),
    augmented("mirror images", RandomHorizontalFlip()),
)


def by_size(task: harness.Task, sizes: Sequence[int], updates: int) -> None:
    """Rotations with more and more samples."""
    for items in sizes:
        epochs = max(updates // -(-items // harness.BATCH), 1)
        words = f"{items:,} samples, {epochs} epoch{'s' * (epochs > 1)}"
        print(f"\n{words}, {task.seeds} seed{'s' * (task.seeds > 1)}\n")
        own = replace(task, items=items, epochs=epochs)
        print(harness.table(harness.compare((PLAIN, TURN, TURN_FAR), own)))


def main(argv: Sequence[str] | None = None) -> harness.Results:
    chosen = harness.arguments("augmentation", argv)
    results = harness.main("augmentation", VARIANTS, argv)
    task = harness.task_of(chosen)
    if chosen.small:
        by_size(task, (1200,), updates=24)
    else:
        by_size(task, (1_000, 10_000, 60_000), updates=900)
    return results


if __name__ == "__main__":
    main()
