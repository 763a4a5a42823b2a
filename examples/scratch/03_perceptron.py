"""The perceptron: one neuron, one straight line, and the problem it cannot solve.

Rosenblatt (1957) let a neuron answer 1 if w·x + b > 0 and else 0, and found a rule by which it
learns: after each wrong answer, move the weights towards (or away from) the input.

Run `python examples/scratch/03_perceptron.py`.
"""

from __future__ import annotations

import common
import numpy as np

INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
GATES = {
    "AND": np.array([0, 0, 0, 1]),
    "OR": np.array([0, 1, 1, 1]),
    "NAND": np.array([1, 1, 1, 0]),
    "XOR": np.array([0, 1, 1, 0]),
}


def answer(x: np.ndarray, w: np.ndarray, b: float) -> np.ndarray:
    """1 where w·x + b > 0, else 0.  # (items, 2) -> (items,)"""
    return (x @ w + b > 0).astype(int)


def learn(targets: np.ndarray, epochs: int = 1000) -> tuple[np.ndarray, float, list[int]]:
    """Rosenblatt's rule: w ← w + (t − y)·x, b ← b + (t − y).

    Args:
        targets: the right answer for each row of `INPUTS`.
        epochs: give up after so many rounds.

    Returns:
        Weights, bias, and the number of right answers after each round; it stops at four.
    """
    w, b, right = np.zeros(2), 0.0, []
    for _ in range(epochs):
        for x, target in zip(INPUTS, targets, strict=True):
            error = target - answer(x, w, b)
            w, b = w + error * x, b + error
        right.append(int((answer(INPUTS, w, b) == targets).sum()))
        if right[-1] == len(targets):
            break
    return w, b, right


def draw_gate(axes: object, name: str, w: np.ndarray, b: float, right: int) -> None:
    """The four inputs, and the half plane in which the neuron answers 1."""
    side = np.linspace(-0.5, 1.5, 201)
    plane = np.stack(np.meshgrid(side, side), axis=-1)  # (rows, columns, 2)
    axes.contourf(side, side, answer(plane, w, b), levels=[-1, 0.5, 2], colors=["white", "#dbeafe"])
    for x, target in zip(INPUTS, GATES[name], strict=True):
        wrong = answer(x, w, b) != target
        axes.plot(*x, "o" if target else "s", ms=10, color=common.BLUE if target else common.INK)
        if wrong:
            axes.plot(*x, "x", ms=20, mew=2.5, color=common.RED)
    axes.set(xticks=[0, 1], yticks=[0, 1], aspect="equal", title=f"{name}: {right} of 4 right")


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv)
    common.say(
        """A perceptron (퍼셉트론) has two weights and a bias (편향). It starts with zeros and sees
        the four lines of a truth table, again and again:"""
    )
    figure, axes = common.new_figure(1, 4, width=10, height=3.3)
    rows = []
    for name, place in zip(GATES, axes, strict=True):
        w, b, right = learn(GATES[name])
        rounds = f"{len(right)} rounds" if right[-1] == 4 else "never"
        rows.append([name, rounds, max(right), f"{w[0]:+.0f}·x1 {w[1]:+.0f}·x2 {b:+.0f} > 0"])
        draw_gate(place, name, w, b, right[-1])
    common.table(["gate", "learned after", "most right", "the last rule"], rows)
    common.say(
        """AND, OR and NAND are learned in a few rounds; the perceptron convergence theorem
        promises that for everything a straight line can separate. XOR is not of that kind: no line
        has (0, 1) and (1, 0) on one side and (0, 0) and (1, 1) on the other. A thousand rounds do
        not help. This limit (퍼셉트론의 한계) needs another layer, in the next program."""
    )
    common.save(
        figure,
        chosen.out,
        "perceptron",
        """Circles should give 1, squares 0. Blue is where the neuron answers 1, always one side of
        a straight line. A red cross marks a wrong answer: XOR keeps at least one.""",
    )


if __name__ == "__main__":
    main()
