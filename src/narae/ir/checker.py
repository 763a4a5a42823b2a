"""The checker: runs every shape and dtype rule of a program again and compares."""

from collections.abc import Sequence
from typing import Any

from .printer import node_text, program_text
from .program import Node, Program, Value


class ProgramError(AssertionError):
    """A program that breaks a rule: the fault of a pass, never of a user."""


def check(program: Program, before: Program | None = None) -> Program:
    """Return the program, or raise `ProgramError` with its listing (and that of `before`)."""
    try:
        _check(program)
    except ProgramError as error:
        listings = [f"program:\n{program_text(program)}"]
        if before is not None:
            listings.insert(0, f"before the pass:\n{program_text(before)}")
        raise ProgramError("\n".join([str(error), *listings])) from None
    return program


def _check(program: Program) -> None:
    known = {id(value) for value in program.inputs}
    for node in program.nodes:
        _check_defined(node.operands, known, node_text(node))
        _check_results(node)
        body = node.attrs.get("body")
        if isinstance(body, Program):
            _check(body)
        for value in node.outputs:
            if id(value) in known:
                raise ProgramError(f"{value!r} is assigned twice")
            known.add(id(value))
    _check_defined(program.outputs, known, "return")


def _check_defined(operands: Sequence[Any], known: set[int], where: str) -> None:
    for operand in operands:
        if isinstance(operand, Value) and id(operand) not in known:
            raise ProgramError(f"{where} reads {operand!r}, which is not defined before it")


def _check_results(node: Node) -> None:
    metas = node.operation.infer(node.operands, node.attrs)
    found = [(value.shape, value.dtype) for value in node.outputs]
    if found != [(tuple(shape), dtype) for shape, dtype in metas]:
        raise ProgramError(f"{node_text(node)}: the rules give {metas}")
