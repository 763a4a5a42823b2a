"""Narae: a deep-learning framework that a person can read to the bottom.

PyTorch's names and habits; its own tensors, automatic differentiation and compiler.

>>> import narae
>>> x = narae.tensor([1.0, 2.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4.])
"""

import importlib
import warnings
from typing import Any

from narae.base.upstairs import answer

__version__ = "0.1.0"

# Infinities and NaN are results like others, as in PyTorch: NumPy need not warn about them.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"narae\.")

# PyTorch's groups of functions: `narae.linalg` shows the face of `narae.tensors.linalg`.
_NAMESPACES = ("array_api", "fft", "linalg", "masked", "ops", "signal", "special")

# Packages that appear as attributes without a further import statement.
_PACKAGES = (
    "amp",
    "autograd",
    "cli",
    "data",
    "errors",
    "explain",
    "io",
    "func",
    "ir",
    "nn",
    "optim",
    "primitives",
    "reference",
    "series",
    "tensors",
    "testing",
    "text",
    "train",
    "utils",
    "vision",
    *_NAMESPACES,
)

# Layers that PyTorch also has at the top, with the arguments of `nn.functional`.
_LAYERS = (
    "adaptive_avg_pool1d", "alpha_dropout", "avg_pool1d", "bilinear", "celu_", "conv1d", "conv2d",
    "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cosine_similarity",
    "dropout", "feature_alpha_dropout", "group_norm", "layer_norm", "max_pool1d",
    "max_pool1d_with_indices", "max_pool2d", "max_pool3d", "rms_norm", "rrelu", "selu_",
    "threshold_",
)  # fmt: skip

# Functions that PyTorch has at the top, and here a package above the tensors.
_ELSEWHERE = {
    "load": "narae.io",
    "save": "narae.io",
    **dict.fromkeys(_LAYERS, "narae.nn.functional"),
}


def _for_autograd(name: str) -> Any:
    """What `narae.autograd` offers, and the floor of tensors has."""
    return getattr(importlib.import_module("narae.tensors.autograd_names"), name)


def _for_averaging(name: str) -> Any:
    """What `narae.optim.swa_utils` offers, and the floor's other room of modules has."""
    return getattr(importlib.import_module("narae.nn.averaging"), name)


answer("autograd", _for_autograd)
answer("optim.swa_utils", _for_averaging)


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"narae.{name}")
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(_ELSEWHERE[name]), name)
    if name.startswith("__"):
        raise AttributeError(f"module 'narae' has no attribute {name!r}")
    tensors = importlib.import_module("narae.tensors")
    try:
        value = getattr(tensors, name)
    except AttributeError:
        raise AttributeError(_unknown_message(name, dir(tensors))) from None
    globals()[name] = value
    return value


def _unknown_message(name: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    hint = f". Did you mean narae.{close[0]}?" if close else ""
    return f"module 'narae' has no attribute {name!r}{hint}"


def __dir__() -> list[str]:
    tensors = importlib.import_module("narae.tensors")
    return sorted({*globals(), *_PACKAGES, *_ELSEWHERE, *tensors.__all__})
