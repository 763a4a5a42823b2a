"""Settings shared by all tests: one thread, reproducible examples, markers given by folder."""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before NumPy loads: values are checked here, not speed

import importlib.metadata  # noqa: E402
import pathlib  # noqa: E402

import hypothesis  # noqa: E402
import pytest  # noqa: E402

PARITY_FOLDER = pathlib.Path(__file__).parent / "parity"

hypothesis.settings.register_profile("narae", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "narae"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the comparison with PyTorch take every sample there is, not a selection."""
    parser.addoption("--all-samples", action="store_true", help="every sample of PyTorch's tests")


def pytest_report_header() -> str:
    """Say at the top whether the oracle is present, so that a skipped folder is no surprise."""
    try:
        return f"oracle: torch {importlib.metadata.version('torch')}"
    except importlib.metadata.PackageNotFoundError:
        return "oracle: torch is not installed, so tests/parity is skipped"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything under tests/parity, so that `-m parity` and `-m 'not parity'` work."""
    for item in items:
        if PARITY_FOLDER in item.path.parents:
            item.add_marker(pytest.mark.parity)
