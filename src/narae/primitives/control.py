"""Operations that carry a program: `call` runs it once, `scan` once for every step of a sequence.

Their backward rules are given `vjp` by the walk: `vjp(body, needs)` is the program that maps the
inputs of a body and the gradients of its outputs to the gradients of the needed inputs.
"""

from collections.abc import Callable, Sequence
from typing import Any

from narae.base.shapes import Shape
from narae.ir import Program, trace
from narae.ir.program import Value

from .generators import zeros
from .movement import narrow, reshape
from .record import Primitive, shape_of

Vjp = Callable[[Program, Sequence[bool]], Program]


def _shapes(*_: Any, body: Program, **__: Any) -> list[Shape]:
    return [shape_of(value) for value in body.outputs]


def _dtypes(*_: Any, body: Program, **__: Any) -> list[Any]:
    return [value.dtype for value in body.outputs]


def filled(grads: Sequence[Any], metas: Sequence[Any]) -> list[Any]:
    """Zeros in place of gradients that are missing."""
    return [
        zeros(shape_of(meta), meta.dtype) if grad is None else grad
        for grad, meta in zip(grads, metas, strict=True)
    ]


def spread(needs: Sequence[bool], results: Sequence[Any]) -> tuple[Any, ...]:
    """Put results at the places that are needed, None elsewhere."""
    remaining = iter(results)
    return tuple(next(remaining) if needed else None for needed in needs)


def _call_grad(
    needs: Sequence[bool], grads: Sequence[Any], *inputs: Any, body: Program, vjp: Vjp, **_: Any
) -> tuple[Any, ...]:
    backward = vjp(body, tuple(needs))
    results = call(*inputs, *filled(grads, body.outputs), body=backward)
    return spread(needs, results)


call = Primitive(
    "call",
    "control",
    "*xs",
    "the outputs of the program `body`",
    shape=_shapes,
    dtype=_dtypes,
    saves="*xs",
    joint_grad=_call_grad,
    outputs=-1,
)


# --- scan -----------------------------------------------------------------------------------
# Operands of scan: constants, then carries, then sequences (time first). Its body maps constants,
# carries and one step of each sequence to new carries and one step of each output.


def _scan_shapes(
    *operands: Any, body: Program, constants: int, carries: int, length: int, reverse: bool
) -> list[Shape]:
    shapes = [shape_of(value) for value in body.outputs]
    return shapes[:carries] + [(length, *shape) for shape in shapes[carries:]]


def _scan_dtypes(*_: Any, body: Program, **__: Any) -> list[Any]:
    return [value.dtype for value in body.outputs]


def _scan_grad(
    needs: Sequence[bool],
    grads: Sequence[Any],
    *inputs: Any,
    body: Program,
    constants: int,
    carries: int,
    length: int,
    reverse: bool,
    vjp: Vjp,
) -> tuple[Any, ...]:
    """Run forward once more, keeping the carry of every step; then scan the vjp the other way.

    The backward body has the gradients of constants and carries as its own carries (those of
    constants accumulate), the kept carries, the sequences and the gradients of the outputs as its
    sequences, and the gradients of the sequences as its outputs.
    """
    consts, start, sequences = _split(inputs, constants, carries)
    forward = _keeping_carries(body, constants, carries)
    layout = {"constants": constants, "length": length, "reverse": reverse}
    results = scan(*inputs, body=forward, carries=carries, **layout)
    kept = results[len(body.outputs) :]
    metas = [*body.outputs[:carries]]
    grad_carries = filled(grads[:carries], metas)
    outputs = [_Meta((length, *shape_of(y)), y.dtype) for y in body.outputs[carries:]]
    grad_outputs = filled(grads[carries:], outputs)
    wanted = tuple(_differentiable(value) for value in body.inputs)
    backward = _backward_body(vjp(body, wanted), body, wanted, constants, carries)
    zeros_consts = [
        zeros(shape_of(x), x.dtype)
        for x, is_wanted in zip(consts, wanted[:constants], strict=True)
        if is_wanted
    ]
    moving = [g for g, w in zip(grad_carries, wanted[constants:], strict=False) if w]
    back = scan(
        *consts,
        *zeros_consts,
        *moving,
        *kept,
        *sequences,
        *grad_outputs,
        body=backward,
        constants=constants,
        carries=len(zeros_consts) + len(moving),
        length=length,
        reverse=not reverse,
    )
    found = spread(wanted, back)
    return tuple(g if needed else None for g, needed in zip(found, needs, strict=True))


class _Meta:
    """A shape and a dtype."""

    def __init__(self, shape: Shape, dtype: Any) -> None:
        self.shape, self.dtype = shape, dtype


def _differentiable(value: Value) -> bool:
    from narae.base.dtypes import is_floating

    return is_floating(value.dtype)


def _split(items: Sequence[Any], first: int, second: int) -> tuple[Any, Any, Any]:
    return items[:first], items[first : first + second], items[first + second :]


def _keeping_carries(body: Program, constants: int, carries: int) -> Program:
    """The body with the carries it was given as further outputs."""
    kept = body.inputs[constants : constants + carries]
    return Program(body.inputs, body.nodes, (*body.outputs, *kept), body.name)


def _backward_body(
    vjp: Program, body: Program, wanted: Sequence[bool], constants: int, carries: int
) -> Program:
    """One step backward in time, as the body of a scan."""
    from narae.ir import evaluate

    from .elementwise import add

    const_metas, carry_metas, step_metas = _split(body.inputs, constants, carries)
    wanted_consts = [m for m, w in zip(const_metas, wanted, strict=False) if w]
    wanted_carries = [w for w in wanted[constants : constants + carries]]
    moving_metas = [m for m, w in zip(body.outputs[:carries], wanted_carries, strict=True) if w]
    metas = [
        *const_metas,
        *wanted_consts,
        *moving_metas,
        *carry_metas,
        *step_metas,
        *body.outputs[carries:],
    ]
    sizes = [len(const_metas), len(wanted_consts), len(moving_metas), carries, len(step_metas)]

    def step(*values: Any) -> tuple[Any, ...]:
        consts, totals, moving, kept, steps, grads = _groups(values, sizes)
        grad_carries = filled(spread(wanted_carries, moving), body.outputs[:carries])
        results = evaluate(vjp, (*consts, *kept, *steps, *grad_carries, *grads))
        new_totals = [add(t, g) for t, g in zip(totals, results, strict=False)]
        return (*new_totals, *results[len(totals) :])

    return trace(step, metas, body.name + "_backward")


def _groups(values: Sequence[Any], sizes: Sequence[int]) -> list[Sequence[Any]]:
    groups, position = [], 0
    for size in sizes:
        groups.append(values[position : position + size])
        position += size
    return [*groups, values[position:]]


scan = Primitive(
    "scan",
    "control",
    "*xs",
    "carry, y[t] = body(constants, carry, x[t]) for t = 0 … length - 1 (or backwards)",
    shape=_scan_shapes,
    dtype=_scan_dtypes,
    saves="*xs",
    joint_grad=_scan_grad,
    outputs=-1,
)


def step_of(sequence: Any, time: int) -> Any:
    """One step of a sequence: sequence[time]."""
    return reshape(narrow(sequence, 0, time, 1), shape=shape_of(sequence)[1:])


__all__ = ["call", "filled", "scan", "spread", "step_of"]
