"""Direct NumPy forms of composites: fewer passes than their decomposition."""

from collections.abc import Callable
from typing import Any

from . import views

LOWERINGS: dict[Any, Callable[..., Any]] = {
    **views.LOWERINGS,
}
