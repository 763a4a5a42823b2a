"""The unrolled graph of a recurrent net: who reads what, step by step, from its traced program."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from narae.base.errors import ConfigError, explain
from narae.ir import Program, Value
from narae.tensors import Tensor, compile

_GAP = 4


@dataclass(frozen=True)
class UnrolledGraph:
    """Inputs x1, x2, ..., states h1, h2, ... and results y1, y2, ...; printing it draws it.

    Attributes:
        states: how many times a cell was called.
        edges: (from, to): the second is computed from the first, with none of the others between.
    """

    states: int
    edges: frozenset[tuple[str, str]]

    def __str__(self) -> str:
        names = [f"h{place}" for place in range(1, self.states + 1)]
        columns = [self._column(*pair) for pair in zip(names, [*names[1:], ""], strict=True)]
        lines = ["".join(row).rstrip() for row in zip(*columns, strict=True)]
        more = ", ".join(f"{start} → {end}" for start, end in sorted(self._not_drawn(names)))
        return "\n".join([line for line in lines if line] + ([f"and {more}"] if more else []))

    def _column(self, name: str, following: str) -> list[str]:
        """From top to bottom: results, arrow, state, arrow, inputs; all of one width."""
        results, inputs = self._results_of(name), self._inputs_of(name)
        above, below = ",".join(results), ",".join(inputs)
        width = max(map(len, (above, name, below))) + _GAP
        back = any((result, following) in self.edges for result in results)
        along = (name, following) in self.edges
        return [
            above.ljust(width),
            (("↑  ↘" if back else "↑") if results else "").ljust(width),
            name
            + (" " + "→ ".rjust(width - len(name) - 1, "─") if along else "").ljust(
                width - len(name)
            ),
            ("↑" if inputs else "").ljust(width),
            below.ljust(width),
        ]

    def _results_of(self, name: str) -> list[str]:
        return sorted(end for start, end in self.edges if start == name and end[0] == "y")

    def _inputs_of(self, name: str) -> list[str]:
        return sorted(start for start, end in self.edges if end == name and start[0] == "x")

    def _not_drawn(self, names: list[str]) -> set[tuple[str, str]]:
        drawn = set(pairwise(names))
        for name, following in zip(names, [*names[1:], ""], strict=True):
            drawn |= {(name, result) for result in self._results_of(name)}
            drawn |= {(result, following) for result in self._results_of(name)}
            drawn |= {(start, name) for start in self._inputs_of(name)}
        return set(self.edges) - drawn


def unrolled(function: Callable[..., Any], *inputs: Tensor) -> UnrolledGraph:
    """The graph of a function or module that calls a GRUCell or LSTMCell at each step.

    Args:
        function: called with the inputs once, to be traced.
        *inputs: what becomes x1, x2, ...; their results in order are y1, y2, ...

    Raises:
        ConfigError: if it calls no cell; a whole layer (nn.GRU) is one operation, with no steps to
            see.

    >>> import narae
    >>> cell, head = narae.nn.GRUCell(2, 3), narae.nn.Linear(3, 1)
    >>> def many_to_one(x1, x2):
    ...     return head(cell(x2, cell(x1)))
    >>> print(unrolled(many_to_one, narae.zeros(1, 2), narae.zeros(1, 2)))
              y1
              ↑
    h1 ─→ h2
    ↑     ↑
    x1    x2
    """
    program = compile(function).explain(*inputs).plans[-1].program
    graph = unrolled_program(program, len(inputs))
    if graph.states == 0:
        given = f"{getattr(function, '__name__', type(function).__name__)} calls no cell"
        rule = "each step is a call of narae.nn.GRUCell or LSTMCell"
        raise ConfigError(explain("unrolled", given, rule, "write the layer as a loop over a cell"))
    return graph


def unrolled_program(program: Program, inputs: int) -> UnrolledGraph:
    """The graph of a traced program, of whose inputs the first are no parameters."""
    sources: dict[int, set[str]] = {
        id(value): {f"x{place}"} for place, value in enumerate(program.inputs[:inputs], 1)
    }
    results = {id(value): f"y{place}" for place, value in enumerate(program.outputs, 1)}
    states, edges = 0, set()
    for node in program.nodes:
        operands = [operand for operand in node.operands if isinstance(operand, Value)]
        reached = set().union(*(sources.get(id(operand), set()) for operand in operands))
        if node.operation.name.endswith("_cell"):
            states += 1
            edges |= {(start, f"h{states}") for start in reached}
            reached = {f"h{states}"}
        for value in node.outputs:
            sources[id(value)] = reached
            if id(value) in results:
                name = results[id(value)]
                edges |= {(start, name) for start in reached}
                sources[id(value)] = {name}
    return UnrolledGraph(states, frozenset(edges))
