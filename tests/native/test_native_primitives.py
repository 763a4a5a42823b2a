"""Every primitive on the native executor against the reference executor, on the table of samples.

Faults that it has seen: a reshape that could not cut merged factors, captured arrays in a loop
nest, a gradient of a convolution that left out pixels which no window covers, 16-bit composites
that were rounded at every step.
"""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from narae import primitives as p
from narae.ir import Program, bind, trace
from narae.ir.builder import Builder, building
from narae.native.plan.expand import expand
from narae.native.plan.lowering import Lowering
from narae.native.runtime.machine import host_machine
from narae.native.runtime.team import get_threads, set_threads
from narae.primitives import REGISTRY
from narae.testing.samples import Sample, samples_of
from tests.native.native_checks import (
    LOOSE,
    assert_same,
    bits,
    check_program,
    expected,
    native_runner,
    strided_copy,
)

# What has no machine code runs on NumPy: these primitives, and what is composed of them.
ON_NUMPY = {
    "lgamma",
    "digamma",
    "polygamma",
    "fold_windows",
    "scatter",
    "cumsum",
    "cumprod",
    "cummax",
    "cummin",
    "triangular_solve",
    "solve",
    "cholesky",
    "geqrf",
    "qr",
    "permutation",
    "lu",
    "ldl",
    "ldl_solve",
    "eigh",
    "svd",
    "det",
    "slogdet",
    "matrix_exp",
    "sort",
    "topk",
    "bessel_j0",
    "bessel_j1",
    "bessel_y0",
    "bessel_y1",
    "bessel_k0",
    "bessel_k1",
    "scaled_bessel_k0",
    "scaled_bessel_k1",
    "airy_ai",
    "orthogonal_polynomial",
    "erfcx",
    "log_ndtr",
    "ndtri",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "igamma",
    "igammac",
    "zeta",
    "frexp",
    "nextafter",
    "gcd",
    "lcm",
}
COMPOSED = {
    "cholesky_solve": "triangular_solve",
    "eigvalsh": "eigh",
    "svdvals": "svd",
    "pinv": "eigh svd",
    "lstsq": "svd",
    "cofactor": "det svd",
    "multilabel_margin_loss": "cumprod",
    "scatter_reduce": "scatter",
    "mvlgamma": "lgamma",
    "median": "sort",
}


def program_of(record, samples: list[Sample]) -> tuple[Program, list]:
    """All samples of a primitive as one program, and its inputs."""
    builder, arrays, outputs = Builder(record.name), [], []
    with building(builder):
        for sample in samples:
            operands = []
            for x in sample.operands:
                if isinstance(x, np.ndarray):
                    arrays.append(x)
                    x = builder.input(x.shape, x.dtype)
                operands.append(x)
            found = bind(record, *operands, **sample.attrs)
            outputs += found if isinstance(found, tuple) else [found]
        return builder.finish(outputs), arrays


def is_empty(record, sample: Sample) -> bool:
    program, _ = program_of(record, [sample])
    return any(0 in x.shape for x in (*program.inputs, *program.outputs))


def check_samples(record, dtype) -> None:
    program, arrays = program_of(record, samples_of(record, dtype))
    runner, found = check_program(program, arrays)
    again = runner([strided_copy(x) for x in arrays])
    assert bits(again) == bits(found), "the bits depend on strides"


# Many samples, each of a dozen kernels.
LONG = {"resize", "grid_sample", "grid_sample_grad_x", "grid_sample_grad_grid", "ctc_loss_grad"}
NAMES = [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in REGISTRY]


@pytest.mark.parametrize("name", NAMES)
def test_samples(name):
    """Zero sizes, 0-d, constants, all attributes; then the same on strided memory."""
    check_samples(REGISTRY[name], np.float32)


