"""Attention as a function, and the names of PyTorch's `torch.nn.attention`.

PyTorch chooses among several implementations of attention; Narae has one, and accepts the choice.
"""

import enum
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from narae import primitives as p
from narae.base.errors import DTypeError, GraphError, ShapeError, explain
from narae.base.shapes import broadcast_shapes
from narae.tensors import Tensor
from narae.tensors.autocast import low_precision
from narae.tensors.eager import apply, converted

from .dropout import _check, _kept

_NAME = "scaled_dot_product_attention"


@low_precision
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(scale * query keyᵀ + mask) value: for each query a weighted mean of the values.

    A query that may look at no key gets 0.

    Args:
        query: (.., queries, head_dim)
        key: (.., keys, head_dim); leading sizes broadcast
        value: (.., keys, value_dim)
        attn_mask: broadcasts to (.., queries, keys); bool: True where a query may look at a key;
            otherwise numbers that are added to the scores
        dropout_p: the probability to drop a weight; used in evaluation, too
        is_causal: a query looks at no later key
        scale: 1 / √head_dim if it is left out
        enable_gqa: key and value may have fewer heads (dimension -3), each used by several queries

    Returns:
        (.., queries, value_dim)

    Source: Vaswani et al., Attention is all you need (2017), equation 1; shared heads: Ainslie et
    al., GQA (2023).

    >>> import narae
    >>> import narae.nn.functional as F
    >>> x = narae.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> F.scaled_dot_product_attention(x, x, x, is_causal=True)
    tensor([[1.0000, 0.0000],
            [0.3302, 0.6698]])
    """
    _check_tensors(query, key, value)
    _check(dropout_p)
    if enable_gqa:
        key, value = _for_all_heads(query, key, value)
    shape = _score_shape(query, key, value)
    if attn_mask is not None:
        attn_mask = _checked_mask(attn_mask, query, shape, is_causal)
    keep = _kept(shape, dropout_p) if dropout_p > 0 else None
    attrs = {
        "scale": 1 / math.sqrt(max(query.shape[-1], 1)) if scale is None else float(scale),
        "causal": bool(is_causal),
        "keep_scale": 0.0 if dropout_p == 1 else 1 / (1 - dropout_p),
    }
    return apply(p.attention, query, key, value, attn_mask, keep, **attrs)[0]


def _check_tensors(query: Any, key: Any, value: Any) -> None:
    given = {"query": query, "key": key, "value": value}
    for place, (name, x) in enumerate(given.items(), 1):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{_NAME}(): argument '{name}' (position {place}) must be Tensor, not "
                f"{type(x).__name__}"
            )
    if len({x.dtype for x in given.values()}) > 1 or not query.is_floating_point():
        dtypes = ", ".join(f"{name} is {x.dtype}" for name, x in given.items())
        rule = "Expected query, key, and value to have the same floating point dtype"
        raise DTypeError(explain(_NAME, dtypes, rule, "convert them with .to(dtype)"))
    if min(x.ndim for x in given.values()) < 2:
        rule = "Expected query, key, and value to all be at least 2 dimensional"
        fix = "sizes are (.., positions, features)"
        raise ShapeError(explain(_NAME, _sizes(query, key, value), rule, fix))


def _sizes(query: Any, key: Any, value: Any) -> str:
    return (
        f"query is {tuple(query.shape)}, key is {tuple(key.shape)}, value is {tuple(value.shape)}"
    )


def _score_shape(query: Any, key: Any, value: Any) -> tuple[int, ...]:
    """(.., queries, keys)."""
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ShapeError(
            explain(
                _NAME,
                _sizes(query, key, value),
                "query and key must have one last size (head_dim), key and value one second to "
                "last (the number of keys)",
                "sizes are (.., positions, features)",
            )
        )
    leading = [tuple(x.shape[:-2]) for x in (query, key, value)]
    try:
        batch = broadcast_shapes(*leading, what=_NAME)
    except ValueError:
        rule = "leading sizes must be equal or 1, counted from the last"
        fix = "enable_gqa=True shares heads of key and value; unsqueeze inserts a size of 1"
        raise ShapeError(explain(_NAME, _sizes(query, key, value), rule, fix)) from None
    return (*batch, query.shape[-2], key.shape[-2])


def _checked_mask(mask: Any, query: Any, shape: tuple[int, ...], causal: bool) -> Tensor:
    if causal:
        raise GraphError(
            f"[{_NAME}] Explicit attn_mask should not be set when is_causal=True. Fix: leave out "
            "one of them, or hide later keys in the mask as well"
        )
    if mask.dtype.name not in ("bool", "float32", query.dtype.name):
        given = f"attn_mask is {mask.dtype}, query is {query.dtype}"
        rule = "Expected attn_mask dtype to be bool or float or to match query dtype"
        raise DTypeError(explain(_NAME, given, rule, "True where a query may look at a key"))
    fits = mask.ndim <= len(shape) and all(
        size in (1, wanted) for size, wanted in zip(mask.shape[::-1], shape[::-1], strict=False)
    )
    if not fits:
        given = f"attn_mask is {tuple(mask.shape)}, the scores are {shape}"
        raise ShapeError(explain(_NAME, given, "attn_mask must broadcast to (.., queries, keys)"))
    if mask.dtype.name == "bool":
        return mask
    return converted(mask, query._value.dtype)


def _for_all_heads(query: Any, key: Any, value: Any) -> tuple[Tensor, Tensor]:
    """Repeat each head of key and value for the queries that share it."""
    if min(query.ndim, key.ndim, value.ndim) < 3:
        rule = "enable_gqa needs heads: (.., heads, positions, features)"
        raise ShapeError(explain(_NAME, _sizes(query, key, value), rule))
    heads = query.shape[-3]
    repeated = []
    for x in (key, value):
        if x.shape[-3] == 0 or heads % x.shape[-3]:
            rule = "Number of heads in key and value must divide the number of heads in query"
            raise ShapeError(explain(_NAME, _sizes(query, key, value), rule))
        repeated.append(x.repeat_interleave(heads // x.shape[-3], -3))
    return repeated[0], repeated[1]


# --- names of torch.nn.attention ------------------------------------------------------------


class SDPBackend(enum.IntEnum):
    """PyTorch's implementations of attention; here all mean the same one."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextmanager
def sdpa_kernel(
    backends: SDPBackend | Sequence[SDPBackend], set_priority: bool = False
) -> Iterator[None]:
    """Choose among PyTorch's implementations of attention; accepted, and without effect here."""
    chosen = [backends] if isinstance(backends, SDPBackend) else list(backends)
    if not all(isinstance(backend, SDPBackend) for backend in chosen):
        raise TypeError(
            f"backends must be an instance of SDPBackend or a list of SDPBackend, not {backends!r}"
        )
    yield


__all__ = ["SDPBackend", "scaled_dot_product_attention", "sdpa_kernel"]
