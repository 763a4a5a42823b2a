"""Layers and losses as functions: `import narae.nn.functional as F`."""

from narae.tensors import activations as _activations
from narae.tensors import sigmoid, tanh
from narae.tensors.activations import *  # noqa: F403
from narae.tensors.shuffling import (
    channel_shuffle,
    native_channel_shuffle,
    pixel_shuffle,
    pixel_unshuffle,
)

from . import convolution as _convolution
from . import functional_losses as _losses
from . import functional_names as _names
from . import norm as _norm
from . import pool as _pool
from . import resizing as _resizing
from .activation import log_softmax, rrelu, softmax, softmin
from .attention import scaled_dot_product_attention
from .convolution import *  # noqa: F403
from .ctc import ctc_loss
from .dropout import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
)
from .embedding_bag import embedding_bag
from .folding import fold, unfold
from .fractional_pool import fractional_max_pool2d, fractional_max_pool3d
from .functional_losses import *  # noqa: F403
from .functional_names import *  # noqa: F403
from .linear import bilinear, linear
from .linear_cross_entropy import linear_cross_entropy
from .multihead_functional import multi_head_attention_forward
from .norm import *  # noqa: F403
from .padding import pad
from .pool import *  # noqa: F403
from .resizing import *  # noqa: F403
from .sampling_grid import affine_grid, grid_sample
from .sparse import embedding, one_hot
from .unpooling import max_unpool1d, max_unpool2d, max_unpool3d

__all__ = [
    "affine_grid",
    "alpha_dropout",
    "bilinear",
    "channel_shuffle",
    "ctc_loss",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "embedding",
    "embedding_bag",
    "feature_alpha_dropout",
    "fold",
    "fractional_max_pool2d",
    "fractional_max_pool3d",
    "grid_sample",
    "linear",
    "linear_cross_entropy",
    "log_softmax",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "multi_head_attention_forward",
    "native_channel_shuffle",
    "one_hot",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "rrelu",
    "scaled_dot_product_attention",
    "sigmoid",
    "softmax",
    "softmin",
    "tanh",
    "unfold",
]
for _module in (_activations, _convolution, _losses, _names, _norm, _pool, _resizing):
    __all__ += [name for name in _module.__all__ if name not in __all__]
