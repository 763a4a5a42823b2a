"""`MultiheadAttention`."""

from typing import Any

from narae.base.errors import ConfigError
from narae.tensors import Parameter, Tensor, empty

from . import init
from .linear import Linear
from .module import Module
from .multihead_functional import _same_places, multi_head_attention_forward


class NonDynamicallyQuantizableLinear(Linear):
    """A Linear layer; the name is the one that PyTorch prints."""


class MultiheadAttention(Module):
    """Attention by several heads, each of which looks at a part of the features.

        head_h = softmax(q_h k_hᵀ / √head_dim + mask) v_h,   out = [head_1 … head_n] W_outᵀ + b_out

    Args:
        embed_dim: the features of the query and of the result
        num_heads: how many heads; each has embed_dim / num_heads features
        dropout: the probability to drop a weight of the attention in training
        bias: whether the projections add one
        add_bias_kv: one more key and value, which are learned
        add_zero_attn: one more key and value, of zeros
        kdim, vdim: the features of key and value, if they differ from those of the query
        batch_first: inputs are (batch, positions, features), not (positions, batch, features)

    Source: Vaswani et al., Attention is all you need (2017), section 3.2.2.

    >>> import narae
    >>> layer = narae.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = narae.rand(4, 5, 8)
    >>> out, weights = layer(x, x, x)
    >>> out.shape, weights.shape
    (narae.Size([4, 5, 8]), narae.Size([4, 5, 5]))
    """

    in_proj_weight: Tensor | None
    in_proj_bias: Tensor | None
    q_proj_weight: Tensor | None
    k_proj_weight: Tensor | None
    v_proj_weight: Tensor | None
    bias_k: Tensor | None
    bias_v: Tensor | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_sizes(embed_dim, num_heads)
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim == self.vdim
        self.dropout, self.batch_first = dropout, batch_first
        self.head_dim, self.add_zero_attn = embed_dim // num_heads, add_zero_attn
        kind = {"device": device, "dtype": dtype}
        self._add_projections(bias, kind)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, **kind)
        self.bias_k = self.bias_v = None
        if add_bias_kv:
            self.bias_k = Parameter(empty((1, 1, embed_dim), **kind))
            self.bias_v = Parameter(empty((1, 1, embed_dim), **kind))
        self._reset_parameters()

    def _add_projections(self, bias: bool, kind: dict[str, Any]) -> None:
        features = self.embed_dim
        shapes = {
            "q_proj_weight": (features, features),
            "k_proj_weight": (features, self.kdim),
            "v_proj_weight": (features, self.vdim),
            "in_proj_weight": (3 * features, features),
        }
        for name, shape in shapes.items():
            wanted = (name == "in_proj_weight") == self._qkv_same_embed_dim
            self.register_parameter(name, Parameter(empty(shape, **kind)) if wanted else None)
        in_bias = Parameter(empty(3 * features, **kind)) if bias else None
        self.register_parameter("in_proj_bias", in_bias)

    def _reset_parameters(self) -> None:
        """Draw new weights."""
        for w in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if w is not None:
                init.xavier_uniform_(w)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for b in (self.bias_k, self.bias_v):
            if b is not None:
                init.xavier_normal_(b)

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
        swapped = self.batch_first and query.ndim == 3
        if swapped:
            query, key, value = _same_places((query, key, value), lambda x: x.transpose(0, 1))
        out, weights = multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=not self._qkv_same_embed_dim,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
        return (out.transpose(0, 1) if swapped else out), weights


def _check_sizes(embed_dim: int, num_heads: int) -> None:
    if embed_dim <= 0 or num_heads <= 0:
        raise ValueError(
            f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and "
            f"num_heads={num_heads} instead"
        )
    if embed_dim % num_heads:
        raise ConfigError(
            f"[MultiheadAttention] embed_dim must be divisible by num_heads: {embed_dim} features "
            f"cannot be shared by {num_heads} heads"
        )


__all__ = ["MultiheadAttention", "NonDynamicallyQuantizableLinear"]
