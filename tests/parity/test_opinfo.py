"""Every operation agrees with PyTorch on the samples that PyTorch tests itself with (D1, D6–D8).

One test an operation of tests/parity/eligible_ops.txt, all of which Narae has. `--all-samples`
takes every sample there is. What is known to differ stands with its reason in
known_deviations.toml, and an entry that excuses nothing is itself a failure.
"""

import re

import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from tests.parity import moduleinfo, opinfo  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Values are compared here, not speed."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", opinfo.eligible_names())
def test_agrees_on_pytorchs_samples(name, request):
    every = request.config.getoption("--all-samples")
    report = opinfo.check(name, every=every)
    assert not report.absent, f"{name}: Narae has no {report.absent}"
    if not report.samples:
        pytest.skip(f"{name}: PyTorch has no sample of it in the dtypes compared")
    assert report.agrees, str(report)
    if every and name in opinfo.deviations():
        assert report.forgiven, f"{name} agrees: remove it from known_deviations.toml"


def test_deviations_name_eligible_operations_and_give_reasons():
    known = set(opinfo.eligible_names())
    for name, entry in opinfo.deviations().items():
        assert name in known
        assert len(entry["reason"]) > 20


def test_the_counts_of_the_page_meet_the_targets():
    """At least 60 % of the eligible operations are there, and 99 % of those agree.

    docs/coverage.md counts them. Each operation above is one test, too, so what is there and has
    no excuse agrees.
    """
    page = (opinfo.HERE.parent.parent / "docs" / "coverage.md").read_text(encoding="utf8")
    counts = [
        list(map(int, row)) for row in re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \|", page, re.M)
    ]
    (eligible, present, agreeing), (modules, modules_present, modules_agreeing) = counts
    assert eligible == len(opinfo.eligible_names())
    assert present >= 0.6 * eligible
    assert agreeing >= 0.99 * present
    assert agreeing >= present - len(opinfo.deviations())
    assert modules == modules_present == modules_agreeing == len(moduleinfo.eligible_names())


def test_the_harness_sees_a_wrong_value(monkeypatch):
    monkeypatch.setattr(narae, "sin", narae.cos)
    report = opinfo.check("sin")
    assert not report.agrees
    assert {failure.kind for failure in report.failures} >= {"value"}


def test_the_harness_sees_a_wrong_gradient(monkeypatch):
    monkeypatch.setattr(narae, "mul", lambda x, y: x * y.detach())
    kinds = {failure.kind for failure in opinfo.check("mul").failures}
    assert "grad" in kinds or "requires_grad" in kinds


def test_the_harness_sees_a_wrong_dtype_and_accepted_bad_input(monkeypatch):
    monkeypatch.setattr(narae, "sum", lambda x, *args, **kwargs: x.double().sum())
    kinds = {failure.kind for failure in opinfo.check("sum").failures}
    assert "dtype" in kinds
    monkeypatch.setattr(narae, "roll", lambda x, *args, **kwargs: x)
    assert "error" in {failure.kind for failure in opinfo.check("roll").failures}


# Random functions draw other numbers than PyTorch's: their statistics are compared.
SHAPE = (200, 300)
STATISTICS = {
    "bernoulli": lambda lib: lib.bernoulli(lib.full(SHAPE, 0.3)),
    "normal": lambda lib: lib.normal(2.0, 3.0, SHAPE),
    "rand": lambda lib: lib.rand(SHAPE),
    "randn_like": lambda lib: lib.randn_like(lib.zeros(SHAPE)),
    "exponential": lambda lib: lib.zeros(SHAPE).exponential_(2.0),
    "uniform": lambda lib: lib.zeros(SHAPE).uniform_(-3.0, 5.0),
    "dropout": lambda lib: lib.nn.functional.dropout(lib.ones(SHAPE), 0.3),
    "alpha_dropout": lambda lib: lib.nn.functional.alpha_dropout(lib.ones(SHAPE), 0.2, True),
    "rrelu": lambda lib: lib.nn.functional.rrelu(-lib.ones(SHAPE), 0.1, 0.3, True),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_of_random_functions(name):
    torch.manual_seed(1)
    narae.manual_seed(2)
    try:
        found = STATISTICS[name](narae)
    except AttributeError as error:
        pytest.skip(str(error))
    wanted = STATISTICS[name](torch).double()
    found = torch.from_numpy(found.numpy()).double()
    assert found.shape == wanted.shape
    spread = wanted.std().item()
    assert found.mean().item() == pytest.approx(
        wanted.mean().item(), abs=5 * spread / 60000**0.5 * 2
    )
    assert found.std().item() == pytest.approx(spread, rel=0.05)
