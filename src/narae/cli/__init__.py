"""The `narae` command."""

from . import threads as threads  # first: NumPy reads the setting when it is imported
from .main import main

__all__ = ["main"]
