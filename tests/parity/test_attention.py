"""Attention beside PyTorch's: values, first and second gradients, masks, layouts, refusals."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import narae  # noqa: E402
import narae.nn.functional as F  # noqa: E402
from tests.parity.layer_checks import assert_same, check_call, to_narae  # noqa: E402

THEIRS = torch.nn.functional.scaled_dot_product_attention
MATH = torch.nn.attention.SDPBackend.MATH


def randn(*shape, seed=0, dtype=torch.float64, grad=True):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_(grad)


def inputs(batch=(2,), queries=3, keys=5, size=4, value_size=4, **options):
    return (
        randn(*batch, queries, size, seed=1, **options),
        randn(*batch, keys, size, seed=2, **options),
        randn(*batch, keys, value_size, seed=3, **options),
    )


def compared(args, **options):
    """With PyTorch's implementation that knows second gradients."""
    with torch.nn.attention.sdpa_kernel(MATH):
        check_call(
            lambda *x: F.scaled_dot_product_attention(*x, **options),
            lambda *x: THEIRS(*x, **options),
            args,
        )


# --- scaled_dot_product_attention -----------------------------------------------------------


@settings(max_examples=40)
@given(
    st.sampled_from([(), (2,), (2, 3)]),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from(["none", "causal", "bool", "float"]),
    st.sampled_from([None, 0.3]),
)
def test_values_and_gradients(batch, queries, keys, size, value_size, mask, scale):
    """J5, J6: query, key and value meet in softmax(q kᵀ / √d_k) v, as in PyTorch."""
    args = inputs(batch, queries, keys, size, value_size)
    options = {"scale": scale, "is_causal": mask == "causal"}
    if mask == "bool":
        args = (*args, randn(queries, keys, seed=4).detach() > -0.3)
    elif mask == "float":
        args = (*args, randn(queries, keys, seed=4))
    compared(args, **options)


def test_a_query_without_a_key_gets_zero_and_no_gradient():
    hidden = torch.ones(3, 5, dtype=torch.bool)
    hidden[1] = False
    compared((*inputs(), hidden))
    added = torch.zeros(3, 5, dtype=torch.float64).masked_fill(~hidden, -torch.inf)
    compared((*inputs(), added))
    out = F.scaled_dot_product_attention(*to_narae(inputs()), to_narae(hidden))
    assert bool((out[:, 1] == 0).all())


def test_leading_sizes_broadcast():
    q, k, v = randn(3, 3, 4), randn(2, 3, 5, 4, seed=5), randn(1, 5, 6, seed=6)
    check_call(F.scaled_dot_product_attention, _by_definition, (q, k, v, randn(2, 1, 1, 5)))


def _by_definition(q, k, v, mask):
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5 + mask, -1) @ v


