"""Schedules against PyTorch: the sequence of learning rates (and momenta) to 1e-15."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narae
from narae.optim import lr_scheduler as ours

torch = pytest.importorskip("torch")
theirs = torch.optim.lr_scheduler
STEPS = 60


def optimizer_of(library, kind="SGD", groups=2, **options):
    params = [library.zeros(1, requires_grad=True) for _ in range(groups)]
    settings = [{"params": [p], "lr": 0.1 * (i + 1)} for i, p in enumerate(params)]
    return getattr(library.optim, kind)(settings, **options)


def half(step):
    return 1 / (1 + step)


def averaging(module):
    return (narae if module is ours else torch).optim.swa_utils


class Halving:
    def __init__(self, by):
        self.by = by

    def __call__(self, step):
        return self.by**step


CASES = {
    "StepLR": lambda m, o: m.StepLR(o, step_size=7, gamma=0.3),
    "MultiStepLR": lambda m, o: m.MultiStepLR(o, [3, 3, 8, 30], gamma=0.5),
    "ConstantLR": lambda m, o: m.ConstantLR(o, factor=0.3, total_iters=6),
    "LinearLR": lambda m, o: m.LinearLR(o, 0.25, 0.9, total_iters=11),
    "ExponentialLR": lambda m, o: m.ExponentialLR(o, 0.93),
    "CosineAnnealingLR": lambda m, o: m.CosineAnnealingLR(o, T_max=9, eta_min=0.003),
    "CosineAnnealingLR_long": lambda m, o: m.CosineAnnealingLR(o, T_max=100),
    "WarmRestarts": lambda m, o: m.CosineAnnealingWarmRestarts(o, T_0=5, T_mult=2, eta_min=0.01),
    "WarmRestarts_1": lambda m, o: m.CosineAnnealingWarmRestarts(o, T_0=7),
    "OneCycleLR": lambda m, o: m.OneCycleLR(o, max_lr=[0.5, 1.0], total_steps=STEPS + 1),
    "OneCycleLR_linear": lambda m, o: m.OneCycleLR(
        o, 0.5, epochs=9, steps_per_epoch=7, anneal_strategy="linear", three_phase=True
    ),
    "OneCycleLR_plain": lambda m, o: m.OneCycleLR(o, 0.5, total_steps=70, cycle_momentum=False),
    "CyclicLR": lambda m, o: m.CyclicLR(o, 0.01, 0.1, step_size_up=5),
    "CyclicLR_2": lambda m, o: m.CyclicLR(
        o, [0.01, 0.02], 0.1, step_size_up=5, step_size_down=3, mode="triangular2"
    ),
    "CyclicLR_exp": lambda m, o: m.CyclicLR(
        o, 0.01, 0.1, 4, mode="exp_range", gamma=0.9, cycle_momentum=False
    ),
    "CyclicLR_own": lambda m, o: m.CyclicLR(o, 0.01, 0.1, 4, scale_fn=half, scale_mode="cycle"),
    "SWALR": lambda m, o: averaging(m).SWALR(o, [0.5, 0.01], anneal_epochs=7),
    "SWALR_linear": lambda m, o: averaging(m).SWALR(o, 0.3, 9, "linear"),
    "SWALR_at_once": lambda m, o: averaging(m).SWALR(o, 0.3, 0),
    "Decay_then_SWALR": lambda m, o: m.SequentialLR(
        o, [m.ExponentialLR(o, 0.9), averaging(m).SWALR(o, 0.05, 6)], milestones=[10]
    ),
    "PolynomialLR": lambda m, o: m.PolynomialLR(o, total_iters=20, power=1.7),
    "LambdaLR": lambda m, o: m.LambdaLR(o, [half, lambda step: 0.9**step]),
    "LambdaLR_object": lambda m, o: m.LambdaLR(o, Halving(0.5)),
    "MultiplicativeLR": lambda m, o: m.MultiplicativeLR(o, lambda step: 0.95),
    "SequentialLR": lambda m, o: m.SequentialLR(
        o,
        [m.ConstantLR(o, 0.1, 5), m.ExponentialLR(o, 0.9), m.StepLR(o, 4, 0.5)],
        milestones=[6, 15],
    ),
    "SequentialLR_warm": lambda m, o: m.SequentialLR(
        o, [m.LinearLR(o, 0.01, 1.0, 5), m.CosineAnnealingLR(o, 30)], milestones=[5]
    ),
    "ChainedScheduler": lambda m, o: m.ChainedScheduler(
        [m.ConstantLR(o, 0.1, 5), m.ExponentialLR(o, 0.9)], o
    ),
    "Sequential_of_chained": lambda m, o: m.SequentialLR(
        o,
        [m.ChainedScheduler([m.LinearLR(o), m.ExponentialLR(o, 0.9)]), m.StepLR(o, 3)],
        milestones=[8],
    ),
}


def numbers(optimizer):
    return [
        (group["lr"], group.get("momentum"), group.get("betas")) for group in optimizer.param_groups
    ]


def flat(rows):
    found = []
    for row in rows:
        for lr, momentum, betas in row:
            found += [lr, math.nan if momentum is None else momentum, *(betas or ())]
    return np.array(found, dtype=float)


def advance(optimizer, scheduler, count=1):
    rows = []
    for _ in range(count):
        optimizer.step()
        scheduler.step()
        rows.append(numbers(optimizer))
    return rows


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("case", CASES)
def test_the_sequence(case, kind):
    sequences = []
    for library, module in ((narae, ours), (torch, theirs)):
        optimizer = optimizer_of(library, kind)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a mode of SequentialLR that PyTorch warns about
            scheduler = CASES[case](module, optimizer)
            rows = [numbers(optimizer), *advance(optimizer, scheduler, STEPS)]
        assert scheduler.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
        sequences.append(flat(rows))
    np.testing.assert_allclose(sequences[0], sequences[1], rtol=1e-15, atol=0)


def plateau(module, optimizer, **options):
    return module.ReduceLROnPlateau(optimizer, factor=0.5, patience=2, **options)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize(
    "options", [{}, {"cooldown": 2}, {"min_lr": [0.03, 0.01]}, {"threshold": 0.2, "eps": 0.02}]
)
def test_plateau(mode, threshold_mode, options):
    metrics = np.random.default_rng(0).normal(size=60).cumsum() / 5 + 1
    sequences = []
    for library, module in ((narae, ours), (torch, theirs)):
        optimizer = optimizer_of(library)
        scheduler = plateau(module, optimizer, mode=mode, threshold_mode=threshold_mode, **options)
        rows = []
        for metric in metrics:
            scheduler.step(library.tensor(metric))
            rows.append(numbers(optimizer))
        sequences.append(flat(rows))
    np.testing.assert_allclose(sequences[0], sequences[1], rtol=1e-15)
    assert len(np.unique(sequences[0])) > 3


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("switch", [1, 12])
def test_state_dicts_are_pytorchs(case, switch):
    """The schedule goes on in the other library, in both directions."""
    for first, second in (((narae, ours), (torch, theirs)), ((torch, theirs), (narae, ours))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optimizer = optimizer_of(first[0])
            scheduler = CASES[case](first[1], optimizer)
            advance(optimizer, scheduler, switch)
            other_optimizer = optimizer_of(second[0])
            other = CASES[case](second[1], other_optimizer)
            other_optimizer.load_state_dict(optimizer.state_dict())
            state = scheduler.state_dict()
            assert state.keys() - {"_scale_fn_ref"} == other.state_dict().keys() - {"_scale_fn_ref"}
            other.load_state_dict(state)
            expected = advance(optimizer, scheduler, 20)
            found = advance(other_optimizer, other, 20)
        np.testing.assert_allclose(flat(found), flat(expected), rtol=1e-15)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("StepLR", (7, 0.3)),
        ("MultiStepLR", ([3, 8, 30],)),
        ("LinearLR", (0.25, 0.9, 11)),
        ("ExponentialLR", (0.93,)),
        ("PolynomialLR", (20, 1.7)),
        ("CosineAnnealingLR", (9, 0.003)),
        ("LambdaLR", (half,)),
        ("MultiplicativeLR", (half,)),
        ("OneCycleLR", (0.5, 60)),
    ],
)
def test_resumed_with_last_epoch(name, arguments):
    """`last_epoch=k` goes on from there, when the groups know their "initial_lr"."""
    sequences = []
    for library, module in ((narae, ours), (torch, theirs)):
        optimizer = optimizer_of(library)
        advance(optimizer, getattr(module, name)(optimizer, *arguments), 6)
        scheduler = getattr(module, name)(optimizer, *arguments, last_epoch=6)
        sequences.append(flat([numbers(optimizer), *advance(optimizer, scheduler, 20)]))
    np.testing.assert_allclose(sequences[0], sequences[1], rtol=1e-15)


@pytest.mark.parametrize("case", ["StepLR", "LinearLR", "CosineAnnealingLR", "MultiStepLR"])
def test_the_deprecated_epoch(case):
    sequences = []
    for library, module in ((narae, ours), (torch, theirs)):
        optimizer = optimizer_of(library)
        scheduler = CASES[case](module, optimizer)
        optimizer.step()
        rows = []
        for epoch in (3, 9, 1):
            with pytest.warns(UserWarning, match="epoch parameter"):
                scheduler.step(epoch)
            rows.append(numbers(optimizer))
        sequences.append(flat(rows))
    np.testing.assert_allclose(sequences[0], sequences[1], rtol=1e-15)


def test_warm_restarts_between_steps():
    sequences = []
    for library, module in ((narae, ours), (torch, theirs)):
        optimizer = optimizer_of(library)
        scheduler = CASES["WarmRestarts"](module, optimizer)
        rows = []
        for epoch in np.arange(0, 40, 0.75).tolist():
            scheduler.step(epoch)
            rows.append(numbers(optimizer))
        sequences.append(flat(rows))
    np.testing.assert_allclose(sequences[0], sequences[1], rtol=1e-15)


def test_a_tensor_learning_rate_keeps_its_identity():
    for library, module in ((narae, ours), (torch, theirs)):
        lr = library.tensor(0.5, dtype=library.float64)
        p = library.zeros(1, requires_grad=True)
        optimizer = library.optim.SGD([p], lr=lr)
        scheduler = module.ExponentialLR(optimizer, 0.5)
        optimizer.step()
        scheduler.step()
        assert optimizer.param_groups[0]["lr"] is lr
        assert lr.item() == 0.25


@pytest.mark.parametrize("order", ["wrong", "right"])
def test_the_order_of_steps(order):
    for library, module in ((narae, ours), (torch, theirs)):
        optimizer = optimizer_of(library)
        scheduler = module.StepLR(optimizer, 2)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if order == "right":
                optimizer.step()
            scheduler.step()
        said = [str(item.message) for item in caught if "before `optimizer.step()`" in str(item)]
        assert len(said) == (order == "wrong"), library


def test_get_lr_outside_of_step_warns():
    for library, module in ((narae, ours), (torch, theirs)):
        scheduler = module.StepLR(optimizer_of(library), 2)
        with pytest.warns(UserWarning, match=r"get_last_lr\(\)"):
            scheduler.get_lr()


BAD = [
    lambda m, o, lib: m.StepLR("x", 2),
    lambda m, o, lib: m.ConstantLR(o, factor=2.0),
    lambda m, o, lib: m.LinearLR(o, start_factor=0.0),
    lambda m, o, lib: m.LinearLR(o, end_factor=1.5),
    lambda m, o, lib: m.LambdaLR(o, [half]),
    lambda m, o, lib: m.MultiplicativeLR(o, 0.5),
    lambda m, o, lib: m.CosineAnnealingWarmRestarts(o, 0),
    lambda m, o, lib: m.CosineAnnealingWarmRestarts(o, 2, 0),
    lambda m, o, lib: m.CosineAnnealingWarmRestarts(o, 2, eta_min="a"),
    lambda m, o, lib: m.OneCycleLR(o, 0.1),
    lambda m, o, lib: m.OneCycleLR(o, 0.1, total_steps=-1),
    lambda m, o, lib: m.OneCycleLR(o, 0.1, total_steps=5, pct_start=2.0),
    lambda m, o, lib: m.OneCycleLR(o, 0.1, total_steps=5, anneal_strategy="no"),
    lambda m, o, lib: m.OneCycleLR(o, [0.1], total_steps=5),
    lambda m, o, lib: m.CyclicLR(o, 0.1, 0.2, mode="no"),
    lambda m, o, lib: m.CyclicLR(optimizer_of(lib, "Adagrad"), 0.1, 0.2),
    lambda m, o, lib: m.ReduceLROnPlateau(o, factor=1.0),
    lambda m, o, lib: m.ReduceLROnPlateau(o, mode="no"),
    lambda m, o, lib: m.ReduceLROnPlateau(o, min_lr=[0.1]),
    lambda m, o, lib: m.SequentialLR(o, [], []),
    lambda m, o, lib: m.SequentialLR(o, [m.StepLR(o, 1)], [1]),
    lambda m, o, lib: m.SequentialLR(o, [m.StepLR(optimizer_of(lib), 1)], []),
    lambda m, o, lib: m.ChainedScheduler([]),
    lambda m, o, lib: m.ChainedScheduler([m.ReduceLROnPlateau(o)]),
    lambda m, o, lib: m.StepLR(o, 2, last_epoch=3),
]


@pytest.mark.parametrize("index", range(len(BAD)))
def test_bad_settings(index):
    errors = []
    for library, module in ((narae, ours), (torch, theirs)):
        with pytest.raises((ValueError, TypeError, KeyError)) as caught:
            BAD[index](module, optimizer_of(library), library)
        errors.append(caught.value)
    for kind in (ValueError, TypeError, KeyError):
        if isinstance(errors[1], kind):
            assert isinstance(errors[0], kind)


def test_one_cycle_has_an_end():
    for library, module in ((narae, ours), (torch, theirs)):
        optimizer = optimizer_of(library)
        scheduler = module.OneCycleLR(optimizer, 0.1, total_steps=4)
        with pytest.raises(ValueError, match="Tried to step 5 times"):
            advance(optimizer, scheduler, 6)


def test_names():
    assert set(ours.__all__) == set(theirs.__all__)


# --- any parameters -------------------------------------------------------------------------


def share():
    return st.floats(0.01, 1.0)


count = st.integers(1, 25)
DRAWN = {
    "StepLR": {"step_size": count, "gamma": share()},
    "MultiStepLR": {"milestones": st.lists(st.integers(0, 60), max_size=5), "gamma": share()},
    "ConstantLR": {"factor": share(), "total_iters": count},
    "LinearLR": {"start_factor": share(), "end_factor": share(), "total_iters": count},
    "ExponentialLR": {"gamma": share()},
    "CosineAnnealingLR": {"T_max": count, "eta_min": st.floats(0.0, 0.2)},
    "CosineAnnealingWarmRestarts": {
        "T_0": count,
        "T_mult": st.integers(1, 3),
        "eta_min": st.floats(0.0, 0.2),
    },
    "PolynomialLR": {"total_iters": count, "power": st.floats(0.1, 4.0)},
    "OneCycleLR": {
        "max_lr": st.floats(0.01, 2.0),
        "total_steps": st.integers(61, 90),
        "pct_start": st.floats(0.05, 0.9),
        "anneal_strategy": st.sampled_from(["cos", "linear"]),
        "base_momentum": st.floats(0.5, 0.8),
        "div_factor": st.floats(1.5, 50.0),
        "final_div_factor": st.floats(2.0, 1e5),
    },
    "CyclicLR": {
        "base_lr": st.floats(1e-4, 0.1),
        "max_lr": st.floats(0.2, 2.0),
        "step_size_up": count,
        "step_size_down": count,
        "mode": st.sampled_from(["triangular", "triangular2", "exp_range"]),
        "gamma": st.floats(0.5, 1.0),
    },
}


@pytest.mark.parametrize("name", DRAWN)
@settings(max_examples=12)
@given(data=st.data(), switch=st.integers(1, 50))
def test_any_parameters(name, data, switch):
    """60 steps of learning rates and momenta, with a state_dict half way."""
    options = data.draw(st.fixed_dictionaries(DRAWN[name]))
    sequences = []
    for library, module in ((narae, ours), (torch, theirs)):
        optimizer = optimizer_of(library, momentum=0.9)
        scheduler = getattr(module, name)(optimizer, **options)
        rows = [numbers(optimizer), *advance(optimizer, scheduler, switch)]
        saved = optimizer.state_dict(), scheduler.state_dict()
        optimizer = optimizer_of(library, momentum=0.9)
        scheduler = getattr(module, name)(optimizer, **options)
        optimizer.load_state_dict(saved[0])
        scheduler.load_state_dict(saved[1])
        sequences.append(flat([*rows, *advance(optimizer, scheduler, 60 - switch)]))
    np.testing.assert_allclose(sequences[0], sequences[1], rtol=1e-13, atol=1e-300)
