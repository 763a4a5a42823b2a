"""Multi-head attention as a function of all its weights."""

import math
from typing import Any, NamedTuple

from narae.base.errors import DTypeError, GraphError, ShapeError, explain
from narae.base.notices import warn_user
from narae.tensors import Tensor, baddbmm, bmm, cat, zeros

from . import dropout as dropping
from .activation import softmax
from .attention import scaled_dot_product_attention
from .linear import linear
from .padding import pad

_NAME = "multi_head_attention_forward"


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention by several heads: project, attend in each head, join, project.

        head_h = softmax(q_h k_hᵀ / √head_dim + mask) v_h,   out = [head_1 … head_n] W_outᵀ + b_out

    Args:
        query: (queries, batch, features), or without batch
        key, value: (keys, batch, features), or without batch
        embed_dim_to_check: the features of the query
        num_heads: how many heads share the features
        in_proj_weight: (3 * features, features): the projections of q, k, v, one below the other
        in_proj_bias: (3 * features,)
        bias_k, bias_v: (1, 1, features), one more key and value
        add_zero_attn: one more key and value, of zeros
        dropout_p, training: weights of the attention are dropped in training
        key_padding_mask: (batch, keys); bool: True where a key is hidden; or numbers to add
        attn_mask: (queries, keys) or (batch * heads, queries, keys), likewise
        need_weights: also give the weights, averaged over heads if `average_attn_weights`
        use_separate_proj_weight: use the three matrices `q_proj_weight`, … instead
        static_k, static_v: (batch * heads, keys, head_dim) instead of what is computed
        is_causal: says that `attn_mask` hides later keys and nothing else

    Returns:
        (queries, batch, features), and (batch, queries, keys) or (batch, heads, queries, keys)

    Source: Vaswani et al., Attention is all you need (2017), section 3.2.2.
    """
    _check_ranks(query, key, value, key_padding_mask, attn_mask, num_heads)
    batched = query.ndim == 3
    if not batched:
        query, key, value = _same_places((query, key, value), lambda x: x.unsqueeze(1))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    if is_causal and attn_mask is None:
        raise GraphError(
            f"[{_NAME}] Need attn_mask if specifying the is_causal hint. You may use the "
            "Transformer module method `generate_square_subsequent_mask` to create this mask."
        )
    masks = _canonical_masks(key_padding_mask, attn_mask, query)
    hint = is_causal and key_padding_mask is None and not need_weights
    if hint:
        masks = (None, None)  # attention hides later keys by itself
    _check_features(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    projected = _projected((query, key, value), in_proj_weight, in_proj_bias, separate)
    heads = _Heads.of(projected, num_heads, masks)
    heads = heads.with_bias(bias_k, bias_v, num_heads).with_static(static_k, static_v)
    if add_zero_attn:
        heads = heads.with_zero()
    p_drop = dropout_p if training else 0.0
    mask = _merged_mask(heads, num_heads)
    if need_weights:
        joined, weights = _with_weights(heads, mask, p_drop, num_heads, average_attn_weights)
    else:
        joined, weights = _without_weights(heads, mask, p_drop, num_heads, hint), None
    out: Any = linear(joined, out_proj_weight, out_proj_bias)  # (queries, batch, features)
    if batched:
        return out, weights
    return out.squeeze(1), None if weights is None else weights.squeeze(0)


def _same_places(tensors: tuple[Any, ...], change: Any) -> tuple[Any, ...]:
    """Change each tensor; those that are one and the same stay so."""
    known: dict[int, Any] = {}
    for x in tensors:
        if id(x) not in known:
            known[id(x)] = change(x)
    return tuple(known[id(x)] for x in tensors)


# --- checks ---------------------------------------------------------------------------------


def _refuse(given: str, rule: str, fix: str = "") -> None:
    raise ShapeError(explain(_NAME, given, rule, fix))


def _check_ranks(
    query: Any, key: Any, value: Any, key_padding_mask: Any, attn_mask: Any, num_heads: int
) -> None:
    rank = query.ndim
    if rank not in (2, 3):
        rule = "query should be unbatched 2D or batched 3D tensor"
        _refuse(f"query is {tuple(query.shape)}", rule, "(positions, batch, features)")
    what = "batched (3-D)" if rank == 3 else "unbatched (2-D)"
    if key.ndim != rank or value.ndim != rank:
        given = f"key is {tuple(key.shape)}, value is {tuple(value.shape)}"
        _refuse(given, f"For {what} `query`, expected `key` and `value` to be {rank}-D")
    if key_padding_mask is not None and key_padding_mask.ndim != rank - 1:
        given = f"key_padding_mask is {tuple(key_padding_mask.shape)}"
        _refuse(given, f"For {what} `query`, expected `key_padding_mask` to be {rank - 1}-D")
    if attn_mask is not None:
        _check_mask(attn_mask, query, key, num_heads)


def _check_mask(mask: Any, query: Any, key: Any, num_heads: int) -> None:
    batch = query.shape[1] if query.ndim == 3 else 1
    sizes = (query.shape[0], key.shape[0])
    if mask.ndim not in (2, 3):
        _refuse(f"attn_mask is {tuple(mask.shape)}", "expected `attn_mask` to be 2-D or 3-D")
    wanted = sizes if mask.ndim == 2 else (batch * num_heads, *sizes)
    if tuple(mask.shape) != wanted:
        rule = f"The shape of the {mask.ndim}D attn_mask should be {wanted}"
        _refuse(f"attn_mask is {tuple(mask.shape)}", rule, "(queries, keys) serves every head")


def _check_features(
    query: Any, key: Any, value: Any, features: int, num_heads: int, separate: bool
) -> None:
    if query.shape[-1] != features:
        rule = f"was expecting embedding dimension of {features}"
        _refuse(f"query is {tuple(query.shape)}", rule, f"the last size must be {features}")
    if features % num_heads:
        _refuse(f"{num_heads} heads", f"embed_dim {features} not divisible by num_heads")
    sizes = slice(0, 2) if separate else slice(None)
    if key.shape[sizes] != value.shape[sizes]:
        given = f"key is {tuple(key.shape)}, value is {tuple(value.shape)}"
        rule = "key's sequence and batch dims must match value's"
        _refuse(given, rule if separate else "key shape does not match value shape")


# --- masks ----------------------------------------------------------------------------------


def _canonical_masks(key_padding_mask: Any, attn_mask: Any, query: Any) -> tuple[Any, Any]:
    """Both as numbers to add to the scores."""
    given = [mask for mask in (key_padding_mask, attn_mask) if mask is not None]
    if len({mask.dtype for mask in given}) > 1:
        warn_user(
            "Support for mismatched key_padding_mask and attn_mask is deprecated. Use same type "
            "for both instead."
        )
    padding = additive_mask(key_padding_mask, "key_padding_mask", query.dtype)
    return padding, additive_mask(attn_mask, "attn_mask", query.dtype)


def additive_mask(mask: Any, name: str, dtype: Any) -> Any:
    """A mask as numbers to add: -inf where a bool mask is True, 0 elsewhere."""
    if mask is None or mask.is_floating_point():
        return mask
    if mask.dtype.name != "bool":
        raise DTypeError(
            explain(
                _NAME,
                f"{name} is {mask.dtype}",
                f"only bool and floating types of {name} are supported",
                "True where a key is hidden: mask.bool()",
            )
        )
    return zeros(mask.shape, dtype=dtype).masked_fill(mask, -math.inf)


def _merged_mask(heads: "_Heads", num_heads: int) -> Any:
    """Both masks as one: (1 or batch * heads, queries, keys), or (batch * heads, 1, keys)."""
    padding, mask = heads.key_padding_mask, heads.attn_mask
    if padding is None:
        return mask
    batch, keys = heads.q.shape[0] // num_heads, heads.k.shape[1]
    if tuple(padding.shape) != (batch, keys):
        rule = f"Expected key_padding_mask to be {(batch, keys)}: (batch, keys)"
        _refuse(f"key_padding_mask is {tuple(padding.shape)}", rule)
    spread = padding.reshape(batch, 1, 1, keys).expand(batch, num_heads, 1, keys)
    spread = spread.reshape(batch * num_heads, 1, keys)
    return spread if mask is None else mask + spread


# --- projections and heads ------------------------------------------------------------------


def _projected(inputs: tuple[Any, ...], weight: Any, bias: Any, separate: Any) -> tuple[Any, ...]:
    """q, k and v; what is the same input is projected by one product."""
    if separate is not None:
        weights = separate
        _check_weights(inputs, weights)
    elif weight is None:
        raise GraphError(f"[{_NAME}] use_separate_proj_weight is False but in_proj_weight is None")
    else:
        query, key, value = inputs
        if query is key and key is value:
            return tuple(linear(query, weight, bias).chunk(3, -1))
        weights = weight.chunk(3)
    biases = (None, None, None) if bias is None else bias.chunk(3)
    return tuple(linear(*group) for group in zip(inputs, weights, biases, strict=True))


def _check_weights(inputs: tuple[Any, ...], weights: Any) -> None:
    features = inputs[0].shape[-1]
    for name, x, w in zip("qkv", inputs, weights, strict=True):
        if w is None:
            raise GraphError(
                f"[{_NAME}] use_separate_proj_weight is True but {name}_proj_weight is None"
            )
        if tuple(w.shape) != (features, x.shape[-1]):
            rule = f"expecting {name}_proj_weight of shape {(features, x.shape[-1])}"
            _refuse(f"{name}_proj_weight is {tuple(w.shape)}", rule)


class _Heads(NamedTuple):
    """What attention takes: q, k, v are (batch * heads, positions, head_dim)."""

    q: Any
    k: Any
    v: Any
    key_padding_mask: Any
    attn_mask: Any

    @classmethod
    def of(cls, projected: tuple[Any, ...], num_heads: int, masks: tuple[Any, Any]) -> "_Heads":
        """Cut features into heads: (positions, batch, features) each."""
        padding, mask = masks
        if mask is not None and mask.ndim == 2:
            mask = mask.unsqueeze(0)
        q, k, v = (_cut(x, num_heads) for x in projected)
        return cls(q, k, v, padding, mask)

    def with_bias(self, bias_k: Any, bias_v: Any, num_heads: int) -> "_Heads":
        """One more key and value, learned ones."""
        if (bias_k is None) != (bias_v is None):
            missing = "bias_k" if bias_k is None else "bias_v"
            raise GraphError(f"[{_NAME}] {missing} is None, but the other one is set")
        if bias_k is None:
            return self
        batch = self.q.shape[0] // num_heads
        more = [_cut(b.reshape(1, 1, -1).expand(1, batch, -1), num_heads) for b in (bias_k, bias_v)]
        return self._with_one_more(*more)

    def with_zero(self) -> "_Heads":
        """One more key and value, of zeros."""
        groups, _, size = self.k.shape
        more = zeros((groups, 1, size), dtype=self.k.dtype)
        return self._with_one_more(more, more)

    def _with_one_more(self, k: Any, v: Any) -> "_Heads":
        padding, mask = (
            None if x is None else pad(x, (0, 1)) for x in (self.key_padding_mask, self.attn_mask)
        )
        return _Heads(self.q, cat([self.k, k], 1), cat([self.v, v], 1), padding, mask)

    def with_static(self, static_k: Any, static_v: Any) -> "_Heads":
        """Keys and values that were given."""
        groups, _, size = self.q.shape
        for name, x in (("static_k", static_k), ("static_v", static_v)):
            if x is not None and (x.shape[0] != groups or x.shape[2] != size):
                rule = f"expecting (batch * heads, keys, head_dim) = ({groups}, keys, {size})"
                _refuse(f"{name} is {tuple(x.shape)}", rule)
        k = self.k if static_k is None else static_k
        return self._replace(k=k, v=self.v if static_v is None else static_v)


def _cut(x: Any, num_heads: int) -> Any:
    positions, batch, features = x.shape
    x = x.reshape(positions, batch * num_heads, features // num_heads)
    return x.transpose(0, 1)  # (batch * heads, positions, head_dim)


def _with_weights(
    heads: _Heads, mask: Any, p_drop: float, num_heads: int, average: bool
) -> tuple[Any, Any]:
    """The joined heads (queries, batch, features), and the weights after dropout."""
    groups, queries, size = heads.q.shape
    q, keys = heads.q * math.sqrt(1 / size), heads.k.transpose(1, 2)
    scores = bmm(q, keys) if mask is None else baddbmm(mask, q, keys)
    weights: Any = softmax(scores, -1)  # (batch * heads, queries, keys)
    if p_drop > 0:
        weights = dropping.dropout(weights, p_drop)
    joined = bmm(weights, heads.v).transpose(0, 1)  # (queries, batch * heads, head_dim)
    joined = joined.reshape(queries, groups // num_heads, num_heads * size)
    weights = weights.reshape(groups // num_heads, num_heads, *weights.shape[1:])
    return joined, weights.mean(1) if average else weights


def _without_weights(heads: _Heads, mask: Any, p_drop: float, num_heads: int, causal: bool) -> Any:
    groups, queries, size = heads.q.shape
    batch = groups // num_heads
    q, k, v = (x.reshape(batch, num_heads, *x.shape[1:]) for x in heads[:3])
    if mask is not None:
        leading = (1, 1) if mask.shape[0] == 1 else (batch, num_heads)
        mask = mask.reshape(*leading, *mask.shape[1:])
    out: Any = scaled_dot_product_attention(q, k, v, mask, p_drop, causal)
    return out.permute(2, 0, 1, 3).reshape(queries, batch, num_heads * size)


__all__ = ["additive_mask", "multi_head_attention_forward"]