def test_heads_shared_by_queries():
    q, k, v = randn(2, 6, 3, 4), randn(2, 2, 5, 4, seed=1), randn(2, 3, 5, 4, seed=2)
    compared((q, k, v), enable_gqa=True)
    with pytest.raises(RuntimeError, match="must divide"):
        F.scaled_dot_product_attention(*to_narae((q, randn(2, 4, 5, 4), v)), enable_gqa=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_other_dtypes(dtype):
    args = inputs((2, 2), dtype=dtype)
    check_call(F.scaled_dot_product_attention, THEIRS, args, second=False)
    check_call(
        lambda *x: F.scaled_dot_product_attention(*x, is_causal=True),
        lambda *x: THEIRS(*x, is_causal=True),
        args,
        second=False,
    )


def test_memory_in_another_order_and_no_element():
    q, k, v = (x.detach().mT.contiguous().mT.requires_grad_() for x in inputs())
    compared((q, k, v))
    for sizes in ({"queries": 0}, {"keys": 0}, {"batch": (0,)}, {"value_size": 0}, {"size": 0}):
        args = tuple(x.detach() for x in inputs(**sizes))
        ours = F.scaled_dot_product_attention(*to_narae(args))
        with torch.nn.attention.sdpa_kernel(MATH):
            theirs = THEIRS(*args)
        assert tuple(ours.shape) == tuple(theirs.shape)
        if sizes != {"size": 0}:
            assert_same(ours, theirs)


def test_a_float32_mask_serves_every_dtype():
    mask = randn(3, 5, dtype=torch.float32)
    args = (*inputs(), mask)
    with torch.nn.attention.sdpa_kernel(MATH):
        assert_same(F.scaled_dot_product_attention(*to_narae(args)), THEIRS(*args), 1e-6)


BAD = {
    "one dimension": lambda q, k, v: ((q[0, 0], k[0, 0], v[0, 0]), {}),
    "other head size": lambda q, k, v: ((q, k[..., :2], v), {}),
    "other number of values": lambda q, k, v: ((q, k, v[:, :2]), {}),
    "other dtype": lambda q, k, v: ((q, k.float(), v), {}),
    "integers": lambda q, k, v: ((q.long(), k.long(), v.long()), {}),
    "other batch": lambda q, k, v: ((q, k[:1].expand(3, 5, 4), v[:1].expand(3, 5, 4)), {}),
    "mask and causal": lambda q, k, v: ((q, k, v, q[0] @ k[0].mT), {"is_causal": True}),
    "integer mask": lambda q, k, v: ((q, k, v, (q[0] @ k[0].mT).int()), {}),
    "mask of other size": lambda q, k, v: ((q, k, v, (q[0] @ k[0].mT)[:2]), {}),
    "mask that widens": lambda q, k, v: ((q, k, v, (q @ k.mT).expand(3, 2, 3, 5)), {}),
    "probability": lambda q, k, v: ((q, k, v), {"dropout_p": 1.5}),
}


@pytest.mark.parametrize("name", BAD)
def test_refusals(name):
    args, options = BAD[name](*(x.detach() for x in inputs()))
    with pytest.raises((RuntimeError, ValueError)):
        THEIRS(*args, **options)
    with pytest.raises((RuntimeError, ValueError), match=r"\[|probability"):
        F.scaled_dot_product_attention(*to_narae(args), **options)


def test_a_list_is_no_tensor():
    with pytest.raises(TypeError, match=r"argument 'query' \(position 1\) must be Tensor"):
        F.scaled_dot_product_attention([1.0], narae.ones(2, 2), narae.ones(2, 2))


# --- MultiheadAttention ---------------------------------------------------------------------


def both(theirs_class, ours_class, *args, **kwargs):
    """The same module on both sides, from one seed."""
    torch.manual_seed(5)
    theirs = theirs_class(*args, **kwargs)
    narae.manual_seed(5)
    return theirs, ours_class(*args, **kwargs)


LAYOUTS = [
    {},
    {"bias": False},
    {"add_bias_kv": True},
    {"add_zero_attn": True, "add_bias_kv": True},
    {"kdim": 3, "vdim": 6},
    {"kdim": 3, "vdim": 6, "bias": False, "add_bias_kv": True},
]


@pytest.mark.parametrize("options", LAYOUTS)
def test_layout_of_the_state_is_pytorchs(options):
    """J7: "torch equality, state_dict layout": names, order, shapes and first numbers."""
    theirs, ours = both(torch.nn.MultiheadAttention, narae.nn.MultiheadAttention, 8, 2, **options)
    found, wanted = ours.state_dict(), theirs.state_dict()
    assert list(found) == list(wanted)
    assert_same(list(found.values()), list(wanted.values()), 1e-6)
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("options", LAYOUTS)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("need_weights", [False, True])
def test_results_and_gradients_of_heads(options, batch_first, need_weights):
    """J7: "torch equality": results, weights, gradients of inputs and of every parameter."""
    theirs, ours = both(
        torch.nn.MultiheadAttention,
        narae.nn.MultiheadAttention,
        8,
        2,
        batch_first=batch_first,
        **options,
    )
    theirs.double()
    ours.double()
    ours.load_state_dict({key: to_narae(value) for key, value in theirs.state_dict().items()})
    lead = (2, 3) if batch_first else (3, 2)
    other = (2, 5) if batch_first else (5, 2)
    args = (
        randn(*lead, 8),
        randn(*other, options.get("kdim", 8), seed=1),
        randn(*other, options.get("vdim", 8), seed=2),
    )
    padding = torch.zeros(2, 5, dtype=torch.bool)
    padding[1, 3:] = True
    masks = [
        {},
        {"key_padding_mask": padding},
        {"attn_mask": randn(3, 5, seed=3).detach() > 1.0},
        {"attn_mask": randn(4, 3, 5, seed=3).detach(), "key_padding_mask": padding.double()},
        {"average_attn_weights": False},
        {"attn_mask": torch.ones(3, 5).triu(1).bool(), "is_causal": True},
    ]
    for mask in masks:
        _heads_agree(ours, theirs, args, {"need_weights": need_weights, **mask})


def _heads_agree(ours, theirs, args, options):
    mine = to_narae(args)
    our_options = {
        key: to_narae(x) if isinstance(x, torch.Tensor) else x for key, x in options.items()
    }
    found, wanted = ours(*mine, **our_options), theirs(*args, **options)
    assert (found[1] is None) == (wanted[1] is None)
    assert_same(found[0], wanted[0])
    if wanted[1] is not None:
        assert_same(found[1], wanted[1])
    grads = narae.autograd.grad(found[0].sin().sum(), [*mine, *ours.parameters()])
    their_grads = torch.autograd.grad(wanted[0].sin().sum(), [*args, *theirs.parameters()])
    assert_same(list(grads), list(their_grads))


def test_self_attention_without_a_batch():
    theirs, ours = both(torch.nn.MultiheadAttention, narae.nn.MultiheadAttention, 4, 2)
    x = randn(3, 4, dtype=torch.float32)
    for need_weights, padding in itertools.product([False, True], [None, torch.tensor([0, 0, 1])]):
        padding = None if padding is None else padding.bool()
        wanted = theirs(x, x, x, need_weights=need_weights, key_padding_mask=padding)
        mine = to_narae(x)
        given_mask = None if padding is None else to_narae(padding)
        found = ours(mine, mine, mine, need_weights=need_weights, key_padding_mask=given_mask)
        assert_same(found[0], wanted[0], 1e-5)
        if need_weights:
            assert_same(found[1], wanted[1], 1e-5)


@pytest.mark.parametrize("need_weights", [False, True])
def test_hidden_rows_are_zero_or_nan_as_in_pytorch(need_weights):
    theirs, ours = both(torch.nn.MultiheadAttention, narae.nn.MultiheadAttention, 4, 2)
    x, mask = randn(2, 3, 4, dtype=torch.float32), torch.tensor([[True, True], [False, True]])
    wanted, _ = theirs(x, x, x, attn_mask=mask, need_weights=need_weights)
    mine = to_narae(x)
    found, _ = ours(mine, mine, mine, attn_mask=to_narae(mask), need_weights=need_weights)
    assert_same(found, wanted, 1e-5)
    assert wanted.isnan().any().item() == need_weights


def test_fixed_keys_and_values():
    q, features = randn(3, 2, 4), 4
    weights = (randn(12, 4, seed=1), randn(12, seed=2), None, None, False, 0.0)
    last = (randn(4, 4, seed=3), randn(4, seed=4))
    fixed = {"static_k": randn(4, 6, 2, seed=5), "static_v": randn(4, 6, 2, seed=6)}
    args = (q, q, q, features, 2, *weights, *last)
    wanted = torch.nn.functional.multi_head_attention_forward(*args, **fixed)
    found = F.multi_head_attention_forward(
        *[to_narae(x) if isinstance(x, torch.Tensor) else x for x in args],
        **{key: to_narae(x) for key, x in fixed.items()},
    )
    assert_same(found, wanted)


BAD_HEADS = {
    "features": lambda x, m: m(x[..., :2], x[..., :2], x[..., :2]),
    "rank": lambda x, m: m(x[0, 0], x[0, 0], x[0, 0]),
    "ranks": lambda x, m: m(x, x[0], x[0]),
    "keys and values": lambda x, m: m(x, x, x[:1]),
    "mask size": lambda x, m: m(x, x, x, attn_mask=x[:, 0, :3]),
    "mask rank": lambda x, m: m(x, x, x, attn_mask=x[0, 0]),
    "padding size": lambda x, m: m(x, x, x, key_padding_mask=x[:1, :, 0] > 0),
    "padding rank": lambda x, m: m(x, x, x, key_padding_mask=x > 0),
    "integer mask": lambda x, m: m(x, x, x, attn_mask=(x[:, 0, :2] > 0).int()),
    "causal without mask": lambda x, m: m(x, x, x, is_causal=True),
}


@pytest.mark.parametrize("name", BAD_HEADS)
def test_refusals_of_heads(name):
    theirs, ours = both(torch.nn.MultiheadAttention, narae.nn.MultiheadAttention, 4, 2)
    x = randn(2, 3, 4, dtype=torch.float32).detach()
    with pytest.raises((AssertionError, RuntimeError)):
        BAD_HEADS[name](x, theirs)
    with pytest.raises(narae.errors.NaraeError, match=r"\[multi_head_attention_forward\]"):
        BAD_HEADS[name](to_narae(x), ours)


def test_refused_sizes():
    with pytest.raises(ValueError, match="must be greater than 0"):
        narae.nn.MultiheadAttention(0, 2)
    with pytest.raises(ValueError, match="divisible"):
        narae.nn.MultiheadAttention(5, 2)


def test_masks_of_two_kinds_warn():
    theirs, ours = both(torch.nn.MultiheadAttention, narae.nn.MultiheadAttention, 4, 2)
    x = randn(2, 3, 4, dtype=torch.float32).detach()
    masks = {"attn_mask": torch.zeros(2, 2), "key_padding_mask": torch.zeros(3, 2).bool()}
    with pytest.warns(UserWarning, match="mismatched key_padding_mask"):
        wanted = theirs(x, x, x, **masks)
    mine = to_narae(x)
    with pytest.warns(UserWarning, match="mismatched key_padding_mask"):
        found = ours(mine, mine, mine, **{key: to_narae(m) for key, m in masks.items()})
    assert_same(found, wanted, 1e-5)


def test_names_of_torch_nn_attention():
    from narae.nn.attention import SDPBackend, sdpa_kernel

    theirs = torch.nn.attention.SDPBackend.__members__
    assert {k: int(v) for k, v in theirs.items()} == {k: int(v) for k, v in
                                                      SDPBackend.__members__.items()}  # fmt: skip
    x = narae.rand(2, 3)
    with sdpa_kernel([SDPBackend.MATH, SDPBackend.FLASH_ATTENTION]):
        inside = F.scaled_dot_product_attention(x, x, x)
    assert narae.equal(inside, F.scaled_dot_product_attention(x, x, x))
    with pytest.raises(TypeError, match="SDPBackend"), sdpa_kernel("math"):
        pass
