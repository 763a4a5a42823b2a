"""A recurrent net that reads a text and says what kind it is."""

from narae.nn import Dropout, Embedding, Linear
from narae.tensors import Tensor

from .padded_recurrent import PaddedRecurrent
from .recurrent import layer_of
from .tokenized import TokenizedModule


class RecurrentClassifier(TokenizedModule):
    """Recurrent layers over the embeddings of tokens; scores of each class from the last state.

    Args:
        vocabulary: how many tokens there are
        classes: how many classes there are
        width: features of the embedding
        hidden: features of a layer's state, in each direction
        layers: how many layers
        kind: "rnn", "lstm" or "gru"
        bidirectional: whether a text is read from its end as well
        dropout: the probability to drop

    Raises:
        ConfigError: if there is no such kind of layer.

    >>> import narae
    >>> model = RecurrentClassifier(10, classes=3, width=8, hidden=4)
    >>> model(narae.tensor([[1, 2, 3, 4]])).shape
    narae.Size([1, 3])
    """

    def __init__(
        self,
        vocabulary: int,
        classes: int,
        width: int = 128,
        hidden: int = 128,
        layers: int = 1,
        kind: str = "lstm",
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        make = layer_of("RecurrentClassifier", kind)
        self.embedding = Embedding(vocabulary, width)
        self.dropout = Dropout(dropout)
        self.recurrent = PaddedRecurrent(make, width, hidden, layers, bidirectional, dropout)
        self.head = Linear(self.recurrent.features, classes)

    def forward(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Scores of each class, (batch, classes).

        Args:
            tokens: (batch, time), int64
            lengths: (batch,), how many tokens of each row are no padding; all if left out
        """
        x = self.dropout(self.embedding(tokens))  # (batch, time, width)
        _, last = self.recurrent(x, lengths)  # (batch, directions * hidden)
        return self.head(self.dropout(last))
