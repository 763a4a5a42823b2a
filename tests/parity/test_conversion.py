"""Dtypes, storage and hand-over: `to`, detach, data, copy_, pickling, NumPy, DLPack, limits."""

import copy
import io
import itertools
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from tests.parity.agreement import DTYPES, FLOATS, agree, assert_same, narae_of, numbers  # noqa: E402


@pytest.mark.parametrize("source", DTYPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_conversion(source, dtype):
    x = numbers(3, 4, dtype=source, low=0, high=9)
    agree(lambda x, d: x.to(d), lambda x, d: x.to(d), x, dtype)
    agree(lambda x, d: x.type(d), lambda x, d: x.type(d), x, dtype)


def test_gradients_of_conversions():
    for dtype in FLOATS:
        agree(
            lambda x, d: x.to(d), lambda x, d: x.to(d), numbers(3, grad=True), dtype, second=False
        )


def test_forms_of_to():
    x = narae.ones(2)
    assert x.to(narae.float32) is x and x.to("cpu") is x and x.float() is x and x.cpu() is x
    assert x.to(narae.float32, copy=True) is not x
    assert x.to("cpu", narae.float64).dtype is narae.float64
    assert x.to(narae.ones(1, dtype=narae.int32)).dtype is narae.int32
    assert x.to(dtype=narae.int8, device="cpu", non_blocking=True).dtype is narae.int8
    assert x.type_as(narae.tensor([1])).dtype is narae.int64
    assert x.type() == "narae.FloatTensor" and x.long().type() == "narae.LongTensor"
    for wanted in ("cuda", "cuda:1"):
        with pytest.raises(RuntimeError, match="only cpu is available"):
            x.to(wanted)
    with pytest.raises(RuntimeError, match="only cpu is available"):
        x.cuda()


@pytest.mark.parametrize("name", ["float", "double", "half", "bfloat16", "long", "int", "short",
                                  "char", "byte", "bool"])  # fmt: skip
def test_named_conversions(name):
    agree(getattr(narae.Tensor, name), getattr(torch.Tensor, name), numbers(4, low=0))


def test_promotion_tables():
    for first, second in itertools.product(DTYPES, repeat=2):
        ours = narae_of(first), narae_of(second)
        assert narae.promote_types(*ours) is narae_of(torch.promote_types(first, second))
        assert narae.can_cast(*ours) == torch.can_cast(first, second)
    for dtype in DTYPES:
        for number in (True, 2, 2.5):
            x = numbers(2, dtype=dtype)
            assert narae.result_type(narae_of(x), number) is narae_of(torch.result_type(x, number))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_limits(dtype):
    ours = narae_of(dtype)
    if dtype in FLOATS:
        assert repr(narae.finfo(ours)) == repr(torch.finfo(dtype))
        for field in ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution"):
            assert getattr(narae.finfo(ours), field) == getattr(torch.finfo(dtype), field)
        with pytest.raises(TypeError):
            narae.iinfo(ours)
    elif dtype != torch.bool:
        assert repr(narae.iinfo(ours)) == repr(torch.iinfo(dtype))
        with pytest.raises(TypeError):
            narae.finfo(ours)


def test_detach_shares_storage_and_version():
    x = narae.ones(3, requires_grad=True)
    y = x * 2
    z = y.detach()
    assert not z.requires_grad and z.is_leaf and z.data_ptr() == y.data_ptr()
    out = (y * y).sum()
    z.zero_()
    assert y.tolist() == [0, 0, 0]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()


def test_detach_in_place():
    y = (narae.ones(3, requires_grad=True) * 2).detach_()
    assert y.is_leaf and not y.requires_grad
    with pytest.raises(RuntimeError, match="Can't detach views in-place"):
        (narae.ones(3, requires_grad=True) * 2)[0].detach_()


def test_data_can_be_written_and_replaced():
    w = narae.Parameter(narae.ones(2))
    w.data -= 0.5
    assert w.tolist() == [0.5, 0.5] and w.requires_grad and w.is_leaf
    w.data = narae.zeros(3)
    assert w.shape == (3,) and isinstance(w, narae.Parameter)
    w.data.add_(1)
    assert w.tolist() == [1, 1, 1]


def test_copy_fill_and_zero():
    def run(x, y, z):
        out = x * 1
        out[0].copy_(y)
        out[1].fill_(z)
        return out * 2

    agree(run, run, numbers(3, 4, grad=True), numbers(4, seed=1, grad=True),
          torch.tensor(2.0, dtype=torch.float64, requires_grad=True))  # fmt: skip
    for source in (numbers(3, 1), numbers(4, dtype=torch.int32), numbers(1, 3, 4), numbers(2, 4)):
        agree(
            lambda x, y: x.clone().copy_(y), lambda x, y: x.clone().copy_(y), numbers(3, 4), source
        )
    for value in (3, 2.7, True, torch.tensor(4), torch.ones(2)):
        for dtype in (torch.float32, torch.int64, torch.bool):
            agree(lambda x, v: x.clone().fill_(v), lambda x, v: x.clone().fill_(v),
                  numbers(3, dtype=dtype), value)  # fmt: skip
    leaf = narae.ones(2, requires_grad=True)
    for write in (lambda: leaf.zero_(), lambda: leaf.copy_(narae.zeros(2))):
        with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
            write()


def test_layout_questions():
    x = numbers(4, 6)
    for piece in (
        lambda x: x,
        lambda x: x.t(),
        lambda x: x[1:, ::2],
        lambda x: x[0],
        lambda x: x[:, 2],
    ):
        ours, theirs = piece(narae_of(x)), piece(x)
        assert ours.is_contiguous() == theirs.is_contiguous()
        assert ours.stride() == theirs.stride() and ours.storage_offset() == theirs.storage_offset()
        assert ours.stride(0) == theirs.stride(0) and ours.stride(-1) == theirs.stride(-1)
        assert_same(ours.contiguous(), theirs.contiguous())
        assert ours.contiguous().is_contiguous()
    base = narae_of(x)
    assert base.t().untyped_storage().data_ptr() == base.untyped_storage().data_ptr()
    assert base.untyped_storage().nbytes() == 4 * 6 * 8
    assert base.contiguous() is base


def test_new_tensors_of_the_same_dtype():
    x = narae.ones(2, dtype=narae.float64)
    assert x.new_zeros(2, 3).shape == (2, 3) and x.new_zeros((2, 3)).dtype is narae.float64
    assert x.new_ones(2, dtype=narae.int32).dtype is narae.int32
    assert x.new_full((2,), 7).tolist() == [7, 7] and x.new_full((2,), 7).dtype is narae.float64
    assert x.new_empty(0).shape == (0,)
    assert x.new_tensor([1, 2]).dtype is narae.float64


def test_arrays_share_memory():
    x = narae.zeros(3)
    array = x.numpy()
    array[0] = 5
    assert x.tolist() == [5, 0, 0] and np.asarray(x).tolist() == [5, 0, 0]
    assert np.array(x, dtype=np.int64).dtype == np.int64
    assert np.add(x, 1).tolist() == [6, 1, 1]
    with pytest.raises(RuntimeError, match=r"Use tensor.detach\(\).numpy\(\) instead"):
        narae.ones(2, requires_grad=True).numpy()
    assert narae.ones(2, requires_grad=True).numpy(force=True).tolist() == [1, 1]


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != torch.bfloat16], ids=str)
def test_dlpack_shares_memory_with_pytorch_and_numpy(dtype):
    x = numbers(2, 3, dtype=dtype)
    ours = narae.from_dlpack(x)
    assert_same(ours, x)
    x[0, 0] = 1
    assert_same(ours, x)
    again = torch.from_dlpack(ours)
    assert again.data_ptr() == x.data_ptr()
    assert np.from_dlpack(ours).ctypes.data == ours.data_ptr()
    assert ours.__dlpack_device__() == (1, 0)


