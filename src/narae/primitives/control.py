"""Operations that carry a program: `call` runs it once, `scan` once for every step of a sequence.

Their backward rules are given `vjp` by the walk: `vjp(body, needs)` is the program that maps the
inputs of a body and the gradients of its outputs to the gradients of the needed inputs.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

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


call: Primitive = Primitive(
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


class ScanBackward(NamedTuple):
    """How to run a scan backward from residuals, which its forward body returns for this purpose.

    Attributes:
        body: one step backward in time, as the body of a scan. Constants: those of the forward
            scan that are read. Carries: the gradients of the wanted constants, which accumulate,
            then of the wanted carries. Sequences: the residuals, the sequences that are read, the
            gradients of the outputs. Outputs: the gradients of the wanted sequences.
        residuals: how many of the last outputs of the forward scan are residuals.
        wanted: the inputs of the forward body that have gradients.
        constants, sequences: the places of those that are read.
    """

    body: Program
    residuals: int
    wanted: tuple[bool, ...]
    constants: tuple[int, ...]
    sequences: tuple[int, ...]

    def __repr__(self) -> str:
        return f"<{self.body.name}>"


def _scan_shapes(
    *operands: Any, body: Program, constants: int, carries: int, length: int, **_: Any
) -> list[Shape]:
    shapes = [shape_of(value) for value in body.outputs]
    return shapes[:carries] + [(length, *shape) for shape in shapes[carries:]]


def _scan_dtypes(*_: Any, body: Program, **__: Any) -> list[Any]:
    return [value.dtype for value in body.outputs]


def _scan_grad(
    needs: Sequence[bool],
    grads: Sequence[Any],
    *saved: Any,
    body: Program,
    constants: int,
    carries: int,
    length: int,
    reverse: bool,
    vjp: Vjp,
    backward: ScanBackward | None = None,
) -> tuple[Any, ...]:
    """From residuals if there are some and no gradient reaches them; else by running it again."""
    inputs, residuals = saved[: len(needs)], saved[len(needs) :]
    layout = {"length": length, "reverse": reverse}
    if backward is not None:
        visible = len(grads) - backward.residuals
        if all(grad is None for grad in grads[visible:]):
            parts = _split(inputs, constants, carries)
            metas = body.outputs[:visible]
            return _from_residuals(
                needs, grads[:visible], parts, residuals, metas, backward, layout
            )
    return _again(needs, grads, inputs, body, constants, carries, vjp, layout)


def _from_residuals(
    needs: Sequence[bool],
    grads: Sequence[Any],
    parts: tuple[Any, Any, Any],
    residuals: Sequence[Any],
    metas: Sequence[Any],
    backward: ScanBackward,
    layout: dict[str, Any],
) -> tuple[Any, ...]:
    """Scan `backward.body` the other way."""
    consts, start, sequences = parts
    wanted_consts, wanted_start, _ = _split(backward.wanted, len(consts), len(start))
    totals = [zeros(shape_of(x), x.dtype) for x, w in zip(consts, wanted_consts, strict=True) if w]
    grad_carries, grad_outputs = _filled_grads(grads, metas, len(start), layout["length"])
    moving = [g for g, w in zip(grad_carries, wanted_start, strict=True) if w]
    read_consts = [consts[place] for place in backward.constants]
    back = scan(
        *read_consts,
        *totals,
        *moving,
        *residuals,
        *(sequences[place] for place in backward.sequences),
        *grad_outputs,
        body=backward.body,
        constants=len(read_consts),
        carries=len(totals) + len(moving),
        length=layout["length"],
        reverse=not layout["reverse"],
    )
    found = spread(backward.wanted, back)
    return tuple(g if needed else None for g, needed in zip(found, needs, strict=True))


def _filled_grads(
    grads: Sequence[Any], metas: Sequence[Any], carries: int, length: int
) -> tuple[list[Any], list[Any]]:
    """The gradients of the last carries and of the outputs, zeros where there is none."""
    outputs = [_Meta((length, *shape_of(y)), y.dtype) for y in metas[carries:]]
    return filled(grads[:carries], metas[:carries]), filled(grads[carries:], outputs)


def _again(
    needs: Sequence[bool],
    grads: Sequence[Any],
    inputs: Sequence[Any],
    body: Program,
    constants: int,
    carries: int,
    vjp: Vjp,
    layout: dict[str, Any],
) -> tuple[Any, ...]:
    """Run forward once more, keeping the carry of every step; then scan the vjp the other way.

    The backward body has the gradients of constants and carries as its own carries (those of
    constants accumulate), the kept carries, the sequences and the gradients of the outputs as its
    sequences, and the gradients of the sequences as its outputs.
    """
    consts, _, sequences = _split(inputs, constants, carries)
    forward = _keeping_carries(body, constants, carries)
    results = scan(*inputs, body=forward, constants=constants, carries=carries, **layout)
    kept = results[len(body.outputs) :]
    grad_carries, grad_outputs = _filled_grads(grads, body.outputs, carries, layout["length"])
    wanted = tuple(differentiable(value) for value in body.inputs)
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
        length=layout["length"],
        reverse=not layout["reverse"],
    )
    found = spread(wanted, back)
    return tuple(g if needed else None for g, needed in zip(found, needs, strict=True))


class _Meta:
    """A shape and a dtype."""

    def __init__(self, shape: Shape, dtype: Any) -> None:
        self.shape, self.dtype = shape, dtype


def differentiable(value: Value) -> bool:
    """Whether a value can have a gradient."""
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
    wanted_carries = list(wanted[constants : constants + carries])
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


scan: Primitive = Primitive(
    "scan",
    "control",
    "*xs",
    "carry, y[t] = body(constants, carry, x[t]) for t = 0 … length - 1 (or backwards)",
    shape=_scan_shapes,
    dtype=_scan_dtypes,
    saves="*xs *residuals",
    joint_grad=_scan_grad,
    outputs=-1,
)


def step_of(sequence: Any, time: int) -> Any:
    """One step of a sequence: sequence[time]."""
    return reshape(narrow(sequence, 0, time, 1), shape=shape_of(sequence)[1:])


__all__ = ["ScanBackward", "call", "differentiable", "filled", "scan", "spread", "step_of"]
