"""Attributes of a module that are computed from others, such as a weight from its direction.

PyTorch's older tools write such a weight into the module before each forward pass. Here it is
computed whenever it is read, so that it is never stale, and a compiled step computes it inside.
"""

from collections.abc import Callable, Iterator
from typing import Any

from narae.tensors import epoch

from ..module import Module


def derive(module: Module, name: str, function: Callable[[Any], Any]) -> None:
    """From now on `module.name` is `function(module)`."""
    module.__dict__.setdefault("_derived", {})[name] = function
    epoch.bump()


def underive(module: Module, name: str) -> None:
    """Take back what `derive` did."""
    module.__dict__["_derived"].pop(name, None)
    module.__dict__.pop(name, None)
    epoch.bump()


def pre_hooks(module: Module, kind: type) -> Iterator[tuple[int, Any]]:
    """The forward pre-hooks of a class, with their keys."""
    hooks = module._hooks
    for key, (hook, _) in list(hooks.before.items()) if hooks is not None else ():
        if isinstance(hook, kind):
            yield key, hook


def take_pre_hook(module: Module, key: int) -> None:
    """Remove a forward pre-hook."""
    assert module._hooks is not None
    del module._hooks.before[key]
    epoch.bump()