def test_dlpack_refusals():
    with pytest.raises(BufferError, match="require gradient"):
        np.from_dlpack(narae.ones(2, requires_grad=True))
    with pytest.raises(BufferError, match="bfloat16"):
        np.from_dlpack(narae.ones(2, dtype=narae.bfloat16))
    with pytest.raises(TypeError, match="__dlpack__"):
        narae.from_dlpack([1, 2])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_pickle_and_copies(dtype):
    x = narae_of(numbers(2, 3, dtype=dtype))
    assert_same(pickle.loads(pickle.dumps(x)), numbers(2, 3, dtype=dtype))
    deep = copy.deepcopy(x)
    assert_same(deep, numbers(2, 3, dtype=dtype))
    assert deep.data_ptr() != x.data_ptr() and copy.copy(x).data_ptr() == x.data_ptr()


def test_copies_of_leaves_and_parameters():
    x = narae.ones(2, requires_grad=True)
    (x * 3).sum().backward()
    twice = copy.deepcopy([x, x])
    assert twice[0] is twice[1] and twice[0].requires_grad and twice[0].grad.tolist() == [3, 3]
    w = narae.Parameter(narae.ones(2), requires_grad=False)
    for made in (copy.deepcopy(w), pickle.loads(pickle.dumps(w))):
        assert type(made) is narae.Parameter and not made.requires_grad
    for make in (copy.deepcopy, lambda t: pickle.dump(t, io.BytesIO())):
        with pytest.raises(RuntimeError, match="detach"):
            make(x * 2)


def test_texts():
    cases = [
        (lambda lib: lib.tensor([1.0, 2.5], requires_grad=True)),
        (lambda lib: lib.tensor([1.0], requires_grad=True) * 2),
        (lambda lib: lib.tensor([[1, 2], [3, 4]])),
        (lambda lib: lib.zeros(2, 0, dtype=lib.float64)),
        (lambda lib: lib.tensor([True])),
        (lambda lib: lib.tensor([1.0], dtype=lib.bfloat16)),
        (lambda lib: lib.tensor(3.5).exp()),
    ]
    for case in cases:
        assert repr(case(narae)) == repr(case(torch)).replace("torch.", "narae.")
    ours, theirs = narae.Parameter(narae.ones(2)), torch.nn.Parameter(torch.ones(2))
    assert repr(ours) == repr(theirs)
    for spec in (".2f", "", ".1%", "10.3e"):
        assert format(narae.tensor(0.1234), spec) == format(torch.tensor(0.1234), spec)
    assert f"{narae.ones(2)}" == "tensor([1., 1.])"
    with pytest.raises(TypeError):
        format(narae.ones(2), ".2f")


def test_text_of_a_traced_tensor():
    seen = []

    def step(x):
        seen.append((repr(x * 2), str(x * 2)))
        return x * 2

    narae.program_of(step)(narae.ones(2, 3))
    assert seen[0] == ("tensor(<traced f32[2,3]>)", "tensor(<traced f32[2,3]>)")
