"""Samples of composites: activations, statistics, normalization, layers, views."""

import math
from typing import Any

import numpy as np

from .samples import POOLS, add_sample, array, binary_samples, index, turned, unary_samples

_X, _Y = array(2, 3), array(2, 3, low=0.55, high=2.2)
_C = array(2, 3, 4)
_W, _B = array(3, low=0.5, high=1.5), array(3, low=-0.4, high=0.6)

# --- element by element ---------------------------------------------------------------------

for _name in ["relu", "hardsigmoid", "hardswish", "silu", "mish", "logsigmoid", "exp2", "sinc"]:
    unary_samples(_name)
for _name in ["log2", "log10", "reciprocal"]:
    unary_samples(_name, 0.3, 3)
unary_samples("leaky_relu", slope=0.1)
unary_samples("hardtanh", low=-0.5, high=0.8)
unary_samples("hardshrink", width=0.5)
unary_samples("softshrink", width=0.5)
unary_samples("threshold", limit=0.1, value=-3.0)
unary_samples("elu", alpha=1.3, scale=1.1, input_scale=0.7)
for _approximate in (False, True):
    unary_samples("gelu", approximate=_approximate)
unary_samples("softplus", beta=1.5, threshold=2.0)
unary_samples("logit", 0.1, 0.9, eps=None)
unary_samples("logit", 0.05, 0.95, eps=0.2)
unary_samples("nan_to_num", nan=0.0, posinf=1.0, neginf=-1.0)
add_sample("glu", array(2, 6), dim=1)
add_sample("glu", turned(array(4, 3)), dim=0)
add_sample("prelu", _C, array(1, 3, 1, low=0.1, high=0.4))
add_sample("prelu", _C, array(1, 1, 1))
for _name in ["hypot", "logaddexp", "logaddexp2", "copysign", "fmax", "fmin", "xlogy"]:
    binary_samples(_name, _X, _Y, numbers=False)
add_sample("clamp", _X, -0.5, 0.8)
add_sample("clamp", _X, None, 0.8)
add_sample("clamp", _X, array(3, low=-0.6, high=-0.2), array(2, 1, low=0.3, high=0.9))
for _name in ["addcmul", "addcdiv"]:
    add_sample(_name, _X, _Y, array(2, 3, low=0.4, high=1.7), value=0.5)
    add_sample(_name, _X[0], _Y, array(2, 1, low=0.4, high=1.7), value=-2.0)
add_sample("masked_fill", _X, index(2, 3, below=2) > 0, 0.5)
add_sample("masked_fill", _X, index(3, below=2) > 0, array())
add_sample("lerp", _X, _Y, 0.3)
add_sample("lerp", _X, _Y[0], array(2, 1, low=0.1, high=0.9))
add_sample("dropout", _X, index(2, 3, below=2) > 0, scale=2.0)
add_sample("dropout_mask", np.array(7, np.uint64), shape=(3, 4), threshold=2**31)

# --- statistics -----------------------------------------------------------------------------

for _x, _dim, _keepdim in ((_C, (0, 2), True), (turned(_C), (1,), False), (_X, (0, 1), False)):
    add_sample("mean", _x, dim=_dim, keepdim=_keepdim)
    add_sample("logsumexp", _x, dim=_dim, keepdim=_keepdim)
    for _correction in (0, 1):
        add_sample("var", _x, dim=_dim, correction=_correction, keepdim=_keepdim)
        add_sample("std", _x, dim=_dim, correction=_correction, keepdim=_keepdim)
    for _ord in (0.0, 1.0, 2.0, 3.0, 0.5, -1.0, math.inf, -math.inf):
        add_sample("vector_norm", _x, ord=_ord, dim=_dim, keepdim=_keepdim)
for _x in (_C, turned(_C), np.zeros((2, 0))):
    for _name in ["softmax", "log_softmax"]:
        add_sample(_name, _x, dim=1)
for _x in (_C, turned(_C)):
    add_sample("logcumsumexp", _x, dim=1)
    for _name in ["max_with_index", "min_with_index"]:
        add_sample(_name, _x, dim=1, keepdim=True)
        add_sample(_name, _x, dim=2, keepdim=False)
for _ignore_nan in (False, True):
    add_sample("median", _C, ignore_nan=_ignore_nan)
