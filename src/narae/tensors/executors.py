"""Choosing who runs programs. This is the only place that knows which executors exist."""

import importlib
import importlib.util
import logging
import os
from collections.abc import Sequence

from narae.base.errors import ConfigError, NotSupportedError, explain
from narae.ir import Executor, Program, Runner, Update
from narae.ir.executor import Array
from narae.reference import ReferenceExecutor

from . import epoch
from .settings import get_num_threads

logger = logging.getLogger("narae.compile")

NAMES = ("reference", "native")
_made: dict[str, Executor] = {"reference": ReferenceExecutor()}
_chosen: list[str | None] = [None]
_said: set[str] = set()


def executor_named(name: str | None) -> Executor:
    """An executor by name; the current one for None.

    The current one is what `set_executor` said, else the environment variable NARAE_EXECUTOR, else
    "native" where llvmlite is installed, else "reference".

    Raises:
        ConfigError: for names that no executor has, and for executors that cannot be loaded.
    """
    wanted = name or _wish()
    if wanted is None:
        return _executor(_default_name())
    if wanted not in NAMES:
        known = ", ".join(NAMES)
        raise ConfigError(explain("executor", f"{wanted!r} was asked for", f"there are: {known}"))
    return _executor(wanted)


def set_executor(name: str | None) -> None:
    """Let compiled steps run on the executor of that name from now on; None: on the fastest one.

    Steps that were compiled before are compiled again.
    """
    if name is not None:
        executor_named(name)
    _chosen[0] = name
    epoch.bump()


def compiled(
    program: Program, updates: Sequence[Update] = (), name: str | None = None
) -> tuple[str, Runner]:
    """A program made ready by an executor, and the executor's name.

    Where nobody named one, a program that the fastest cannot run goes to the reference executor.
    """
    executor = executor_named(name)
    reason = _unsupported(executor, program)
    free = name is None and _wish() is None and executor.name != "reference"
    if reason is not None and not free:
        given = f"{program.name} is to run on the {executor.name} executor"
        raise NotSupportedError(explain("executor", given, reason, "let Narae choose"))
    if reason is None:
        try:
            return executor.name, executor.compile(program, updates)
        except NotSupportedError as error:
            if not free:
                raise
            reason = str(error)
    logger.info("%s runs on NumPy: %s", program.name, reason)
    return "reference", _made["reference"].compile(program, updates)


def run_again(program: Program, arrays: Sequence[Array]) -> None:
    """Run a program that failed once more, on NumPy, for the error that eager mode raises."""
    _made["reference"].compile(program)(arrays)


def _wish() -> str | None:
    return _chosen[0] or os.environ.get("NARAE_EXECUTOR") or None


def _unsupported(executor: Executor, program: Program) -> str | None:
    reasons = (executor.unsupported(node.operation) for node in program.walk())
    return next((reason for reason in reasons if reason is not None), None)


def _executor(name: str) -> Executor:
    if name not in _made:
        _made[name] = _native()
    return _made[name]


def _default_name() -> str:
    if importlib.util.find_spec("llvmlite") is None:
        _say_once(
            "llvmlite is not installed: compiled steps run on NumPy; "
            "pip install 'narae[native]' makes them fast"
        )
        return "reference"
    return "native"


def _native() -> Executor:
    if importlib.util.find_spec("llvmlite") is None:
        given, rule = "'native' was asked for", "it writes machine code through llvmlite"
        raise ConfigError(explain("executor", given, rule, "pip install 'narae[native]'"))
    importlib.import_module("narae.native.runtime.team").set_threads(get_num_threads())
    executor: Executor = importlib.import_module("narae.native").NativeExecutor()
    return executor


def _say_once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        logger.warning(text)
