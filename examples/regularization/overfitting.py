"""Overfitting: a deep network learns 300 pictures by heart.

`--figure FILE` draws how error and loss on both kinds of pictures go by epoch.

Run `python examples/regularization/overfitting.py`; with `--small` in a few seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import harness
import numpy as np
from harness import Variant

from narae.train import Callback


class Curves(Callback):
    """Judges the model every few epochs."""

    order = 75

    def __init__(self, parts: harness.Split) -> None:
        self.parts, self.points = parts, []

    def on_epoch_end(self, trainer):
        if trainer.validated:
            scores = harness.scores_of(trainer, self.parts)
            self.points.append((trainer.epoch, scores))


def curves(task: harness.Task, seed: int) -> list[tuple[int, harness.Scores]]:
    """Epochs, and what the network scores after them."""
    parts = harness.split(task, seed)
    watch = Curves(parts)
    trainer = harness.trainer_of(Variant("", lambda model: [watch]), task, parts, seed)
    trainer.validate_every = max(task.epochs // 40, 1)
    trainer.fit()
    return watch.points


def draw(path: str, runs: Sequence[list[tuple[int, harness.Scores]]], items: int) -> None:
    """Error and loss by epoch, thin for each seed."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    both = (("pictures it learned from", "#4878a8"), ("other pictures", "#c05020"))
    for number, points in enumerate(runs):
        epochs = [epoch for epoch, _ in points]
        lines = (
            (axes[0], [(100 - 100 * x.train, 100 - 100 * x.test) for _, x in points]),
            (axes[1], [(x.train_loss, x.test_loss) for _, x in points]),
        )
        for axis, pairs in lines:
            for values, (label, color) in zip(zip(*pairs, strict=True), both, strict=True):
                axis.plot(epochs, values, color=color, alpha=0.8, label=None if number else label)
    axes[0].set(title=f"error in %, {items} samples", xlabel="epoch", ylim=(0, None))
    axes[1].set(title="loss", xlabel="epoch", yscale="log")
    axes[0].legend(frameon=False)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(argv: Sequence[str] | None = None) -> list[list[tuple[int, harness.Scores]]]:
    chosen = harness.arguments("overfitting", argv)
    task = harness.task_of(chosen)
    results = {}
    for items in (task.items, 4 * task.items):
        runs = [curves(replace(task, items=items), seed) for seed in range(task.seeds)]
        results[f"{items} samples"] = runs
    print(harness.headline(task))
    ends = {name: [points[-1][1] for points in runs] for name, runs in results.items()}
    print(harness.table(ends))
    first = results[f"{task.items} samples"]
    least = [min(points, key=lambda point: point[1].test_loss) for points in first]
    lowest, at = _mean(x.test_loss for _, x in least), _mean(epoch for epoch, _ in least)
    last = _mean(points[-1][1].test_loss for points in first)
    print(
        f"\nloss on other pictures with {task.items} samples: {lowest:.2f} after {at:.0f} epochs,"
    )
    print(f"where it is least, and {last:.2f} at the end")
    if chosen.figure:
        draw(chosen.figure, first, task.items)
    return first


def _mean(values) -> float:
    return float(np.mean(list(values)))


if __name__ == "__main__":
    main()
