"""Every primitive and composite: rules, gradients to second order, eager and traced alike.

The table of samples is `narae.testing.samples`; a primitive without a sample fails here.
"""

import numpy as np
import pytest

import narae
from narae import primitives as p
from narae.autograd import gradcheck, gradgradcheck
from narae.autograd.tape import TapeNode
from narae.base.dtypes import is_floating
from narae.ir import check, evaluate, trace
from narae.primitives import REGISTRY, Composite
from narae.reference import ReferenceExecutor, execute
from narae.reference.executor import LOWERINGS
from narae.tensors.tensor import wrap
from narae.testing.samples import TABLE, samples_of, without_sample

DTYPES = ["float16", "bfloat16", "float32", "float64"]
NAMES = sorted(REGISTRY)
DIFFERENTIABLE = [name for name in NAMES if REGISTRY[name].differentiable]


def tensors(sample):
    return [wrap(x.copy("K")) if isinstance(x, np.ndarray) else x for x in sample.operands]


def wanted(primitive, sample):
    """The places of the operands that the record gives a gradient to."""
    places = sample.differentiable()
    if primitive.grads is None:
        return places
    return [place for place in places if primitive.grads[place] is not None]


def program_of(primitive, sample):
    """The program of one call; numbers and absent operands stay what they are."""

    def run(*values):
        remaining = iter(values)
        operands = [next(remaining) if isinstance(x, np.ndarray) else x for x in sample.operands]
        return primitive(*operands, **sample.attrs)

    arrays = [x for x in sample.operands if isinstance(x, np.ndarray)]
    return trace(run, arrays, primitive.name), arrays


def results(value):
    return value if isinstance(value, (tuple, list)) else (value,)


def test_every_primitive_has_a_sample():
    assert without_sample() == []
    assert set(TABLE) <= set(REGISTRY)


