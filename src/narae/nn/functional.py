"""Layers and losses as functions: `import narae.nn.functional as F`."""

from narae.tensors import activations as _activations
from narae.tensors import sigmoid, tanh
from narae.tensors.activations import *  # noqa: F403

from . import convolution as _convolution
from . import functional_losses as _losses
from . import norm as _norm
from . import pool as _pool
from .activation import log_softmax, rrelu, softmax, softmin
from .attention import scaled_dot_product_attention
from .convolution import *  # noqa: F403
from .dropout import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
)
from .functional_losses import *  # noqa: F403
from .linear import bilinear, linear
from .multihead_functional import multi_head_attention_forward
from .norm import *  # noqa: F403
from .padding import pad
from .pool import *  # noqa: F403
from .sparse import embedding, one_hot

__all__ = [
    "alpha_dropout",
    "bilinear",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "embedding",
    "feature_alpha_dropout",
    "linear",
    "log_softmax",
    "multi_head_attention_forward",
    "one_hot",
    "pad",
    "rrelu",
    "scaled_dot_product_attention",
    "sigmoid",
    "softmax",
    "softmin",
    "tanh",
]
for _module in (_activations, _convolution, _losses, _norm, _pool):
    __all__ += [name for name in _module.__all__ if name not in __all__]
