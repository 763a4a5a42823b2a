"""Windows for cutting signals into pieces; `narae.signal.windows` is their address.

Computed in float64 and rounded once. Symmetric unless asked otherwise; a window of one element
is 1. Formulas: Harris (1978), On the use of windows for harmonic analysis.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from narae.base.dtypes import FLOAT32, FLOAT64, as_numpy, default_dtype
from narae.base.errors import ConfigError, explain

from .tensor import Tensor
from .window_functions import Array, cosine_sum, finished, kaiser_shape, positions, triangle

__all__ = [
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine",
    "general_hamming", "hamming", "hann", "kaiser", "nuttall",
]  # fmt: skip


def _finished(name: str, array: Array, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    wanted = default_dtype() if dtype is None else as_numpy(dtype)
    if wanted not in (FLOAT32, FLOAT64):
        rule = f"{name} expects float32 or float64 dtypes"
        raise ConfigError(explain(name, f"dtype={dtype}", rule, "convert the window afterwards"))
    return finished(array, wanted, device, requires_grad)


def _length(name: str, M: int) -> int:
    if M < 0:
        raise ConfigError(explain(name, f"M={M}", f"{name} requires non-negative window length"))
    return M


_ARGUMENTS = """
    Args:
        M: the number of elements.
        sym: symmetric; otherwise periodic, the symmetric window of M + 1 without its last element.
        dtype: float32 or float64; by default the default dtype.
        device: only "cpu" here.
        requires_grad: record what is computed from it.

    Raises:
        ValueError: for a negative length, or another dtype.
