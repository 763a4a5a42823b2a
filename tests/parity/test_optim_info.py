"""Every optimizer in every configuration of PyTorch's own table of optimizers.

Rows E23 (SGD), E25 (momentum), E26 (AdaGrad), E27 (Adam), E34 (weight decay), H12 (Nesterov),
H13 (Adadelta), H14 (RMSprop): each is held to "equality" over 50 steps in float64.
"""

import numpy as np
import pytest

import narae

torch = pytest.importorskip("torch")

from tests.parity.redirect import load_databases  # noqa: E402

load_databases()
from torch.testing._internal import common_optimizers as common  # noqa: E402

STEPS = 50
INFOS = {info.optim_cls.__name__: info for info in common.optim_db}
ELIGIBLE = sorted(INFOS.keys() - {"SparseAdam"})  # its gradients are sparse
# L-BFGS decides by comparisons, which magnify rounding; Muon computes in bfloat16.
# There, a last bit of a float32 sum shows where the rest cancels: 1e-5 of a step of 1e-3.
TOLERANCE = {"LBFGS": 1e-8, "Muon": 1e-8}


def configurations(name):
    """The rows of PyTorch's table."""
    rows = []
    for row in INFOS[name].optim_inputs_func(device="cpu"):
        options = {key: value for key, value in row.kwargs.items() if key != "capturable"}
        if name == "LBFGS" and "lr" in options:
            options["max_iter"] = 4  # so short steps would use the whole budget
        rows.append(pytest.param(name, options, id=f"{name}-{row.desc}"))
    return rows


DECAYING = {
    "SGD": {},
    "Adagrad": {},
    "Adadelta": {},
    "RMSprop": {},
    "Adam": {},
    "AdamW": {},
    "NAdam": {"decoupled_weight_decay": True},
    "RAdam": {"decoupled_weight_decay": True},
    "Adamax": {},
    "ASGD": {},
    "Adafactor": {},
    "Muon": {},
}
ALL = [row for name in ELIGIBLE for row in configurations(name)]


def test_the_table_is_whole():
    """Nothing of PyTorch's table is left out, and the whole of `torch.optim` is here."""
    assert len(ELIGIBLE) == 14
    assert len(ALL) > 80
    public = {name for name in torch.optim.__all__ if name[0].isupper()} | set(INFOS)
    assert public - {"Optimizer"} <= set(narae.optim.__all__)
    ours, theirs = narae.optim.lr_scheduler, torch.optim.lr_scheduler
    assert set(theirs.__all__) <= set(ours.__all__)
    for name in torch.optim.swa_utils.__all__:
        assert getattr(narae.optim.swa_utils, name).__name__ == name


class Hill:
    """f = Σ (s·(p − goal))² + (p − goal)⁴ (or −f, to climb), alike for both libraries.

    Its gradient is computed by NumPy, so that only the optimizers differ.
    """

    def __init__(self, framework, name, options, dtype="float64"):
        self.framework, self.dtype = framework, getattr(framework, dtype)
        rng = np.random.default_rng(0)
        shapes = [(3, 4), (4, 2)] if name == "Muon" else [(3, 4), (4,), (2, 4, 2), ()]
        self.params = [self.tensor(rng.normal(size=shape)) for shape in shapes]
        self.goals = [rng.normal(size=shape) for shape in shapes]
        self.scales = [rng.uniform(0.5, 2.0, size=shape) for shape in shapes]
        self.noise = [rng.normal(size=(STEPS, *shape)) for shape in shapes]
        self.sign = -1.0 if options.get("maximize") else 1.0
        for p in self.params:
            p.requires_grad_()
        options = {key: self.of(value) for key, value in options.items()}
        groups = [{"params": self.params[:1]}, {"params": self.params[1:]}]
        groups = self.params if name == "LBFGS" else groups
        self.optimizer = getattr(framework.optim, name)(groups, **options)
        self.needs_closure = name == "LBFGS"

    def tensor(self, values):
        return self.framework.tensor(values, dtype=self.dtype)

    def of(self, value):
        if isinstance(value, torch.Tensor):
            return self.framework.tensor(value.item(), dtype=self.framework.float64)
        return value

    def loss(self, number=None):
        total = 0.0
        for place, p in enumerate(self.params):
            away, scale = p.detach().numpy() - self.goals[place], self.scales[place]
            grad = self.sign * (2 * scale**2 * away + 4 * away**3)
            total += self.sign * float(((scale * away) ** 2 + away**4).sum())
            p.grad = self.tensor(grad if number is None else grad + self.noise[place][number])
        return self.framework.tensor(total, dtype=self.framework.float64)

    def step(self, number):
        if self.needs_closure:
            return self.optimizer.step(self.loss)
        self.loss(number)
        return self.optimizer.step()

    def values(self):
        return [p.detach().numpy().copy() for p in self.params]


