"""Scans that keep what their backward pass reads, instead of computing every step twice."""

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from narae.ir import Node, Program, Value, evaluate, trace
from narae.primitives import add
from narae.primitives.control import ScanBackward, differentiable

from .vjp import vjp_split

_known: WeakKeyDictionary[Program, dict[tuple[int, int], tuple[Program, ScanBackward]]]
_known = WeakKeyDictionary()


def keeping_residuals(body: Program, constants: int, carries: int) -> tuple[Program, ScanBackward]:
    """A body that returns residuals as further outputs, and how to run it backward from them.

    before: c, y = body(w, c, x)
    after:  c, y, r = body(w, c, x); the backward step reads r and w
    """
    kept = _known.setdefault(body, {})
    if (constants, carries) not in kept:
        kept[constants, carries] = _Split(body, constants, carries).result()
    return kept[constants, carries]


class _Split:
    """One step forward and one step backward, and what passes from the one to the other."""

    def __init__(self, body: Program, constants: int, carries: int) -> None:
        self.body, self.carries = body, carries
        self.consts = body.inputs[:constants]
        self.sequences = body.inputs[constants + carries :]
        self.wanted = tuple(differentiable(value) for value in body.inputs)
        self.count = len(body.outputs)

    def result(self) -> tuple[Program, ScanBackward]:
        """The forward body and the record of the backward one."""
        forward, step = vjp_split(self.body, self.wanted, again=_is_movement)
        places = {id(value): place for place, value in enumerate(forward.inputs)}
        received = step.inputs[: len(step.inputs) - self.count]
        first_sequence = len(self.consts) + self.carries
        consts, sequences, stacked = [], [], []
        for value in received:
            place = places.get(id(value), len(self.consts))
            if place < len(self.consts):
                consts.append(place)
            elif id(value) in places and place >= first_sequence:
                sequences.append(place - first_sequence)
            else:
                stacked.append(value)
        order = [
            *(forward.inputs[place] for place in consts),
            *stacked,
            *(forward.inputs[first_sequence + place] for place in sequences),
        ]
        outputs = [*forward.outputs[: self.count], *stacked]
        kept = Program(forward.inputs, forward.nodes, outputs, self.body.name)
        backward = ScanBackward(
            self._backward_body(step, order, len(consts)),
            len(stacked),
            self.wanted,
            tuple(consts),
            tuple(sequences),
        )
        return kept, backward

    def _backward_body(self, step: Program, order: Sequence[Value], consts: int) -> Program:
        """The backward step as a body of scan, which takes its inputs in this order."""
        count = len(self.consts)
        totals = [x for x, w in zip(self.consts, self.wanted, strict=False) if w]
        carry_wanted = self.wanted[count : count + self.carries]
        carry_metas = self.body.outputs[: self.carries]
        moving = [x for x, w in zip(carry_metas, carry_wanted, strict=True) if w]
        grad_outputs = self.body.outputs[self.carries :]
        received = step.inputs[: len(step.inputs) - self.count]

        def run(*values: Any) -> tuple[Any, ...]:
            position = consts + len(totals) + len(moving)
            late = position + len(order) - consts
            given = dict(
                zip(map(id, order), (*values[:consts], *values[position:late]), strict=True)
            )
            grads = iter(values[consts + len(totals) : position])
            grad_carries = [
                next(grads) if w else _no_gradient(x)
                for x, w in zip(carry_metas, carry_wanted, strict=True)
            ]
            arguments = [given[id(value)] for value in received]
            results = evaluate(step, (*arguments, *grad_carries, *values[late:]))
            sums = [
                add(total, found)
                for total, found in zip(
                    values[consts : consts + len(totals)], results, strict=False
                )
            ]
            return (*sums, *results[len(totals) :])

        metas = [*order[:consts], *totals, *moving, *order[consts:], *grad_outputs]
        return trace(run, metas, self.body.name + "_backward")


def _no_gradient(value: Value) -> Any:
    """Zeros in the place of the gradient of a carry that has none, such as an integer."""
    from narae.primitives.generators import zeros

    return zeros(value.shape, value.dtype)


def _is_movement(node: Node) -> bool:
    """Whether a node costs less to run again than its result costs to keep."""
    operation: Any = node.operation
    return operation.kind in ("movement", "generator")
