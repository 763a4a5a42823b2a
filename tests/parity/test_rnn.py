"""Recurrent layers against PyTorch: values, gradients of inputs, states and all weights, packed
sequences, start, refusals (B8, B9, B18, B19).

PyTorch's own samples of the modules are run by test_moduleinfo.py.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch.nn.utils import rnn as torch_rnn  # noqa: E402

import narae  # noqa: E402
from narae.nn.utils import rnn as narae_rnn  # noqa: E402
from tests.parity.agreement import narae_of, numbers  # noqa: E402

FEATURES, HIDDEN = 4, 5
KINDS = ["RNN", "LSTM", "GRU"]


def pair(kind, dtype="float64", **options):
    """PyTorch's layer and Narae's, which start equal because the seeds are."""
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(FEATURES, HIDDEN, dtype=getattr(torch, dtype), **options)
    narae.manual_seed(0)
    ours = getattr(narae.nn, kind)(FEATURES, HIDDEN, dtype=getattr(narae, dtype), **options)
    return ours, theirs


def start_state(layer, batch, seed=5):
    """A random state for a layer of PyTorch; batch None for an unbatched input."""
    count = layer.num_layers * (2 if layer.bidirectional else 1)
    middle = () if batch is None else (batch,)
    dtype = layer.weight_hh_l0.dtype
    sizes = [layer.proj_size or HIDDEN] + [HIDDEN] * (layer.mode == "LSTM")
    state = [
        numbers(count, *middle, size, dtype=dtype, seed=seed + place, low=-1, high=1, grad=True)
        for place, size in enumerate(sizes)
    ]
    return tuple(state) if layer.mode == "LSTM" else state[0]


def tensors(items):
    """All tensors of results, in order; of packed ones the data."""
    found = []
    for item in items:
        if hasattr(item, "batch_sizes"):
            found.append(item.data)
        elif isinstance(item, tuple):
            found += tensors(item)
        else:
            found.append(item)
    return found


def gradients(library, outputs, inputs):
    loss = sum((y * y.cos()).sum() for y in outputs)
    return library.autograd.grad(loss, inputs)


def compare(ours, theirs, x, state, tolerance=1e-10):
    """Results and all gradients; x is a tensor or packed."""
    our_x, our_state = in_narae(x), None if state is None else narae_of(state)
    their_out = tensors(theirs(x, state) if state is not None else theirs(x))
    our_out = tensors(ours(our_x, our_state) if state is not None else ours(our_x))
    starts = [] if state is None else tensors([state])
    our_starts = [] if state is None else tensors([our_state])
    their_grads = gradients(torch, their_out, [*tensors([x]), *starts, *theirs.parameters()])
    our_grads = gradients(narae, our_out, [*tensors([our_x]), *our_starts, *ours.parameters()])
    pairs = [*zip(our_out, their_out, strict=True), *zip(our_grads, their_grads, strict=True)]
    for place, (our, their) in enumerate(pairs):
        assert tuple(our.shape) == tuple(their.shape), place
        difference = np.abs(our.detach().numpy() - their.detach().numpy()).max()
        scale = max(1.0, float(their.detach().abs().max()))
        assert difference <= tolerance * scale, (place, difference)


def in_narae(x):
    if not hasattr(x, "batch_sizes"):
        return narae_of(x)
    return narae_rnn.PackedSequence(*(None if part is None else narae_of(part) for part in x))


OPTIONS = list(itertools.product([1, 2], [False, True], [False, True], [False, True]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("layers", "bidirectional", "batch_first", "bias"), OPTIONS)
@pytest.mark.parametrize("given", ["start", "zeros", "packed", "unbatched"])
def test_layers(kind, layers, bidirectional, batch_first, bias, given):
    ours, theirs = pair(
        kind,
        num_layers=layers,
        bidirectional=bidirectional,
        batch_first=batch_first,
        bias=bias,
    )
    assert repr(ours) == repr(theirs)
    x = numbers(3, 6, FEATURES, grad=True)
    batch = 3 if batch_first else 6
    if given == "packed":
        batch, lengths = 3, [2, 6, 4]
        plain = numbers(3, 6, FEATURES) if batch_first else numbers(6, 3, FEATURES)
        packed = torch_rnn.pack_padded_sequence(
            plain, lengths, batch_first=batch_first, enforce_sorted=False
        )
        x = packed._replace(data=packed.data.detach().requires_grad_())
    elif given == "unbatched":
        batch, x = None, numbers(6, FEATURES, grad=True)
    compare(ours, theirs, x, None if given == "zeros" else start_state(theirs, batch))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_float32(kind, bidirectional):
    ours, theirs = pair(kind, "float32", num_layers=2, bidirectional=bidirectional)
    x = numbers(9, 3, FEATURES, dtype=torch.float32, grad=True)
    compare(ours, theirs, x, start_state(theirs, 3), 2e-5)


def test_relu():
    ours, theirs = pair("RNN", nonlinearity="relu", num_layers=2)
    assert repr(ours) == repr(theirs)
    compare(ours, theirs, numbers(6, 3, FEATURES, grad=True), start_state(theirs, 3))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_projections(bidirectional, packed):
    ours, theirs = pair("LSTM", num_layers=2, bidirectional=bidirectional, proj_size=3)
    x = numbers(6, 3, FEATURES, grad=True)
    if packed:
        found = torch_rnn.pack_padded_sequence(x.detach(), [6, 4, 1])
        x = found._replace(data=found.data.requires_grad_())
    compare(ours, theirs, x, start_state(theirs, 3))


@settings(max_examples=15)
@given(
    kind=st.sampled_from(KINDS),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    bidirectional=st.booleans(),
)
def test_any_lengths(kind, lengths, bidirectional):
    ours, theirs = pair(kind, bidirectional=bidirectional)
    sequences = [numbers(n, FEATURES, seed=place) for place, n in enumerate(lengths)]
    packed = torch_rnn.pack_sequence(sequences, enforce_sorted=False)
    x = packed._replace(data=packed.data.detach().requires_grad_())
    compare(ours, theirs, x, start_state(theirs, len(lengths)))


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("stated", [False, True])
def test_cells(kind, bias, batched, stated):
    ours, theirs = pair(kind, bias=bias)
    assert repr(ours) == repr(theirs)
    lead = (3,) if batched else ()
    x = numbers(*lead, FEATURES, grad=True)
    state = [numbers(*lead, HIDDEN, seed=place, grad=True) for place in (1, 2)]
    given = None if not stated else tuple(state) if kind == "LSTMCell" else state[0]
    if kind == "LSTMCell":
        compare(ours, theirs, x, given)
    else:
        compare(lambdas(ours), lambdas(theirs), x, given)


class lambdas:
    """A cell whose single result is a tuple, as the layers' are."""

    def __init__(self, cell):
        self.cell, self.parameters = cell, cell.parameters

    def __call__(self, *given):
        return (self.cell(*given),)


