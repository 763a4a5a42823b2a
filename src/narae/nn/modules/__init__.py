"""PyTorch's addresses of layers: `narae.nn.modules.conv.Conv2d` is `narae.nn.Conv2d`.

Programs written for PyTorch import from them; Narae's own files have other names.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

from . import utils as utils

# PyTorch's file, and the files of `narae.nn` that hold what is in it.
_FILES = {
    "activation": "activation multihead",
    "adaptive": "adaptive_softmax",
    "batchnorm": "normalization",
    "channelshuffle": "upsampling",
    "container": "containers parameter_containers deprecated",
    "conv": "conv",
    "distance": "neighbours losses",
    "dropout": "dropout",
    "flatten": "shaping",
    "fold": "folding",
    "instancenorm": "normalization",
    "linear": "linear shaping multihead",
    "loss": "losses ctc linear_cross_entropy deprecated",
    "module": "module",
    "normalization": "normalization neighbours",
    "padding": "pads",
    "pixelshuffle": "upsampling",
    "pooling": "pooling unpooling fractional_pool",
    "rnn": "rnn",
    "sparse": "sparse embedding_bag",
    "transformer": "transformer transformer_layers",
    "upsampling": "upsampling",
}

# Names of base classes that differ.
_BASES = {
    "conv": {"_ConvNd": "_Convolution", "_ConvTransposeNd": "_Transposed"},
    "dropout": {"_DropoutNd": "_Dropout"},
    "pooling": {
        "_AdaptiveAvgPoolNd": "_AdaptiveAvgPool",
        "_AdaptiveMaxPoolNd": "_AdaptiveMaxPool",
        "_AvgPoolNd": "_AvgPool",
        "_LPPoolNd": "_LPPool",
        "_MaxPoolNd": "_MaxPool",
        "_MaxUnpoolNd": "_MaxUnpool",
    },
}


def _address(name: str) -> ModuleType:
    """A module of that name that shows the classes of the files."""
    module = ModuleType(f"{__name__}.{name}", f"PyTorch's address of what is in {_FILES[name]}.")
    for file in _FILES[name].split():
        source = importlib.import_module(f"narae.nn.{file}")
        for key, value in vars(source).items():
            if isinstance(value, type) and value.__module__.startswith("narae.nn."):
                setattr(module, key, value)
    for theirs, ours in _BASES.get(name, {}).items():
        setattr(module, theirs, getattr(module, ours))
    return module


for _name in _FILES:
    globals()[_name] = sys.modules[f"{__name__}.{_name}"] = _address(_name)


def __getattr__(name: str) -> Any:
    """Every layer is here as well: `narae.nn.modules.Conv2d`."""
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("narae.nn"), name)
