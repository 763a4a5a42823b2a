"""Padded recurrent layers against PyTorch's, which are given packed sequences."""

import numpy as np
import pytest

import narae
from narae import nn
from narae.text.models.padded_recurrent import PaddedRecurrent

torch = pytest.importorskip("torch")
KINDS = ["RNN", "LSTM", "GRU"]


def theirs_with_weights_of(layers, kind, sizes):
    theirs = getattr(torch.nn, kind)(*sizes, batch_first=True, bidirectional=bool(len(layers.back)))
    weights = {
        name.replace("_l0", f"_l{number}{end}"): torch.from_numpy(x.detach().numpy())
        for directions, end in ((layers.ahead, ""), (layers.back, "_reverse"))
        for number, layer in enumerate(directions)
        for name, x in layer.named_parameters()
    }
    theirs.load_state_dict(weights)
    return theirs


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_padded_layers_are_those_of_packed_sequences(kind, bidirectional):
    """Two layers: all states, the last ones, and gradients, with lengths in no order."""
    narae.manual_seed(0)
    layers = PaddedRecurrent(getattr(nn, kind), 3, 4, 2, bidirectional)
    theirs = theirs_with_weights_of(layers, kind, (3, 4, 2))
    x = np.random.default_rng(0).standard_normal((4, 6, 3)).astype(np.float32)
    lengths = [3, 6, 1, 5]
    ours, other = narae.from_numpy(x).requires_grad_(), torch.from_numpy(x).requires_grad_()
    out, last = layers(ours, narae.tensor(lengths))
    pack = torch.nn.utils.rnn.pack_padded_sequence
    packed, state = theirs(pack(other, torch.tensor(lengths), True, enforce_sorted=False))
    right, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    state = state[0] if kind == "LSTM" else state  # (layers * directions, batch, hidden)
    right_last = torch.cat(list(state[-2:] if bidirectional else state[-1:]), 1)
    real = np.arange(6) < np.array(lengths)[:, None]
    np.testing.assert_allclose(out.detach().numpy()[real], right.detach().numpy()[real], atol=1e-6)
    np.testing.assert_allclose(last.detach().numpy(), right_last.detach().numpy(), atol=1e-6)
    factors = np.where(real, 1.5, 0.0).astype(np.float32)[:, :, None]
    ((out * narae.from_numpy(factors)).sum() + last.square().sum()).backward()
    ((right * torch.from_numpy(factors)).sum() + right_last.square().sum()).backward()
    np.testing.assert_allclose(ours.grad.numpy(), other.grad.numpy(), atol=1e-5)
    assert not ours.grad.numpy()[~real].any()
