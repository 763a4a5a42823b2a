"""Listings of programs."""

from typing import Any

import numpy as np

from .program import Node, Program, Value, type_text


def program_text(program: Program, indent: str = "") -> str:
    """A program as text, one node a line, sub-programs indented below their node."""
    inputs = ", ".join(repr(value) for value in program.inputs)
    lines = [f"{indent}{program.name}({inputs}):"]
    for node in program.nodes:
        lines.append(f"{indent}  {node_text(node)}")
        body = node.attrs.get("body")
        if isinstance(body, Program):
            lines.append(program_text(body, indent + "    "))
    outputs = ", ".join(operand_text(value) for value in program.outputs)
    lines.append(f"{indent}  return {outputs}")
    return "\n".join(lines)


def node_text(node: Node) -> str:
    """One node: `v2: f32[2,4] = add(v0, v1)`."""
    results = ", ".join(repr(value) for value in node.outputs)
    arguments = [operand_text(operand) for operand in node.operands]
    arguments += [f"{key}={_attr_text(value)}" for key, value in node.attrs.items()]
    return f"{results} = {node.operation.name}({', '.join(arguments)})"


def operand_text(operand: Any) -> str:
    """A value's name, or the constant itself when it is small."""
    if isinstance(operand, Value):
        return operand.name
    if isinstance(operand, np.ndarray):
        if operand.size == 1:
            return f"{type_text(operand)}={operand.reshape(())[()]!s}"
        return f"constant {type_text(operand)}#{_fingerprint(operand)}"
    return repr(operand)


def _fingerprint(array: np.ndarray[Any, Any]) -> str:
    import hashlib

    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:8]


def _attr_text(value: Any) -> str:
    if isinstance(value, Program):
        return f"<{value.name}>"
    if isinstance(value, np.dtype):
        return str(value)
    return repr(value)
