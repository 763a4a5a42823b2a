"""`explain()`: what a step was compiled to, and why it was traced as often as it was."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from narae.ir import Program, Report, Value

from .plan import Plan


@dataclass(frozen=True)
class Part:
    """One program and what an executor made of it.

    Attributes:
        title: what it is.
        program: as it was traced.
        executor: who runs it.
        report: what the executor says about it: `report.text`, `report.facts`.
        memory: bytes of all inputs, of all outputs, and of the results of operations that are
            alive at once, if each has memory of its own.
    """

    title: str
    program: Program
    executor: str
    report: Report
    memory: dict[str, int]

    def __str__(self) -> str:
        listing = str(self.program)
        same = self.report.text == listing
        sections = {
            "traced": listing,
            f"run by the {self.executor} executor": "line by line" if same else self.report.text,
            "memory": ", ".join(f"{name} {_bytes(size)}" for name, size in self.memory.items()),
        }
        body = "\n".join(f"{name}:\n{_indented(text)}" for name, text in sections.items())
        return f"{self.title}\n{_indented(body)}"


@dataclass(frozen=True)
class PlanReport(Part):
    """One kind of call.

    Attributes:
        reason: why it was traced.
        calls: how often it ran.
    """

    reason: str = ""
    calls: int = 0


@dataclass(frozen=True)
class Explanation:
    """What a compiled step consists of; printing it shows everything.

    Attributes:
        name: of the step.
        plans: one report for each kind of call.
        parts: for a compiled module, its forward and backward programs.
    """

    name: str
    plans: tuple[PlanReport, ...]
    parts: tuple[Part, ...] = ()

    def __str__(self) -> str:
        return "\n\n".join(map(str, (*self.plans, *self.parts)))

    __repr__ = __str__


def of_plan(plan: Plan) -> PlanReport:
    """The report of a plan; compiles its program if that was not needed before."""
    program = plan.traced.program
    title = f"{plan.name}, traced because of: {plan.reason}; called {plan.calls} times"
    report = Report(*plan.runner.report())
    return PlanReport(
        title, program, plan.executor, report, memory_of(program), plan.reason, plan.calls
    )


def memory_of(program: Program) -> dict[str, int]:
    """Bytes of the inputs, of the outputs, and of what is alive at once in between.

    >>> from narae import ir, primitives
    >>> def twice(x):
    ...     return primitives.exp(primitives.exp(x))
    >>> memory_of(ir.trace(twice, [((10,), "float32")]))
    {'inputs': 40, 'outputs': 40, 'at once': 80}
    """
    alive = most = 0
    inputs = {id(value) for value in program.inputs}
    dying = program.last_uses()
    for position, node in enumerate(program.nodes):
        alive += _size(node.outputs)
        most = max(most, alive)
        alive -= _size(x for x in dying.get(position, ()) if id(x) not in inputs)
    outputs = [value for value in program.outputs if isinstance(value, Value)]
    return {"inputs": _size(program.inputs), "outputs": _size(outputs), "at once": most}


def _size(values: Iterable[Any]) -> int:
    return sum(value.size * value.dtype.itemsize for value in values)


def _bytes(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
