"""No optimizer is the best for every problem.

The same valley twice, once turned, and four optimizers, each with its best learning rate.

Run `python examples/scratch/15_no_best_optimizer.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import common
import numpy as np
from optimizers import SGD, AdaGrad, Adam, Momentum

RATES = np.geomspace(1e-3, 10, 21)
KINDS = {"SGD": SGD, "Momentum": Momentum, "AdaGrad": AdaGrad, "Adam": Adam}
CURVATURES = np.geomspace(0.01, 10, 20)  # of twenty directions, from flat to steep
Problem = tuple[np.ndarray, Callable[[np.ndarray], float], Callable[[np.ndarray], np.ndarray]]


def valley(turn: np.ndarray) -> Problem:
    """½·xᵀAx and a place to start from, the same for every Q in the valley's own directions.

    Args:
        turn: Q, an orthogonal matrix whose columns are the directions of the valley.

    Returns:
        The start, the function and its gradient A·x, with A = Q·diag(curvatures)·Qᵀ.
    """
    start = np.random.default_rng(1).normal(0, 1, 20)
    a = turn @ np.diag(CURVATURES) @ turn.T  # (20, 20)
    return turn @ start, lambda x: float(x @ a @ x / 2), lambda x: a @ x


def straight_valley() -> Problem:
    """Each coordinate has a curvature of its own."""
    return valley(np.eye(20))


def slanted_valley() -> Problem:
    """The same valley turned, so that no single coordinate is steep or flat."""
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(0, 1, (20, 20)))
    return valley(turn)


PROBLEMS = {"straight valley": straight_valley, "slanted valley": slanted_valley}


def run(problem: Problem, optimizer: SGD | Momentum | AdaGrad | Adam, steps: int) -> list[float]:
    """The loss before and after each step."""
    start, loss, gradient = problem
    x = start.copy()
    losses = [loss(x)]
    for _ in range(steps):
        optimizer.step([x], [gradient(x)])
        losses.append(loss(x))
    return losses


def best_runs(problem: Problem, steps: int = 100) -> dict[str, tuple[float, list[float]]]:
    """For each optimizer, the learning rate with the lowest last loss, and its losses."""
    found = {}
    for name, kind in KINDS.items():
        with np.errstate(all="ignore"):
            runs = {lr: run(problem, kind(lr), steps) for lr in RATES}
        finite = {lr: losses for lr, losses in runs.items() if np.isfinite(losses[-1])}
        best = min(finite, key=lambda lr: finite[lr][-1])
        found[name] = (float(best), finite[best])
    return found


def ranking(runs: dict[str, tuple[float, list[float]]]) -> list[str]:
    """Names, the lowest last loss first."""
    return sorted(runs, key=lambda name: runs[name][1][-1])


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv)
    common.say(
        f"""There is no method that is best for all problems (모든 문제에서 뛰어난 학습법은 없다).
        Four optimizers, each with the best of {len(RATES)} learning rates, take 100 steps in a
        valley of twenty dimensions, the steepest a thousand times steeper than the flattest; then
        in the same valley, turned:"""
    )
    figure, axes = common.new_figure(1, 2, width=10, height=3.7)
    for (title, make), place in zip(PROBLEMS.items(), axes, strict=True):
        runs = best_runs(make())
        order = ranking(runs)
        rows = [[name, runs[name][0], runs[name][1][-1]] for name in order]
        print(f"   {title}: {', '.join(order)}\n")
        common.table(["optimizer", "best lr", "loss after 100 steps"], rows)
        for name in KINDS:
            place.semilogy(runs[name][1], label=f"{order.index(name) + 1}. {name}")
        place.set(title=title.capitalize(), xlabel="step", ylabel="loss", ylim=(1e-8, 100))
        place.legend()
    common.say(
        """Turning the valley changes nothing for SGD and Momentum, which know no coordinates.
        AdaGrad divides each coordinate by its own gradients: that makes the straight valley round,
        and helps little in the slanted one."""
    )
    common.save(
        figure,
        chosen.out,
        "no-best-optimizer",
        """Four optimizers, each with its best learning rate, and their places after 100 steps. The
        two valleys differ in nothing but their direction, and yet the ranking does.""",
    )


if __name__ == "__main__":
    main()