@pytest.mark.parametrize("kind", KINDS)
def test_parameters(kind):
    """Names, order and numbers of one seed; B18 and B19's counts."""
    options = {"num_layers": 2, "bidirectional": True}
    ours, theirs = pair(kind, "float32", **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        assert np.array_equal(ours.state_dict()[name].numpy(), value.numpy()), name
    assert [len(w) for w in ours.all_weights] == [len(w) for w in theirs.all_weights]
    ours.flatten_parameters()
    count = {"RNN": 640, "LSTM": 2560, "GRU": 1920}[kind]
    single = getattr(narae.nn, kind)(10, 20)
    assert sum(w.numel() for w in single.parameters()) == count


def test_second_derivatives():
    ours, theirs = pair("LSTM", bidirectional=True)
    x = numbers(4, 2, FEATURES, grad=True)
    our_x = narae_of(x)
    found = []
    for library, layer, source in ((narae, ours, our_x), (torch, theirs, x)):
        out, _ = layer(source)
        first = library.autograd.grad((out * out).sum(), [source], create_graph=True)[0]
        wanted = [source, *layer.parameters()]
        found.append(library.autograd.grad((first * first).sum(), wanted))
    for our, their in zip(*found, strict=True):
        np.testing.assert_allclose(our.numpy(), their.numpy(), rtol=0, atol=1e-10)


def test_dropout_between_layers():
    """The masks differ from PyTorch's; where they do nothing, or everything, results are equal."""
    x = numbers(6, 3, FEATURES, grad=True)
    ours, theirs = pair("GRU", num_layers=2, dropout=0.4)
    compare(ours.eval(), theirs.eval(), x, None)
    ours, theirs = pair("GRU", num_layers=2, dropout=1.0)
    compare(ours, theirs, x, None)
    ours, _ = pair("GRU", num_layers=2, dropout=0.5)
    first, second = (ours(narae_of(x))[0].detach().numpy() for _ in range(2))
    assert not np.array_equal(first, second)


# --- packed sequences -----------------------------------------------------------------------


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [[5, 3, 3], [1, 5, 2], [4, 4, 4]])
def test_packing(batch_first, lengths):
    x = numbers(3, 5, 2) if batch_first else numbers(5, 3, 2)
    for ordered in (False, True):
        wanted = sorted(lengths, reverse=True) if ordered else lengths
        theirs = torch_rnn.pack_padded_sequence(x, wanted, batch_first, ordered)
        ours = narae_rnn.pack_padded_sequence(narae_of(x), wanted, batch_first, ordered)
        for our, their in zip(ours, theirs, strict=True):
            assert (our is None) == (their is None)
            assert our is None or np.array_equal(our.numpy(), their.numpy())
        for total in (None, 7):
            padded = [
                library.pad_packed_sequence(packed, batch_first, -1.0, total)
                for library, packed in ((narae_rnn, ours), (torch_rnn, theirs))
            ]
            for our, their in zip(*padded, strict=True):
                assert np.array_equal(our.numpy(), their.numpy())


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_padding(batch_first, side, dtype):
    sequences = [numbers(n, 2, dtype=dtype, seed=n) for n in (2, 5, 1)]
    theirs = torch_rnn.pad_sequence(sequences, batch_first, 3, side)
    ours = narae_rnn.pad_sequence(narae_of(sequences), batch_first, 3, side)
    assert np.array_equal(ours.numpy(), theirs.numpy())
    assert ours.dtype is narae_of(dtype)
    packed = narae_rnn.pack_sequence(narae_of(sequences), enforce_sorted=False)
    for our, their in zip(narae_rnn.unpack_sequence(packed), sequences, strict=True):
        assert np.array_equal(our.numpy(), their.numpy())


