"""torchvision as an oracle, also where its compiled part does not fit the installed PyTorch.

Its transforms and data sets are plain Python on top of PyTorch and Pillow. Only the declarations of
its compiled operations (such as nms) need those operations to exist, so that `import torchvision`
fails without them; declaring them under their names is enough.
"""

from __future__ import annotations

import importlib
import importlib.util
import pathlib
import re
import sys
from typing import Any

import pytest


def load(name: str) -> Any:
    """A module of torchvision; the calling test is skipped where there is none."""
    pytest.importorskip("torch")
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        pytest.skip("torchvision is not installed")
    try:
        return importlib.import_module(f"torchvision.{name}")
    except RuntimeError as error:
        if "does not exist" not in str(error):
            raise
    for module in [module for module in sys.modules if module.split(".")[0] == "torchvision"]:
        del sys.modules[module]
    _declare_operations(pathlib.Path(spec.origin).parent / "_meta_registrations.py")
    return importlib.import_module(f"torchvision.{name}")


_declared: list[Any] = []


def _declare_operations(declarations: pathlib.Path) -> None:
    from torch import library as operators

    source = declarations.read_text("utf-8")
    names = re.findall(r'register_fake\("torchvision::(\w+)"\)|register_meta\("(\w+)"\)', source)
    declared = operators.Library("torchvision", "DEF")
    for name in sorted({first or second for first, second in names}):
        declared.define(f"{name}() -> Tensor")
    _declared.append(declared)  # its end would take the declarations away
