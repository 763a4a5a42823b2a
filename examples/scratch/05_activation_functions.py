"""Activation functions: the step, the sigmoid and ReLU.

Run `python examples/scratch/05_activation_functions.py`.
"""

from __future__ import annotations

import common
import numpy as np


def step(x: np.ndarray) -> np.ndarray:
    """1 where x > 0, else 0.

    >>> step(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 1.])
    """
    return (np.asarray(x) > 0).astype(float)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x), written so that e is never raised to a large number.

    For negative x the same fraction is e^x / (1 + e^x).

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    x = np.asarray(x, dtype=float)
    small = np.exp(-np.abs(x))  # between 0 and 1
    return np.where(x >= 0, 1, small) / (1 + small)


def relu(x: np.ndarray) -> np.ndarray:
    """max(0, x): the rectified linear unit.

    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return np.maximum(0, x)


X = np.arange(-5, 5, 0.01)


def draw_step(axes: object) -> None:
    """The step function alone."""
    axes.plot(X, step(X))
    axes.set(title="Step function", xlabel="x", xlim=(-5, 5), ylim=(-0.1, 1.1))


def draw_sigmoid(axes: object) -> None:
    """The sigmoid, and the step dashed behind it."""
    axes.plot(X, sigmoid(X), label="sigmoid")
    axes.plot(X, step(X), "--", color=common.INK, lw=1.2, label="step")
    axes.set(title="Sigmoid", xlabel="x", xlim=(-5, 5), ylim=(-0.1, 1.1))
    axes.legend(loc="upper left")


def draw_relu(axes: object) -> None:
    """ReLU alone."""
    axes.plot(X, relu(X))
    axes.set(title="ReLU", xlabel="x", xlim=(-5, 5), ylim=(-1, 5.5))


def naive_sigmoid(x: np.ndarray) -> np.ndarray:
    """The formula as it stands in books: right, until e^-x overflows."""
    return 1 / (1 + np.exp(-x))


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv)
    common.say(
        """An activation function (활성화 함수) decides what a neuron passes on. The perceptron used
        the step function (계단 함수); networks that learn by gradients need a smooth one, because
        the step is flat nearly everywhere. The sigmoid (시그모이드) is a smooth step; ReLU passes
        positive numbers through."""
    )
    points = np.array([-1000.0, -2.0, -0.5, 0.0, 0.5, 2.0, 1000.0])
    columns = zip(points, step(points), sigmoid(points), relu(points), strict=True)
    common.table(["x", "step", "sigmoid", "ReLU"], [list(map(float, row)) for row in columns])
    with np.errstate(over="raise"):
        try:
            naive_sigmoid(points)
        except FloatingPointError as error:
            common.say(
                f"""The formula 1 / (1 + e^-x) as it stands meets e^1000 here: "{error}". The
                program's sigmoid raises e to -|x| only, which cannot overflow (오버플로)."""
            )
    slope = (sigmoid(np.array([1e-4])) - sigmoid(np.array([-1e-4]))) / 2e-4
    common.say(
        f"""The sigmoid is steepest at 0, with slope {slope.item():.4f}. Through ten layers of
        sigmoids a gradient is multiplied by at most 0.25^10 = {0.25**10:.1e}; ReLU multiplies by 1
        or by 0."""
    )
    figure, axes = common.new_figure(1, 3, width=10, height=3.2)
    for draw, place in zip((draw_step, draw_sigmoid, draw_relu), axes, strict=True):
        draw(place)
    common.save(
        figure,
        chosen.out,
        "activations",
        """Three activation functions. The sigmoid says in between what the step (dashed) says with
        a jump; both stay between 0 and 1, ReLU does not.""",
    )


if __name__ == "__main__":
    main()
