"""Where PyTorch's random draws refuse, the host random stream refuses too, and nothing moves."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from narae.tensors.mt19937 import MT19937  # noqa: E402

REFUSED = {
    "interval": (lambda: torch.empty(3).uniform_(1, 0), lambda m: m.uniform(3, np.float32, 1, 0)),
    "nan interval": (
        lambda: torch.empty(3).uniform_(float("nan"), 0),
        lambda m: m.uniform(3, np.float32, float("nan"), 0),
    ),
    "interval too wide": (
        lambda: torch.empty(3).uniform_(-3e38, 3e38),
        lambda m: m.uniform(3, np.float32, -3e38, 3e38),
    ),
    "integer uniform": (
        lambda: torch.empty(3, dtype=torch.int64).uniform_(),
        lambda m: m.uniform(3, np.int64),
    ),
    "std": (lambda: torch.empty(3).normal_(0, -1), lambda m: m.normal(3, np.float32, 0, -1)),
    "log std": (
        lambda: torch.empty(3).log_normal_(0, 0),
        lambda m: m.log_normal(3, np.float32, 0, 0),
    ),
    "rate": (lambda: torch.empty(3).exponential_(0), lambda m: m.exponential(3, np.float32, 0)),
    "sigma": (lambda: torch.empty(3).cauchy_(0, 0), lambda m: m.cauchy(3, np.float32, 0, 0)),
    "trials": (lambda: torch.empty(3).geometric_(1), lambda m: m.geometric(3, 1)),
    "p": (lambda: torch.empty(3).bernoulli_(1.5), lambda m: m.bernoulli(3, 1.5)),
    "p tensor": (
        lambda: torch.bernoulli(torch.tensor([0.5, float("nan")])),
        lambda m: m.bernoulli(2, np.array([0.5, np.nan], np.float32)),
    ),
    "empty range": (lambda: torch.randint(3, 3, (2,)), lambda m: m.randint(2, 3, 3)),
    "empty range of nothing": (lambda: torch.randint(3, 3, (0,)), lambda m: m.randint(0, 3, 3)),
    "range outside": (
        lambda: torch.randint(0, 300, (2,), dtype=torch.uint8),
        lambda m: m.randint(2, 0, 300, np.uint8),
    ),
    "float range outside": (
        lambda: torch.randint(-5, 70_000, (2,), dtype=torch.float16),
        lambda m: m.randint(2, -5, 70_000, np.float16),
    ),
    "64 bits in int32": (
        lambda: torch.empty(2, dtype=torch.int32).random_(-(2**63), None),
        lambda m: m.randint(2, -(2**63), None, np.int32),
    ),
    "unsigned": (
        lambda: torch.empty(2, dtype=torch.uint16).random_(),
        lambda m: m.random_(2, np.uint16),
    ),
    "negative length": (lambda: torch.randperm(-1), lambda m: m.randperm(-1)),
    "length": (
        lambda: torch.randperm(257, dtype=torch.uint8),
        lambda m: m.randperm(257, np.uint8),
    ),
    "half length": (
        lambda: torch.randperm(2050, dtype=torch.float16),
        lambda m: m.randperm(2050, np.float16),
    ),
    "too few categories": (
        lambda: torch.multinomial(torch.ones(2), 3),
        lambda m: m.multinomial(np.ones(2), 3),
    ),
    "no weight": (
        lambda: torch.multinomial(torch.zeros(2), 3, True),
        lambda m: m.multinomial(np.zeros(2), 3, True),
    ),
    "negative weight": (
        lambda: torch.multinomial(torch.tensor([2.0, -1.0]), 1),
        lambda m: m.multinomial(np.array([2.0, -1.0]), 1),
    ),
    "no samples": (
        lambda: torch.multinomial(torch.ones(2), 0),
        lambda m: m.multinomial(np.ones(2), 0),
    ),
    "negative size": (lambda: torch.rand(-1), lambda m: m.uniform(-1)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_pytorch_refuses_is_refused_before_anything_is_drawn(case):
    theirs, mine = REFUSED[case]
    with pytest.raises((RuntimeError, ValueError, NotImplementedError)):
        theirs()
    ours = MT19937(0)
    before = ours.get_state()
    with pytest.raises(RuntimeError, match=r"^\[\w+\] "):
        mine(ours)
    assert np.array_equal(before, ours.get_state())


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1])
def test_seeds_beyond_64_bits(seed):
    with pytest.raises(ValueError):
        torch.manual_seed(seed)
    with pytest.raises(ValueError, match="64 bits"):
        MT19937(seed)


def damaged(field_offset, value):
    state = MT19937(1).get_state()
    state[field_offset] = value
    return state


@pytest.mark.parametrize(
    "state",
    [
        MT19937(1).get_state()[:-1],
        MT19937(1).get_state().astype(np.int64),
        damaged(8, 0),  # left
        damaged(12, 0),  # seeded
        damaged(16, 9),  # next
    ],
    ids=["short", "int64", "left", "seeded", "next"],
)
def test_damaged_states_change_nothing(state):
    ours = MT19937(7)
    expected = ours.clone().normal(20)
    with pytest.raises(ValueError, match="set_state"):
        ours.set_state(state)
    np.testing.assert_array_equal(ours.normal(20), expected)
