"""PyTorch's address of `narae.tensors.signal`: windows."""

from . import windows as windows
