"""PyTorch's address of what it has under `torch.ops` only: `narae.ops.aten.slice`."""

from narae.tensors import aten as aten

__all__ = ["aten"]
