"""The one way up: a lower floor asks for a name, and the façade has said who answers.

PyTorch's users look for `grad` and `no_grad` in `autograd`, which is a floor below the tensors
they work on. Imports only point down; so `narae/__init__.py`, which stands outside the floors,
tells this room once who answers, and `narae.autograd` asks here.
"""

from collections.abc import Callable
from typing import Any

_answering: dict[str, Callable[[str], Any]] = {}


def answer(room: str, finder: Callable[[str], Any]) -> None:
    """Let `finder(name)` answer what the code of a room asks for."""
    _answering[room] = finder


def ask(room: str, name: str) -> Any:
    """What a higher floor has under a name."""
    return _answering[room](name)
