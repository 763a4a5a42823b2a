"""Recurrent layers over padded batches, by one program for all lengths that fit the batch."""

from collections.abc import Callable

from narae.base.errors import BoundsError, ConfigError, ShapeError, explain
from narae.nn import Dropout, Module, ModuleList
from narae.tensors import Tensor, arange, cat, full, is_tracing

Make = Callable[..., Module]


class PaddedRecurrent(Module):
    """Layers in one or two directions; padding stands at the end of each row and changes nothing.

    Lengths are a tensor that the program reads, where packing would make a program for each mix of
    lengths: each row is turned round in its own length for the second direction.

    Args:
        make: RNN, LSTM or GRU
        width: features of the input
        hidden: features of a layer's state, in each direction
        layers: how many layers
        bidirectional: whether rows are read from their ends as well
        dropout: the probability to drop between layers

    Raises:
        ConfigError: if there is no layer.

    >>> import narae
    >>> layers = PaddedRecurrent(narae.nn.GRU, 3, 4, bidirectional=True)
    >>> out, last = layers(narae.zeros(2, 5, 3), narae.tensor([5, 2]))
    >>> out.shape, last.shape
    (narae.Size([2, 5, 8]), narae.Size([2, 8]))
    """

    def __init__(
        self,
        make: Make,
        width: int,
        hidden: int,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ConfigError(explain("PaddedRecurrent", f"layers is {layers}", "it is at least 1"))
        self.features = hidden * (2 if bidirectional else 1)
        sizes = [width, *[self.features] * (layers - 1)]
        self.ahead = ModuleList(make(size, hidden, batch_first=True) for size in sizes)
        backwards = sizes if bidirectional else []
        self.back = ModuleList(make(size, hidden, batch_first=True) for size in backwards)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run all layers.

        Args:
            x: (batch, time, width)
            lengths: (batch,), at least 1: how many steps of each row are no padding; all if left
                out

        Returns:
            out: the states h of the last layer, (batch, time, directions * hidden); behind the end
                of a row they mean nothing
            last: what the last layer knows having read all, (batch, directions * hidden)

        Raises:
            BoundsError: if a length is less than 1 or more than `time`.
            ShapeError: if there is not one length for each row.
        """
        batch, time = _sizes(x)
        if lengths is None:
            lengths = full((batch,), time, dtype=arange(1).dtype)
        else:
            _check_lengths(lengths, batch, time)
        end = (lengths - 1).unsqueeze(1)  # (batch, 1)
        turned = (end - arange(time)).clamp(min=0)  # (batch, time): the last step first
        for number, ahead in enumerate(self.ahead):
            x = self.dropout(x) if number else x
            out = ahead(x)[0]  # (batch, time, hidden)
            lasts = [rows_at(out, end)]
            if len(self.back):
                turned_out = self.back[number](rows_at(x, turned))[0]
                lasts.append(rows_at(turned_out, end))
                out = cat([out, rows_at(turned_out, turned)], 2)  # (batch, time, 2 hidden)
            x = out
        return x, cat(lasts, 2).squeeze(1)


def _sizes(x: Tensor) -> tuple[int, int]:
    if x.ndim != 3:
        given = f"the embedded tokens are {tuple(x.shape)}"
        rule = "they are (batch, time, width), of tokens (batch, time)"
        fix = "a single text is a batch of one"
        raise ShapeError(explain("PaddedRecurrent", given, rule, fix))
    return x.shape[0], x.shape[1]


def _check_lengths(lengths: Tensor, batch: int, time: int) -> None:
    if tuple(lengths.shape) != (batch,):
        given = f"lengths are {tuple(lengths.shape)} for {batch} texts"
        raise ShapeError(explain("PaddedRecurrent", given, "each text has one: (batch,)"))
    if is_tracing() or not batch:  # a program has no values yet; its gather looks at them
        return
    least, most = int(lengths.min().item()), int(lengths.max().item())
    if least < 1:
        given, fix = f"a length is {least}", "leave empty texts out"
        raise BoundsError(explain("PaddedRecurrent", given, "a text has at least 1 token", fix))
    if most > time:
        given = f"a length is {most}"
        raise BoundsError(explain("PaddedRecurrent", given, f"texts are padded to {time}"))


def rows_at(x: Tensor, places: Tensor) -> Tensor:
    """Some steps of each row: (batch, time, features) and (batch, n) -> (batch, n, features)."""
    return x.gather(1, places.unsqueeze(2).expand(-1, -1, x.shape[2]))
