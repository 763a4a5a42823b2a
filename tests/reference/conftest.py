"""Everything here runs on the NumPy executor, unless a file asks for others as well."""

import pytest

import narae
from tests.executors import choose


@pytest.fixture(autouse=True)
def executor(request):
    """The executor that compiled steps run on: "reference", or the parameter of the test."""
    name = getattr(request, "param", "reference")
    choose(name)
    yield name
    narae.set_executor(None)
