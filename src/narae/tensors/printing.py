"""The text of a tensor, character for character as PyTorch 2.13 writes it.

A text is made in four steps, one function each:

1. `_edge_items` keeps the first and last items of every long dimension;
2. `_number_texts` writes each kept number and finds the width of a column;
3. `_nested_text` puts the columns into rows, brackets and lines;
4. `add_suffixes` appends what is not visible in the numbers (dtype, grad_fn, ...).

Only the kept items are ever read, so a tensor of a gigabyte prints as fast as a small one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from narae.base.dtypes import is_floating
from narae.base.errors import ConfigError, DTypeError, ShapeError, explain

__all__ = [
    "FormatError",
    "PrintOptions",
    "add_suffixes",
    "format_scalar",
    "get_printoptions",
    "printoptions",
    "set_printoptions",
    "shows_dtype",
    "tensor_text",
]

Array: TypeAlias = NDArray[Any]

# Above these a fixed number of digits would hide small values or fill the line with zeros.
_LARGEST_RATIO = 1000.0
_LARGEST_FIXED = 1.0e8
_SMALLEST_FIXED = 1.0e-4


class FormatError(ShapeError, TypeError):
    """A number's format for a tensor with dimensions; a TypeError, as in PyTorch."""


@dataclass(frozen=True)
class PrintOptions:
    """How tensors are written.

    Args:
        precision: digits after the decimal point.
        threshold: the most elements that are written in full; `math.inf` for no limit.
        edgeitems: items kept at each end of a dimension when a tensor is summarized.
        linewidth: characters in a line.
        sci_mode: scientific notation always (True), never (False) or where needed (None).

    Raises:
        ConfigError: an option is outside its range.

    >>> PrintOptions(precision=2)
    PrintOptions(precision=2, threshold=1000, edgeitems=3, linewidth=80, sci_mode=None)
    """

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None

    def __post_init__(self) -> None:
        _check_whole("precision", self.precision, least=0)
        _check_whole("edgeitems", self.edgeitems, least=0)
        _check_whole("linewidth", self.linewidth)
        _check_threshold(self.threshold)
        if self.sci_mode not in (True, False, None):
            raise _bad_option(
                f"sci_mode is {self.sci_mode!r}",
                "it must be True (always), False (never) or None (where the values need it)",
                "leave sci_mode out",
            )


def _check_whole(name: str, value: object, least: int | None = None) -> None:
    """Refuse an option that is not a whole number, or is below `least`."""
    bound = "" if least is None else f" of at least {least}"
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or (least is not None and value < least):  # type: ignore[operator]
        raise _bad_option(
            f"{name} is {value!r}",
            f"it must be a whole number{bound}",
            f"leave {name} out to keep its value",
        )


def _check_threshold(threshold: object) -> None:
    """Refuse a threshold that no number of elements can be compared with."""
    if not isinstance(threshold, (int, float, np.number)) or math.isnan(threshold):
        raise _bad_option(
            f"threshold is {threshold!r}",
            "it must be a number of elements",
            "threshold=math.inf (or profile='full') writes every element",
        )


def _bad_option(given: str, rule: str, fix: str) -> ConfigError:
    """Compose the error for an option outside its range."""
    return ConfigError(explain("set_printoptions", given, rule, fix))


# As in PyTorch, a profile leaves `sci_mode` to its own argument.
_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}

