"""Padded and bucketed batches, packed sequences, streams and windows."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import narae
import narae.nn as nn
from narae.base.errors import BoundsError, ConfigError, DataError, ShapeError
from narae.data import DataLoader, RandomSampler
from narae.nn.utils.rnn import pad_packed_sequence
from narae.text import (
    LengthBuckets,
    Padded,
    Streams,
    TokenDataset,
    Windows,
    length_bounds,
    lengths_of,
    packed,
    pad,
    padding_mask,
)


def seeded(seed=0):
    return narae.Generator().manual_seed(seed)


# ------------------------------------------------------------------------------------ padding
def test_padding_and_its_mask():
    ids = pad([[5, 6, 7], [8]], pad_id=1, length=4)
    assert ids.tolist() == [[5, 6, 7, 1], [8, 1, 1, 1]] and ids.dtype == narae.int64
    assert padding_mask(ids, 1).tolist() == [[False] * 3 + [True], [False] + [True] * 3]
    assert lengths_of(ids, 1).tolist() == [3, 1]


def test_nothing_is_cut_off():
    with pytest.raises(DataError, match="a sequence has 3 ids; none is longer than 2"):
        pad([[1, 2, 3]], length=2)
    with pytest.raises(DataError, match="a sequence has 9 ids; the last bound is 8"):
        LengthBuckets([3, 9], [4, 8], batch_size=1)
    with pytest.raises(DataError, match="a sequence has 9 ids"):
        Padded([4, 8])([(narae.arange(9),)])
    with pytest.raises(DataError, match="no sequences"):
        pad([])
    with pytest.raises(DataError, match=r"sequence 1.*is empty"):
        pad([[1], []])
    with pytest.raises(DataError, match=r"sequence 0.*float64"):
        pad([[1.5]])


def test_data_sets_that_are_refused():
    with pytest.raises(DataError, match=r"column 0, sample 1.*is empty"):
        TokenDataset([[1], []], [0, 1])
    with pytest.raises(ShapeError, match="2, 1 entries"):
        TokenDataset([[1], [2]], [0])
    with pytest.raises(DataError, match="it is empty"):
        TokenDataset([])
    with pytest.raises(DataError, match="no column holds sequences"):
        TokenDataset([0, 1])
    for column in ([[[1, 2]], [[1]]], [[1.5], [2.7]], ["abc", "de"], [[[1], [2, 3]], [4]]):
        with pytest.raises(DataError, match=r"column 1, sample 0.*integers"):
            TokenDataset([[1], [2]], column)
    for labels in ([0, 1.7], [0, [1, 2]]):
        with pytest.raises(DataError, match="column 0, sample 0"):
            TokenDataset(labels, [[1], [2]])


def test_labels_and_sequences_may_be_arrays_and_tensors():
    for labels in (np.array([1, 0]), narae.tensor([1, 0]), [np.int64(1), 0]):
        dataset = TokenDataset([narae.tensor([1, 2]), np.array([3])], labels)
        assert dataset[0][0].tolist() == [1, 2] and dataset[0][1] == 1


# ------------------------------------------------------------------------------------ buckets
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=30),
    st.integers(1, 4),
    st.sampled_from([1, 4, 8]),
)
def test_bounds_add_the_least_padding(lengths, buckets, multiple):
    """Against every choice of bounds there is."""
    candidates = sorted({-(-length // multiple) * multiple for length in lengths})

    def padded(bounds):
        return sum(min(bound for bound in bounds if bound >= length) for length in lengths)

    found = length_bounds(lengths, buckets, multiple)
    assert found == sorted(set(found)) and len(found) <= buckets
    assert all(bound % multiple == 0 for bound in found) and found[-1] == candidates[-1]
    if len(candidates) <= 10:
        choices = itertools.chain.from_iterable(
            itertools.combinations(candidates[:-1], count) for count in range(buckets)
        )
        least = min(padded([*choice, candidates[-1]]) for choice in choices)
        assert padded(found) == least


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("size", [{"batch_size": 4}, {"max_tokens": 64}])
def test_every_sample_comes_once_in_a_batch_of_its_bucket(size, shuffle, drop_last):
    lengths = [random.Random(0).choice([3, 7, 9, 20, 31]) + place % 2 for place in range(103)]
    bounds = [4, 8, 16, 32]
    buckets = LengthBuckets(
        lengths, bounds, shuffle=shuffle, drop_last=drop_last, generator=seeded(), **size
    )
    batches = list(buckets)
    assert len(batches) == len(buckets)
    seen = sorted(index for batch in batches for index in batch)
    assert len(set(seen)) == len(seen)
    assert drop_last or seen == list(range(103))
    for batch in batches:
        places = {next(k for k, b in enumerate(bounds) if lengths[i] <= b) for i in batch}
        assert len(places) == 1
        full = size.get("batch_size") or 64 // bounds[places.pop()]
        assert len(batch) == full if drop_last else len(batch) <= full
    again = list(buckets)
    assert (again == batches) is not shuffle
    assert sorted(map(len, again)) == sorted(map(len, batches))


def test_a_compiled_step_is_traced_once_a_bucket():
    """Lengths 1 to 24 in any order: three shapes, three programs, and eager's results."""
    generator = random.Random(1)
    texts = [[1] * generator.randint(1, 24) for _ in range(60)]
    dataset, bounds = TokenDataset(texts), [8, 16, 24]
    buckets = LengthBuckets(
        dataset.lengths, bounds, batch_size=4, shuffle=True, drop_last=True, generator=seeded()
    )
    embedding, traces = nn.Embedding(2, 3, padding_idx=0), []

    def step(ids):
        traces.append(tuple(ids.shape))
        return embedding(ids).sum()

    compiled = narae.compile(step)
    shapes = []
    for _ in range(2):
        for (ids,) in DataLoader(dataset, batch_sampler=buckets, collate_fn=Padded(bounds)):
            shapes.append(tuple(ids.shape))
            expected = embedding.weight[1].sum().item() * int(lengths_of(ids).sum().item())
            assert compiled(ids).item() == pytest.approx(expected, rel=1e-5)
    assert len(shapes) > 12 and set(shapes) == {(4, 8), (4, 16), (4, 24)}
    assert set(traces) == set(shapes)
    assert len(traces) < len(shapes)


