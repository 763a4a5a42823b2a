"""Compiled steps give the bits that eager steps give, on the reference executor.

On others they give nearly the same numbers. Every case builds the same thing twice from one seed,
runs the same steps eagerly and compiled, and compares every loss and every number of every state
afterwards.
"""

import numpy as np
import pytest

import narae
from narae import nn
from narae.nn import functional as F
from tests.executors import close, kept, on_every_executor

pytestmark = on_every_executor

BATCHES = 6


def batches(count=BATCHES, size=8, features=5, classes=3, last=None, seed=7):
    rng = np.random.default_rng(seed)
    sizes = [size] * count
    if last is not None:
        sizes[-1] = last
    return [
        (
            narae.from_numpy(rng.normal(size=(n, features)).astype(np.float32)),
            narae.from_numpy(rng.integers(0, classes, size=n)),
        )
        for n in sizes
    ]


def bits(state):
    """Every tensor of a nested state as bytes."""
    if isinstance(state, narae.Tensor):
        array = state.detach().numpy()
        return (array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes())
    if isinstance(state, dict):
        return {key: bits(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [bits(value) for value in state]
    return state


class Case:
    """A step with everything it changes: `objects` have a `state_dict`."""

    def __init__(self, step, *objects, after_epoch=None):
        self.step, self.objects, self.after_epoch = step, objects, after_epoch


def run(build, data, compiled, epochs=2, **options):
    narae.manual_seed(3)
    case = build()
    step = narae.compile(case.step, **options) if compiled else case.step
    losses = []
    for _ in range(epochs):
        for arguments in data:
            losses.append(kept(step(*arguments)))
        if case.after_epoch is not None:
            case.after_epoch()
    states = [kept(item.state_dict()) for item in case.objects]
    return losses, states, bits(narae.get_rng_state()), step


def assert_same(build, data=None, **options):
    data = batches() if data is None else data
    eager = run(build, data, compiled=False)
    fast = run(build, data, compiled=True, **options)
    close(fast[0], eager[0], "losses")
    close(fast[1], eager[1], "states")
    assert fast[2] == eager[2], "random streams differ"
    return fast[3]


def mlp(*extra):
    # Before a normalisation a bias has no gradient but rounding, which Adam blows up.
    bias = not any(isinstance(layer, nn.BatchNorm1d) for layer in extra)
    return nn.Sequential(nn.Linear(5, 16, bias), *extra, nn.ReLU(), nn.Linear(16, 3))


def plain_step(model, optimizer):
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


OPTIMIZERS = {
    "sgd": lambda p: narae.optim.SGD(p, lr=0.1),
    "momentum": lambda p: narae.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "nesterov": lambda p: narae.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adagrad": lambda p: narae.optim.Adagrad(p, lr=0.1, lr_decay=0.01),
    "adadelta": lambda p: narae.optim.Adadelta(p),
    "rmsprop": lambda p: narae.optim.RMSprop(p, momentum=0.5, centered=True),
    "adam": lambda p: narae.optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: narae.optim.AdamW(p, lr=0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    def build():
        model = mlp()
        optimizer = OPTIMIZERS[name](model.parameters())
        return Case(plain_step(model, optimizer), model, optimizer)

    step = assert_same(build)
    assert step.traces == 1


def test_batch_norm_buffers():
    def build():
        model = mlp(nn.BatchNorm1d(16))
        optimizer = narae.optim.Adam(model.parameters())
        return Case(plain_step(model, optimizer), model, optimizer)

    assert assert_same(build).traces == 1


def test_dropout_keys():
    def build():
        model = mlp(nn.Dropout(0.4))
        optimizer = narae.optim.SGD(model.parameters(), lr=0.1)
        return Case(plain_step(model, optimizer), model, optimizer)

    assert_same(build)


def test_convolution_network():
    rng = np.random.default_rng(0)
    data = [
        (
            narae.from_numpy(rng.normal(size=(4, 1, 8, 8)).astype(np.float32)),
            narae.from_numpy(rng.integers(0, 3, size=4)),
        )
        for _ in range(3)
    ]

    def build():
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1, bias=False),  # as in mlp
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(64, 3),
        )
        optimizer = narae.optim.Adam(model.parameters())
        return Case(plain_step(model, optimizer), model, optimizer)

    assert_same(build, data)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_recurrent_layers_by_scan(kind):
    rng = np.random.default_rng(1)
    data = [
        (
            narae.from_numpy(rng.normal(size=(4, 6, 5)).astype(np.float32)),
            narae.from_numpy(rng.integers(0, 3, size=4)),
        )
        for _ in range(3)
    ]

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = getattr(nn, kind)(5, 7, batch_first=True)
            self.head = nn.Linear(7, 3)

        def forward(self, x):
            out, _ = self.rnn(x)
            return self.head(out[:, -1])

    def build():
        model = Net()
        optimizer = narae.optim.Adam(model.parameters())
        return Case(plain_step(model, optimizer), model, optimizer)

    step = assert_same(build, data)
    program = step.program(*data[0])
    assert any(node.operation.name == "scan" for node in program.walk())


def test_scheduler_outside_the_step():
    def build():
        model = mlp()
        optimizer = narae.optim.SGD(model.parameters(), lr=0.5)
        scheduler = narae.optim.lr_scheduler.StepLR(optimizer, 1, 0.1)
        return Case(
            plain_step(model, optimizer), model, optimizer, scheduler, after_epoch=scheduler.step
        )

    assert assert_same(build).traces == 1


def test_scheduler_inside_the_step():
    def build():
        model = mlp()
        optimizer = narae.optim.Adam(model.parameters(), lr=0.05)
        scheduler = narae.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
        inner = plain_step(model, optimizer)

        def step(x, y):
            loss = inner(x, y)
            scheduler.step()
            return loss

        return Case(step, model, optimizer, scheduler)

    assert_same(build)


def test_clipping():
    def build():
        model = mlp()
        optimizer = narae.optim.SGD(model.parameters(), lr=0.5)

        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x) * 10, y)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 0.3)
            optimizer.step()
            return loss, norm

        return Case(step, model, optimizer)

    assert_same(build)


