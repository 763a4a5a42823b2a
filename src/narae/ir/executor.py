"""The protocol of executors: the only thing floors 4 and 5 need to know of each other."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from .program import Program

Array = np.ndarray[Any, Any]
Runner = Callable[[Sequence[Array]], tuple[Array, ...]]


class Executor(Protocol):
    """Something that can run programs."""

    @property
    def name(self) -> str:
        """How reports and `set_executor` call it."""

    def compile(self, program: Program) -> Runner:
        """Prepare a program; the result maps input arrays to fresh output arrays."""

    def unsupported(self, operation: Any) -> str | None:
        """Why an operation cannot run here, or None when it can."""
