"""From the program that was traced to one of primitives alone.

before: v = softmax(x)
after:  m = amax(x); s = sub(x, m); e = exp(s); t = sum(e); v = div(e, t)

Composites give way to their decomposition, calls to their body, pooling to windows and reductions;
bodies of scans are expanded in their turn. Equal nodes become one, and what nothing reads is
dropped.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import FLOAT32, is_half
from narae.ir import Program, Value, dead_code, evaluate
from narae.ir.builder import Builder, building
from narae.ir.program import Node, Operand
from narae.primitives import Composite

from .gathered_products import gather_products
from .pooling import max_pool, max_pool_grad, window_sum, window_sum_grad
from .sunk_products import sink_products


def expand(program: Program, inner: bool = False) -> Program:
    """The same program in primitives, without repetitions.

    It may have more outputs at the end: values that check indices on which other nodes rely, and
    that nothing else reads. The bodies of scans (`inner`) have none.
    """
    builder = _Expanding(program.name, inner)
    with building(builder):
        inputs = [builder.input(x.shape, x.dtype, x.name) for x in program.inputs]
        outputs = evaluate(program, inputs)
    expanded = dead_code(builder.finish(outputs))
    alive = set(map(id, expanded.nodes))
    checks = [value for value in builder.checks if id(value.node) not in alive]
    return dead_code(builder.finish((*outputs, *checks))) if checks else expanded


class _Expanding(Builder):
    """A builder that takes operations apart before it records them, and records none twice."""

    def __init__(self, name: str, inner: bool) -> None:
        super().__init__(name)
        self.inner = inner
        self.checks: list[Value] = []
        self._known: dict[Any, Any] = {}

    def _new_name(self) -> str:
        """Other names than those of the traced program, which inputs keep."""
        self._names += 1
        return f"t{self._names - 1}"

    def add(self, operation: Any, operands: Sequence[Operand], attrs: dict[str, Any]) -> Any:
        """The result of an operation, in primitives."""
        if isinstance(operation, Composite):
            return self._decompose(operation, operands, attrs)
        rule = RULES.get(operation)
        result = NotImplemented if rule is None else rule(*operands, **attrs)
        if result is not NotImplemented:
            return result
        key = _key(operation, operands, attrs)
        if key not in self._known:
            self._known[key] = self._record(operation, operands, attrs)
        return self._known[key]

    def _decompose(self, operation: Composite, operands: Sequence[Any], attrs: Any) -> Any:
        body = operation.body(operands, attrs)
        fixed = any(isinstance(x, Program) for x in attrs.values())
        if any(map(_is_half, operands)) and not fixed and not _multiplies(body):
            outputs = _in_float32(operation, operands, attrs, body)
        else:
            outputs = evaluate(body, [x for x in operands if not _is_constant(x)])
        return outputs[0] if operation.outputs == 1 else outputs

    def _record(self, operation: Any, operands: Sequence[Any], attrs: dict[str, Any]) -> Any:
        metas = operation.infer(operands, attrs)
        outputs = tuple(Value(shape, dtype, self._new_name(), self) for shape, dtype in metas)
        node = Node(operation, operands, attrs, outputs)
        for index, value in enumerate(outputs):
            value.node, value.index = node, index
        self.nodes.append(node)
        return outputs[0] if operation.outputs == 1 else outputs


def _is_constant(operand: Any) -> bool:
    return operand is None or p.is_number(operand)


def _is_half(operand: Any) -> bool:
    return not _is_constant(operand) and is_half(operand.dtype)


def _in_float32(
    operation: Composite, operands: Sequence[Any], attrs: Any, body: Program
) -> tuple[Any, ...]:
    """16-bit floating point is rounded once for each operation, not for each of its parts.

    before: y = softmax(x)              x and y in bfloat16
    after:  y = cast(softmax(cast(x)))  all that is in between in float32
    """
    wide = [p.cast(x, dtype=FLOAT32) if _is_half(x) else x for x in operands]
    results = evaluate(operation.body(wide, attrs), [x for x in wide if not _is_constant(x)])
    pairs = zip(results, body.outputs, strict=True)
    return tuple(x if x.dtype == y.dtype else p.cast(x, dtype=y.dtype) for x, y in pairs)


def _multiplies(body: Program) -> bool:
    """Whether it has products, which take 16-bit operands as they are."""
    for node in body.walk():
        operation = node.operation
        if operation in {p.matmul, p.conv, p.conv_grad_x, p.conv_grad_w}:
            return True
        if isinstance(operation, Composite) and _multiplies(
            operation.body(node.operands, node.attrs)
        ):
            return True
    return False


def _key(operation: Any, operands: Sequence[Any], attrs: dict[str, Any]) -> Any:
    """Equal for operations that give equal results."""
    parts = [(type(x), repr(x)) if _is_constant(x) else id(x) for x in operands]
    texts = [(name, id(x) if isinstance(x, Program) else repr(x)) for name, x in attrs.items()]
    return operation, tuple(parts), tuple(texts)


# --- rules: what an operation is made of; NotImplemented keeps it -----------------------------


def _call(*operands: Any, body: Program) -> tuple[Any, ...]:
    return evaluate(body, operands)


def _scan(*operands: Any, body: Program, backward: Any = None, **attrs: Any) -> Any:
    """A scan as it is, its body expanded; how to go backward is no longer of interest."""
    expanded = _expanded_body(body)
    for change in (gather_products, sink_products):
        changed = change(operands, {**attrs, "body": expanded})
        if changed is not None:
            return changed
    return NotImplemented if expanded is body else p.scan(*operands, body=expanded, **attrs)


_bodies: dict[int, tuple[Program, Program]] = {}


def _expanded_body(body: Program) -> Program:
    """The expansion of a body; an expanded body stands for itself."""
    known = _bodies.get(id(body))
    if known is None or known[0] is not body:
        expanded = expand(body, inner=True)
        known = _bodies[id(body)] = (body, expanded)
        _bodies[id(expanded)] = (expanded, expanded)
    return known[1]


def _keep_dims(operation: Any) -> Callable[..., Any]:
    """A reduction keeps its dimensions, as size 1; a reshape takes them away."""

    def rule(x: Any, *, dim: Any, keepdim: bool) -> Any:
        if keepdim:
            return NotImplemented
        kept = operation(x, dim=dim, keepdim=True)
        shape = tuple(size for place, size in enumerate(kept.shape) if place not in dim)
        return p.reshape(kept, shape=shape)

    return rule


def _same_shape(x: Any, *, shape: Any) -> Any:
    return x if tuple(x.shape) == tuple(shape) else NotImplemented


def _same_order(x: Any, *, dims: Any) -> Any:
    return x if tuple(dims) == tuple(range(len(dims))) else NotImplemented


def _concat(*xs: Any, dim: int) -> Any:
    filled = [x for x in xs if x.shape[dim]]
    if len(filled) == 1:
        return filled[0]
    return NotImplemented if len(filled) == len(xs) or not filled else p.concat(*filled, dim=dim)


def _scatter_add(x: Any, index: Any, src: Any, *, dim: int) -> Any:
    """One source for each row: add it where the column's number is the index.

    before: scatter_add(x, index, src, dim=1), index and src of shape (rows, 1)
    after:  x + where(index == (0, 1, 2, …), src, 0)

    Only where the same index was gathered before in a dimension of this size, which has checked it.
    """
    if not index.shape or index.shape[dim] != 1 or tuple(src.shape) != tuple(index.shape):
        return NotImplemented
    rest = [size for place, size in enumerate(x.shape) if place != dim]
    if [size for place, size in enumerate(index.shape) if place != dim] != rest:
        return NotImplemented
    check = _check_of(index, dim, x.shape[dim])
    if check is None:
        return NotImplemented
    index.builder.checks.append(check)
    shape = tuple(x.shape[dim] if place == dim else 1 for place in range(len(x.shape)))
    columns = p.reshape(p.iota(size=x.shape[dim], dtype=index.dtype), shape=shape)
    added = p.where(p.eq(index, columns), src, _zero(x.dtype))
    return added if _is_full(x, 0) else p.add(x, added)


def _zero(dtype: Any) -> Any:
    return 0.0 if np.dtype(dtype).kind not in "iub" else 0


def _check_of(index: Any, dim: int, size: int) -> Value | None:
    """What was gathered with this index from a dimension of this size."""
    if not isinstance(index, Value) or index.builder.inner:  # type: ignore[attr-defined]
        return None
    for node in index.builder.nodes:
        gathers = node.operation is p.gather and node.operands[1] is index
        if gathers and node.attrs["dim"] == dim and node.operands[0].shape[dim] == size:
            return node.outputs[0]
    return None


def _is_full(x: Any, value: float) -> bool:
    """Whether every element is this number."""
    node = getattr(x, "node", None)
    return node is not None and node.operation is p.full and node.attrs["value"] == value


def _add(x: Any, y: Any) -> Any:
    """The sum of slices that were written into zeros, if they fill everything, is a concat.

    before: update_slice(0, a, [0:2]) + update_slice(0, b, [2:5])
    after:  concat(a, b)
    """
    if _is_full(x, 0) and getattr(y, "shape", None) == x.shape:
        return y
    pieces = [*_pieces(x), *_pieces(y)]
    if len(pieces) < 2:
        return NotImplemented
    found = _tiling(pieces, tuple(x.shape))
    if found is None:
        return NotImplemented
    dim, parts = found
    return p.concat(*parts, dim=dim)


def _pieces(x: Any) -> list[Any]:
    """The nodes that write a slice into zeros, of which x is the sum; empty if it is not."""
    node = getattr(x, "node", None)
    if node is None:
        return []
    if node.operation is p.update_slice and _is_full(node.operands[0], 0):
        return [node]
    if node.operation is p.add:
        left, right = map(_pieces, node.operands)
        return left + right if left and right else []
    return []


def _tiling(pieces: Sequence[Node], shape: Any) -> tuple[int, list[Any]] | None:
    """The dimension along which the pieces fill everything, and the pieces in order."""
    for dim, size in enumerate(shape):
        ordered = sorted(pieces, key=lambda node: node.attrs["start"][dim])
        bounds = [(n.attrs["start"][dim], n.attrs["stop"][dim]) for n in ordered]
        ends = [0, *(stop for _, stop in bounds)]
        meets = [start for start, _ in bounds] == ends[:-1] and ends[-1] == size
        if meets and all(_spans_all_but(node, dim, shape) for node in ordered):
            return dim, [node.operands[1] for node in ordered]
    return None


def _spans_all_but(node: Node, dim: int, shape: Any) -> bool:
    attrs = node.attrs
    others = [place for place in range(len(shape)) if place != dim]
    whole = all(attrs["start"][n] == 0 and attrs["stop"][n] == shape[n] for n in others)
    return whole and math.prod(attrs["step"]) == 1


def _power(x: Any, y: Any) -> Any:
    """A square is a product."""
    return p.mul(x, x) if p.is_number(y) and y == 2 and isinstance(x, Value) else NotImplemented


def _itself(x: Any) -> Any:
    """Values never change, so that a copy, or one without a history, is the value."""
    return x


RULES: dict[Any, Callable[..., Any]] = {
    p.add: _add,
    p.call: _call,
    p.concat: _concat,
    p.copy: _itself,
    p.detach: _itself,
    p.expand: _same_shape,
    p.max_pool: max_pool,
    p.max_pool_grad: max_pool_grad,
    p.permute: _same_order,
    p.pow_: _power,
    p.reshape: _same_shape,
    p.scan: _scan,
    p.scatter_add: _scatter_add,
    p.window_sum: window_sum,
    p.window_sum_grad: window_sum_grad,
    **{
        reduction: _keep_dims(reduction)
        for reduction in (p.sum_, p.prod, p.amax, p.amin, p.argmax, p.argmin)
    },
}
