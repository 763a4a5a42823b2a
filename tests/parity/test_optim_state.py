"""State dicts go back and forth between Narae and PyTorch in the middle of a training."""

import copy
import pickle

import numpy as np
import pytest

import narae

torch = pytest.importorskip("torch")

OPTIMIZERS = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9, "dampening": 0.2, "weight_decay": 0.1}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("Adagrad", {"lr_decay": 0.1}),
    ("Adadelta", {}),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
    ("NAdam", {}),
    ("RAdam", {}),
    ("Adamax", {}),
    ("ASGD", {"t0": 3}),
    ("Rprop", {}),
]
START = [np.linspace(-1, 1, 6).reshape(2, 3), np.array([0.5, -0.25])]
GRADS = np.random.default_rng(5).normal(size=(12, 8))


def make(library, name, options):
    params = [library.tensor(a, dtype=library.float64, requires_grad=True) for a in START]
    groups = [{"params": params[:1]}, {"params": params[1:], "lr": 0.02}]
    return params, getattr(library.optim, name)(groups, lr=0.05, **options)


def steps(library, params, optimizer, first, last):
    for row in GRADS[first:last]:
        for p, grad in zip(params, (row[:6].reshape(2, 3), row[6:]), strict=True):
            p.grad = library.tensor(grad, dtype=library.float64)
        optimizer.step()


def translated(value, library):
    """A state dict with the tensors of the other library."""
    if isinstance(value, dict):
        return {key: translated(item, library) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(translated(item, library) for item in value)
    if hasattr(value, "detach"):
        array = value.detach().numpy()
        return library.tensor(array, dtype=getattr(library, str(array.dtype)))
    return value


def whole_run(library, name, options):
    params, optimizer = make(library, name, options)
    steps(library, params, optimizer, 0, 12)
    return [p.detach().numpy() for p in params]


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
@pytest.mark.parametrize("first", ["narae", "torch"])
@pytest.mark.parametrize("switch", [0, 1, 6])
def test_a_change_of_library_in_the_middle(name, options, first, switch):
    libraries = [narae, torch] if first == "narae" else [torch, narae]
    params, optimizer = make(libraries[0], name, options)
    steps(libraries[0], params, optimizer, 0, switch)
    after, other = make(libraries[1], name, options)
    for p, before in zip(after, params, strict=True):
        with libraries[1].no_grad():
            p.copy_(libraries[1].tensor(before.detach().numpy()))
    other.load_state_dict(translated(optimizer.state_dict(), libraries[1]))
    steps(libraries[1], after, other, switch, 12)
    # PyTorch casts what it loads to the dtype of the parameter: the numbers that NAdam and ASGD
    # keep in float32 are float64 from then on, and differ in the eighth digit.
    rtol = 1e-7 if name in ("NAdam", "ASGD") and libraries[1] is torch else 1e-12
    for p, expected in zip(after, whole_run(torch, name, options), strict=True):
        np.testing.assert_allclose(p.detach().numpy(), expected, rtol=rtol)


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_the_same_keys(name, options):
    dicts = []
    for library in (narae, torch):
        params, optimizer = make(library, name, options)
        before = optimizer.state_dict()
        steps(library, params, optimizer, 0, 2)
        dicts.append((before, optimizer.state_dict()))
    for ours, theirs in zip(*dicts, strict=True):
        assert ours["param_groups"] == theirs["param_groups"]
        assert ours["state"].keys() == theirs["state"].keys()
        for key, state in theirs["state"].items():
            assert ours["state"][key].keys() == state.keys()
            for entry, value in state.items():
                found = ours["state"][key][entry]
                assert tuple(found.shape) == tuple(value.shape), entry
                assert str(found.dtype).split(".")[-1] == str(value.dtype).split(".")[-1], entry


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_repr(name, options):
    assert repr(make(narae, name, options)[1]) == repr(make(torch, name, options)[1])


@pytest.mark.parametrize("step", [3, 3.0, "tensor"])
def test_steps_may_be_numbers(step):
    """Old checkpoints keep `step` as a number."""
    results = []
    for library in (narae, torch):
        params, optimizer = make(library, "Adam", {})
        steps(library, params, optimizer, 0, 3)
        state = optimizer.state_dict()
        if step != "tensor":
            for entry in state["state"].values():
                entry["step"] = step
        optimizer.load_state_dict(state)
        steps(library, params, optimizer, 3, 6)
        results.append(params[0].detach().numpy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-12)


def test_tensors_of_pytorch_are_taken_as_they_are():
    params, optimizer = make(torch, "Adam", {})
    steps(torch, params, optimizer, 0, 3)
    ours, other = make(narae, "Adam", {})
    other.load_state_dict(optimizer.state_dict())
    found = other.state[ours[0]]["exp_avg"]
    assert isinstance(found, narae.Tensor)
    np.testing.assert_array_equal(found.numpy(), optimizer.state[params[0]]["exp_avg"].numpy())


def test_what_is_loaded_is_a_copy():
    params, optimizer = make(narae, "Adam", {})
    steps(narae, params, optimizer, 0, 1)
    after, other = make(narae, "Adam", {})
    other.load_state_dict(optimizer.state_dict())
    before = optimizer.state[params[0]]["exp_avg"].numpy().copy()
    steps(narae, after, other, 1, 3)
    np.testing.assert_array_equal(optimizer.state[params[0]]["exp_avg"].numpy(), before)
    assert optimizer.state[params[0]]["step"].item() == 1


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
@pytest.mark.parametrize("way", ["state_dict", "pickle", "deepcopy"])
def test_an_interruption_changes_nothing(name, options, way):
    params, optimizer = make(narae, name, options)
    steps(narae, params, optimizer, 0, 5)
    if way == "state_dict":
        state = optimizer.state_dict()
        _, optimizer_after = make(narae, name, options)
        optimizer_after = getattr(narae.optim, name)(
            [{"params": params[:1]}, {"params": params[1:], "lr": 0.02}], lr=0.05, **options
        )
        optimizer_after.load_state_dict(state)
    else:
        clone = copy.deepcopy if way == "deepcopy" else lambda x: pickle.loads(pickle.dumps(x))
        optimizer_after = clone(optimizer)
        params = [p for group in optimizer_after.param_groups for p in group["params"]]
    steps(narae, params, optimizer_after, 5, 12)
    for p, expected in zip(params, whole_run(narae, name, options), strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), expected)


