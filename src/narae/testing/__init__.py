"""Helpers for tests: moving tensors between Narae and PyTorch, and comparing what they computed.

PyTorch is the oracle of the tests; nothing here imports it. Functions that take its tensors use
only what those tensors offer themselves.
"""

from .convert import restrided, to_narae, to_numpy, to_torch
from .tolerances import TOLERANCES, Tolerance, assert_agrees, difference, tolerance_of

__all__ = [
    "TOLERANCES",
    "Tolerance",
    "assert_agrees",
    "difference",
    "restrided",
    "to_narae",
    "to_numpy",
    "to_torch",
    "tolerance_of",
]
