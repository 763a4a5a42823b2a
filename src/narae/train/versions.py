"""The versions of Python and of libraries that a run depends on."""

import importlib.metadata
import platform
from collections.abc import Sequence


def versions_of(libraries: Sequence[str]) -> dict[str, str]:
    """The version of Python and of each library, as far as installed.

    >>> sorted(versions_of(["numpy", "no-such-library"]))
    ['numpy', 'python']
    """
    found = {"python": platform.python_version()}
    for name in libraries:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # such as Narae, run from its source
            continue
    return found
