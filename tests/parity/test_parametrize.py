"""Parametrizations beside PyTorch's: names, values, gradients, training, removal, refusals."""

import copy
import pickle

import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from tests.parity.layer_checks import assert_same, to_narae  # noqa: E402

SIDES = [torch, narae]


def tools(library):
    return library.nn.utils.parametrize


def symmetric(library):
    class Symmetric(library.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).mT

        def right_inverse(self, x):
            return x.triu()

    return Symmetric()


def scaled(library, factor=3.0, inverse=True):
    class Scaled(library.nn.Module):
        def forward(self, x):
            return x * factor

        if inverse:

            def right_inverse(self, x):
                return x / factor

    return Scaled()


def rank_one(library):
    class RankOne(library.nn.Module):
        def forward(self, x, y):
            return x.unsqueeze(-1) @ y.unsqueeze(-2)

        def right_inverse(self, z):
            return z[:, 0] + 1, z[0, :] - 1

    return RankOne()


def built(library, build):
    library.manual_seed(4)
    return build(library)


def both(build):
    """The same thing on both sides; ours gets the very same numbers."""
    theirs, ours = built(torch, build), built(narae, build)
    found, wanted = ours.state_dict(), theirs.state_dict()
    assert list(found) == list(wanted)
    assert_same(list(found.values()), list(wanted.values()), 1e-5)
    ours.load_state_dict({key: to_narae(value) for key, value in wanted.items()})
    assert repr(ours) == repr(theirs)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    return ours, theirs


def agree(ours, theirs, x, tolerance=2e-5):
    """Equal results, gradients and buffers."""
    wanted, found = theirs(x), ours(to_narae(x))
    assert_same(found, wanted, tolerance)
    grads = narae.autograd.grad(found.sin().sum(), list(ours.parameters()))
    their_grads = torch.autograd.grad(wanted.sin().sum(), list(theirs.parameters()))
    assert_same(list(grads), list(their_grads), tolerance)
    found, wanted = ours.state_dict(), theirs.state_dict()
    assert_same(list(found.values()), list(wanted.values()), tolerance)


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --- the machinery --------------------------------------------------------------------------


def one(library):
    layer = library.nn.Linear(4, 4)
    return tools(library).register_parametrization(layer, "weight", symmetric(library))


def two(library):
    return tools(library).register_parametrization(one(library), "weight", scaled(library))


def several_originals(library):
    layer = library.nn.Linear(4, 3)
    return tools(library).register_parametrization(layer, "weight", rank_one(library))


def several_tensors(library):
    layer = one(library)
    return tools(library).register_parametrization(layer, "bias", scaled(library, inverse=False))


def inside_a_model(library):
    return library.nn.Sequential(one(library), library.nn.ReLU(), several_originals(library))


@pytest.mark.parametrize("build", [one, two, several_originals, several_tensors, inside_a_model])
def test_names_values_and_gradients(build):
    ours, theirs = both(build)
    agree(ours, theirs, randn(2, 4))
    agree(copy.deepcopy(ours), copy.deepcopy(theirs), randn(2, 4))


def test_assignment_goes_through_the_inverse():
    ours, theirs = both(two)
    new = randn(4, 4, seed=1)
    theirs.weight = new
    ours.weight = to_narae(new)
    agree(ours, theirs, randn(2, 4))
    ours, theirs = both(several_originals)
    theirs.weight = new[:3]
    ours.weight = to_narae(new[:3])
    agree(ours, theirs, randn(2, 4))


@pytest.mark.parametrize("library", SIDES)
def test_assignment_without_an_inverse_is_refused(library):
    layer = several_tensors(library)
    with pytest.raises(RuntimeError, match="does not implement right_inverse"):
        layer.bias = library.ones(4)
    with pytest.raises(KeyError, match="already exists"):
        layer.weight = library.nn.Parameter(library.ones(4, 4))


@pytest.mark.parametrize("leave", [True, False])
def test_removal(leave):
    ours, theirs = both(two)
    optimized = ours.parametrizations.weight.original
    tools(torch).remove_parametrizations(theirs, "weight", leave_parametrized=leave)
    tools(narae).remove_parametrizations(ours, "weight", leave_parametrized=leave)
    assert type(ours) is narae.nn.Linear
    assert ours.weight is optimized  # an optimizer knows it
    agree(ours, theirs, randn(2, 4))


