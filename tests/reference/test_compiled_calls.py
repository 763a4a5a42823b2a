"""Calls of compiled steps: which program runs, what is written when, what is said about it."""

import copy
import threading

import numpy as np
import pytest

import narae
from narae import nn
from narae.tensors import executors
from narae.tensors.compilation.sameness import form
from tests.executors import close, on_every_executor

pytestmark = on_every_executor


class Training:
    """A small network with dropout and batch normalisation, and its step."""

    def __init__(self, compiled=True, **options):
        narae.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 4, False), nn.BatchNorm1d(4), nn.Dropout(0.5))
        self.head = nn.Linear(4, 1)
        params = [*self.model.parameters(), *self.head.parameters()]
        self.optimizer = narae.optim.Adam(params, lr=0.1)

        def step(x):
            self.optimizer.zero_grad()
            loss = head(model(x)).square().mean()
            if loss.requires_grad and model.training:
                loss.backward()
                self.optimizer.step()
            return loss.detach()

        model, head = self.model, self.head
        self.step = narae.compile(step, **options) if compiled else step

    def state(self):
        modules = [self.model.state_dict(), self.head.state_dict()]
        return [{k: v.clone() for k, v in s.items()} for s in modules]


def x_of(rows=6, seed=0):
    return narae.from_numpy(np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32))


def plans(step):
    return [plan for known in step._plans.values() for plan in known]


# --- train and eval ---------------------------------------------------------------------------


def test_train_and_eval_in_turn_are_traced_once_each():
    fast, eager = Training(verify=False), Training(compiled=False)
    losses = []
    for training in (fast, eager):
        narae.manual_seed(5)
        found = []
        for epoch in range(4):
            training.model.train()
            found += [training.step(x_of(seed=epoch + k)) for k in range(3)]
            training.model.eval()
            found.append(training.step(x_of(seed=epoch)))
        losses.append(found)
    close(*losses)
    close(fast.state(), eager.state())
    assert fast.step.traces == 2


def test_switching_one_module_of_many_is_noticed():
    training = Training(verify=False)
    step, model = training.step, training.model
    step(x_of())
    model[1].eval()
    step(x_of())
    assert step.traces == 2
    model[2].eval()
    step(x_of())
    assert step.traces == 3
    model[1].train()
    step(x_of())
    assert step.traces == 4
    model[2].train()
    step(x_of())
    assert step.traces == 4  # as at first


def test_switching_a_copy_does_not_hide_the_original():
    """The module and its copy are switched: two changes, not none."""
    model = nn.Sequential(nn.Dropout(0.5))
    twin = copy.deepcopy(model)
    compiled = narae.compile(lambda x: model(x))
    x = x_of()
    assert not narae.equal(compiled(x), x)
    model.eval()
    twin.eval()
    assert narae.equal(compiled(x), x)


def test_a_module_that_overrides_train():
    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def train(self, mode=True):
            super().train(mode)
            self.drop.eval()
            return self

        def forward(self, x):
            return self.drop(x) * (2 if self.training else 3)

    model = Frozen().train()
    compiled = narae.compile(lambda x: model(x))
    for mode in (True, False, True, False):
        model.train(mode)
        assert narae.equal(compiled(x_of()), model(x_of()))
    assert compiled.traces == 2


# --- other changes ----------------------------------------------------------------------------


def test_freezing_a_parameter_itself_is_noticed():
    model = nn.Linear(3, 2)

    @narae.compile(keep_grads=True)
    def step(x):
        model.zero_grad()
        model(x).sum().backward()

    step(x_of())
    assert model.weight.grad is not None
    model.weight.requires_grad = False
    step(x_of())
    assert model.weight.grad is None
    assert model.bias.grad is not None


def test_hooks_that_come_and_go_are_noticed():
    model = nn.Linear(3, 2)
    optimizer = narae.optim.SGD(model.parameters(), lr=0.1)
    seen = []

    def doubled(module, args, out):
        return out * 2

    @narae.compile(keep_grads=True)
    def step(x):
        optimizer.zero_grad()
        out = model(x)
        out.sum().backward()
        optimizer.step()
        return out.detach(), model.bias.grad

    def bias_grad():
        return step(x_of())[1].tolist()

    assert bias_grad() == [6.0, 6.0]
    handle = model.register_forward_hook(doubled)
    assert bias_grad() == [12.0, 12.0]
    handle.remove()
    assert bias_grad() == [6.0, 6.0]
    handle = model.bias.register_hook(lambda grad: grad * 3)
    assert bias_grad() == [18.0, 18.0]
    handle.remove()
    assert bias_grad() == [6.0, 6.0]
    handle = optimizer.register_step_post_hook(lambda *_: seen.append(1))
    bias_grad()
    assert seen


