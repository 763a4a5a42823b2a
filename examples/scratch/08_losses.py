"""Loss functions: how wrong is an answer, and why not count the right ones instead?

Run `python examples/scratch/08_losses.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import common
import numpy as np

import narae
import narae.nn.functional as F


def sum_squared_error(y: np.ndarray, target: np.ndarray) -> float:
    """½·Σ (y - t)²: the half disappears in the gradient, which is y - t."""
    return float(0.5 * ((y - target) ** 2).sum())


def cross_entropy(y: np.ndarray, target: np.ndarray, delta: float = 1e-7) -> float:
    """-Σ t·ln(y + delta), the mean over the items; y are probabilities, t is one-hot.

    Without delta the logarithm of a probability 0 would be minus infinity.
    """
    return float(-(target * np.log(y + delta)).sum(axis=-1).mean())


def softmax(scores: np.ndarray) -> np.ndarray:
    """Scores become probabilities.  # (items, classes)"""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


# ----------------------------------------------------- two clouds of points, and one line for both
def clouds() -> tuple[np.ndarray, np.ndarray]:
    """200 points of two classes.  # (items, 2), (items,)"""
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    return rng.normal(0, 1, (200, 2)) + 1.2 * (2 * labels[:, None] - 1), labels


POINTS, CLASSES = clouds()


def accuracy(w: np.ndarray) -> float:
    """The share of points that w·(x1, x2, 1) > 0 puts on the right side."""
    return float(((POINTS @ w[:2] + w[2] > 0) == CLASSES).mean())


def loss(w: np.ndarray) -> float:
    """The cross-entropy of the sigmoid of the same score."""
    z = POINTS @ w[:2] + w[2]
    return float((np.logaddexp(0, z) - z * CLASSES).mean())


def slope(f: Callable[[np.ndarray], float], w: np.ndarray, h: float = 1e-5) -> np.ndarray:
    """The gradient by central differences."""
    steps = h * np.eye(len(w))
    return np.array([(f(w + step) - f(w - step)) / (2 * h) for step in steps])


def learn(f: Callable[[np.ndarray], float], sign: int, steps: int = 100) -> list[float]:
    """Follow the gradient of f (sign -1: downhill), and watch the accuracy."""
    w, seen = np.array([-0.5, 0.3, 0.2]), []
    for _ in range(steps):
        seen.append(accuracy(w))
        w = w + sign * 0.1 * slope(f, w)
    return seen


def flat_share(f: Callable[[np.ndarray], float], places: int = 500) -> float:
    """At how many random weights the gradient of f is exactly zero."""
    weights = np.random.default_rng(1).normal(0, 1, (places, 3))
    return float(np.mean([not slope(f, w).any() for w in weights]))


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv)
    target = np.array([0.0, 0.0, 1.0, 0.0])
    good, bad = np.array([0.1, 0.05, 0.8, 0.05]), np.array([0.7, 0.1, 0.1, 0.1])
    rows = []
    for name, y in (("right", good), ("wrong", bad)):
        mean = F.mse_loss(narae.from_numpy(y), narae.from_numpy(target)).item()
        rows.append([name, str(y), sum_squared_error(y, target), mean, cross_entropy(y, target)])
    common.say(
        "A loss function (손실 함수) is small for good answers. The right class is the third:"
    )
    head = ["answer", "probabilities", "½·Σ(y-t)²", "F.mse_loss", "cross-entropy"]
    common.table(head, rows)
    common.say(
        """F.mse_loss is the mean of the squares instead of half their sum: here, with four numbers,
        half of it. Cross-entropy looks only at the probability given to the right class."""
    )
    scores = np.random.default_rng(0).normal(0, 3, (5, 4))
    labels = np.array([0, 3, 1, 1, 2])
    by_delta = cross_entropy(softmax(scores), np.eye(4)[labels])
    exact = F.cross_entropy(narae.from_numpy(scores), narae.from_numpy(labels)).item()
    common.say(
        f"""The delta of 1e-7 hardly matters: {by_delta:.7f} with it, and {exact:.7f} from the
        log-softmax of the scores, which needs none."""
    )
    common.say(
        f"""Why not climb the accuracy (정확도)? At 500 random weights its gradient was exactly
        zero in {flat_share(accuracy):.1%} of the cases, because moving a line a little moves no
        point to its other side; the gradient of the loss was zero in {flat_share(loss):.0%}.
        Learning by accuracy goes from {learn(accuracy, +1)[0]:.1%} to
        {learn(accuracy, +1)[-1]:.1%}, learning by the loss to {learn(loss, -1)[-1]:.1%}."""
    )
    figure, axes = common.new_figure(1, 3, width=11, height=3.4)
    chance = np.linspace(0.005, 1, 300)
    axes[0].plot(chance, -np.log(chance), label="cross-entropy")
    axes[0].plot(chance, (1 - chance) ** 2, label="squared error")
    axes[0].set(title="Cost of an answer", xlabel="probability of the right class", ylabel="loss")
    axes[0].legend()
    offsets = np.linspace(-2.5, 2.5, 1001)
    curves = {f: [f(np.array([0.6, 0.5, c])) for c in offsets] for f in (accuracy, loss)}
    axes[1].plot(offsets, curves[accuracy], label="accuracy", color=common.ORANGE, lw=1.2)
    axes[1].plot(offsets, curves[loss], label="loss", color=common.BLUE)
    axes[1].set(title="The line moves sideways", xlabel="bias", ylim=(0, None))
    axes[1].legend()
    axes[2].plot(learn(accuracy, +1), label="climb the accuracy", color=common.ORANGE)
    axes[2].plot(learn(loss, -1), label="descend the loss", color=common.BLUE)
    axes[2].set(title="Learning", xlabel="step", ylabel="accuracy", ylim=(0, 1.02))
    axes[2].legend(loc="center right")
    common.save(
        figure,
        chosen.out,
        "losses",
        """Left: cross-entropy punishes sure mistakes without bound. Middle: accuracy is a staircase
        with flat steps, the loss a smooth curve. Right: whoever follows the gradient of the
        accuracy stays where they are.""",
    )


if __name__ == "__main__":
    main()
