"""The layers that encoders and decoders are stacked from."""

from collections.abc import Callable
from typing import Any

from narae.base.errors import ConfigError, explain
from narae.tensors import Tensor
from narae.tensors.activations import gelu, relu

from .cached_attention import KeysValues, attend_to_memory, attend_to_past, keys_values
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .multihead import MultiheadAttention
from .normalization import LayerNorm

Activation = str | Callable[[Tensor], Tensor]
_ACTIVATIONS: dict[str, Callable[..., Any]] = {"relu": relu, "gelu": gelu}


def _function(activation: Any) -> Any:
    if not isinstance(activation, str):
        return activation
    if activation not in _ACTIVATIONS:
        given = f"activation should be relu/gelu, not {activation}"  # PyTorch's words
        fix = "give the function itself, such as narae.tanh"
        raise ConfigError(explain("TransformerLayer", given, "other names are not known", fix))
    return _ACTIVATIONS[activation]


class _Layer(Module):
    """What both kinds share: attention to itself, and a network of two layers at each position."""

    norm_count: int
    cross = False

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        kind = {"bias": bias, "device": device, "dtype": dtype}
        heads: dict[str, Any] = {"dropout": dropout, "batch_first": batch_first}
        self.self_attn = MultiheadAttention(d_model, nhead, **heads, **kind)
        if self.cross:
            self.multihead_attn = MultiheadAttention(d_model, nhead, **heads, **kind)
        self.linear1 = Linear(d_model, dim_feedforward, **kind)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **kind)
        self.norm_first = norm_first
        numbers = range(1, self.norm_count + 1)
        for number in numbers:
            setattr(self, f"norm{number}", LayerNorm(d_model, eps=layer_norm_eps, **kind))
        for number in numbers:
            setattr(self, f"dropout{number}", Dropout(dropout))
        self.activation = _function(activation)

    def _residual(self, number: int, x: Any, block: Callable[[Any], Any]) -> Any:
        """x + block(norm(x)) with `norm_first`, norm(x + block(x)) otherwise."""
        norm, dropout = getattr(self, f"norm{number}"), getattr(self, f"dropout{number}")
        if self.norm_first:
            return x + dropout(block(norm(x)))
        return norm(x + dropout(block(x)))

    def _self_attention(self, x: Any, mask: Any, padding: Any, causal: bool) -> Any:
        options = {"attn_mask": mask, "key_padding_mask": padding, "is_causal": causal}
        return self.self_attn(x, x, x, need_weights=False, **options)[0]

    def keys_values(self, x: Tensor) -> KeysValues:
        """What later tokens look at when x (batch, time, width) is the layer's input."""
        return keys_values(self.self_attn, self.norm1(x) if self.norm_first else x)

    def _look_at_past(self, x: Any, cache: KeysValues, position: Tensor) -> tuple[Any, KeysValues]:
        caches = [cache]

        def look(x: Any) -> Any:
            out, caches[0] = attend_to_past(self.self_attn, x, cache, position)
            return out

        x = self._residual(1, x, look)
        return x, caches[0]

    def _feed_forward(self, x: Any) -> Any:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Self-attention, then a network at each position; each with a shortcut and a layer norm.

        x = norm1(x + attention(x)),   x = norm2(x + W2 activation(W1 x))

    Args:
        d_model: features
        nhead: heads of the attention
        dim_feedforward: features between the two linear layers
        dropout: the probability to drop, in every place where Vaswani et al. drop
        activation: "relu", "gelu" or a function
        layer_norm_eps: keeps the denominators from 0
        batch_first: inputs are (batch, positions, features), not (positions, batch, features)
        norm_first: x + block(norm(x)) instead of norm(x + block(x))
        bias: whether linear layers and norms add one

    Source: Vaswani et al., Attention is all you need (2017), section 3.1; `norm_first`: Xiong et
    al., On layer normalization in the Transformer architecture (2020).

    >>> import narae
    >>> layer = narae.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16)
    >>> layer(narae.rand(5, 3, 8)).shape
    narae.Size([5, 3, 8])
    """

    norm_count = 2

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        x = self._residual(
            1, src, lambda x: self._self_attention(x, src_mask, src_key_padding_mask, is_causal)
        )
        return self._residual(2, x, self._feed_forward)

    def step(self, x: Tensor, cache: KeysValues, position: Tensor) -> tuple[Tensor, KeysValues]:
        """The layer for one token (batch, 1, width), which looks at those before it.

        Args:
            x: the token's features
            cache: `keys_values` of the tokens before, `padded`
            position: (batch,), where the token stands

        Returns:
            (batch, 1, width), and the cache with the token
        """
        x, cache = self._look_at_past(x, cache, position)
        return self._residual(2, x, self._feed_forward), cache


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the encoder's result, then a network at each position.

        x = norm1(x + attention(x)),   x = norm2(x + attention(x, memory)),   x = norm3(x + ffn(x))

    The arguments are those of `TransformerEncoderLayer`.

    Source: Vaswani et al., Attention is all you need (2017), section 3.1.

    >>> import narae
    >>> layer = narae.nn.TransformerDecoderLayer(8, 2, dim_feedforward=16)
    >>> layer(narae.rand(4, 3, 8), memory=narae.rand(5, 3, 8)).shape
    narae.Size([4, 3, 8])
    """

    norm_count = 3
    cross = True

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        options = {
            "attn_mask": memory_mask,
            "key_padding_mask": memory_key_padding_mask,
            "is_causal": memory_is_causal,
        }

        def look_at_memory(x: Any) -> Any:
            return self.multihead_attn(x, memory, memory, need_weights=False, **options)[0]

        x = self._residual(
            1, tgt, lambda x: self._self_attention(x, tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        )
        x = self._residual(2, x, look_at_memory)
        return self._residual(3, x, self._feed_forward)

    def memory_keys_values(self, memory: Tensor) -> KeysValues:
        """What every step looks at of the encoder's result (batch, length, width)."""
        return keys_values(self.multihead_attn, memory)

    def step(
        self, x: Tensor, cache: KeysValues, position: Tensor, memory: KeysValues, seen: Tensor
    ) -> tuple[Tensor, KeysValues]:
        """The layer for one token (batch, 1, width); see `TransformerEncoderLayer.step`.

        Args:
            memory: `memory_keys_values` of the encoder's result
            seen: (batch, length), True where that may be looked at
        """
        x, cache = self._look_at_past(x, cache, position)
        x = self._residual(2, x, lambda x: attend_to_memory(self.multihead_attn, x, memory, seen))
        return self._residual(3, x, self._feed_forward), cache


__all__ = ["TransformerDecoderLayer", "TransformerEncoderLayer"]
