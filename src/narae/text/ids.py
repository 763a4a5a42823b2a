"""Token ids from outside: whole numbers in one row."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import DataError, explain
from narae.tensors import Tensor

Ids = npt.NDArray[np.int64]


def as_ids(where: str, ids: Any) -> Ids:
    """Token ids as an array (tokens,) of int64.

    Args:
        where: who asks, for the message.
        ids: numbers, an array or a tensor, (tokens,).

    Raises:
        DataError: if they are no integers in one row.

    Example:
        >>> as_ids("Streams", [5, 6]).tolist()
        [5, 6]
    """
    try:
        plain = ids.numpy() if isinstance(ids, Tensor) else np.asarray(_listed(ids))
    except ValueError as error:  # of NumPy, for rows of unequal length
        given, rule = "ids are rows of unequal length", "ids are integers, (tokens,)"
        raise DataError(explain(where, given, rule, "give one sequence at a time")) from error
    if plain.ndim != 1 or (plain.size and plain.dtype.kind not in "iu"):
        given = f"ids are {plain.dtype} {plain.shape}"
        raise DataError(explain(where, given, "ids are integers, (tokens,)", _fix(plain)))
    return plain.astype(np.int64)


def _fix(plain: npt.NDArray[Any]) -> str:
    if plain.dtype.kind in "UO":
        return "encode the text with a tokenizer first"
    return "give one sequence at a time" if plain.ndim > 1 else ""


def _listed(ids: Any) -> Any:
    return list(ids) if isinstance(ids, Iterator) else ids