def test_gradient_accumulation_across_calls():
    """Gradients that a step adds to are state."""

    def build():
        model = mlp()
        optimizer = narae.optim.SGD(model.parameters(), lr=0.1)
        calls = [0]

        def backward(x, y):
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        runner = {}

        def step(x, y):
            loss = runner.get("step", backward)(x, y)
            calls[0] += 1
            if calls[0] % 3 == 0:
                optimizer.step()
                optimizer.zero_grad()
            return loss

        case = Case(step, model, optimizer)
        case.runner, case.backward = runner, backward
        return case

    eager = run(build, batches(), compiled=False)
    narae.manual_seed(3)
    case = build()
    case.runner["step"] = narae.compile(case.backward)
    losses = [kept(case.step(*arguments)) for _ in range(2) for arguments in batches()]
    close(losses, eager[0])
    close([item.state_dict() for item in case.objects], eager[1])


def test_gradient_accumulation_inside_the_step():
    def build():
        model = mlp()
        optimizer = narae.optim.Adam(model.parameters())

        def step(x, y):
            optimizer.zero_grad()
            total = 0
            for half in (slice(0, 4), slice(4, 8)):
                loss = F.cross_entropy(model(x[half]), y[half]) / 2
                loss.backward()
                total = total + loss.detach()
            optimizer.step()
            return total

        return Case(step, model, optimizer)

    assert_same(build)


def test_smaller_last_batch():
    def build():
        model = mlp()
        optimizer = narae.optim.Adam(model.parameters())
        return Case(plain_step(model, optimizer), model, optimizer)

    assert assert_same(build, batches(last=3)).traces == 2


def test_two_optimizers():
    def build():
        first, second = nn.Linear(5, 4), nn.Linear(4, 3)
        one = narae.optim.SGD(first.parameters(), lr=0.1, momentum=0.9)
        two = narae.optim.Adam(second.parameters(), lr=0.01)

        def step(x, y):
            one.zero_grad()
            two.zero_grad()
            loss = F.cross_entropy(second(first(x).tanh()), y)
            loss.backward()
            one.step()
            two.step()
            return loss

        return Case(step, first, second, one, two)

    assert_same(build)


def test_checkpointing():
    from narae.utils.checkpoint import checkpoint

    def build():
        model = mlp(nn.Dropout(0.3))
        optimizer = narae.optim.SGD(model.parameters(), lr=0.1)

        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(checkpoint(model, x, use_reentrant=False), y)
            loss.backward()
            optimizer.step()
            return loss

        return Case(step, model, optimizer)

    assert_same(build)


