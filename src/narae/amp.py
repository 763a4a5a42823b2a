"""PyTorch's address of mixed precision."""

from narae.tensors.autocast import autocast, is_autocast_available

__all__ = ["autocast", "is_autocast_available"]
