"""The protocol of executors: the only thing floors 4 and 5 need to know of each other."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from .program import Program

Array = np.ndarray[Any, Any]
# (position of an output, position of an input): the output replaces the contents of the input.
Update = tuple[int, int]


class Report(NamedTuple):
    """What a runner says about what it runs: for people, and for programs."""

    text: str
    facts: dict[str, Any]


class Runner(Protocol):
    """A program that is ready to run. One call at a time: callers hold a lock around it."""

    def __call__(self, inputs: Sequence[Array]) -> Sequence[Any]:
        """Run on arrays of the program's shapes and dtypes.

        Nothing is written to any input yet, so an exception leaves everything as before. Callers
        may pass the same list again with other arrays in it; `array is last_array` tells.

        Returns:
            An array of its own for each output; None for outputs that update an input.
        """

    def write(self) -> None:
        """Do the updates of the last call. To do them twice changes nothing."""

    def report(self) -> Report:
        """What is run."""


class Executor(Protocol):
    """Something that can run programs."""

    @property
    def name(self) -> str:
        """How reports and `set_executor` call it."""

    def compile(self, program: Program, updates: Sequence[Update] = ()) -> Runner:
        """Prepare a program.

        Args:
            program: maps input arrays to output arrays.
            updates: outputs that replace the contents of inputs.
        """

    def unsupported(self, operation: Any) -> str | None:
        """Why an operation cannot run here, or None when it can."""
