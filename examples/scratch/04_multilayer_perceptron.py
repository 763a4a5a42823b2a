"""Two layers solve XOR, if something between them is not linear.

Run `python examples/scratch/04_multilayer_perceptron.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import common
import numpy as np

import narae
import narae.nn as nn
import narae.nn.functional as F
from narae.optim import Adam

INPUTS = narae.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
SIDE = np.linspace(-0.5, 1.5, 121)
XOR = narae.tensor([0.0, 1.0, 1.0, 0.0])


def deep_linear(layers: int = 5, width: int = 8) -> nn.Sequential:
    """Linear layers only, nothing between them: 2 → width → … → width → 1."""
    sizes = [2, *[width] * (layers - 1), 1]
    return nn.Sequential(*(nn.Linear(size, following) for size, following in pairwise(sizes)))


def multilayer_perceptron(width: int = 8) -> nn.Sequential:
    """Two linear layers and a nonlinear function between them."""
    return nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 1))


def learn(model: nn.Module, steps: int = 400) -> list[float]:
    """Fit XOR; returns the loss of each step."""
    optimizer, losses = Adam(model.parameters(), lr=0.05), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(INPUTS)[:, 0], XOR)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def accuracy(model: nn.Module) -> float:
    """The share of the four inputs that are answered right."""
    with narae.no_grad():
        return ((model(INPUTS)[:, 0] > 0) == (XOR > 0.5)).float().mean().item()


def collapse(model: nn.Sequential) -> tuple[np.ndarray, np.ndarray]:
    """Multiply a chain of linear layers out: W2(W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2).

    Returns:
        One weight (1, 2) and one bias (1,) that do the same.
    """
    w, b = np.eye(2), np.zeros(2)
    for layer in model:
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        w, b = weight @ w, weight @ b + bias
    return w, b


def scores(model: Callable, side: np.ndarray) -> np.ndarray:
    """What the model says on a grid.  # -> (rows, columns)"""
    plane = np.stack(np.meshgrid(side, side), axis=-1).astype(np.float32)  # (rows, columns, 2)
    with narae.no_grad():
        return model(narae.from_numpy(plane))[..., 0].numpy()


def largest_difference(model: nn.Sequential) -> float:
    """Between a chain of linear layers and the one layer it collapses to, over the plane."""
    w, b = collapse(model)
    plane = np.stack(np.meshgrid(SIDE, SIDE), axis=-1)  # (rows, columns, 2)
    return float(np.abs(scores(model, SIDE) - (plane @ w.T + b)[..., 0]).max())


def draw_plane(axes: object, model: nn.Module, title: str) -> None:
    """Probability of 1 as colour, the boundary as a line."""
    chance = 1 / (1 + np.exp(-scores(model, SIDE)))
    axes.contourf(SIDE, SIDE, chance, levels=np.linspace(0, 1, 10), cmap="Blues", alpha=0.75)
    if np.ptp(chance) > 0.01:
        axes.contour(SIDE, SIDE, chance, levels=[0.5], colors=[common.ORANGE], linewidths=2.5)
    else:
        axes.text(0.5, 0.5, f"{chance.mean():.2f} everywhere", ha="center", color=common.INK)
    for x, target in zip(INPUTS.tolist(), XOR.tolist(), strict=True):
        kind = {"marker": "o"} if target else {"marker": "s"}
        axes.plot(*x, ms=10, color=common.BLUE if target else common.INK, mec="white", **kind)
    right = f"{accuracy(model):.0%} right"
    axes.set(xticks=[0, 1], yticks=[0, 1], aspect="equal", title=f"{title}: {right}")
    axes.grid(False)


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv)
    narae.manual_seed(0)
    linear, curved = deep_linear(), multilayer_perceptron()
    names = {"five linear layers": linear, "two layers with tanh": curved}
    collapsed, difference = collapse(linear), largest_difference(linear)
    rows = [[name, learn(model)[-1], accuracy(model)] for name, model in names.items()]
    common.say("A multi-layer perceptron (다층 퍼셉트론) meets XOR. After 400 steps:")
    common.table(["model", "loss", "accuracy"], rows)
    w, b = collapsed
    common.say(
        f"""Depth alone is useless. Before training, the five layers with
        {sum(p.numel() for p in linear.parameters())} parameters were the same function as one
        layer with three: out = {w[0, 0]:+.4f}·x1 {w[0, 1]:+.4f}·x2 {b[0]:+.4f}. On a grid of
        14,641 points the two differed by {difference:.1e} at most, which is rounding; after
        training, by {largest_difference(linear):.1e}. A loss of 0.693 = ln 2 is that of
        guessing."""
    )
    common.say(
        """With tanh between two layers the boundary may bend, and all four answers are right: that
        is what activation functions (활성화 함수) are for."""
    )
    figure, axes = common.new_figure(1, 2, width=8, height=4.2)
    for (name, model), place in zip(names.items(), axes, strict=True):
        draw_plane(place, model, name.capitalize())
    common.save(
        figure,
        chosen.out,
        "xor",
        """The darker, the surer of 1. Orange: the boundary between 0 and 1. Without an activation
        function the network stays a plane, however deep, and the best plane for XOR says one half
        everywhere; with one the boundary curves.""",
    )


if __name__ == "__main__":
    main()
