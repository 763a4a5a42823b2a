"""Vision transformers: a picture is a sentence of patches, read by a transformer's encoder.

    z_0 = [class token; patches E] + positions
    z' = attention(norm(z)) + z
    z  = mlp(norm(z')) + z'
    logits = head(norm(z)[class token])

Source: Dosovitskiy et al., An image is worth 16x16 words (2020), equations 1 to 4.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import narae.nn as nn
from narae.base.errors import ConfigError, ShapeError, explain
from narae.tensors import Tensor, cat, empty, zeros

from .registry import register_model, with_weights

__all__ = ["VisionTransformer", "vit_b_16", "vit_b_32", "vit_h_14", "vit_l_16", "vit_l_32"]

Norm = Callable[[int], nn.Module]
_layer_norm = partial(nn.LayerNorm, eps=1e-6)


class MLPBlock(nn.Sequential):
    """Two linear layers with GELU between them, for each token by itself.

    Args:
        in_dim: sizes of a token before and after.
        mlp_dim: in between.
        dropout: after each layer.
    """

    def __init__(self, in_dim: int, mlp_dim: int, dropout: float) -> None:
        wide, narrow = nn.Linear(in_dim, mlp_dim), nn.Linear(mlp_dim, in_dim)
        super().__init__(wide, nn.GELU(), nn.Dropout(dropout), narrow, nn.Dropout(dropout))
        for linear in (wide, narrow):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.normal_(linear.bias, std=1e-6)

    def _prepare_loading(self, state_dict: Any, prefix: str, metadata: dict[str, Any]) -> None:
        """Rename what published weights call linear_1 and linear_2."""
        for old, new in (("linear_1", "0"), ("linear_2", "3")):
            for name in ("weight", "bias"):
                if f"{prefix}{old}.{name}" in state_dict:
                    state_dict[f"{prefix}{new}.{name}"] = state_dict.pop(f"{prefix}{old}.{name}")


class EncoderBlock(nn.Module):
    """Attention among the tokens, then an MLP for each; a skip around both.

    Args:
        num_heads: of the attention.
        hidden_dim: sizes of a token.
        mlp_dim: sizes inside the MLP.
        dropout, attention_dropout: after layers, and of attention's weights.
        norm_layer: makes a normalization of as many sizes as it is told.
    """

    def __init__(
        self,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Norm,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.ln_1 = norm_layer(hidden_dim)
        self.self_attention = nn.MultiheadAttention(
            hidden_dim, num_heads, dropout=attention_dropout, batch_first=True
        )
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = norm_layer(hidden_dim)
        self.mlp = MLPBlock(hidden_dim, mlp_dim, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """One block.

        Args:
            x: (batch, tokens, hidden_dim)
        """
        normed = self.ln_1(x)
        seen, _ = self.self_attention(normed, normed, normed, need_weights=False)
        x = x + self.dropout(seen)
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Positions are added, then blocks follow each other, then a normalization.

    Args:
        seq_length: how many tokens there are.
        num_layers: how many blocks.
        num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer: of the blocks.
    """

    def __init__(
        self,
        seq_length: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Norm,
    ) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(empty(1, seq_length, hidden_dim))
        nn.init.normal_(self.pos_embedding, std=0.02)
        self.dropout = nn.Dropout(dropout)
        shape = (num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer)
        blocks = {f"encoder_layer_{i}": EncoderBlock(*shape) for i in range(num_layers)}
        self.layers = nn.Sequential(OrderedDict(blocks))
        self.ln = norm_layer(hidden_dim)

    def forward(self, x: Tensor) -> Tensor:
        """All blocks.

        Args:
            x: (batch, tokens, hidden_dim)
        """
        return self.ln(self.layers(self.dropout(x + self.pos_embedding)))


