"""Layers and the batch normalization that follows them, as one layer; for evaluation."""

import copy
from typing import Any, TypeVar

from narae.base.errors import ConfigError, ShapeError, explain
from narae.tensors import Parameter, Tensor, ones_like, zeros_like

from ..module import Module

AnyModule = TypeVar("AnyModule", bound=Module)


def _check(layer: Any, bn: Any, what: str) -> None:
    if layer.training or bn.training:
        raise ConfigError(f"[{what}] Fusion only for eval! Fix: call eval() on both layers first")
    if bn.running_mean is None or bn.running_var is None:
        raise ConfigError(f"[{what}] the batch normalization has no running_mean and running_var")


def fuse_conv_bn_eval(conv: AnyModule, bn: Module, transpose: bool = False) -> AnyModule:
    """A copy of a convolution that gives bn(conv(x)).

    Args:
        conv: a convolution in evaluation mode
        bn: a batch normalization in evaluation mode
        transpose: the convolution is a transposed one
    """
    _check(conv, bn, "fuse_conv_bn_eval")
    fused: Any = copy.deepcopy(conv)
    norm: Any = bn
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight,
        fused.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
        transpose,
    )
    return fused


def fuse_conv_bn_weights(
    conv_w: Any,
    conv_b: Any,
    bn_rm: Any,
    bn_rv: Any,
    bn_eps: float,
    bn_w: Any,
    bn_b: Any,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """w' = w g / √(var + eps),   b' = (b - mean) g / √(var + eps) + β."""
    bn_w = ones_like(bn_rm) if bn_w is None else bn_w
    bn_b = zeros_like(bn_rm) if bn_b is None else bn_b
    rest = (1,) * (conv_w.ndim - 2)
    shape = (1, -1, *rest) if transpose else (-1, 1, *rest)
    return _fused(conv_w, conv_b, bn_rm, bn_w * (bn_rv + bn_eps).rsqrt(), bn_b, shape)


def _fused(
    w: Any, b: Any, mean: Any, scale: Any, shift: Any, shape: tuple[int, ...]
) -> tuple[Parameter, Parameter]:
    dtype = w.dtype if b is None else b.dtype
    b = zeros_like(mean) if b is None else b
    fused_w = (w * scale.reshape(shape)).to(w.dtype)
    fused_b = ((b - mean) * scale + shift).to(dtype)
    return (
        Parameter(fused_w.detach(), requires_grad=w.requires_grad),
        Parameter(fused_b.detach(), requires_grad=b.requires_grad),
    )


def fuse_linear_bn_eval(linear: AnyModule, bn: Module) -> AnyModule:
    """A copy of a linear layer that gives bn(linear(x)).

    Args:
        linear: a linear layer in evaluation mode
        bn: a batch normalization in evaluation mode, of its out_features (or of 1)
    """
    _check(linear, bn, "fuse_linear_bn_eval")
    fused: Any = copy.deepcopy(linear)
    norm: Any = bn
    if norm.num_features not in (fused.out_features, 1):
        given = f"out_features is {fused.out_features}, num_features is {norm.num_features}"
        rule = "To fuse, linear.out_features == bn.num_features or bn.num_features == 1"
        raise ShapeError(explain("fuse_linear_bn_eval", given, rule))
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight,
        fused.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    return fused


def fuse_linear_bn_weights(
    linear_w: Any,
    linear_b: Any,
    bn_rm: Any,
    bn_rv: Any,
    bn_eps: float,
    bn_w: Tensor,
    bn_b: Tensor,
) -> tuple[Parameter, Parameter]:
    """w' = w g / √(var + eps),   b' = (b - mean) g / √(var + eps) + β."""
    scale = bn_w * (bn_rv + bn_eps).rsqrt()
    return _fused(linear_w, linear_b, bn_rm, scale, bn_b, (-1, 1))


__all__ = [
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "fuse_linear_bn_weights",
]
