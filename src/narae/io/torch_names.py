"""What files of `torch.save` may name: tensors, parameters, storages, dtypes, sizes; no more."""

import math
from typing import Any, NoReturn

import ml_dtypes
import numpy as np

from narae.base.dtypes import DTYPES, DType
from narae.base.shapes import Size
from narae.tensors import Parameter, Tensor
from narae.tensors.creation import from_numpy

from .pickle_machine import Inner, Named, RefusedError, shown
from .pickles import PLAIN

# The storages that PyTorch has a class for; those of other dtypes are untyped.
STORAGES: dict[str, np.dtype[Any]] = {
    "DoubleStorage": np.dtype("f8"),
    "FloatStorage": np.dtype("f4"),
    "HalfStorage": np.dtype("f2"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("i8"),
    "IntStorage": np.dtype("i4"),
    "ShortStorage": np.dtype("i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
    "UntypedStorage": np.dtype("u1"),
}
# Dtypes of PyTorch's that Narae has none for, and what to do about each.
_FLOAT8 = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")
_FOREIGN = dict.fromkeys(_FLOAT8, "floats of 8 bits") | dict.fromkeys(
    ("complex32", "complex64", "complex128"), "complex numbers"
)
_FOREIGN_STORAGES = dict.fromkeys(
    ("ComplexFloatStorage", "ComplexDoubleStorage"), "complex numbers"
) | dict.fromkeys(
    ("QInt8Storage", "QUInt8Storage", "QInt32Storage", "QUInt4x2Storage", "QUInt2x4Storage"),
    "quantized numbers",
)


class StorageKind(Inner):
    """A class of storages."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype


class _Foreign(Inner):
    """A dtype, or a class of storages, that Narae has no numbers for."""

    def __init__(self, name: str, what: str) -> None:
        self.name, self.what = name, what

    def refuse(self) -> NoReturn:
        """Say so.

        Raises:
            RefusedError: always.
        """
        rule = f"Narae has no {self.what}"
        fix = "convert it in PyTorch before saving, such as by x.to(torch.bfloat16)"
        raise RefusedError(f"it holds tensors of {self.name}", rule, fix)


def storage_dtype(kind: Any) -> np.dtype[Any]:
    """The dtype of a class of storages.

    Raises:
        RefusedError: for what is none, or numbers that Narae does not have.
    """
    if isinstance(kind, _Foreign):
        kind.refuse()
    if not isinstance(kind, StorageKind):
        raise RefusedError(f"a storage of the kind {type(kind).__name__}")
    return kind.dtype


# ----------------------------------------------------------------------------------- what it builds
def _rebuild(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any = False, *_: Any
) -> Tensor:
    """A view of a storage as a tensor of its own; views of one storage share it."""
    if type(storage) is not np.ndarray:
        raise RefusedError(f"a tensor of a {type(storage).__name__}")
    size, stride = _whole(size), _whole(stride)
    (offset,) = _whole((offset,))
    if len(size) != len(stride):
        raise RefusedError(f"a tensor of {len(size)} sizes and {len(stride)} strides")
    empty = 0 in size
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if not empty and last >= len(storage):
        raise RefusedError(f"a tensor {_named(size)} leaves its storage of {len(storage)}")
    if math.prod(size) * storage.itemsize >= 1 << 63:
        raise RefusedError(f"a tensor {_named(size)} larger than any memory")
    if empty:
        return from_numpy(np.empty(size, storage.dtype)).requires_grad_(bool(requires_grad))
    steps = tuple(step * storage.itemsize for step in stride)
    view = np.lib.stride_tricks.as_strided(storage[offset:], size, steps)
    return from_numpy(view).requires_grad_(bool(requires_grad))


def _rebuild_typed(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any, dtype: Any,
    *_: Any,
) -> Tensor:  # fmt: skip
    """A view of an untyped storage; how dtypes without a class of storages are written."""
    if isinstance(dtype, _Foreign):
        dtype.refuse()
    if type(dtype) is not DType or type(storage) is not np.ndarray or storage.dtype != np.uint8:
        raise RefusedError(f"a tensor of the dtype {type(dtype).__name__}")
    whole = storage[: len(storage) // dtype.itemsize * dtype.itemsize]
    return _rebuild(whole.view(dtype.numpy), offset, size, stride, requires_grad)


def _rebuild_parameter(data: Any, requires_grad: Any = True, *_: Any) -> Tensor:
    if not isinstance(data, Tensor):
        raise RefusedError(f"a parameter of a {type(data).__name__}")
    return Parameter(data.detach(), requires_grad=bool(requires_grad))


def _size(sizes: Any = ()) -> Size:
    return Size(_whole(sizes))


def _whole(numbers: Any) -> tuple[int, ...]:
    """Sizes, strides and offsets; never negative."""
    if not isinstance(numbers, tuple | list) or any(type(n) is not int for n in numbers):
        raise RefusedError("a tensor whose sizes are no whole numbers")
    if min(numbers, default=0) < 0:
        raise RefusedError(f"a tensor with a negative size, stride or offset: {_named(numbers)}")
    return tuple(numbers)


def _named(sizes: Any) -> str:
    return shown(str(tuple(sizes[:8])))


def _text(*words: Any) -> str:
    """A device or a layout, which are of no account here."""
    if any(type(word) not in (str, int) for word in words):
        raise RefusedError("a device that is no text")
    return ":".join(map(str, words))


def allowed_names() -> dict[tuple[str, str], Any]:
    """What each (module, name) in a file of PyTorch's stands for."""
    names: dict[tuple[str, str], Any] = dict(PLAIN)
    for name in ("_rebuild_tensor_v2", "_rebuild_tensor"):
        names[("torch._utils", name)] = Named(_rebuild)
    for name in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
        names[("torch._utils", name)] = Named(_rebuild_parameter)
    names[("torch._utils", "_rebuild_tensor_v3")] = Named(_rebuild_typed)
    names[("torch", "Size")] = Named(_size)
    names[("torch", "device")] = names[("torch.serialization", "_get_layout")] = Named(_text)
    for kind, dtype in STORAGES.items():
        names[("torch", kind)] = names[("torch.storage", kind)] = StorageKind(dtype)
    for kind, what in _FOREIGN_STORAGES.items():
        names[("torch", kind)] = names[("torch.storage", kind)] = _Foreign(f"torch.{kind}", what)
    names |= {("torch", name): dtype for name, dtype in DTYPES.items()}
    names |= {("torch", name): _Foreign(f"torch.{name}", what) for name, what in _FOREIGN.items()}
    return names