def test_pairs_share_one_length_and_labels_are_stacked():
    dataset = TokenDataset([[1, 2], [3]], [[4, 5, 6], [7]], [1, 0])
    assert dataset.lengths == [3, 1]
    source, target, label = Padded([4, 8])([dataset[0], dataset[1]])
    assert source.tolist() == [[1, 2, 0, 0], [3, 0, 0, 0]]
    assert target.tolist() == [[4, 5, 6, 0], [7, 0, 0, 0]] and label.tolist() == [1, 0]
    assert Padded()([narae.tensor([1]), narae.tensor([2, 3])]).tolist() == [[1, 0], [2, 3]]


def test_tags_are_padded_with_what_the_loss_leaves_out():
    """Padding with 0 would teach that padding has the tag 0."""
    dataset = TokenDataset([[1, 2], [3]], [5, 6], [[0, 1], [0]])
    batch = [dataset[0], dataset[1]]
    tokens, label, tags = Padded([4], pad_id=(9, -100))(batch)
    assert tokens.tolist() == [[1, 2, 9, 9], [3, 9, 9, 9]] and label.tolist() == [5, 6]
    assert tags.tolist() == [[0, 1, -100, -100], [0, -100, -100, -100]]
    with pytest.raises(ConfigError, match=r"pad_id is \(0,\), and 2 columns"):
        Padded(pad_id=(0,))(batch)


def test_packed_sequences_come_back():
    dataset = TokenDataset([[1, 2], [3, 4, 5], [6]], [0, 1, 2])
    sequences, (labels,) = packed([dataset[0], dataset[1], dataset[2]])
    padded, lengths = pad_packed_sequence(sequences, batch_first=True)
    assert padded.tolist() == [[1, 2, 0], [3, 4, 5], [6, 0, 0]]
    assert lengths.tolist() == [2, 3, 1] and labels.tolist() == [0, 1, 2]


def test_buckets_say_what_they_leave_out():
    lengths = [2, 2, 2, 9, 9, 9, 9]
    assert LengthBuckets(lengths, [4, 9], batch_size=2).dropped == 0
    buckets = LengthBuckets(lengths, [4, 9], batch_size=4, drop_last=True)
    assert list(buckets) == [[3, 4, 5, 6]] and buckets.dropped == 3
    with pytest.raises(DataError, match=r"no bucket of \[3, 4\] samples fills a batch of \[5, 5\]"):
        LengthBuckets(lengths, [4, 9], batch_size=5, drop_last=True)


def test_bucket_settings_that_are_refused():
    for settings in ({}, {"batch_size": 2, "max_tokens": 9}, {"max_tokens": 7}, {"batch_size": 0}):
        with pytest.raises(ConfigError):
            LengthBuckets([1], [4, 8], **settings)
    for bounds in ([], [8, 4], [4, 4], [0, 4]):
        with pytest.raises(ConfigError, match="rise"):
            LengthBuckets([1], bounds, batch_size=1)
    for lengths in ([], [0]):
        with pytest.raises(DataError):
            LengthBuckets(lengths, [4], batch_size=1)
        with pytest.raises(DataError):
            length_bounds(lengths)
    with pytest.raises(ConfigError):
        length_bounds([1], buckets=0)


