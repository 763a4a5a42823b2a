"""Mixed precision: inside `autocast`, products are computed in bfloat16, losses in float32.

Each function that takes part says so where it is defined: `low_precision` converts operands to
the chosen dtype, `in_float32` converts them up, `widest` to the widest among them. All others
follow their operands. The lists are those of PyTorch on a CPU.
"""

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from narae.base import dtypes
from narae.base.dtypes import BFLOAT16, FLOAT32, FLOAT64, as_numpy, is_floating
from narae.base.errors import ConfigError, DTypeError
from narae.base.notices import warn_user

from .eager import converted
from .modes import modes, switched
from .tensor import Tensor

Options = ParamSpec("Options")
Result = TypeVar("Result")
NumpyDType = dtypes.NumpyDType

_SUPPORTED = (dtypes.DTYPES["bfloat16"], dtypes.DTYPES["float16"])
_ELSEWHERE = ("cuda", "xpu", "mps", "xla", "hpu", "ipu", "maia", "mtia")  # PyTorch's devices


class _State(threading.local):
    """What one thread knows of autocast beside its modes.

    Attributes:
        dtype: the low precision that regions take if they name none.
        nesting: how many regions are open.
        converted: weights that a region converted: id -> (weight, what it relied on, result).
    """

    def __init__(self) -> None:
        self.dtype: NumpyDType = BFLOAT16
        self.nesting = 0
        self.converted: dict[int, tuple[Tensor, _Conversion, Tensor]] = {}


_state = _State()


# --- conversions ----------------------------------------------------------------------------


def _as(dtype: NumpyDType, item: Any) -> Any:
    """Floating-point tensors, also those in lists, in that dtype; float64 stays as it is."""
    if isinstance(item, Tensor):
        found = item._value.dtype
        if found in (dtype, FLOAT64) or not is_floating(found):
            return item
        return _weight_as(dtype, item) if found == FLOAT32 else converted(item, dtype)
    if type(item) in (list, tuple):
        return type(item)(_as(dtype, part) for part in item)
    return item


def _weight_as(dtype: NumpyDType, x: Tensor) -> Tensor:
    """Leaves that need gradients, weights that is, are converted once in a region."""
    is_leaf = x._requires_grad and x._node is None and x._view is None
    if not (is_leaf and modes.autocast_cache and _state.nesting and dtype == modes.autocast):
        return converted(x, dtype)  # type: ignore[no-any-return]
    found = _state.converted.get(id(x))
    if found is not None and found[1].holds_for(x, dtype):
        return found[2]
    out: Tensor = converted(x, dtype)
    _state.converted[id(x)] = (x, _Conversion(x, dtype), out)
    return out


class _Conversion:
    """What a conversion relied on: the same numbers, recorded in the same way."""

    def __init__(self, x: Tensor, dtype: NumpyDType) -> None:
        self.value, self.trace = x._value, modes.trace
        self.facts = self._facts(x, dtype)

    @staticmethod
    def _facts(x: Tensor, dtype: NumpyDType) -> tuple[Any, ...]:
        return dtype, modes.grad, 0 if x._cell is None else x._cell[0]

    def holds_for(self, x: Tensor, dtype: NumpyDType) -> bool:
        """Whether converting x now would give the same."""
        same_numbers = x._value is self.value and modes.trace is self.trace
        return same_numbers and self._facts(x, dtype) == self.facts


def _dtype_of_products(_: Any) -> NumpyDType:
    return modes.autocast  # type: ignore[no-any-return]


def _float32(_: Any) -> NumpyDType:
    return FLOAT32


def _widest(items: Any) -> NumpyDType:
    """float32 if some tensor has it, the low precision otherwise."""
    for item in items:
        wide = (
            item._value.dtype == FLOAT32
            if isinstance(item, Tensor)
            else isinstance(item, (list, tuple)) and _widest(item) == FLOAT32
        )
        if wide:
            return FLOAT32
    return modes.autocast  # type: ignore[no-any-return]


# --- what functions say of themselves -------------------------------------------------------


def _converting(
    function: Callable[Options, Result], dtype_for: Callable[[Any], NumpyDType]
) -> Callable[Options, Result]:
    @wraps(function)
    def run(*args: Options.args, **kwargs: Options.kwargs) -> Result:
        if modes.autocast is None:
            return function(*args, **kwargs)
        if kwargs.get("out") is None:
            dtype = dtype_for((*args, *kwargs.values()))
            args = _as(dtype, args)
            kwargs = {name: _as(dtype, item) for name, item in kwargs.items()}  # type: ignore
        with switched(autocast=None):
            return function(*args, **kwargs)

    return run