def test_gradients_through_packing():
    """A whole course program: pad, pack, run, unpack, lose."""
    sequences = [numbers(n, FEATURES, seed=n, grad=True) for n in (2, 5, 3)]
    ours, theirs = pair("LSTM")
    found = []
    for library, rnn, layer, items in (
        (narae, narae_rnn, ours, narae_of(sequences)),
        (torch, torch_rnn, theirs, sequences),
    ):
        packed = rnn.pack_sequence(items, enforce_sorted=False)
        out, _ = layer(packed)
        padded, lengths = rnn.pad_packed_sequence(out, batch_first=True)
        loss = (padded * padded).sum() / lengths.sum()
        found.append(library.autograd.grad(loss, [*items, *layer.parameters()]))
    for our, their in zip(*found, strict=True):
        np.testing.assert_allclose(our.numpy(), their.numpy(), rtol=0, atol=1e-12)


# --- refusals -------------------------------------------------------------------------------

BAD_OPTIONS = {
    "dropout": {"dropout": 1.5},
    "dropout as text": {"dropout": "much"},
    "layers": {"num_layers": 0},
    "bias": {"bias": 1},
    "batch_first": {"batch_first": "yes"},
    "projection": {"proj_size": HIDDEN},
    "negative projection": {"proj_size": -1},
}


@pytest.mark.parametrize("case", sorted(BAD_OPTIONS))
def test_both_refuse_options(case):
    with pytest.raises(Exception) as theirs:
        torch.nn.LSTM(FEATURES, HIDDEN, **BAD_OPTIONS[case])
    with pytest.raises(Exception) as ours:
        narae.nn.LSTM(FEATURES, HIDDEN, **BAD_OPTIONS[case])
    assert isinstance(ours.value, theirs.type)


BAD_INPUT = {
    "features": (torch.rand(6, 3, FEATURES + 1),),
    "rank": (torch.rand(6, 3, 2, FEATURES),),
    "dtype": (torch.rand(6, 3, FEATURES).double(),),
    "no steps": (torch.rand(0, 3, FEATURES),),
    "state's batch": (torch.rand(6, 3, FEATURES), torch.rand(1, 2, HIDDEN)),
    "state's rank": (torch.rand(6, 3, FEATURES), torch.rand(3, HIDDEN)),
    "state of an unbatched input": (torch.rand(6, FEATURES), torch.rand(1, 1, HIDDEN)),
    "state's dtype": (torch.rand(6, 3, FEATURES), torch.rand(1, 3, HIDDEN).double()),
}


@pytest.mark.parametrize("case", sorted(BAD_INPUT))
def test_both_refuse_input(case):
    ours, theirs = pair("GRU", "float32")
    with pytest.raises(Exception) as their_error:
        theirs(*BAD_INPUT[case])
    with pytest.raises(Exception) as our_error:
        ours(*narae_of(BAD_INPUT[case]))
    assert isinstance(our_error.value, their_error.type)


@pytest.mark.parametrize("lengths", [[3, 5, 2], [5, 3], [5, 3, 0]])
def test_both_refuse_lengths(lengths):
    x = numbers(5, 3, 2)
    with pytest.raises(RuntimeError):
        torch_rnn.pack_padded_sequence(x, lengths)
    with pytest.raises(RuntimeError):
        narae_rnn.pack_padded_sequence(narae_of(x), lengths)
