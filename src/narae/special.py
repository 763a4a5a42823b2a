"""PyTorch's address of `narae.tensors.special`: special functions."""

from narae.tensors.special import *  # noqa: F403
from narae.tensors.special import __all__ as __all__
