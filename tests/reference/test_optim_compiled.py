"""Compiled steps with each optimizer and schedule: the bits of eager steps, from one program."""

import numpy as np
import pytest

import narae
from narae import optim
from narae.optim import lr_scheduler
from tests.executors import close, on_every_executor

pytestmark = on_every_executor

OPTIMIZERS = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "maximize": True}),
    ("Adagrad", {"lr_decay": 0.1}),
    ("Adadelta", {"weight_decay": 0.1}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("Adam", {"amsgrad": True, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"betas": (0.9, 0.99)}),
    ("Adamax", {}),
    ("ASGD", {"t0": 3}),
    ("Rprop", {}),
]


class Training:
    """A small regression; also with a 0-d parameter."""

    def __init__(self, make_optimizer, dtype=narae.float32):
        rng = np.random.default_rng(1)
        self.w = narae.tensor(rng.normal(size=(3, 2)), dtype=dtype, requires_grad=True)
        self.b = narae.tensor(0.5, dtype=dtype, requires_grad=True)
        self.unused = narae.tensor([1.0], dtype=dtype, requires_grad=True)
        self.optimizer = make_optimizer(self)
        self.scheduler = None
        self.x = narae.tensor(rng.normal(size=(12, 4, 3)), dtype=dtype)

    def step(self, x):
        self.optimizer.zero_grad()
        loss = ((x @ self.w + self.b) ** 2).mean()
        loss.backward()
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        return loss

    def bits(self):
        tensors = [self.w, self.b, self.unused]
        for p in tensors:
            tensors = tensors + list(self.optimizer.state.get(p, {}).values())
        return [t.detach().numpy().tobytes() for t in tensors]


def pair(name, options, dtype=narae.float32):
    def make(training):
        groups = [{"params": [training.w]}, {"params": [training.b, training.unused], "lr": 0.02}]
        return getattr(optim, name)(groups, lr=0.05, **options)

    return Training(make, dtype), Training(make, dtype)


def state_of(training):
    """What a user sees; the parameter that is not used may have empty buffers."""
    return {
        key: {name: value.numpy() for name, value in state.items()}
        for key, state in training.optimizer.state_dict()["state"].items()
        if key != 2
    }


def assert_equal(eager, compiled):
    close(compiled.w, eager.w)
    close(compiled.b, eager.b)
    close(state_of(compiled), state_of(eager))


@pytest.mark.parametrize("dtype", [narae.float32, narae.float64])
@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_the_same_bits(name, options, dtype):
    eager, compiled = pair(name, options, dtype)
    step = narae.compile(compiled.step)
    for x in eager.x:
        close(step(x), eager.step(x))
        assert_equal(eager, compiled)
    assert step.traces == 1


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_eager_and_compiled_steps_in_turn(name, options):
    eager, mixed = pair(name, options)
    step = narae.compile(mixed.step)
    for number, x in enumerate(eager.x):
        eager.step(x)
        (step if number % 3 else mixed.step)(x)
        assert_equal(eager, mixed)
    assert step.traces == 1


SCHEDULES = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, 2, 0.5),
    "Cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 5),
    "Warm": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
    "OneCycle": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=20),
    "Sequential": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o), lr_scheduler.ExponentialLR(o, 0.9)], [4]
    ),
    "Chained": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.LinearLR(o), lr_scheduler.ExponentialLR(o, 0.9)]
    ),
}


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule(schedule, inside):
    """Learning rates, and OneCycleLR's β₁, change at each call without a new trace."""
    eager, compiled = pair("Adam", {})
    schedules = [SCHEDULES[schedule](training.optimizer) for training in (eager, compiled)]
    if inside:
        eager.scheduler, compiled.scheduler = schedules
    step = narae.compile(compiled.step)
    for x in eager.x:
        eager.step(x)
        step(x)
        if not inside:
            for scheduler in schedules:
                scheduler.step()
        assert_equal(eager, compiled)
        assert schedules[0].get_last_lr() == schedules[1].get_last_lr()
    assert step.traces == 1


def test_what_a_user_writes_into_a_group():
    """Numbers need no new trace; what selects another update does."""
    eager, compiled = pair("SGD", {"momentum": 0.9})
    step = narae.compile(compiled.step)
    changes = [
        ({"lr": 0.01}, 1),
        ({"momentum": 0.5}, 1),
        ({"weight_decay": 0.1}, 2),
        ({"weight_decay": 0.2}, 2),
        ({"nesterov": True}, 3),
        ({"nesterov": False, "momentum": 0}, 4),
        ({"momentum": 0.9}, 5),
    ]
    step(eager.x[0])
    eager.step(eager.x[0])
    for (change, traces), x in zip(changes, eager.x[1:], strict=False):
        for training in (eager, compiled):
            for group in training.optimizer.param_groups:
                group.update(change)
        eager.step(x)
        step(x)
        assert_equal(eager, compiled)
        assert step.traces <= traces


