"""Orders of weights in memory, which in Narae are the compiler's matter."""

from typing import Any, TypeVar

from ..module import Module

AnyModule = TypeVar("AnyModule", bound=Module)


def convert_conv2d_weight_memory_format(module: AnyModule, memory_format: Any) -> AnyModule:
    """The module as it is: a compiled step chooses the order of weights in memory by itself."""
    return module


def convert_conv3d_weight_memory_format(module: AnyModule, memory_format: Any) -> AnyModule:
    """The module as it is: a compiled step chooses the order of weights in memory by itself."""
    return module


__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]
