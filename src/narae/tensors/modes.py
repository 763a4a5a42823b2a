"""What is switched on right now, for each thread: gradients, inference, autocast, tracing, …"""

import threading
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .tracing import Trace

Function = TypeVar("Function", bound=Callable[..., Any])


class Modes(threading.local):
    """The switches of one thread."""

    grad: bool = True
    inference: bool = False
    anomaly: bool = False
    check_nan: bool = True
    first_anomaly: str = ""
    autocast: Any = None  # the low precision (a NumPy dtype) of products, while autocast is on
    autocast_cache: bool = True  # whether weights are converted once in a region of autocast
    module_path: str = ""  # of the layer that runs, while anomaly mode is on
    trace: "Trace | None" = None
    plain: bool = True  # nothing but gradients is on: one question instead of four

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        usual = self.grad and self.trace is None and not self.anomaly and not self.inference
        super().__setattr__("plain", usual)

    def key(self) -> tuple[Any, ...]:
        """What decides which program a function becomes when it is traced."""
        return self.grad, self.autocast, self.autocast_cache


modes = Modes()


class _Switch:
    """A context manager and decorator that sets switches and puts them back."""

    def __init__(self, **wanted: Any) -> None:
        self.wanted = wanted
        self.before: list[dict[str, Any]] = []

    def __enter__(self) -> None:
        self.before.append({name: getattr(modes, name) for name in self.wanted})
        for name, value in self.wanted.items():
            setattr(modes, name, value)

    def __exit__(self, *_: Any) -> None:
        for name, value in self.before.pop().items():
            setattr(modes, name, value)

    def __call__(self, function: Function) -> Function:
        @wraps(function)
        def inside(*arguments: Any, **options: Any) -> Any:
            with _Switch(**self.wanted):
                return function(*arguments, **options)

        return inside  # type: ignore[return-value]


def switched(**wanted: Any) -> _Switch:
    """Set switches until the end of a `with`."""
    return _Switch(**wanted)


class no_grad(_Switch):
    """Record nothing for gradients inside.

    >>> import narae
    >>> x = narae.ones(2, requires_grad=True)
    >>> with narae.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        switch = super().__new__(cls)
        _Switch.__init__(switch, grad=False)
        return switch if function is None else switch(function)

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        super().__init__(grad=False)


class enable_grad(_Switch):
    """Record for gradients inside, even within `no_grad`."""

    def __init__(self) -> None:
        super().__init__(grad=True)


class inference_mode(_Switch):
    """Like `no_grad`, and what is made inside can never need a gradient."""

    def __init__(self, mode: bool = True) -> None:
        super().__init__(grad=not mode, inference=mode)


class set_grad_enabled(_Switch):
    """Switch recording on or off: at once when called, until the end when used with `with`."""

    def __init__(self, mode: bool) -> None:
        super().__init__(grad=bool(mode))
        self._outer = modes.grad
        modes.grad = bool(mode)

    def __enter__(self) -> None:
        modes.grad = self._outer
        super().__enter__()


def is_grad_enabled() -> bool:
    """Whether operations are recorded for gradients."""
    return modes.grad


def is_inference_mode_enabled() -> bool:
    """Whether `inference_mode` is on."""
    return modes.inference
