"""Floor 5: tensors, the functions on them, random numbers, and `compile`.

Each module lists in `__all__` the functions that become `narae.name`, in `METHODS` those that are
methods of `Tensor` as well, and in `IN_PLACE` those whose method has an in-place form `name_`.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from narae.base import dtypes
from narae.base.shapes import Size

from .backward import backward as backward
from .devices import Device, cuda
from .methods import attach
from .modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .tensor import Parameter, Tensor
from .tracing import is_tracing, tap

_FUNCTION_MODULES = (
    "creation",
    "pointwise",
    "arithmetic",
    "comparison",
    "reductions",
    "activations",
    "movement",
    "splitting",
    "joining",
    "rearranging",
    "shuffling",
    "grid_sampling",
    "shape_in_place",
    "indexing",
    "gathering",
    "scattering",
    "searching",
    "special_functions",
    "window_functions",
    "set_operations",
    "histograms",
    "linear",
    "contracting",
    "linalg.top_level",
    "linalg.low_rank",
    "einsum_notation",
    "ordering",
    "conversion",
    "memory",
    "allocation",
    "copies",
    "differences",
    "distances",
    "hashing",
    "native_layers",
    "real_numbers",
    "facts",
    "in_place_functions",
    "random",
    "printing",
    "settings",
    "autocast",
    "compilation",
)

device = Device
for _name, _dtype in dtypes.DTYPES.items():
    globals()[_name] = _dtype
half, double, float, long, int, short = (
    dtypes.half,
    dtypes.double,
    dtypes.float_,
    dtypes.long,
    dtypes.int_,
    dtypes.short,
)
dtype = dtypes.DType

__all__ = [
    "Parameter",
    "Size",
    "Tensor",
    "cuda",
    "device",
    "double",
    "dtype",
    "enable_grad",
    "float",
    "half",
    "inference_mode",
    "int",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "is_tracing",
    "long",
    "no_grad",
    "set_grad_enabled",
    "short",
    "tap",
    *dtypes.DTYPES,
]


def _collect(module: ModuleType) -> None:
    names = getattr(module, "__all__", ())
    globals().update({name: getattr(module, name) for name in names})
    __all__.extend(names)
    attach(module)


if TYPE_CHECKING:
    from typing import Any

    def __getattr__(name: str) -> Any:
        """Functions are collected from their modules below; type checkers cannot see them."""


for _module_name in _FUNCTION_MODULES:
    _collect(importlib.import_module(f".{_module_name}", __name__))
