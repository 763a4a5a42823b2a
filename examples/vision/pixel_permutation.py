"""What a linear layer does not know: that pixels have neighbours.

All pictures get their pixels in another order, the same for all. A network of linear layers learns
as well as before; one of convolutions, which look at neighbours, learns worse.

Run `python examples/vision/pixel_permutation.py`; with `--small` in a few seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import experiment
import numpy as np

import narae
import narae.nn as nn


def linear_net(shape: tuple[int, int, int]) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(int(np.prod(shape)), 128), nn.ReLU(), nn.Linear(128, 10)
    )


def conv_net(shape: tuple[int, int, int]) -> nn.Module:
    channels, height, width = shape
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (height // 4) * (width // 4), 10),
    )


def permuted(task: experiment.Task, seed: int = 0) -> experiment.Task:
    """The same pictures with their pixels in another order, the same for all."""
    order = np.random.default_rng(seed).permutation(int(np.prod(task.shape)))

    def moved(x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(x.reshape(len(x), -1)[:, order].reshape(x.shape))

    return replace(task, images=moved(task.images), test_images=moved(task.test_images))


NETS = {"linear layers": linear_net, "convolutions": conv_net}


def main(argv: Sequence[str] | None = None) -> dict[str, tuple[float, float]]:
    chosen = experiment.arguments("what a linear layer does not know", argv, epochs=4, items=10_000)
    if chosen.small:
        task = experiment.digits(1000)
        chosen.epochs = max(chosen.epochs, 10)
    else:
        task = experiment.mnist(chosen.items, chosen.data_dir)
    print(task.headline(chosen.epochs))
    found = {}
    for name, make in NETS.items():
        accuracies = []
        for pictures in (task, permuted(task)):
            narae.manual_seed(1)
            model = make(task.shape)
            accuracies.append(
                experiment.train(model, pictures, chosen.epochs, lr=0.1).test_accuracy
            )
        found[name] = tuple(accuracies)
    rows = [
        [name, f"{100 * plain:.1f}", f"{100 * moved:.1f}", f"{100 * (moved - plain):+.1f}"]
        for name, (plain, moved) in found.items()
    ]
    print(experiment.table(["test %", "as it is", "permuted", "change"], rows))
    if chosen.figure:
        draw(task, found, chosen.figure)
    return found


def draw(task: experiment.Task, found: dict[str, tuple[float, float]], path: str) -> None:
    drawn, axes = experiment.figure(3, 3.0, 3.0)
    for place, pictures, title in zip(axes, (task, permuted(task)), ("a digit", "permuted")):  # noqa: B905
        place.imshow(pictures.images[0, 0], cmap="gray")
        place.set_title(title)
        place.set_axis_off()
    positions = np.arange(len(found))
    for number, (label, colour) in enumerate((("as it is", "#2563eb"), ("permuted", "#ea580c"))):
        heights = [100 * both[number] for both in found.values()]
        axes[2].bar(positions + 0.38 * number, heights, 0.36, label=label, color=colour)
    axes[2].set_xticks(positions + 0.19, found)
    axes[2].set_ylabel("test accuracy, %")
    axes[2].set_ylim(min(min(both) for both in found.values()) * 100 - 3, 101)
    axes[2].legend(fontsize=8)
    experiment.save(drawn, path)


if __name__ == "__main__":
    main()
