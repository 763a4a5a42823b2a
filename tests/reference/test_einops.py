"""einops on tensors: its own functions give what they give for NumPy, with gradients."""

import subprocess
import sys

import numpy as np
import pytest

import narae

einops = pytest.importorskip("einops")

import einops.array_api as by_standard  # noqa: E402

import narae.einops  # noqa: E402

SHAPE = (2, 3, 4, 6)
REARRANGED = (
    ("b c h w -> b (c h w)", {}),
    ("b c h w -> b h w c", {}),
    ("b c (h p) (w q) -> b (h w) (p q c)", {"p": 2, "q": 3}),
    ("b (g c) h w -> g b c h w", {"g": 3}),
    ("b c h w -> (b c) 1 h w", {}),
    ("b ... -> (b ...)", {}),
    ("b c h w -> w h c b", {}),
)
REDUCED = (
    ("b c (h 2) (w 2) -> b c h w", {}),
    ("b c h w -> b c", {}),
    ("b c h w -> b () h ()", {}),
    ("b c h w -> ", {}),
    ("b ... -> b", {}),
)
REPEATED = (
    ("b c h w -> b c (h 2) (w 3)", {}),
    ("b c h w -> r b c h w", {"r": 2}),
    ("b c h w -> b (c r) h w", {"r": 2}),
)


def numbers(dtype=np.float64):
    return np.random.default_rng(0).normal(size=SHAPE).astype(dtype)


def check(call, x):
    """The same call on an array and on a tensor of the same numbers."""
    wanted = call(x)
    tensor = narae.tensor(x, requires_grad=x.dtype.kind == "f")
    found = call(tensor)
    assert isinstance(found, narae.Tensor)
    assert tuple(found.shape) == np.shape(wanted)
    np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=1e-12)
    return tensor, found


@pytest.mark.parametrize(("pattern", "sizes"), REARRANGED)
def test_rearrange(pattern, sizes):
    tensor, found = check(lambda x: einops.rearrange(x, pattern, **sizes), numbers())
    weights = narae.randn(found.shape, dtype=narae.float64)
    (grad,) = narae.autograd.grad((found * weights).sum(), tensor)
    # Where an element went, its weight is its gradient: rearrange an index to see where.
    places = einops.rearrange(np.arange(tensor.numel()).reshape(SHAPE), pattern, **sizes)
    back = np.empty(tensor.numel())
    back[places.reshape(-1)] = weights.numpy().reshape(-1)
    np.testing.assert_array_equal(grad.numpy().reshape(-1), back)


@pytest.mark.parametrize("reduction", ["sum", "mean", "min", "max", "prod"])
@pytest.mark.parametrize(("pattern", "sizes"), REDUCED)
def test_reduce_and_its_gradient(pattern, sizes, reduction):
    def call(x):
        return einops.reduce(x, pattern, reduction, **sizes)

    check(call, numbers())
    small = narae.tensor(numbers()[:1, :2, :2, :4], requires_grad=True)
    assert narae.autograd.gradcheck(call, (small,))


@pytest.mark.parametrize("reduction", ["any", "all"])
def test_reduce_of_bools(reduction):
    found = check(lambda x: einops.reduce(x, "b c h w -> b h", reduction), numbers() > 0.8)[1]
    assert found.dtype is narae.bool


def test_mean_of_integers_is_refused():
    with pytest.raises(NotImplementedError, match="mean"):
        einops.reduce(narae.ones(2, 3, dtype=narae.int64), "a b -> a", "mean")


@pytest.mark.parametrize(("pattern", "sizes"), REPEATED)
def test_repeat(pattern, sizes):
    tensor, found = check(lambda x: einops.repeat(x, pattern, **sizes), numbers())
    (grad,) = narae.autograd.grad(found.sum(), tensor)
    np.testing.assert_array_equal(grad.numpy(), np.full(SHAPE, found.numel() / tensor.numel()))


def test_einsum_and_its_gradient():
    x, y = numbers()[0], numbers()[1]

    def call(x, y):
        return einops.einsum(x, y, "channel row column, channel row other -> column other")

    first, second = (narae.tensor(a, requires_grad=True) for a in (x, y))
    np.testing.assert_allclose(call(first, second).detach().numpy(), call(x, y), rtol=1e-12)
    assert narae.autograd.gradcheck(call, (first, second))


def test_pack_and_unpack():
    arrays = [numbers(), numbers()[:, 0], np.ones((2,))]
    tensors = [narae.tensor(array) for array in arrays]
    packed, shapes = einops.pack(tensors, "b *")
    wanted, _ = einops.pack(arrays, "b *")
    np.testing.assert_array_equal(packed.numpy(), wanted)
    for one, array in zip(einops.unpack(packed, shapes, "b *"), arrays, strict=True):
        np.testing.assert_array_equal(one.numpy(), array)


def test_lists_shapes_and_numbers():
    tensors = [narae.tensor(numbers()) for _ in range(3)]
    assert einops.rearrange(tensors, "n b c h w -> b n c h w").shape == (2, 3, 3, 4, 6)
    assert einops.parse_shape(tensors[0], "b _ h w") == {"b": 2, "h": 4, "w": 6}
    np.testing.assert_array_equal(einops.asnumpy(tensors[0]), numbers())


def test_wrong_patterns_name_the_shape():
    with pytest.raises(einops.EinopsError, match=r"\[2, 3\]"):
        einops.rearrange(narae.ones(2, 3), "a b c -> a")


def test_layers():
    x = narae.tensor(numbers(np.float32))
    model = narae.nn.Sequential(
        narae.einops.Reduce("b c (h 2) (w 2) -> b c h w", "max"),
        narae.einops.Rearrange("b c h w -> b (c h w)"),
        narae.nn.Linear(18, 5),
        narae.einops.Rearrange("b (n k) -> b n k", k=5),
    )
    assert model(x).shape == (2, 1, 5)
    pooled = narae.nn.functional.max_pool2d(x, 2)
    assert narae.equal(model[:2](x), pooled.flatten(1))
    model(x).sum().backward()
    assert model[2].weight.grad.abs().sum() > 0
    assert repr(model[0]) == "Reduce('b c (h 2) (w 2) -> b c h w', 'max')"
    assert repr(model[3]) == "Rearrange('b (n k) -> b n k', k=5)"


def test_layers_compile():
    x = narae.tensor(numbers(np.float32))
    layer = narae.einops.Reduce("b c (h 2) (w 2) -> b (h w) c", "mean")
    assert narae.equal(narae.compile(layer)(x), layer(x))


def test_the_form_for_the_array_api_needs_no_registration():
    script = (
        "import narae\n"
        "from einops.array_api import rearrange, reduce\n"
        "x = narae.arange(6).reshape(2, 3)\n"
        "print(rearrange(x, 'a b -> b a').tolist(), reduce(x, 'a b -> a', 'max').tolist())\n"
        "import einops\n"
        "try:\n"
        "    einops.rearrange(x, 'a b -> b a')\n"
        "except RuntimeError as error:\n"
        "    print('unknown' in str(error))\n"
        "import narae.einops\n"
        "print(einops.rearrange(x, 'a b -> b a').tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    wanted = "[[0, 3], [1, 4], [2, 5]]"
    assert done.stdout.splitlines() == [f"{wanted} [2, 5]", "True", wanted], done.stderr
    x = narae.tensor(numbers(), requires_grad=True)
    found = by_standard.reduce(x, "b c h w -> b c", "mean")
    (grad,) = narae.autograd.grad(found.sum(), x)
    np.testing.assert_allclose(grad.numpy(), np.full(SHAPE, 1 / 24))
