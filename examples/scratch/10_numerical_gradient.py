"""Numerical differentiation: a slow way to a gradient, and the judge of the fast one.

Run `python examples/scratch/10_numerical_gradient.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import common
import numpy as np
from layers import Network, Sigmoid, he

import narae

WIDTHS = (2, 4, 8, 16, 32, 64)


def numerical_gradient(f: Callable[[], float], x: np.ndarray, h: float = 1e-5) -> np.ndarray:
    """∂f/∂x[i] ≈ (f(x + h) - f(x - h)) / 2h, one number of x after the other.

    Args:
        f: takes nothing, and reads x.
        x: the array that is moved a little, and moved back.
        h: how far; the error of this formula is of order h².
    """
    grad = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        before = x[place]
        x[place] = before + h
        above = f()
        x[place] = before - h
        below = f()
        x[place] = before
        grad[place] = (above - below) / (2 * h)
    return grad


def example(width: int) -> tuple[Network, np.ndarray, np.ndarray]:
    """A network with one hidden layer, and a batch for it."""
    rng = np.random.default_rng(0)
    model = Network([he(rng, 20, width), Sigmoid(), he(rng, width, 5)])
    return model, rng.normal(0, 1, (16, 20)), rng.integers(0, 5, 16)


def by_backprop(model: Network, x: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """All gradients from one forward and one backward pass."""
    model.loss(x, labels)
    model.backward()
    return model.grads()


def by_differences(model: Network, x: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """All gradients from two forward passes for each parameter."""
    return [numerical_gradient(lambda: model.loss(x, labels), p) for p in model.params()]


def seconds(method: Callable[..., list], *example: object) -> float:
    """How long one way to the gradients takes."""
    start = time.perf_counter()
    method(*example)
    return time.perf_counter() - start


def measure() -> list[list[float]]:
    """For each width: parameters, seconds by differences, seconds by backprop."""
    rows = []
    for width in WIDTHS:
        model, x, labels = example(width)
        slow = seconds(by_differences, model, x, labels)
        fast = min(seconds(by_backprop, model, x, labels) for _ in range(5))
        rows.append([sum(p.size for p in model.params()), slow, fast])
    return rows


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv)
    x = np.array([3.0])
    rows = []
    for h in (1e-1, 1e-3, 1e-5, 1e-7, 1e-12):
        value = numerical_gradient(lambda: float(x[0] ** 3), x, h).item()
        rows.append([f"{h:.0e}", f"{value:.9f}", f"{abs(value - 27):.1e}"])
    common.say(
        """Numerical differentiation (수치 미분) asks: how much does f change when x moves a little?
        For f(x) = x³ at 3, where the answer is 27:"""
    )
    common.table(["h", "(f(x+h) - f(x-h)) / 2h", "error"], rows)
    common.say(
        """Too large an h sees the curve bend, too small an h sees only rounding. It needs no
        knowledge of f, and so it can check a backward pass that a person wrote:"""
    )
    model, batch, labels = example(8)
    pairs = zip(
        by_differences(model, batch, labels), by_backprop(model, batch, labels), strict=True
    )
    names = ("w of layer 1", "b of layer 1", "w of layer 2", "b of layer 2")
    rows = [
        [name, str(fast.shape), f"{np.abs(slow - fast).max():.1e}"]
        for name, (slow, fast) in zip(names, pairs, strict=True)
    ]
    common.table(["gradient of", "shape", "largest difference"], rows)
    w = narae.randn(3, dtype=narae.float64, requires_grad=True)
    right = narae.autograd.gradcheck(lambda w: (w * w).exp().sum(), (w,))
    common.say(f"Narae brings the same check: narae.autograd.gradcheck(...) is {right}.")
    rows = measure()
    common.say(
        "But it takes two forward passes for each parameter, and backpropagation (역전파) two:"
    )
    table = [[size, 1e3 * slow, 1e3 * fast, round(slow / fast)] for size, slow, fast in rows]
    common.table(["parameters", "ms, differences", "ms, backprop", "times slower"], table)
    figure, axes = common.new_figure(width=7.5, height=3.5)
    sizes, slow, fast = zip(*rows, strict=True)
    axes.loglog(sizes, slow, marker="o", label="numerical differentiation", color=common.ORANGE)
    axes.loglog(sizes, fast, marker="o", label="backpropagation", color=common.BLUE)
    axes.set(xlabel="parameters", ylabel="seconds for one gradient", title="Two ways to a gradient")
    axes.legend()
    common.save(
        figure,
        chosen.out,
        "numerical-gradient",
        """Time for one gradient of a small network, by its number of parameters. Differences take
        two forward passes for each of them; backpropagation hardly notices at these sizes.""",
    )


if __name__ == "__main__":
    main()
