"""What the intermediate representation asks of operations and of values."""

from collections.abc import Sequence
from typing import Any, Protocol

from narae.base.dtypes import NumpyDType
from narae.base.shapes import Shape

Meta = tuple[Shape, NumpyDType]


class ValueLike(Protocol):
    """Anything an operation computes with: a NumPy array, a `Value` of a program, a tensor."""

    @property
    def shape(self) -> Any:
        """The sizes of its dimensions."""

    @property
    def dtype(self) -> Any:
        """Its element type."""


class Operation(Protocol):
    """The part of a primitive's record that programs need."""

    @property
    def name(self) -> str:
        """The name that listings print."""

    @property
    def outputs(self) -> int:
        """How many results it has; with more than one, results come as a tuple."""

    def infer(self, operands: Sequence[Any], attrs: dict[str, Any]) -> list[Meta]:
        """Shape and dtype of each result."""
