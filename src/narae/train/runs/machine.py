"""Where a run takes place: the machine, and the state of the user's repository."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

_GIT_SECONDS = 2.0
# Neither locks of the repository nor programs that its configuration names are used.
_GIT = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false")


def machine() -> dict[str, Any]:
    """The system, the processor and how many of its cores there are for this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": cores or 1,
    }


def git_state(folder: Path) -> dict[str, Any] | None:
    """The commit that a folder is at, and whether files differ from it.

    Args:
        folder: of the user.

    Returns:
        {"commit": ..., "dirty": ...}; None where there is no repository or no git, or where it
        does not answer in two seconds.
    """
    commit = _asked(folder, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    changed = _asked(folder, "status", "--porcelain", "--untracked-files=no")
    return None if changed is None else {"commit": commit, "dirty": bool(changed)}


def _asked(folder: Path, *question: str) -> str | None:
    try:
        done = subprocess.run(
            [*_GIT, *question],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_SECONDS / 2,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


def _processor() -> str:
    """Its model; platform.processor() is empty on most Linux systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return platform.processor()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor())
