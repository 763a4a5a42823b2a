"""Normalization layers."""

from typing import Any

from narae.base.errors import ConfigError, ShapeError
from narae.base.notices import warn_user
from narae.tensors import Parameter, Tensor, empty, ones, zeros
from narae.tensors.creation import tensor

from . import init, norm
from .module import Module


class _Affine(Module):
    """A layer that may scale by a weight, which starts at 1, and shift by a bias, from 0."""

    weight: Tensor | None
    bias: Tensor | None

    def _add_affine(self, shape: Any, weight: bool, bias: bool, kind: dict[str, Any]) -> None:
        for name, wanted in (("weight", weight), ("bias", weight and bias)):
            self.register_parameter(name, Parameter(empty(shape, **kind)) if wanted else None)

    def reset_parameters(self) -> None:
        """Start again: weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class _NormBase(_Affine):
    """Normalization of channels; a subclass says how many dimensions an input has."""

    _version = 2
    ranks: tuple[int, ...]
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        kind = {"device": device, "dtype": dtype}
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self._add_affine(num_features, affine, bias, kind)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, **kind) if tracked else None)
        self.register_buffer("running_var", ones(num_features, **kind) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0) if tracked else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget what was measured."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Start again: weight 1, bias 0, nothing measured."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check_input(self, input: Tensor) -> None:
        if input.ndim not in self.ranks:
            wanted = " or ".join(f"{rank}D" for rank in self.ranks)
            raise ShapeError(
                f"expected {wanted} input (got {input.ndim}D input, {tuple(input.shape)}). "
                "Dimension 1 holds the channels. Fix: reshape the input, or use the layer for its "
                "number of dimensions"
            )

    def forward(self, input: Tensor) -> Tensor:
        self._check_input(input)
        measure = self.training or self.running_mean is None
        tracks = self.training and self.track_running_stats
        momentum: Any = 0.0 if self.momentum is None else self.momentum
        if tracks and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                momentum = 1.0 / self.num_batches_tracked.to(self.running_mean.dtype)
        uses = not self.training or tracks
        return norm.batch_norm(
            input,
            self.running_mean if uses else None,
            self.running_var if uses else None,
            self.weight,
            self.bias,
            measure,
            momentum,
            self.eps,
        )

    def _prepare_loading(self, state_dict: Any, prefix: str, metadata: dict[str, Any]) -> None:
        """States older than version 2 have no count of batches."""
        key = prefix + "num_batches_tracked"
        if (metadata.get("version") or 0) < 2 and self.track_running_stats:
            if key not in state_dict:
                state_dict[key] = self.num_batches_tracked

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_NormBase):
    """Batch normalization, whatever the number of dimensions."""


class BatchNorm1d(_BatchNorm):
    """Batch normalization of (batch, channels) or (batch, channels, length)."""

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalization of (batch, channels, height, width).

        out = (x - mean) / sqrt(var + eps) * weight + bias

    In training, mean and variance are those of the batch, for each channel, and the running ones
    move towards them; in evaluation the running ones are used.

    Args:
        num_features: the number of channels
        eps: keeps the denominator from 0
        momentum: the share of a batch in the running statistics; None for a plain average
        affine: learn a weight and a bias
        track_running_stats: otherwise the batch is used in evaluation too

    Source: Ioffe and Szegedy, Batch normalization (2015), algorithms 1 and 2.

    >>> import narae
    >>> narae.nn.BatchNorm2d(16)(narae.zeros(2, 16, 4, 4)).shape
    narae.Size([2, 16, 4, 4])
    """

    ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalization of (batch, channels, depth, height, width)."""

    ranks = (5,)


class _InstanceNorm(_NormBase):
    """Normalization of each image by itself; the input may lack the batch dimension."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def forward(self, input: Tensor) -> Tensor:
        self._check_input(input)
        single = input.ndim == self.ranks[0]
        x: Any = input.unsqueeze(0) if single else input
        self._check_channels(x, 0 if single else 1)
        out: Any = norm.instance_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return out.squeeze(0) if single else out

    def _check_channels(self, x: Any, place: int) -> None:
        if x.shape[1] == self.num_features:
            return
        if self.affine:
            raise ShapeError(
                f"expected input's size at dim={place} to match num_features "
                f"({self.num_features}), but got: {x.shape[1]}."
            )
        warn_user(
            f"input's size at dim={place} does not match num_features. You can silence this "
            "warning by not passing in num_features, which is not used because affine=False"
        )


class InstanceNorm1d(_InstanceNorm):
    """Instance normalization of (batch, channels, length), or without batch."""

    ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Instance normalization of (batch, channels, height, width), or without batch."""

    ranks = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Instance normalization of (batch, channels, depth, height, width), or without batch."""

    ranks = (4, 5)


class LayerNorm(_Affine):
    """Normalization over the last dimensions, of every sample by itself.

    Args:
        normalized_shape: the sizes that are averaged over; a number means one dimension
        eps: keeps the denominator from 0
        elementwise_affine: learn a weight (and a bias, unless `bias` is False) for each element

    Source: Ba, Kiros and Hinton, Layer normalization (2016).
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        self.normalized_shape = tuple(shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        kind = {"device": device, "dtype": dtype}
        self._add_affine(self.normalized_shape, elementwise_affine, bias, kind)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        return norm.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(_Affine):
    """Division by the root of the mean square over the last dimensions.

    Source: Zhang and Sennrich, Root mean square layer normalization (2019).
    """

    bias = None

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        self.normalized_shape = tuple(shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        made = empty(self.normalized_shape, device=device, dtype=dtype)
        self.register_parameter("weight", Parameter(made) if elementwise_affine else None)
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        return norm.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(_Affine):
    """Normalization over groups of channels and all pixels, of every image by itself.

    Args:
        num_groups: into how many groups the channels are cut
        num_channels: the number of channels
        eps: keeps the denominator from 0
        affine: learn a weight (and a bias, unless `bias` is False) for each channel

    Source: Wu and He, Group normalization (2018).
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ConfigError(
                f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})"
            )
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        self._add_affine(num_channels, affine, bias, {"device": device, "dtype": dtype})
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        return norm.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """Division by a power of the mean square of neighbouring channels."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        return norm.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "LocalResponseNorm",
    "RMSNorm",
]
