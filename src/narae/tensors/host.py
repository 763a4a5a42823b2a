"""What a step does on the host: numbers that change from call to call, and bookkeeping.

A step traced by `narae.compile` runs its Python once. A learning rate that was read then would be
a constant of the program for ever. So optimizers and schedulers hand over a function instead:
eagerly it is simply called; in a trace the program gets an input for each number, and the function
is called before every run, in the order of the trace.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .modes import modes
from .tensor import Tensor


class HostOwner(Protocol):
    """What has state on the host that a failed call must be able to put back."""

    def host_state(self) -> Any:
        """A snapshot of the state, which later changes do not touch."""
        ...

    def restore_host_state(self, snapshot: Any) -> None:
        """Go back to a snapshot."""
        ...


class Undoable(Protocol):
    """Something the host computes, and can take back at less cost than a snapshot of its owner."""

    def begin(self) -> None:
        """From now on, `take_back` is about the next call."""
        ...

    def __call__(self) -> Sequence[float]:
        """Change the owner's state, and return the numbers."""
        ...

    def take_back(self) -> None:
        """Put back what a call since `begin` changed, however far it came."""
        ...


def host_scalars(
    owner: HostOwner, compute: Callable[[], Sequence[float]], names: tuple[str, ...]
) -> Sequence[float | Tensor]:
    """Numbers for this step, computed on the host in float64.

    Args:
        owner: whose state `compute` changes, such as a step counter.
        compute: advances that state and returns one number for each name. If it is `Undoable`,
            no snapshots of the owner are taken.
        names: names of the numbers, for listings of the program.

    Returns:
        Floats; in a trace 0-d tensors that behave like Python numbers in promotion.

    >>> class Owner:
    ...     def host_state(self): return None
    ...     def restore_host_state(self, snapshot): pass
    >>> host_scalars(Owner(), lambda: (0.1, 0.9), ("lr", "momentum"))
    (0.1, 0.9)
    """
    trace = modes.trace
    if trace is None:
        return compute()
    return trace.host_call(owner, compute, names)


def host_action(owner: HostOwner, action: Callable[[], Any]) -> None:
    """Do something on the host: now, or in a trace before every call of the compiled step."""
    trace = modes.trace
    if trace is None:
        action()
    else:
        trace.host_action(owner, action)


def gradient_of(leaf: Tensor) -> Tensor | None:
    """The accumulated gradient of a leaf; a trace notes that it was read."""
    trace = modes.trace
    return leaf.grad if trace is None else trace.read_grad(leaf)
