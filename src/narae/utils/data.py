"""PyTorch's address of `narae.data`."""

from narae.data import *
from narae.data import __all__ as __all__
