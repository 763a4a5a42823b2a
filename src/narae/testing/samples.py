"""Operands and attributes to try every primitive with: one table that all checks share.

Floating point operands are written in float64 and converted to the dtype that is asked for. They
have no ties and keep away from kinks, so that differences can be trusted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from narae.ir import Program, trace
from narae.primitives import REGISTRY, Primitive
from narae.primitives import elementwise as e

FLOAT64, INT64 = np.dtype(np.float64), np.dtype(np.int64)
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Sample:
    """One call of a primitive.

    Attributes:
        operands: arrays, Python numbers, or None for an absent operand.
        attrs: attributes; a function of the dtype stands for a program that depends on it.
        fixed: places of floating point operands that get no gradient.
        orders: how many times it can be differentiated here; 0 leaves it out of gradient checks.
        symmetric: places of symmetric matrices, of which only symmetric changes are tried.
        lower: places of lower triangular matrices, of which only that triangle is changed.
    """

    operands: tuple[Any, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    fixed: tuple[int, ...] = ()
    orders: int = 2
    symmetric: tuple[int, ...] = ()
    lower: tuple[int, ...] = ()

    def in_dtype(self, dtype: Any) -> "Sample":
        """The sample with its float64 operands in another dtype."""
        operands = tuple(_converted(operand, dtype) for operand in self.operands)
        attrs = {key: x(dtype) if callable(x) else x for key, x in self.attrs.items()}
        return Sample(operands, attrs, self.fixed, self.orders, self.symmetric, self.lower)

    def differentiable(self) -> list[int]:
        """The places of the operands that get gradients."""
        return [
            place
            for place, operand in enumerate(self.operands)
            if isinstance(operand, np.ndarray)
            and operand.dtype == FLOAT64
            and place not in self.fixed
        ]


def _converted(operand: Any, dtype: Any) -> Any:
    if not isinstance(operand, np.ndarray) or operand.dtype != FLOAT64:
        return operand
    converted = np.empty_like(operand, dtype=dtype)  # keeps the order in memory
    converted[...] = operand
    return converted


TABLE: dict[str, list[Sample]] = {}


def add_sample(
    name: str,
    *operands: Any,
    fixed: tuple[int, ...] = (),
    orders: int = 2,
    symmetric: tuple[int, ...] = (),
    lower: tuple[int, ...] = (),
    **attrs: Any,
) -> None:
    """Put a sample into the table."""
    TABLE.setdefault(name, []).append(Sample(operands, attrs, fixed, orders, symmetric, lower))


def samples_of(primitive: Primitive, dtype: Any = FLOAT64) -> list[Sample]:
    """The samples of a primitive in a dtype."""
    from . import (  # noqa: F401  (they fill the table)
        samples_of_attention,
        samples_of_composites,
        samples_of_linear_algebra,
        samples_of_losses,
        samples_of_resizing,
        samples_of_special,
    )

    return [sample.in_dtype(np.dtype(dtype)) for sample in TABLE.get(primitive.name, [])]


def without_sample() -> list[str]:
    """The names of primitives that the table lacks."""
    return [name for name, record in REGISTRY.items() if not samples_of(record)]


def array(*shape: int, low: float = -1.9, high: float = 1.9) -> Array:
    """Different numbers between low and high, evenly spread, in an order that looks random."""
    count = int(np.prod(shape))
    spread = low + (high - low) * (np.arange(count) + 0.37) / max(count, 1)
    order = np.random.default_rng(count).permutation(count)
    return np.asarray(spread[order].reshape(shape))


def turned(x: Array) -> Array:
    """The same array with its memory in the opposite order."""
    return np.asfortranarray(x) if x.ndim > 1 else np.repeat(x, 2)[::2]


def index(*shape: int, below: int, repeated: bool = True) -> Array:
    """Positions below a bound."""
    count = int(np.prod(shape))
    random = np.random.default_rng(count + below)
    if repeated:
        return random.integers(0, below, shape)
    return random.permuted(np.tile(np.arange(below), (count // below, 1)), axis=1).reshape(shape)


# --- element by element ---------------------------------------------------------------------

_DOMAINS: dict[str, tuple[float, float]] = {
    "log": (0.2, 3),
    "log1p": (-0.7, 2),
    "sqrt": (0.3, 3),
    "rsqrt": (0.3, 3),
    "tan": (-1.2, 1.2),
    "asin": (-0.9, 0.9),
    "acos": (-0.9, 0.9),
    "acosh": (1.2, 3),
    "atanh": (-0.8, 0.8),
    "erfinv": (-0.8, 0.8),
    "lgamma": (0.3, 4),
    "digamma": (0.4, 4),
}
_UNARY = (
    "neg abs sign floor ceil round trunc exp expm1 log log1p sqrt rsqrt sigmoid sin cos tan asin "
    "acos atan sinh cosh tanh asinh acosh atanh erf erfc erfinv lgamma digamma copy detach"
)


def unary_samples(name: str, low: float = -1.9, high: float = 1.9, /, **more: Any) -> None:
    """Samples of a function of one operand: several shapes, 0-d, empty, not contiguous."""
    for x in (array(2, 3, low=low, high=high), array(low=low, high=high), np.zeros((0, 2))):
        add_sample(name, x, **more)
    add_sample(name, turned(array(3, 2, low=low, high=high)), **more)


def binary_samples(name: str, first: Array, second: Array, numbers: bool = True) -> None:
    """Samples of a function of two operands; `first` and `second` are (2, 3)."""
    add_sample(name, first, second)
    add_sample(name, turned(first), second[:1])
    add_sample(name, first[:, :1], second[0])
    add_sample(name, np.array(first[0, 0]), second[1])
    add_sample(name, np.zeros((0, 3)), second[:1])
    if numbers:
        add_sample(name, first, 2)
        add_sample(name, 1.5, second)


for _name in _UNARY.split():
    unary_samples(_name, *_DOMAINS.get(_name, (-1.9, 1.9)))
unary_samples("polygamma", 0.4, 4, order=1)
unary_samples("polygamma", 0.6, 4, order=2)
unary_samples("cast", dtype=FLOAT64)
for _dtype in (np.float32, np.int64, np.bool_):
    add_sample("cast", array(2, 3), dtype=np.dtype(_dtype), orders=0)

_X, _Y = array(2, 3), array(2, 3, low=0.55, high=2.2)
for _name in ["add", "sub", "mul", "div", "remainder", "fmod", "atan2", "maximum", "minimum"]:
    binary_samples(_name, _X, _Y)
binary_samples("pow", np.abs(_X) + 0.3, _Y)
for _power in (0, 1, 2, 3, -1, 0.5):
    add_sample("pow", np.abs(_X) + 0.3, _power)
add_sample("pow", _X, 3)
for _name in ["eq", "ne", "lt", "le", "floor_divide"]:
    binary_samples(_name, _X, _Y)
    add_sample(_name, index(2, 3, below=4), index(2, 3, below=5) + 1)

_BITS = index(2, 3, below=100), index(2, 3, below=7)
for _name in ["and", "or", "xor", "shift_left", "shift_right"]:
    add_sample(_name, *_BITS)
    add_sample(_name, _BITS[0].astype(np.int32), 3)
    if not _name.startswith("shift"):
        add_sample(_name, _BITS[0] > 50, _BITS[1] > 3)
add_sample("not", _BITS[0])
add_sample("not", _BITS[0] > 50)

_MASK = _BITS[0] > 50
add_sample("where", _MASK, _X, _Y)
add_sample("where", _MASK[0], _X[:, :1], 0.0)
add_sample("where", _MASK, 1.0, _Y[0])
add_sample("where", np.array(True), _X, _Y)

# --- generators -----------------------------------------------------------------------------

for _kind in ("float64", "float32", "int64", "bool"):
    add_sample("full", shape=(2, 3), value=1, dtype=np.dtype(_kind))
add_sample("full", shape=(), value=0.5, dtype=FLOAT64)
add_sample("iota", size=5, dtype=INT64)
add_sample("iota", size=0, dtype=FLOAT64)
add_sample("random_bits", np.array(7, np.uint64), shape=(3, 5))
add_sample("random_bits", np.array(7, np.uint64), shape=())

# --- movement -------------------------------------------------------------------------------

_C = array(2, 3, 4)
for _shape in ((6, 4), (24,), (2, 1, 3, 4)):
    add_sample("reshape", _C, shape=_shape)
add_sample("reshape", array(1), shape=())
add_sample("reshape", turned(array(2, 3)), shape=(3, 2))
add_sample("permute", _C, dims=(2, 0, 1))
add_sample("permute", array(), dims=())
add_sample("expand", array(2, 1), shape=(3, 2, 4))
add_sample("expand", array(), shape=(2, 2))
add_sample("expand", array(1, 2), shape=(0, 2))
add_sample("slice", _C, start=(0, 1, 0), stop=(2, 3, 4), step=(1, 1, 2))
add_sample("slice", turned(_X), start=(1, 1), stop=(1, 3), step=(1, 1))
add_sample("update_slice", _X, array(1, 2), start=(1, 0), stop=(2, 3), step=(1, 2))
add_sample("pad", _X, low=(0, 1), high=(2, 0), value=0.0)
add_sample("pad", np.zeros((0,)), low=(1,), high=(1,), value=1.5)
add_sample("flip", _C, dim=(0, 2))
add_sample("flip", turned(_X), dim=(1,))
add_sample("concat", _X, array(2, 2), dim=1)
add_sample("concat", _X, np.zeros((0, 3)), array(1, 3), dim=0)
for _offset in (-1, 0, 2, 5):
    add_sample("diagonal", array(3, 4), offset=_offset, dim1=0, dim2=1)
add_sample("diagonal", _C, offset=1, dim1=2, dim2=0)
add_sample("update_diagonal", array(3, 4), array(3), offset=1, dim1=0, dim2=1)
add_sample("windows", array(2, 5), dim=1, size=3, step=1)
add_sample("windows", array(5, 2), dim=0, size=2, step=2)
add_sample("fold_windows", array(2, 3, 3), x_shape=(2, 5), dim=1, size=3, step=1)
add_sample("fold_windows", array(2, 2, 2), x_shape=(5, 2), dim=0, size=2, step=2)

# --- contractions and windows ---------------------------------------------------------------

add_sample("matmul", array(2, 3), array(3, 4))
add_sample("matmul", array(2, 1, 2, 3), array(4, 3, 2))
add_sample("matmul", turned(array(2, 3)), turned(array(3, 2)))
add_sample("matmul", np.zeros((2, 0)), np.zeros((0, 3)))
_CONV: list[tuple[Any, Any, dict[str, Any]]] = [
    ((2, 2, 5), (3, 2, 3), {"stride": (1,), "padding": ((1, 1),), "dilation": (1,), "groups": 1}),
    (
        (1, 2, 5, 4),
        (2, 1, 3, 2),
        {"stride": (2, 1), "padding": ((1, 0), (0, 1)), "dilation": (1, 2), "groups": 2},
    ),
    (
        (1, 1, 3, 3, 3),
        (1, 1, 2, 2, 2),
        {"stride": (1, 1, 2), "padding": ((0, 0),) * 3, "dilation": (1, 1, 1), "groups": 1},
    ),
]


def _conv_samples() -> None:
    from narae.primitives import conv

    for x_shape, w_shape, attrs in _CONV:
        x, w = array(*x_shape), array(*w_shape)
        out = array(*conv.infer((x, w), attrs)[0][0])
        add_sample("conv", x, w, **attrs)
        add_sample("conv_grad_x", out, w, x_shape=x_shape, **attrs)
        add_sample("conv_grad_w", out, x, w_shape=w_shape, **attrs)


_conv_samples()
POOLS: list[tuple[Any, dict[str, Any]]] = [
    ((2, 1, 6), {"kernel": (2,), "stride": (2,), "padding": ((0, 0),), "dilation": (1,)}),
    (
        (1, 2, 5, 4),
        {"kernel": (3, 2), "stride": (2, 1), "padding": ((1, 1), (0, 1)), "dilation": (1, 2)},
    ),
]
for _shape, _attrs in POOLS:
    add_sample("max_pool", array(*_shape), **_attrs)
    add_sample("window_sum", array(*_shape), **_attrs)
add_sample("max_pool_grad", array(1, 1, 3), np.array([[[1, 1, 5]]]), x_shape=(1, 1, 6))
add_sample("window_sum_grad", array(2, 1, 3), x_shape=(2, 1, 6), **POOLS[0][1])

# --- indexing, ordering, running totals, reductions -----------------------------------------

add_sample("take", _C, index(5, below=3), dim=1)
add_sample("take", _X, index(2, 2, below=2), dim=0)
add_sample("take", _X, np.zeros((0,), np.int64), dim=1)
add_sample("take", _X, np.array(2), dim=1)
add_sample("index_add", _C, index(5, below=3), array(2, 5, 4), dim=1)
add_sample("gather", _C, index(2, 2, 4, below=3), dim=1)
add_sample("gather", turned(_X), index(2, 5, below=3), dim=1)
add_sample("scatter_add", _X, index(2, 5, below=3), array(2, 5), dim=1)
add_sample("scatter", _X, index(2, 3, below=3, repeated=False), array(2, 3, low=3, high=5), dim=1)
add_sample("scatter", _X, np.zeros((2, 0), np.int64), np.zeros((2, 0)), dim=1)
for _x in (_C, turned(_C), np.zeros((2, 0, 3))):
    add_sample("sort", _x, dim=1, descending=False)
    add_sample("cumsum", _x, dim=1)
    add_sample("cumprod", _x, dim=1)
    add_sample("cummax", _x, dim=1)
    add_sample("cummin", _x, dim=1)
    add_sample("sum", _x, dim=(0, 2), keepdim=True)
    add_sample("prod", _x, dim=(1,), keepdim=False)
add_sample("sort", _C, dim=2, descending=True)
add_sample("topk", _C, k=2, dim=2, largest=True)
add_sample("topk", _C, k=3, dim=1, largest=False)
_ZEROS = np.array([[0.0, 1.5, 0.7], [0.3, 0.0, 0.0], [1.2, 0.0, 0.8]])
add_sample("cumprod", _ZEROS, dim=1, orders=1)
add_sample("prod", _ZEROS, dim=(1,), keepdim=False, orders=1)
for _name in ["sum", "amax", "amin"]:
    add_sample(_name, _C, dim=(0, 1, 2), keepdim=False)
    add_sample(_name, turned(_C), dim=(2,), keepdim=True)
    add_sample(_name, array(), dim=(), keepdim=False)
for _name in ["argmax", "argmin"]:
    add_sample(_name, _C, dim=(1,), keepdim=True)
    add_sample(_name, turned(_C), dim=(2,), keepdim=False)

# --- control --------------------------------------------------------------------------------


def _call_body(dtype: Any) -> Program:
    metas = [((2, 3), dtype), ((3,), dtype)]
    return trace(lambda x, y: (e.mul(e.sin(x), y), e.exp(y)), metas, "body")


def scan_body(dtype: Any) -> Program:
    """A recurrent cell: h' = tanh(w * h + x), y = h' * x, with one constant and one carry."""

    def step(w: Any, h: Any, x: Any) -> Sequence[Any]:
        new = e.tanh(e.add(e.mul(w, h), x))
        return new, e.mul(new, x)

    return trace(step, [((2,), dtype)] * 3, "cell")


add_sample("call", array(2, 3), array(3), body=_call_body)
for _length, _reverse in ((4, False), (3, True), (1, False), (0, False)):
    add_sample(
        "scan",
        array(2),
        array(2, low=-0.7, high=0.6),
        array(_length, 2),
        body=scan_body,
        constants=1,
        carries=1,
        length=_length,
        reverse=_reverse,
    )
