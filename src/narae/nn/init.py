"""Filling weights before training, on the same random stream as PyTorch.

Every function works in place, without recording gradients, and returns its tensor.
"""

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from narae.base.errors import ShapeError
from narae.base.notices import warn_user
from narae.tensors import Tensor, creation, empty_like, no_grad, ones_like, where

_LINEAR = (
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "sigmoid",
)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights are scaled to make up for what a nonlinearity takes away.

    >>> calculate_gain("relu")
    1.4142135623730951
    """
    if nonlinearity in _LINEAR:
        return 1.0
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "selu":
        return 3.0 / 4
    if nonlinearity == "leaky_relu":
        if param is not None and (isinstance(param, bool) or not isinstance(param, (int, float))):
            raise ValueError(f"negative_slope {param} not a valid number")
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1 + slope**2))
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


def fans(tensor: Tensor) -> tuple[int, int]:
    """How many inputs each output depends on, and how many outputs each input reaches."""
    if tensor.ndim < 2:
        raise ShapeError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions; this "
            f"one is {tuple(tensor.shape)}"
        )
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


_calculate_fan_in_and_fan_out = fans


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    modes = ("fan_in", "fan_out")
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode} not supported, please use one of {list(modes)}")
    return fans(tensor)[modes.index(mode.lower())]


# --- random -----------------------------------------------------------------------------------

_undrawn: ContextVar[bool] = ContextVar("undrawn", default=False)


@contextmanager
def undrawn() -> Iterator[None]:
    """Build modules without drawing their weights: for those that are loaded, or only looked at.

    `uniform_`, `normal_`, `trunc_normal_` and what is made of them leave tensors as they are, which
    is whatever the memory holds; the random stream stays where it is.

    >>> import narae
    >>> narae.manual_seed(1), narae.rand(1)
    (<...>, tensor([0.7576]))
    >>> _ = narae.manual_seed(1)
    >>> with undrawn():
    ...     layer = narae.nn.Linear(30_000, 10_000)
    >>> narae.rand(1)
    tensor([0.7576])
    """
    token = _undrawn.set(True)
    try:
        yield
    finally:
        _undrawn.reset(token)


def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Any:
    """Uniform numbers in [a, b)."""
    if _undrawn.get():
        return tensor
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Any:
    """Normal numbers."""
    if _undrawn.get():
        return tensor
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(
    tensor: Any,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Any:
    """Normal numbers inside [a, b]; what falls outside is drawn again.

    Where [a, b] holds little of the distribution, candidates are uniform and kept with a
    probability in proportion to its density.
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warn_user(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of "
            "values may be incorrect."
        )
    share = _normal_share((b - mean) / std) - _normal_share((a - mean) / std)
    if _undrawn.get():
        return tensor
    with no_grad():
        if share > 0.3:
            return _drawn_again(tensor, mean, std, a, b, generator)
        return _thinned(tensor, mean, std, a, b, generator)


def _drawn_again(tensor: Any, mean: float, std: float, a: float, b: float, generator: Any) -> Any:
    low, high = (tensor.new_tensor(bound).item() for bound in (a, b))
    tensor.normal_(mean, std, generator=generator)
    while True:
        outside = (tensor < low) | (tensor > high)
        if not outside.any():
            return tensor
        again = empty_like(tensor).normal_(mean, std, generator=generator)
        tensor.copy_(where(outside, again, tensor))


def _thinned(tensor: Any, mean: float, std: float, a: float, b: float, generator: Any) -> Any:
    """Rejection sampling: a candidate stays when log(uniform) is below its log density."""
    peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2
    waiting = ones_like(tensor).bool()
    while waiting.any():
        candidates = empty_like(tensor).uniform_(a, b, generator=generator)
        tensor.copy_(where(waiting, candidates, tensor))
        density = ((candidates - mean) / std) ** 2 * -0.5 - peak
        rejected = empty_like(tensor).uniform_(generator=generator).log() > density
        waiting = waiting & rejected
    return tensor


def _normal_share(x: float) -> float:
    """The share of the standard normal distribution below x."""
    return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """Uniform in ±gain √(6 / (fan_in + fan_out)).

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural
    networks (2010), equation 16.
    """
    bound = math.sqrt(3.0) * gain * math.sqrt(2.0 / float(sum(fans(tensor))))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """Normal with standard deviation gain √(2 / (fan_in + fan_out)); Glorot and Bengio (2010)."""
    std = gain * math.sqrt(2.0 / float(sum(fans(tensor))))
    return normal_(tensor, 0.0, std, generator)


