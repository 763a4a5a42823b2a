"""Checkpoints: forget what a part of a network saved for backward, and compute it again there.

The part runs as always. Afterwards the nodes it put on the tape are found by their numbers, and
what they saved is replaced by promises. The first promise that backward asks for runs the part
again, with the same random numbers, and hands out what the new nodes saved.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from narae.autograd.tape import TapeNode, new_number
from narae.base.errors import GraphError, explain

from .eager import Saved, SavedOutput, edge_of
from .modes import enable_grad, modes, switched
from .random import default_generator, fork_rng, keep_draws, replay_draws
from .tensor import Tensor

Contexts = tuple[AbstractContextManager[Any], AbstractContextManager[Any]]


class CheckpointError(GraphError):
    """A part of a network did something else when it was computed again."""


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = False,
    preserve_rng_state: bool = True,
    context_fn: Callable[[], Contexts] | None = None,
    determinism_check: str = "default",
    debug: bool = False,
    **kwargs: Any,
) -> Any:
    """Run a function, keep nothing it saves for backward, and run it again when backward comes.

    The memory of its intermediate results is traded for a second forward pass; results and
    gradients are the same, bit for bit (Chen et al. 2016, "Training Deep Nets with Sublinear
    Memory Cost").

    Args:
        function: any part of a model; it must do the same when it is called again.
        args: what it is called with.
        use_reentrant: accepted for PyTorch's sake; there is one implementation.
        preserve_rng_state: draw the same random numbers the second time.
        context_fn: gives two context managers, for the first run and for the second.
        determinism_check: "default" compares the shapes of what both runs saved, "none" does not.
        debug: accepted for PyTorch's sake.
        kwargs: what it is called with, too.

    Returns:
        What the function returns.

    Raises:
        RuntimeError: (CheckpointError, in backward) when the second run differs from the first.

    >>> import narae
    >>> from narae.utils.checkpoint import checkpoint
    >>> x = narae.tensor([1.0, 2.0], requires_grad=True)
    >>> checkpoint(lambda x: x.exp().sin(), x).sum().backward()
    """
    first, second = context_fn() if context_fn is not None else (nullcontext(), nullcontext())
    if not modes.grad:
        with first:
            return function(*args, **kwargs)
    run = _Run(function, args, kwargs, preserve_rng_state, second)
    run.compare = determinism_check != "none"
    with first:
        return run.forward()


class _Run:
    """One checkpointed call.

    Attributes:
        nodes: names and shapes of the nodes of the first run, in order.
        ready: what the second run saved: place of the node -> its items; each is handed out once.
        draws: what the host drew for the first run, if it was traced.
        precision: the autocast of the first run; it converts no weight once for several runs.
        state: where the stream of random numbers was before the first run, if it ran eagerly.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        preserve_rng_state: bool,
        context: AbstractContextManager[Any],
    ) -> None:
        self.function, self.args, self.kwargs, self.context = function, args, kwargs, context
        self.preserve_rng_state = preserve_rng_state
        eager = preserve_rng_state and modes.trace is None
        self.precision = {"autocast": modes.autocast, "autocast_cache": False}
        self.state = default_generator.host_state() if eager else None
        self.draws: list[Tensor] = []
        self.nodes: list[tuple[str, Any]] = []
        self.ready: dict[int, dict[int, Any]] = {}
        self.compare = True
        self._lock = threading.RLock()

    def forward(self) -> Any:
        start = new_number()
        with keep_draws(self.draws), switched(**self.precision):
            result = self.function(*self.args, **self.kwargs)
        nodes = nodes_since(start, result)
        self.nodes = [(node.name, node.shape) for node in nodes]
        kept = _outside(self.args, self.kwargs)
        for place, node in enumerate(nodes):
            node.saved = [
                Promise(self, place, index) if _is_heavy(item, kept) else item
                for index, item in enumerate(node.saved)
            ]
        return result

    def item(self, place: int, index: int) -> Any:
        """What node `place` saved as its item `index`; computed again when it is not there."""
        with self._lock:
            items = self.ready.get(place)
            if items is None or index not in items:
                self._again()
                items = self.ready[place]
            item = items.pop(index)
            if not items:
                del self.ready[place]
            return item

    def _again(self) -> None:
        start = new_number()
        precision = switched(**self.precision)  # backward runs outside the region
        with enable_grad(), precision, self._same_random_numbers(), self.context:
            result = self.function(*self.args, **self.kwargs)
            nodes = nodes_since(start, result)
        self._check_same(nodes)
        kept = _outside(self.args, self.kwargs)
        for place, node in enumerate(nodes):
            heavy = {i: x for i, x in enumerate(node.saved) if _is_heavy(x, kept)}
            if heavy:
                self.ready[place] = heavy

    def _same_random_numbers(self) -> AbstractContextManager[Any]:
        if not self.preserve_rng_state:
            return nullcontext()
        return _replay(self.draws, self.state)

    def _check_same(self, nodes: Sequence[TapeNode]) -> None:
        found = [(node.name, node.shape) for node in nodes]
        if found == self.nodes or (not self.compare and len(found) == len(self.nodes)):
            return
        raise CheckpointError(_difference(self.nodes, found))


