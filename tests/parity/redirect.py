"""PyTorch's callables, found or rebuilt on Narae.

`torch.add` becomes `narae.add`, and a small wrapper such as `lambda x, n: torch.polygamma(n, x)` is
the same code with another meaning of the name `torch`.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import types
import unittest

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from narae.testing import to_narae, to_numpy  # noqa: E402


class Absent(Exception):
    """Narae has no function of that name."""


class Unsupported(Exception):
    """A sample that is out of scope: complex, sparse, quantized, on another device."""


def load_databases() -> None:
    """Let PyTorch's test databases be imported without a package that only their tests need."""
    try:
        import expecttest  # noqa: F401
    except ImportError:
        stand_in = types.ModuleType("expecttest")
        stand_in.TestCase = unittest.TestCase
        sys.modules["expecttest"] = stand_in


load_databases()

# ------------------------------------------------------------------------------------- callables
NAMESPACES = (
    "",
    "nn.functional",
    "linalg",
    "special",
    "fft",
    "masked",
    "signal.windows",
    "Tensor",
)
DROPPED = (torch.layout, torch.memory_format, torch.Generator)


def torch_attribute(path):
    return functools.reduce(getattr, path.split("."), torch) if path else torch


def narae_attribute(path):
    """The object of a dotted name under narae.

    Raises:
        Absent: naming what is missing.
    """
    found = narae
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except (AttributeError, ModuleNotFoundError):
            raise Absent(f"narae.{path}") from None
    return found


@functools.cache
def _paths():
    """Names of PyTorch's public callables by identity."""
    paths = {}
    for space in NAMESPACES:
        names = torch_attribute(space)
        for name in dir(names):
            if name.startswith("_") and not (space == "Tensor" and name.startswith("__")):
                continue
            value = getattr(names, name, None)
            if callable(value):
                paths.setdefault(id(value), (f"{space}.{name}" if space else name, value))
    return paths


def path_of(function, hint=""):
    """The dotted name of a callable of PyTorch, the hint first; None for an unknown one."""
    try:
        if hint and torch_attribute(hint) is function:
            return hint
    except AttributeError:
        pass
    path, value = _paths().get(id(function), (None, None))
    return path if value is function else None


def twin(function, hint=""):
    """What a callable of PyTorch is on Narae.

    Raises:
        Absent: when Narae does not have it.
    """
    path = path_of(function, hint)
    if path is not None:
        return narae_attribute(path)
    if isinstance(function, torch._ops.OpOverload):  # such as torch.ops.aten.slice.Tensor
        return narae_attribute(f"ops.aten.{function._opname}")
    if isinstance(function, functools.partial):
        return functools.partial(twin(function.func), *function.args, **function.keywords)
    if isinstance(function, types.FunctionType):
        return rebuilt(function)
    module = getattr(function, "__module__", None)
    if module in ("_operator", "builtins", "operator") or isinstance(function, type):
        return function
    raise Absent(f"{hint or function!r}")


class _Namespace:
    """Stands for `torch` inside a rebuilt function."""

    def __init__(self, path=""):
        self._path = path

    def __getattr__(self, name):
        path = f"{self._path}.{name}" if self._path else name
        spaces = ("nn", "linalg", "special", "Tensor", "nn.functional", "masked", "ops", "ops.aten")
        if path in spaces:
            return _Namespace(path)
        if path.startswith("ops.aten.") and path.endswith(".default"):
            return narae_attribute(path.removesuffix(".default"))
        if path.startswith("ops.aten."):
            return _Namespace(path)
        return narae_attribute(path)


def _seeded(function, *args, **kwargs):
    """What PyTorch's `wrapper_set_seed` does: the same stream before each call."""
    narae.manual_seed(42)
    return function(*args, **kwargs)


