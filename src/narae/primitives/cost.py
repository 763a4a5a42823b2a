"""What a program costs: the floating-point operations of its products.

Only contractions count, two operations (a product and a sum) for each term, as is usual where
networks are compared; what is element by element is small beside them.
"""

from math import prod
from typing import Any

from narae.ir import Program
from narae.ir.program import Node

from .composite import Composite
from .record import shape_of


def program_flops(program: Program) -> int:
    """Floating-point operations of all products in a program, those of composites included.

    >>> from narae.ir import trace
    >>> from narae.primitives import matmul
    >>> program_flops(trace(matmul, [((2, 3), "float32"), ((3, 4), "float32")]))
    48
    """
    return sum(map(node_flops, program.nodes))


def node_flops(node: Node) -> int:
    """Floating-point operations of one step of a program."""
    operation: Any = node.operation
    if isinstance(operation, Composite):
        return program_flops(operation.body(node.operands, node.attrs))
    if operation.kind == "control":
        steps: int = node.attrs.get("length", 1)
        return steps * program_flops(node.attrs["body"])
    if operation.kind == "contraction":
        return 2 * _terms(node)
    return 0


def _terms(node: Node) -> int:
    """How many products of two numbers a contraction adds up.

    matmul: every result sums over the inner size. Convolutions and their gradients: every pixel
    of the side that is strided over meets the weights of all channels it is connected with.
    """
    first, second = (shape_of(operand) for operand in node.operands[:2])
    (out,) = node.outputs
    name = node.operation.name
    if name == "matmul":
        return prod(out.shape) * first[-1]
    pixels = {"conv": out.shape, "conv_grad_x": first, "conv_grad_w": first}[name]
    weights = second if name != "conv_grad_w" else out.shape
    return pixels[0] * prod(pixels[2:]) * prod(weights)