# ------------------------------------------------------------------------------------ streams
@given(st.integers(2, 200), st.integers(1, 5), st.integers(1, 7))
def test_rows_of_a_stream_go_on_from_batch_to_batch(tokens, batch_size, time):
    text = np.arange(tokens)
    if tokens - 1 < batch_size * time:
        with pytest.raises(DataError, match=f"the text has {tokens} tokens"):
            Streams(text, batch_size, time)
        return
    streams = Streams(text, batch_size, time)
    batches = list(DataLoader(streams, batch_size=None))
    inputs = np.concatenate([batch[0].numpy() for batch in batches], axis=1)
    targets = np.concatenate([batch[1].numpy() for batch in batches], axis=1)
    assert (np.diff(inputs, axis=1) == 1).all() and (targets == inputs + 1).all()
    assert len(set(targets.reshape(-1).tolist())) == targets.size == tokens - 1 - streams.dropped
    assert streams.dropped < batch_size * time
    assert [batch[2].tolist() for batch in batches] == [
        [float(place == 0)] * batch_size for place in range(len(batches))
    ]


@given(st.integers(2, 200), st.integers(1, 5), st.integers(1, 7))
def test_a_padded_stream_predicts_every_token_once(tokens, batch_size, time):
    streams = Streams(np.arange(tokens), batch_size, time, drop_last=False)
    assert streams.dropped == 0
    inputs, targets, _ = (np.concatenate(c, -1) for c in zip(*streams_of(streams), strict=True))
    kept = targets != -100
    assert sorted(targets[kept].tolist()) == list(range(1, tokens))
    assert (inputs[kept] == targets[kept] - 1).all()
    assert inputs.shape == targets.shape and inputs.shape[1] % time == 0


def streams_of(streams):
    return [[part.numpy() for part in streams[place]] for place in range(len(streams))]


def test_padding_does_not_change_the_loss():
    text = np.random.default_rng(0).integers(0, 5, 23)
    logits = narae.randn(5, 5, generator=seeded())  # of the next token, by the last one
    streams = Streams(text, 4, 3, drop_last=False)
    losses = [
        nn.functional.cross_entropy(
            logits[inputs.reshape(-1)], targets.reshape(-1), reduction="sum"
        )
        for inputs, targets, _ in (streams[place] for place in range(len(streams)))
    ]
    ids = narae.tensor(text)
    whole = nn.functional.cross_entropy(logits[ids[:-1]], ids[1:], reduction="sum")
    assert sum(loss.item() for loss in losses) == pytest.approx(whole.item(), rel=1e-5)


@pytest.mark.parametrize("stride", [1, 3, 5])
def test_windows(stride):
    text = np.random.default_rng(0).integers(0, 99, 40)
    windows = Windows(narae.tensor(text), time=4, stride=stride)
    assert len(windows) == len(range(0, 40 - 4, stride))
    for place in (0, len(windows) - 1):
        inputs, targets = windows[place]
        begin = place * stride
        assert inputs.tolist() == text[begin : begin + 4].tolist()
        assert targets.tolist() == text[begin + 1 : begin + 5].tolist()
    sampler = RandomSampler(windows, num_samples=8, generator=seeded())
    inputs, targets = next(iter(DataLoader(windows, batch_size=8, sampler=sampler)))
    assert inputs.shape == targets.shape == (8, 4)
    assert (inputs[:, 1:] == targets[:, :-1]).all()


def test_batches_do_not_share_the_text():
    text = np.arange(20)
    streams, windows = Streams(text, 2, 3), Windows(text, 3)
    for data in (streams, windows):
        data[0][0].zero_()
        assert data[0][0].reshape(-1)[1].item() == 1
    assert (text == np.arange(20)).all()


def test_texts_that_are_refused():
    with pytest.raises(DataError, match="encode the text with a tokenizer"):
        Streams(["a", "b"], 1, 1)
    with pytest.raises(DataError, match="the text has 0 tokens"):
        Windows([], 3)
    with pytest.raises(DataError, match=r"ids are int64 \(2, 2\)"):
        Windows([[1, 2], [3, 4]], 1)
    with pytest.raises(ConfigError):
        Streams([1, 2, 3], 0, 1)
    with pytest.raises(ConfigError):
        Windows([1, 2, 3], 1, stride=0)
    for data in (Streams(range(9), 2, 2), Windows(range(9), 2)):
        for index in (-1, 99):
            with pytest.raises(BoundsError, match="out of range"):
                data[index]
