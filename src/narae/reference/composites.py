"""Direct NumPy forms of composites: fewer passes than their decomposition."""

from collections.abc import Callable
from typing import Any

from . import layers, views

LOWERINGS: dict[Any, Callable[..., Any]] = {
    **layers.LOWERINGS,
    **views.LOWERINGS,
}
