"""The page of footguns (docs/footguns.md): one test for each number on it."""

import random
from threading import Thread

import numpy as np
import pytest

import narae
from narae import nn
from tests.executors import close, on_every_executor

pytestmark = on_every_executor


def linear():
    narae.manual_seed(0)
    return nn.Linear(3, 2)


def training_step(model, optimizer, scale=None):
    def step(x):
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    return step


def x_of(rows=4, seed=0):
    return narae.from_numpy(np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32))


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x.sum().item(),
        lambda x: 1 if x.sum() > 0 else 0,
        lambda x: float(x.sum()),
        lambda x: x.numpy(),
        lambda x: x.tolist(),
        lambda x: np.asarray(x),
        lambda x: list(range(x.argmax())),
    ],
)
def test_01_reading_numbers_is_an_error(read):
    compiled = narae.compile(lambda x: read(x))
    with pytest.raises(RuntimeError, match=r"test_footguns\.py.*narae\.where"):
        compiled(x_of())


def test_02_escaping_tensor():
    kept = []

    def step(x):
        kept.append(x * 2)
        return x.sum()

    narae.compile(step)(x_of())
    for use in (
        lambda t: t.item(),
        lambda t: t + 1,
        lambda t: t * t,
        lambda t: -t,
        lambda t: t.numpy(),
        lambda t: t.tolist(),
    ):
        with pytest.raises(RuntimeError, match="Fix: return it from the step"):
            use(kept[0])


def test_03_numbers_of_closures_and_globals_are_guarded():
    factor = 2.0

    def step(x):
        return x * factor

    compiled = narae.compile(step)
    x = x_of()
    for factor in (2.0, 3.0, 3.0, 2.0):
        close(compiled(x), x * factor)
    assert compiled.traces == 2  # the program for 2.0 is found again


def test_04_hidden_numbers_are_found_when_traced_again():
    hidden = {"factor": 2.0}
    compiled = narae.compile(lambda x: x * hidden["factor"])
    x = x_of()
    compiled(x)
    hidden["factor"] = 5.0
    with pytest.raises(RuntimeError, match=r"mul\(x, 2\.0\)[\s\S]*mul\(x, 5\.0\)"):
        compiled(x)


@pytest.mark.parametrize("draw", [random.random, np.random.rand])
def test_05_foreign_random_numbers(draw):
    compiled = narae.compile(lambda x: x * float(draw()))
    compiled(x_of())
    with pytest.raises(RuntimeError, match="baked in as a constant"):
        compiled(x_of())


def test_05_narae_random_numbers_are_drawn_anew():
    compiled = narae.compile(lambda x: x + narae.rand(4, 3))
    narae.manual_seed(1)
    found = [compiled(x_of()) for _ in range(3)]
    narae.manual_seed(1)
    for out in found:
        close(out, x_of() + narae.rand(4, 3))


def test_06_learning_rate_is_not_traced_again():
    outcomes = []
    for wrap in (lambda step: step, narae.compile):
        model = linear()
        optimizer = narae.optim.SGD(model.parameters(), lr=0.1)
        step = wrap(training_step(model, optimizer))
        for rate in (0.1, 0.01, 0.001):
            optimizer.param_groups[0]["lr"] = rate
            step(x_of())
        outcomes.append(model.weight.detach().clone())
    close(*outcomes)
    assert step.traces == 1


def test_07_train_and_eval_are_noticed():
    model = nn.Sequential(nn.Dropout(0.5))
    compiled = narae.compile(lambda x: model(x))
    x = x_of()
    assert not narae.equal(compiled(x), x)
    model.eval()
    close(compiled(x), x)
    model.train()
    assert not narae.equal(compiled(x), x)
    model[0].p = 0.0
    close(compiled(x), x)


def test_07_train_and_eval_in_turn():
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
    compiled = narae.compile(lambda x: model(x))
    for mode in (True, False) * 3:
        model.train(mode)
        narae.manual_seed(1)
        out = compiled(x_of())
        narae.manual_seed(1)
        close(out, model(x_of()))
    assert compiled.traces == 2


def test_08_replaced_parameter():
    model = linear()
    compiled = narae.compile(lambda x: model(x))
    x = x_of()
    compiled(x)
    model.weight = nn.Parameter(narae.ones(2, 3))
    close(compiled(x), model(x))


def test_09_loaded_state():
    model, other = linear(), nn.Linear(3, 2)
    compiled = narae.compile(lambda x: model(x))
    x = x_of()
    compiled(x)
    model.load_state_dict(other.state_dict())
    close(compiled(x), other(x))
    assert compiled.traces == 1


def test_10_other_shapes_and_dtypes():
    compiled = narae.compile(lambda x: (x * 2).sum(0))
    for x in (x_of(4), x_of(2), x_of(4), x_of(4).double(), x_of(2)):
        close(compiled(x), (x * 2).sum(0))
    assert compiled.traces == 3


def test_11_python_numbers_as_arguments():
    compiled = narae.compile(lambda x, factor: x * factor)
    for factor in (1.0, 2.0, 1.0, 1, True):
        close(compiled(x_of(), factor), x_of() * factor)
    assert compiled.traces == 4


