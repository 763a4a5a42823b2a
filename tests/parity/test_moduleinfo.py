"""Every module agrees with PyTorch on PyTorch's own samples (G14, A6, B8, B18).

Compared are initial weights of one seed, `state_dict`, the printed form, results and buffers in
training and evaluation, gradients of inputs and parameters, and refusals of bad input.
"""

import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from tests.parity import moduleinfo  # noqa: E402


@pytest.mark.parametrize("name", moduleinfo.eligible_names())
def test_agrees_on_pytorchs_samples(name):
    report = moduleinfo.check(name)
    assert not report.absent, f"Narae has no {report.absent}"
    assert report.agrees, str(report)


def test_the_harness_sees_a_wrong_module(monkeypatch):
    class Wrong(narae.nn.Linear):
        def forward(self, input):
            return super().forward(input) * 1.001

    Wrong.__name__ = Wrong.__qualname__ = "Linear"
    monkeypatch.setattr(narae.nn, "Linear", Wrong)
    assert {failure.kind for failure in moduleinfo.check("nn.Linear").failures} == {"value"}
