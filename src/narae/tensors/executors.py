"""Choosing who runs programs. This is the only place that knows which executors exist."""

from narae.base.errors import ConfigError, explain
from narae.ir import Executor
from narae.reference import ReferenceExecutor

_EXECUTORS: dict[str, Executor] = {"reference": ReferenceExecutor()}
_chosen = ["reference"]


def executor_named(name: str | None) -> Executor:
    """An executor by name; the current one for None.

    Raises:
        ConfigError: for names that no executor has.
    """
    found = _EXECUTORS.get(_chosen[0] if name is None else name)
    if found is None:
        known = ", ".join(_EXECUTORS)
        raise ConfigError(explain("executor", f"{name!r} was asked for", f"there are: {known}"))
    return found


def set_executor(name: str) -> None:
    """Let compiled steps run on the executor of that name from now on."""
    executor_named(name)
    _chosen[0] = name
