"""One long text as batches for a language model: streams that go on, or windows.

A language model predicts from each token the next one, so targets are the inputs, one place on.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from narae.base.errors import BoundsError, ConfigError, DataError, explain
from narae.data import Dataset
from narae.tensors import Tensor
from narae.tensors.creation import as_tensor

from .ids import Ids, as_ids

IGNORED = -100  # cross_entropy's ignore_index


class Streams(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """A text cut into rows that go on from batch to batch: truncated backpropagation through time.

    Item k is a whole batch: row r of batch k + 1 goes on where row r of batch k ended. Give it to
    a DataLoader with `batch_size=None` and without a shuffle.

    Args:
        ids: of the text's tokens, (tokens,).
        batch_size: how many rows there are.
        time: how many tokens of each row a batch holds.
        drop_last: leave out what fills no whole batch (`dropped` says how many predictions);
            otherwise the last batch is padded, with targets of -100, which the loss leaves out.
        pad_id: what inputs are padded with.

    Each item is (inputs (batch, time), targets (batch, time), start (batch,)): int64, and float32
    1 where a row begins, so that the carried state is multiplied by 1 - start.

    Raises:
        ConfigError: if a size is less than 1.
        DataError: if the text is shorter than one batch.

    Source: R. Williams, J. Peng, "An Efficient Gradient-Based Algorithm for On-Line Training of
    Recurrent Network Trajectories", Neural Computation 2(4), 1990.

    >>> streams = Streams(range(13), batch_size=2, time=3)
    >>> inputs, targets, start = streams[1]
    >>> inputs, targets, start
    (tensor([[ 3,  4,  5], [ 9, 10, 11]]), tensor([[ 4,  5,  6], [10, 11, 12]]), tensor([0., 0.]))
    >>> len(streams), streams.dropped
    (2, 0)
    """

    def __init__(
        self,
        ids: Any,
        batch_size: int,
        time: int,
        drop_last: bool = True,
        pad_id: int = 0,
    ) -> None:
        if batch_size < 1 or time < 1:
            given = f"batch_size is {batch_size}, time is {time}"
            raise ConfigError(explain("Streams", given, "both are at least 1"))
        text = as_ids("Streams", ids)
        self.batch_size, self.time = batch_size, time
        predictions = len(text) - 1
        if predictions < (batch_size * time if drop_last else 1):
            given = f"the text has {len(text)} tokens"
            rule = f"a batch of {batch_size} rows of {time} needs {batch_size * time + 1}"
            fix = "a smaller batch_size or time, or drop_last=False"
            raise DataError(explain("Streams", given, rule, fix))
        rows = _whole_rows if drop_last else _padded_rows
        self.inputs, self.targets = rows(text, batch_size, time, pad_id)
        self.dropped = predictions - int((self.targets != IGNORED).sum())

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        if not 0 <= index < len(self):
            rule = f"{len(self)} batches have the indices 0 to {len(self) - 1}"
            raise BoundsError(explain("Streams", f"{index}: index out of range", rule))
        part = slice(index * self.time, (index + 1) * self.time)
        start = np.full(self.batch_size, index == 0, dtype=np.float32)  # (batch,)
        inputs, targets = self.inputs[:, part].copy(), self.targets[:, part].copy()
        return as_tensor(inputs), as_tensor(targets), as_tensor(start)

    def __len__(self) -> int:
        return self.inputs.shape[1] // self.time


def _whole_rows(text: Ids, batch_size: int, time: int, pad_id: int) -> tuple[Ids, Ids]:
    length = (len(text) - 1) // (batch_size * time) * time
    inputs = text[: batch_size * length].reshape(batch_size, length)  # (batch, length)
    targets = text[1 : batch_size * length + 1].reshape(batch_size, length)  # (batch, length)
    return inputs, targets


def _padded_rows(text: Ids, batch_size: int, time: int, pad_id: int) -> tuple[Ids, Ids]:
    length = -(-(len(text) - 1) // (batch_size * time)) * time
    # The text is shared out evenly: rows differ by one token at most, before they are padded.
    bounds = np.linspace(0, len(text) - 1, batch_size + 1).round().astype(np.int64)
    inputs = np.full((batch_size, length), pad_id, dtype=np.int64)
    targets = np.full((batch_size, length), IGNORED, dtype=np.int64)
    for row, (first, last) in enumerate(itertools.pairwise(bounds.tolist())):
        inputs[row, : last - first] = text[first:last]
        targets[row, : last - first] = text[first + 1 : last + 1]
    return inputs, targets


class Windows(Dataset[tuple[Tensor, Tensor]]):
    """Every stretch of a text of one length: (inputs (time,), targets (time,)), int64.

    Args:
        ids: of the text's tokens, (tokens,).
        time: how many tokens a window predicts.
        stride: how far apart windows begin; 1 takes every one, `time` parts the text.

    Raises:
        ConfigError: if a size is less than 1.
        DataError: if the text is shorter than one window.

    >>> windows = Windows(range(10), time=3, stride=3)
    >>> len(windows), windows[1]
    (3, (tensor([3, 4, 5]), tensor([4, 5, 6])))
    """

    def __init__(self, ids: Any, time: int, stride: int = 1) -> None:
        if time < 1 or stride < 1:
            given = f"time is {time}, stride is {stride}"
            raise ConfigError(explain("Windows", given, "both are at least 1"))
        self.ids, self.time, self.stride = as_ids("Windows", ids), time, stride
        if len(self.ids) <= time:
            given = f"the text has {len(self.ids)} tokens"
            raise DataError(explain("Windows", given, f"a window of {time} needs {time + 1}"))

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        inputs, targets = self.get_batch([index])
        return inputs[0], targets[0]

    def get_batch(self, indices: Sequence[int]) -> list[Tensor]:
        """The windows at `indices`, (batch, time) each, by one index operation."""
        begins = np.asarray(indices, dtype=np.int64)
        if ((begins < 0) | (begins >= len(self))).any():
            rule = f"{len(self)} windows have the indices 0 to {len(self) - 1}"
            raise BoundsError(explain("Windows", f"{indices}: index out of range", rule))
        places = begins[:, None] * self.stride + np.arange(self.time + 1)  # (batch, time + 1)
        windows = self.ids[places]  # (batch, time + 1)
        return [as_tensor(windows[:, :-1].copy()), as_tensor(windows[:, 1:].copy())]

    def __len__(self) -> int:
        return (len(self.ids) - 1 - self.time) // self.stride + 1