@pytest.mark.parametrize("name", REGISTRY)
def test_what_runs_on_numpy(name):
    """Completeness: each primitive is lowered, taken apart, or in the lists above."""
    record = REGISTRY[name]
    samples = [x for x in samples_of(record, np.float32) if not is_empty(record, x)]
    program, _ = program_of(record, samples)
    tasks = Lowering(expand(program), (), host_machine()).run().tasks
    found = {task.about.removeprefix("NumPy: ") for task in tasks if task.host is not None}
    assert found == ({name} if name in ON_NUMPY else set(COMPOSED.get(name, "").split()))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
@pytest.mark.parametrize("name", REGISTRY)
def test_samples_in_other_dtypes(name, dtype):
    check_samples(REGISTRY[name], dtype)


# --- sizes ------------------------------------------------------------------------------------

SIZES = (7, 16, 33)
ELEMENTWISE = [
    record
    for name, record in REGISTRY.items()
    if record.kind == "elementwise" and record.outputs == 1 and name not in ON_NUMPY
]


def operands_of(sample: Sample, size: int) -> list:
    """The operands of a sample, repeated up to a size."""
    arrays = [x for x in sample.operands if isinstance(x, np.ndarray)]
    repeated = iter(np.resize(np.broadcast_to(x, (2, 3)), size) for x in arrays)
    return [next(repeated) if isinstance(x, np.ndarray) else x for x in sample.operands]


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_elementwise_at_odd_sizes(dtype):
    """All of one size in one program: whole vectors and what is left over."""
    for size in SIZES if dtype == "float32" else (17,):
        samples = [
            Sample(
                tuple(operands_of(samples_of(record, dtype)[0], size)),
                samples_of(record, dtype)[0].attrs,
            )
            for record in ELEMENTWISE
        ]
        builder, arrays, outputs = Builder(f"size {size}"), [], []
        with building(builder):
            for record, sample in zip(ELEMENTWISE, samples, strict=True):
                operands = []
                for x in sample.operands:
                    if isinstance(x, np.ndarray):
                        arrays.append(x)
                        x = builder.input(x.shape, x.dtype)
                    operands.append(x)
                outputs.append(bind(record, *operands, **sample.attrs))
            program = builder.finish(outputs)
        check_program(program, arrays)


# --- threads ----------------------------------------------------------------------------------


def _norms(x, w, b):
    y = p.layer_norm(x, w, b, rank=1, eps=1e-5)[0]
    return p.softmax(y, dim=0), p.sum_(y, dim=(0,), keepdim=False)


def _products(x, w, b):
    y = p.matmul(p.permute(x, dims=(1, 0)), p.mul(x, b))
    return y, p.gelu(p.linear(x, y, b), approximate=False), p.sum_(x, dim=(0, 1), keepdim=False)


def _pictures(x, w, b):
    y = p.reshape(x, shape=(8, 8, 50, 65))
    kernel = p.reshape(p.narrow(p.reshape(x, shape=(x.size,)), 0, 0, 576), shape=(8, 8, 3, 3))
    attrs = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    out = p.conv(y, kernel, **attrs)
    pooled, places = p.max_pool(
        out, kernel=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0)), dilation=(1, 1)
    )
    back = p.max_pool_grad(pooled, places, x_shape=tuple(out.shape))
    return (
        p.conv_grad_x(back, kernel, x_shape=tuple(y.shape), **attrs),
        p.conv_grad_w(back, y, w_shape=tuple(kernel.shape), **attrs),
    )


@pytest.fixture
def threads():
    before = get_threads()
    yield set_threads
    set_threads(before)


@pytest.mark.parametrize("step", [_norms, _products, _pictures])
def test_bits_do_not_depend_on_threads(step, threads):
    random = np.random.default_rng(0)
    x = random.normal(size=(1600, 130)).astype(np.float32)
    w, b = random.normal(size=(2, 130)).astype(np.float32)
    program = trace(step, [x, w, b])
    runner = native_runner(program)
    found = []
    for count in (1, 2, 5):
        threads(count)
        found += [bits(runner([x, w, b])) for _ in range(3)]
    assert all(each == found[0] for each in found)
    assert max(row[1] for row in runner.table._phase_rows) > 1, "there was work to share"
    assert_same(runner([x, w, b]), expected(program, [x, w, b]), step.__name__, LOOSE)
