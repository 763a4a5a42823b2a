"""Mixed precision without PyTorch: compiled steps, the converted weights that are kept."""

import numpy as np
import pytest

import narae
from narae import nn
from narae.utils.checkpoint import checkpoint


def casts_in(program):
    return [node for node in program.nodes if node.operation.name == "cast"]


def make_step(seed=0):
    narae.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 3))
    optimizer = narae.optim.Adam(model.parameters(), lr=0.01)

    def step(x, y):
        with narae.autocast("cpu", dtype=narae.bfloat16):
            loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return model, step


def batch(seed=0):
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((5, 6), dtype=np.float32)
    return narae.from_numpy(x), narae.from_numpy(draw.integers(0, 3, 5))


def test_a_compiled_step_equals_the_eager_one():
    (eager_model, eager), (model, step) = make_step(), make_step()
    compiled = narae.compile(step, executor="reference")
    for seed in range(5):
        assert eager(*batch(seed)).item() == compiled(*batch(seed)).item()
    for one, two in zip(eager_model.parameters(), model.parameters(), strict=True):
        assert one.dtype is two.dtype is narae.float32
        assert narae.equal(one, two)


def test_conversions_are_operations_of_the_program():
    _, step = make_step()
    program = narae.program_of(step)(*batch())
    assert {node.attrs["dtype"].name for node in casts_in(program)} == {"bfloat16", "float32"}
    products = [node for node in program.nodes if node.operation.name in ("linear", "matmul")]
    assert products
    for node in products:
        assert {x.dtype.name for x in node.operands} == {"bfloat16"}


def test_a_region_around_a_compiled_function_is_another_program():
    layer = nn.Linear(4, 3)
    compiled = narae.compile(lambda x: layer(x), executor="reference")
    x = narae.randn(2, 4)
    plain = compiled(x)
    with narae.autocast("cpu"):
        low = compiled(x)
        expected = layer(x)
    again = compiled(x)
    assert (plain.dtype, low.dtype, again.dtype) == (
        narae.float32,
        narae.bfloat16,
        narae.float32,
    )
    assert narae.equal(low, expected)
    assert narae.equal(plain, again)
    assert compiled.traces == 2


def test_a_region_around_a_compiled_module():
    layer = nn.Linear(4, 3)
    compiled = narae.compile(layer, executor="reference")
    x = narae.randn(2, 4)
    with narae.autocast("cpu"):
        out = compiled(x)
    out.float().sum().backward()
    assert out.dtype is narae.bfloat16
    assert layer.weight.grad.dtype is narae.float32
    assert compiled(x).dtype is narae.float32


# --- converted weights are kept -------------------------------------------------------------


def twice(w, x, **options):
    with narae.autocast("cpu", **options):
        return x @ w @ w


@pytest.mark.parametrize(("options", "count"), [({}, 2), ({"cache_enabled": False}, 3)])
def test_a_weight_is_converted_once(options, count):
    w = narae.randn(3, 3, requires_grad=True)
    program = narae.program_of(lambda x: twice(w, x, **options))(narae.randn(2, 3))
    assert len(casts_in(program)) == count  # of x, and of w


def test_gradients_of_a_weight_used_twice():
    """Both uses of the kept conversion reach the weight."""
    w = narae.randn(3, 3, requires_grad=True)
    x = narae.randn(2, 3)
    twice(w, x).float().sum().backward()
    kept, w.grad = w.grad, None
    twice(w, x, cache_enabled=False).float().sum().backward()
    np.testing.assert_allclose(kept.numpy(), w.grad.numpy(), rtol=2e-2, atol=2e-2)
    assert kept.dtype is narae.float32


def test_a_weight_that_changed_is_converted_again():
    w = narae.ones(1, 1, requires_grad=True)
    x = narae.ones(1, 1)
    with narae.autocast("cpu"):
        assert (x @ w).item() == 1
        with narae.no_grad():
            w.mul_(3)
        assert (x @ w).item() == 3
        w.data = narae.full((1, 1), 5.0)
        assert (x @ w).item() == 5


def test_a_conversion_without_gradients_is_not_used_with_them():
    w = narae.ones(1, 1, requires_grad=True)
    x = narae.ones(1, 1)
    with narae.autocast("cpu"):
        with narae.no_grad():
            _ = x @ w
        out = x @ w
    out.backward()
    assert w.grad.item() == 1


def test_conversions_of_a_trace_stay_in_it():
    layer = nn.Linear(2, 2, bias=False)
    compiled = narae.compile(lambda x: layer(layer(x)), executor="reference")
    x = narae.ones(1, 2)
    with narae.autocast("cpu"):
        before = layer(layer(x))
        found = compiled(x)
        after = layer(layer(x))
    assert narae.equal(before, found)
    assert narae.equal(before, after)


def test_nothing_is_kept_after_the_region():
    from narae.tensors.autocast import _state

    with narae.autocast("cpu"), narae.autocast("cpu"):
        _ = narae.ones(1, 1) @ narae.ones(1, 1, requires_grad=True)
        assert len(_state.converted) == 1
    assert not _state.converted
    assert _state.nesting == 0


# --- checkpoints ----------------------------------------------------------------------------


def test_a_checkpoint_computes_again_in_the_same_precision():
    w = narae.randn(4, 4, requires_grad=True)
    x = narae.randn(3, 4)

    def part(x):
        return (x @ w).tanh()

    grads = []
    for run in (part, lambda x: checkpoint(part, x)):
        w.grad = None
        with narae.autocast("cpu", cache_enabled=False):
            out = run(run(x))
        out.float().sum().backward()  # outside, where the part runs again
        grads.append(w.grad)
    assert narae.equal(*grads)


def test_checkpoints_share_weights_in_a_region_that_keeps_conversions():
    w = narae.randn(4, 4, requires_grad=True)
    with narae.autocast("cpu"):
        out = narae.ones(2, 4) @ w
        for _ in range(2):
            out = checkpoint(lambda x: (x @ w).tanh(), out)
    out.float().sum().backward()
    assert w.grad is not None
