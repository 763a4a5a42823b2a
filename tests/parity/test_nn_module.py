"""`Module` itself: registries, texts, hooks, state and containers behave as PyTorch's."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from narae import nn  # noqa: E402
from narae.tensors import epoch  # noqa: E402
from tests.parity.layer_checks import assert_same, to_narae  # noqa: E402

BOTH = pytest.mark.parametrize("lib", [narae, torch], ids=["narae", "torch"])


def networks(lib):
    """The same models, written once for both."""
    nn = lib.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(lib.ones(2, 1))
            self.features = nn.Sequential(
                OrderedDict(conv=nn.Conv2d(1, 4, 3, bias=False), norm=nn.BatchNorm2d(4))
            )
            self.heads = nn.ModuleDict({"a": nn.Linear(4, 2), "b": nn.Identity()})
            self.blocks = nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Dropout(0.2)])
            self.extra = nn.ParameterList([nn.Parameter(lib.zeros(3)), lib.ones(1)])
            self.named = nn.ParameterDict({"w": nn.Parameter(lib.zeros(2, 2))})
            self.tied = self.heads["a"]
            self.register_buffer("steps", lib.zeros(1, dtype=lib.int64))
            self.register_buffer("cache", lib.zeros(2), persistent=False)
            self.register_buffer("nothing", None)
            self.register_parameter("absent", None)

        def extra_repr(self):
            return "a=1\nb=2"

    class Empty(nn.Module):
        pass

    return [
        Net(),
        Empty(),
        nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True)), nn.Linear(3, 1)),
        nn.ModuleList([nn.Linear(2, 2) for _ in range(3)] + [nn.Sequential(nn.ReLU(), nn.ReLU())]),
        nn.ModuleList([]),
        nn.ParameterList([]),
        nn.ParameterList([lib.ones(2, 3)]),
        nn.ParameterDict({"a": lib.ones(2, 3), "b": lib.zeros(4)}),
        nn.Sequential(),
    ]


def test_texts():  # G14
    for ours, theirs in zip(networks(narae), networks(torch), strict=True):
        assert repr(ours) == repr(theirs).replace("torch.", "narae.")


@pytest.mark.parametrize("remove_duplicate", [True, False])
def test_names(remove_duplicate):
    ours, theirs = networks(narae)[0], networks(torch)[0]
    for walk in ("named_parameters", "named_buffers", "named_modules"):
        options = {"prefix": "model", "remove_duplicate": remove_duplicate}
        found = [name for name, _ in getattr(ours, walk)(**options)]
        assert found == [name for name, _ in getattr(theirs, walk)(**options)]
    for walk in ("named_parameters", "named_buffers"):
        found = [name for name, _ in getattr(ours, walk)(recurse=False)]
        assert found == [name for name, _ in getattr(theirs, walk)(recurse=False)]
    assert [name for name, _ in ours.named_children()] == [n for n, _ in theirs.named_children()]
    assert len(list(ours.modules())) == len(list(theirs.modules()))


def test_state():
    ours, theirs = networks(narae)[0], networks(torch)[0]
    for prefix in ("", "model."):
        our_state, their_state = ours.state_dict(prefix=prefix), theirs.state_dict(prefix=prefix)
        assert list(our_state) == list(their_state)
        assert dict(our_state._metadata) == dict(their_state._metadata)
        for key, value in their_state.items():
            assert tuple(our_state[key].shape) == tuple(value.shape)
    kept = ours.state_dict(keep_vars=True)
    assert kept["scale"] is ours.scale
    assert not ours.state_dict()["scale"].requires_grad
    state = ours.state_dict()
    with narae.no_grad():
        ours.scale.add_(1)
    assert np.array_equal(state["scale"].numpy(), ours.scale.detach().numpy())


def loading_error(lib, change):
    model = lib.nn.Sequential(lib.nn.Linear(2, 3), lib.nn.BatchNorm1d(3))
    state = OrderedDict(model.state_dict())
    change(lib, state)
    before = [x.detach().numpy().copy() for x in model.state_dict().values()]
    with pytest.raises(RuntimeError) as caught:
        model.load_state_dict(state)
    return str(caught.value), before, [x.detach().numpy() for x in model.state_dict().values()]


def rename(lib, state):
    state["0.wait"] = state.pop("0.weight")
    state["zzz.a.b"] = lib.ones(1)
    del state["1.running_mean"]


def resize(lib, state):
    state["0.weight"] = lib.ones(5, 2)
    state["0.bias"] = lib.ones(4)


def both(lib, state):
    rename(lib, state)
    resize(lib, state)
    state.pop("0.weight")
    state["1.weight"] = 3.0


@pytest.mark.parametrize("change", [rename, resize, both])
def test_loading_errors_say_everything_and_change_nothing(change):
    our_text, before, after = loading_error(narae, change)
    their_text, _, _ = loading_error(torch, change)
    expected = their_text.replace("torch.", "narae.").replace("narae.Tensor or Tensor-like object",
                                                              "narae.Tensor")  # fmt: skip
    for line in expected.splitlines():
        assert line in our_text
    assert "Fix:" in our_text
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(old, new)


def test_loading_names_the_prefix_that_differs():
    model = nn.Linear(2, 3)
    with pytest.raises(RuntimeError, match=r"remove the prefix 'module\.' from"):
        model.load_state_dict(model.state_dict(prefix="module."))


@BOTH
def test_loading_without_strict(lib):
    model = lib.nn.Linear(2, 3)
    found = model.load_state_dict({"weight": lib.ones(3, 2), "more": lib.ones(1)}, strict=False)
    assert found.missing_keys == ["bias"]
    assert found.unexpected_keys == ["more"]
    assert float(model.weight.sum()) == 6
    assert repr(model.load_state_dict(model.state_dict())) == "<All keys matched successfully>"


@BOTH
def test_loading_by_assignment(lib):
    model = lib.nn.Linear(2, 3)
    weight = lib.ones(3, 2, dtype=lib.float64)
    model.load_state_dict({"weight": weight, "bias": lib.ones(3)}, assign=True)
    assert model.weight.dtype is lib.float64 or model.weight.dtype == lib.float64
    assert isinstance(model.weight, lib.nn.Parameter) and model.weight.requires_grad


@BOTH
def test_loading_an_old_batch_norm(lib):
    model = lib.nn.BatchNorm1d(3)
    state = OrderedDict(model.state_dict())
    del state["num_batches_tracked"]
    model.load_state_dict(state)


@BOTH
def test_attributes(lib):
    class Net(lib.nn.Module):
        pass

    net = Net()
    net.a = lib.nn.Parameter(lib.ones(1))
    net.register_buffer("b", lib.ones(1))
    net.c = lib.nn.Linear(1, 1)
    net.b = lib.zeros(2)
    assert list(net.state_dict()) == ["a", "b", "c.weight", "c.bias"]
    with pytest.raises(TypeError):
        net.a = lib.ones(1)
    with pytest.raises(TypeError):
        net.c = 3
    with pytest.raises(TypeError):
        net.b = "text"
    net.a = None
    assert net.a is None and list(net.state_dict()) == ["b", "c.weight", "c.bias"]
    del net.c
    assert not hasattr(net, "c")
    net.b2 = lib.nn.Buffer(lib.ones(1), persistent=False)
    assert isinstance(net.b2, lib.nn.Buffer) and "b2" not in net.state_dict()
    net.c = lib.nn.Linear(1, 1)
    net.c = lib.nn.Parameter(lib.ones(1))
    assert [name for name, _ in net.named_children()] == []
    with pytest.raises(KeyError):
        net.register_buffer("a.b", lib.ones(1))
    with pytest.raises(KeyError):
        net.register_parameter("forward", None)
    with pytest.raises(AttributeError):
        net.missing  # noqa: B018
    with pytest.raises(TypeError):
        net.add_module("x", 3)


@BOTH
def test_without_super(lib):
    class Net(lib.nn.Module):
        def __init__(self):
            self.layer = lib.nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"before Module\.__init__"):
        Net()


@BOTH
def test_paths(lib):
    net = networks(lib)[0]
    assert net.get_submodule("features.conv") is net.features.conv
    assert net.get_parameter("features.norm.weight") is net.features.norm.weight
    assert net.get_buffer("features.norm.running_mean") is net.features.norm.running_mean
    for wrong in ("features.missing", "scale"):
        with pytest.raises(AttributeError):
            net.get_submodule(wrong)
    with pytest.raises(AttributeError):
        net.get_parameter("features.conv")


@BOTH
def test_train_and_eval(lib):
    net = networks(lib)[0]
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.features.train()
    assert net.features.norm.training and not net.training
    with pytest.raises(ValueError, match="boolean"):
        net.train("yes")


@BOTH
def test_conversion(lib):
    net = networks(lib)[0]
    weight = net.features.conv.weight
    net.double()
    assert net.features.conv.weight is weight
    assert str(weight.dtype).endswith("float64") and str(net.steps.dtype).endswith("int64")
    net.to(lib.float16)
    assert str(net.features.norm.running_mean.dtype).endswith("float16")
    assert str(net.float().scale.dtype).endswith("float32")
    with pytest.raises(TypeError):
        net.to(lib.int32)


@BOTH
def test_freezing_and_zeroing(lib):
    layer = lib.nn.Linear(2, 1)
    layer(lib.ones(3, 2)).sum().backward()
    layer.zero_grad(set_to_none=False)
    assert float(layer.weight.grad.abs().sum()) == 0
    layer.zero_grad()
    assert layer.weight.grad is None
    assert not any(p.requires_grad for p in layer.requires_grad_(False).parameters())


@BOTH
def test_apply_visits_children_first(lib):
    seen = []
    lib.nn.Sequential(lib.nn.Linear(1, 1), lib.nn.Sequential(lib.nn.ReLU())).apply(
        lambda module: seen.append(type(module).__name__)
    )
    assert seen == ["Linear", "ReLU", "Sequential", "Sequential"]


# --- hooks ----------------------------------------------------------------------------------


def hook_story(lib):
    """What hooks saw, in order."""
    story = []
    layer = lib.nn.Linear(2, 1)
    with lib.no_grad():
        layer.weight.fill_(2.0)
        layer.bias.fill_(1.0)

    def note(name, result=None):
        def hook(module, *seen):
            story.append((name, len(seen), [type(x).__name__ for x in seen]))
            return result

        return hook

    layer.register_forward_pre_hook(note("before"))
    layer.register_forward_pre_hook(note("first"), prepend=True)
    layer.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    layer.register_forward_pre_hook(note("with", None), with_kwargs=True)
    handle = layer.register_forward_hook(note("removed"))
    layer.register_forward_hook(lambda module, args, out: out + 1)
    layer.register_forward_hook(lambda module, args, kwargs, out: out * 3, with_kwargs=True)
    layer.register_full_backward_pre_hook(lambda module, grads: (grads[0] * 5,))
    seen = []

    def backward(module, grad_input, grad_output):
        seen.extend([grad_input[0], grad_output[0]])
        return (grad_input[0] * 7,)

    layer.register_full_backward_hook(backward)
    handle.remove()
    x = lib.ones(3, 2, requires_grad=True)
    out = layer(x)
    out.sum().backward()
    return story, [out, *seen, x.grad, layer.weight.grad, layer.bias.grad]


def test_hooks():
    (our_story, ours), (their_story, theirs) = hook_story(narae), hook_story(torch)
    assert our_story == their_story
    for our, their in zip(ours, theirs, strict=True):
        assert_same(our, their)


@BOTH
def test_a_hook_that_is_always_called(lib):
    calls = []
    layer = lib.nn.Linear(2, 1)
    layer.register_forward_hook(lambda *_: calls.append("always"), always_call=True)
    layer.register_forward_hook(lambda *_: calls.append("usually"))
    with pytest.raises(RuntimeError):
        layer(lib.ones(1, 3))
    assert calls == ["always"]


@BOTH
def test_backward_hook_without_input_gradient(lib):
    seen = []
    layer = lib.nn.Linear(2, 1)
    layer.register_full_backward_hook(lambda module, gi, go: seen.append((gi, go[0].shape)))
    layer(lib.ones(3, 2)).sum().backward()
    ((grad_input, shape),) = seen
    assert grad_input == (None,) and tuple(shape) == (3, 1)


@BOTH
def test_backward_hooks_of_a_module_with_two_inputs(lib):
    class Product(lib.nn.Module):
        def forward(self, x, y):
            return x * y, x + y

    seen = []
    module = Product()
    module.register_full_backward_hook(lambda m, gi, go: seen.append([*gi, *go]))
    x = lib.tensor([2.0], requires_grad=True)
    y = lib.tensor([3.0], requires_grad=True)
    first, second = module(x, y)
    (first + 2 * second).sum().backward()
    assert [float(grad.sum()) for grad in seen[0]] == [5.0, 4.0, 1.0, 2.0]
    assert (x.grad.item(), y.grad.item()) == (5.0, 4.0)


@BOTH
def test_state_hooks(lib):
    seen = []
    layer = lib.nn.Linear(1, 1)
    layer.register_state_dict_pre_hook(lambda module, prefix, keep: seen.append(prefix))

    def forget(module, state, prefix, metadata):
        del state["bias"]

    layer.register_state_dict_post_hook(forget)
    layer.register_load_state_dict_pre_hook(
        lambda module, state, prefix, *_: state.update({"bias": lib.ones(1)})
    )
    layer.register_load_state_dict_post_hook(lambda module, keys: seen.append(keys.missing_keys))
    state = layer.state_dict()
    assert list(state) == ["weight"]
    layer.load_state_dict(state)
    assert float(layer.bias.sum()) == 1 and seen == ["", []]


@BOTH
def test_extra_state(lib):
    class Counter(lib.nn.Module):
        count = 3

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    state = lib.nn.Sequential(Counter()).state_dict()
    assert dict(state) == {"0._extra_state": {"count": 3}}
    fresh = lib.nn.Sequential(Counter())
    fresh[0].count = 0
    fresh.load_state_dict(state)
    assert fresh[0].count == 3


# --- containers -----------------------------------------------------------------------------


def container_story(lib):
    nn = lib.nn
    story = []
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Tanh(), nn.Sigmoid())
    story += [repr(model[1]), repr(model[-1]), repr(model[1:3]), len(model)]
    model.insert(1, nn.Identity())
    model.append(nn.GELU())
    model.extend([nn.SiLU()])
    model[0] = nn.Flatten()
    del model[2]
    story += [repr(model), list(model.state_dict()), repr(model.pop(0)), repr(model)]
    del model[1:3]
    story += [
        repr(model),
        repr(model + nn.Sequential(nn.ReLU())),
        repr(nn.Sequential(nn.ReLU()) * 2),
    ]
    layers = nn.ModuleList([nn.ReLU()])
    layers += [nn.Tanh(), nn.Tanh()]
    layers.insert(0, nn.Identity())
    layers[1] = nn.GELU()
    story += [repr(layers), repr(layers[1:]), repr(layers.pop(-1)), len(layers)]
    table = nn.ModuleDict([("a", nn.ReLU())])
    table["b"] = nn.Tanh()
    table.update({"c": nn.GELU()})
    story += [repr(table), list(table), list(table.keys()), "b" in table, repr(table.pop("a"))]
    parameters = nn.ParameterList([lib.ones(1), lib.ones(2)])
    parameters.append(lib.ones(3))
    story += [len(parameters), [tuple(p.shape) for p in parameters], list(parameters.state_dict())]
    table = nn.ParameterDict({"x": lib.ones(1)})
    table["y"] = nn.Parameter(lib.ones(2))
    story += [list(table.keys()), "x" in table, tuple(table.pop("x").shape), len(table)]
    return story


def test_containers():
    ours, theirs = container_story(narae), container_story(torch)
    assert ours == theirs


@BOTH
def test_container_errors(lib):
    nn = lib.nn
    with pytest.raises(IndexError):
        nn.Sequential(nn.ReLU())[1]
    with pytest.raises(TypeError):
        nn.Sequential(3)
    with pytest.raises(NotImplementedError):
        nn.ModuleList([nn.ReLU()])(lib.ones(1))
    with pytest.raises(KeyError):
        nn.ModuleDict()["a"]


# --- Narae's own ----------------------------------------------------------------------------


def test_copies():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    x = narae.rand(3, 1, 4, 4)
    model(x)
    model.eval()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert repr(twin) == repr(model)
        assert np.array_equal(twin(x).detach().numpy(), model(x).detach().numpy())
        assert twin[0].weight is not model[0].weight
        assert isinstance(twin[0].weight, nn.Parameter) and twin[0].weight.requires_grad
        with narae.no_grad():
            twin[0].weight.add_(1)
        assert not np.array_equal(twin(x).detach().numpy(), model(x).detach().numpy())


def test_errors_name_the_layer():  # the path grows on the way out
    inner = nn.Sequential(nn.Flatten(), nn.Linear(3000, 10))
    model = nn.Sequential(nn.ReLU(), inner)
    with pytest.raises(RuntimeError, match="in_features should be 3136") as caught:
        model(narae.zeros(2, 64, 7, 7))
    assert caught.value.__notes__ == ["[in 1.1 (Linear)]"]


def test_a_missing_flatten_is_named():
    with pytest.raises(
        RuntimeError, match=r"flatten the input first: x.flatten\(1\) is \(2, 3136\)"
    ):
        nn.Linear(3136, 10)(narae.zeros(2, 64, 7, 7))


def test_missing_forward():
    with pytest.raises(NotImplementedError, match=r'is missing the required "forw'):
        nn.Module()(1)


def test_the_epoch_moves_only_when_something_changes():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    model.number = 3
    before = epoch.current()
    model(narae.ones(1, 2))
    model.number = 3
    model.train()
    model.zero_grad()
    model.load_state_dict(model.state_dict())
    assert epoch.current() == before
    flags = epoch.flags[0]
    model.eval()
    assert epoch.flags[0] != flags
    model.train()
    assert epoch.flags[0] == flags
    assert epoch.current() == before
    for change in (
        lambda: setattr(model, "number", 4),
        lambda: model.add_module("more", nn.ReLU()),
        lambda: model.register_forward_hook(lambda *_: None),
        lambda: setattr(model[0], "bias", None),
        lambda: model.requires_grad_(False),
        model.double,
    ):
        before = epoch.current()
        change()
        assert epoch.current() > before


def test_a_state_of_pytorch_is_loaded():
    theirs = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    ours = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    ours.load_state_dict({key: to_narae(value) for key, value in theirs.state_dict().items()})
    x = torch.rand(2, 1, 5, 5)
    assert_same(ours(to_narae(x)), theirs(x))
