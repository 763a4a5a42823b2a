"""BERT and DistilBERT: an encoder that looks both ways, and what is put on top of it."""

from typing import Any

from narae.base.errors import ConfigError, explain
from narae.nn import (
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    Parameter,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from narae.nn.functional import linear
from narae.nn.init import normal_
from narae.nn.positions import check_length
from narae.tensors import Tensor, zeros, zeros_like
from narae.tensors.activations import relu

from .tokenized import TokenizedModule

_STD = 0.02


class BERT(TokenizedModule):
    """Tokens, positions and segments are embedded and added; then a post-norm encoder.

    Args:
        vocabulary: how many tokens there are
        width: features
        layers: how many layers
        heads: heads of each layer's attention
        feed_forward: features between the two linear layers of a layer
        length: the longest text
        segments: kinds of segments (BERT: 2; DistilBERT: 0)
        pooled: whether the first token's features pass one more layer (BERT) or not (DistilBERT)
        dropout: the probability to drop
        pad_id: the token that fills up texts
        activation: "gelu", "relu" or a function
        eps: keeps the denominators of layer norms from 0

    Source: Devlin et al., BERT (2018); Sanh et al., DistilBERT (2019).

    >>> import narae
    >>> model = BERT(20, width=8, layers=1, heads=2, feed_forward=16, length=16)
    >>> model(narae.tensor([[1, 4, 5, 2]])).shape
    narae.Size([1, 4, 8])
    """

    def __init__(
        self,
        vocabulary: int = 30522,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        feed_forward: int = 3072,
        length: int = 512,
        segments: int = 2,
        pooled: bool = True,
        dropout: float = 0.1,
        pad_id: int = 0,
        activation: Any = "gelu",
        eps: float = 1e-12,
    ) -> None:
        super().__init__()
        self.length, self.width, self.eps, self.pad_id = length, width, eps, pad_id
        self.embedding = Embedding(vocabulary, width, padding_idx=pad_id)
        self.positions = Embedding(length, width)
        self.segments = Embedding(segments, width) if segments else None
        self.norm = LayerNorm(width, eps=eps)
        self.dropout = Dropout(dropout)
        layer = TransformerEncoderLayer(
            width, heads, feed_forward, dropout, activation, eps, batch_first=True
        )
        self.encoder = TransformerEncoder(layer, layers)
        self.pooler = Linear(width, width) if pooled else None
        for parameter in self.parameters():
            if parameter.ndim > 1:
                normal_(parameter, std=_STD)
        self.embedding._fill_padding_idx_with_zero()

    def forward(
        self, tokens: Tensor, padding_mask: Tensor | None = None, segments: Tensor | None = None
    ) -> Tensor:
        """The features of each token.

        Args:
            tokens: (batch, time), int64
            padding_mask: (batch, time), True where a token is padding
            segments: (batch, time), int64; all 0 if left out

        Returns:
            (batch, time, width)

        Raises:
            BoundsError: if there are more tokens than positions.
            ConfigError: for segments, if the model has none.
        """
        check_length("BERT", tokens.shape[1], self.length)
        x = self.embedding(tokens) + self.positions.weight[: tokens.shape[1]]
        if self.segments is not None:
            x = x + self.segments(zeros_like(tokens) if segments is None else segments)
        elif segments is not None:
            given, rule = "segments are given", "this model was made without them, as DistilBERT is"
            raise ConfigError(explain("BERT", given, rule, "leave them out"))
        x = self.dropout(self.norm(x))  # (batch, time, width)
        return self.encoder(x, src_key_padding_mask=padding_mask)

    def summary(self, features: Tensor) -> Tensor:
        """What stands for the whole text, (batch, width): the first token's features."""
        first = features[:, 0]
        return first if self.pooler is None else self.pooler(first).tanh()


class MaskedLanguageModel(TokenizedModule):
    """BERT with the logits of each token, to guess those that were hidden.

    >>> import narae
    >>> bert = BERT(20, width=8, layers=1, heads=2, feed_forward=16, length=16)
    >>> MaskedLanguageModel(bert)(narae.tensor([[1, 4, 5, 2]])).shape
    narae.Size([1, 4, 20])
    """

    def __init__(self, bert: BERT) -> None:
        super().__init__()
        self.bert = bert
        self.transform = Linear(bert.width, bert.width)
        self.activation = bert.encoder.layers[0].activation
        self.norm = LayerNorm(bert.width, eps=bert.eps)
        self.bias = Parameter(zeros(bert.embedding.num_embeddings))

    def forward(
        self, tokens: Tensor, padding_mask: Tensor | None = None, segments: Tensor | None = None
    ) -> Tensor:
        """Logits (batch, time, vocabulary); the arguments are those of `BERT`."""
        x = self.norm(self.activation(self.transform(self.bert(tokens, padding_mask, segments))))
        return linear(x, self.bert.embedding.weight, self.bias)


class BERTClassifier(TokenizedModule):
    """BERT that says what kind of text it was given.

    Args:
        bert: the encoder; DistilBERT's, without a pooler, gets a layer with ReLU before the head
        classes: how many kinds
        dropout: the probability to drop

    >>> import narae
    >>> bert = BERT(20, width=8, layers=1, heads=2, feed_forward=16, length=16)
    >>> BERTClassifier(bert, 3)(narae.tensor([[1, 4, 5, 2]])).shape
    narae.Size([1, 3])
    """

    def __init__(self, bert: BERT, classes: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.bert = bert
        self.hidden = None if bert.pooler is not None else Linear(bert.width, bert.width)
        self.dropout = Dropout(dropout)
        self.head = Linear(bert.width, classes)

    def forward(
        self, tokens: Tensor, padding_mask: Tensor | None = None, segments: Tensor | None = None
    ) -> Tensor:
        """Logits (batch, classes); the arguments are those of `BERT`."""
        x = self.bert.summary(self.bert(tokens, padding_mask, segments))  # (batch, width)
        if self.hidden is not None:
            x = relu(self.hidden(x))
        return self.head(self.dropout(x))
