"""CTC against PyTorch: lengths, labels in both forms, reductions, impossible targets, gradients."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from narae.testing import difference, to_narae  # noqa: E402
from tests.parity.agreement import agree, numbers  # noqa: E402

F, T = narae.nn.functional, torch.nn.functional


@st.composite
def cases(draw):
    """Probabilities, labels with repetitions, lengths; some targets have no path."""
    time, batch = draw(st.integers(1, 8)), draw(st.integers(1, 4))
    classes, blank = draw(st.integers(2, 5)), draw(st.integers(0, 1))
    counts = [draw(st.integers(0, 4)) for _ in range(batch)]
    steps = [draw(st.integers(1, time)) for _ in range(batch)]
    labels = [c for c in range(classes) if c != blank]
    rows = [[draw(st.sampled_from(labels)) for _ in range(4)] for _ in range(batch)]
    if draw(st.booleans()):
        targets = torch.tensor(rows)
    else:
        flat = [label for row, count in zip(rows, counts, strict=True) for label in row[:count]]
        targets = torch.tensor(flat, dtype=torch.int64)
    x = numbers(time, batch, classes, seed=draw(st.integers(0, 99))).log_softmax(2)
    return x.requires_grad_(), targets, steps, counts, blank


@given(cases(), st.sampled_from(["none", "sum", "mean"]), st.booleans(), st.booleans())
@settings(max_examples=80, deadline=None)
def test_ctc_agrees(case, reduction, zero_infinity, as_tensors):
    x, targets, steps, counts, blank = case
    lengths = (
        (torch.tensor(steps), torch.tensor(counts)) if as_tensors else (tuple(steps), tuple(counts))
    )
    how = {"blank": blank, "reduction": reduction, "zero_infinity": zero_infinity}
    agree(F.ctc_loss, T.ctc_loss, x, targets, *lengths, **how, second=False)


def test_gradients_of_infinite_losses_reach_the_scores_as_nan():
    """After log_softmax NaN is in every class of the sequence, as in PyTorch."""
    scores = numbers(2, 2, 3, grad=True)
    arguments = torch.tensor([[1, 1, 2], [1, 0, 0]]), (2, 2), (3, 1)
    T.ctc_loss(scores.log_softmax(2), *arguments, reduction="sum").backward()
    ours = to_narae(scores.detach()).requires_grad_()
    F.ctc_loss(
        ours.log_softmax(2), to_narae(arguments[0]), *arguments[1:], reduction="sum"
    ).backward()
    assert bool(ours.grad[:, 0].isnan().all()) and bool(scores.grad[:, 0].isnan().all())
    assert not difference(ours.grad[:, 1], scores.grad[:, 1])


def longer(dtype):
    x = numbers(50, 4, 20).log_softmax(2).to(dtype).requires_grad_()
    targets = torch.randint(1, 20, (4, 15), generator=torch.Generator().manual_seed(0))
    return x, targets, torch.tensor([50, 40, 50, 30]), torch.tensor([15, 10, 1, 0])


def test_a_longer_sequence():
    agree(F.ctc_loss, T.ctc_loss, *longer(torch.float64), second=False)


def test_single_precision_is_as_near_to_double_as_pytorchs():
    x, *rest = longer(torch.float32)
    wide = longer(torch.float64)[0]
    ours = to_narae(x.detach()).requires_grad_()
    T.ctc_loss(x, *rest).backward()
    T.ctc_loss(wide, *rest).backward()
    F.ctc_loss(ours, *map(to_narae, rest)).backward()
    mine = abs(ours.grad.numpy() - wide.grad.numpy()).max()
    assert mine <= abs(x.grad.numpy() - wide.grad.numpy()).max()


def test_without_batch():
    x = numbers(6, 4).log_softmax(1).requires_grad_()
    target = torch.tensor([1, 2])
    lengths = torch.tensor(6), torch.tensor(2)
    for reduction in ("none", "mean", "sum"):
        agree(F.ctc_loss, T.ctc_loss, x, target, *lengths, reduction=reduction, second=False)


def test_integers_of_another_width():
    x = numbers(6, 2, 4).log_softmax(2)
    targets = torch.tensor([[1, 2], [3, 3]], dtype=torch.int32)
    lengths = torch.tensor([6, 5], dtype=torch.int32), torch.tensor([2, 2], dtype=torch.int32)
    agree(F.ctc_loss, T.ctc_loss, x, targets, *lengths)


def test_module_agrees():
    for options in ({}, {"blank": 2, "reduction": "sum", "zero_infinity": True}):
        ours, theirs = narae.nn.CTCLoss(**options), torch.nn.CTCLoss(**options)
        assert repr(ours) == repr(theirs)
        x = numbers(7, 2, 4).log_softmax(2).requires_grad_()
        targets = torch.tensor([[1, 3, 1], [3, 1, 1]])
        agree(ours, theirs, x, targets, torch.tensor([7, 6]), torch.tensor([3, 2]), second=False)


@pytest.mark.parametrize(
    ("steps", "counts", "blank"),
    [
        ((9, 2), (1, 1), 0),
        ((-1, 2), (1, 1), 0),
        ((4, 4), (3, 1), 0),
        ((4, 4), (-1, 1), 0),
        ((4,), (1, 1), 0),
        ((4, 4), (1, 1, 1), 0),
        ((4, 4), (1, 1), 3),
        ((4, 4), (1, 1), -1),
        ((4.0, 4.0), (1, 1), 0),
    ],
)
def test_ctc_refuses(steps, counts, blank):
    x, targets = numbers(4, 2, 3), torch.tensor([[1, 2], [2, 1]])
    lengths = torch.tensor(steps), torch.tensor(counts)
    agree(F.ctc_loss, T.ctc_loss, x, targets, *lengths, blank=blank)
    agree(F.ctc_loss, T.ctc_loss, x, targets.reshape(-1), *lengths, blank=blank)
    agree(F.ctc_loss, T.ctc_loss, x.long(), targets, *lengths, blank=blank)


def test_labels_outside_are_refused():
    """PyTorch reads beyond its memory here."""
    x = narae.zeros(4, 1, 3)
    with pytest.raises(IndexError, match="labels are between 0 and 2"):
        F.ctc_loss(x, narae.tensor([[1, 3]]), (4,), (2,))
