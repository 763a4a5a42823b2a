"""Gradient descent, and the one number that is hard to choose: the learning rate.

Run `python examples/scratch/09_gradient_descent.py`.
"""

from __future__ import annotations

import common
import numpy as np
from layers import Network, Relu, batches, he

CURVATURE = np.array([1.0, 8.0])  # f(w) = ½·Σ curvature·w²
RATES = {"crawl": 0.003, "converge": 0.2, "diverge": 0.26}


def f(w: np.ndarray) -> float:
    """A valley, eight times steeper across than along."""
    return float(0.5 * (CURVATURE * w**2).sum())


def descend(lr: float, steps: int = 60) -> list[float]:
    """Go against the gradient: w ← w - lr·∇f(w); returns f before and after every step."""
    w, seen = np.array([1.0, 1.0]), []
    for _ in range(steps):
        seen.append(f(w))
        w = w - lr * CURVATURE * w
    return [*seen, f(w)]


# --------------------------------------------------------- a network that reads small digits
def network(rng: np.random.Generator, pixels: int) -> Network:
    """Two hidden layers of 64."""
    return Network([he(rng, pixels, 64), Relu(), he(rng, 64, 64), Relu(), he(rng, 64, 10)])


def descend_network(model: Network, lr: float) -> None:
    """One step for every parameter."""
    for p, g in zip(model.params(), model.grads(), strict=True):
        p -= lr * g


def train(lr: float, x: np.ndarray, labels: np.ndarray, epochs: int = 5) -> list[float]:
    """Mini-batches of 64; returns the loss of each step."""
    rng = np.random.default_rng(0)
    model, losses = network(rng, x.shape[1]), []
    for _ in range(epochs):
        for places in batches(rng, len(x), 64):
            losses.append(model.loss(x[places], labels[places]))
            model.backward()
            descend_network(model, lr)
    return losses


def find_learning_rate(
    x: np.ndarray, labels: np.ndarray, low: float = 1e-4, high: float = 10.0, steps: int = 120
) -> tuple[np.ndarray, np.ndarray, float]:
    """The learning rate finder of Smith (2015): raise the rate with every batch, watch the loss.

    Returns:
        The rates tried, the smoothed loss at each, and a suggestion: a third of the rate at which
        the loss was lowest.
    """
    rng = np.random.default_rng(0)
    model, rates, losses, smooth = network(rng, x.shape[1]), [], [], 0.0
    for number, lr in enumerate(np.geomspace(low, high, steps)):
        places = rng.integers(0, len(x), 64)
        value = model.loss(x[places], labels[places])
        smooth = 0.9 * smooth + 0.1 * value
        rates.append(lr)
        losses.append(smooth / (1 - 0.9 ** (number + 1)))
        if not np.isfinite(value) or losses[-1] > 2 * losses[0]:
            break
        model.backward()
        descend_network(model, lr)
    return np.array(rates), np.array(losses), rates[int(np.nanargmin(losses))] / 3


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv, **common.MNIST)
    limit = 2 / CURVATURE.max()
    common.say(
        f"""Gradient descent (경사 하강법) goes downhill: w ← w - lr·∇f(w). On f(w) = ½·(w1² +
        8·w2²) one step multiplies w2 by 1 - 8·lr, so it converges if lr < 2/8 = {limit}, and not
        above:"""
    )
    rows = [[name, lr, f"{descend(lr)[-1]:.3g}"] for name, lr in RATES.items()]
    common.table(["what happens", "lr", "f after 60 steps, from 4.5"], rows)
    images, labels, *_ = common.load_images(chosen, 2000, 500)
    x = images.reshape(len(images), -1)
    with np.errstate(all="ignore"):
        rates, losses, suggestion = find_learning_rate(x, labels)
        trio = {lr: train(lr, x, labels) for lr in (suggestion / 300, suggestion, 30 * suggestion)}
    common.say(
        f"""For a network nobody knows the curvature. A learning rate (학습률) finder tries: it
        raises the rate with every mini-batch until the loss explodes. Here the loss was lowest near
        {3 * suggestion:.2g}, so {suggestion:.2g} is a good choice:"""
    )
    ends = [[f"{lr:.2g}", f"{np.mean(values[-20:]):.3g}"] for lr, values in trio.items()]
    common.table(["lr", "mean loss of the last 20 steps"], ends)
    figure, axes = common.new_figure(1, 3, width=11, height=3.5)
    colours = (common.GREY, common.BLUE, common.RED)
    for (name, lr), colour in zip(RATES.items(), colours, strict=True):
        axes[0].semilogy(descend(lr), color=colour, label=f"lr = {lr}: {name}")
    axes[0].set(title="A valley", xlabel="step", ylabel="f(w)", ylim=(1e-7, 1e4))
    axes[1].semilogx(rates, losses)
    axes[1].axvline(suggestion, color=common.ORANGE, ls="--", label=f"suggested: {suggestion:.2g}")
    axes[1].set(title="Learning rate finder", xlabel="lr", ylabel="loss (smoothed)")
    axes[1].set_ylim(0, 2 * losses[0])
    for (lr, values), colour in zip(trio.items(), colours, strict=True):
        axes[2].plot(values, color=colour, label=f"lr = {lr:.2g}", lw=1.3)
    axes[2].set(title="A network on digits", xlabel="step", ylabel="loss", ylim=(0, 6))
    for place in axes:
        place.legend()
    common.save(
        figure,
        chosen.out,
        "learning-rate",
        """Left: the same valley with three learning rates; above 0.25 every step goes further out.
        Middle: the loss while the rate is raised from batch to batch. Right: a network with the
        suggested rate, with one 300 times smaller, and with one 30 times larger.""",
    )


if __name__ == "__main__":
    main()
