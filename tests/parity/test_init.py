"""First weights beside PyTorch's: the same numbers from one seed, in every dtype."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from narae import nn  # noqa: E402
from tests.parity.layer_checks import assert_same, to_narae  # noqa: E402

SIDES = [torch, narae]


def started(library, recipe, shape, *arguments, dtype="float32", **options):
    library.manual_seed(11)
    x = library.empty(shape, dtype=getattr(library, dtype))
    return getattr(library.nn.init, recipe)(x, *arguments, **options)


def both(*args, **kwargs):
    theirs, ours = (started(library, *args, **kwargs) for library in SIDES)
    return ours, theirs


def test_xavier_of_the_network_of_the_notes():
    """G17: "bound √(6/(3136+10)) and stream equality"."""
    ours, theirs = both("xavier_uniform_", (10, 3136))
    bound = math.sqrt(6 / (3136 + 10))
    largest = abs(ours.numpy()).max()
    assert 0.999 * bound < largest <= bound
    assert ours.numpy().tobytes() == theirs.numpy().tobytes()
    assert narae.rand(3).tolist() == torch.rand(3).tolist()  # and both go on alike


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
@pytest.mark.parametrize("recipe", ["xavier_uniform_", "kaiming_uniform_", "uniform_"])
def test_uniform_starts_of_other_dtypes(recipe, dtype):
    ours, theirs = both(recipe, (6, 4, 3, 3), dtype=dtype)
    assert_same(ours, theirs, 0)


@pytest.mark.parametrize("recipe", ["xavier_normal_", "kaiming_normal_", "normal_"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_starts(recipe, dtype):
    ours, theirs = both(recipe, (6, 4, 3, 3), dtype=dtype)
    assert_same(ours, theirs, 1e-6)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (6, 2, 3, 3), (2, 3, 4), (2, 0)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_orthogonal_start(shape, dtype):
    """Within 1e-5 of PyTorch's numbers, and orthogonal."""
    ours, theirs = both("orthogonal_", shape, 1.5, dtype=dtype)
    assert_same(ours, theirs, 1e-5)
    flat = ours.numpy().reshape(shape[0], -1).astype(np.float64)
    product = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    if flat.size:
        np.testing.assert_allclose(product, 1.5**2 * np.eye(len(product)), atol=1e-5)


@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
@pytest.mark.parametrize(
    "bounds", [(0, 1, -2, 2), (0.5, 0.1, 0.4, 0.7), (0, 1, 2, 4), (0, 1, 5, 6), (-3, 1, 0, 1)]
)
@pytest.mark.parametrize("shape", [(3,), (20, 30)])
def test_truncated_start(bounds, shape):
    ours, theirs = both("trunc_normal_", shape, *bounds)
    assert_same(ours, theirs, 1e-5)
    assert bounds[2] <= ours.min().item() <= ours.max().item() <= bounds[3]


def test_truncated_start_warns_far_from_the_mean():
    for library in SIDES:
        with pytest.warns(UserWarning, match="mean is more than 2 std"):
            started(library, "trunc_normal_", (3,), 5.0)


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 1.0])
def test_sparse_start(sparsity):
    ours, theirs = both("sparse_", (10, 6), sparsity, 0.1)
    assert_same(ours, theirs, 1e-6)
    assert ((ours.numpy() == 0).sum(0) == math.ceil(10 * sparsity)).all()


RANDOM = {
    "uniform_": (),
    "normal_": (),
    "trunc_normal_": (),
    "xavier_uniform_": (),
    "xavier_normal_": (),
    "kaiming_uniform_": (),
    "kaiming_normal_": (),
    "orthogonal_": (),
}


@pytest.mark.parametrize("recipe", RANDOM)
def test_a_generator_of_its_own(recipe):
    found = []
    for library in SIDES:
        generator = library.Generator().manual_seed(3)
        x = started(library, recipe, (5, 4), generator=generator)
        library.manual_seed(11)
        assert library.rand(1).item() == started(library, "uniform_", (1,)).item()
        found.append(x)
    assert_same(found[1], found[0], 1e-5)


def test_parameters_are_filled_without_a_trace_of_it():
    for recipe in (*RANDOM, "ones_", "zeros_", "eye_"):
        x = nn.Parameter(narae.empty(3, 4))
        assert getattr(nn.init, recipe)(x) is x
        assert x.requires_grad
        assert x.grad_fn is None
    turned = narae.empty(4, 3).t()
    assert_same(nn.init.eye_(turned), torch.eye(3, 4))


def test_older_names_warn():
    for name in ("uniform", "normal", "constant", "eye", "dirac", "xavier_uniform", "sparse",
                 "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal"):  # fmt: skip
        shape = (4, 2, 3) if name == "dirac" else (4, 3)
        extra = {"constant": (2.0,), "sparse": (0.5,)}.get(name, ())
        found = []
        for library in SIDES:
            with pytest.warns(FutureWarning, match=f"nn.init.{name}` is now deprecated"):
                found.append(started(library, name, shape, *extra))
        assert_same(found[1], found[0], 1e-5)


@pytest.mark.parametrize("library", SIDES)
def test_refusals(library):
    init, empty = library.nn.init, library.empty
    for recipe, shape, extra in (
        ("eye_", (3,), ()),
        ("dirac_", (3, 3), ()),
        ("dirac_", (3, 3, 3), (2,)),
        ("orthogonal_", (3,), ()),
        ("sparse_", (3,), (0.5,)),
        ("xavier_normal_", (3,), ()),
        ("kaiming_normal_", (3, 3), (0, "fan_both")),
    ):
        with pytest.raises(ValueError):
            getattr(init, recipe)(empty(shape), *extra)
    with pytest.raises(ValueError, match="not a valid number"):
        init.calculate_gain("leaky_relu", True)
    with pytest.warns(UserWarning, match="no-op"):
        init.kaiming_uniform_(empty((0, 3)))


def test_every_name_of_pytorch_is_here():
    theirs = set(torch.nn.init.__all__)
    assert theirs - set(nn.init.__all__) == set()
    assert nn.init._calculate_fan_in_and_fan_out(narae.empty(2, 3, 4)) == (12, 8)
    assert nn.init._calculate_correct_fan(narae.empty(2, 3, 4), "fan_out") == 8
    assert_same(nn.init.dirac_(to_narae(torch.ones(2, 2, 3))), torch.nn.init.dirac_(
        torch.ones(2, 2, 3)))  # fmt: skip
