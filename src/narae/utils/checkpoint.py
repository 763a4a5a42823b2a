"""PyTorch's address of checkpoints: `from narae.utils.checkpoint import checkpoint`."""

from narae.tensors.checkpoint import CheckpointError, checkpoint, checkpoint_sequential

__all__ = ["CheckpointError", "checkpoint", "checkpoint_sequential"]
