"""A Transformer's encoder that says what kind of text it was given."""

from narae.base.errors import ShapeError, explain
from narae.nn import (
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from narae.nn.positions import LearnedPositions, check_length
from narae.tensors import Tensor

from .tokenized import TokenizedModule


class EncoderClassifier(TokenizedModule):
    """Embeds tokens, lets all look at all, and classifies the mean of the real ones.

    Args:
        vocabulary: how many tokens there are
        classes: how many kinds
        width: features
        layers: how many layers
        heads: heads of each layer's attention
        feed_forward: features between the two linear layers of a layer
        length: the longest text
        dropout: the probability to drop
        pad_id: the token that fills up texts

    >>> import narae
    >>> model = EncoderClassifier(20, classes=3, width=8, layers=1, heads=2, feed_forward=16)
    >>> model(narae.tensor([[4, 5, 6], [7, 0, 0]])).shape
    narae.Size([2, 3])
    """

    def __init__(
        self,
        vocabulary: int,
        classes: int,
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        feed_forward: int = 512,
        length: int = 256,
        dropout: float = 0.1,
        pad_id: int = 0,
    ) -> None:
        super().__init__()
        self.length, self.pad_id = length, pad_id
        self.embedding = Embedding(vocabulary, width, padding_idx=pad_id)
        self.positions = LearnedPositions(length, width)
        self.dropout = Dropout(dropout)
        layer = TransformerEncoderLayer(
            width, heads, feed_forward, dropout, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = TransformerEncoder(layer, layers, LayerNorm(width))
        self.head = Linear(width, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (batch, classes) of tokens (batch, time), int64, filled up with `pad_id`.

        Raises:
            BoundsError: if there are more tokens than positions.
            ShapeError: if tokens are not (batch, time), with one or more in a text.
        """
        if tokens.ndim != 2 or not tokens.shape[1]:
            given, rule = f"tokens are {tuple(tokens.shape)}", "they are (batch, time), time >= 1"
            fix = "a single text is a batch of one"
            raise ShapeError(explain("EncoderClassifier", given, rule, fix))
        check_length("EncoderClassifier", tokens.shape[1], self.length)
        padding = tokens.eq(self.pad_id)  # (batch, time)
        x = self.dropout(self.positions(self.embedding(tokens)))  # (batch, time, width)
        x = self.encoder(x, src_key_padding_mask=padding)
        real = padding.logical_not().to(x.dtype).unsqueeze(-1)  # (batch, time, 1)
        mean = (x * real).sum(1) / real.sum(1).clamp(min=1.0)  # (batch, width)
        return self.head(self.dropout(mean))