@contextmanager
def _replay(draws: list[Tensor], state: Any) -> Iterator[None]:
    """The draws of the first run: those of a trace, or those that follow in the stream."""
    with replay_draws(draws), fork_rng(enabled=state is not None):
        if state is not None:
            default_generator.restore_host_state(state.clone())
        yield


class Promise:
    """Stands for something a node had saved."""

    __slots__ = ("index", "place", "run")

    def __init__(self, run: _Run, place: int, index: int) -> None:
        self.run, self.place, self.index = run, place, index

    def fulfil(self) -> Any:
        """The thing itself."""
        return self.run.item(self.place, self.index)


# --- finding nodes --------------------------------------------------------------------------


def nodes_since(start: int, result: Any) -> list[TapeNode]:
    """The nodes made after number `start` that tensors in a result depend on, in order."""
    stack = [edge_of(x) for x in tensors_in(result)]
    found: dict[int, TapeNode] = {}
    while stack:
        edge = stack.pop()
        node = edge[0] if type(edge) is tuple else edge
        if type(node) is TapeNode and node.number > start and node.number not in found:
            found[node.number] = node
            stack.extend(node.parents)
    return [found[number] for number in sorted(found)]


def tensors_in(items: Any) -> Iterable[Tensor]:
    """The tensors in nested tuples, lists and dicts."""
    if isinstance(items, Tensor):
        yield items
    elif isinstance(items, dict):
        for item in items.values():
            yield from tensors_in(item)
    elif isinstance(items, (tuple, list)):
        for item in items:
            yield from tensors_in(item)


def _outside(args: Any, kwargs: Any) -> set[int]:
    """Tensors that live on anyway: forgetting them would free nothing."""
    return {id(x) for x in tensors_in([args, kwargs])}


def _is_heavy(item: Any, kept: set[int]) -> bool:
    """Whether a saved item holds numbers that can be computed again."""
    if isinstance(item, (SavedOutput, Promise)):
        return True
    tensor = item.tensor if isinstance(item, Saved) else item
    if not isinstance(tensor, Tensor):
        return False
    is_leaf = tensor._requires_grad and tensor._node is None
    return id(tensor) not in kept and not is_leaf


def _difference(first: Sequence[tuple[str, Any]], second: Sequence[tuple[str, Any]]) -> str:
    if len(first) != len(second):
        given = (
            "A different number of tensors was saved during the original forward and "
            f"recomputation: {len(first)} operations, then {len(second)}"
        )
    else:
        pairs = zip(first, second, strict=True)
        place, (before, after) = next(
            (i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1]
        )
        given = (
            "Recomputed values have different metadata than during the forward pass: operation "
            f"{place} was {before[0]} {before[1]}, then {after[0]} {after[1]}"
        )
    return explain(
        "checkpoint",
        given,
        "the function must do the same when it is called again",
        "keep what it depends on unchanged until backward",
    )


# --- a whole sequence -----------------------------------------------------------------------


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool | None = False,
    **kwargs: Any,
) -> Any:
    """Run functions (or the modules of a Sequential) one after the other, in checkpointed pieces.

    Args:
        functions: a list of functions, or a Sequential.
        segments: the number of pieces; all but the last are checkpointed.
        input: what the first function is called with.
        use_reentrant: as in `checkpoint`.
        kwargs: further options of `checkpoint`.

    >>> import narae
    >>> from narae.utils.checkpoint import checkpoint_sequential
    >>> x = narae.tensor([0.5], requires_grad=True)
    >>> checkpoint_sequential([narae.sin, narae.exp, narae.tanh], 2, x).sum().backward()
    """
    children = list(functions.children()) if hasattr(functions, "children") else list(functions)
    if not 1 <= segments <= len(children):
        raise GraphError(
            explain(
                "checkpoint_sequential",
                f"{segments} segments, {len(children)} functions",
                "segments must be between 1 and the number of functions",
            )
        )
    size = len(children) // segments
    for piece in range(segments - 1):
        part = _chain(children[piece * size : (piece + 1) * size])
        input = checkpoint(part, input, use_reentrant=use_reentrant, **kwargs)
    return _chain(children[(segments - 1) * size :])(input)


def _chain(functions: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        for function in functions:
            x = function(x)
        return x

    return run