def _kaiming_std(tensor: Any, a: float, mode: str, nonlinearity: str) -> float:
    return calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode))


def _is_empty(tensor: Any) -> bool:
    if 0 not in tensor.shape:
        return False
    warn_user("Initializing zero-element tensors is a no-op")
    return True


def kaiming_uniform_(
    tensor: Any,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Any:
    """Uniform in ±gain √(3 / fan).

    Source: He, Zhang, Ren and Sun, Delving deep into rectifiers (2015), equation 14.
    """
    if _is_empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Any,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Any:
    """Normal with standard deviation gain / √fan; He et al. (2015), equation 14."""
    if _is_empty(tensor):
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Any, gain: float = 1, generator: Any = None) -> Any:
    """Rows (or columns) that are orthonormal: the Q of a QR decomposition of normal numbers.

    Source: Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks (2013).
    """
    import numpy as np

    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
    with no_grad():
        noise = tensor.detach().reshape(rows, columns).clone().normal_(0, 1, generator=generator)
        flat = noise._array.T if rows < columns else noise._array
        q, r = np.linalg.qr(flat)
        q = q * np.sign(np.diag(r))  # makes Q uniform (Mezzadri 2007)
        q = np.ascontiguousarray(q.T if rows < columns else q)
        return tensor.copy_(creation.constant(q.reshape(tuple(tensor.shape)))).mul_(gain)


def sparse_(tensor: Any, sparsity: float, std: float = 0.01, generator: Any = None) -> Any:
    """Normal numbers, a share of which is set to zero in every column; Martens (2010)."""
    from narae.tensors import randperm

    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    with no_grad():
        tensor.normal_(0, std, generator=generator)
        for column in range(columns):
            tensor[randperm(rows)[:zeros], column] = 0
    return tensor


# --- fixed ------------------------------------------------------------------------------------


def constant_(tensor: Any, val: float) -> Any:
    """One number everywhere."""
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Any) -> Any:
    """Ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Any) -> Any:
    """Zeros."""
    return constant_(tensor, 0.0)


def eye_(tensor: Any) -> Any:
    """Ones on the diagonal of a matrix."""
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    with no_grad():
        return tensor.copy_(creation.eye(*tensor.shape))


def dirac_(tensor: Any, groups: int = 1) -> Any:
    """A convolution weight that passes on as many channels as it can.

    Raises:
        ValueError: for other than 3 to 5 dimensions, or groups that do not divide the channels.
    """
    import numpy as np

    if tensor.ndim not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    shape = tuple(tensor.shape)
    if shape[0] % groups:
        raise ValueError(
            f"dim 0 must be divisible by groups: {shape[0]} is not divisible by {groups}"
        )
    per_group = shape[0] // groups
    centre = tuple(size // 2 for size in shape[2:])
    weights = np.zeros(shape, tensor._array.dtype)
    for group in range(groups):
        for channel in range(min(per_group, shape[1])):
            weights[(group * per_group + channel, channel, *centre)] = 1
    with no_grad():
        return tensor.copy_(creation.constant(weights))


# --- names of old -----------------------------------------------------------------------------


def _older(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function under its older name, without the underscore; it warns."""
    new = function.__name__
    old = new[:-1]

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        warn_user(f"`nn.init.{old}` is now deprecated in favor of `nn.init.{new}`.", FutureWarning)
        return function(*args, **kwargs)

    run.__name__ = run.__qualname__ = old
    run.__doc__ = f"The older name of `{new}`."
    return run


uniform, normal, constant = _older(uniform_), _older(normal_), _older(constant_)
eye, dirac = _older(eye_), _older(dirac_)
xavier_uniform, xavier_normal = _older(xavier_uniform_), _older(xavier_normal_)
kaiming_uniform, kaiming_normal = _older(kaiming_uniform_), _older(kaiming_normal_)
orthogonal, sparse = _older(orthogonal_), _older(sparse_)

__all__ = [
    "calculate_gain",
    "constant",
    "constant_",
    "dirac",
    "dirac_",
    "eye",
    "eye_",
    "kaiming_normal",
    "kaiming_normal_",
    "kaiming_uniform",
    "kaiming_uniform_",
    "normal",
    "normal_",
    "ones_",
    "orthogonal",
    "orthogonal_",
    "sparse",
    "sparse_",
    "trunc_normal_",
    "uniform",
    "uniform_",
    "xavier_normal",
    "xavier_normal_",
    "xavier_uniform",
    "xavier_uniform_",
    "zeros_",
]
