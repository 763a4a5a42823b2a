"""Handing out the results of modules by their path, without touching the modules for good."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from narae.tensors.tensor import Tensor
from narae.tensors.tracing import tap

from .guards import references


@contextmanager
def tapped_modules(function: Any, taps: Mapping[str, Any]) -> Iterator[None]:
    """Let modules whose path is asked for tap their result, as long as the block lasts."""
    with ExitStack() as stack:
        for path, module in _modules(function):
            if path in taps:
                stack.enter_context(_tapping(module, path))
        yield


def _modules(function: Any) -> Iterator[tuple[str, Any]]:
    owner = getattr(function, "__self__", None)
    objects = [owner, *(reference.value for reference in references(function))]
    for item in objects:
        if hasattr(item, "named_modules"):
            yield from item.named_modules()


@contextmanager
def _tapping(module: Any, path: str) -> Iterator[None]:
    """An instance attribute shadows the class's `forward` for a while."""
    forward: Callable[..., Any] = module.forward

    def watched(*args: Any, **kwargs: Any) -> Any:
        out = forward(*args, **kwargs)
        if isinstance(out, Tensor):
            tap(path, out)
        return out

    before = module.__dict__.get("forward")
    module.__dict__["forward"] = watched
    try:
        yield
    finally:
        if before is None:
            del module.__dict__["forward"]
        else:
            module.__dict__["forward"] = before