def rebuilt(function):
    """The same code, where the name `torch` means Narae."""
    scope = dict(function.__globals__)
    scope["torch"], scope["F"] = _Namespace(), _Namespace("nn.functional")
    scope["wrapper_set_seed"] = _seeded
    for name in function.__code__.co_names:
        helper = scope.get(name)
        if isinstance(helper, types.FunctionType) and helper is not _seeded:
            if (helper.__module__ or "").startswith("torch.testing"):
                scope[name] = rebuilt(helper) if helper is not function else function
    copy = types.FunctionType(
        function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


# --------------------------------------------------------------------------------------- samples
def fresh(x):
    """A structure of PyTorch's in which every tensor is a leaf of its own."""

    def leaf(tensor):
        if tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise Unsupported(f"{tensor.layout} on {tensor.device}")
        return tensor.detach().clone().requires_grad_(tensor.requires_grad)

    return _mapped(x, leaf, {}, lambda other: other)


def converted(x, memo=None):
    """A structure of PyTorch's tensors, dtypes and sizes as one of Narae's.

    Args:
        x: tensors, numbers, containers of them.
        memo: what became of each tensor, by its id.
    """

    def other(value):
        if isinstance(value, torch.dtype):
            return narae_dtype(value)
        if isinstance(value, torch.device):
            if value.type != "cpu":
                raise Unsupported(str(value))
            return value.type
        if isinstance(value, complex):
            raise Unsupported("complex numbers")
        if isinstance(value, torch.nn.Module):
            return _converted_module(value)
        if callable(value) and path_of(value) is not None:
            return twin(value)
        if dataclasses.is_dataclass(value) and type(value).__module__.startswith("torch.nn"):
            fields = {f.name: other(getattr(value, f.name)) for f in dataclasses.fields(value)}
            return narae_attribute(f"nn.{type(value).__name__}")(**fields)
        return value

    return _mapped(x, _converted_tensor, {} if memo is None else memo, other)


def _converted_tensor(tensor):
    if tensor.is_complex() or tensor.is_quantized or tensor.layout != torch.strided:
        raise Unsupported(f"{tensor.dtype}, {tensor.layout}")
    if tensor.device.type != "cpu" or tensor.ndim > 64:
        raise Unsupported(f"{tensor.ndim} dimensions on {tensor.device}")
    return to_narae(tensor)


def _converted_module(module):
    """A module without parameters: the same class with the same settings."""
    if isinstance(module, torch.nn.TransformerEncoderLayer):
        return _converted_encoder_layer(module)
    out = narae_attribute(f"nn.{type(module).__name__}")()
    for name, value in vars(module).items():
        if not name.startswith("_") and isinstance(value, (bool, int, float, str)):
            setattr(out, name, value)
    return out


def _converted_encoder_layer(module):
    """The layer that a `TransformerEncoder` copies, with its weights."""
    heads, norm = module.self_attn, module.norm1
    out = narae_attribute("nn.TransformerEncoderLayer")(
        heads.embed_dim,
        heads.num_heads,
        dim_feedforward=module.linear1.out_features,
        dropout=module.dropout.p,
        activation=twin(module.activation),
        layer_norm_eps=norm.eps,
        batch_first=heads.batch_first,
        norm_first=module.norm_first,
        bias=norm.bias is not None,
        dtype=narae_dtype(norm.weight.dtype),
    )
    out.load_state_dict({key: to_narae(value) for key, value in module.state_dict().items()})
    return out


def narae_dtype(dtype):
    name = str(dtype).removeprefix("torch.")
    if not hasattr(narae, name):
        raise Unsupported(name)
    return getattr(narae, name)


def _mapped(x, on_tensor, memo, other):
    if isinstance(x, torch.Tensor):
        if id(x) not in memo:
            memo[id(x)] = (on_tensor(x), x)  # the tensor is kept so that its id stays its own
        return memo[id(x)][0]
    if isinstance(x, torch.Size):
        return tuple(x)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*[_mapped(item, on_tensor, memo, other) for item in x])
    if isinstance(x, (list, tuple)):
        return type(x)(_mapped(item, on_tensor, memo, other) for item in x)
    if isinstance(x, dict):
        return {key: _mapped(item, on_tensor, memo, other) for key, item in x.items()}
    return other(x)


def without_places(kwargs):
    """Keyword arguments without layouts, memory formats and generators."""
    return {key: value for key, value in kwargs.items() if not isinstance(value, DROPPED)}


def leaves(x):
    """The tensors of a structure, each once, in order of appearance."""
    found = {}
    _mapped(x, lambda tensor: tensor, found, lambda other: other)
    return [tensor for _, tensor in found.values()]


# --------------------------------------------------------------------------------------- results
def flattened(result):
    """The tensors and numbers of a result in order."""
    if isinstance(result, (torch.Size, narae.Size)):
        return [np.asarray(tuple(result), np.int64)]
    if isinstance(result, (list, tuple)):
        return [leaf for item in result for leaf in flattened(item)]
    return [result]


def is_tensor(x):
    return isinstance(x, (torch.Tensor, narae.Tensor))


def same_kind(actual, expected):
    """Whether both are tensors, or both numbers of one Python type."""
    if is_tensor(actual) or is_tensor(expected):
        return isinstance(actual, narae.Tensor) and isinstance(expected, torch.Tensor)
    if isinstance(expected, torch.dtype):
        return actual is narae_dtype(expected)
    return type(actual) is type(expected)


def numbers(x):
    """The numbers of a result; None for what is not one."""
    return to_numpy(x) if is_tensor(x) or isinstance(x, (bool, int, float, np.ndarray)) else None