@pytest.mark.parametrize("name", ["Adam", "SGD"])
@pytest.mark.parametrize("only_b", [0, 2])
def test_a_parameter_that_joins_later(name, only_b):
    """In one group, each parameter has a step count of its own."""
    options = {"momentum": 0.9, "dampening": 0.5} if name == "SGD" else {}

    def make(training):
        return getattr(optim, name)([training.w, training.b], lr=0.05, **options)

    eager, mixed = Training(make), Training(make)
    step = narae.compile(mixed.step)
    for number, x in enumerate(eager.x):
        if number in (only_b, 5):
            for training in (eager, mixed):  # only b, and only w, learn in these steps
                training.optimizer.zero_grad()
                w = training.w if number == 5 else training.w.detach()
                b = training.b.detach() if number == 5 else training.b
                ((x @ w + b) ** 2).mean().backward()
                training.optimizer.step()
        eager.step(x)
        step(x)
        assert_equal(eager, mixed)


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_a_state_dict_between_compiled_steps(name, options):
    eager, compiled = pair(name, options)
    step = narae.compile(compiled.step)
    for number, x in enumerate(eager.x):
        if number == 4:
            saved = [training.optimizer.state_dict() for training in (eager, compiled)]
            kept = [{k: {n: v.clone() for n, v in s.items()} for k, s in d["state"].items()}
                    for d in saved]  # fmt: skip
        if number == 8:
            for training, known, groups in zip((eager, compiled), kept, saved, strict=True):
                training.optimizer.load_state_dict(
                    {"state": known, "param_groups": groups["param_groups"]}
                )
        eager.step(x)
        step(x)
        assert_equal(eager, compiled)


@pytest.mark.parametrize("name", ["SGD", "Adam", "NAdam", "ASGD"])
def test_a_failed_call_leaves_the_host_state_alone(name):
    options = {"momentum": 0.9, "dampening": 0.5} if name == "SGD" else {}
    eager, compiled = pair(name, options)
    eager.scheduler, compiled.scheduler = (
        lr_scheduler.ExponentialLR(training.optimizer, 0.5) for training in (eager, compiled)
    )
    calls = []

    def failing_hook(optimizer, args, kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("in the middle")

    compiled.optimizer.register_step_post_hook(failing_hook)
    step = narae.compile(compiled.step)
    with pytest.raises(RuntimeError, match="in the middle"):
        step(eager.x[0])
    for x in eager.x[:4]:
        eager.step(x)
        step(x)
        assert_equal(eager, compiled)


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_snapshots_of_the_host(name, options):
    training, _ = pair(name, options)
    training.scheduler = lr_scheduler.OneCycleLR(
        training.optimizer, 0.1, total_steps=20, cycle_momentum=name in ("Adam", "AdamW")
    )
    owners = [training.optimizer, training.scheduler]
    training.step(training.x[0])

    def host():
        counters = {
            key: {n: v.item() for n, v in state.items() if v.ndim == 0}
            for key, state in training.optimizer.state_dict()["state"].items()
            if key == 0
        }
        groups = [(g["lr"], g.get("betas")) for g in training.optimizer.param_groups]
        return counters, groups, training.scheduler.state_dict()

    before = host()
    snapshots = [owner.host_state() for owner in owners]
    training.step(training.x[1])
    assert host() != before
    for owner, snapshot in zip(owners, snapshots, strict=True):
        owner.restore_host_state(snapshot)
    assert host() == before


def test_state_that_is_made_early_is_not_shown():
    """PyTorch would treat a momentum buffer of zeros as the second step's."""
    p = narae.zeros(2, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1, momentum=0.9, dampening=0.5)
    assert [tuple(t.shape) for t in optimizer.traced_state()] == [(2,)]
    assert optimizer.state_dict()["state"] == {}
    p.grad = narae.ones(2)
    optimizer.step()
    assert optimizer.state[p]["momentum_buffer"].tolist() == [1.0, 1.0]
    assert list(optimizer.state_dict()["state"]) == [0]


def test_traced_state_leaves_counters_on_the_host():
    p, frozen = narae.zeros(2, requires_grad=True), narae.zeros(3)
    optimizer = optim.NAdam([p, frozen], lr=0.1)
    state = optimizer.traced_state()
    assert {id(t) for t in state} == {
        id(optimizer.state[p][name]) for name in ("exp_avg", "exp_avg_sq")
    }
    assert frozen not in optimizer.state
