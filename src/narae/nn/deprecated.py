"""Old names of modules, which older programs use."""

from typing import Any

from narae.base.notices import warn_user

from .losses import NLLLoss
from .module import Module


class NLLLoss2d(NLLLoss):
    """`NLLLoss` under its old name for pictures."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        warn_user("`NLLLoss2d` is deprecated: `NLLLoss` does the same. Fix: nn.NLLLoss(...)")
        super().__init__(*arguments, **options)


class Container(Module):
    """A module with the given children, without a forward of its own; an old base class."""

    def __init__(self, **modules: Module) -> None:
        warn_user("`nn.Container` is deprecated. Fix: derive from nn.Module")
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)


__all__ = ["Container", "NLLLoss2d"]
