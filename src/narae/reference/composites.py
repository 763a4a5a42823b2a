"""Direct NumPy forms of composites: fewer passes than their decomposition."""

from collections.abc import Callable
from typing import Any

from . import activations, attention, ctc, layers, losses, recurrent, resizing, statistics, views

LOWERINGS: dict[Any, Callable[..., Any]] = {
    **activations.LOWERINGS,
    **attention.LOWERINGS,
    **ctc.LOWERINGS,
    **layers.LOWERINGS,
    **losses.LOWERINGS,
    **recurrent.LOWERINGS,
    **resizing.LOWERINGS,
    **statistics.LOWERINGS,
    **views.LOWERINGS,
}
