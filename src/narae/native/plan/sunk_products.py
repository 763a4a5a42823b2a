"""What a loop over time reads once of a large product is computed in the loop, step by step.

before: z = x @ w + b; for each t: uses z[t]
after:  for each t: uses x[t] @ w + b

The product of all steps is larger than the caches: written before the loop, it would be read from
memory again. That of one step is used while it is near.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from narae import primitives as p
from narae.ir import Program, Value, evaluate
from narae.ir.builder import Builder, building

from ..products.limits import CACHE

LEAST_ROWS = 64  # of a step, so that its product makes good use of the matrix


@dataclass
class _Linear:
    """A sequence x @ w + b: where it is among the operands, and what it is made of.

    x has the steps as its first dimension, w is a matrix, b a vector or nothing.
    """

    place: int
    x: Value
    w: Value
    b: Value | None

    @property
    def constants(self) -> list[Value]:
        return [self.w] if self.b is None else [self.w, self.b]


def sink_products(operands: Sequence[Any], attrs: dict[str, Any]) -> Any:
    """The results of a scan whose body computes its sequences itself; None if it should not."""
    body: Program = attrs["body"]
    constants, carries = attrs["constants"], attrs["carries"]
    room = CACHE - sum(_bytes(x) for x in operands[:constants])  # the matrices of all steps stay
    found = []
    for place in range(constants + carries, len(operands)):
        linear = _linear(place, operands[place])
        if linear is not None and _bytes(linear.w) <= room:
            room -= _bytes(linear.w)
            found.append(linear)
    if not found:
        return None
    added = [x for each in found for x in each.constants]
    sequences = {each.place: each.x for each in found}
    kept = [sequences.get(place, x) for place, x in enumerate(operands)]
    inner = {**attrs, "body": _with_products(body, found), "constants": constants + len(added)}
    return p.scan(*added, *kept, **inner)


def _bytes(value: Any) -> int:
    return value.size * value.dtype.itemsize if isinstance(value, Value) else 0


def _linear(place: int, sequence: Any) -> _Linear | None:
    """The parts of a sequence of rows x @ w + b, or x @ w."""
    if getattr(sequence, "ndim", 0) != 3 or sequence.shape[1] < LEAST_ROWS:
        return None
    made, bias = sequence, None
    node = sequence.node
    if node is not None and node.operation is p.add:
        made, bias = node.operands
        if getattr(bias, "ndim", 0) != 1 or made.shape != sequence.shape:
            return None
    made = _before(made, p.reshape)
    if not isinstance(made, Value) or made.node is None or made.node.operation is not p.matmul:
        return None
    rows, w = made.node.operands
    x = _before(rows, p.reshape)
    shape = (*sequence.shape[:2], w.shape[0])
    fits = w.ndim == 2 and w.shape[1] == sequence.shape[2] and x.shape == shape
    return _Linear(place, x, w, bias) if fits else None


def _before(value: Any, view: Any) -> Any:
    """What a value is a view of, if it is that kind of view."""
    node = value.node if isinstance(value, Value) else None
    return node.operands[0] if node is not None and node.operation is view else value


def _with_products(body: Program, found: Sequence[_Linear]) -> Program:
    """The body that has w and b as further constants, before all others, and x as its sequences."""
    builder = Builder(body.name)
    with building(builder):
        pairs = [[builder.input(x.shape, x.dtype) for x in each.constants] for each in found]
        linear = {each.place: pair for each, pair in zip(found, pairs, strict=True)}
        shapes = {each.place: each.x.shape[1:] for each in found}
        inputs = []
        for place, value in enumerate(body.inputs):
            x = builder.input(shapes.get(place, value.shape), value.dtype)
            if place in linear:
                w, *b = linear[place]
                x = p.matmul(x, w)
                x = p.add(x, b[0]) if b else x
            inputs.append(x)
        outputs = evaluate(body, inputs)
    return builder.finish(outputs)
