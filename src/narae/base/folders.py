"""Where Narae keeps what it can make or fetch again."""

import os
import sys
from pathlib import Path


def cache_dir() -> Path:
    """Narae's cache folder: `NARAE_CACHE`, else "narae" in the platform's cache folder.

    Raises:
        RuntimeError: if the user has no home folder.

    Example:
        >>> os.environ["NARAE_CACHE"] = "/var/cache/class"
        >>> cache_dir().as_posix()
        '/var/cache/class'
        >>> del os.environ["NARAE_CACHE"]
    """
    own = os.environ.get("NARAE_CACHE")
    if own:
        return Path(own).expanduser()
    return _platform_cache() / "narae"


def _platform_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    named = Path(os.environ.get("XDG_CACHE_HOME") or "")
    # The XDG base directory specification asks that a relative path be ignored.
    return named if named.is_absolute() else Path.home() / ".cache"