def assert_close(ours, theirs, tolerance):
    for found, expected in zip(ours.values(), theirs.values(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("name", "options"), ALL)
def test_fifty_steps_are_pytorchs(name, options):
    assert_fifty_steps_agree(name, options)


def assert_fifty_steps_agree(name, options):
    ours, theirs = (Hill(framework, name, options) for framework in (narae, torch))
    for number in range(STEPS):
        losses = [hill.step(number) for hill in (ours, theirs)]
        assert_close(ours, theirs, TOLERANCE.get(name, 1e-12))
        if losses[1] is not None:
            np.testing.assert_allclose(*(float(loss) for loss in losses), rtol=1e-8)
    assert all(np.isfinite(value).all() for value in ours.values())
    assert np.abs(ours.values()[0] - Hill(narae, name, options).values()[0]).max() > 1e-5


def test_e23_gradient_descent():
    """E23: "update equality with torch"."""
    for options in ({}, {"lr": 0.01}, {"lr": 0.01, "maximize": True}):
        assert_fifty_steps_agree("SGD", options)


def test_e25_momentum():
    """E25: the velocity keeps past directions as PyTorch's does."""
    for options in ({"momentum": 0.9}, {"momentum": 0.9, "dampening": 0.5}):
        assert_fifty_steps_agree("SGD", {"lr": 0.01, **options})


def test_e26_adagrad():
    """E26: "equality"; that its effective learning rate falls to 0 is another test's matter."""
    for options in ({"lr": 0.1}, {"lr": 0.1, "lr_decay": 0.5, "initial_accumulator_value": 0.1}):
        assert_fifty_steps_agree("Adagrad", options)


def test_e27_adam():
    """E27: "equality incl. bias correction": the first step has the size of the learning rate."""
    for options in ({}, {"lr": 0.1}, {"lr": 0.1, "amsgrad": True, "betas": (0.5, 0.9)}):
        assert_fifty_steps_agree("Adam", options)
    p = narae.tensor([1.0, -2.0], dtype=narae.float64, requires_grad=True)
    optimizer = narae.optim.Adam([p], lr=0.25)
    p.grad = narae.tensor([1e-3, 1e3], dtype=narae.float64)
    optimizer.step()
    np.testing.assert_allclose(p.detach().numpy(), [0.75, -2.25], rtol=1e-5)


@pytest.mark.parametrize("name", sorted(DECAYING))
def test_e34_weight_decay(name):
    """E34: "equality", for the penalty in the gradient and for the decoupled one."""
    assert_fifty_steps_agree(name, {"lr": 0.01, "weight_decay": 0.3, **DECAYING[name]})


def test_h12_nesterov():
    """H12: "torch equality" of Nesterov's look ahead."""
    assert_fifty_steps_agree("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True})


def test_h13_adadelta():
    """H13: "equality"."""
    for options in ({}, {"rho": 0.5, "lr": 3.0}):
        assert_fifty_steps_agree("Adadelta", options)


def test_h14_rmsprop():
    """H14: "equality"."""
    for options in ({}, {"momentum": 0.9}, {"centered": True, "alpha": 0.5}):
        assert_fifty_steps_agree("RMSprop", options)


def test_g21_criterion_and_optimizer_of_the_course():
    """G21: `CrossEntropyLoss().to(device)`, `optim.Adam(lr=0.001)`: "equality"."""
    rng = np.random.default_rng(0)
    start, x = rng.normal(size=(4, 6)), rng.normal(size=(20, 6))
    labels, found = rng.integers(0, 4, 20), []
    for framework in (narae, torch):
        device = framework.device("cpu")
        model = framework.nn.Linear(6, 4).double()
        with framework.no_grad():
            model.weight.copy_(framework.tensor(start))
            model.bias.zero_()
        criterion = framework.nn.CrossEntropyLoss().to(device)
        optimizer = framework.optim.Adam(model.parameters(), lr=0.001)
        losses = []
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = criterion(model(framework.tensor(x)), framework.tensor(labels))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        found.append([np.array(losses), model.weight.detach().numpy()])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11)
    assert found[0][0][-1] < found[0][0][0]


@pytest.mark.parametrize("executor", ["reference", "native"])
@pytest.mark.parametrize(("name", "options"), ALL)
def test_compiled_steps_are_eager_steps(name, options, executor):
    """One program serves all steps, with the bits of eager ones; L-BFGS refuses, by name.

    Machine code adds in another order, so it is only near.
    """
    eager, compiled = (Hill(narae, name, options) for _ in range(2))
    if name == "LBFGS":
        with pytest.raises(narae.errors.TraceError, match=r"LBFGS\.step"):
            narae.compile(lambda: eager.optimizer.step(lambda: None))()
        return

    def step(hill, number):
        hill.optimizer.zero_grad()
        loss = sum((p * (p + number)).sum() * hill.sign for p in hill.params)
        loss.backward()
        hill.optimizer.step()

    program = narae.compile(lambda number: step(compiled, number), executor=executor)
    tolerance = 0 if executor == "reference" else 1e-10
    for number in range(8):
        shift = narae.tensor(float(number) / 4, dtype=narae.float64)
        step(eager, shift)
        program(shift)
        for found, expected in zip(compiled.values(), eager.values(), strict=True):
            np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


# --- what is refused ------------------------------------------------------------------------


def refusals():
    rows = []
    for name in ELIGIBLE:
        for row in INFOS[name].optim_error_inputs_func(device="cpu", dtype=torch.float64):
            if "complex" not in row.optimizer_error_input.desc:  # complex is out of scope
                label = f"{name}-{row.optimizer_error_input.desc}"
                rows.append(pytest.param(name, row, id=label))
    return rows


def as_ours(value):
    """The same arguments with Narae's tensors; one tensor stays one."""
    known = {}

    def convert(item):
        if isinstance(item, torch.Tensor):
            if id(item) not in known:
                known[id(item)] = narae.tensor(item.detach().numpy(), requires_grad=True)
                known[id(item)].grad = None
            return known[id(item)]
        if isinstance(item, dict):
            return {key: convert(each) for key, each in item.items()}
        if isinstance(item, (list, tuple)):
            return type(item)(convert(each) for each in item)
        return item

    return convert(value)


@pytest.mark.parametrize(("name", "row"), refusals())
def test_what_pytorch_refuses_is_refused_in_its_words(name, row):
    given = row.optimizer_error_input
    params = [torch.zeros(1, 1)] if given.params is None else given.params
    params, options = as_ours([params, given.kwargs])
    make = getattr(narae.optim, name)
    if row.error_type is UserWarning:
        with pytest.warns(UserWarning, match=row.error_regex):
            make(params, **options)
    else:
        with pytest.raises(row.error_type, match=row.error_regex):
            make(params, **options)


def test_sparse_adam_says_what_to_use_instead():
    with pytest.raises(NotImplementedError, match="use Adam"):
        narae.optim.SparseAdam([narae.ones(1, requires_grad=True)])


# --- the face -------------------------------------------------------------------------------

FIRST = [row for name in ELIGIBLE for row in configurations(name)[-1:]]


@pytest.mark.parametrize(("name", "options"), FIRST)
def test_a_state_dict_goes_on_in_either_library(name, options):
    """25 steps, a state_dict, 25 steps: in Narae, and across to PyTorch and back."""
    whole = Hill(torch, name, options)
    for number in range(STEPS):
        whole.step(number)
    for first, second in ((narae, narae), (narae, torch), (torch, narae)):
        before, after = (Hill(framework, name, options) for framework in (first, second))
        for number in range(25):
            before.step(number)
        state = before.optimizer.state_dict()
        after.optimizer.load_state_dict(
            in_framework(state, second) if first is not second else state
        )
        for mine, theirs in zip(after.params, before.params, strict=True):
            mine.data.copy_(after.tensor(theirs.detach().numpy()))
        for number in range(25, STEPS):
            after.step(number)
        assert_close(after, whole, TOLERANCE.get(name, 1e-11))


def in_framework(value, framework):
    if isinstance(value, (narae.Tensor, torch.Tensor)):
        return framework.tensor(value.detach().numpy().copy())
    if isinstance(value, dict):
        return {key: in_framework(each, framework) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(in_framework(each, framework) for each in value)
    return value


@pytest.mark.parametrize("name", ELIGIBLE)
def test_keys_settings_and_repr_are_pytorchs(name):
    ours, theirs = (Hill(framework, name, {}) for framework in (narae, torch))
    for hill in (ours, theirs):
        hill.step(0)
        hill.step(1)
    dicts = [hill.optimizer.state_dict() for hill in (ours, theirs)]
    assert dicts[0]["param_groups"] == dicts[1]["param_groups"]
    assert dicts[0]["state"].keys() == dicts[1]["state"].keys()
    for key, entry in dicts[1]["state"].items():
        assert dicts[0]["state"][key].keys() == entry.keys() - {"al"}  # a work space of L-BFGS
    assert repr(ours.optimizer) == repr(theirs.optimizer)


@pytest.mark.parametrize("name", ELIGIBLE)
def test_hooks_are_called_as_in_pytorch(name):
    logs = []
    for framework in (narae, torch):
        hill, log = Hill(framework, name, {}), []
        optimizer = hill.optimizer
        handles = [
            optimizer.register_step_pre_hook(lambda o, args, kwargs, log=log: log.append("pre")),
            optimizer.register_step_post_hook(lambda o, args, kwargs, log=log: log.append("post")),
            optimizer.register_state_dict_pre_hook(lambda o, log=log: log.append("saving")),
            optimizer.register_state_dict_post_hook(
                lambda o, state, log=log: {**state, "note": sorted(state)}
            ),
            optimizer.register_load_state_dict_pre_hook(
                lambda o, state, log=log: log.append(state.get("note"))
            ),
            optimizer.register_load_state_dict_post_hook(lambda o, log=log: log.append("loaded")),
        ]
        hill.step(0)
        state = optimizer.state_dict()
        log.append(sorted(state))
        optimizer.load_state_dict(state)
        for handle in handles:
            handle.remove()
        hill.step(1)
        log.append(sorted(optimizer.state_dict()))
        logs.append(log)
    assert logs[0] == logs[1]


@pytest.mark.parametrize("name", [name for name in ELIGIBLE if name != "LBFGS"])
def test_a_group_that_is_added_later(name):
    results = []
    for framework in (narae, torch):
        hill = Hill(framework, name, {})
        groups = hill.optimizer.param_groups
        moved = groups.pop()
        hill.step(0)
        hill.optimizer.add_param_group({"params": moved["params"], "lr": 0.005})
        for number in range(1, 5):
            hill.step(number)
        results.append(hill)
        assert [group["lr"] for group in groups][1] == 0.005
    assert_close(*results, 1e-12)