def low_precision(function: Callable[Options, Result]) -> Callable[Options, Result]:
    """For products: inside `autocast` operands are converted to its dtype.

    With `out=` nothing is converted, as in PyTorch.
    """
    return _converting(function, _dtype_of_products)


def in_float32(function: Callable[Options, Result]) -> Callable[Options, Result]:
    """For losses and the like: inside `autocast` operands are converted to float32."""
    return _converting(function, _float32)


def widest(function: Callable[Options, Result]) -> Callable[Options, Result]:
    """For functions whose tensors must have one dtype: inside `autocast` the widest is taken."""
    return _converting(function, _widest)


def as_given(function: Callable[Options, Result]) -> Callable[Options, Result]:
    """For functions that follow their operands although products are inside."""

    @wraps(function)
    def run(*args: Options.args, **kwargs: Options.kwargs) -> Result:
        if modes.autocast is None:
            return function(*args, **kwargs)
        with switched(autocast=None):
            return function(*args, **kwargs)

    return run


def products(*operands: Tensor | None) -> Any:
    """Operands of a product inside a layer: in autocast's dtype where it is on."""
    if modes.autocast is None:
        return operands
    return _as(modes.autocast, operands)


def like(x: Tensor, other: Tensor) -> Tensor:
    """Inside `autocast`, x in the dtype of another tensor."""
    if modes.autocast is None:
        return x
    return converted(x, other._value.dtype)  # type: ignore[no-any-return]


# --- the region -----------------------------------------------------------------------------


