"""PyTorch's address of `narae.tensors.signal`."""

from narae.tensors.signal import *  # noqa: F403
from narae.tensors.signal import __all__ as __all__