def test_gradients_from_outside_need_no_new_trace():
    """Eager backward, compiled update: the gradients are other tensors each time."""
    outcomes = []
    for wrap in (lambda function: function, narae.compile):
        narae.manual_seed(0)
        model = nn.Linear(3, 2)
        optimizer = narae.optim.Adam(model.parameters(), lr=0.1)
        update = wrap(lambda optimizer=optimizer: optimizer.step())
        for seed in range(5):
            optimizer.zero_grad()
            model(x_of(seed=seed)).square().sum().backward()
            update()
        outcomes.append(model.state_dict())
    close(*outcomes)
    assert update.traces == 1


def test_accumulation_in_cycles_is_traced_twice():
    """Once for the first gradients, once for those that are added."""
    outcomes = []
    for wrap in (lambda function: function, narae.compile):
        narae.manual_seed(0)
        model = nn.Linear(3, 2)
        optimizer = narae.optim.SGD(model.parameters(), lr=0.1)
        step = wrap(lambda x, model=model: model(x).square().sum().backward())
        for cycle in range(4):
            for seed in range(3):
                step(x_of(seed=cycle + seed))
            optimizer.step()
            optimizer.zero_grad()
        outcomes.append(model.state_dict())
    close(*outcomes)
    assert step.traces == 2


def test_the_same_tensor_twice_is_another_kind_of_call():
    compiled = narae.compile(lambda x, y: x.mul_(2) + y)
    one, two = narae.ones(3), narae.ones(3)
    close(compiled(one, two), narae.tensor([3.0] * 3))
    close(compiled(one, one), narae.tensor([8.0] * 3))
    close(compiled(one, two), narae.tensor([9.0] * 3))
    assert compiled.traces == 2


@pytest.mark.parametrize("given", [lambda x: x.numpy(), lambda x: x, lambda x: x.double()])
def test_kinds_of_arguments(given):
    compiled = narae.compile(lambda x, scale=1.0: x * scale)
    x = x_of()
    for _ in range(2):
        close(compiled(given(x)), narae.as_tensor(given(x)))
        close(compiled(given(x), scale=2.0), narae.as_tensor(given(x)) * 2)
    with narae.no_grad():
        close(compiled(given(x)), narae.as_tensor(given(x)))
    assert compiled.traces == 3


def test_a_copied_model_has_a_step_of_its_own():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(narae.ones(3))
            self.forward = narae.compile(self.apply_scale)

        def apply_scale(self, x):
            return self.scale * x

    model = Model()
    model(x_of())
    twin = copy.deepcopy(model)
    with narae.no_grad():
        twin.scale.fill_(3)
    close(twin(x_of()), x_of() * 3)
    close(model(x_of()), x_of())


# --- writing ----------------------------------------------------------------------------------


class Failing:
    """A runner that is interrupted at one of its parts."""

    def __init__(self, runner, part):
        self.runner, self.part, self.times = runner, part, 0

    def __call__(self, inputs):
        outputs = self.runner(inputs)
        self._fail("run")
        return outputs

    def write(self):
        self._fail("before the write")
        self.runner.write()
        self._fail("after the write")

    def _fail(self, part):
        self.times += part == self.part
        if part == self.part and self.times == 1:
            raise KeyboardInterrupt


@pytest.mark.parametrize("part", ["run", "before the write", "after the write"])
def test_an_interrupt_leaves_all_or_nothing(part):
    training, twin = Training(), Training(compiled=False)
    for seed in range(2):
        narae.manual_seed(seed)
        training.step(x_of())
        narae.manual_seed(seed)
        twin.step(x_of())
    (plan,) = plans(training.step)
    runner = plan.runner
    plan.runner = Failing(runner, part)
    narae.manual_seed(7)
    stream = narae.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        training.step(x_of())
    assert narae.equal(narae.get_rng_state(), stream) == (part == "run")
    plan.runner = runner
    if part != "run":
        narae.manual_seed(7)
        twin.step(x_of())
    close(training.state(), twin.state())
    narae.manual_seed(8)
    training.step(x_of())
    narae.manual_seed(8)
    twin.step(x_of())
    close(training.state(), twin.state())
    close(training.optimizer.state_dict()["state"], twin.optimizer.state_dict()["state"])


def test_a_step_that_calls_itself_while_it_runs():
    """By a schedule, say, which the host moves on before each run."""
    training = Training()
    again = []

    def rate(epoch):
        if again:
            inner(x_of())
        return 1.0

    scheduler = narae.optim.lr_scheduler.LambdaLR(training.optimizer, rate)

    @narae.compile
    def inner(x):
        loss = training.head(training.model(x)).sum()
        scheduler.step()
        return loss

    training.step(x_of())
    inner(x_of())
    again.append(True)
    before = training.state()
    with pytest.raises(RuntimeError, match="inner was called again while it was running"):
        inner(x_of())
    close(training.state(), before)
    again.clear()
    inner(x_of())


def test_another_storage_under_a_captured_tensor():
    model = nn.Linear(3, 2)
    compiled = narae.compile(lambda x: model(x))
    for number in range(3):
        model.weight.data = narae.full((2, 3), float(number))
        close(compiled(x_of()), model(x_of()))
    assert compiled.traces == 1
    model.weight.data = narae.ones(5, 3)
    with pytest.raises(RuntimeError, match="keep shapes and dtypes"):
        compiled(x_of())