@pytest.mark.parametrize("library", SIDES)
def test_removal_of_one_of_two_and_of_several_originals(library):
    P = tools(library)
    layer = several_tensors(library)
    P.remove_parametrizations(layer, "weight")
    assert P.is_parametrized(layer)
    assert not P.is_parametrized(layer, "weight")
    assert P.type_before_parametrizations(layer) is library.nn.Linear
    layer = several_originals(library)
    with pytest.raises(ValueError, match="sequence of tensors"):
        P.remove_parametrizations(layer, "weight", leave_parametrized=False)
    weight = layer.weight.detach().clone()
    P.remove_parametrizations(layer, "weight")
    assert library.equal(layer.weight, weight)
    assert [name for name, _ in layer.named_parameters()] == ["bias", "weight"]
    with pytest.raises(ValueError, match="does not have a parametrization"):
        P.remove_parametrizations(layer, "weight")


def test_a_copy_has_a_class_of_its_own():
    layer = one(narae)
    twin = copy.deepcopy(layer)
    tools(narae).remove_parametrizations(layer, "weight")
    assert tools(narae).is_parametrized(twin, "weight")
    assert narae.equal(twin.weight, twin.weight.mT)


@pytest.mark.parametrize("library", SIDES)
def test_pickling_is_refused(library):
    with pytest.raises(RuntimeError, match=r"only supported through state_dict"):
        pickle.dumps(one(library))


@pytest.mark.parametrize("library", SIDES)
def test_cached(library):
    layer, calls = one(library), []
    layer.parametrizations.weight[0].register_forward_hook(lambda *_: calls.append(1))
    with tools(library).cached():
        first = layer.weight
        with tools(library).cached():
            assert layer.weight is first
        assert layer.weight is first
    assert layer.weight is not first
    assert len(calls) == 2


@pytest.mark.parametrize("library", SIDES)
def test_refusals(library):
    P, nn = tools(library), library.nn

    class Wrong(nn.Module):
        def __init__(self, change):
            super().__init__()
            self.forward = change

    layer = nn.Linear(4, 3)
    for change, words in (
        (lambda x: x[:2], "may not change the shape"),
        (lambda x: x.double(), "may not change the dtype"),
        (lambda x: (x, x), "must return a tensor"),
    ):
        with pytest.raises(ValueError, match=words):
            P.register_parametrization(layer, "weight", Wrong(change))
    with pytest.raises(ValueError, match="does not have a parameter"):
        P.register_parametrization(layer, "nothing", symmetric(library))
    assert not P.is_parametrized(layer)
    P.register_parametrization(layer, "weight", Wrong(lambda x: x[:2]), unsafe=True)
    assert tuple(layer.weight.shape) == (2, 4)
    with pytest.raises(ValueError, match="may not change the shape"):
        P.register_parametrization(layer, "bias", Wrong(lambda x: x[:2]))
    with pytest.raises(ValueError, match="one or more modules"):
        P.ParametrizationList([], layer.bias)


def test_transfer():
    for build in (two, several_originals):
        targets = []
        for library in SIDES:
            source = built(library, build)
            target = library.nn.Linear(4, source.out_features)
            tools(library).transfer_parametrizations_and_params(source, target)
            targets.append((target, source))
        (theirs, their_source), (ours, our_source) = targets
        assert list(ours.state_dict()) == list(theirs.state_dict())
        assert narae.equal(ours.weight, our_source.weight)
        assert torch.equal(theirs.weight, their_source.weight)


def test_a_buffer():
    def build(library):
        norm = library.nn.BatchNorm1d(4)
        return tools(library).register_parametrization(norm, "running_var", scaled(library))

    ours, theirs = (built(library, build).eval() for library in (narae, torch))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert_same(ours(to_narae(randn(3, 4))), theirs(randn(3, 4)))


def test_recurrent_weights():
    def build(library):
        cell = library.nn.LSTM(4, 4)
        return library.nn.utils.parametrizations.weight_norm(cell, "weight_hh_l0")

    ours, theirs = both(build)
    x = randn(3, 2, 4)
    assert_same(ours(to_narae(x))[0], theirs(x)[0], 1e-5)


# --- weight norm, spectral norm, orthogonal -------------------------------------------------


def normed(library, **options):
    return library.nn.utils.parametrizations.weight_norm(library.nn.Conv2d(2, 3, 2), **options)


