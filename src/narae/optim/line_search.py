"""How far to go along a line: a search for a point that satisfies the strong Wolfe conditions."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from narae.tensors import Tensor

_DECREASE, _CURVATURE = 1e-4, 0.9


@dataclass(frozen=True)
class Point:
    """A place on the line.

    Attributes:
        t: the distance from its start, in units of the direction.
        loss: the loss there.
        grad: its gradient there, (elements,).
        slope: the derivative of the loss along the line.
    """

    t: float
    loss: float
    grad: Tensor
    slope: float


def strong_wolfe(
    evaluate: Callable[[float], Point], start: Point, t: float, narrow: float, trials: int
) -> tuple[Point, int]:
    """A point where the loss fell enough and the slope became flat enough.

    loss(t) ≤ loss(0) + c₁·t·slope(0)  and  |slope(t)| ≤ c₂·|slope(0)|,  c₁ = 1e-4, c₂ = 0.9

    Nocedal & Wright 2006, "Numerical Optimization", algorithms 3.5 (bracket) and 3.6 (zoom), with
    the safeguards of minFunc (M. Schmidt), in the order of PyTorch's steps.

    Args:
        evaluate: the point at a distance.
        start: the point at distance 0.
        t: the first distance to try.
        narrow: the width of a bracket that is not narrowed further.
        trials: how many more points to look at after the first.

    Returns:
        The point, and how many were evaluated.

    >>> import narae
    >>> def parabola(t):
    ...     return Point(t, (t - 2) ** 2, narae.tensor([2 * (t - 2)]), 2 * (t - 2))
    >>> found, evaluated = strong_wolfe(parabola, parabola(0.0), 9.0, 1e-9, 25)
    >>> found.t, evaluated
    (2.0, 2)
    """
    bracket, used = _bracket(evaluate, start, t, trials)
    if len(bracket) == 2:
        used = _zoom(evaluate, start, bracket, narrow, trials + 1, used)
    return bracket[_lower(bracket)], used


def _bracket(
    evaluate: Callable[[float], Point], start: Point, t: float, trials: int
) -> tuple[list[Point], int]:
    """The point wanted, alone, or two points between which one lies."""
    before, point = start, evaluate(t)
    for trial in range(trials):
        rose = trial > 1 and point.loss >= before.loss
        if rose or not _decreased(point, start):
            return [before, point], trial + 1
        if _is_flat(point, start):
            return [point], trial + 1
        if point.slope >= 0:
            return [before, point], trial + 1
        bounds = point.t + 0.01 * (point.t - before.t), point.t * 10
        t = cubic_minimum(before, point, bounds)
        before, point = point, evaluate(t)
    return [start, point], trials + 1


def _zoom(
    evaluate: Callable[[float], Point],
    start: Point,
    bracket: list[Point],
    narrow: float,
    limit: int,
    used: int,
) -> int:
    """Narrow the bracket, in place, until its lower end is the point wanted."""
    low, near_end = _lower(bracket), False
    while used < limit and abs(bracket[1].t - bracket[0].t) >= narrow:
        ends = bracket[0].t, bracket[1].t
        t = cubic_minimum(bracket[0], bracket[1], (min(ends), max(ends)))
        t, near_end = _away_from_ends(t, min(ends), max(ends), near_end)
        point = evaluate(t)
        used += 1
        if not _decreased(point, start) or point.loss >= bracket[low].loss:
            bracket[1 - low] = point
            low = _lower(bracket)
            continue
        found = _is_flat(point, start)
        if not found and point.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
            bracket[1 - low] = bracket[low]
        bracket[low] = point
        if found:
            break
    return used


def _decreased(point: Point, start: Point) -> bool:
    return not point.loss > start.loss + _DECREASE * point.t * start.slope


def _is_flat(point: Point, start: Point) -> bool:
    return abs(point.slope) <= -_CURVATURE * start.slope


def _lower(bracket: list[Point]) -> int:
    return 0 if bracket[0].loss <= bracket[-1].loss else 1


def _away_from_ends(t: float, low: float, high: float, again: bool) -> tuple[float, bool]:
    """A tenth of the bracket away from an end that is hit, or come near to twice in a row."""
    margin = 0.1 * (high - low)
    if min(high - t, t - low) >= margin:
        return t, False
    if not (again or t >= high or t <= low):
        return t, True
    return (high - margin if abs(t - high) < abs(t - low) else low + margin), False


def cubic_minimum(first: Point, second: Point, bounds: tuple[float, float]) -> float:
    """Where the cubic through two points with their slopes is least, within bounds.

    d₁ = s₁ + s₂ − 3·(f₁ − f₂) / (t₁ − t₂),  d₂ = √(d₁² − s₁·s₂),  t₁ < t₂
    t = t₂ − (t₂ − t₁)·(s₂ + d₂ − d₁) / (s₂ − s₁ + 2·d₂)

    Nocedal & Wright 2006, "Numerical Optimization", eq. 3.59; the middle of the bounds where the
    root is not real.
    """
    left, right = (first, second) if first.t <= second.t else (second, first)
    width = np.float64(right.t) - left.t
    d1 = left.slope + right.slope + 3 * (left.loss - right.loss) / width
    square = d1 * d1 - left.slope * right.slope
    if not square >= 0:
        return (bounds[0] + bounds[1]) / 2
    d2 = np.sqrt(square)
    part = (right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2)
    return float(min(max(right.t - width * part, bounds[0]), bounds[1]))
