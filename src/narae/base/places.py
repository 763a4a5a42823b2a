"""Where the user is: the first line on the call stack that does not belong to Narae."""

import sys
from pathlib import Path
from types import FrameType

_PACKAGE = str(Path(__file__).resolve().parent.parent)
_TESTING = str(Path(_PACKAGE) / "testing")


def user_frame(start: int = 1) -> FrameType | None:
    """The innermost frame whose code lies outside the package."""
    frame: FrameType | None = sys._getframe(start)
    while frame is not None and is_package_file(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def is_package_file(filename: str) -> bool:
    """Whether a file belongs to Narae (its testing helpers count as a user's)."""
    return filename.startswith(_PACKAGE) and not filename.startswith(_TESTING)


def user_line(start: int = 1) -> str:
    """The user's place as "file.py:12 in function", or "" outside any file."""
    frame = user_frame(start + 1)
    if frame is None:
        return ""
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
