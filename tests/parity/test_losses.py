"""Losses against PyTorch: values, gradients, tape names, refusals (E10, E15, E16, G7, G21, H19).

PyTorch's own samples are run by test_opinfo.py and test_moduleinfo.py; here is what they leave out.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import torch.nn.functional as TF  # noqa: E402

import narae  # noqa: E402
import narae.nn.functional as F  # noqa: E402
from tests.parity.agreement import agree, narae_of, numbers  # noqa: E402

CLASSES = 5


def labels(*shape, seed=0, ignore=None):
    generator = torch.Generator().manual_seed(seed)
    found = torch.randint(0, CLASSES, shape, generator=generator)
    if ignore is not None and found.numel():
        found.view(-1)[::2] = ignore
    return found


SHAPES = [(CLASSES,), (4, CLASSES), (1, CLASSES), (2, CLASSES, 3), (2, CLASSES, 3, 2), (0, CLASSES)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore", [-100, 2])
def test_cross_entropy_of_labels(shape, reduction, smoothing, weighted, ignore):
    x = numbers(*shape, grad=True)
    target = labels(*shape[:1] * (len(shape) > 1), *shape[2:], seed=1, ignore=ignore)
    weight = numbers(CLASSES, low=0.1, high=2.0) if weighted else None
    agree(
        F.cross_entropy,
        TF.cross_entropy,
        x,
        target,
        weight=weight,
        reduction=reduction,
        ignore_index=ignore,
        label_smoothing=smoothing,
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_probabilities(shape, reduction, smoothing, weighted):
    x, target = numbers(*shape, grad=True), numbers(*shape, seed=1, low=0.0, high=1.0, grad=True)
    weight = numbers(CLASSES, low=0.1, high=2.0, grad=True) if weighted else None
    agree(
        F.cross_entropy,
        TF.cross_entropy,
        x,
        target,
        weight=weight,
        reduction=reduction,
        label_smoothing=smoothing,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_cross_entropy_of_other_dtypes(dtype):
    agree(F.cross_entropy, TF.cross_entropy, numbers(4, CLASSES, dtype=dtype, grad=True), labels(4))


def test_cross_entropy_of_bytes_and_of_strided_scores():
    agree(F.cross_entropy, TF.cross_entropy, numbers(4, CLASSES, grad=True), labels(4).byte())
    x = numbers(CLASSES, 4).t().detach().requires_grad_()
    agree(F.cross_entropy, TF.cross_entropy, x, labels(8)[::2])


@given(
    scores=st.lists(st.floats(-1e4, 1e4, width=32), min_size=2, max_size=6),
    place=st.integers(0, 5),
)
def test_cross_entropy_of_any_scores(scores, place):
    target = torch.tensor(place % len(scores))
    agree(F.cross_entropy, TF.cross_entropy, torch.tensor(scores, requires_grad=True), target)


def test_all_ignored_gives_nan_and_an_all_zero_sum():
    x = numbers(2, CLASSES, grad=True)
    target = torch.full((2,), -100)
    for reduction in ("none", "mean", "sum"):
        agree(F.cross_entropy, TF.cross_entropy, x, target, reduction=reduction)
        agree(F.nll_loss, TF.nll_loss, x, target, reduction=reduction)


def test_infinite_scores():
    x = torch.tensor([[0.0, -float("inf"), 1.0]], requires_grad=True)
    for target in (0, 1):
        agree(F.cross_entropy, TF.cross_entropy, x, torch.tensor([target]))


PAIRS = ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "soft_margin_loss"]
NAMES = {
    "mse_loss": "MseLossBackward0",
    "l1_loss": "MeanBackward0",
    "smooth_l1_loss": "SmoothL1LossBackward0",
    "huber_loss": "HuberLossBackward0",
    "soft_margin_loss": "SoftMarginLossBackward0",
    "binary_cross_entropy_with_logits": "BinaryCrossEntropyWithLogitsBackward0",
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 4), (2, 0, 3)])
def test_differences(name, reduction, shape):
    both = name != "soft_margin_loss"  # whose target PyTorch does not differentiate
    x, y = numbers(*shape, grad=True), numbers(*shape, seed=1, grad=both)
    agree(getattr(F, name), getattr(TF, name), x, y, reduction=reduction)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_one_node_with_pytorchs_name(name):
    x = numbers(3, 4, low=0.1, high=0.9, grad=True)
    loss = getattr(F, name)(narae_of(x), narae_of(x.detach()))
    assert loss.grad_fn.name == NAMES[name]
    assert loss.grad_fn.next_functions[0][0].next_functions == ()  # a leaf


@pytest.mark.parametrize("shape", [(4, CLASSES), (2, CLASSES, 3)])
def test_the_node_of_cross_entropy(shape):
    x, target = numbers(*shape, grad=True), labels(shape[0], *shape[2:])
    theirs = TF.cross_entropy(x, target).grad_fn.name()
    assert F.cross_entropy(narae_of(x), narae_of(target)).grad_fn.name == theirs


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_weights_of_elements(name, reduction):
    x, y = numbers(3, 4, grad=True), numbers(3, 4, seed=1)
    weight = numbers(3, 4, seed=2, low=0.1, high=1.0)
    agree(getattr(F, name), getattr(TF, name), x, y, reduction=reduction, weight=weight)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_binary_cross_entropy_with_logits(weighted, positive, reduction):
    agree(
        F.binary_cross_entropy_with_logits,
        TF.binary_cross_entropy_with_logits,
        numbers(3, 4, low=-200.0, high=200.0, grad=True),
        numbers(3, 4, seed=1, low=0.0, high=1.0, grad=True),
        weight=numbers(4, low=0.1, high=1.0) if weighted else None,
        pos_weight=numbers(4, low=0.1, high=3.0) if positive else None,
        reduction=reduction,
    )


def test_binary_cross_entropy_at_the_ends():
    x = torch.tensor([0.0, 1.0, 0.5, 1e-30], dtype=torch.float64, requires_grad=True)
    for y in (torch.zeros(4), torch.ones(4), torch.full((4,), 0.25)):
        agree(F.binary_cross_entropy, TF.binary_cross_entropy, x, y.double(), second=False)


@pytest.mark.parametrize("flags", [(False, None), (True, None), (None, False), (False, False)])
def test_arguments_of_old_programs(flags):
    x, y = numbers(3, 4, grad=True), numbers(3, 4, seed=1)
    with pytest.warns(UserWarning, match="please use reduction="):
        agree(F.mse_loss, TF.mse_loss, x, y, *flags)
    with pytest.warns(UserWarning, match="please use reduction="):
        ours, theirs = narae.nn.MSELoss(*flags), torch.nn.MSELoss(*flags)
    assert ours.reduction == theirs.reduction


REFUSED = {
    "label too large": ("cross_entropy", (numbers(2, 3), torch.tensor([0, 10]))),
    "label negative": ("cross_entropy", (numbers(2, 3), torch.tensor([0, -1]))),
    "batch sizes": ("cross_entropy", (numbers(3, 4), torch.tensor([0, 1]))),
    "a column of labels": ("cross_entropy", (numbers(3, 4), torch.tensor([[0], [1], [2]]))),
    "int32 labels": ("cross_entropy", (numbers(2, 3), torch.tensor([0, 1]).int())),
    "float labels": ("cross_entropy", (numbers(2, 3), torch.tensor([0.0, 1.0]))),
    "integer probabilities": ("cross_entropy", (numbers(2, 3), torch.ones(2, 3).long())),
    "few weights": ("cross_entropy", (numbers(2, 3), torch.tensor([0, 1]), torch.ones(2).double())),
    "float32 weights": ("cross_entropy", (numbers(2, 3), torch.tensor([0, 1]), torch.ones(3))),
    "weights with gradients": (
        "cross_entropy",
        (numbers(2, 3), torch.tensor([0, 1]), numbers(3, grad=True)),
    ),
    "integer scores": ("cross_entropy", (torch.ones(2, 3).long(), torch.tensor([0, 1]))),
    "a number for scores": ("cross_entropy", (numbers(), torch.tensor(0))),
    "no tensor": ("cross_entropy", ([1.0, 2.0], torch.tensor(0))),
    "spatial labels": ("nll_loss", (numbers(2, 3, 2, 2), torch.tensor([0, 1]))),
    "nll label": ("nll_loss", (numbers(2, 3), torch.tensor([0, 3]))),
    "no probabilities": ("binary_cross_entropy", (numbers(3) + 2, torch.ones(3).double())),
    "bce sizes": ("binary_cross_entropy", (torch.rand(3, 1), torch.rand(3))),
    "bce dtypes": ("binary_cross_entropy", (torch.rand(3), torch.rand(3).double())),
    "logits sizes": ("binary_cross_entropy_with_logits", (torch.rand(3, 1), torch.rand(3))),
    "sizes that do not broadcast": ("mse_loss", (torch.rand(3), torch.rand(4))),
    "integers": ("mse_loss", (torch.ones(3).long(), torch.ones(3).long())),
    "ranks": ("margin_ranking_loss", (torch.rand(3), torch.rand(3, 1), torch.ones(3))),
    "cosine ranks": ("cosine_embedding_loss", (torch.rand(3), torch.rand(3), torch.ones(3))),
    "negative variance": (
        "gaussian_nll_loss",
        (torch.rand(3), torch.rand(3), torch.tensor([1.0, -1.0, 1.0])),
    ),
    "size of variance": ("gaussian_nll_loss", (torch.rand(3), torch.rand(3), torch.rand(2))),
    "margin label": ("multi_margin_loss", (numbers(2, 3), torch.tensor([0, 3]))),
    "multilabel label": ("multilabel_margin_loss", (numbers(1, 3), torch.tensor([[3, -1, 0]]))),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_both_refuse(case):
    """Errors are of the class that PyTorch raises, so `except` keeps working."""
    name, args = REFUSED[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception) as theirs:
            getattr(TF, name)(*args)
        with pytest.raises(Exception) as ours:
            getattr(F, name)(*narae_of(args))
    assert isinstance(ours.value, theirs.type), (ours.value, theirs.value)


OPTIONS = {
    "reduction": ("mse_loss", {"reduction": "average"}),
    "beta": ("smooth_l1_loss", {"beta": -1.0}),
    "delta": ("huber_loss", {"delta": 0.0}),
    "margin": ("triplet_margin_loss", {"margin": 0.0}),
    "smoothing": ("cross_entropy", {"label_smoothing": 1.5}),
    "power": ("multi_margin_loss", {"p": 3}),
}


@pytest.mark.parametrize("case", sorted(OPTIONS))
def test_both_refuse_options(case):
    name, kwargs = OPTIONS[case]
    args = [numbers(2, 3), numbers(2, 3, seed=1)] + [numbers(2, 3)] * name.startswith("triplet")
    if name in ("cross_entropy", "multi_margin_loss"):
        args[1] = torch.tensor([0, 1])
    with pytest.raises(Exception) as theirs:
        getattr(TF, name)(*args, **kwargs)
    with pytest.raises(Exception) as ours:
        getattr(F, name)(*narae_of(args), **kwargs)
    assert isinstance(ours.value, theirs.type)


def test_training_with_label_smoothing_is_pytorchs():
    """H19, G21: the same weights after some steps of the same optimizer."""
    x, target = numbers(16, 4).numpy(), labels(16, seed=3).numpy()
    torch.manual_seed(0)
    theirs = torch.nn.Linear(4, CLASSES, dtype=torch.float64)
    narae.manual_seed(0)
    ours = narae.nn.Linear(4, CLASSES, dtype=narae.float64)
    for library, model in ((torch, theirs), (narae, ours)):
        loss_of = library.nn.CrossEntropyLoss(label_smoothing=0.1)
        optimizer = library.optim.SGD(model.parameters(), lr=0.5)
        for _ in range(20):
            optimizer.zero_grad()
            loss_of(model(library.tensor(x)), library.tensor(target)).backward()
            optimizer.step()
    np.testing.assert_allclose(
        ours.weight.detach().numpy(), theirs.weight.detach().numpy(), rtol=0, atol=1e-12
    )