class autocast:
    """Compute products in low precision inside; a context manager and a decorator.

    Weights stay float32, and so do their gradients: the conversions are operations like others.
    Only the forward pass and the loss belong inside.

    Args:
        device_type: "cpu".
        dtype: bfloat16 or float16; bfloat16 if it is left out.
        enabled: False switches autocast off inside.
        cache_enabled: whether a weight that is used twice is converted once.

    Source: Micikevicius et al., Mixed precision training (2017); Kalamkar et al., A study of
    bfloat16 for deep learning training (2019).

    >>> import narae
    >>> layer = narae.nn.Linear(2, 1)
    >>> with narae.autocast("cpu", dtype=narae.bfloat16):
    ...     loss = layer(narae.ones(3, 2)).square().mean()
    >>> loss.backward()
    >>> loss.dtype, layer.weight.grad.dtype
    (narae.bfloat16, narae.float32)
    """

    def __init__(
        self,
        device_type: str = "cpu",
        dtype: Any = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(
                f"Expected `device_type` of type `str`, got: `{type(device_type)}`. Fix: "
                'narae.autocast("cpu")'
            )
        self.device = _kind_of(device_type)
        self.fast_dtype = get_autocast_dtype(self.device) if dtype is None else dtype
        self._cache_enabled = modes.autocast_cache if cache_enabled is None else bool(cache_enabled)
        self._enabled = bool(enabled) and self._is_possible()
        self._before: list[tuple[Any, bool, NumpyDType]] = []

    def _is_possible(self) -> bool:
        """Whether this machine can do it; otherwise a warning says why not."""
        if self.device != "cpu":
            warn_user(f"{self.device.upper()} is not available. Disabling autocast.")
            return False
        if self.fast_dtype not in _SUPPORTED:
            warn_user(
                "In CPU autocast, but the target dtype is not supported. Disabling autocast.\n"
                "CPU Autocast only supports dtypes of narae.bfloat16, narae.float16 currently."
            )
            return False
        return True

    def __enter__(self) -> "autocast":
        self._before.append((modes.autocast, modes.autocast_cache, _state.dtype))
        if self.device == "cpu":
            modes.autocast = as_numpy(self.fast_dtype) if self._enabled else None
            if self.fast_dtype in _SUPPORTED:
                _state.dtype = as_numpy(self.fast_dtype)
        modes.autocast_cache = self._cache_enabled
        autocast_increment_nesting()
        return self

    def __exit__(self, *_: Any) -> None:
        if autocast_decrement_nesting() == 0:
            clear_autocast_cache()
        modes.autocast, modes.autocast_cache, _state.dtype = self._before.pop()

    def __call__(self, function: Callable[Options, Result]) -> Callable[Options, Result]:
        if not callable(function):
            raise TypeError(
                f"autocast()(func) requires a callable, but got {type(function).__name__}. Fix: "
                'use it as a context manager: with narae.autocast("cpu"):'
            )

        @wraps(function)
        def inside(*args: Options.args, **kwargs: Options.kwargs) -> Result:
            with self:
                return function(*args, **kwargs)

        return inside


# --- asking and setting ---------------------------------------------------------------------


def _kind_of(device_type: str) -> str:
    """The kind of a device; its number does not matter.

    Raises:
        RuntimeError: for kinds that have no autocast.
    """
    kind = device_type.partition(":")[0]
    if kind != "cpu" and kind not in _ELSEWHERE:
        raise ConfigError(
            f"User specified an unsupported autocast device_type '{device_type}'. Fix: "
            'narae.autocast("cpu")'
        )
    return kind


def is_autocast_available(device_type: str) -> bool:
    """Whether `autocast` knows this kind of device."""
    kind = device_type.partition(":")[0]
    return kind == "cpu" or kind in _ELSEWHERE


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether a region of autocast is on for this kind of device.

    Without an argument it answers for "cuda", as PyTorch does.
    """
    return _kind_of(device_type) == "cpu" and modes.autocast is not None


def is_autocast_cpu_enabled() -> bool:
    """Whether a region of autocast is on."""
    return modes.autocast is not None


def get_autocast_dtype(device_type: str) -> dtypes.DType:
    """The low precision of a kind of device."""
    kind = _kind_of(device_type)
    if kind == "cpu":
        return dtypes.of_numpy(_state.dtype)
    return dtypes.DTYPES["bfloat16" if kind in ("xla", "hpu") else "float16"]


def get_autocast_cpu_dtype() -> dtypes.DType:
    """The low precision of the CPU."""
    return dtypes.of_numpy(_state.dtype)


def set_autocast_enabled(device_type: Any, enabled: Any = None) -> None:
    """Switch autocast on or off, without a region."""
    if isinstance(device_type, bool):
        device_type, enabled = "cuda", device_type  # PyTorch's older form
    if not isinstance(enabled, bool):
        raise TypeError(
            f"set_autocast_enabled(): argument 'enabled' must be bool, not {type(enabled).__name__}"
        )
    if _kind_of(device_type) == "cpu":
        modes.autocast = _state.dtype if enabled else None


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """Switch autocast on or off, without a region."""
    set_autocast_enabled("cpu", enabled)


def set_autocast_dtype(device_type: str, dtype: Any) -> None:
    """Choose the low precision.

    Raises:
        RuntimeError: for dtypes other than bfloat16 and float16.
    """
    if not isinstance(dtype, dtypes.DType):
        raise TypeError(
            "set_autocast_dtype(): argument 'dtype' (position 2) must be narae.dtype, not "
            f"{type(dtype).__name__}"
        )
    if _kind_of(device_type) != "cpu":
        return
    if dtype not in _SUPPORTED:
        raise DTypeError(f"[autocast] {dtype} is no low precision. Fix: narae.bfloat16")
    _state.dtype = as_numpy(dtype)
    if modes.autocast is not None:
        modes.autocast = _state.dtype


def set_autocast_cpu_dtype(dtype: Any) -> None:
    """Choose the low precision."""
    set_autocast_dtype("cpu", dtype)


def is_autocast_cache_enabled() -> bool:
    """Whether weights are converted once in a region."""
    return modes.autocast_cache


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Choose whether weights are converted once in a region."""
    modes.autocast_cache = bool(enabled)


def clear_autocast_cache() -> None:
    """Forget the converted weights."""
    _state.converted.clear()


def autocast_increment_nesting() -> int:
    """Note that a region begins; how many are open."""
    _state.nesting += 1
    return _state.nesting


def autocast_decrement_nesting() -> int:
    """Note that a region ends; how many are open."""
    _state.nesting -= 1
    return _state.nesting


__all__ = [
    "autocast",
    "autocast_decrement_nesting",
    "autocast_increment_nesting",
    "clear_autocast_cache",
    "get_autocast_cpu_dtype",
    "get_autocast_dtype",
    "is_autocast_cache_enabled",
    "is_autocast_cpu_enabled",
    "is_autocast_enabled",
    "set_autocast_cache_enabled",
    "set_autocast_cpu_dtype",
    "set_autocast_cpu_enabled",
    "set_autocast_dtype",
    "set_autocast_enabled",
]
