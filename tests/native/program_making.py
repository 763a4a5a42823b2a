"""Random programs for tests: walks over primitives, and their gradients.

A program's values stay small and smooth, so that another order of sums changes little. What is not
smooth (comparisons, places of the largest) reads *exact* values only: inputs and what was moved.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from narae import primitives as p
from narae.autograd.vjp import vjp_program
from narae.ir import Program, Value, evaluate, trace
from narae.ir.builder import Builder, building

Array = np.ndarray[Any, Any]
SIZES = (1, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33)
INT64, BOOL = np.dtype(np.int64), np.dtype(bool)


class Making:
    """A program in the making.

    Args:
        below: a choice: a whole number from 0 to n - 1.
        dtype: of its floating point values.
        sizes, most: what sizes new inputs have, and how many elements they have at most.
    """

    def __init__(
        self,
        below: Callable[[int], int],
        dtype: Any = np.float64,
        sizes: Sequence[int] = SIZES,
        most: int = 3000,
    ) -> None:
        self.below, self.dtype = below, np.dtype(dtype)
        self.sizes, self.most = sizes, most
        self.builder = Builder("random")
        self.arrays: list[Array] = []
        self.pool: list[Value] = []
        self.exact: set[int] = set()
        self.random = np.random.default_rng(below(1000))

    # --- choices ----------------------------------------------------------------------------

    def of(self, items: Sequence[Any]) -> Any:
        """One of some things."""
        return items[self.below(len(items))]

    def chance(self, one_in: int = 2) -> bool:
        """True once in so many times."""
        return self.below(one_in) == 0

    def shape(self, rank: int | None = None) -> tuple[int, ...]:
        """A shape that is not too large."""
        sizes: list[int] = []
        for _ in range(self.below(5) if rank is None else rank):
            fitting = [n for n in self.sizes if n * prod(sizes) <= self.most]
            sizes.append(self.of(fitting))
        return tuple(sizes)

    def value(self, rank: int | None = None, exact: bool = False) -> Value:
        """A floating point value of the program, or a new input."""
        fitting = [
            x
            for x in self.pool[-6:] + self.pool[:2]
            if x.dtype == self.dtype
            and (rank is None or len(x.shape) == rank)
            and (not exact or id(x) in self.exact)
        ]
        if not fitting or self.chance(6):
            return self.input(self.shape(rank))
        return self.of(fitting)

    def input(self, shape: Sequence[int]) -> Value:
        """A new floating point input."""
        size = prod(shape)
        spread = np.linspace(-1.4, 1.6, size) if size else np.zeros(0)
        array = self.random.permutation(spread).reshape(shape)
        return self.raw(array.astype(self.dtype))

    def indices(self, shape: Sequence[int], size: int) -> Value:
        """A new input of places below a size."""
        dtype = self.of([np.int64, np.int64, np.int32])
        return self.raw(self.random.integers(0, size, tuple(shape)).astype(dtype))

    def raw(self, array: Array) -> Value:
        """A new input of any dtype."""
        value = self.builder.input(array.shape, array.dtype, f"x{len(self.arrays)}")
        self.arrays.append(array)
        self.exact.add(id(value))
        if array.dtype == self.dtype:
            self.pool.append(value)
        return value

    # --- the walk ---------------------------------------------------------------------------

    def step(self) -> None:
        """One more operation; nothing where it does not fit."""
        made = self.of(STEPS)(self)
        for value in made if isinstance(made, tuple) else (made,):
            if isinstance(value, Value) and value.size <= 7 * self.most:
                self.pool.append(value)

    def moved(self, value: Any, *sources: Value) -> Any:
        """A value that holds elements of others, exact if they are."""
        if all(id(x) in self.exact for x in sources):
            self.exact.add(id(value))
        return value

    def program(self, length: int) -> tuple[Program, list[Array]]:
        """A program of so many operations, and arrays for its inputs."""
        with building(self.builder):
            self.input(self.shape())
            for _ in range(length):
                self.step()
            outputs = [self.of(self.pool) for _ in range(1 + self.below(3))]
            outputs.append(self.pool[-1])
            program = self.builder.finish(outputs)
        return program, self.arrays


def with_gradients(program: Program) -> Program:
    """A program that also gives the gradients of all floating point inputs."""
    needs = [x.dtype.kind not in "iub" for x in program.inputs]
    backward = vjp_program(program, needs)
    builder = Builder("step")
    with building(builder):
        inputs = [builder.input(x.shape, x.dtype, x.name) for x in program.inputs]
        outputs = evaluate(program, inputs)
        grads = [
            p.full(shape=tuple(x.shape), value=0.5 + 0.25 * n, dtype=x.dtype)
            for n, x in enumerate(outputs)
            if x.dtype.kind not in "iub"
        ]
        return builder.finish((*outputs, *evaluate(backward, [*inputs, *grads])))


# --- element by element -----------------------------------------------------------------------

UNARY = [
    p.tanh,
    p.sigmoid,
    p.neg,
    p.abs_,
    p.sin,
    p.erf,
    lambda x: p.exp(p.neg(p.mul(x, x))),
    lambda x: p.sqrt(p.add(p.mul(x, x), 0.5)),
    lambda x: p.rsqrt(p.add(p.mul(x, x), 0.5)),
    lambda x: p.mul(x, -0.75),
    lambda x: p.sub(1.5, x),
    lambda x: p.log1p(p.mul(x, x)),
]
BINARY = [p.add, p.sub, p.mul, p.maximum, p.minimum]


def _unary(making: Making) -> Any:
    return making.of(UNARY)(making.value())


def _like(making: Making, x: Value) -> Value:
    """A value that broadcasts with x: of its shape, with sizes of 1, or with fewer dimensions."""
    same = [y for y in making.pool if y.dtype == x.dtype and y.shape == x.shape]
    if same and making.chance():
        return making.of(same)
    shape = [1 if making.chance(3) else size for size in x.shape]
    shape = shape[making.below(len(shape) + 1) :]
    fitting = [y for y in making.pool if y.dtype == x.dtype and list(y.shape) == shape]
    return making.of(fitting) if fitting else making.input(shape)


def _binary(making: Making) -> Any:
    x = making.value()
    y = _like(making, x)
    operands = (x, y) if making.chance() else (y, x)
    return making.of(BINARY)(*operands)


def _where(making: Making) -> Any:
    a = making.value(exact=True)
    b = _like(making, a) if making.chance() else making.of([0.0, 0.3])
    x = making.value() if making.chance() else a
    compare = making.of([p.lt, p.le, p.eq, p.ne])
    if isinstance(b, Value) and id(b) not in making.exact:
        b = 0.1
    mask = compare(a, b)
    try:
        np.broadcast_shapes(tuple(mask.shape), tuple(x.shape))
    except ValueError:
        x = a
    return p.where(mask, x, making.of([0.0, -1.0]))


def _cast(making: Making) -> Any:
    x = making.value(exact=True)
    through = making.of([np.float32, np.int32, np.bool_, np.int8])
    return p.cast(p.cast(x, dtype=np.dtype(through)), dtype=making.dtype)


def _counting(making: Making) -> Any:
    x = making.value()
    if not x.shape:
        return None
    count = p.mul(p.iota(size=x.shape[-1], dtype=making.dtype), 0.01)
    return p.mul(x, count)


def _dropout(making: Making) -> Any:
    x = making.value()
    key = making.raw(np.array(making.below(1000), np.uint64))
    shape = making.of([tuple(x.shape), tuple(x.shape), tuple(x.shape[1:])])
    keep = p.dropout_mask(key, shape=shape, threshold=2**30)
    return p.mul(x, p.cast(keep, dtype=making.dtype))


# --- reductions -------------------------------------------------------------------------------


def _dims(making: Making, x: Value) -> tuple[int, ...]:
    return tuple(n for n in range(len(x.shape)) if making.chance())


def _reduce(making: Making) -> Any:
    x = making.value()
    dim, keepdim = _dims(making, x), making.chance()
    out = making.of([p.sum_, p.amax, p.amin])(x, dim=dim, keepdim=keepdim)
    return p.mul(out, 1.0 / max(1, x.size // max(1, out.size)))


def _mean_and_back(making: Making) -> Any:
    """x minus its mean: a value read again after a reduction of it."""
    x = making.value()
    dim = _dims(making, x)
    mean = p.mean(x, dim=dim, keepdim=True)
    centred = p.sub(x, mean)
    if making.chance():
        return centred
    return p.mean(p.mul(centred, centred), dim=dim, keepdim=True)


def _places(making: Making) -> Any:
    x = making.value(exact=True)
    if not x.shape:
        return None
    dim = (making.below(len(x.shape)),)
    found = making.of([p.argmax, p.argmin])(x, dim=dim, keepdim=making.chance())
    return p.mul(p.cast(found, dtype=making.dtype), 0.1)


# --- movement ---------------------------------------------------------------------------------


def _reshape(making: Making) -> Any:
    x = making.value()
    left, shape = x.size, []
    while left > 1 and len(shape) < 3:
        sizes = [n for n in range(2, left + 1) if left % n == 0]
        shape.append(making.of(sizes))
        left //= shape[-1]
    shape.append(left)
    if making.chance(4):
        shape.insert(making.below(len(shape) + 1), 1)
    return making.moved(p.reshape(x, shape=tuple(shape)), x)


def _permute(making: Making) -> Any:
    x = making.value()
    dims = list(range(len(x.shape)))
    for n in range(len(dims) - 1):
        other = n + making.below(len(dims) - n)
        dims[n], dims[other] = dims[other], dims[n]
    return making.moved(p.permute(x, dims=tuple(dims)), x)


def _expand(making: Making) -> Any:
    x = making.value()
    shape = [making.of([2, 3, 5]) if n == 1 and making.chance() else n for n in x.shape]
    if making.chance(3) and len(shape) < 4:
        shape.insert(0, making.of([1, 2, 3]))
    return making.moved(p.expand(x, shape=tuple(shape)), x)


def _ranges(making: Making, x: Value) -> dict[str, tuple[int, ...]]:
    start, stop, step = [], [], []
    for size in x.shape:
        low = making.below(size) if making.chance() else 0
        high = low + 1 + making.below(size - low) if making.chance() else size
        start.append(low)
        stop.append(high)
        step.append(making.of([1, 1, 1, 2, 3]))
    return {"start": tuple(start), "stop": tuple(stop), "step": tuple(step)}


def _slice(making: Making) -> Any:
    x = making.value()
    return making.moved(p.slice_(x, **_ranges(making, x)), x)


def _flip(making: Making) -> Any:
    x = making.value()
    return making.moved(p.flip(x, dim=_dims(making, x)), x)


def _pad(making: Making) -> Any:
    x = making.value()
    low = tuple(making.of([0, 0, 1, 2]) for _ in x.shape)
    high = tuple(making.of([0, 0, 1, 3]) for _ in x.shape)
    return making.moved(p.pad(x, low=low, high=high, value=making.of([0.0, 1.5])), x)


def _concat(making: Making) -> Any:
    x = making.value()
    if not x.shape:
        return None
    dim = making.below(len(x.shape))
    others = [
        y
        for y in making.pool
        if len(y.shape) == len(x.shape)
        and y.dtype == x.dtype
        and all(n == dim or y.shape[n] == size for n, size in enumerate(x.shape))
    ]
    parts = [making.of(others) for _ in range(1 + making.below(2))] + [x]
    return making.moved(p.concat(*parts, dim=dim), *parts)


def _windows(making: Making) -> Any:
    x = making.value()
    dims = [n for n, size in enumerate(x.shape) if size > 1]
    if not dims:
        return None
    dim = making.of(dims)
    size, step = 1 + making.below(min(4, x.shape[dim])), 1 + making.below(3)
    return making.moved(p.windows(x, dim=dim, size=size, step=step), x)


def _diagonal(making: Making) -> Any:
    x = making.value()
    if len(x.shape) < 2:
        return None
    dim1, dim2 = making.of([(0, 1), (1, 0), (0, len(x.shape) - 1)])
    offset = making.of([0, 0, 1, -1])
    if dim1 == dim2 or x.shape[dim1] + min(offset, 0) < 1 or x.shape[dim2] - max(offset, 0) < 1:
        return None
    return making.moved(p.diagonal(x, offset=offset, dim1=dim1, dim2=dim2), x)


def _update_slice(making: Making) -> Any:
    x = making.value()
    ranges = _ranges(making, x)
    shape = [len(range(*r)) for r in zip(*ranges.values(), strict=True)]
    fitting = [y for y in making.pool if list(y.shape) == shape and y.dtype == x.dtype]
    y = making.of(fitting) if fitting else making.input(shape)
    return making.moved(p.update_slice(x, y, **ranges), x, y)


# --- products ---------------------------------------------------------------------------------


def _matmul(making: Making) -> Any:
    x = making.value()
    if len(x.shape) < 2:
        return None
    columns, inner = making.of(making.sizes), x.shape[-1]
    batch = x.shape[:-2]
    if making.chance(3):
        batch = tuple(1 if making.chance() else n for n in batch)[making.below(len(batch) + 1) :]
    form = making.below(3)
    if form == 0:
        w = making.input((*batch, inner, columns))
    elif form == 1:  # a transposed matrix
        dims = (*range(len(batch)), len(batch) + 1, len(batch))
        w = p.permute(making.input((*batch, columns, inner)), dims=dims)
    else:
        same = [y for y in making.pool if y.shape[-2:-1] == (inner,) and len(y.shape) == 2]
        w = making.of(same) if same else making.input((inner, columns))
    return p.mul(p.matmul(x, w), 1.0 / inner) if w.dtype == x.dtype else None


def _turned_matmul(making: Making) -> Any:
    """x.T @ y, as the gradient of a weight."""
    x = making.value(rank=2)
    y = making.input((x.shape[0], making.of(making.sizes)))
    return p.mul(p.matmul(p.permute(x, dims=(1, 0)), y), 1.0 / x.shape[0])


def conv_attrs(making: Making, rank: int) -> dict[str, Any]:
    """Stride, padding and dilation."""
    return {
        "stride": tuple(making.of([1, 1, 2, 3]) for _ in range(rank)),
        "padding": tuple((making.of([0, 1, 1, 2]), making.of([0, 1, 2])) for _ in range(rank)),
        "dilation": tuple(making.of([1, 1, 2]) for _ in range(rank)),
    }


def _conv(making: Making) -> Any:
    rank = making.of([1, 2, 2, 2, 3])
    groups = making.of([1, 1, 2, 3])
    channels, outs = groups * making.of([1, 2, 3, 5]), groups * making.of([1, 2, 4, 9])
    kernel = tuple(making.of([1, 2, 3]) for _ in range(rank))
    fitting = [x for x in making.pool if len(x.shape) == rank + 2 and x.shape[1] % groups == 0]
    if fitting and making.chance():
        x = making.of(fitting)
        channels = x.shape[1]
    else:
        space = tuple(making.of([1, 2, 4, 5, 7]) for _ in range(rank))
        x = making.input((making.of([1, 2, 3]), channels, *space))
    attrs = {**conv_attrs(making, rank), "groups": groups}
    reach = [d * (k - 1) + 1 for d, k in zip(attrs["dilation"], kernel, strict=True)]
    room = [n + a + b for n, (a, b) in zip(x.shape[2:], attrs["padding"], strict=True)]
    if any(a > b for a, b in zip(reach, room, strict=True)) or x.dtype != making.dtype:
        return None
    w = making.input((outs, channels // groups, *kernel))
    out = p.conv(x, w, **attrs)
    scale = 1.0 / (channels // groups * prod(kernel))
    form = making.below(3)
    if form == 0:
        return p.mul(out, scale)
    grad = out if making.chance() else making.input(out.shape)
    if form == 1:
        return p.mul(p.conv_grad_x(grad, w, x_shape=tuple(x.shape), **attrs), scale)
    grad_w = p.conv_grad_w(grad, x, w_shape=tuple(w.shape), **attrs)
    return p.mul(grad_w, 1.0 / max(1, prod(out.shape[2:]) * out.shape[0]))


def _pool(making: Making) -> Any:
    rank = making.of([1, 2, 2])
    kernel = tuple(making.of([1, 2, 3]) for _ in range(rank))
    attrs = conv_attrs(making, rank)
    attrs["padding"] = tuple(
        (min(a, k // 2), min(b, k // 2)) for (a, b), k in zip(attrs["padding"], kernel, strict=True)
    )
    if any(map(any, attrs["padding"])):  # or a window may lie in the padding alone
        attrs["dilation"] = (1,) * rank
    if making.chance():
        attrs = {"stride": kernel, "padding": ((0, 0),) * rank, "dilation": (1,) * rank}
    x = making.value(rank=rank + 2, exact=True)
    reach = [d * (k - 1) + 1 for d, k in zip(attrs["dilation"], kernel, strict=True)]
    room = [n + a + b for n, (a, b) in zip(x.shape[2:], attrs["padding"], strict=True)]
    if any(a > b for a, b in zip(reach, room, strict=True)):
        return None
    attrs["kernel"] = kernel
    form = making.below(4)
    if form == 0:
        return p.mul(p.window_sum(x, **attrs), 1.0 / prod(kernel))
    if form == 1:
        out = p.window_sum(x, **attrs)
        grad = making.input(out.shape)
        return p.window_sum_grad(grad, x_shape=tuple(x.shape), **attrs)
    out, places = p.max_pool(x, **attrs)
    if form == 2:
        return out, p.mul(p.cast(places, dtype=making.dtype), 0.01)
    grad = making.input(out.shape)
    return p.max_pool_grad(grad, places, x_shape=tuple(x.shape))


# --- indexing ---------------------------------------------------------------------------------


def _take(making: Making) -> Any:
    x = making.value()
    if not x.shape:
        return None
    dim = making.below(len(x.shape))
    places = making.indices(making.shape(making.below(3)), x.shape[dim])
    return making.moved(p.take(x, places, dim=dim), x)


def _gather(making: Making) -> Any:
    x = making.value()
    if not x.shape:
        return None
    dim = making.below(len(x.shape))
    shape = [1 + making.below(size) for size in x.shape]
    shape[dim] = making.of([1, 1, 2, 5])
    places = making.indices(shape, x.shape[dim])
    return making.moved(p.gather(x, places, dim=dim), x)


def _scatter(making: Making) -> Any:
    x = making.value()
    if not x.shape:
        return None
    dim = making.below(len(x.shape))
    if making.chance():
        shape = (*x.shape[:dim], 4, *x.shape[dim + 1 :])
        places = making.indices((4,), x.shape[dim])
        return p.index_add(x, places, making.input(shape), dim=dim)
    shape = list(x.shape)
    shape[dim] = making.of([1, 1, 3])
    places = making.indices(shape, x.shape[dim])
    return p.scatter_add(x, places, making.input(shape), dim=dim)


# --- composites -------------------------------------------------------------------------------


def _softmax(making: Making) -> Any:
    x = making.value()
    if not x.shape:
        return None
    return making.of([p.softmax, p.log_softmax])(x, dim=making.below(len(x.shape)))


def _norm(making: Making) -> Any:
    x = making.value()
    if len(x.shape) < 2:
        return None
    form, last, channels = making.below(4), x.shape[-1], x.shape[1]
    if form == 0:
        w, b = making.input((last,)), making.input((last,))
        return p.layer_norm(x, w, b, rank=1, eps=1e-2)[0]
    if form == 1:
        return p.rms_norm(x, making.input((last,)), rank=1, eps=1e-2)[0]
    w, b = making.input((channels,)), making.input((channels,))
    if form == 2:
        return p.batch_norm(x, w, b, eps=1e-2)[0]
    return p.group_norm(x, w, b, groups=1, eps=1e-2)[0]


def _loss(making: Making) -> Any:
    x = making.value(rank=2)
    labels = making.indices((x.shape[0],), x.shape[1])
    reduction = making.of(["none", "mean", "sum"])
    smoothing = making.of([0.0, 0.1])
    found = p.cross_entropy(
        x, labels, None, reduction=reduction, ignore_index=-100, label_smoothing=smoothing
    )
    return found[0] if isinstance(found, tuple) else found


def _linear(making: Making) -> Any:
    x = making.value()
    if not x.shape:
        return None
    outs = making.of(making.sizes)
    w, b = making.input((outs, x.shape[-1])), making.input((outs,))
    return p.gelu(p.mul(p.linear(x, w, b), 1.0 / x.shape[-1]), approximate=False)


def _attention(making: Making) -> Any:
    x = making.value(rank=3)
    k, v = making.input(x.shape), making.input(x.shape)
    found = p.attention(x, k, v, None, None, scale=0.5, causal=making.chance(), keep_scale=1.0)
    return found[0] if isinstance(found, tuple) else found


def _cell(making: Making) -> Callable[..., Any]:
    """A recurrent cell of (w, u, carry, second carry, x)."""
    form, gate = making.below(4), making.of([p.tanh, p.sigmoid])

    def cell(w: Any, u: Any, h: Any, c: Any, x: Any) -> Any:
        product = p.mul(p.matmul(h, w), 0.3)
        new = gate(p.add(product, p.mul(p.matmul(x, u), 0.3)))
        if form == 0:
            return new, c, p.mul(new, 2.0)
        if form == 1:
            return new, p.add(p.mul(c, 0.5), x), p.sum_(c, dim=(1,), keepdim=True)
        if form == 2:
            return c, p.add(new, p.softmax(x, dim=1)), p.permute(h, dims=(1, 0))
        return p.sub(new, p.amax(new, dim=(0,), keepdim=True)), p.cumsum(c, dim=1), x

    return cell


def _scan(making: Making) -> Any:
    length, batch, size = making.of([1, 2, 5]), making.of([1, 3, 8, 16]), making.of([1, 4, 7, 16])
    fitting = [x for x in making.pool if len(x.shape) == 3 and x.dtype == making.dtype]
    x = making.of(fitting) if fitting and making.chance() else making.input((length, batch, size))
    length, batch, size = x.shape
    if batch * size > 600 or length > 17:
        return None
    shapes = [(size, size), (size, size), (batch, size), (batch, size), (batch, size)]
    body = trace(_cell(making), [(shape, making.dtype) for shape in shapes], "cell")
    w, u = making.input((size, size)), making.input((size, size))
    h, c = (making.input((batch, size)) for _ in range(2))
    found = p.scan(
        *(w, u, h, c, x),
        body=body,
        constants=2,
        carries=2,
        length=length,
        reverse=making.chance(3),
    )
    return tuple(found)


STEPS: list[Callable[[Making], Any]] = [
    *[_unary] * 4,
    *[_binary] * 6,
    _where,
    _cast,
    _counting,
    _dropout,
    *[_reduce] * 3,
    *[_mean_and_back] * 2,
    _places,
    *[_reshape] * 3,
    *[_permute] * 3,
    _expand,
    _slice,
    _slice,
    _flip,
    _pad,
    _concat,
    _windows,
    _diagonal,
    _update_slice,
    _matmul,
    _matmul,
    _turned_matmul,
    *[_conv] * 2,
    *[_pool] * 2,
    _take,
    _gather,
    _scatter,
    _softmax,
    _norm,
    _loss,
    _linear,
    _attention,
    _scan,
]
