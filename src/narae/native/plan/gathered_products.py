"""What a loop over time only adds up is computed once, after the loop.

before: for each t: total = total + a[t] @ b[t]
after:  total + concat over t of a[t] @ concat over t of b[t]

The gradients of a recurrent weight and bias are such sums: one large product does the same work
faster than one small product for every step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from narae import primitives as p
from narae.ir import Program, Value, dead_code
from narae.ir.program import Node

from .groups import VIEWS


@dataclass
class _Sum:
    """A carry that is only added to: its place, what is added, and what that is made of.

    `parts` are the operands of a product, the operand of a sum, or the term itself.
    """

    place: int
    term: Value
    parts: tuple[Value, ...]


def gather_products(operands: Sequence[Any], attrs: dict[str, Any]) -> Any:
    """The results of a scan without the carries that only add up products; None if it has none."""
    body: Program = attrs["body"]
    sums = _sums(body, attrs["constants"], attrs["carries"])
    if not sums:
        return None
    reduced, extra = _reduced(body, attrs, sums)
    constants, carries = attrs["constants"], attrs["carries"]
    dropped = {constants + each.place for each in sums}
    kept = [x for n, x in enumerate(operands) if n not in dropped]
    inner = {**attrs, "body": reduced, "carries": carries - len(sums)}
    found = p.scan(*kept, **inner)
    return _results(operands, attrs, sums, found, extra)


def _sums(body: Program, constants: int, carries: int) -> list[_Sum]:
    """Carries c for which the body computes add(c, term), and which nothing else reads."""
    reads: dict[int, int] = {}
    for node in body.nodes:
        for x in node.operands:
            reads[id(x)] = reads.get(id(x), 0) + 1
    for x in body.outputs:
        reads[id(x)] = reads.get(id(x), 0) + 1
    found = []
    for place in range(carries):
        carry, result = body.inputs[constants + place], body.outputs[place]
        term = _added_to(carry, result)
        if term is None or any(reads.get(id(x), 0) != 1 for x in (carry, result)):
            continue
        parts = _parts(term)
        if parts:
            found.append(_Sum(place, term, parts))
    return found


def _added_to(carry: Value, result: Any) -> Value | None:
    """The term, if a result is carry + term, both of one shape."""
    node = result.node if isinstance(result, Value) else None
    if node is None or node.operation is not p.add:
        return None
    others = [x for x in node.operands if x is not carry]
    if len(others) != 1 or not isinstance(others[0], Value):
        return None
    return others[0] if others[0].shape == carry.shape and others[0].node is not None else None


def _parts(term: Value) -> tuple[Value, ...]:
    """What has to be kept of every step to add up a term afterwards."""
    followed = _followed(term)
    base = followed[0] if followed is not None else term
    made = base.node
    if made is not None and made.operation is p.matmul and base is term:
        left, right = made.operands
        if left.ndim == right.ndim == 2 and _followed(left) and _followed(right):
            return left, right
    if made is not None and made.operation is p.sum_ and _followed(made.operands[0]):
        return (made.operands[0],)
    return (term,) if followed is not None else ()


def _followed(value: Any) -> tuple[Value, list[Node]] | None:
    """The base of a chain of permutations and reshapes, and the chain, the last one last."""
    views: list[Node] = []
    while isinstance(value, Value) and value.node is not None:
        if value.node.operation.name not in VIEWS:
            break
        if value.node.operation not in (p.permute, p.reshape):
            return None
        views.append(value.node)
        value = value.node.operands[0]
    return (value, views[::-1]) if isinstance(value, Value) else None


def _reduced(
    body: Program, attrs: dict[str, Any], sums: Sequence[_Sum]
) -> tuple[Program, dict[int, int]]:
    """The body without the sums; and at which of its results the operands of products are.

    Operands that are steps of a sequence need no result: the sequence is there already.
    """
    constants, carries = attrs["constants"], attrs["carries"]
    dropped = {each.place for each in sums}
    inputs = [x for n, x in enumerate(body.inputs) if n - constants not in dropped]
    outputs = [x for n, x in enumerate(body.outputs) if n not in dropped]
    places: dict[int, int] = {}
    sequences = {id(x) for x in body.inputs[constants + carries :]}
    first = carries - len(sums)
    for each in sums:
        for operand in each.parts:
            followed = _followed(operand)
            assert followed is not None
            base = followed[0]
            if id(base) in sequences or id(base) in places:
                continue
            known = [n for n, x in enumerate(outputs) if n >= first and x is base]
            if not known:
                outputs.append(base)
                known = [len(outputs) - 1]
            places[id(base)] = known[0]
    return dead_code(Program(inputs, body.nodes, outputs, body.name)), places


def _results(
    operands: Sequence[Any],
    attrs: dict[str, Any],
    sums: Sequence[_Sum],
    found: Sequence[Any],
    places: dict[int, int],
) -> tuple[Any, ...]:
    """The results in their old order, with the sums computed after the loop."""
    body: Program = attrs["body"]
    constants, carries = attrs["constants"], attrs["carries"]
    sequences = {
        id(x): operands[constants + carries + n]
        for n, x in enumerate(body.inputs[constants + carries :])
    }

    def stacked(value: Value) -> Any:
        followed = _followed(value)
        assert followed is not None
        base, views = followed
        whole = sequences[id(base)] if id(base) in sequences else found[places[id(base)]]
        for node in views:
            if node.operation is p.permute:
                whole = p.permute(whole, dims=(0, *(dim + 1 for dim in node.attrs["dims"])))
            else:
                whole = p.reshape(whole, shape=(whole.shape[0], *node.attrs["shape"]))
        return whole

    totals = {}
    for each in sums:
        total = _total(each, [stacked(part) for part in each.parts])
        totals[each.place] = p.add(operands[constants + each.place], total)
    remaining = iter(found)
    kept = [totals[n] if n in totals else next(remaining) for n in range(carries)]
    count = len(body.outputs) - carries
    return (*kept, *(next(remaining) for _ in range(count)))


def _total(each: _Sum, stacks: Sequence[Any]) -> Any:
    """A term summed over all steps, from its parts with time as their first dimension."""
    if len(stacks) == 2:
        left, right = stacks  # (time, m, k), (time, k, n)
        time, m, k = left.shape
        rows = p.reshape(p.permute(left, dims=(1, 0, 2)), shape=(m, time * k))
        return p.matmul(rows, p.reshape(right, shape=(time * k, right.shape[2])))
    (stack,) = stacks
    if each.parts[0] is each.term:
        return p.sum_(stack, dim=(0,), keepdim=False)
    followed = _followed(each.term)
    assert followed is not None
    (base, views) = followed
    assert base.node is not None
    dims = (0, *(dim + 1 for dim in base.node.attrs["dim"]))
    total = p.reshape(p.sum_(stack, dim=dims, keepdim=True), shape=base.shape)
    for node in views:
        total = node.operation(total, **node.attrs)  # type: ignore[operator]
    return total
