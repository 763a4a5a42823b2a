"""Sub-programs in NumPy: run once, or once for every step of a sequence."""

from typing import Any

import numpy as np

from narae.ir import Program, evaluate

Array = Any


def call(*inputs: Array, body: Program) -> tuple[Array, ...]:
    """The outputs of the body."""
    return evaluate(body, inputs)


def scan(
    *operands: Array,
    body: Program,
    constants: int,
    carries: int,
    length: int,
    reverse: bool,
    backward: Any = None,
) -> tuple[Array, ...]:
    """A Python loop over time; outputs are written into arrays made beforehand."""
    consts = operands[:constants]
    carry = operands[constants : constants + carries]
    sequences = operands[constants + carries :]
    stacks = [np.empty((length, *value.shape), value.dtype) for value in body.outputs[carries:]]
    steps = range(length - 1, -1, -1) if reverse else range(length)
    for time in steps:
        results = evaluate(body, (*consts, *carry, *[x[time] for x in sequences]))
        carry = results[:carries]
        for stack, item in zip(stacks, results[carries:], strict=True):
            stack[time] = item
    return (*carry, *stacks)
