"""The examples in docstrings run and print what they say.

Modules are imported by their names, as a program imports them; `pytest --doctest-modules` would
load each file a second time, and register its primitives twice.
"""

import doctest
import importlib
import pkgutil

import pytest

import narae
import tools

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def names_of(package):
    """Every module of a package, without importing one."""
    found = [package.__name__]
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        found.append(info.name)
    return [name for name in found if not name.endswith("__main__")]


@pytest.mark.parametrize("name", [*names_of(narae), *names_of(tools)])
def test_examples_of_a_module(name, monkeypatch, tmp_path):
    """Every example of the module's docstrings prints what it shows."""
    monkeypatch.chdir(tmp_path)  # an example may write files
    try:
        module = importlib.import_module(name)
        results = doctest.testmod(module, optionflags=OPTIONS)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("narae", "tools"):
            raise
        pytest.skip(f"needs {error.name}")
    assert results.failed == 0


def test_there_are_examples():
    """The finder finds them: a folder that moved must not pass for having no failures."""
    finder = doctest.DocTestFinder()
    found = finder.find(importlib.import_module("narae.tensors.creation"))
    assert sum(bool(test.examples) for test in found) >= 2


def test_a_wrong_example_fails():
    """The options are lenient about spaces, not about numbers."""
    parser = doctest.DocTestParser()
    test = parser.get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    assert doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=lambda text: None).failed