def test_frozen_layer():
    def build():
        model = mlp()
        model[0].requires_grad_(False)
        optimizer = narae.optim.Adam([p for p in model.parameters() if p.requires_grad])
        return Case(plain_step(model, optimizer), model, optimizer)

    assert_same(build)


def test_freezing_between_steps_traces_again():
    def build():
        model = mlp()
        optimizer = narae.optim.SGD(model.parameters(), lr=0.1)
        case = Case(plain_step(model, optimizer), model, optimizer)
        case.after_epoch = lambda: model[0].requires_grad_(False)
        return case

    assert assert_same(build).traces == 2


def test_weight_tying():
    def build():
        encode, decode = nn.Linear(5, 5, bias=False), nn.Linear(5, 5, bias=False)
        decode.weight = encode.weight
        model = nn.Sequential(encode, nn.Tanh(), decode)
        optimizer = narae.optim.Adam(model.parameters())
        return Case(plain_step(model, optimizer), model, optimizer)

    assert_same(build)


def test_escaping_loss_is_a_tensor_or_an_error():
    model = mlp()
    optimizer = narae.optim.SGD(model.parameters(), lr=0.1)
    kept = []

    @narae.compile
    def step(x, y):
        loss = F.cross_entropy(model(x), y)
        kept.append(loss)
        return loss

    x, y = batches(1)[0]
    loss = step(x, y)
    assert loss.requires_grad
    close(loss, F.cross_entropy(model(x), y))
    with pytest.raises(RuntimeError, match="backward\\(\\) inside the step"):
        loss.backward()
    with pytest.raises(RuntimeError, match="inside a traced step and kept"):
        kept[0].item()
    del optimizer


def test_exception_in_the_middle_of_a_trace_changes_nothing():
    model = mlp(nn.BatchNorm1d(16), nn.Dropout(0.5))
    optimizer = narae.optim.Adam(model.parameters())
    x, y = batches(1)[0]
    before = bits(model.state_dict()), bits(narae.get_rng_state())

    @narae.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        if loss.item() > 0:
            raise AssertionError("never reached")
        return loss

    with pytest.raises(RuntimeError, match="while its step is traced"):
        step(x, y)
    assert (bits(model.state_dict()), bits(narae.get_rng_state())) == before
    assert all(parameter.grad is None for parameter in model.parameters())
    F.cross_entropy(model(x), y).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_bad_label_when_it_runs_changes_nothing():
    """An error that only numbers can cause: raised before anything is written."""
    model = mlp(nn.BatchNorm1d(16), nn.Dropout(0.5))
    optimizer = narae.optim.Adam(model.parameters())
    step = narae.compile(plain_step(model, optimizer))
    data = batches(2)
    step(*data[0])
    states = bits(model.state_dict()), bits(optimizer.state_dict()), bits(narae.get_rng_state())
    bad = data[1][1].clone()
    bad[3] = 17
    with pytest.raises(IndexError, match="17"):
        step(data[1][0], bad)
    after = bits(model.state_dict()), bits(optimizer.state_dict()), bits(narae.get_rng_state())
    assert after == states
    step(*data[1])


def test_state_dict_taken_and_loaded_between_steps():
    def build():
        model = mlp(nn.BatchNorm1d(16))
        optimizer = narae.optim.Adam(model.parameters(), lr=0.01)
        return model, optimizer, plain_step(model, optimizer)

    import copy

    data = batches()
    outcomes = []
    for compiled in (False, True):
        narae.manual_seed(0)
        model, optimizer, step = build()
        step = narae.compile(step) if compiled else step
        for arguments in data[:3]:
            step(*arguments)
        saved = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
        for arguments in data[3:]:
            step(*arguments)
        model.load_state_dict(saved[0])
        optimizer.load_state_dict(saved[1])
        losses = [kept(step(*arguments)) for arguments in data[3:]]
        outcomes.append((losses, model.state_dict(), optimizer.state_dict()))
    close(outcomes[1], outcomes[0])


def test_compiled_module_is_one_node():
    x, y = batches(1)[0]
    narae.manual_seed(0)
    model = mlp(nn.BatchNorm1d(16))
    twin = mlp(nn.BatchNorm1d(16))
    twin.load_state_dict(model.state_dict())
    fast = narae.compile(twin)
    for _ in range(3):
        F.cross_entropy(model(x), y).backward()
        out = fast(x)
        assert out.grad_fn.name == "CompiledModuleBackward"
        F.cross_entropy(out, y).backward()
        close(twin.state_dict(), model.state_dict())
        for one, two in zip(model.parameters(), twin.parameters(), strict=True):
            close(two.grad, one.grad)


