"""Where in a model something happens: for errors, and for anomaly mode."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from narae.tensors.modes import modes

if TYPE_CHECKING:
    from .module import Module

_WHERE = "__narae_module__"


def path_of(inner: "Module", outer: "Module") -> str:
    """The path of a module inside another; its type's name if it is not found there.

    before: inner = model.features[3], outer = model
    after:  "features.3 (Conv2d)"
    """
    kind = type(inner).__name__
    for path, module in outer.named_modules():
        if module is inner and path:
            return f"{path} ({kind})"
    return kind


def note(error: Exception, module: "Module") -> None:
    """Add to an error the path of the innermost module it rose in.

    Every module that the error passes on its way out calls this, and the path grows.
    """
    known = error.__dict__.get(_WHERE)
    inner = module if known is None else known[0]
    text = f"[in {path_of(inner, module)}]"
    notes = error.__dict__.setdefault("__notes__", [])
    if known is not None and known[1] in notes:
        notes.remove(known[1])
    notes.append(text)
    error.__dict__[_WHERE] = (inner, text)


@contextmanager
def entered(module: "Module") -> Iterator[None]:
    """Keep the path of the module that is running in `modes.module_path`, in anomaly mode."""
    if not modes.anomaly:
        yield
        return
    outermost = modes.__dict__.get("outermost_module")
    before = modes.__dict__.get("module_path", "")
    modes.__dict__["outermost_module"] = outermost or module
    modes.module_path = path_of(module, outermost or module)
    try:
        yield
    finally:
        modes.__dict__["outermost_module"] = outermost
        modes.module_path = before
