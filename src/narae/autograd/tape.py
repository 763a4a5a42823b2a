"""The tape: one slotted node for each differentiable operation that ran."""

from itertools import count
from typing import Any

new_number = count(1).__next__


class NodeName(str):
    """A name that may also be called: PyTorch's programs ask for `grad_fn.name()`."""

    def __call__(self) -> str:
        return str(self)


class AccumulateGrad:
    """What stands for a leaf among the `next_functions` of a node."""

    __slots__ = ("variable",)
    name = NodeName("AccumulateGrad")
    next_functions: tuple[tuple[Any, int], ...] = ()

    def __init__(self, variable: Any) -> None:
        self.variable = variable

    def __repr__(self) -> str:
        return "<AccumulateGrad>"


def _next_function(parent: Any) -> tuple[Any, int]:
    if isinstance(parent, tuple):
        return parent
    if parent is None or isinstance(parent, TapeNode):
        return parent, 0
    return AccumulateGrad(parent), 0


def _rule_of(operation: Any) -> Any:
    """The function that makes an operation's gradients; the first if each operand has its own."""
    if getattr(operation, "by_decomposition", False):
        return operation.decompose
    rules = [*(getattr(operation, "grads", None) or ()), getattr(operation, "joint_grad", None)]
    rule = next((rule for rule in rules if rule is not None), None)
    return operation.function.backward if rule is None else rule


class TapeNode:
    """What one operation left for its backward rules.

    Attributes:
        operation: the record of the primitive or composite (or a custom function's class).
        parents: an edge for each operand; None where no gradient is needed. An edge is the node
            that made the operand, a leaf, or an `(node, output)` pair for one of several outputs.
        saved: values for the backward rules, in the order of the record's `saves`; None once freed.
        attrs: the attributes of the operation.
        shape: the shape of the result (of each result, in a list, when there are several).
        number: grows with time, so that a higher number never depends on by a lower one.
        hooks: functions that may look at or replace the gradient of the result.
        line: the user's line, as far as it was kept.
    """

    __slots__ = (
        "__weakref__",
        "attrs",
        "hooks",
        "line",
        "number",
        "operation",
        "parents",
        "saved",
        "shape",
    )

    def __init__(
        self,
        operation: Any,
        parents: tuple[Any, ...],
        saved: Any,
        attrs: dict[str, Any],
        shape: Any,
    ) -> None:
        self.operation = operation
        self.parents = parents
        self.saved = saved
        self.attrs = attrs
        self.shape = shape
        self.number = new_number()
        self.hooks: Any = None
        self.line: Any = None

    @property
    def name(self) -> "NodeName":
        """PyTorch's name of the node, such as "MulBackward0"."""
        return NodeName(self.operation.grad_name)

    @property
    def formula(self) -> str:
        """What the operation computes, in one line."""
        return str(self.operation.formula)

    @property
    def source(self) -> str:
        """Where its backward rule stands: "file.py:12", to open and read."""
        rule = _rule_of(self.operation)
        code = rule.__code__
        return f"{code.co_filename}:{code.co_firstlineno}"

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The nodes that the gradients go to, with the output each one stands for."""
        return tuple(_next_function(parent) for parent in self.parents)

    def __repr__(self) -> str:
        return f"<{self.name}>"
