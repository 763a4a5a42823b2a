"""PyTorch's address of `narae.data`."""

from narae.data import *  # noqa: F403
from narae.data import __all__ as __all__
