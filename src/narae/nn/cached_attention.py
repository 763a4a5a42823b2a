"""Attention token by token: keys and values of earlier tokens are kept, not computed again.

Every tensor of a cache has a fixed shape and the batch first, so one compiled program serves each
step, and rows can be chosen (by a beam search) in all of them alike.
"""

from typing import Any, NamedTuple

from narae.base.errors import ConfigError, GraphError, ShapeError, explain
from narae.tensors import Tensor, arange, where

from .attention import scaled_dot_product_attention
from .linear import linear
from .multihead import MultiheadAttention
from .multihead_functional import additive_mask
from .padding import pad
from .positions import RotaryPositions


class KeysValues(NamedTuple):
    """What attention looks at.

    Attributes:
        keys, values: (batch, heads, length, head_dim)
    """

    keys: Tensor
    values: Tensor

    def padded(self, length: int) -> "KeysValues":
        """Room for later tokens: zeros up to a length."""
        missing = length - self.keys.shape[2]
        return KeysValues(*(pad(x, (0, 0, 0, missing)) for x in self))

    def with_token(self, token: "KeysValues", position: Tensor) -> "KeysValues":
        """One token more: token (batch, heads, 1, head_dim) at position (batch,)."""
        places = arange(self.keys.shape[2])
        here = (places == position.unsqueeze(1)).unsqueeze(1).unsqueeze(-1)
        # here: (batch, 1, length, 1)
        pairs = zip(token, self, strict=True)
        return KeysValues(*(where(here, new, old) for new, old in pairs))


class RotaryAttention(MultiheadAttention):
    """`MultiheadAttention`, batch first, whose queries and keys are turned by their positions.

    Args:
        embed_dim: features
        num_heads: heads; each has an even number of features
        length: the longest sequence
        dropout: the probability to drop a weight
        bias: whether projections add one

    Source: Su et al., RoFormer (2021).

    >>> import narae
    >>> attention = RotaryAttention(8, 2, length=16)
    >>> x = narae.rand(3, 5, 8)
    >>> attention(x, x, x)[0].shape
    narae.Size([3, 5, 8])
    """

    def __init__(
        self, embed_dim: int, num_heads: int, length: int, dropout: float = 0.0, bias: bool = True
    ) -> None:
        super().__init__(embed_dim, num_heads, dropout, bias, batch_first=True)
        self.rotary = RotaryPositions(length, self.head_dim)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As `MultiheadAttention`; query, key and value are one and the same.

        Raises:
            ConfigError: if they are not; positions of two sequences have nothing in common.
            GraphError: for `is_causal` without the mask that it speaks of.
            ShapeError: if they are not (batch, time, width).
        """
        _check_one_sequence(query, key, value)
        _check_causal(is_causal, attn_mask)
        q, k, v = queries_keys_values(self, query)  # (batch, heads, time, head_dim)
        hint = is_causal and key_padding_mask is None and not need_weights
        mask = None if hint else _joined_mask(key_padding_mask, attn_mask, q)
        drop = self.dropout if self.training else 0.0
        out = joined(self, scaled_dot_product_attention(q, k, v, mask, drop, hint))
        if not need_weights:
            return out, None
        weights = attention_weights(q, k, mask)  # (batch, heads, queries, keys)
        return out, weights.mean(1) if average_attn_weights else weights


def _check_one_sequence(query: Tensor, key: Tensor, value: Tensor) -> None:
    if key is not query or value is not query:
        given, rule = "query, key and value differ", "one sequence looks at itself"
        fix = "MultiheadAttention, with positions that are added"
        raise ConfigError(explain("RotaryAttention", given, rule, fix))
    if query.ndim != 3:
        given, rule = f"query is {tuple(query.shape)}", "it is (batch, time, width)"
        raise ShapeError(explain("RotaryAttention", given, rule, "x.unsqueeze(0) for one sequence"))


def _check_causal(is_causal: bool, mask: Tensor | None) -> None:
    if is_causal and mask is None:
        given, rule = "is_causal=True without attn_mask", "it says what attn_mask hides"
        fix = "attn_mask=Transformer.generate_square_subsequent_mask(time)"
        raise GraphError(explain("RotaryAttention", given, rule, fix))


def _joined_mask(padding: Any, mask: Any, q: Tensor) -> Any:
    """Numbers to add to the scores, which have (batch, heads, queries, keys); None: nothing."""
    padding = additive_mask(padding, "key_padding_mask", q.dtype)
    mask = additive_mask(mask, "attn_mask", q.dtype)
    if mask is not None and mask.ndim == 3:  # (batch * heads, queries, keys)
        mask = mask.reshape(*q.shape[:2], *mask.shape[1:])  # (batch, heads, queries, keys)
    if padding is None:
        return mask
    padding = padding.unsqueeze(1).unsqueeze(1)  # (batch, 1, 1, keys)
    return padding if mask is None else padding + mask


def attention_weights(q: Tensor, k: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(q kᵀ / √head_dim + mask), (.., queries, keys); q, k are (.., time, head_dim)."""
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    return (scores if mask is None else scores + mask).softmax(-1)