BAD = [
    ("SGD", {"lr": -1.0}),
    ("SGD", {"momentum": -0.1}),
    ("SGD", {"weight_decay": -0.1}),
    ("SGD", {"nesterov": True}),
    ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
    ("Adagrad", {"lr_decay": -1.0}),
    ("Adagrad", {"initial_accumulator_value": -1.0}),
    ("Adagrad", {"eps": -1.0}),
    ("Adadelta", {"rho": 1.5}),
    ("RMSprop", {"alpha": -1.0}),
    ("RMSprop", {"momentum": -1.0}),
    ("Adam", {"betas": (1.0, 0.9)}),
    ("Adam", {"betas": (0.9, -0.1)}),
    ("AdamW", {"eps": -1.0}),
    ("NAdam", {"momentum_decay": -1.0}),
    ("RAdam", {"lr": float("nan")}),
    ("Adamax", {"weight_decay": -1.0}),
    ("ASGD", {"lr": -1.0}),
    ("Rprop", {"etas": (1.5, 1.2)}),
]


@pytest.mark.parametrize(("name", "options"), BAD)
def test_bad_settings(name, options):
    messages = []
    for library in (narae, torch):
        p = library.ones(1, requires_grad=True)
        with pytest.raises(ValueError) as caught:
            getattr(library.optim, name)([p], **options)
        messages.append(str(caught.value))
    assert messages[0].startswith(messages[1].rstrip("."))


@pytest.mark.parametrize(
    "params",
    [
        lambda m: [],
        lambda m: m.ones(2, requires_grad=True),
        lambda m: [1.0],
        lambda m: [m.ones(2, requires_grad=True) * 2],
        lambda m: [{"params": {m.ones(1)}}],
        lambda m: [("w", m.ones(1)), m.ones(1)],
        lambda m: (lambda w: [{"params": [w]}, {"params": [w]}])(m.ones(1)),
        lambda m: [{"params": [("w", m.ones(1))]}, {"params": [m.ones(1)]}],
    ],
)
def test_bad_parameters(params):
    errors = []
    for library in (narae, torch):
        with pytest.raises((ValueError, TypeError)) as caught:
            library.optim.SGD(params(library), lr=0.1)
        errors.append(caught.value)
    kind = TypeError if isinstance(errors[1], TypeError) else ValueError
    assert isinstance(errors[0], kind)


@pytest.mark.parametrize("change", ["groups", "params"])
def test_a_state_dict_of_another_model_is_refused(change):
    for library in (narae, torch):
        _, optimizer = make(library, "Adam", {})
        state = optimizer.state_dict()
        if change == "groups":
            state["param_groups"].pop()
        else:
            state["param_groups"][0]["params"] = [0, 7]
        with pytest.raises(ValueError, match="loaded state dict"):
            optimizer.load_state_dict(state)


def test_parameters_with_names():
    states = []
    for library in (narae, torch):
        pairs = [("w", library.ones(2, requires_grad=True)), ("b", library.ones(1))]
        optimizer = library.optim.SGD(pairs, lr=0.1)
        states.append(optimizer.state_dict()["param_groups"])
    assert states[0] == states[1]
