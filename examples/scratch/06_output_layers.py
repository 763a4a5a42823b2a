"""The last layer says what kind of answer it is: a number, a class, or yes and no.

Run `python examples/scratch/06_output_layers.py`.
"""

from __future__ import annotations

import common
import numpy as np

import narae
import narae.nn.functional as F


def identity(x: np.ndarray) -> np.ndarray:
    """The scores as they are: the output of regression."""
    return x


def softmax(x: np.ndarray) -> np.ndarray:
    """exp(x) / sum of exp(x) over the last dimension.

    Taking the largest score away from all changes nothing in the quotient, and no e^x is then
    larger than 1.

    >>> softmax(np.array([1010.0, 1000.0, 990.0])).round(6)
    array([9.99955e-01, 4.50000e-05, 0.00000e+00])
    """
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def binary_cross_entropy(logit: np.ndarray, target: np.ndarray) -> np.ndarray:
    """-t·ln p - (1 - t)·ln(1 - p) with p = sigmoid(logit), without computing p.

    It is max(z, 0) - z·t + ln(1 + e^-|z|): nothing overflows, and no logarithm of 0 appears.
    """
    return np.maximum(logit, 0) - logit * target + np.log1p(np.exp(-np.abs(logit)))


def naive_softmax(x: np.ndarray) -> np.ndarray:
    """The formula as it stands."""
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


def naive_binary_cross_entropy(logit: np.ndarray, target: np.ndarray) -> np.ndarray:
    """First the probability, then its logarithm."""
    chance = 1 / (1 + np.exp(-logit))
    return -target * np.log(chance) - (1 - target) * np.log(1 - chance)


def draw_softmax(axes: object) -> None:
    """The same scores, spread out more and more."""
    scores, classes = np.array([1.0, 2.0, 3.0, 2.5]), np.arange(4)
    for place, factor in enumerate((0.5, 1.0, 3.0)):
        bars = softmax(factor * scores)
        axes.bar(classes + 0.27 * (place - 1), bars, width=0.25, label=f"{factor:g} × scores")
    axes.set_xticks(classes, [f"score {score:g}" for score in scores])
    axes.set(title="Softmax: scores become shares of one", ylabel="probability", ylim=(0, 1))
    axes.grid(axis="x", visible=False)
    axes.legend()


def draw_losses(axes: object) -> None:
    """Where the formula as it stands breaks."""
    logits = np.linspace(-5, 60, 400).astype(np.float32)
    axes.plot(logits, binary_cross_entropy(logits, 0), label="from the logit", lw=5, alpha=0.35)
    with np.errstate(all="ignore"):
        naive = naive_binary_cross_entropy(logits, np.float32(0))
    axes.plot(logits, naive, color=common.ORANGE, label="from the probability")
    last = np.flatnonzero(np.isfinite(naive))[-1]
    axes.plot(logits[last], naive[last], "o", color=common.ORANGE)
    axes.annotate("from here on inf", (logits[last], naive[last]), (logits[last] + 3, 8))
    axes.set(title="Loss of a wrong and sure answer", xlabel="logit (target 0)", ylabel="loss")
    axes.legend()


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv)
    common.say(
        f"""Regression: the identity function (항등 함수). A price is a price:
        {identity(np.array([152.3]))[0]} stays {identity(np.array([152.3]))[0]}."""
    )
    scores = np.array([1010.0, 1000.0, 990.0])
    with np.errstate(all="ignore"):
        naive = naive_softmax(scores)
    shares = softmax(scores)
    common.say(
        f"""Several classes: softmax. For the scores 1010, 1000, 990 the formula as it stands gives
        {naive}, because e^1010 overflows (오버플로). With the largest score taken away from all, it
        gives {np.array2string(shares, precision=4)}, which sums to {shares.sum():.6f}."""
    )
    logits, targets = np.array([-800.0, -3.0, 0.5, 800.0]), np.array([0.0, 1.0, 1.0, 0.0])
    with np.errstate(all="ignore"):
        naive = naive_binary_cross_entropy(logits, targets)
    ours = binary_cross_entropy(logits, targets)
    theirs = F.binary_cross_entropy_with_logits(
        narae.from_numpy(logits), narae.from_numpy(targets), reduction="none"
    )
    common.say(
        """Yes or no: the sigmoid, one number for the chance of yes. Its loss is computed from the
        score before the sigmoid, the logit, so that a sure and wrong answer costs much, but not
        infinitely much:"""
    )
    columns = zip(logits, targets, naive, ours, theirs.tolist(), strict=True)
    head = ["logit", "target", "from the probability", "from the logit", "Narae"]
    common.table(head, [list(map(float, row)) for row in columns])
    figure, axes = common.new_figure(1, 2, width=10, height=3.5)
    draw_softmax(axes[0])
    draw_losses(axes[1])
    common.save(
        figure,
        chosen.out,
        "output-layers",
        """Left: softmax keeps the order of the scores and sums to one; multiplying the scores makes
        it surer. Right: in float32 the probability of a logit above 16 rounds to 1, and the
        logarithm of 1 - p is lost; computed from the logit the loss goes on as it should.""",
    )


if __name__ == "__main__":
    main()