# --- from features to heads and back --------------------------------------------------------


def queries_keys_values(attention: MultiheadAttention, x: Tensor) -> tuple[Tensor, ...]:
    """Projections of x (batch, time, width), each (batch, heads, time, head_dim)."""
    parts = _projected(attention, x).chunk(3, -1)
    q, k, v = (split_heads(part, attention.num_heads) for part in parts)
    rotary = getattr(attention, "rotary", None)
    return (q, k, v) if rotary is None else (rotary(q), rotary(k), v)


def _projected(attention: MultiheadAttention, x: Tensor, rows: slice = slice(None)) -> Tensor:
    """x by some rows of the three projections: 0 to width queries, then keys, then values."""
    weight: Any = attention.in_proj_weight
    bias = None if attention.in_proj_bias is None else attention.in_proj_bias[rows]
    return linear(x, weight[rows], bias)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(batch, time, width) -> (batch, heads, time, head_dim)."""
    batch, time, width = x.shape
    return x.reshape(batch, time, heads, width // heads).transpose(1, 2)


def joined(attention: MultiheadAttention, x: Tensor) -> Tensor:
    """Heads side by side, and projected: (batch, heads, time, head_dim) -> (batch, time, width)."""
    batch, heads, time, size = x.shape
    return attention.out_proj(x.transpose(1, 2).reshape(batch, time, heads * size))


# --- with a cache ---------------------------------------------------------------------------


def keys_values(attention: MultiheadAttention, x: Tensor) -> KeysValues:
    """The keys and values of a whole sequence (batch, time, width), such as an encoder's result."""
    parts = _projected(attention, x, slice(attention.embed_dim, None)).chunk(2, -1)
    keys, values = (split_heads(part, attention.num_heads) for part in parts)
    rotary: RotaryPositions | None = getattr(attention, "rotary", None)
    return KeysValues(keys if rotary is None else rotary(keys), values)


def attend_to_past(
    attention: MultiheadAttention, x: Tensor, cache: KeysValues, position: Tensor
) -> tuple[Tensor, KeysValues]:
    """One token looks at itself and at those before it.

    Args:
        attention: whose weights are used
        x: (batch, 1, width)
        cache: of the tokens before
        position: (batch,), where the token stands

    Returns:
        (batch, 1, width), and the cache with the token
    """
    parts = _projected(attention, x).chunk(3, -1)
    q, k, v = (split_heads(part, attention.num_heads) for part in parts)
    rotary: RotaryPositions | None = getattr(attention, "rotary", None)
    if rotary is not None:
        q, k = rotary.at(q, position), rotary.at(k, position)
    cache = cache.with_token(KeysValues(k, v), position)
    seen = arange(cache.keys.shape[2]) <= position.unsqueeze(1)  # (batch, length)
    mask = seen.unsqueeze(1).unsqueeze(1)  # (batch, 1, 1, length)
    return joined(attention, scaled_dot_product_attention(q, *cache, mask)), cache


def attend_to_memory(
    attention: MultiheadAttention, x: Tensor, memory: KeysValues, seen: Tensor
) -> Tensor:
    """Tokens (batch, time, width) look at a memory; seen (batch, length) is True where it may."""
    q = split_heads(_projected(attention, x, slice(attention.embed_dim)), attention.num_heads)
    mask = seen.unsqueeze(1).unsqueeze(1)  # (batch, 1, 1, length)
    return joined(attention, scaled_dot_product_attention(q, *memory, mask))


__all__ = [
    "KeysValues",
    "RotaryAttention",
    "attend_to_memory",
    "attend_to_past",
    "attention_weights",
    "joined",
    "keys_values",
    "queries_keys_values",
    "split_heads",
]
