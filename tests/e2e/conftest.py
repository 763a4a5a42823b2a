"""Fixtures of the tests that run whole programs."""

from __future__ import annotations

import pytest

from narae.base.errors import MissingDataError
from narae.vision.sources import mnist_files


@pytest.fixture(scope="session")
def mnist() -> None:
    """Skip where MNIST is neither in the folder NARAE_DATA nor in the cache."""
    try:
        mnist_files(download=False)
    except MissingDataError:
        pytest.skip("MNIST is not here: set NARAE_DATA to its folder, or download it once")
