"""Deeper with the same number of parameters: what small kernels in a row do with a budget.

Every network has about as many parameters; the shallow ones have large kernels and many channels,
the deep ones many layers of 3 x 3. Two of 3 x 3 see as much as one of 5 x 5, three as 7 x 7.

Run `python examples/vision/depth_for_width.py`; with `--small` in a few seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import experiment

import narae
import narae.nn as nn
from narae.explain import chain_fields

BUDGET = 40_000
# Name: kernel size, layers before each of two poolings and after them.
SHAPES = {
    "1 layer of 7 x 7": (7, (1, 0, 0)),
    "2 layers of 7 x 7": (7, (1, 1, 0)),
    "3 layers of 5 x 5": (5, (1, 1, 1)),
    "3 layers of 3 x 3": (3, (1, 1, 1)),
    "6 layers of 3 x 3": (3, (2, 2, 2)),
    "9 layers of 3 x 3": (3, (3, 3, 3)),
}


def features(channels: int, size: int, layers: Sequence[int], width: int) -> nn.Sequential:
    """Convolutions of one size, with as many channels each, and poolings."""
    parts: list[nn.Module] = []
    before = channels
    for number, count in enumerate(layers):
        for _ in range(count):
            parts.append(nn.Conv2d(before, width, size, padding=size // 2, bias=False))
            parts += [nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        if number < 2:
            parts.append(nn.MaxPool2d(2))
    return nn.Sequential(*parts)


def network(channels: int, size: int, layers: Sequence[int], budget: int) -> nn.Sequential:
    """As wide as the budget allows, with an average over the pixels and a linear layer."""
    width = 1
    while count(channels, size, layers, width + 1) <= budget:
        width += 1
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)]
    return nn.Sequential(features(channels, size, layers, width), *head)


def count(channels: int, size: int, layers: Sequence[int], width: int) -> int:
    """Parameters of a network."""
    total = sum(layers)
    convolutions = (channels * width + (total - 1) * width**2) * size**2
    return convolutions + 2 * width * total + 10 * (width + 1)


def main(argv: Sequence[str] | None = None) -> dict[str, experiment.Result]:
    chosen = experiment.arguments("deeper with the same budget", argv, epochs=10, items=4000)
    if chosen.small:
        task = experiment.digits(chosen.items, times=2)
    else:
        task = experiment.cifar(chosen.items, chosen.data_dir)
    budget = BUDGET // 8 if chosen.small else BUDGET
    print(task.headline(chosen.epochs))
    found, rows = {}, []
    for name, (size, layers) in SHAPES.items():
        narae.manual_seed(1)
        model = network(task.shape[0], size, layers, budget)
        result = found[name] = experiment.train(model, task, chosen.epochs)
        chain: nn.Module = model[0]
        field = chain_fields(chain)[-1].field[0]
        width = chain[0].out_channels
        numbers = [f"{result.parameters:,}", str(width), f"{field} x {field}"]
        numbers += [f"{100 * (1 - result.errors[-1]):.1f}", f"{100 * result.test_accuracy:.1f}"]
        rows.append([name, *numbers, f"{result.seconds:.0f} s"])
    head = ["network", "parameters", "channels", "field", "train %", "test %", "time"]
    print(experiment.table(head, rows))
    if chosen.figure:
        draw(found, chosen.figure)
    return found


def draw(found: dict[str, experiment.Result], path: str) -> None:
    drawn, (place,) = experiment.figure(1, 6.0, 3.6)
    for name, result in found.items():
        place.plot(range(1, len(result.losses) + 1), result.losses, label=name)
    experiment.epochs_below(place)
    place.set_ylabel("training loss")
    place.legend(fontsize=8)
    experiment.save(drawn, path)


if __name__ == "__main__":
    main()