for _reduce in ("prod", "amax", "amin"):
    for _include_self in (True, False):
        add_sample(
            "scatter_reduce",
            _X,
            index(2, 5, below=3),
            array(2, 5, low=0.4, high=2.5),
            dim=1,
            reduce=_reduce,
            include_self=_include_self,
        )

# --- normalization --------------------------------------------------------------------------

for _w, _b in ((_W, _B), (None, None), (_W, None)):
    for _x in (_C, array(4, 3)):
        add_sample("batch_norm", _x, _w, _b, eps=1e-3)
    add_sample("fixed_norm", _C, _B, _W, _w, _b, eps=1e-3, fixed=(1, 2))
    add_sample("layer_norm", array(2, 4, 3), _w, _b, rank=1, eps=1e-3)
    add_sample("group_norm", array(2, 3, 4), _w, _b, groups=1, eps=1e-3)
    add_sample("group_norm", array(2, 3, 4), _w, _b, groups=3, eps=1e-3)
add_sample("layer_norm", array(2, 3, 4), array(3, 4), array(3, 4), rank=2, eps=1e-3)
add_sample("rms_norm", array(2, 4, 3), _W, rank=1, eps=1e-3)
add_sample("rms_norm", array(2, 3), None, rank=1, eps=1e-3)
add_sample("moving_average", _W, _B, momentum=0.1, scale=1.25, orders=0)

# --- layers ---------------------------------------------------------------------------------

for _x in (array(2, 3), array(2, 2, 3), array(3), turned(array(4, 3)), np.zeros((0, 3))):
    add_sample("linear", _x, array(4, 3), array(4))
    add_sample("linear_without_bias", _x, turned(array(4, 3)))
_WINDOW: dict[str, Any] = {"stride": (2, 1), "padding": ((1, 1), (0, 1)), "dilation": (1, 2)}
for _groups, _w_shape in ((1, (4, 2, 3, 2)), (2, (4, 1, 3, 2))):
    for _b in (array(4), None):
        add_sample(
            "convolution", array(1, 2, 5, 4), array(*_w_shape), _b, **_WINDOW, groups=_groups
        )
for _b in (array(2), None):
    add_sample(
        "conv_transpose",
        array(1, 4, 3, 3),
        array(4, 2, 3, 2),
        _b,
        **_WINDOW,
        groups=1,
        out_shape=(1, 2, 5, 4),
    )
for _shape, _attrs in POOLS:
    for _divisor in (None, 3):
        for _counted in (_attrs["padding"], tuple((0, 0) for _ in _attrs["padding"])):
            add_sample("average_pool", array(*_shape), counted=_counted, divisor=_divisor, **_attrs)
for _padding, _by_frequency in ((None, False), (2, False), (None, True), (0, True)):
    add_sample(
        "embedding",
        array(5, 3),
        index(2, 4, below=5),
        padding=_padding,
        by_frequency=_by_frequency,
        orders=2 if _padding is None and not _by_frequency else 0,
    )
add_sample("renormed_rows", array(5, 3), index(4, below=5), array(5, low=0.5, high=2), largest=1.0)

# --- views ----------------------------------------------------------------------------------

add_sample("select", _C, dim=1, index=2)
add_sample("select", turned(_X), dim=0, index=0)
add_sample("unsqueeze", _X, dim=1)
add_sample("unsqueeze", array(), dim=0)
for _name in ["squeeze", "squeeze_all"]:
    add_sample(_name, array(1, 3, 1), dim=(0, 2))
add_sample("transpose", _C, dim0=0, dim1=2)
add_sample("t", _X, dim0=0, dim1=1)
for _place in (0, 1, 2):
    add_sample("stack", _X, _Y, turned(_X), dim=_place)
add_sample("as_strided", array(12), size=(3, 2), stride=(2, 3), offset=1)

# --- recurrent cells ------------------------------------------------------------------------

_H = array(2, 3, low=-0.8, high=0.9)
_ACTIVE = array(2, 12, low=0.1, high=0.9)
add_sample("lstm_cell", array(2, 12), _H)
add_sample("lstm_cell_grad", _X, _Y, _H, turned(_H), _ACTIVE)
add_sample("gru_cell", array(2, 9), turned(array(2, 9)), _H)
add_sample("gru_cell_grad", _X, _H, _ACTIVE)
