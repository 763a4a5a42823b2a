"""Modules without the time for their first weights."""

import inspect
from typing import Any

from narae.tensors.random import fork_rng

from ..init import undrawn
from ..module import Module


def skip_init(module_cls: Any, *args: Any, **kwargs: Any) -> Any:
    """A module whose weights are not meant to be used before something is loaded into them.

    As in PyTorch, the random stream stays where it is.

    Raises:
        RuntimeError: for a class that is no module, or that does not take a `device`.
    """
    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    with fork_rng(), undrawn():
        return module_cls(*args, **kwargs)


__all__ = ["skip_init"]
