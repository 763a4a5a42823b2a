"""Padding layers: zeros, a constant, reflected, repeated or circular elements at the edges."""

from typing import Any

from narae.tensors import Tensor

from .module import Module
from .padding import pad
from .sizes import repeated


class _Pad(Module):
    """A layer around `pad`; a subclass says over how many dimensions, and how."""

    dims: int
    mode = "constant"
    value: float = 0.0

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = repeated(padding, 2 * self.dims, "padding")

    def forward(self, input: Tensor) -> Tensor:
        value = self.value if self.mode == "constant" else None
        return pad(input, self.padding, self.mode, value)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ConstantPad1d(_Pad):
    """A constant at both ends of the last dimension."""

    dims = 1

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad2d(ConstantPad1d):
    """A constant around the last two dimensions."""

    dims = 2


class ConstantPad3d(ConstantPad1d):
    """A constant around the last three dimensions."""

    dims = 3


class ZeroPad1d(_Pad):
    """Zeros at both ends of the last dimension."""

    dims = 1


class ZeroPad2d(_Pad):
    """Zeros around the last two dimensions: (left, right, top, bottom)."""

    dims = 2


class ZeroPad3d(_Pad):
    """Zeros around the last three dimensions."""

    dims = 3


class ReflectionPad1d(_Pad):
    """The elements mirrored at the edges, without the edge itself."""

    dims, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """The pixels mirrored at the edges, without the edge itself."""

    dims, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """The voxels mirrored at the edges, without the edge itself."""

    dims, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """The edge again and again."""

    dims, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """The edge pixels again and again."""

    dims, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """The edge voxels again and again."""

    dims, mode = 3, "replicate"


class CircularPad1d(_Pad):
    """The elements from the other end."""

    dims, mode = 1, "circular"


class CircularPad2d(_Pad):
    """The pixels from the other side."""

    dims, mode = 2, "circular"


class CircularPad3d(_Pad):
    """The voxels from the other side."""

    dims, mode = 3, "circular"


__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]
