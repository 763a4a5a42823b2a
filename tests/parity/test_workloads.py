"""The benchmark's workloads mean the same in both libraries: checked at small sizes."""

import numpy as np
import pytest

from benchmarks import workloads as w

torch = pytest.importorskip("torch")

import narae  # noqa: E402

SMALL = [
    w.linear_regression(),
    w.mlp(batch=4, features=12, hidden=5),
    w.cnn(batch=2, size=8, channels=(2, 3)),
    w.resnet18(batch=4, size=16, width=2, blocks=1),
    w.recurrent("LSTM", 1.0, batch=3, steps=4, features=5, hidden=6),
    w.recurrent("GRU", 1.0, batch=3, steps=4, features=5, hidden=6),
    w.language_model(batch=2, length=5, words=11, width=8, layers=1),
    w.vision_transformer(batch=2, size=8, patch=4, width=12, layers=1),
    w.cnn_prediction(1, 1.0, size=8, channels=(2, 3)),
    w.cnn_prediction(4, 1.0, size=8, channels=(2, 3)),
]


def _call(lib, workload):
    lib.manual_seed(0)
    model = workload.model(lib).train(workload.trains)
    if not workload.trains:
        return w.prediction(lib, model), model
    optimizer = lib.optim.Adam(model.parameters(), lr=w.LEARNING_RATE)
    return w.training_step(lib, workload, model, optimizer), model


def _values(lib, call, workload, steps):
    found = []
    for seed in range(steps):
        tensors = [lib.from_numpy(array) for array in workload.batch.arrays(seed)]
        found.append(call(*tensors).detach().numpy().copy())
    return found


@pytest.mark.parametrize("workload", SMALL, ids=lambda row: row.name)
def test_same_weights_and_the_same_losses(workload):
    (ours, model), (theirs, other) = _call(narae, workload), _call(torch, workload)
    for name, tensor in other.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name].numpy(), tensor.numpy())
    compiled, _ = _call(narae, workload)
    compiled = narae.compile(compiled, executor="reference")
    wanted = _values(torch, theirs, workload, 5)
    for call in (ours, compiled):
        np.testing.assert_allclose(_values(narae, call, workload, 5), wanted, rtol=2e-4, atol=2e-4)


def test_the_table_has_its_ten_rows_once():
    assert len({row.name for row in w.ROWS}) == len(w.ROWS) == 10
    assert [row.trains for row in w.ROWS] == [True] * 8 + [False] * 2


def test_losses_that_are_no_numbers_never_agree(monkeypatch):
    monkeypatch.syspath_prepend("benchmarks")
    import vs_torch

    class Fixed:
        def __init__(self, value):
            self.value = value

        def values(self, _):
            return np.array(self.value)

    nan = float("nan")
    for ours, theirs, wanted in ((1.0, 1.0, 0), (6.0, 4.0, 0.5), (0.2, 0.1, 0.1)):
        found = vs_torch.largest_difference(Fixed(ours), Fixed(theirs), [None])
        assert found == pytest.approx(wanted)
    for ours, theirs in ((nan, 1.0), (1.0, nan), (nan, nan), (float("inf"), 1.0)):
        assert vs_torch.largest_difference(Fixed(ours), Fixed(theirs), [None]) == float("inf")


def test_a_workload_in_bfloat16_is_the_same_model():
    plain = w.ROWS[3]
    row = w.in_bfloat16(plain)
    assert row.autocast
    assert row.model is plain.model
    assert row.batch == plain.batch
