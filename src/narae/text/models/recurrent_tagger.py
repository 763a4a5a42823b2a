"""A recurrent net that names each token, such as by its part of speech."""

from narae.nn import Dropout, Embedding, Linear
from narae.tensors import Tensor

from .padded_recurrent import PaddedRecurrent
from .recurrent import layer_of
from .tokenized import TokenizedModule


class RecurrentTagger(TokenizedModule):
    """Recurrent layers over the embeddings of tokens; scores of each tag at each step.

    Args:
        vocabulary: how many tokens there are
        tags: how many tags there are
        width: features of the embedding
        hidden: features of a layer's state, in each direction
        layers: how many layers
        kind: "rnn", "lstm" or "gru"
        bidirectional: whether a tag may depend on later tokens
        dropout: the probability to drop

    Raises:
        ConfigError: if there is no such kind of layer.

    Source: Huang, Xu and Yu, Bidirectional LSTM-CRF models for sequence tagging (2015), section
    2.3.

    >>> import narae
    >>> model = RecurrentTagger(10, tags=3, width=8, hidden=4)
    >>> model(narae.tensor([[1, 2, 3, 4]])).shape
    narae.Size([1, 4, 3])
    """

    def __init__(
        self,
        vocabulary: int,
        tags: int,
        width: int = 128,
        hidden: int = 128,
        layers: int = 1,
        kind: str = "lstm",
        bidirectional: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        make = layer_of("RecurrentTagger", kind)
        self.embedding = Embedding(vocabulary, width)
        self.dropout = Dropout(dropout)
        self.recurrent = PaddedRecurrent(make, width, hidden, layers, bidirectional, dropout)
        self.head = Linear(self.recurrent.features, tags)

    def forward(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Scores of each tag.

        Args:
            tokens: (batch, time), int64
            lengths: (batch,), how many tokens of each row are no padding; all if left out

        Returns:
            (batch, time, tags); where a row has ended they mean nothing
        """
        x = self.dropout(self.embedding(tokens))  # (batch, time, width)
        out, _ = self.recurrent(x, lengths)  # (batch, time, directions * hidden)
        return self.head(self.dropout(out))
