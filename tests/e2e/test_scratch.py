"""The programs of examples/scratch: all of them run; and what Python itself is asked for."""

from __future__ import annotations

import ast
import doctest
import importlib
import os
import re
import subprocess
import sys
import webbrowser

import pytest
from hypothesis import given
from hypothesis import strategies as st

import narae
from narae import errors

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from tests.e2e.scratch_programs import FOLDER, PROGRAMS, ROOT, program

LONG = ("14", "16", "17", "18", "23", "24")
WITH_EXAMPLES = ("01", "05", "06", "07", "12", "19", "20", "21")  # in docstrings


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n.startswith(LONG) else ()) for n in PROGRAMS],
)
def test_every_program_tells_its_story_and_draws(name, tmp_path, capsys):
    program(name[:2]).main(["--out", str(tmp_path)])
    printed = capsys.readouterr().out
    figures = list(tmp_path.glob("*.png"))
    assert figures
    assert printed.count("Figure: ") == len(figures)
    assert max(map(len, printed.splitlines())) <= 110 + len(str(tmp_path))
    for figure in figures:
        assert figure.read_bytes().startswith(b"\x89PNG")
        assert figure.stat().st_size < 60_000, figure.name


def test_a_program_runs_as_a_script(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(FOLDER / "03_perceptron.py")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "scratch-figures" / "perceptron.png").is_file()


def test_the_page_of_the_path_shows_every_program():
    page = (ROOT / "docs" / "scratch.md").read_text("utf-8")
    for name in PROGRAMS:
        assert f"{name}.py" in page
    figures = re.findall(r"images/scratch/([\w-]+\.png)", page)
    assert len(figures) > 10
    for figure in figures:
        path = ROOT / "docs" / "images" / "scratch" / figure
        assert path.stat().st_size < 60_000


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_in_docstrings(name):
    """C1, C4: the doctests of exactly those ten lines and of `binary_number(10.0)`."""
    flags = doctest.IGNORE_EXCEPTION_DETAIL if name == "01" else 0
    results = doctest.testmod(program(name), optionflags=flags)
    assert results.attempted and not results.failed


def test_all_examples_in_docstrings_run():
    found = [path.stem for path in FOLDER.glob("*.py") if ">>> " in path.read_text("utf-8")]
    assert sorted(name.partition("_")[0] for name in found) == list(WITH_EXAMPLES)


# ------------------------------------------------------------------------------- Python facilities
def test_ten_divisions(capsys):
    """C1: 10/i prints "Not divided by 0", 10.0 … 1.1111111111111112."""
    program("01").divide_ten()
    assert capsys.readouterr().out.splitlines() == [
        "Not divided by 0",
        "10.0",
        "5.0",
        "3.3333333333333335",
        "2.5",
        "2.0",
        "1.6666666666666667",
        "1.4285714285714286",
        "1.25",
        "1.1111111111111112",
    ]


def test_errors_are_also_built_in_ones():
    """C2: the `narae.errors` hierarchy: ShapeError, DTypeError, GraphError…, each also a built-in.

    Expected errors are defined by the developer, and caught by the class that fits.
    """
    expected = {
        "ShapeError": ValueError,
        "DTypeError": TypeError,
        "GraphError": RuntimeError,
        "DeviceError": RuntimeError,
        "TraceError": RuntimeError,
        "BoundsError": IndexError,
        "DataError": ValueError,
        "FileFormatError": ValueError,
        "MissingDataError": FileNotFoundError,
        "ConfigError": ValueError,
        "MissingExtraError": ImportError,
        "NotSupportedError": NotImplementedError,
    }
    assert expected.keys() <= set(errors.__all__)
    assert all(issubclass(getattr(errors, name), errors.NaraeError) for name in errors.__all__)
    for name, built_in in expected.items():
        assert issubclass(getattr(errors, name), built_in)
    with pytest.raises(ValueError, match="give two or more"):
        program("01").mean_of([1.0])
    assert issubclass(program("01").TooFewSamples, errors.NaraeError)
    assert program("01").mean_of([1.0, 4.0]) == 2.5


SITUATIONS = {
    "an index outside": IndexError,
    "sizes that do not fit": ValueError,
    "a file that is not there": FileNotFoundError,
    "whole numbers divided by zero": ZeroDivisionError,
    "a dtype that cannot be used": TypeError,
    "a misspelt function": AttributeError,
    "a misspelt name": NameError,
}


@pytest.mark.parametrize(("situation", "built_in"), SITUATIONS.items())
def test_situations_raise_the_built_in_class(situation, built_in):
    """C3: our API raises the built-in class in the matching situation.

    IndexError, ValueError, FileNotFoundError, ZeroDivisionError, NameError, and two more.
    """
    assert program("01").SITUATIONS.keys() == SITUATIONS.keys()
    with pytest.raises(built_in):
        program("01").SITUATIONS[situation][1]()


