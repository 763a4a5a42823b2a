"""Windows for cutting signals into pieces, under the older names at the top level.

The newer family is `narae.signal.windows`. Here windows are periodic unless asked otherwise.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from narae.base.dtypes import as_numpy, default_dtype, is_floating
from narae.base.errors import DTypeError, ShapeError, explain
from narae.reference import special

from .creation import constant
from .devices import check_device
from .tensor import Tensor

Array = np.ndarray[Any, np.dtype[np.float64]]


# --- shapes of windows, in float64 -----------------------------------------------------------


def positions(length: int, symmetric: bool) -> Array:
    """0 to 1 over the window; a periodic one ends a step before 1, a single one is the middle."""
    if length == 1:
        return np.full(1, 0.5)
    return np.arange(length) / max(length - 1 if symmetric else length, 1)


def cosine_sum(place: Array, weights: Iterable[float]) -> Array:
    """Sum over k of (-1)^k weights[k] cos(2 pi k place); a window of one element is 1."""
    if place.size == 1:
        return np.ones(1)
    out = np.zeros(place.shape)
    for k, weight in enumerate(weights):
        out += (-1) ** k * weight * np.cos(2 * np.pi * k * place)
    return out


def triangle(place: Array) -> Array:
    """1 - |2 place - 1|."""
    return 1 - np.abs(2 * place - 1)


def kaiser_shape(place: Array, beta: float) -> Array:
    """i0(beta sqrt(1 - (2 place - 1)^2)) / i0(beta), by the scaled function against overflow.

    Source: Kaiser and Schafer (1980), On the use of the I0-sinh window for spectrum analysis.
    """
    root = beta * np.sqrt(np.clip(4 * place * (1 - place), 0, 1))
    whole = special.i0e(np.array(float(beta)))
    shape: Array = special.i0e(root) / whole * np.exp(root - abs(beta))
    return shape


# --- functions -------------------------------------------------------------------------------


def finished(array: Array, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    """A window as a tensor."""
    check_device(device)
    out = constant(array.astype(dtype))
    return out.requires_grad_() if requires_grad else out


def _checked(name: str, window_length: int, dtype: Any) -> Any:
    """The dtype of the window.

    Raises:
        RuntimeError: for a negative length, or a dtype that is not floating point.
    """
    wanted = default_dtype() if dtype is None else as_numpy(dtype)
    if not is_floating(wanted):
        raise DTypeError(explain(name, f"dtype={dtype}", f"{name} expects floating point dtypes"))
    if window_length < 0:
        raise ShapeError(
            explain(
                name,
                f"window_length={window_length}",
                f"{name} requires non-negative window_length",
            )
        )
    return wanted


def _window(name: str, shape: Callable[[Array], Array], text: str) -> Callable[..., Tensor]:
    def function(
        window_length: int,
        periodic: bool = True,
        *,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Tensor:
        wanted = _checked(name, window_length, dtype)
        array = shape(positions(window_length, not periodic))
        return finished(array, wanted, device, requires_grad)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


_ARGUMENTS = """
    Args:
        window_length: the number of elements.
        periodic: leave out the last element of the symmetric window that is one longer.
        dtype: floating point; by default the default dtype.
        device: only "cpu" here.
        requires_grad: record what is computed from it.

    Raises:
        RuntimeError: for a negative length, or integers.
"""

hann_window = _window(
    "hann_window",
    lambda place: cosine_sum(place, (0.5, 0.5)),
    f"""Raised cosine: out[n] = sin(pi n / N) ** 2.
{_ARGUMENTS}
    >>> import narae
    >>> narae.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """,
)
blackman_window = _window(
    "blackman_window",
    lambda place: cosine_sum(place, (0.42, 0.5, 0.08)),
    f"""out[n] = 0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N).
{_ARGUMENTS}
    >>> import narae
    >>> narae.blackman_window(4).round(decimals=2).abs()
    tensor([0.0000, 0.3400, 1.0000, 0.3400])
    """,
)
bartlett_window = _window(
    "bartlett_window",
    triangle,
    f"""A triangle: out[n] = 1 - |2 n / N - 1|.
{_ARGUMENTS}
    >>> import narae
    >>> narae.bartlett_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """,
)


def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """out[n] = alpha - beta cos(2 pi n / N).

    Args:
        window_length: the number of elements.
        periodic: leave out the last element of the symmetric window that is one longer.
        alpha: the mean of the window.
        beta: the size of its wave.
        dtype: floating point; by default the default dtype.
        device: only "cpu" here.
        requires_grad: record what is computed from it.

    Raises:
        RuntimeError: for a negative length, or integers.

    >>> import narae
    >>> narae.hamming_window(4)
    tensor([0.0800, 0.5400, 1.0000, 0.5400])
    """
    wanted = _checked("hamming_window", window_length, dtype)
    array = cosine_sum(positions(window_length, not periodic), (alpha, beta))
    return finished(array, wanted, device, requires_grad)


def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """out[n] = i0(beta sqrt(1 - (2 n / N - 1) ** 2)) / i0(beta).

    Args:
        window_length: the number of elements.
        periodic: leave out the last element of the symmetric window that is one longer.
        beta: the larger, the narrower.
        dtype: floating point; by default the default dtype.
        device: only "cpu" here.
        requires_grad: record what is computed from it.

    Raises:
        RuntimeError: for a negative length, or integers.

    Source: Kaiser and Schafer (1980), On the use of the I0-sinh window for spectrum analysis.

    >>> import narae
    >>> narae.kaiser_window(4, beta=5.0)
    tensor([0.0367, 0.5529, 1.0000, 0.5529])
    """
    wanted = _checked("kaiser_window", window_length, dtype)
    array = kaiser_shape(positions(window_length, not periodic), beta)
    return finished(array, wanted, device, requires_grad)


__all__ = [
    "bartlett_window",
    "blackman_window",
    "hamming_window",
    "hann_window",
    "kaiser_window",
]
