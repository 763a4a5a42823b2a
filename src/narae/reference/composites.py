"""Direct NumPy forms of composites: fewer passes than their decomposition."""

from collections.abc import Callable
from typing import Any

LOWERINGS: dict[Any, Callable[..., Any]] = {}
