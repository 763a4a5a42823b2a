"""Stacks of encoder and decoder layers, and both together: `Transformer`."""

import copy
import math
from typing import Any

from narae.base.errors import ShapeError, explain
from narae.tensors import Tensor, full
from narae.tensors.activations import relu

from . import init
from .containers import ModuleList
from .module import Module
from .multihead_functional import additive_mask
from .normalization import LayerNorm
from .transformer_layers import Activation, TransformerDecoderLayer, TransformerEncoderLayer


class TransformerEncoder(Module):
    """Copies of one layer, one after the other; they start with the same weights.

    Args:
        encoder_layer: the layer that is copied
        num_layers: how many
        norm: what is applied at the end, if anything
        enable_nested_tensor, mask_check: accepted for PyTorch's sake; they choose an
            implementation there, and the result is the same

    >>> import narae
    >>> layer = narae.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    >>> narae.nn.TransformerEncoder(layer, 2)(narae.rand(3, 5, 8)).shape
    narae.Size([3, 5, 8])
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = ModuleList(copy.deepcopy(encoder_layer) for _ in range(num_layers))
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor, self.mask_check = enable_nested_tensor, mask_check

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        padding = additive_mask(src_key_padding_mask, "src_key_padding_mask", src.dtype)
        mask = additive_mask(mask, "mask", src.dtype)
        x = src
        for layer in self.layers:
            x = layer(x, src_mask=mask, src_key_padding_mask=padding, is_causal=bool(is_causal))
        return x if self.norm is None else self.norm(x)


class TransformerDecoder(Module):
    """Copies of one decoder layer, one after the other; they start with the same weights.

    Args:
        decoder_layer: the layer that is copied
        num_layers: how many
        norm: what is applied at the end, if anything
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = ModuleList(copy.deepcopy(decoder_layer) for _ in range(num_layers))
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        x = tgt
        for layer in self.layers:
            x = layer(
                x,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=bool(tgt_is_causal),
                memory_is_causal=memory_is_causal,
            )
        return x if self.norm is None else self.norm(x)


class Transformer(Module):
    """From a sequence to a sequence: an encoder, and a decoder that looks at its result.

    Args:
        d_model: features
        nhead: heads of the attention
        num_encoder_layers, num_decoder_layers: how many layers are stacked
        dim_feedforward: features between the two linear layers at each position
        dropout: the probability to drop
        activation: "relu", "gelu" or a function
        custom_encoder, custom_decoder: modules to use instead
        layer_norm_eps: keeps the denominators from 0
        batch_first: inputs are (batch, positions, features), not (positions, batch, features)
        norm_first: x + block(norm(x)) instead of norm(x + block(x))
        bias: whether linear layers and norms add one

    Source: Vaswani et al., Attention is all you need (2017).

    >>> import narae
    >>> model = narae.nn.Transformer(8, 2, 1, 1, dim_feedforward=16, batch_first=True)
    >>> source, target = narae.rand(3, 5, 8), narae.rand(3, 4, 8)
    >>> hidden = model.generate_square_subsequent_mask(4)
    >>> model(source, target, tgt_mask=hidden).shape
    narae.Size([3, 4, 8])
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = relu,
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        kind = {"bias": bias, "device": device, "dtype": dtype}
        layer = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps)
        options = {"batch_first": batch_first, "norm_first": norm_first, **kind}
        if custom_encoder is None:
            encoder_layer = TransformerEncoderLayer(*layer, **options)
            norm = LayerNorm(d_model, eps=layer_norm_eps, **kind)
            custom_encoder = TransformerEncoder(encoder_layer, num_encoder_layers, norm)
        self.encoder = custom_encoder
        if custom_decoder is None:
            decoder_layer = TransformerDecoderLayer(*layer, **options)
            norm = LayerNorm(d_model, eps=layer_norm_eps, **kind)
            custom_decoder = TransformerDecoder(decoder_layer, num_decoder_layers, norm)
        self.decoder = custom_decoder
        self._reset_parameters()
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def _reset_parameters(self) -> None:
        """Draw new weights: every matrix by `xavier_uniform_`."""
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        self._check(src, tgt)
        memory = self.encoder(
            src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal
        )
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    def _check(self, src: Any, tgt: Any) -> None:
        given = f"src is {tuple(src.shape)}, tgt is {tuple(tgt.shape)}"
        place = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[place] != tgt.shape[place]:
            rule = "the batch number of src and tgt must be equal"
            fix = f"the batch is dimension {place}, since batch_first is {self.batch_first}"
            raise ShapeError(explain("Transformer", given, rule, fix))
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            rule = f"the feature number of src and tgt must be equal to d_model, {self.d_model}"
            raise ShapeError(explain("Transformer", given, rule))

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """A mask that hides later positions: -inf above the diagonal, 0 elsewhere.

        >>> Transformer.generate_square_subsequent_mask(2)
        tensor([[0., -inf],
                [0., 0.]])
        """
        return full((sz, sz), -math.inf, device=device, dtype=dtype).triu(1)


__all__ = ["Transformer", "TransformerDecoder", "TransformerEncoder"]
