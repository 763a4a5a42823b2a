"""PyTorch's second address of some packages: `narae.utils.data` is `narae.data`."""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name == "data":
        return importlib.import_module("narae.data")
    if name == "checkpoint":
        return importlib.import_module("narae.utils.checkpoint")
    raise AttributeError(f"module 'narae.utils' has no attribute {name!r}")