"""


def _window(name: str, shape: Callable[[int, bool], Array], text: str) -> Callable[..., Tensor]:
    """A window without a parameter of its own."""

    def function(
        M: int,
        *,
        sym: bool = True,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Tensor:
        array = shape(_length(name, M), sym)
        return _finished(name, array, dtype, device, requires_grad)

    first, example = text.split("\n", 1)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{first}\n{_ARGUMENTS}\n{example}"
    return function


def _sine(length: int, symmetric: bool) -> Array:
    steps = length if symmetric or length < 2 else length + 1
    return np.sin(np.pi * (np.arange(length, dtype=np.float64) + 0.5) / max(steps, 1))


def _from_center(length: int, symmetric: bool, center: float | None = None) -> Array:
    """Distances from the center, in samples."""
    if center is None:
        center = (length if not symmetric and length > 1 else length - 1) / 2
    return np.arange(length, dtype=np.float64) - center


bartlett = _window(
    "bartlett",
    lambda length, symmetric: triangle(positions(length, symmetric)),
    """A triangle: out[n] = 1 - |2 n / (M - 1) - 1|.
    >>> import narae
    >>> narae.signal.windows.bartlett(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """,
)
blackman = _window(
    "blackman",
    lambda length, symmetric: cosine_sum(positions(length, symmetric), (0.42, 0.5, 0.08)),
    """out[n] = 0.42 - 0.5 cos(2 pi n / (M - 1)) + 0.08 cos(4 pi n / (M - 1)).
    >>> import narae
    >>> narae.signal.windows.blackman(5).abs().round(decimals=2)
    tensor([0.0000, 0.3400, 1.0000, 0.3400, 0.0000])
    """,
)
cosine = _window(
    "cosine",
    _sine,
    """out[n] = sin(pi (n + 0.5) / M).
    >>> import narae
    >>> narae.signal.windows.cosine(3)
    tensor([0.5000, 1.0000, 0.5000])
    """,
)
hamming = _window(
    "hamming",
    lambda length, symmetric: cosine_sum(positions(length, symmetric), (0.54, 0.46)),
    """out[n] = 0.54 - 0.46 cos(2 pi n / (M - 1)).
    >>> import narae
    >>> narae.signal.windows.hamming(5)
    tensor([0.0800, 0.5400, 1.0000, 0.5400, 0.0800])
    """,
)
hann = _window(
    "hann",
    lambda length, symmetric: cosine_sum(positions(length, symmetric), (0.5, 0.5)),
    """Raised cosine: out[n] = sin(pi n / (M - 1)) ** 2.
    >>> import narae
    >>> narae.signal.windows.hann(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """,
)
NUTTALL = (0.3635819, 0.4891775, 0.1365995, 0.0106411)
nuttall = _window(
    "nuttall",
    lambda length, symmetric: cosine_sum(positions(length, symmetric), NUTTALL),
    """Four cosines that fall off quickly: 0.3635819, 0.4891775, 0.1365995, 0.0106411.
    Source: Nuttall (1981), Some windows with very good sidelobe behavior.

    >>> import narae
    >>> narae.signal.windows.nuttall(5)
    tensor([3.6280e-04, 2.2698e-01, 1.0000e+00, 2.2698e-01, 3.6280e-04])
    """,
)


def general_cosine(
    M: int,
    *,
    a: Iterable[float],
    sym: bool = True,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """out[n] = sum over k of (-1)^k a[k] cos(2 pi k n / (M - 1)).

    Args:
        M: the number of elements.
        a: the weights of the cosines, at least one.
        sym: symmetric; otherwise periodic.
        dtype: float32 or float64; by default the default dtype.
        device: only "cpu" here.
        requires_grad: record what is computed from it.

    Raises:
        ValueError: for a negative length, another dtype, or no weight.
        TypeError: when the weights are no list.

    >>> import narae
    >>> narae.signal.windows.general_cosine(3, a=[0.5, 0.5])
    tensor([0., 1., 0.])
    """
    _length("general_cosine", M)
    if not isinstance(a, Iterable):
        raise TypeError(f"Coefficients must be a list/tuple, not {type(a).__name__}")
    weights = tuple(float(weight) for weight in a)
    if not weights:
        rule = "Coefficients cannot be empty"
        raise ConfigError(explain("general_cosine", "a=[]", rule, "give at least one weight"))
    array = cosine_sum(positions(M, sym), weights)
    return _finished("general_cosine", array, dtype, device, requires_grad)


def general_hamming(
    M: int,
    *,
    alpha: float = 0.54,
    sym: bool = True,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """out[n] = alpha - (1 - alpha) cos(2 pi n / (M - 1)).

    Args:
        M: the number of elements.
        alpha: the mean of the window.
        sym: symmetric; otherwise periodic.
        dtype: float32 or float64; by default the default dtype.
        device: only "cpu" here.
        requires_grad: record what is computed from it.

    Raises:
        ValueError: for a negative length, or another dtype.

    >>> import narae
    >>> narae.signal.windows.general_hamming(3, alpha=0.75)
    tensor([0.5000, 1.0000, 0.5000])
    """
    array = cosine_sum(positions(_length("general_hamming", M), sym), (alpha, 1 - alpha))
    return _finished("general_hamming", array, dtype, device, requires_grad)


def exponential(
    M: int,
    *,
    center: float | None = None,
    tau: float = 1.0,
    sym: bool = True,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """out[n] = exp(-|n - center| / tau).

    Args:
        M: the number of elements.
        center: where the window is 1, in samples; only of windows that are not symmetric.
        tau: the distance, in samples, over which it falls to 1 / e.
        sym: symmetric; otherwise periodic.
        dtype: float32 or float64; by default the default dtype.
        device: only "cpu" here.
        requires_grad: record what is computed from it.

    Raises:
        ValueError: for a negative length, another dtype, a tau that is not positive, or a center
            of a symmetric window.

    >>> import narae
    >>> narae.signal.windows.exponential(3, tau=2.0)
    tensor([0.6065, 1.0000, 0.6065])
    """
    _length("exponential", M)
    if tau <= 0:
        raise ConfigError(explain("exponential", f"tau={tau}", "Tau must be positive"))
    if sym and center is not None:
        rule = "Center must be None for symmetric windows"
        raise ConfigError(explain("exponential", f"center={center}", rule, "give sym=False"))
    array = np.exp(-np.abs(_from_center(M, sym, center)) / tau)
    return _finished("exponential", array, dtype, device, requires_grad)


def gaussian(
    M: int,
    *,
    std: float = 1.0,
    sym: bool = True,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """out[n] = exp(-((n - center) / std)^2 / 2).

    Args:
        M: the number of elements.
        std: the standard deviation, in samples.
        sym: symmetric; otherwise periodic.
        dtype: float32 or float64; by default the default dtype.
        device: only "cpu" here.
        requires_grad: record what is computed from it.

    Raises:
        ValueError: for a negative length, another dtype, or a std that is not positive.

    >>> import narae
    >>> narae.signal.windows.gaussian(3)
    tensor([0.6065, 1.0000, 0.6065])
    """
    _length("gaussian", M)
    if std <= 0:
        rule = "Standard deviation must be positive"
        raise ConfigError(explain("gaussian", f"std={std}", rule))
    array = np.exp(-((_from_center(M, sym) / std) ** 2) / 2)
    return _finished("gaussian", array, dtype, device, requires_grad)


def kaiser(
    M: int,
    *,
    beta: float = 12.0,
    sym: bool = True,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """out[n] = i0(beta sqrt(1 - (2 n / (M - 1) - 1)^2)) / i0(beta).

    Args:
        M: the number of elements.
        beta: not negative; the larger, the narrower.
        sym: symmetric; otherwise periodic.
        dtype: float32 or float64; by default the default dtype.
        device: only "cpu" here.
        requires_grad: record what is computed from it.

    Raises:
        ValueError: for a negative length, another dtype, or a negative beta.

    Source: Kaiser and Schafer (1980), On the use of the I0-sinh window for spectrum analysis.

    >>> import narae
    >>> narae.signal.windows.kaiser(5, beta=5.0)
    tensor([0.0367, 0.5529, 1.0000, 0.5529, 0.0367])
    """
    _length("kaiser", M)
    if beta < 0:
        raise ConfigError(explain("kaiser", f"beta={beta}", "beta must be non-negative"))
    array = kaiser_shape(positions(M, sym), beta)
    return _finished("kaiser", array, dtype, device, requires_grad)
