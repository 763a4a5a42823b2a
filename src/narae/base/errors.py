"""Narae's errors: each is also the built-in class that fits, so `except ValueError` works."""

import importlib
from types import ModuleType


class NaraeError(RuntimeError):
    """The root of every error that Narae raises on purpose."""


class ShapeError(NaraeError, ValueError):
    """Sizes that do not fit together."""


class DTypeError(NaraeError, TypeError):
    """A dtype that an operation does not accept."""


class DeviceError(NaraeError):
    """A device that is missing or that does not match."""


class BoundsError(NaraeError, IndexError):
    """An index, a dimension or a label outside its range."""


class GraphError(NaraeError):
    """A misuse of automatic differentiation."""


class TraceError(NaraeError):
    """Something that cannot become part of a program."""


class LinAlgError(NaraeError):
    """A matrix that has no such result: singular, not positive-definite, not convergent."""


class DataError(NaraeError, ValueError):
    """Data that does not have the form it should have."""


class FileFormatError(DataError):
    """A file that is truncated, damaged or of another kind."""


class MissingDataError(NaraeError, FileNotFoundError):
    """Data that is nowhere to be found."""


class ConfigError(NaraeError, ValueError):
    """An option or a configuration that makes no sense."""


class MissingExtraError(NaraeError, ImportError):
    """An optional library that is not installed."""


class NotSupportedError(NaraeError, NotImplementedError):
    """Something Narae leaves out on purpose."""


def explain(what: str, given: str, rule: str, fix: str = "", origin: str = "") -> str:
    """Compose a message of four parts: what was given, the rule it breaks, the fix, the origin.

    >>> explain("matmul", "x is (2, 3), w is (4, 5)", "inner sizes must agree", "transpose w?")
    '[matmul] x is (2, 3), w is (4, 5); inner sizes must agree. Fix: transpose w?'
    """
    message = f"[{what}] {given}; {rule}"
    if fix:
        message += f". Fix: {fix}"
    if origin:
        message += f" (made at {origin})"
    return message


def require(module_name: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional library, or raise `MissingExtraError` naming the extra that brings it."""
    try:
        return importlib.import_module(module_name)
    except ImportError as error:
        message = explain(
            "import",
            f"{module_name} is not installed",
            f"{purpose} needs it",
            f'pip install "narae[{extra}]"',
        )
        raise MissingExtraError(message) from error
