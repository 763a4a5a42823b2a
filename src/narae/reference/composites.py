"""Direct NumPy forms of composites: fewer passes than their decomposition."""

from collections.abc import Callable
from typing import Any

from . import activations, layers, losses, statistics, views

LOWERINGS: dict[Any, Callable[..., Any]] = {
    **activations.LOWERINGS,
    **layers.LOWERINGS,
    **losses.LOWERINGS,
    **statistics.LOWERINGS,
    **views.LOWERINGS,
}
