"""Composites: operations that are composed of primitives, yet recorded as one step.

A composite has everything a primitive has, and its decomposition. An executor may claim it as a
whole; one that does not runs the decomposition.
"""

from collections.abc import Sequence
from typing import Any

from narae.base.dtypes import as_numpy
from narae.ir import Program, trace
from narae.ir.protocol import Meta

from .record import Primitive, Rule, is_number


class Composite(Primitive):
    """A primitive with a decomposition: `decompose(*operands, **attrs)` in simpler primitives.

    `results` is the number of leading results whose gradients the rules handle; gradients that
    reach the others, which exist for the backward pass, are those of the decomposition.
    With `by_decomposition` it needs no rule of its own: its gradient is that of the decomposition.
    """

    __slots__ = ("_bodies", "by_decomposition", "decompose", "results")

    def __init__(
        self,
        name: str,
        operands: str,
        formula: str,
        decompose: Rule,
        by_decomposition: bool = False,
        results: int = 1,
        **more: Any,
    ) -> None:
        if by_decomposition:
            more.update(saves="*xs", joint_grad=_unused)
        super().__init__(name, "composite", operands, formula, shape=_unused, dtype=_unused, **more)
        self.decompose = decompose
        self.by_decomposition = by_decomposition
        self.results = results
        self._bodies: dict[Any, Program] = {}

    def body(self, operands: Sequence[Any], attrs: dict[str, Any]) -> Program:
        """The decomposition as a program for operands of these shapes and dtypes."""
        metas = tuple(_meta(operand) for operand in operands)
        key = (metas, tuple(attrs.items()))
        if key not in self._bodies:
            self._bodies[key] = self._trace(metas, attrs)
        return self._bodies[key]

    def _trace(self, metas: tuple[Any, ...], attrs: dict[str, Any]) -> Program:
        symbolic = [meta for meta in metas if isinstance(meta, tuple)]

        def run(*values: Any) -> Any:
            remaining = iter(values)
            operands = [next(remaining) if isinstance(m, tuple) else m for m in metas]
            return self.decompose(*operands, **attrs)

        return trace(run, symbolic, self.name)

    def infer(self, operands: Sequence[Any], attrs: dict[str, Any]) -> list[Meta]:
        """Shape and dtype of each result: those that the decomposition has."""
        return [(value.shape, value.dtype) for value in self.body(operands, attrs).outputs]


def _unused(*_: Any, **__: Any) -> None:
    raise NotImplementedError("a composite takes its shape and dtype from its decomposition")


def _meta(operand: Any) -> Any:
    """Shape and dtype; a number, or the absence of an optional operand, stands for itself."""
    if operand is None or is_number(operand):
        return operand
    return tuple(operand.shape), as_numpy(operand.dtype)