class VisionTransformer(nn.Module):
    """Patches, a class token, an encoder, and a linear layer on what became of the class token.

    Args:
        image_size: height and width of the pictures.
        patch_size: height and width of a patch; image_size is a multiple of it.
        num_layers, num_heads, hidden_dim, mlp_dim: of the encoder.
        dropout, attention_dropout: after layers, and of attention's weights.
        num_classes: how many numbers come out.
        representation_size: the size of a layer with tanh before the last one; None has none.
        norm_layer: makes a normalization of as many sizes as it is told.

    Raises:
        ConfigError: if patches do not fill the picture.

    >>> import narae
    >>> small = VisionTransformer(32, 8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=32)
    >>> small(narae.zeros(2, 3, 32, 32)).shape
    narae.Size([2, 1000])
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        representation_size: int | None = None,
        norm_layer: Norm = _layer_norm,
    ) -> None:
        super().__init__()
        if image_size % patch_size:
            given = f"image_size={image_size}, patch_size={patch_size}"
            raise ConfigError(explain("VisionTransformer", given, "patches must fill the picture"))
        self.image_size, self.patch_size, self.hidden_dim = image_size, patch_size, hidden_dim
        self.num_classes = num_classes
        self.conv_proj = nn.Conv2d(3, hidden_dim, kernel_size=patch_size, stride=patch_size)
        self.class_token = nn.Parameter(zeros(1, 1, hidden_dim))
        self.seq_length = (image_size // patch_size) ** 2 + 1
        shape = (num_layers, num_heads, hidden_dim, mlp_dim, dropout, attention_dropout)
        self.encoder = Encoder(self.seq_length, *shape, norm_layer)
        self.heads = _heads(hidden_dim, num_classes, representation_size)
        _first_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits.

        Args:
            x: (batch, 3, image_size, image_size)

        Raises:
            ShapeError: for pictures of another size.
        """
        batch, _, height, width = x.shape
        if (height, width) != (self.image_size, self.image_size):
            rule = f"its positions are those of {self.image_size} x {self.image_size} pixels"
            fix = f"Resize(({self.image_size}, {self.image_size})), or a model with image_size"
            raise ShapeError(explain("VisionTransformer", f"x is {tuple(x.shape)}", rule, fix))
        patches = self.conv_proj(x).flatten(2)  # (batch, hidden_dim, patches)
        patches = patches.transpose(1, 2)  # (batch, patches, hidden_dim)
        token = self.class_token.expand(batch, -1, -1)  # (batch, 1, hidden_dim)
        seen = self.encoder(cat([token, patches], 1))  # (batch, 1 + patches, hidden_dim)
        return self.heads(seen[:, 0])  # (batch, num_classes)


def _heads(hidden: int, num_classes: int, representation: int | None) -> nn.Sequential:
    if representation is None:
        return nn.Sequential(OrderedDict(head=nn.Linear(hidden, num_classes)))
    pre_logits = nn.Linear(hidden, representation)
    head = nn.Linear(representation, num_classes)
    return nn.Sequential(OrderedDict(pre_logits=pre_logits, act=nn.Tanh(), head=head))


def _first_weights(model: VisionTransformer) -> None:
    """Patches keep their variance, and every class is as likely as any other."""
    fan_in = math.prod(model.conv_proj.weight.shape[1:])
    nn.init.trunc_normal_(model.conv_proj.weight, std=math.sqrt(1 / fan_in))
    nn.init.zeros_(model.conv_proj.bias)
    parts = dict(model.heads.named_children())
    if "pre_logits" in parts:
        before: Any = parts["pre_logits"]
        nn.init.trunc_normal_(before.weight, std=math.sqrt(1 / before.in_features))
        nn.init.zeros_(before.bias)
    head: Any = parts["head"]
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)


def _vit(
    patch_size: int, layers: int, heads: int, hidden: int, mlp: int, weights: Any, **kwargs: Any
) -> VisionTransformer:
    shape = {"patch_size": patch_size, "num_layers": layers, "num_heads": heads}
    shape |= {"hidden_dim": hidden, "mlp_dim": mlp, "image_size": 224}
    return with_weights(VisionTransformer, weights, **{**shape, **kwargs})


@register_model()
def vit_b_16(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> VisionTransformer:
    """ViT-B/16: 86,567,656 parameters."""
    return _vit(16, 12, 12, 768, 3072, weights, **kwargs)


@register_model()
def vit_b_32(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> VisionTransformer:
    """ViT-B/32: 88,224,232 parameters."""
    return _vit(32, 12, 12, 768, 3072, weights, **kwargs)


@register_model()
def vit_l_16(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> VisionTransformer:
    """ViT-L/16: 304,326,632 parameters."""
    return _vit(16, 24, 16, 1024, 4096, weights, **kwargs)


@register_model()
def vit_l_32(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> VisionTransformer:
    """ViT-L/32: 306,535,400 parameters."""
    return _vit(32, 24, 16, 1024, 4096, weights, **kwargs)


@register_model()
def vit_h_14(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> VisionTransformer:
    """ViT-H/14: 632,045,800 parameters."""
    return _vit(14, 32, 16, 1280, 5120, weights, **kwargs)