def test_keep_grads():
    x, y = batches(1)[0]
    model = mlp()
    twin = mlp()
    twin.load_state_dict(model.state_dict())
    optimizer = narae.optim.SGD(model.parameters(), lr=0.1)
    plain_step(model, optimizer)(x, y)
    other = narae.optim.SGD(twin.parameters(), lr=0.1)
    narae.compile(plain_step(twin, other), keep_grads=True)(x, y)
    for one, two in zip(model.parameters(), twin.parameters(), strict=True):
        close(two.grad, one.grad)


def test_gradient_that_was_not_kept_says_so():
    x, y = batches(1)[0]
    model = mlp()
    optimizer = narae.optim.SGD(model.parameters(), lr=0.1)
    narae.compile(plain_step(model, optimizer))(x, y)
    with pytest.raises(RuntimeError, match="keep_grads=True"):
        _ = model[0].weight.grad
    optimizer.zero_grad()
    assert model[0].weight.grad is None


def test_taps_by_path_and_by_name():
    model = mlp()

    def step(x):
        return narae.tap("scaled", model(x) * 2)

    compiled = narae.compile(step, taps={"0": lambda out: out.abs().mean(), "scaled": lambda t: t})
    x, _ = batches(1)[0]
    out = compiled(x)
    assert narae.allclose(compiled.taps["0"], model[0](x).abs().mean())
    assert bits(compiled.taps["scaled"]) == bits(out)
    with pytest.raises(RuntimeError, match="no intermediate named"):
        narae.compile(step, taps=["nonsense"])(x)


def test_random_numbers_inside_a_step():
    def build():
        model = mlp()
        optimizer = narae.optim.SGD(model.parameters(), lr=0.1)

        def step(x, y):
            noisy = x + 0.1 * narae.randn(x.shape) + narae.rand_like(x)
            return plain_step(model, optimizer)(noisy, y)

        return Case(step, model, optimizer)

    assert_same(build)


def test_hooks_run_when_traced():
    """Hooks of tensors and of modules are part of the program."""

    def build():
        model = mlp()
        optimizer = narae.optim.SGD(model.parameters(), lr=0.1)
        model[0].register_forward_hook(lambda module, args, out: out * 1.5)
        model[0].weight.register_hook(lambda grad: grad.clamp(-0.01, 0.01))

        def step(x, y):
            optimizer.zero_grad()
            hidden = model[0](x)
            hidden.register_hook(lambda grad: grad * 0.5)
            loss = F.cross_entropy(model[2](model[1](hidden)), y)
            loss.backward()
            optimizer.step()
            return loss

        return Case(step, model, optimizer)

    assert assert_same(build).traces == 1


def test_second_derivatives_inside_a_step():
    """A gradient penalty: backward through `grad(create_graph=True)`."""

    def build():
        model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
        optimizer = narae.optim.Adam(model.parameters())

        def step(x, y):
            optimizer.zero_grad()
            x = x.detach().requires_grad_()
            loss = F.cross_entropy(model(x), y)
            (slope,) = narae.autograd.grad(loss, x, create_graph=True)
            (loss + 10 * slope.square().sum()).backward()
            optimizer.step()
            return loss

        return Case(step, model, optimizer)

    assert_same(build)


def test_in_place_writes_through_views_inside_a_step():
    def build():
        model = mlp()
        optimizer = narae.optim.SGD(model.parameters(), lr=0.1)
        memory = narae.zeros(8, 3)

        class Memory:
            @staticmethod
            def state_dict():
                return {"memory": memory}

        def step(x, y):
            optimizer.zero_grad()
            scores = model(x)
            doubled = scores.clone()
            doubled[:, 1:].mul_(2)
            doubled.t()[0].add_(scores[:, 2])
            memory[::2] += doubled.detach()[::2]
            memory.view(-1)[3:5].zero_()
            loss = F.cross_entropy(doubled, y) + memory.mean()
            loss.backward()
            optimizer.step()
            return loss

        return Case(step, model, optimizer, Memory)

    assert_same(build)