_current = PrintOptions()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how every tensor is written from now on; an option left out keeps its value.

    As in PyTorch, `sci_mode` alone does not keep its value: left out, it becomes None.

    Args:
        precision: digits after the decimal point.
        threshold: the most elements that are written in full.
        edgeitems: items kept at each end of a dimension when a tensor is summarized.
        linewidth: characters in a line.
        profile: "default", "short" or "full"; the other options are applied on top of it.
        sci_mode: scientific notation always (True), never (False) or where needed (None).

    Raises:
        ConfigError: an unknown profile or an option outside its range; nothing is changed.

    >>> set_printoptions(precision=2)
    >>> print(tensor_text(np.array([1.12345])))
    tensor([1.12])
    >>> set_printoptions(profile="default")
    """
    global _current
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    changes = _profile_options(profile)
    changes.update((name, value) for name, value in given.items() if value is not None)
    _current = replace(_current, **changes, sci_mode=sci_mode)


def _profile_options(profile: str | None) -> dict[str, Any]:
    """Return a fresh dictionary of the options that a profile sets."""
    if profile is None:
        return {}
    if profile not in _PROFILES:
        raise _bad_option(
            f"profile is {profile!r}",
            "the profiles are 'default', 'short' and 'full'",
            "to set one option, name it: precision=2",
        )
    return dict(_PROFILES[profile])


def get_printoptions() -> dict[str, Any]:
    """Return the options in use, ready to be passed back to `set_printoptions`.

    >>> get_printoptions()["edgeitems"]
    3
    """
    return asdict(_current)


@contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """Set options inside a `with` block; the old ones return at its end.

    Args:
        options: the keywords of `set_printoptions`.

    Raises:
        ConfigError: an unknown profile or an option outside its range.

    >>> with printoptions(threshold=5):
    ...     print(tensor_text(np.arange(10)))
    tensor([0, 1, 2,  ..., 7, 8, 9])
    """
    global _current
    before = _current
    set_printoptions(**options)
    try:
        yield
    finally:
        _current = before


def tensor_text(
    array: Array,
    *,
    prefix: str = "tensor(",
    show_dtype: str | None = None,
    device: str | None = None,
    suffixes: Sequence[str] = (),
    options: PrintOptions | None = None,
) -> str:
    """Return the text of a tensor: `prefix`, values, then size, dtype and further parts.

    Args:
        array: the values, of any shape; bool, integer or floating-point.
        prefix: the opening, whose length indents the lines that follow.
        show_dtype: the dtype's name, or None where it is left out (see `shows_dtype`).
        device: the device's name, or None where it is left out (the default device).
        suffixes: what comes after the dtype, such as `"requires_grad=True"`.
        options: how to write it; the options in use when left out.

    Raises:
        DTypeError: the values are complex, text or objects.

    >>> print(tensor_text(np.array([[1.0, 2.5], [-3.0, 4.0]]), suffixes=["requires_grad=True"]))
    tensor([[ 1.0000,  2.5000],
            [-3.0000,  4.0000]], requires_grad=True)
    >>> print(tensor_text(np.zeros((0, 3)), show_dtype="narae.float64"))
    tensor([], size=(0, 3), dtype=narae.float64)
    """
    options = _current if options is None else options
    parts = [] if device is None else [f"device='{device}'"]
    if _shows_size(array, options):
        parts.append(f"size={array.shape}")
    if show_dtype is not None:
        parts.append(f"dtype={show_dtype}")
    indent = len(prefix)
    text = prefix + _values_text(array, indent, options)
    return add_suffixes(text, [*parts, *suffixes], indent, options)


def shows_dtype(array: Array, default_dtype: np.dtype[Any]) -> bool:
    """Tell whether a tensor's text names its dtype.

    Left out are the dtypes that can be read off the numbers: the default floating-point one, int64
    and bool. Without numbers only the default dtype is left out.

    >>> shows_dtype(np.array([1, 2]), np.dtype(np.float32))
    False
    >>> shows_dtype(np.array([], dtype=np.int64), np.dtype(np.float32))
    True
    """
    if array.size == 0:
        return array.dtype != default_dtype
    return array.dtype not in (default_dtype, np.dtype(np.int64), np.dtype(np.bool_))


def _shows_size(array: Array, options: PrintOptions) -> bool:
    """Tell whether the size cannot be counted in the text."""
    if array.size == 0:
        return array.ndim != 1
    return options.edgeitems == 0


def add_suffixes(
    text: str, suffixes: Sequence[str], indent: int, options: PrintOptions | None = None
) -> str:
    """Append `, suffix` for each suffix and close the bracket, starting a line where one is full.

    Args:
        text: the opening and the values, such as `"tensor([1, 2]"`.
        suffixes: the parts to append.
        indent: spaces before a part that starts a line.
        options: whose `linewidth` counts; the options in use when left out.

    >>> print(add_suffixes("tensor(...", ["device='meta'", "size=(2, 3)"], indent=7))
    tensor(..., device='meta', size=(2, 3))
    """
    linewidth = (_current if options is None else options).linewidth
    # The + 1 is PyTorch's: a text counts as longer than it is, by one (two on its first line).
    length = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if length + len(suffix) + 2 > linewidth:
            text += ",\n" + " " * indent + suffix
            length = indent + len(suffix)
        else:
            text += ", " + suffix
            length += len(suffix) + 2
    return text + ")"


def format_scalar(array: Array, format_spec: str) -> str:
    """Format a tensor without dimensions as the Python number it holds.

    Args:
        array: the value, of shape ().
        format_spec: what follows the colon in an f-string.

    Raises:
        FormatError: the array has dimensions.
        ValueError: Python does not know the format for this kind of number.

    >>> format_scalar(np.array(0.0667), ".2%")
    '6.67%'
    """
    if array.ndim != 0:
        message = explain(
            "format",
            f"the format {format_spec!r} was given for a tensor of shape {array.shape}",
            "only a tensor without dimensions formats as a number",
            "reduce it first (x.mean()), pick an element (x[0]), or leave the format out",
        )
        raise FormatError(message)
    number = _python_ready(array).item()
    return format(number, format_spec)


def _values_text(array: Array, indent: int, options: PrintOptions) -> str:
    """Write the values with their brackets; lines after the first start at `indent`."""
    if array.size == 0:
        return "[]"
    summarize = array.size > options.threshold
    if summarize and options.edgeitems == 0 and array.ndim > 0:
        return "[...]"
    cut = [summarize and size > 2 * options.edgeitems for size in array.shape]
    kept = _edge_items(array, options.edgeitems) if any(cut) else array
    texts, width = _number_texts(_python_ready(kept).reshape(-1), options)
    columns = [text.rjust(width) for text in texts]
    if array.ndim == 0:
        return columns[0]
    nested = np.array(columns, dtype=object).reshape(kept.shape).tolist()
    return _nested_text(nested, cut, indent, width, options)


def _edge_items(array: Array, edgeitems: int) -> Array:
    """Copy the first and last `edgeitems` items of every dimension longer than both together."""
    kept = []
    for size in array.shape:
        if size > 2 * edgeitems:
            kept.append([*range(edgeitems), *range(size - edgeitems, size)])
        else:
            kept.append([*range(size)])
    return array[np.ix_(*kept)]


def _python_ready(array: Array) -> Array:
    """Return the values in a dtype whose `tolist` gives Python numbers without loss.

    float64 holds every value of the narrower floating-point dtypes, bfloat16 among them.
    """
    if array.dtype.kind in "biu":
        return array
    if is_floating(array.dtype):
        return array.astype(np.float64)
    message = explain(
        "repr",
        f"the values have dtype {array.dtype} and shape {array.shape}",
        "the values of a tensor are bool, integer or floating-point",
        "convert them first, complex numbers with .real and .imag",
    )
    raise DTypeError(message)


def _number_texts(values: Array, options: PrintOptions) -> tuple[list[str], int]:
    """Write each number; return the texts and the width of their column."""
    if values.dtype.kind != "f":
        texts = [str(value) for value in values.tolist()]
        return texts, max(map(len, texts))
    # Zeros, infinities and NaNs take part neither in the choice of form nor in the width.
    ordinary = np.isfinite(values) & (values != 0)
    form = _float_form(values[ordinary], options)
    texts = [format(value, form) for value in values.tolist()]
    counted = zip(texts, ordinary.tolist(), strict=True)
    return texts, max((len(text) for text, counts in counted if counts), default=1)


def _float_form(ordinary: NDArray[np.float64], options: PrintOptions) -> str:
    """Choose one format for all numbers: scientific, whole (`1.`) or fixed (`1.5000`)."""
    if ordinary.size > 0 and _is_scientific(ordinary, options.sci_mode):
        return f".{options.precision}e"
    if np.array_equal(ordinary, np.ceil(ordinary)):
        return "#.0f"  # the # keeps the point: 1. rather than 1
    return f".{options.precision}f"


def _is_scientific(ordinary: NDArray[np.float64], sci_mode: bool | None) -> bool:
    """Tell whether the numbers span too wide a range for a fixed number of digits."""
    if sci_mode is not None:
        return bool(sci_mode)
    magnitudes = np.abs(ordinary)
    smallest, largest = float(magnitudes.min()), float(magnitudes.max())
    too_wide = largest / smallest > _LARGEST_RATIO
    return too_wide or largest > _LARGEST_FIXED or smallest < _SMALLEST_FIXED


def _nested_text(
    nested: list[Any], cut: list[bool], indent: int, width: int, options: PrintOptions
) -> str:
    """Join blocks by as many line breaks as PyTorch does: one less than they have dimensions."""
    if len(cut) == 1:
        return _row_text(nested, cut[0], indent, width, options)
    blocks = [_nested_text(part, cut[1:], indent + 1, width, options) for part in nested]
    if cut[0]:
        blocks.insert(options.edgeitems, "...")
    line_breaks = "\n" * (len(cut) - 1)
    separator = "," + line_breaks + " " * (indent + 1)
    return "[" + separator.join(blocks) + "]"


def _row_text(columns: list[str], cut: bool, indent: int, width: int, options: PrintOptions) -> str:
    """Write one row, on as many lines as it needs."""
    if cut:
        middle = options.edgeitems
        columns = [*columns[:middle], " ...", *columns[middle:]]
    per_line = max(1, (options.linewidth - indent) // (width + len(", ")))
    starts = range(0, len(columns), per_line)
    lines = [", ".join(columns[start : start + per_line]) for start in starts]
    separator = ",\n" + " " * (indent + 1)
    return "[" + separator.join(lines) + "]"
