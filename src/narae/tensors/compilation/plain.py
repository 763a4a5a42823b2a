"""The usual kind of call, recognised quickly: tensors and nothing else."""

from typing import Any

import numpy as np

from narae.base import dtypes
from narae.tensors.modes import modes
from narae.tensors.tensor import Tensor

_array = np.ndarray


class PlainCall:
    """Shapes and dtypes of different tensors that need no gradient, given by position.

    A call that fits has the key of the call that it was made from.
    """

    __slots__ = ("_count", "_default", "_kinds", "_modes")

    def __init__(self, args: tuple[Any, ...]) -> None:
        self._kinds = [(x._value.shape, x._value.dtype) for x in args]
        self._count, self._modes, self._default = len(args), modes.key(), dtypes.default_dtype()

    @classmethod
    def of(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> "PlainCall | None":
        """The kind of a call; None for calls that are not as simple."""
        if kwargs or not all(type(x) is Tensor and type(x._value) is _array for x in args):
            return None
        kind = cls(args)
        return kind if kind.fits(args) else None

    def fits(self, args: tuple[Any, ...]) -> bool:
        """Whether another call is of this kind."""
        count = len(args)
        if count != self._count or modes.key() != self._modes:
            return False
        for x, (shape, dtype) in zip(args, self._kinds):  # noqa: B905 (their number is the same)
            if type(x) is not Tensor or x._requires_grad:
                return False
            value = x._value
            if type(value) is not _array or value.shape != shape or value.dtype != dtype:
                return False
        if count == 2:
            different = args[0] is not args[1]
        else:
            different = count < 2 or len(set(map(id, args))) == count
        return different and dtypes.default_dtype() is self._default