def test_every_differentiable_primitive_is_checked_to_second_order():
    unchecked = []
    for name in DIFFERENTIABLE:
        samples = samples_of(REGISTRY[name])
        if not any(s.orders == 2 and wanted(REGISTRY[name], s) for s in samples):
            unchecked.append(name)
    assert unchecked == []


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients(name):
    primitive = REGISTRY[name]
    for sample in samples_of(primitive):
        places = wanted(primitive, sample)
        if not places or sample.orders == 0:
            continue
        operands = tensors(sample)
        for place in places:
            operands[place].requires_grad_()

        def run(*values, sample=sample):
            values = list(values)
            for place in sample.symmetric:
                values[place] = (values[place] + values[place].mT) / 2
            for place in sample.lower:
                values[place] = values[place].tril()
            return primitive(*values, **sample.attrs)

        assert gradcheck(run, operands)
        if sample.orders > 1:
            assert gradgradcheck(run, operands, fast_mode=True, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_shape_and_dtype_rules(name):
    """What the rules promise is what NumPy gives, in every floating point dtype."""
    primitive = REGISTRY[name]
    for dtype in DTYPES:
        for sample in samples_of(primitive, narae.base.dtypes.as_numpy(getattr(narae, dtype))):
            program, arrays = program_of(primitive, sample)
            check(program)
            with np.errstate(all="ignore"):
                found = evaluate(program, arrays)
            promised = [(x.shape, x.dtype) for x in program.outputs]
            assert [(x.shape, x.dtype) for x in found] == promised, (dtype, sample)


@pytest.mark.parametrize("name", NAMES)
def test_eager_equals_traced(name):
    """The same bits from a tensor operation and from the program of it."""
    primitive = REGISTRY[name]
    for dtype in DTYPES:
        for sample in samples_of(primitive, narae.base.dtypes.as_numpy(getattr(narae, dtype))):
            program, arrays = program_of(primitive, sample)
            with np.errstate(all="ignore"):
                traced = evaluate(program, arrays)
                eager = results(primitive(*tensors(sample), **sample.attrs))
            for one, other in zip(eager, traced, strict=True):
                array = one if isinstance(one, np.ndarray) else one._value
                assert array.dtype == other.dtype
                assert array.tobytes() == np.asarray(other).tobytes(), (dtype, sample)


COMPOSITES = [name for name in NAMES if isinstance(REGISTRY[name], Composite)]


@pytest.mark.parametrize("name", [name for name in COMPOSITES if REGISTRY[name] in LOWERINGS])
def test_direct_forms_equal_decompositions(name):
    """A composite's own NumPy form means what its decomposition says."""
    primitive = REGISTRY[name]
    for sample in samples_of(primitive):
        with np.errstate(all="ignore"):
            direct = results(execute(primitive, sample.operands, sample.attrs))
            arrays = [x for x in sample.operands if isinstance(x, np.ndarray)]
            composed = evaluate(primitive.body(sample.operands, sample.attrs), arrays)
        for one, other in zip(direct, composed, strict=True):
            assert one.shape == other.shape
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_the_reference_executor_runs_everything():
    executor = ReferenceExecutor()
    assert {name: executor.unsupported(record) for name, record in REGISTRY.items()} == (
        dict.fromkeys(REGISTRY)
    )


@pytest.mark.parametrize("module", ["narae.native", "narae.xla"])
def test_other_executors_run_a_primitive_or_say_why_not(module):
    executors = pytest.importorskip(module)
    found = [x for x in vars(executors).values() if hasattr(x, "unsupported")]
    if not found:
        pytest.skip(f"{module} has no executor here")
    executor = found[0]() if isinstance(found[0], type) else found[0]
    for name, record in REGISTRY.items():
        reason = executor.unsupported(record)
        assert reason is None or name in reason or len(reason) > 10


# --- what a record without a gradient does ---------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(DIFFERENTIABLE)))
def test_no_gradient_means_no_node(name):
    primitive = REGISTRY[name]
    for sample in samples_of(primitive):
        operands = tensors(sample)
        for x in operands:
            if hasattr(x, "_value") and is_floating(x._value.dtype):
                x.requires_grad_()
        for out in results(primitive(*operands, **sample.attrs)):
            assert not getattr(out, "requires_grad", False)


# --- eager and traced leave the same steps ---------------------------------------------------


def steps_of_tape(tensor):
    """Names and attributes of the nodes a tensor depends on, in the order they were made."""
    stack, nodes = [tensor.grad_fn], {}
    while stack:
        node = stack.pop()
        if not isinstance(node, TapeNode) or node.number in nodes:
            continue
        nodes[node.number] = node
        stack.extend(parent for parent, _ in node.next_functions)
    return [(nodes[n].operation.name, nodes[n].attrs) for n in sorted(nodes)]


def model(x, w):
    h = p.matmul(x, w)
    h = p.add(p.mul(h, 0.5), p.tanh(h))
    h = p.softmax(p.concat(h, p.exp(h), dim=1), dim=1)
    values, _ = p.sort(h, dim=1, descending=True)
    return p.sum_(p.log(p.reshape(values, shape=(values.shape[0] * values.shape[1],))),
                  dim=(0,), keepdim=False)  # fmt: skip


def test_eager_and_traced_record_the_same_steps():
    """The same primitives with the same attributes in the same order, forward and backward."""
    from narae.tensors.tracing import Trace

    def leaves():
        return [
            narae.tensor(np.linspace(-1, 1, count).reshape(shape), requires_grad=True)
            for count, shape in ((6, (2, 3)), (12, (3, 4)))
        ]

    def forward_and_backward(x, w):
        loss = model(x, w)
        grads = narae.autograd.grad(loss, (x, w), create_graph=True)
        return steps_of_tape(loss), steps_of_tape(grads[0]), steps_of_tape(grads[1])

    eager = forward_and_backward(*leaves())
    with Trace("model") as record:
        traced = forward_and_backward(*leaves())
    record.undo()
    assert traced == eager
    names = [name for name, _ in eager[0]]
    recorded = [node.operation.name for node in record.builder.nodes]
    assert [name for name in recorded if name in set(names)][: len(names)] == names
