"""Many samples become one batch: tensors are stacked, structures are kept."""

import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from narae.base.errors import DTypeError, NaraeError, ShapeError, explain
from narae.tensors import Tensor
from narae.tensors.creation import as_tensor, tensor
from narae.tensors.joining import stack

_NUMBERS = (np.bool_, np.number)


def default_collate(batch: Sequence[Any]) -> Any:
    """Make one batch of a list of samples: each tensor gets a first dimension, the batch.

    Tensors and arrays are stacked; numbers become a tensor (floats a float64 one); strings stay a
    list; of a mapping, a tuple, a list or a named tuple each entry is collated for itself.

    Args:
        batch: the samples, of one form.

    Raises:
        ShapeError: if tensors in one place differ in shape, or sequences in length.
        DTypeError: for samples of any other kind.

    >>> default_collate([{"x": 1, "name": "a"}, {"x": 2, "name": "b"}])
    {'x': tensor([1, 2]), 'name': ['a', 'b']}
    >>> default_collate([(1, 0.5), (2, 1.5)])
    [tensor([1, 2]), tensor([0.5000, 1.5000], dtype=narae.float64)]
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return _stacked(batch)
    if isinstance(first, np.ndarray):
        return _stacked([_tensor_of(array) for array in batch])
    if isinstance(first, _NUMBERS):
        return as_tensor(np.asarray(batch))
    if isinstance(first, float):
        return tensor(list(batch), dtype=np.float64)
    if isinstance(first, int):
        return tensor(list(batch))
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, Mapping):
        return _collate_mappings(first, batch)
    if isinstance(first, Sequence):
        return _collate_sequences(first, batch)
    raise DTypeError(_unknown(type(first)))


def default_convert(data: Any) -> Any:
    """Arrays and NumPy's numbers become tensors, inside structures too; all else stays.

    >>> default_convert({"x": np.arange(2)})
    {'x': tensor([0, 1])}
    """
    if isinstance(data, Tensor | str | bytes):
        return data
    if isinstance(data, np.ndarray):
        return data if data.dtype.kind in "SUO" else as_tensor(data)
    if isinstance(data, _NUMBERS):
        return as_tensor(data)
    if isinstance(data, Mapping):
        return _rebuilt_mapping(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, Sequence):
        return _rebuilt_sequence(data, [default_convert(value) for value in data])
    return data


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    shape = tensors[0].shape
    for place, other in enumerate(tensors):
        if other.shape != shape:
            raise ShapeError(
                explain(
                    "default_collate",
                    f"sample 0 of the batch is {tuple(shape)}, sample {place} is "
                    f"{tuple(other.shape)}",
                    "samples of one batch must have one shape",
                    "resize or pad the samples, or give the DataLoader a collate_fn",
                )
            )
    return stack(list(tensors))


def _tensor_of(array: Any) -> Tensor:
    if array.dtype.kind in "SUO":
        raise DTypeError(_unknown(array.dtype))
    return as_tensor(array)


def _collate_mappings(first: Mapping[Any, Any], batch: Sequence[Any]) -> Any:
    entries = {}
    for key in first:
        for place, sample in enumerate(batch):
            if key not in sample:
                given = f"sample 0 of the batch has the key {key!r}, sample {place} does not"
                error = ShapeError(explain("default_collate", given, "samples have one form"))
                raise error from KeyError(key)
        entries[key] = _at(f"[{key!r}]", [sample[key] for sample in batch])
    return _rebuilt_mapping(first, entries)


def _collate_sequences(first: Sequence[Any], batch: Sequence[Any]) -> Any:
    for place, sample in enumerate(batch):
        if len(sample) != len(first):
            given = f"sample 0 of the batch has {len(first)} entries, sample {place} has "
            rule = "each element in list of batch should be of equal size"
            raise ShapeError(explain("default_collate", f"{given}{len(sample)}", rule))
    columns = zip(*batch, strict=True)
    entries = [_at(f"[{place}]", column) for place, column in enumerate(columns)]
    return _rebuilt_sequence(first, entries)


def _at(where: str, column: Sequence[Any]) -> Any:
    """Collate one entry of all samples; an error says which entry it was."""
    try:
        return default_collate(column)
    except NaraeError as error:
        error.add_note(f"in the entry {where} of each sample")
        raise


def _rebuilt_mapping(like: Mapping[Any, Any], entries: dict[Any, Any]) -> Any:
    """A mapping of the same type; a plain dict where the type cannot be made so."""
    try:
        if isinstance(like, MutableMapping):
            clone = copy.copy(like)
            clone.update(entries)
            return clone
        return type(like)(entries)  # type: ignore[call-arg]
    except TypeError:
        return entries


def _rebuilt_sequence(like: Sequence[Any], entries: list[Any]) -> Any:
    """A sequence of the same type, but a plain tuple becomes a list, as in PyTorch."""
    if isinstance(like, tuple):
        return type(like)(*entries) if hasattr(like, "_fields") else entries
    try:
        if isinstance(like, MutableSequence):
            clone = copy.copy(like)
            for place, entry in enumerate(entries):
                clone[place] = entry
            return clone
        return type(like)(entries)  # type: ignore[call-arg]
    except TypeError:
        return entries


def _unknown(kind: Any) -> str:
    return explain(
        "default_collate",
        f"the batch holds {kind}",
        "it must contain tensors, numpy arrays, numbers, dicts or lists",
        "return one of these from the data set, or give the DataLoader a collate_fn",
    )