def test_12_gradients_afterwards():
    model = linear()
    optimizer = narae.optim.SGD(model.parameters(), lr=0.1)
    narae.compile(training_step(model, optimizer))(x_of())
    with pytest.raises(RuntimeError, match="keep_grads=True"):
        _ = model.weight.grad
    with pytest.raises(RuntimeError, match="keep_grads=True"):
        model(x_of()).sum().backward()


def test_13_gradients_add_up():
    outcomes = []
    for wrap in (lambda step: step, narae.compile):
        model = linear()
        step = wrap(lambda x, model=model: (model(x) ** 2).sum().backward())
        for seed in range(3):
            step(x_of(seed=seed))
        outcomes.append(model.weight.grad.clone())
    close(*outcomes)


def test_14_backward_of_a_result():
    model = linear()
    loss = narae.compile(lambda x: model(x).sum())(x_of())
    with pytest.raises(RuntimeError, match="call backward\\(\\) inside the step"):
        loss.backward()


def test_15_graph_from_outside():
    model = linear()
    outside = model(x_of())

    def step():
        outside.sum().backward()

    with pytest.raises(RuntimeError, match="from outside the step"):
        narae.compile(step)()
    assert model.weight.grad is None


def test_16_side_effects_happen_when_traced(capsys):
    seen = []

    def step(x):
        seen.append(1)
        print(x * 2)
        return x

    compiled = narae.compile(step, verify=False)
    for _ in range(5):
        compiled(x_of())
    assert len(seen) == 1
    assert "traced" in capsys.readouterr().out


def test_17_selection_by_mask():
    x = x_of()
    with pytest.raises(RuntimeError, match=r"narae\.where"):
        narae.compile(lambda x: x[x > 0])(x)
    with pytest.raises(RuntimeError):
        narae.compile(lambda x: x.nonzero())(x)

    def zero_negative(x):
        x = x.clone()
        x[x < 0] = 0
        return x

    close(narae.compile(zero_negative)(x), x.clamp(min=0))


def test_18_shared_memory():
    base = narae.zeros(6)
    twin = narae.from_numpy(base.numpy())

    def step(x):
        base.add_(x)
        return twin.sum()

    with pytest.raises(RuntimeError, match="memory that its input"):
        narae.compile(step)(narae.ones(6))
    assert base.sum().item() == 0


def test_19_arrays_from_outside_are_constants():
    array = np.ones(3, np.float32)
    compiled = narae.compile(lambda x: x + narae.tensor(array))
    compiled(x_of())
    array[:] = 5
    with pytest.raises(RuntimeError, match="baked in as a constant"):
        compiled(x_of())


def test_20_interrupted_steps_change_nothing():
    model = linear()
    optimizer = narae.optim.Adam(model.parameters())
    step = narae.compile(training_step(model, optimizer))
    step(x_of())
    before = model.weight.detach().clone(), narae.get_rng_state()
    plan = next(plan for plans in step._plans.values() for plan in plans)
    run = plan.runner

    def interrupted(inputs):
        run(inputs)
        raise KeyboardInterrupt

    plan.runner = interrupted
    with pytest.raises(KeyboardInterrupt):
        step(x_of())
    close(model.weight, before[0])
    close(narae.get_rng_state(), before[1])
    plan.runner = run
    twin = linear()
    other = narae.optim.Adam(twin.parameters())
    eager = training_step(twin, other)
    eager(x_of()), eager(x_of())
    step(x_of())
    close(model.weight, twin.weight)  # the step counter went back, too


def test_21_label_out_of_range():
    model = linear()

    def step(x, y):
        return nn.functional.cross_entropy(model(x), y)

    with pytest.raises(IndexError, match="2"):
        narae.compile(step)(x_of(), narae.tensor([0, 1, 2, 0]))


def test_22_compiled_inside_compiled():
    inner = narae.compile(lambda x: x * 2)
    outer = narae.compile(lambda x: inner(x) + 1)
    close(outer(x_of()), x_of() * 2 + 1)
    assert inner.traces == 0


def test_23_several_threads():
    total = narae.zeros(3)

    @narae.compile
    def step(x):
        total.add_(x)

    step(narae.ones(3))
    threads = [Thread(target=lambda: [step(narae.ones(3)) for _ in range(50)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total.tolist() == [151.0] * 3


def test_24_infinity_beside_other_pixels():
    x = narae.zeros(4, 32, 12, 12)
    x[0, 0, 5, 5] = float("inf")
    w = narae.ones(32, 32, 3, 3)
    eager = nn.functional.conv2d(x, w, padding=1).numpy()
    found = narae.compile(lambda x: nn.functional.conv2d(x, w, padding=1))(x).numpy()
    assert np.isinf(eager[0, :, 4:7, 4:7]).all()
    assert not np.isfinite(found[0, :, 4:7, 4:7]).any()
    found[0, :, 4:8, 4:8] = eager[0, :, 4:8, 4:8] = 0  # those who share a tile
    close(found, eager)
