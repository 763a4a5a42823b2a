"""Where the user is: the first line on the call stack that does not belong to Narae."""

import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

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
    while frame is not None and is_package_file(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


# A line of the user's program, kept as code object and instruction: text is made when it is read.
Place = tuple[CodeType, int]


def user_place(start: int = 1) -> Place | None:
    """The user's place; None outside any file."""
    frame: FrameType | None = sys._getframe(start)
    while frame is not None:
        code = frame.f_code
        inside = _inside.get(code.co_filename)
        if inside is None:
            inside = _inside[code.co_filename] = is_package_file(code.co_filename)
        if not inside:
            return code, frame.f_lasti
        frame = frame.f_back
    return None


def place_text(place: Any) -> str:
    """A place as "file.py:12 in function"; what is not a place as it prints itself."""
    if not isinstance(place, tuple):
        return "" if place is None else str(place)
    code, instruction = place
    return f"{code.co_filename}:{_line_of(code, instruction)} in {code.co_name}"


def _line_of(code: CodeType, instruction: int) -> int:
    for first, last, line in code.co_lines():
        if first <= instruction < last and line is not None:
            return line
    return code.co_firstlineno


def user_line(start: int = 1) -> str:
    """The user's place as "file.py:12 in function", or "" outside any file."""
    return place_text(user_place(start + 1))
