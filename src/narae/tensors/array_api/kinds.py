"""The standard's functions about dtypes, and what the namespace says of itself."""

from typing import Any

from narae.base import dtypes
from narae.base.dtypes import DType, as_numpy, is_floating, of_numpy
from narae.base.errors import ConfigError, explain

from .. import conversion
from ..devices import CPU, Device, check_device
from ..eager import converted
from ..memory import clone
from ..tensor import Tensor


def astype(x: Tensor, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Tensor:
    """The array in another dtype; a copy unless `copy` is False and nothing changes."""
    check_device(device)
    wanted = as_numpy(dtype)
    if x._value.dtype == wanted:
        return clone(x) if copy else x
    return converted(x, wanted)  # type: ignore[no-any-return]


def result_type(*arrays_and_dtypes: Any) -> DType:
    """The dtype that arithmetic on arrays, dtypes and numbers gives; shapes do not matter."""
    if not arrays_and_dtypes:
        raise ConfigError("[result_type] at least one array or dtype is required")
    known = [x for x in arrays_and_dtypes if not isinstance(x, (bool, int, float))]
    found = None
    for item in known:
        one = item._value.dtype if isinstance(item, Tensor) else as_numpy(item)
        found = one if found is None else dtypes.promote_types(found, one)
    for number in (x for x in arrays_and_dtypes if isinstance(x, (bool, int, float))):
        alone = dtypes.scalar_dtype(number)
        if found is None or dtypes.category(alone) > dtypes.category(found):
            found = alone
    assert found is not None
    return of_numpy(found)


def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether every number of one dtype (or an array of it) keeps its value in another."""
    source = from_._value.dtype if isinstance(from_, Tensor) else as_numpy(from_)
    wanted = as_numpy(to)
    return dtypes.promote_types(source, wanted) == wanted


class finfo:
    """Limits of a floating point dtype.

    Args:
        type: a dtype, or an array of it.
    """

    def __init__(self, type: Any, /) -> None:
        self.dtype = type.dtype if isinstance(type, Tensor) else of_numpy(as_numpy(type))
        limits = conversion.finfo(self.dtype)
        self.bits, self.eps, self.max, self.min = limits.bits, limits.eps, limits.max, limits.min
        self.smallest_normal = limits.smallest_normal


class iinfo:
    """Limits of an integer dtype.

    Args:
        type: a dtype, or an array of it.
    """

    def __init__(self, type: Any, /) -> None:
        self.dtype = type.dtype if isinstance(type, Tensor) else of_numpy(as_numpy(type))
        limits = conversion.iinfo(self.dtype)
        self.bits, self.max, self.min = limits.bits, limits.max, limits.min


_KINDS: dict[str, Any] = {
    "bool": lambda dtype: dtype.kind == "b",
    "signed integer": lambda dtype: dtype.kind == "i",
    "unsigned integer": lambda dtype: dtype.kind == "u",
    "integral": lambda dtype: dtype.kind in "iu",
    "real floating": is_floating,
    "complex floating": lambda dtype: False,
    "numeric": lambda dtype: dtype.kind in "iu" or is_floating(dtype),
}


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind ("integral", …), is another dtype, or one of several.

    Raises:
        ValueError: for an unknown kind.
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, item) for item in kind)
    if not isinstance(kind, str):
        return bool(as_numpy(dtype) == as_numpy(kind))
    if kind not in _KINDS:
        raise ConfigError(explain("isdtype", f"kind is {kind!r}", f"kinds are {', '.join(_KINDS)}"))
    return bool(_KINDS[kind](as_numpy(dtype)))


_STANDARD = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float32", "float64",
)  # fmt: skip


class Info:
    """What this namespace can do: `__array_namespace_info__()`."""

    def capabilities(self) -> dict[str, Any]:
        """Boolean indices and shapes that depend on data work (eagerly); ranks up to 64."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> Device:
        """The CPU."""
        return CPU

    def devices(self) -> list[Device]:
        """The CPU."""
        return [CPU]

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType]:
        """The dtypes that numbers get when none is given."""
        real = of_numpy(dtypes.default_dtype())
        return {"real floating": real, "integral": dtypes.int64, "indexing": dtypes.int64}

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, DType]:
        """The dtypes of the standard that are here; complex ones are not."""
        named = {name: dtypes.DTYPES[name] for name in _STANDARD}
        return {name: x for name, x in named.items() if kind is None or isdtype(x, kind)}


def __array_namespace_info__() -> Info:
    """What this namespace can do."""
    return Info()


__all__ = [
    "__array_namespace_info__", "astype", "can_cast", "finfo", "iinfo", "isdtype", "result_type",
]  # fmt: skip
