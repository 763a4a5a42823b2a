"""Jacobians, Hessians and their products with vectors: the public address of these functions."""

from typing import Any

from narae.base.upstairs import ask

_UPSTAIRS = ("hessian", "hvp", "jacobian", "jvp", "vhp", "vjp")

__all__ = [*_UPSTAIRS]


def __getattr__(name: str) -> Any:
    if name not in _UPSTAIRS:
        raise AttributeError(f"module 'narae.autograd.functional' has no attribute {name!r}")
    return ask("autograd", name)


def __dir__() -> list[str]:
    return __all__