def test_assert():
    """C4: `binary_number(10.0)` → AssertionError."""
    for number in (0, 1, 10, 255):
        assert program("01").binary_number(number) == bin(number)[2:]
    with pytest.raises(AssertionError, match=r"10\.0 is not a whole number"):
        program("01").binary_number(10.0)


def test_the_best_checkpoint_is_copied(tmp_path):
    """C6: `shutil.copy` into a folder: the checkpoint "best" is a copy of the best epoch's."""
    losses = program("02").train(tmp_path)
    kept = (tmp_path / "best" / "model.safetensors").read_bytes()
    epoch = losses.index(min(losses))
    assert epoch < len(losses) - 1
    assert kept == (tmp_path / f"epoch{epoch:02d}.safetensors").read_bytes()
    assert kept != (tmp_path / f"epoch{len(losses) - 1:02d}.safetensors").read_bytes()


def test_a_model_is_a_class():
    """C15: Module subclassing: the constructor registers the layer, forward is called."""
    model = program("02").Line()
    assert isinstance(model, narae.nn.Module)
    assert [name for name, _ in model.named_parameters()] == ["linear.weight", "linear.bias"]
    x = narae.tensor([[2.0]])
    expected = 2 * model.linear.weight.item() + model.linear.bias.item()
    assert model(x).item() == pytest.approx(expected, rel=1e-6)
    points = program("02").NoisyLine(5, seed=0)
    assert len(points) == 5
    assert [value.shape for value in points[0]] == [(1,), (1,)]


def test_texts_of_objects():
    """C16: Tensor, Module and Dataset have texts of their own."""
    assert str(program("02").NoisyLine(7, seed=0)) == "7 noisy points near y = 2x + 1"
    line = "Line(\n  (linear): Linear(in_features=1, out_features=1, bias=True)\n)"
    assert str(program("02").Line()) == line
    assert str(narae.tensor([1.0, 2.5])) == "tensor([1.0000, 2.5000])"


def test_modules_of_the_standard_library(tmp_path, monkeypatch):
    """C17: sys, pickle, os, shutil, glob, tempfile, time, calendar, random, webbrowser are used.

    `webbrowser` opens the page of the run.
    """
    modules = {"sys", "pickle", "os", "shutil", "glob", "tempfile", "time", "calendar"}
    tree = ast.parse((FOLDER / "02_classes_and_files.py").read_text("utf-8"))
    used = {
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    assert modules | {"random", "webbrowser"} <= used
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    program("02").main(["--out", str(tmp_path), "--open"])
    assert opened == [(tmp_path / "report.html").resolve().as_uri()]
    assert 'src="best-checkpoint.png"' in (tmp_path / "report.html").read_text("utf-8")


# ----------------------------------------------------------------------------- searching and graphs
@st.composite
def graphs(draw):
    """Up to nine numbered nodes; each uses some made before it, and the last reaches all."""
    count = draw(st.integers(1, 8))
    tree = {}
    for number in range(count):
        before = [f"n {other}" for other in range(number)]
        tree[f"n {number}"] = draw(st.lists(st.sampled_from(before), unique=True)) if before else []
    last, reached = f"n {count}", set()
    for parents in tree.values():
        reached.update(parents)
    tree[last] = sorted(set(tree) - reached)
    return tree, last


@given(graphs())
def test_topological_orders(graph):
    """C18: autograd's topological order as DFS, and as a priority queue."""
    tree, last = graph
    for search in (program("12").depth_first, program("12").by_priority):
        order = search(tree, last)
        assert sorted(order) == sorted(tree)
        place = {name: number for number, name in enumerate(order)}
        assert all(place[name] < place[parent] for name in tree for parent in tree[name])


def test_breadth_first_is_too_early():
    """C18: BFS meets a node before all its gradients are there; the tape shows such a graph."""
    searching = program("12")
    w = narae.ones(2, requires_grad=True)
    tree = searching.record(searching.skip_network(narae.ones(2), w))
    start = next(iter(tree))
    assert len(tree) == 6
    breadth = searching.breadth_first(tree, start)
    assert [name.split()[0] for name in searching.too_early(tree, breadth)] == ["Mul"]
    assert searching.too_early(tree, searching.by_priority(tree, start)) == []


@given(st.text("ab", max_size=30), st.text("ab", min_size=1, max_size=4))
def test_knuth_morris_pratt(words, pattern):
    """C18: the search of Knuth, Morris and Pratt finds what comparing everywhere finds."""
    everywhere = [i for i in range(len(words)) if words.startswith(pattern, i)]
    assert program("12").find_all(words, pattern) == everywhere


def test_the_errors_module_is_found():
    """C2: `import narae.errors` works by itself."""
    assert importlib.import_module("narae.errors") is narae.errors
