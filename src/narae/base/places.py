"""Where the user is: the first line on the call stack that does not belong to Narae."""

import sys
from pathlib import Path
from types import CodeType, FrameType

_PACKAGE = str(Path(__file__).resolve().parent.parent)
_TESTING = str(Path(_PACKAGE) / "testing")
# Whether a file belongs to Narae, remembered: the stack is walked at every write.
_inside: dict[str, bool] = {}


def is_package_file(filename: str) -> bool:
    """Whether a file belongs to Narae (its testing helpers count as a user's)."""
    return filename.startswith(_PACKAGE) and not filename.startswith(_TESTING)


def user_frame(start: int = 1) -> FrameType | None:
    """The innermost frame whose code lies outside the package."""
    frame: FrameType | None = sys._getframe(start)
    while frame is not None:
        filename = frame.f_code.co_filename
        inside = _inside.get(filename)
        if inside is None:
            inside = _inside[filename] = is_package_file(filename)
        if not inside:
            break
        frame = frame.f_back
    return frame


class Place:
    """A line of the user's program; its text is made only when somebody reads it."""

    __slots__ = ("code", "line")

    def __init__(self, code: CodeType, line: int) -> None:
        self.code, self.line = code, line

    def __str__(self) -> str:
        return f"{self.code.co_filename}:{self.line} in {self.code.co_name}"


def user_place(start: int = 1) -> Place | None:
    """The user's place; None outside any file."""
    frame = user_frame(start + 1)
    return None if frame is None else Place(frame.f_code, frame.f_lineno)


def user_line(start: int = 1) -> str:
    """The user's place as "file.py:12 in function", or "" outside any file."""
    place = user_place(start + 1)
    return "" if place is None else str(place)