@pytest.mark.parametrize("dim", [0, 1, 3, None])
def test_weight_norm(dim):
    ours, theirs = both(lambda library: normed(library, dim=dim))
    agree(ours, theirs, randn(2, 2, 4, 4))
    ours.weight = to_narae(randn(3, 2, 2, 2))
    theirs.weight = randn(3, 2, 2, 2)
    agree(ours, theirs, randn(2, 2, 4, 4))


def test_weight_norm_loads_the_older_names():
    ours = normed(narae)
    old = {"bias": narae.ones(3), "weight_g": narae.ones(3, 1, 1, 1) * 2, "weight_v": narae.ones(
        3, 2, 2, 2)}  # fmt: skip
    assert not any(ours.load_state_dict(old))
    assert_same(ours.weight.detach(), torch.full((3, 2, 2, 2), 2 / 8**0.5), 1e-6)


@pytest.mark.parametrize("kind", ["Linear", "ConvTranspose1d"])
@pytest.mark.parametrize("iterations", [1, 3])
def test_spectral_norm(kind, iterations):
    def build(library):
        size = () if kind == "Linear" else (2,)
        layer = getattr(library.nn, kind)(4, 3, *size)
        wrap = library.nn.utils.parametrizations.spectral_norm
        return wrap(layer, n_power_iterations=iterations)

    ours, theirs = both(build)
    x = randn(2, 4) if kind == "Linear" else randn(2, 4, 5)
    for training in (True, True, False):
        ours.train(training)
        theirs.train(training)
        agree(ours, theirs, x)
    if kind == "Linear":
        for _ in range(60):
            ours.train()(to_narae(x))
        largest = torch.linalg.matrix_norm(torch.from_numpy(ours.weight.detach().numpy()), 2)
        assert largest.item() == pytest.approx(1, abs=1e-4)


def test_spectral_norm_of_a_vector_and_refusals():
    def build(library):
        return library.nn.utils.parametrizations.spectral_norm(library.nn.Linear(3, 2), "bias")

    ours, theirs = both(build)
    agree(ours, theirs, randn(2, 3))
    for library in SIDES:
        wrap, layer = library.nn.utils.parametrizations.spectral_norm, library.nn.Linear(3, 2)
        with pytest.raises(IndexError, match="Dimension out of range"):
            wrap(layer, dim=2)
        with pytest.raises(ValueError, match="n_power_iterations to be positive"):
            wrap(layer, n_power_iterations=0)
        with pytest.raises(ValueError, match="no parameter or buffer"):
            wrap(layer, "nothing")


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
@pytest.mark.parametrize("kind", [None, "matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("trivial", [True, False])
def test_orthogonal(shape, kind, trivial):
    def build(library):
        layer = library.nn.Linear(shape[1], shape[0])
        options = {"orthogonal_map": kind, "use_trivialization": trivial}
        return library.nn.utils.parametrizations.orthogonal(layer, **options)

    ours, theirs = both(build)
    agree(ours, theirs, randn(2, shape[1]), 1e-4)
    for library, layer in ((torch, theirs), (narae, ours)):
        optimizer = library.optim.SGD(layer.parameters(), lr=0.1)
        for step in range(3):
            optimizer.zero_grad()
            x = randn(2, shape[1], seed=step)
            layer(x if library is torch else to_narae(x)).square().sum().backward()
            optimizer.step()
    assert_same(ours.weight.detach(), theirs.weight.detach(), 2e-4)
    w = torch.from_numpy(ours.weight.detach().numpy())
    product = w @ w.mT if shape[0] < shape[1] else w.mT @ w
    assert torch.allclose(product, torch.eye(min(shape)), atol=1e-5)


def test_orthogonal_assignment_and_refusals():
    for library in SIDES:
        wrap = library.nn.utils.parametrizations.orthogonal
        layer = wrap(library.nn.Linear(3, 3))
        turn = library.tensor([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        layer.weight = turn
        assert library.allclose(layer.weight, turn, atol=1e-6)
        with pytest.raises(ValueError, match="Expected a matrix or batch of matrices of shape"):
            layer.weight = library.eye(2)
        fixed = wrap(library.nn.Linear(3, 3), orthogonal_map="cayley", use_trivialization=False)
        with pytest.raises(NotImplementedError, match="not possible to assign"):
            fixed.weight = turn
        with pytest.raises(ValueError, match="orthogonal_map has to be one of"):
            wrap(library.nn.Linear(3, 3), orthogonal_map="givens")
        with pytest.raises(ValueError, match="Expected a matrix or batch of matrices"):
            wrap(library.nn.Linear(3, 3), "bias")
