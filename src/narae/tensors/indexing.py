"""`x[...]` and `x[...] = value`.

Numbers, slices, None and the ellipsis give views; integer tensors and masks give copies.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import INT64
from narae.base.errors import BoundsError, explain
from narae.base.shapes import Shape

from .advanced_indexing import Places, fitted, is_mask, put_at, take_at
from .creation import array_from, constant
from .eager import apply, converted, ndarray
from .modes import modes
from .movement import alias
from .tensor import Tensor, wrap
from .views import check_writable, make_view, write

_WHOLE = slice(None)
_SEQUENCE_LIMIT = 32  # longer lists are always an index, never a tuple of indices


class Selection:
    """What an index expression means for a shape.

    Attributes:
        spans: dimension of x -> (start, stop, step), for slices that leave something out.
        picked: (dimension of x, index) of the numbers.
        inserted: dimensions of the result that are new.
        places: dimension of the result -> integer tensor or mask.
    """

    __slots__ = ("inserted", "picked", "places", "shape", "source", "spans", "target")

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.spans: dict[int, tuple[int, int, int]] = {}
        self.picked: list[tuple[int, int]] = []
        self.inserted: list[int] = []
        self.places: Places = {}
        self.source = self.target = 0

    def add(self, item: Any, ellipsis_size: int) -> None:
        """Take in the next item of the expression."""
        if isinstance(item, slice):
            self._add_slice(item)
        elif item is None:
            self._insert()
        elif item is Ellipsis:
            self.source += ellipsis_size
            self.target += ellipsis_size
        elif isinstance(item, (bool, np.bool_)):
            self._add_flag(wrap(np.arange(int(item))))
        elif isinstance(item, Tensor):
            self._add_tensor(item)
        else:
            self._add_number(item)

    def _insert(self) -> None:
        self.inserted.append(self.target)
        self.target += 1

    def _add_flag(self, index: Tensor) -> None:
        """A single truth value adds a dimension of size 1 or 0."""
        self.places[self.target] = index
        self._insert()

    def _add_slice(self, item: slice) -> None:
        if not self.shape:
            raise BoundsError("[indexing] slice() cannot be applied to a 0-dim tensor.")
        size = self.shape[self.source]
        start, stop, step = item.indices(size)
        if step < 0:
            raise ValueError(
                f"[indexing] the slice is {item.start}:{item.stop}:{item.step}; step must be "
                "greater than zero. Fix: x.flip(dim) reverses a dimension"
            )
        if (start, stop, step) != (0, size, 1):
            self.spans[self.source] = (start, max(start, stop), step)
        self.source += 1
        self.target += 1

    def _add_number(self, item: Any) -> None:
        index, size = item.__index__(), self.shape[self.source]
        if not -size <= index < size:
            raise BoundsError(
                explain(
                    "indexing",
                    f"index {index} is out of bounds for dimension {self.source} with size {size}",
                    f"the tensor is {tuple(self.shape)}",
                )
            )
        self.picked.append((self.source, index % size))
        self.source += 1

    def _add_tensor(self, item: Tensor) -> None:
        value = item._value
        if value.ndim == 0 and value.dtype.kind == "b":
            self._add_flag(wrap(np.arange(int(item.item()))))
        elif value.ndim == 0 and value.dtype.kind in "iu" and modes.trace is None:
            self._add_number(item)
        else:
            self.places[self.target] = item
            covered = value.ndim if is_mask(item) else 1
            self.source += covered
            self.target += covered


def selection_of(shape: Shape, key: Any) -> Selection:
    """Read an index expression.

    Raises:
        IndexError: for too many indices, numbers out of range, or items of another kind.
    """
    items = _items(key)
    if all(type(item) is slice or type(item) is int for item in items):
        covered = len(items)
    else:
        items = tuple(_normalized(item) for item in items)
        covered = sum(_covered(item) for item in items)
    if covered > len(shape):
        raise BoundsError(_too_many_message(shape, covered))
    selection = Selection(shape)
    for item in items:
        selection.add(item, len(shape) - covered)
    return selection


def _too_many_message(shape: Shape, covered: int) -> str:
    if not shape:
        return (
            "[indexing] invalid index of a 0-dim tensor. Use `tensor.item()` to convert a 0-dim "
            "tensor to a number"
        )
    return explain(
        "indexing",
        f"too many indices for tensor of dimension {len(shape)}",
        f"{covered} are given for shape {tuple(shape)}",
    )


def _items(key: Any) -> tuple[Any, ...]:
    if isinstance(key, tuple):
        return key
    if isinstance(key, list) and len(key) < _SEQUENCE_LIMIT and any(map(_is_compound, key)):
        return tuple(key)
    return (key,)


def _is_compound(item: Any) -> bool:
    return item is None or item is Ellipsis or isinstance(item, (Tensor, list, tuple, slice))


def _normalized(item: Any) -> Any:
    """Lists and arrays become tensors; what cannot index is refused."""
    if isinstance(item, (Tensor, slice, bool, np.bool_, int)) or item is None or item is Ellipsis:
        return item
    if isinstance(item, (list, tuple, range, ndarray)):
        array = array_from(list(item) if isinstance(item, range) else item, None)
        return constant(array.astype(np.int64) if array.size == 0 else array)
    if hasattr(item, "__index__"):
        return item
    raise BoundsError(
        "[indexing] only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables "
        f"are valid indices (got {type(item).__name__})"
    )


def _covered(item: Any) -> int:
    """How many dimensions of x an item speaks about."""
    if item is None or item is Ellipsis or isinstance(item, (bool, np.bool_)):
        return 0
    if isinstance(item, Tensor) and is_mask(item):
        return int(item._value.ndim)
    return 1


# --- views ----------------------------------------------------------------------------------


def _view_of(x: Tensor, selection: Selection) -> Tensor:
    """The part that slices, numbers and None select: a view, or x itself for all of it."""
    if selection.spans:
        full = [selection.spans.get(dim, (0, size, 1)) for dim, size in enumerate(x._value.shape)]
        start, stop, step = zip(*full, strict=True)
        x = make_view(x, p.slice_, start=start, stop=stop, step=step)
    for dim, index in reversed(selection.picked):
        x = make_view(x, p.select, dim=dim, index=index)
    for dim in selection.inserted:
        x = make_view(x, p.unsqueeze, dim=dim)
    return x


def getitem(input: Tensor, key: Any) -> Tensor:
    """`input[key]`: a view for numbers and slices, a copy for integer tensors and masks.

    Raises:
        IndexError: when an index is out of range, or of a wrong kind.
    """
    if type(key) is int and input._value.ndim:
        size = input._value.shape[0]
        if -size <= key < size:
            return make_view(input, p.select, dim=0, index=key % size)
    if type(key) is slice and input._value.ndim:
        return _first_slice(input, key)
    if type(key) is tuple and len(key) == 2:
        whole, place = key  # x[:, i]
        if type(whole) is slice and whole == _WHOLE and type(place) is int and input.ndim > 1:
            size = input._value.shape[1]
            if -size <= place < size:
                return make_view(input, p.select, dim=1, index=place % size)
    if type(key) is Tensor and key._value.dtype is INT64 and modes.trace is None:
        taken = _rows(input, key)
        if taken is not None:
            return taken
    selection = selection_of(input._value.shape, key)
    view = _view_of(input, selection)
    if selection.places:
        return take_at(view, selection.places)
    return alias(input) if view is input else view


def _rows(x: Tensor, index: Tensor) -> Tensor | None:
    """`x[index]` for positions that count from the start; None if something is unusual."""
    if x._value.ndim == 0 or index._value.ndim == 0:
        return None
    try:
        return apply(p.take, x, index, dim=0)  # type: ignore[no-any-return]
    except IndexError:
        return None  # negative, or out of range: the long way tells


def _first_slice(x: Tensor, key: slice) -> Tensor:
    """`x[start:stop:step]`, the commonest of all."""
    shape = x._value.shape
    start, stop, step = key.indices(shape[0])
    if step < 0 or (start == 0 and step == 1 and stop == shape[0]):
        return getitem(x, (key,))
    starts, stops, steps = _first_span(shape, start, stop, step)
    return make_view(x, p.slice_, start=starts, stop=stops, step=steps)


@lru_cache(4096)
def _first_span(shape: Shape, start: int, stop: int, step: int) -> tuple[Shape, Shape, Shape]:
    """A slice of the first dimension and all of the others."""
    rest = len(shape) - 1
    return (start, *(0,) * rest), (max(start, stop), *shape[1:]), (step, *(1,) * rest)


def setitem(input: Tensor, key: Any, value: Any) -> None:
    """`input[key] = value`: writes into the storage, and through it into all views.

    Args:
        input: the tensor written to.
        key: as for reading.
        value: a number, or a tensor that broadcasts to the selected part.
    """
    if isinstance(value, (np.generic, ndarray)) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, (Tensor, bool, int, float)):
        raise TypeError(f"can't assign a {type(value).__name__} to a tensor. Fix: narae.tensor(…)")
    selection = selection_of(input._value.shape, key)
    view = _view_of(input, selection)
    if selection.places:
        put_at(view, selection.places, value, False, "setitem")
        return
    check_writable(view, "setitem")
    write(view, filled(value, view), "setitem", overwrites=True)


def filled(value: Any, like: Tensor) -> Tensor:
    """A value in the shape and dtype of a tensor."""
    dtype, shape = like._value.dtype, like._value.shape
    if not isinstance(value, Tensor):
        value = constant(np.asarray(converted(value, dtype), dtype))
    value = converted(value, dtype)
    if value._value.shape == shape:
        return value  # type: ignore[no-any-return]
    return fitted(value, tuple(shape))  # type: ignore[no-any-return]


def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy with values written (or added) where `input[indices]` would read."""
    return index_put_(apply(p.copy, input), indices, values, accumulate)


