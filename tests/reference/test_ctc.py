"""CTC against the sum over all paths, finite differences, and compiled against eager."""

import itertools

import numpy as np
import pytest

import narae
from narae.autograd import gradcheck

F = narae.nn.functional


def collapsed(path, blank):
    """What a path says: repetitions once, blanks never."""
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def total_probability(probabilities, labels, blank):
    """The probability of all paths that collapse to the labels, one by one."""
    time, classes = probabilities.shape
    total = 0.0
    for path in itertools.product(range(classes), repeat=time):
        if collapsed(path, blank) == tuple(labels):
            total += float(np.prod(probabilities[range(time), path]))
    return total


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("labels", [(), (1,), (1, 1), (1, 3), (3, 3, 1), (1, 3, 1, 3)])
def test_the_loss_adds_all_paths(labels, blank):
    scores = np.random.default_rng(len(labels)).standard_normal((5, 4))
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    expected = total_probability(probabilities, labels, blank)
    x = narae.tensor(np.log(probabilities)).unsqueeze(1)
    targets = narae.tensor([[*labels, 1, 1]][0]).reshape(1, -1).long()
    loss = F.ctc_loss(x, targets, (5,), (len(labels),), blank=blank, reduction="none")
    np.testing.assert_allclose(np.exp(-loss.numpy()), [expected], rtol=1e-12)


def test_impossible_targets_cost_infinity_or_nothing():
    x = narae.zeros(2, 1, 3).log_softmax(2)
    for labels, length in (([1, 1], 2), ([1, 2, 1], 3)):
        how = {"input_lengths": (2,), "target_lengths": (length,), "reduction": "none"}
        assert F.ctc_loss(x, narae.tensor([labels]), **how).item() == float("inf")
        assert F.ctc_loss(x, narae.tensor([labels]), **how, zero_infinity=True).item() == 0


def test_probabilities_of_zero():
    """-inf among the log-probabilities closes paths; the others still count."""
    x = narae.tensor([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]).log().unsqueeze(1).requires_grad_()
    loss = F.ctc_loss(x, narae.tensor([[1]]), (2,), (1,), reduction="none")
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    loss.sum().backward()
    assert not bool(x.grad.isnan().any())


def test_gradients_through_softmax_equal_finite_differences():
    targets, steps, counts = narae.tensor([[1, 1, 2], [3, 2, 0]]), (6, 4), (3, 2)
    scores = narae.tensor(np.random.default_rng(0).standard_normal((6, 2, 4)), requires_grad=True)

    def loss(x):
        return F.ctc_loss(x.log_softmax(2), targets, steps, counts, reduction="none")

    assert gradcheck(loss, [scores])


def test_compiled_ctc_equals_eager():
    """The same bits, also when the lengths are operands of the compiled step."""

    def step(scores, targets, steps, counts):
        loss = F.ctc_loss(scores.log_softmax(2), targets, steps, counts, zero_infinity=True)
        (grad,) = narae.autograd.grad(loss, scores)
        return loss, grad

    scores = narae.tensor(np.random.default_rng(0).standard_normal((6, 2, 4)), requires_grad=True)
    arguments = narae.tensor([[1, 1, 2], [3, 2, 0]]), narae.tensor([6, 4]), narae.tensor([3, 2])
    eager = step(scores, *arguments)
    compiled = narae.compile(step)(scores, *arguments)
    for one, other in zip(eager, compiled, strict=True):
        assert one.detach().numpy().tobytes() == other.detach().numpy().tobytes()
    flat = narae.tensor([1, 1, 2, 3, 2])
    found = narae.compile(step)(scores, flat, *arguments[1:])
    np.testing.assert_allclose(found[0].item(), eager[0].item(), rtol=1e-12)
    np.testing.assert_allclose(found[1].numpy(), eager[1].numpy(), rtol=1e-9, atol=1e-12)
