"""What is around the update rules: groups, hooks, subclasses, and numbers of the host."""

import pytest

import narae
from narae import optim
from narae.optim.sgd import update as sgd_update
from narae.tensors import epoch
from narae.tensors.host import host_action, host_scalars


def leaf(*values):
    return narae.tensor(list(values), requires_grad=True)


def with_grad(p, *values):
    p.grad = narae.tensor(list(values))
    return p


# --- host numbers ---------------------------------------------------------------------------


class Owner:
    def host_state(self):
        return None

    def restore_host_state(self, snapshot):
        raise AssertionError("nothing failed")


def test_eagerly_the_host_just_computes():
    done = []
    assert host_scalars(Owner(), lambda: (1.0, 2.0), ("lr", "momentum")) == (1.0, 2.0)
    host_action(Owner(), lambda: done.append(1))
    assert done == [1]


def test_in_a_trace_the_host_computes_before_each_call():
    counts = [0]

    def compute():
        counts[0] += 1
        return (counts[0] * 0.5, counts[0] * 2.0)

    @narae.compile
    def step(x):
        first, second = host_scalars(Owner(), compute, ("first", "second"))
        host_action(Owner(), lambda: counts.append(counts[0]))
        return x * first + second

    x = narae.tensor([1.0, 2.0])
    for number in range(1, 6):
        out = step(x)
        assert out.tolist() == [2.5 * number, 3.0 * number]
        assert out.dtype is narae.float32  # like a Python number in promotion
    assert counts == [5, 1, 2, 3, 4, 5]
    assert step.traces == 1


# --- groups ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "matters"),
    [
        ("lr", 0.0, False),
        ("lr", 0.5, False),
        ("momentum", 0.5, False),
        ("momentum", 0, True),
        ("weight_decay", 0.1, True),
        ("nesterov", True, True),
        ("maximize", True, True),
        ("note", "mine", True),
    ],
)
def test_which_writes_compiled_steps_look_at(key, value, matters):
    optimizer = optim.SGD([leaf(1.0)], lr=0.1, momentum=0.9)
    before = epoch.current()
    optimizer.param_groups[0][key] = value
    assert (epoch.current() != before) == matters


def test_groups_stay_dicts():
    optimizer = optim.SGD([leaf(1.0)], lr=0.1)
    group = optimizer.param_groups[0]
    assert isinstance(group, dict)
    before = epoch.current()
    group.update(lr=0.2, nesterov=False)  # as it was
    assert group["lr"] == 0.2
    assert epoch.current() == before
    group["extra"] = 1
    assert group.pop("extra") == 1
    assert group.setdefault("lr", 5) == 0.2
    assert epoch.current() > before


def test_added_groups():
    first, second = leaf(1.0), leaf(2.0)
    optimizer = optim.Adam([first], lr=0.1)
    optimizer.add_param_group({"params": second, "lr": 0.5})
    for p in (first, second):
        with_grad(p, 1.0)
    optimizer.step()
    assert first.item() == pytest.approx(0.9)
    assert second.item() == pytest.approx(1.5)
    with pytest.raises(ValueError, match="more than one parameter group"):
        optimizer.add_param_group({"params": [first]})
    with pytest.raises(TypeError, match="must be a dict"):
        optimizer.add_param_group([leaf(1.0)])


def test_duplicates_are_noticed():
    p = leaf(1.0)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([p, p], lr=0.1)


def test_parameters_without_gradients_are_left_alone():
    p, other = leaf(1.0), leaf(2.0)
    optimizer = optim.Adam([p, other], lr=0.1, weight_decay=0.1)
    with_grad(p, 1.0)
    optimizer.step()
    assert other.item() == 2.0
    assert other not in optimizer.state or not optimizer.state[other]


def test_zero_grad():
    p = with_grad(leaf(1.0), 3.0)
    optimizer = optim.SGD([p], lr=0.1)
    kept = p.grad
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is kept
    assert kept.tolist() == [0.0]
    optimizer.zero_grad()
    assert p.grad is None


def test_zero_grad_of_a_gradient_with_a_graph():
    p = leaf(2.0)
    (p**3).sum().backward(create_graph=True)
    assert p.grad.requires_grad
    optim.SGD([p], lr=0.1).zero_grad(set_to_none=False)
    assert not p.grad.requires_grad
    assert p.grad.tolist() == [0.0]


# --- hooks and subclasses -------------------------------------------------------------------


def test_step_hooks():
    p = with_grad(leaf(1.0), 1.0)
    optimizer = optim.SGD([p], lr=0.25)
    seen = []
    handles = [
        optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append(("pre", p.item()))),
        optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(("post", p.item()))),
    ]
    optimizer.step()
    assert seen == [("pre", 1.0), ("post", 0.75)]
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert len(seen) == 2


def test_a_pre_hook_may_replace_the_arguments():
    p = leaf(1.0)
    optimizer = optim.SGD([p], lr=0.25)
    optimizer.register_step_pre_hook(lambda o, args, kwargs: (args, {"closure": lambda: "mine"}))
    assert optimizer.step() == "mine"


def test_state_dict_hooks():
    optimizer = optim.SGD([leaf(1.0)], lr=0.25)
    seen = []
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("pre"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "extra": 1})
    optimizer.register_load_state_dict_pre_hook(
        lambda o, state: {key: state[key] for key in ("state", "param_groups")}
    )
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("loaded"))
    state = optimizer.state_dict()
    assert state["extra"] == 1
    optimizer.load_state_dict(state)
    assert seen == ["pre", "loaded"]


class SignDescent(optim.Optimizer):
    """An optimizer written as PyTorch's tutorials do."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})

    @narae.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                state["step"] = state.get("step", 0) + 1
                p.add_(p.grad.sign(), alpha=-group["lr"])


def test_an_optimizer_of_ones_own():
    p = with_grad(leaf(1.0, -1.0), 3.0, -0.5)
    optimizer = SignDescent([p])
    called = []
    optimizer.register_step_post_hook(lambda o, args, kwargs: called.append(1))
    optimizer.step()
    assert p.tolist() == pytest.approx([0.9, -0.9])
    assert called == [1]
    scheduler = optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.05
    after = SignDescent([p])
    after.load_state_dict(optimizer.state_dict())
    assert after.state[p]["step"] == 2
    assert after.param_groups[0]["lr"] == 0.05


def test_its_learning_rate_is_a_constant_that_a_compiled_step_looks_at():
    p = leaf(0.0)
    optimizer = SignDescent([p], lr=1.0)

    @narae.compile(verify=False)
    def step(x):
        optimizer.zero_grad()
        (p * x).sum().backward()
        optimizer.step()

    step(narae.tensor([1.0]))
    optimizer.param_groups[0]["lr"] = 10.0
    step(narae.tensor([1.0]))
    assert p.item() == -11.0


def test_what_is_not_there_says_so():
    with pytest.raises(NotImplementedError, match=r"must override step\(\)"):
        optim.Optimizer([leaf(1.0)], {}).step()
    with pytest.raises(NotImplementedError, match="differentiable=True"):
        optim.SGD([leaf(1.0)], lr=0.1, differentiable=True)


def test_a_rule_is_a_plain_function():
    p, velocity = narae.tensor([1.0]), narae.tensor([2.0])
    sgd_update(p, narae.tensor([4.0]), velocity, lr=0.5, momentum=0.5, keep=1.0, nesterov=False)
    assert velocity.item() == 5.0
    assert p.item() == -1.5
