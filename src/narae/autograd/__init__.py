"""Floor 3: automatic differentiation of any kind of value.

`tape` is what forward leaves behind, `walk` goes back over it, `vjp` differentiates programs,
`function` is for operations of your own, `numerical` and `gradcheck` compare gradients with
differences. The names that work on tensors (`grad`, `no_grad`, …) live on the floor of tensors and
are found here when they are asked for.
"""

from typing import Any

from narae.base.upstairs import ask

from .function import Function
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .numerical import numerical_gradient

_UPSTAIRS = (
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "inference_mode",
    "is_anomaly_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
)

__all__ = [
    "Function",
    "GradcheckError",
    "gradcheck",
    "gradgradcheck",
    "numerical_gradient",
    *_UPSTAIRS,
]


def __getattr__(name: str) -> Any:
    if name == "functional":
        import importlib

        return importlib.import_module("narae.autograd.functional")
    if name not in _UPSTAIRS:
        raise AttributeError(f"module 'narae.autograd' has no attribute {name!r}")
    value = ask("autograd", name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "functional"})
