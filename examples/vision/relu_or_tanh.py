"""Why ReLU: what is left of the gradient in the first layer, and how fast a network learns.

The slope of a sigmoid is at most 1/4, that of tanh is 1 in the middle only; layer by layer little
is left of the gradient. That of ReLU is 1 or 0 (Krizhevsky et al., 2012, section 3.1, figure 1).

With Glorot's weights tanh keeps the gradient of eight layers as well as ReLU does, and learns as
fast; through sigmoids a ten-thousandth arrives, and the network learns nothing.

Run `python examples/vision/relu_or_tanh.py`; with `--small` in a few seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import experiment
import numpy as np

import narae
import narae.nn as nn
import narae.nn.functional as F

LAYERS, WIDTH = 8, 16
ACTIVATIONS = {"ReLU": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


def network(channels: int, activation: type[nn.Module]) -> nn.Sequential:
    """Eight convolutions, in which nothing but the activation differs; Glorot's weights."""
    parts: list[nn.Module] = []
    for number in range(LAYERS):
        parts.append(nn.Conv2d(WIDTH if number else channels, WIDTH, 3, padding=1))
        parts.append(activation())
        if number in (1, 3):
            parts.append(nn.MaxPool2d(2))
    net = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * WIDTH, 10))
    for layer in net:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            gain = 2**0.5 if activation is nn.ReLU else 1.0
            nn.init.xavier_normal_(layer.weight, gain)
            nn.init.zeros_(layer.bias)
    return net


def gradients(model: nn.Sequential, task: experiment.Task) -> list[float]:
    """The size of the gradient of each convolution's weights, before training: root mean square."""
    out = model(narae.from_numpy(task.images[:100]))
    F.cross_entropy(out, narae.from_numpy(task.labels[:100])).backward()
    layers = [layer for layer in model if isinstance(layer, nn.Conv2d)]
    sizes = [float(np.sqrt((layer.weight.grad.numpy() ** 2).mean())) for layer in layers]
    model.zero_grad()
    return sizes


def main(argv: Sequence[str] | None = None) -> dict[str, tuple[list[float], experiment.Result]]:
    chosen = experiment.arguments("why ReLU", argv, epochs=8, items=4000)
    if chosen.small:
        task = experiment.digits(chosen.items)
    else:
        task = experiment.cifar(chosen.items, chosen.data_dir)
    print(task.headline(chosen.epochs))
    found, rows = {}, []
    for name, activation in ACTIVATIONS.items():
        narae.manual_seed(1)
        model = network(task.shape[0], activation)
        sizes = gradients(model, task)
        result = experiment.train(model, task, chosen.epochs, lr=0.03)
        found[name] = (sizes, result)
        numbers = [f"{sizes[0]:.1e}", f"{sizes[-1]:.1e}", f"{sizes[0] / sizes[-1]:.1e}"]
        numbers += [f"{result.losses[-1]:.3f}", f"{100 * (1 - result.errors[-1]):.1f}"]
        rows.append([name, *numbers, f"{100 * result.test_accuracy:.1f}"])
    head = ["activation", "first gradient", "last", "first / last"]
    print(experiment.table([*head, "train loss", "train %", "test %"], rows))
    if chosen.figure:
        draw(found, chosen.figure)
    return found


def draw(found: dict[str, tuple[list[float], experiment.Result]], path: str) -> None:
    drawn, (left, right) = experiment.figure(2, 4.4, 3.4)
    for name, (sizes, result) in found.items():
        left.semilogy(range(1, len(sizes) + 1), sizes, marker="o", label=name)
        right.plot(range(1, len(result.errors) + 1), [100 * x for x in result.errors], label=name)
    left.set_xlabel("convolution")
    left.set_ylabel("gradient before training")
    experiment.epochs_below(right)
    right.set_ylabel("training error, %")
    right.legend()
    experiment.save(drawn, path)


if __name__ == "__main__":
    main()