def index_put_(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """Write (or add) values where `input[indices]` would read.

    Args:
        input: the tensor written to.
        indices: one integer tensor or mask for each leading dimension; None leaves one whole.
        values: a tensor that broadcasts to what would be read.
        accumulate: add; places that occur several times add up.
    """
    key = tuple(slice(None) if index is None else index for index in indices)
    if isinstance(values, Tensor) and values._value.dtype != input._value.dtype:
        raise BoundsError(
            "[index_put_] Index put requires the source and destination dtypes match, got "
            f"{input.dtype} for the destination and {values.dtype} for the source."
        )
    selection = selection_of(input._value.shape, key)
    view = _view_of(input, selection)
    if selection.places:
        put_at(view, selection.places, values, accumulate, "index_put_")
    elif accumulate:
        check_writable(view, "index_put_")
        write(view, apply(p.add, view, filled(values, view)), "index_put_")
    else:
        check_writable(view, "index_put_")
        write(view, filled(values, view), "index_put_", overwrites=True)
    return input


# --- iteration ------------------------------------------------------------------------------


def _contains(input: Tensor, element: Any) -> bool:
    """Whether some element equals a number or a tensor of one element."""
    number = element.item() if isinstance(element, Tensor) else element
    if not isinstance(number, (bool, int, float)):
        raise TypeError(
            f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
            f"{type(element).__name__}."
        )
    return bool((input._array == number).any())


def _reversed(input: Tensor) -> Tensor:
    """The order along the first dimension reversed."""
    if input._value.ndim == 0:
        return input
    return apply(p.flip, input, dim=(0,))  # type: ignore[no-any-return]


__all__ = ["index_put"]
METHODS = ["index_put", "index_put_"]
OPERATORS = {
    "__getitem__": getitem,
    "__setitem__": setitem,
    "__contains__": _contains,
    "__reversed__": _reversed,
}
