"""PyTorch's address of `narae.tensors.masked`: reductions that leave elements out."""

from narae.tensors.masked import *  # noqa: F403
from narae.tensors.masked import __all__ as __all__
