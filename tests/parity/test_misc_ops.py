"""Functions beyond PyTorch's own samples: streams, `out=`, sizes in place, settings, refusals."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from narae.testing import to_narae  # noqa: E402

LIBRARIES = (torch, narae)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # of PyTorch's deprecations


def both(call):
    """The same call on both libraries, as arrays."""
    return [np.asarray(call(lib).detach().numpy()) for lib in LIBRARIES]


def same(call, **tolerance):
    wanted, found = both(call)
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    if tolerance:
        np.testing.assert_allclose(found, wanted, **tolerance)
    else:
        np.testing.assert_array_equal(found, wanted)


def seeded(lib, seed=5):
    lib.manual_seed(seed)
    return lib


# --- random numbers ---------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [7, 40])
def test_streams_are_pytorchs(dtype, size):
    def empty(lib):
        return seeded(lib).zeros(size, dtype=getattr(lib, dtype))

    close = {"rtol": 1e-6 if dtype == "float32" else 1e-14}
    same(lambda lib: empty(lib).cauchy_(1.0, 2.0), **close)
    same(lambda lib: empty(lib).log_normal_(0.5, 0.7), **close)
    same(lambda lib: empty(lib).log_normal_(), **close)
    same(lambda lib: empty(lib).geometric_(0.3))
    same(lambda lib: seeded(lib).zeros(size, dtype=lib.int64).geometric_(0.3))


COUNT = 40_000
STATISTICS = {
    "geometric": lambda lib: lib.zeros(COUNT).geometric_(0.25),
    "log_normal": lambda lib: lib.zeros(COUNT).log_normal_(0.0, 0.5),
    "poisson": lambda lib: lib.poisson(lib.full((COUNT,), 3.5)),
    "poisson, large rates": lambda lib: lib.poisson(lib.full((COUNT,), 50.0)),
    "binomial": lambda lib: lib.binomial(lib.full((COUNT,), 10.0), lib.full((COUNT,), 0.3)),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_agree(name):
    wanted, found = both(lambda lib: STATISTICS[name](seeded(lib)))
    spread = wanted.std()
    assert abs(found.mean() - wanted.mean()) < 8 * spread / COUNT**0.5
    assert found.std() == pytest.approx(spread, rel=0.06)


def test_quantiles_of_cauchy():
    found = seeded(narae).zeros(COUNT).cauchy_(2.0, 3.0).numpy()
    np.testing.assert_allclose(np.quantile(found, [0.25, 0.5, 0.75]), [-1, 2, 5], atol=0.15)


def test_impossible_rates_are_refused():
    with pytest.raises(ValueError, match="non-negative"):
        narae.poisson(narae.tensor([-1.0]))
    with pytest.raises(ValueError, match="lies in"):
        narae.binomial(narae.tensor([3.0]), narae.tensor([1.5]))


def test_a_sample_stands_on_the_tape_with_a_gradient_of_zero():
    chances = narae.tensor([0.2, 0.9], requires_grad=True)
    narae.bernoulli(chances).sum().backward()
    assert chances.grad.tolist() == [0.0, 0.0]


# --- out= -------------------------------------------------------------------------------------
def overlapping(lib):
    x, z = lib.ones(4, 6), lib.zeros(4, 6)
    index = lib.tensor([2, 1, 0])
    mask = lib.ones(4, 6, dtype=lib.bool)
    return {
        "cat": lambda: lib.cat([x, z], out=z[:2]),
        "cat itself": lambda: lib.cat([x, z], out=x),
        "gather": lambda: lib.gather(index, 0, index[1:], out=index[:2]),
        "take": lambda: lib.take(index, index[1:], out=index[:-1]),
        "masked_select": lambda: lib.masked_select(x, mask, out=x.view(-1)),
        "index_select": lambda: lib.index_select(x, 0, index, out=x[1:]),
    }


@pytest.mark.parametrize("name", overlapping(narae))
def test_out_over_an_input_is_refused(name):
    for lib in LIBRARIES:
        with pytest.raises(RuntimeError, match="unsupported operation"):
            overlapping(lib)[name]()


def test_out_beside_the_inputs_is_written():
    for lib in LIBRARIES:
        storage = lib.zeros(8)
        lib.cat([storage[:2] + 1, storage[2:4] + 2], out=storage[4:])
        assert storage.tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
        columns = lib.zeros(2, 2)  # interleaved in memory, but apart
        lib.take(lib.tensor([5.0, 6.0]), lib.tensor([1, 0]), out=columns[:, 1])
        assert columns.tolist() == [[0, 6], [0, 5]]


def test_pieces_are_written_into_out():
    for lib in LIBRARIES:
        out = [lib.zeros(2), lib.zeros(2)]
        lib.unbind_copy(lib.tensor([[1.0, 2.0], [3.0, 4.0]]), 0, out=out)
        assert [x.tolist() for x in out] == [[1, 2], [3, 4]]
        with pytest.raises(RuntimeError, match="size 2"):
            lib.unbind_copy(lib.ones(2, 2), 0, out=out[:1])


# --- memory -----------------------------------------------------------------------------------
def test_resize_keeps_elements_in_memory_order():
    for lib in LIBRARIES:
        x = lib.arange(6).reshape(2, 3)
        x = x.clone()
        x.resize_(3, 2)
        assert x.tolist() == [[0, 1], [2, 3], [4, 5]]
        x.resize_(2)
        assert x.tolist() == [0, 1]
        y = lib.arange(3)
        y.resize_(2, 3)
        assert y[0].tolist() == [0, 1, 2]
        assert lib.resize_as_(lib.zeros(2), lib.zeros(3, 1)).shape == (3, 1)
        with pytest.raises(RuntimeError, match="require"):
            lib.ones(2, requires_grad=True).resize_(3)


def test_resize_of_a_tensor_with_views_is_refused():
    x = narae.zeros(4)
    view = x[:2]
    with pytest.raises(RuntimeError, match="views"):
        x.resize_(8)
    with pytest.raises(RuntimeError, match="views"):
        view.resize_(8)
    assert x.resize_(4) is x


def test_strided_memory():
    for lib in LIBRARIES:
        assert lib.empty_strided((2, 3), (1, 2)).stride() == (1, 2)
        permuted = lib.empty_permuted((2, 3, 4), (2, 0, 1))
        assert permuted.permute(2, 0, 1).is_contiguous()
        assert permuted.dim_order() == (2, 0, 1)
        assert lib.ones(2, dtype=lib.int64).new_empty_strided((2,), (3,)).dtype is lib.int64
        shared = bytearray(8)
        lib.frombuffer(shared, dtype=lib.int32)[0] = 7
        assert shared[0] == 7
    with pytest.raises(ValueError, match="must match"):
        narae.empty_strided((2, 3), (1,))


def test_writing_in_place():
    same(lambda lib: lib.zeros(7, 3).fill_diagonal_(2.0))
    same(lambda lib: lib.zeros(7, 3).fill_diagonal_(2.0, wrap=True))
    same(lambda lib: lib.zeros(3, 3, 3).fill_diagonal_(1.0))
    same(lambda lib: lib.arange(4.0).apply_(lambda x: x * x))
    same(lambda lib: lib.arange(4.0).map_(lib.ones(4), lambda x, y: x + y))
    same(lambda lib: lib.exp_(lib.arange(3.0)), rtol=1e-6)
    same(lambda lib: lib.clamp_(lib.arange(5.0), 1.0, 3.0))

    def bits(lib):
        x = lib.tensor([6, 5])
        before = x
        x &= lib.tensor([3, 4])
        x |= 8
        x ^= 1
        x <<= 1
        assert x is before
        return x

    same(bits)


# --- values -----------------------------------------------------------------------------------
def test_ranges_and_scalars():
    same(lambda lib: lib.range(1, 2.5, 0.5))
    same(lambda lib: lib.range(0, 3, dtype=lib.int64))
    same(lambda lib: lib.scalar_tensor(3))
    assert narae.pi == torch.pi
    assert narae.broadcast_shapes((2, 1), (3,)) == torch.broadcast_shapes((2, 1), (3,))
    with pytest.raises(ValueError, match="broadcast_shapes"):
        narae.broadcast_shapes((2,), (3,))


def test_histograms_of_points_on_edges():
    def call(lib):
        x = lib.tensor([0.0, 0.5, 1.0, 1.0, 2.0, 2.5, -1.0])
        return lib.histogram(x, lib.tensor([0.0, 1.0, 2.0]))[0]

    same(call)
    same(lambda lib: lib.histogram(lib.ones(3), 2)[1])
    wanted, found = (lib.histogramdd(lib.tensor([[0.0, 1.0], [1.0, 2.0]]), (2, 3), density=True)
                     for lib in LIBRARIES)  # fmt: skip
    np.testing.assert_allclose(found.hist.numpy(), wanted.hist.numpy())
    assert len(found.bin_edges) == 2


def test_gradient_at_uneven_points_is_exact_for_parabolas():
    points = narae.tensor([0.0, 0.5, 2.0, 3.0], dtype=narae.float64)
    (found,) = narae.gradient(points**2, spacing=(points,), edge_order=2)
    np.testing.assert_allclose(found.numpy(), 2 * points.numpy())


@pytest.mark.parametrize("invert", [False, True])
def test_membership_of_numbers_and_in_a_compiled_step(invert):
    x, y = narae.tensor([[1, 5], [7, 2]]), narae.tensor([2, 7])
    same(lambda lib: lib.isin(lib.tensor([1, 2]), 2, invert=invert))
    same(lambda lib: lib.isin(2, lib.tensor([1, 2]), invert=invert))
    step = narae.compile(lambda x, y: narae.isin(x, y, invert=invert))
    assert step(x, y).tolist() == narae.isin(x, y, invert=invert).tolist()
    with pytest.raises(RuntimeError, match="bool"):
        narae.isin(narae.tensor([True]), narae.tensor([True]))


def test_running_statistics_move():
    def call(lib):
        x = lib.arange(24.0).reshape(4, 3, 2)
        mean, var = lib.zeros(3), lib.ones(3)
        out = lib.native_batch_norm(x, None, None, mean, var, True, 0.1, 1e-5)
        return lib.cat([out[0].flatten(), out[1], out[2], mean, var])

    same(call, rtol=1e-5, atol=1e-6)


def test_second_derivatives_where_two_zeros_meet():
    """The product of the others is 0 there, its derivative is not."""
    x = narae.tensor([2.0, 3.0], dtype=narae.float64, requires_grad=True)
    src = narae.tensor([0.0, 0.0, 5.0, 4.0], dtype=narae.float64, requires_grad=True)
    index = narae.tensor([0, 0, 0, 1])

    def second(product):
        (first,) = narae.autograd.grad(product(x, src)[0], src, create_graph=True)
        return [narae.autograd.grad(first[i], src, retain_graph=True)[0].tolist() for i in (0, 2)]

    def by_hand(x, src):
        return narae.stack([x[0] * src[0] * src[1] * src[2], x[1] * src[3]])

    found = second(lambda x, src: x.scatter_reduce(0, index, src, "prod"))
    assert found == second(by_hand) == [[0, 10, 0, 0], [0, 0, 0, 0]]


# --- questions and settings -------------------------------------------------------------------
def test_questions():
    for lib in LIBRARIES:
        x = lib.ones(2, 3)
        assert lib.numel(x) == 6
        assert (lib.is_complex(x), lib.is_signed(x), lib.is_conj(x)) == (False, True, False)
        assert lib.is_nonzero(lib.tensor([3.0])) is True
        assert (x.is_cpu, x.is_sparse, x.is_quantized, x.is_meta) == (True, False, False, False)
        assert x.layout is lib.strided
        assert lib.typename(x).endswith(".FloatTensor")
        assert lib.typename(3) == "int"
        assert x.is_set_to(x.view(2, 3))
        assert not x.is_set_to(x.clone())
        assert x.contiguous(memory_format=lib.channels_last if x.ndim == 4 else (
            lib.contiguous_format)).equal(x)  # fmt: skip
        with pytest.raises(RuntimeError, match="imag is not implemented"):
            _ = x.imag
    with pytest.raises(RuntimeError, match="sparse"):
        narae.ones(2).to_sparse()


def test_settings_with_one_answer():
    narae.use_deterministic_algorithms(True)
    assert narae.are_deterministic_algorithms_enabled()
    narae.set_float32_matmul_precision("high")
    assert narae.get_float32_matmul_precision() == "highest"
    with pytest.raises(ValueError, match="precision"):
        narae.set_float32_matmul_precision("low")
    assert narae.get_default_device() == narae.device("cpu")
    narae.set_default_tensor_type("torch.DoubleTensor")
    try:
        assert narae.get_default_dtype() is narae.float64
    finally:
        narae.set_default_dtype(narae.float32)
    with pytest.raises(ValueError, match="floating-point"):
        narae.set_default_tensor_type("torch.LongTensor")


def test_copies_of_views_have_their_own_memory():
    x = narae.arange(6.0).reshape(2, 3)
    for copied in (narae.t_copy(x), narae.view_copy(x, 3, 2), narae.select_copy(x, 0, 1)):
        copied.zero_()
    assert x.tolist() == to_narae(torch.arange(6.0).reshape(2, 3)).tolist()
    assert narae.expand_copy(narae.ones(1), [3]).add_(1).tolist() == [2, 2, 2]


def test_layers_at_the_top():
    x = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    w = np.random.default_rng(1).normal(size=(4, 3, 3, 3)).astype(np.float32)

    def call(lib):
        image = lib.from_numpy(x)
        out = lib.conv2d(image, lib.from_numpy(w), None, 1, 1)
        out = lib.max_pool2d(lib.layer_norm(out, [8]), 2)
        return lib.dropout(lib.group_norm(out, 2), 0.5, False)

    same(call, rtol=1e-4, atol=1e-5)
