"""Anomaly mode: find the operation, the line and the layer that made the first NaN."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from narae.autograd.tape import TapeNode
from narae.base.dtypes import FLOAT32, is_half
from narae.base.errors import GraphError
from narae.base.places import place_text, user_line

from .modes import modes
from .tensor import Tensor

ndarray = np.ndarray


@dataclass(frozen=True)
class Place:
    """Where a node of the tape was made."""

    line: str
    module: str

    def __str__(self) -> str:
        return f"{self.line} in layer {self.module}" if self.module else self.line


class detect_anomaly:
    """Look at every result and every gradient inside, and say where the first NaN was made.

    Backward raises at the first operation that returns NaN, and names the line of the forward pass
    that made the operation, the layer it belongs to, and the operation whose result was the first
    to hold NaN or infinity, if there was one. It costs a pass over all numbers: use it to search.

    Args:
        check_nan: look for NaN in backward; otherwise lines are remembered for messages only.

    Attributes:
        first: which operation made the first NaN or infinity of a forward pass, in words.

    >>> import narae
    >>> x = narae.tensor(-1.0, requires_grad=True)
    >>> with narae.autograd.detect_anomaly():
    ...     x.sqrt().backward()
    Traceback (most recent call last):
    ...
    narae.base.errors.GraphError: [backward] Function 'SqrtBackward0' returned nan values ...
    """

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = check_nan
        self._before: list[tuple[bool, bool, str]] = []
        self._found = ""

    @property
    def first(self) -> str:
        return modes.first_anomaly if self._before else self._found

    def __enter__(self) -> "detect_anomaly":
        self._before.append((modes.anomaly, modes.check_nan, modes.first_anomaly))
        modes.anomaly, modes.check_nan, modes.first_anomaly = True, self.check_nan, ""
        return self

    def __exit__(self, *_: Any) -> None:
        self._found = modes.first_anomaly
        modes.anomaly, modes.check_nan, modes.first_anomaly = self._before.pop()


class set_detect_anomaly:
    """Switch anomaly mode on or off: at once when called, until the end when used with `with`."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = (modes.anomaly, modes.check_nan, modes.first_anomaly)
        modes.anomaly, modes.check_nan, modes.first_anomaly = mode, check_nan, ""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: Any) -> None:
        modes.anomaly, modes.check_nan, modes.first_anomaly = self._before


def is_anomaly_enabled() -> bool:
    """Whether anomaly mode is on."""
    return modes.anomaly


def note_place(node: TapeNode, results: Sequence[Tensor] = ()) -> None:
    """Remember where a node was made, and whether it made the first NaN or infinity."""
    node.line = Place(user_line(2), modes.module_path)
    if not modes.check_nan or modes.first_anomaly:
        return
    for result in results:
        kind = _strange(result._value)
        if kind:
            where = place_text(node.line)
            modes.first_anomaly = f"the first {kind} was made by {node.name} at {where}"
            return


def check_backward(node: TapeNode, grads: Sequence[Any]) -> None:
    """Raise when a backward rule returned NaN.

    Raises:
        RuntimeError: naming the operation, its line, its layer, and where forward went wrong.
    """
    if not modes.check_nan:
        return
    for index, grad in enumerate(grads):
        if grad is not None and _has_nan(grad._value if isinstance(grad, Tensor) else grad):
            raise GraphError(_message(node, index))


def _message(node: TapeNode, index: int) -> str:
    message = f"[backward] Function '{node.name}' returned nan values in its {index}th output."
    if node.line:
        message += f" It was called in forward at {place_text(node.line)}."
    else:
        message += " Its line is unknown: it was made before anomaly mode was switched on."
    if modes.first_anomaly:
        message += f" In forward, {modes.first_anomaly}."
    return message + " Fix: keep its operand inside its domain (a clamp, or a small constant added)"


def _strange(value: Any) -> str:
    """What is wrong with the numbers of a result: "nan", "inf", or nothing."""
    if type(value) is not ndarray or value.dtype.kind not in "fV":
        return ""
    numbers = value.astype(FLOAT32) if is_half(value.dtype) else value
    if np.isfinite(numbers).all():
        return ""
    return "nan" if np.isnan(numbers).any() else "inf"


def _has_nan(value: Any) -> bool:
    return _strange(value) == "nan"
