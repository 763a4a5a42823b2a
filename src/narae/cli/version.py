"""What `narae --version` prints."""

import importlib.metadata
import platform


def version_text() -> str:
    """Narae's version and those it depends on, as a bug report needs them."""
    parts = [f"{name} {_version(name)}" for name in ("narae", "numpy", "ml-dtypes")]
    return ", ".join([*parts, f"Python {platform.python_version()}"])


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # run from its source, not installed
        return "(not installed)"
