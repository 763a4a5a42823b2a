"""Batch normalization with fixed statistics, for backbones that were trained before."""

from typing import Any

from narae.nn import Module
from narae.tensors import Tensor, ones, zeros


class FrozenBatchNorm2d(Module):
    """`BatchNorm2d` whose statistics and factors are constants: `out = x * scale + shift`.

    Detectors see few images a step, too few for statistics of their own.

    Args:
        num_features: channels.
        eps: is added to the variance.

    >>> import narae
    >>> layer = FrozenBatchNorm2d(2)
    >>> layer
    FrozenBatchNorm2d(2, eps=1e-05)
    >>> len(list(layer.parameters())), sorted(layer.state_dict())
    (0, ['bias', 'running_mean', 'running_var', 'weight'])
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", ones(num_features))
        self.register_buffer("bias", zeros(num_features))
        self.register_buffer("running_mean", zeros(num_features))
        self.register_buffer("running_var", ones(num_features))

    def _prepare_loading(self, state_dict: Any, prefix: str, metadata: dict[str, Any]) -> None:
        """A trained `BatchNorm2d` also counts its batches."""
        state_dict.pop(f"{prefix}num_batches_tracked", None)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x (batch, channels, height, width)."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()  # (channels,)
        shift = self.bias - self.running_mean * scale
        return x * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, eps={self.eps}"
