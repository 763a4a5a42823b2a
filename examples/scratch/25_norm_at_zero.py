"""An error that appeared for no visible reason: the norm has no gradient at zero.

Take the length ‖y - t‖ of the error as loss, instead of its square, and train until the fit is
perfect. Suddenly all weights are NaN.

Run `python examples/scratch/25_norm_at_zero.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import common
import numpy as np

import narae
from narae import errors

X = np.array([[1.0], [2.0], [4.0]])
TARGET = np.array([3.0, 6.0, 12.0])  # exactly 3·x


def norm_gradient(error: np.ndarray) -> np.ndarray:
    """∂‖e‖/∂e = e / ‖e‖: always of length one, and 0/0 where e is zero."""
    with np.errstate(invalid="ignore"):
        return error / np.sqrt((error**2).sum())


def square_gradient(error: np.ndarray) -> np.ndarray:
    """∂½‖e‖²/∂e = e: small errors have small gradients."""
    return error


def fit(
    gradient: Callable[[np.ndarray], np.ndarray], w: float, lr: float, steps: int
) -> np.ndarray:
    """Fit TARGET = w·X by gradient descent; returns w before and after each step."""
    seen = [w]
    for _ in range(steps):
        error = X[:, 0] * w - TARGET
        w = w - lr * float(X[:, 0] @ gradient(error))
        seen.append(w)
    return np.array(seen)


def root_of_squares(x: narae.Tensor) -> narae.Tensor:
    """The norm as one writes it: the square root of the sum of squares."""
    return (x * x).sum().sqrt()


def gradient_at_zero(f: Callable[[narae.Tensor], narae.Tensor]) -> list[float]:
    """What backward gives at x = 0."""
    x = narae.zeros(3, requires_grad=True)
    f(x).backward()
    return x.grad.tolist()


def message_at_zero() -> str:
    """What Narae says when it is asked to watch for NaN."""
    x = narae.zeros(3, requires_grad=True)
    try:
        with narae.autograd.detect_anomaly():
            root_of_squares(x).backward()
    except errors.GraphError as error:
        return str(error)
    raise AssertionError("no NaN was found")


def draw() -> object:
    """Losses, gradients, and three trainings."""
    figure, axes = common.new_figure(1, 3, width=11, height=3.3)
    e = np.linspace(-2, 2, 401)
    axes[0].plot(e, np.abs(e), label="‖e‖")
    axes[0].plot(e, e**2 / 2, label="½‖e‖²")
    axes[0].set(title="Loss", xlabel="error e")
    axes[1].plot(e[e < 0], np.sign(e[e < 0]), label="‖e‖", color=common.BLUE)
    axes[1].plot(e[e > 0], np.sign(e[e > 0]), color=common.BLUE)
    axes[1].plot([0, 0], [-1, 1], "o", mfc="white", color=common.BLUE)
    axes[1].plot(e, e, label="½‖e‖²", color=common.ORANGE)
    axes[1].set(title="Gradient", xlabel="error e")
    axes[2].plot(fit(norm_gradient, 1.0, 0.05, 30), label="‖e‖")
    axes[2].plot(fit(square_gradient, 1.0, 0.01, 30), label="½‖e‖²")
    axes[2].axhline(3, color=common.GREY, lw=1, ls="--")
    axes[2].set(title="Training", xlabel="step", ylabel="w")
    for place in axes:
        place.legend()
    return figure


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv)
    length = np.sqrt((X**2).sum())
    perfect = fit(norm_gradient, 2.0, 1 / length, 3)
    common.say(
        f"""The gradient of the length of the error has length one, however small the error is. With
        the learning rate 1/{length:.4f} gradient descent walks from w = {perfect[0]} to the perfect
        w = {perfect[1]:.4f}, where the error is exactly zero and the gradient 0/0; then w is
        {perfect[2]}, and stays so."""
    )
    rows = [
        ["x.norm()", str(gradient_at_zero(lambda x: x.norm()))],
        ["(x * x).sum().sqrt()", str(gradient_at_zero(root_of_squares))],
        ["(x * x).sum() / 2", str(gradient_at_zero(lambda x: (x * x).sum() / 2))],
    ]
    common.say("In Narae, at x = (0, 0, 0), as in PyTorch:")
    common.table(["loss", "gradient"], rows)
    common.say(
        """norm() chooses 0, one of the slopes that fit the corner (a subgradient). Written out, the
        chain rule multiplies 2x = 0 by the slope of the root at 0, which is infinite. Inside
        narae.autograd.detect_anomaly() that is an error which names the place:"""
    )
    common.say(message_at_zero())
    last = fit(norm_gradient, 1.0, 0.05, 30)[-4:]
    common.say(
        f"""Even without NaN the norm does not settle: with lr = 0.05 its last weights are
        {np.array2string(last, precision=3)}. The cure: train on the square."""
    )
    common.save(
        draw(),
        chosen.out,
        "norm-at-zero",
        """Left: the length of an error has a corner at 0, its square has none. Middle: so the slope
        jumps from -1 to 1 and has no value at 0. Right: steps of one size run to and fro around the
        goal; with the square they become smaller by themselves.""",
    )


if __name__ == "__main__":
    main()