def test_memory_that_may_not_be_written():
    array = np.ones(3, np.float32)
    array.flags.writeable = False
    compiled = narae.compile(lambda x: x.add_(1))
    with pytest.raises(RuntimeError, match="x is read-only"):
        compiled(narae.from_numpy(array))
    frozen = narae.from_numpy(array)
    with pytest.raises(RuntimeError, match="frozen is read-only"):
        narae.compile(lambda: frozen.add_(1))()


def test_an_argument_that_shares_memory_at_a_later_call():
    state = narae.zeros(6)

    @narae.compile
    def step(x):
        state.add_(1)
        return (x + state[:3]).sum()

    assert step(narae.ones(3)).item() == 6
    with pytest.raises(RuntimeError, match="memory that its input x shares"):
        step(state.detach()[:3])
    assert state.tolist() == [1.0] * 6
    assert step(narae.ones(3)).item() == 9


def test_results_are_not_shared_with_the_program():
    compiled = narae.compile(lambda x: (x + 1, narae.tensor([1.0, 2.0])), verify=False)
    compiled(x_of())[1].zero_()
    assert compiled(x_of())[1].tolist() == [1.0, 2.0]


class Grown(nn.Module):
    """exp(x·w): its gradient is computed from its result, from x and from w."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(narae.ones(3))

    def forward(self, x):
        return (x * self.w).exp()


@pytest.mark.parametrize("what", ["result", "x", "w", "nothing"])
def test_what_was_changed_between_forward_and_backward(what):
    layer = Grown()
    module = narae.compile(layer)
    x = x_of().requires_grad_()
    out = module(x)
    with narae.no_grad():
        changed = {"result": out, "x": x, "w": layer.w}.get(what)
        if changed is not None:
            changed.add_(1)
    if changed is not None:
        with pytest.raises(RuntimeError, match="inplace operation"):
            out.sum().backward()
    else:
        out.sum().backward()
        close(x.grad, x.detach().exp())
        ((pair,),) = [module._pairs.values()]
        assert len(pair.forward.outputs) == 1  # nothing is handed out twice


def test_two_threads_call_one_step():
    """Footgun 23: calls come one after the other: each adds 1 and sees its own result."""
    total = narae.zeros(1000)

    @narae.compile
    def step(x):
        total.add_(x)
        return total.mean()

    seen, one = [], narae.ones(1000)
    step(one)
    threads = [
        threading.Thread(target=lambda: seen.extend(step(one).item() for _ in range(100)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [float(number) for number in range(2, 402)]


# --- what is the same -------------------------------------------------------------------------


def test_programs_that_are_the_same():
    def program(function, *arguments):
        return form(narae.program_of(function)(*arguments))

    x, constant = narae.ones(2), np.arange(3000.0)
    same = [lambda a: a * 2.0 + 1, lambda b: b * 2.0 + 1]
    assert program(same[0], x) == program(same[1], x)
    different = [
        (lambda a: a.sum() * 2.0, lambda a: a.sum() * narae.tensor(2.0)),
        (lambda a: a * 0.0, lambda a: a * -0.0),
        (lambda a: a.sum(0), lambda a: a.mean(0)),
        (lambda a: a + a, lambda a: a + (a + 0)),
        (lambda a: (a, a + 1), lambda a: (a + 1, a)),
        (lambda a: a.sum() + narae.tensor(constant), lambda a: a.sum() + narae.tensor(other)),
    ]
    other = constant.copy()
    other[1500] += 1e-9
    for one, two in different:
        assert program(one, x) != program(two, x)
    assert program(same[0], x) != program(same[0], narae.ones(3))
    assert program(same[0], x) != program(same[0], x.double())


# --- what is said -----------------------------------------------------------------------------


def test_explain():
    training = Training()
    training.step(x_of())
    training.step(x_of(2))
    report = training.step.explain(x_of(2))
    assert [plan.reason for plan in report.plans] == ["the first call", "a call of a new kind"]
    assert [plan.calls for plan in report.plans] == [1, 1]
    assert report.plans[0].executor == executors.executor_named(None).name
    assert report.plans[0].memory["inputs"] > report.plans[1].memory["inputs"]
    assert str(report.plans[0].program).splitlines()[1].strip() in str(report)
    training.model.eval()
    reasons = [plan.reason for plan in training.step.explain(x_of()).plans]
    assert "modules were switched between train() and eval()" in reasons


def test_explain_a_module():
    module = narae.compile(nn.Linear(3, 2))
    assert len(module.explain(x_of()).plans) == 1
    module(x_of()).sum().backward()
    report = module.explain(x_of())
    assert [part.title.split(", ")[1] for part in report.parts] == ["forward", "backward"]
    assert "matmul" in str(report)
