"""The order and the places of frequencies; `narae.fft` is their address.

Fourier transforms themselves are out of scope: their results are complex.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from narae.base.dtypes import as_numpy, default_dtype, is_floating
from narae.base.errors import DTypeError, ShapeError, explain
from narae.base.shapes import normalize_dim

from .creation import constant
from .devices import check_device
from .operands import deliver, require_tensor
from .rearranging import roll
from .tensor import Tensor

__all__ = ["fftfreq", "fftshift", "ifftshift", "rfftfreq"]

Dims = int | Sequence[int] | None


def fftshift(input: Tensor, dim: Dims = None) -> Tensor:
    """Move the frequency zero from the start to the middle.

    Args:
        input: any shape.
        dim: one or several dimensions; all of them by default.

    >>> import narae
    >>> narae.fft.fftshift(narae.fft.fftfreq(5, d=0.2))
    tensor([-2., -1.,  0.,  1.,  2.])
    """
    require_tensor(input, "fftshift")
    dims = _dims(input, dim)
    return roll(input, [input.shape[i] // 2 for i in dims], dims) if dims else input.clone()


def ifftshift(input: Tensor, dim: Dims = None) -> Tensor:
    """Undo `fftshift`: move the middle to the start.

    Args:
        input: any shape.
        dim: one or several dimensions; all of them by default.

    >>> import narae
    >>> narae.fft.ifftshift(narae.tensor([-2, -1, 0, 1, 2]))
    tensor([ 0,  1,  2, -2, -1])
    """
    require_tensor(input, "ifftshift")
    dims = _dims(input, dim)
    return roll(input, [(input.shape[i] + 1) // 2 for i in dims], dims) if dims else input.clone()


def _dims(input: Tensor, dim: Dims) -> list[int]:
    if dim is None:
        return list(range(input.ndim))
    given = [dim] if isinstance(dim, int) else list(dim)
    return [normalize_dim(i, input.ndim) for i in given]


def fftfreq(
    n: int,
    d: float = 1.0,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The frequencies of a transform of n samples, in the order in which it gives them.

    [0, 1, ..., (n - 1) // 2, -(n // 2), ..., -1] / (d n)

    Args:
        n: the number of samples.
        d: the time between two samples, in seconds for frequencies in hertz.
        out: a tensor to write the result into.
        dtype: floating point; by default the default dtype.
        device: only "cpu" here.
        requires_grad: record what is computed from it.

    Raises:
        RuntimeError: for a negative n, or integers.

    >>> import narae
    >>> narae.fft.fftfreq(4, d=0.5)
    tensor([ 0.0000,  0.5000, -1.0000, -0.5000])
    """
    whole = np.arange(n if n > 0 else 0)
    whole[(n + 1) // 2 :] -= n
    return _frequencies("fftfreq", whole, n, d, out, dtype, device, requires_grad)


def rfftfreq(
    n: int,
    d: float = 1.0,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The frequencies that are not negative: [0, 1, ..., n // 2] / (d n).

    Args:
        n: the number of samples.
        d: the time between two samples, in seconds for frequencies in hertz.
        out: a tensor to write the result into.
        dtype: floating point; by default the default dtype.
        device: only "cpu" here.
        requires_grad: record what is computed from it.

    Raises:
        RuntimeError: for a negative n, or integers.

    >>> import narae
    >>> narae.fft.rfftfreq(4, d=0.5)
    tensor([0.0000, 0.5000, 1.0000])
    """
    whole = np.arange(n // 2 + 1 if n >= 0 else 0)
    return _frequencies("rfftfreq", whole, n, d, out, dtype, device, requires_grad)


def _frequencies(
    name: str,
    whole: Any,
    n: int,
    d: float,
    out: Tensor | None,
    dtype: Any,
    device: Any,
    requires_grad: bool,
) -> Tensor:
    check_device(device)
    if n < 0:
        raise ShapeError(explain(name, f"n={n}", "the number of samples cannot be negative"))
    wanted = as_numpy(dtype) if dtype is not None else default_dtype()
    if not is_floating(wanted):
        raise DTypeError(explain(name, f"dtype={dtype}", f"{name} needs floating point numbers"))
    with np.errstate(all="ignore"):
        array = whole * np.divide(1.0, n * d)
    result = deliver(constant(array.astype(wanted)), out, name)
    return result.requires_grad_() if requires_grad else result
