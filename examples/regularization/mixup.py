"""Mixup and CutMix: learn from what lies between two pictures.

`--figure FILE` draws what mixup does to the border between two classes of points in the plane.

Run `python examples/regularization/mixup.py`; with `--small` in a few seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import harness
import numpy as np
from harness import Variant

import narae
import narae.nn as nn
import narae.nn.functional as F
from narae.data import DataLoader, TensorDataset
from narae.optim import SGD
from narae.train import Data, Trainer
from narae.train.callbacks import CutMix, Mixup, MixupOrCutMix

VARIANTS = (
    Variant("as it is"),
    Variant("mixup, alpha 0.2", lambda model: [Mixup(0.2)]),
    Variant("mixup, alpha 1", lambda model: [Mixup(1.0)]),
    Variant("CutMix, alpha 1", lambda model: [CutMix(1.0)]),
    Variant("one of both, alpha 1", lambda model: [MixupOrCutMix(1.0, 1.0)]),
)


def moons(items: int, seed: int) -> tuple[narae.Tensor, narae.Tensor]:
    """Two half moons that reach into one another, (items, 2), and which one each point is of."""
    numbers = np.random.default_rng(seed)
    labels = np.arange(items) % 2
    angles = numbers.uniform(0, np.pi, items)
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    x[labels == 1] = np.array([1.0, 0.5]) - x[labels == 1]
    x += 0.2 * numbers.normal(size=x.shape)
    return narae.from_numpy(x.astype(np.float32)), narae.from_numpy(labels)


def draw(path: str) -> None:
    """The share of one class over the plane, learned without and with mixup."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    x, y = moons(100, seed=0)
    lines = np.stack(np.meshgrid(np.linspace(-1.8, 2.8, 140), np.linspace(-1.5, 2, 110)), axis=-1)
    plane = narae.from_numpy(lines.reshape(-1, 2).astype(np.float32))
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
    for axis, callbacks in zip(axes, ((), (Mixup(1.0),)), strict=True):
        narae.manual_seed(0)
        wide = 64
        model = nn.Sequential(
            nn.Linear(2, wide), nn.ReLU(), nn.Linear(wide, wide), nn.ReLU(), nn.Linear(wide, 2)
        )
        loader = DataLoader(TensorDataset(x, y), 50, shuffle=True)
        optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
        Trainer(
            Data(loader, loader), model, F.cross_entropy, optimizer,
            callbacks=callbacks, epochs=500, validate_every=500,
        ).fit()  # fmt: skip
        with narae.no_grad():
            shares = np.asarray(model(plane).softmax(dim=1)[:, 1]).reshape(lines.shape[:2])
        levels = np.linspace(0, 1, 11)
        axis.contourf(*np.moveaxis(lines, -1, 0), shares, levels, cmap="RdBu", alpha=0.75)
        axis.contour(*np.moveaxis(lines, -1, 0), shares, [0.5], colors="black", linewidths=1)
        for label, color in enumerate(("#8c1c13", "#123f6d")):
            axis.scatter(*np.asarray(x[y == label]).T, s=12, color=color)
        axis.set_title("mixup, alpha 1" if callbacks else "as it is")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(argv: Sequence[str] | None = None) -> harness.Results:
    chosen = harness.arguments("mixup and CutMix", argv)
    results = harness.main("mixup and CutMix", VARIANTS, argv)
    if chosen.figure:
        draw(chosen.figure)
    return results


if __name__ == "__main__":
    main()
