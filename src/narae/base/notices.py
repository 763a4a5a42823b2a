"""Warnings that point at the line of the user, however deep in Narae they arise."""

import warnings

from .places import user_frame


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the innermost line outside of Narae."""
    frame = user_frame(2)
    if frame is None:
        warnings.warn(message, category, stacklevel=3)
        return
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    filename, line = frame.f_code.co_filename, frame.f_lineno
    module = frame.f_globals.get("__name__", "<unknown>")
    warnings.warn_explicit(message, category, filename, line, module, registry)
