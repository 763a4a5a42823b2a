"""Applying the backward rules of one operation, whoever walks: the tape or a program."""

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from narae.base.errors import GraphError
from narae.base.shapes import Shape
from narae.ir import Program
from narae.primitives.control import call, filled, spread
from narae.primitives.record import residual_count, shape_of
from narae.primitives.unbroadcast import sum_to_shape


def collect(
    operation: Any, operands: Sequence[Any], results: Sequence[Any], attrs: dict[str, Any]
) -> list[Any]:
    """What the record says must be saved, in its order."""
    saved: list[Any] = []
    for kind, index in operation.save_plan:
        if kind == "operand":
            saved.append(operands[index])
        elif kind == "output":
            saved.append(results[index])
        elif kind == "shape":
            saved.append(shape_of(operands[index]))
        elif kind == "dtype":
            saved.append(getattr(operands[index], "dtype", None))
        elif kind == "operands":
            saved.extend(operands)
        elif kind == "outputs":
            saved.extend(results)
        elif kind == "residuals":
            saved.extend(results[len(results) - residual_count(attrs) :])
        else:
            saved.extend(shape_of(operand) for operand in operands)
    return saved


def operand_grads(
    operation: Any,
    needs: Sequence[bool],
    grads: Sequence[Any],
    saved: Sequence[Any],
    attrs: dict[str, Any],
) -> Sequence[Any]:
    """The gradient of each needed operand (before un-broadcasting); None for the others."""
    rules = operation.grads
    if rules is not None:
        (grad,) = grads
        found = [
            rule(grad, *saved, **attrs) if needed and rule is not None else None
            for rule, needed in zip(rules, needs, strict=True)
        ]
        if None in rules:
            _check_rules(operation, needs)
        return found
    if operation.kind == "control":
        return operation.joint_grad(needs, grads, *saved, vjp=vjp, **attrs)  # type: ignore[no-any-return]
    if operation.kind == "composite" and (
        operation.by_decomposition or any(grad is not None for grad in grads[operation.results :])
    ):
        return _by_decomposition(operation, needs, grads, saved, attrs)
    return operation.joint_grad(needs, grads, *saved, **attrs)  # type: ignore[no-any-return]


def _check_rules(operation: Any, needs: Sequence[bool]) -> None:
    """Refuse to leave out the gradient of an operand that needs one."""
    for place, (rule, needed) in enumerate(zip(operation.grads, needs, strict=True)):
        if needed and rule is None:
            raise GraphError(
                f"[backward] the derivative for '{operation.operands[place]}' of {operation.name} "
                "is not implemented; no gradient can flow through it. Fix: detach() that operand"
            )


def _by_decomposition(
    operation: Any,
    needs: Sequence[bool],
    grads: Sequence[Any],
    saved: Sequence[Any],
    attrs: dict[str, Any],
) -> Sequence[Any]:
    """Differentiate the decomposition, as when gradients reach auxiliary results.

    A composite with several results saves all of its operands first.
    """
    operands = saved[: len(needs)]
    body = operation.body(operands, attrs)
    present = [index for index, x in enumerate(operands) if hasattr(x, "shape")]
    wanted = tuple(needs[index] for index in present)
    values = [operands[index] for index in present]
    results = call(*values, *filled(grads, body.outputs), body=vjp(body, wanted))
    places = [needs[index] and index in present for index in range(len(needs))]
    return spread(places, results)


def unbroadcast(operation: Any, grad: Any, shape: Shape) -> Any:
    """Sum a gradient down to its operand's shape, if the operation broadcasts."""
    if operation.broadcasts and tuple(grad.shape) != tuple(shape):
        return sum_to_shape(grad, tuple(shape))
    return grad


_vjps: WeakKeyDictionary[Program, dict[tuple[bool, ...], Program]] = WeakKeyDictionary()


def vjp(program: Program, needs: Sequence[bool]) -> Program:
    """The vector-Jacobian product of a program (see `narae.autograd.vjp`), made once."""
    from .vjp import vjp_program

    known = _vjps.setdefault(program, {})
    key = tuple(needs)
    if key not in known:
        known[key] = vjp_program(program, key)
    return known[key]
