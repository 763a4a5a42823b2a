"""The programs of examples/scratch as modules, for the tests of them."""

from __future__ import annotations

import functools
import importlib.util
import pathlib
import sys
from types import ModuleType
from typing import Any

import numpy as np

import narae

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "examples" / "scratch"
PROGRAMS = sorted(path.stem for path in FOLDER.glob("[0-9][0-9]_*.py"))


@functools.cache
def program(start: str) -> ModuleType:
    """Load a program by the start of its name, such as "03", or a helper by its whole name."""
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))  # as when it is run as a script
    (path,) = FOLDER.glob(f"{start}_*.py" if start.isdigit() else f"{start}.py")
    if not start.isdigit():
        return importlib.import_module(start)
    spec = importlib.util.spec_from_file_location(f"scratch_{start}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def leaf(array: Any) -> narae.Tensor:
    """A float64 tensor that wants a gradient."""
    return narae.tensor(np.asarray(array), dtype=narae.float64).requires_grad_()


def differences(f: Any, x: np.ndarray, h: float = 1e-6) -> np.ndarray:
    """∂f/∂x by central differences; f takes an array and gives a number."""
    grad = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = h
        grad[place] = (f(x + step) - f(x - step)) / (2 * h)
    return grad
