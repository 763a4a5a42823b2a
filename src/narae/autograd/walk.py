"""The backward walk: from results to leaves, each node once, the latest first.

Nodes are numbered as they are made and depend only on earlier ones, so a priority queue by number
visits every node after all nodes that send gradients to it.
"""

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import Any, Protocol

from narae.base.errors import GraphError
from narae.base.shapes import Shape
from narae.primitives import add

from .rules import operand_grads, unbroadcast
from .tape import TapeNode


class ValueProtocol(Protocol):
    """What the walk asks of whoever made the tape."""

    def unpack(self, item: Any, node: TapeNode) -> Any:
        """A saved item as a value; raises when it was changed since."""

    def apply_hook(self, hook: Any, grad: Any) -> Any:
        """The gradient after a user's hook."""

    def check(self, node: TapeNode, grads: Sequence[Any]) -> None:
        """Look at the gradients a node returned (anomaly mode)."""


class Walk:
    """One run of backward.

    Args:
        values: how saved items, hooks and checks work for this kind of value.
        free: drop what nodes saved as soon as they are done.
        targets: edges whose gradients are wanted; None means all leaves.
    """

    def __init__(self, values: ValueProtocol, free: bool, targets: Sequence[Any] | None) -> None:
        self.values = values
        self.free = free
        self.pending: dict[TapeNode, Any] = {}
        self.queue: list[tuple[int, TapeNode]] = []
        self.results: dict[Any, Any] = {}
        self.targets = None if targets is None else set(targets)
        self.allowed: set[TapeNode] | None = None
        self.passing: set[TapeNode] | None = None

    def run(self, roots: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
        """Send each root its gradient and walk; the result maps leaves and targets to gradients."""
        roots = list(roots)
        if self.targets is not None:
            self.passing, self.allowed = _routes([edge for edge, _ in roots], self.targets)
        for edge, grad in roots:
            self._send(edge, grad)
        queue, pending = self.queue, self.pending
        while queue:
            node = heappop(queue)[1]
            self._visit(node, pending.pop(node))
        return self.results

    def _send(self, edge: Any, grad: Any) -> None:
        if type(edge) is TapeNode:
            known = self.pending.get(edge)
            if known is None:
                if self.allowed is not None and edge not in self.allowed:
                    return
                self.pending[edge] = grad
                heappush(self.queue, (-edge.number, edge))
            else:
                self.pending[edge] = add(known, grad)
        elif type(edge) is tuple:
            self._send_output(edge, grad)
        elif self.targets is None or edge in self.targets:
            known = self.results.get(edge)
            self.results[edge] = grad if known is None else add(known, grad)

    def _send_output(self, edge: tuple[TapeNode, int], grad: Any) -> None:
        node, index = edge
        if self.allowed is not None and node not in self.allowed:
            return
        grads = self.pending.get(node)
        if grads is None:
            grads = self.pending[node] = [None] * len(node.shape)
            heappush(self.queue, (-node.number, node))
        grads[index] = grad if grads[index] is None else add(grads[index], grad)

    def _visit(self, node: TapeNode, received: Any) -> None:
        several = type(received) is list
        grads = received if several else [received]
        if node.hooks is not None:
            self._apply_hooks(node, grads)
        if self.targets is not None:
            self._keep_targets(node, grads, several)
            if self.passing is not None and node not in self.passing:
                return
        if node.saved is None:
            raise GraphError(_freed_message(node))
        found = self._operand_grads(node, grads)
        operation = node.operation
        if self.free and node.saved and getattr(operation, "keeps_values", True):
            node.saved = None
        for parent, grad in zip(node.parents, found, strict=True):
            if parent is not None and grad is not None:
                if operation.broadcasts:
                    grad = unbroadcast(operation, grad, shape_of_edge(parent))
                self._send(parent, grad)

    def _operand_grads(self, node: TapeNode, grads: list[Any]) -> Sequence[Any]:
        unpack = self.values.unpack
        saved = [unpack(item, node) for item in node.saved]
        operation, parents = node.operation, node.parents
        rules = operation.grads
        if rules is not None and len(rules) == 1:
            found: Sequence[Any] = (rules[0](grads[0], *saved, **node.attrs),)
        elif operation.kind == "custom":
            found = operation.backward(grads, saved, node, self.values)
        else:
            needs = [parent is not None and self._wants(parent) for parent in parents]
            found = operand_grads(operation, needs, grads, saved, node.attrs)
        self.values.check(node, found)
        return found

    def _wants(self, parent: Any) -> bool:
        """Whether a gradient sent there can reach a target."""
        return self.allowed is None or _owner(parent) in self.allowed

    def _apply_hooks(self, node: TapeNode, grads: list[Any]) -> None:
        for index, hook in list(node.hooks.values()):
            if grads[index] is not None:
                grads[index] = self.values.apply_hook(hook, grads[index])

    def _keep_targets(self, node: TapeNode, grads: list[Any], several: bool) -> None:
        assert self.targets is not None
        for index, grad in enumerate(grads):
            edge = (node, index) if several else node
            if edge in self.targets:
                self.results[edge] = grad


def shape_of_edge(edge: Any) -> Shape:
    """The shape of the value that an edge stands for."""
    if type(edge) is tuple:
        return tuple(edge[0].shape[edge[1]])
    return tuple(edge.shape)


def _routes(roots: Sequence[Any], targets: set[Any]) -> tuple[set[TapeNode], set[TapeNode]]:
    """The nodes from which some target is reached, without and with those that are targets.

    Found parents first, without recursion.
    """
    passing: set[TapeNode] = set()
    reached = {_owner(target) for target in targets}
    order = _all_nodes(roots)
    order.sort(key=lambda node: node.number)
    for node in order:
        if any(_owner(parent) in reached for parent in node.parents):
            passing.add(node)
            reached.add(node)
    return passing, reached


def _owner(edge: Any) -> Any:
    """The node, or the leaf, that an edge leads to."""
    return edge[0] if type(edge) is tuple else edge


def _all_nodes(roots: Sequence[Any]) -> list[TapeNode]:
    seen: set[TapeNode] = set()
    stack = list(roots)
    while stack:
        node = _owner(stack.pop())
        if type(node) is TapeNode and node not in seen:
            seen.add(node)
            stack.extend(node.parents)
    return list(seen)


def _freed_message(node: TapeNode) -> str:
    return (
        f"[backward] Trying to backward through the graph a second time: {node.name} has dropped "
        "what it saved after the first backward. Fix: backward(retain_graph=True) the first time, "
        "or compute the loss again"
    )
