"""The plan of the house: imports point down, rooms on one floor never meet, NumPy is enough."""

import subprocess
import sys

import pytest

from tools import layering

ROOMS = frozenset(layering.FLOORS)


def verdict(source: str, module: str, is_package: bool = False) -> list[str]:
    found = layering.imports_of(source, module, "src/x.py", is_package)
    return layering.faults(found, module, ROOMS)


def test_the_package_keeps_to_the_plan():
    assert layering.check() == []


def test_the_walk_sees_the_real_package():
    names = dict(layering.modules(layering.ROOT / "src"))
    assert {"narae.base.dtypes", "narae.ir"} <= names.keys()
    seen = [
        one
        for name, path in names.items()
        for one in layering.imports_of(path.read_text("utf8"), name, str(path))
    ]
    assert sum(one.name.startswith("narae.") for one in seen) > 10


@pytest.mark.parametrize(
    ("module", "source", "said"),
    [
        (
            "narae.base.shapes",
            "from narae.ir import Node",
            "points up: base is on floor 0, ir on 1",
        ),
        ("narae.nn.linear", "from narae.optim import SGD", "points across: nn is on floor 6"),
        ("narae.nn.linear", "from narae import optim", "points across"),
        ("narae.nn.linear", "from ..optim import SGD", "points across"),
        ("narae.nn.linear", "from .. import optim", "points across"),
        ("narae.native.plan", "def f():\n    import narae.xla as xla", "points across"),
        ("narae.ir.node", "def f():\n    from narae.tensors import Tensor", "points up"),
        ("narae.ir.node", "import importlib\nimportlib.import_module('narae.tensors')", "up"),
        ("narae.ir.node", "from importlib import import_module as m\nm", None),
        ("narae.ir.node", "def f(n):\n    __import__(f'narae.cli.{n}')", "points up"),
        ("narae.ir.node", "class A:\n    from narae.cli import main", "points up"),
        ("narae.ir.node", "if True:\n    from narae.cli import main", "points up"),
        ("narae.train.loop", "import narae", "no room imports the façade"),
        ("narae.train.loop", "from narae import Tensor", "no room imports the façade"),
        ("narae.train.loop", "import narae.nn", "no room imports the façade"),
        ("narae.train.loop", "from narae.testing import samples", "no room imports the façade"),
        ("narae.attic.boxes", "from narae.base import shapes", "narae.attic has no floor"),
        ("narae.reference.conv", "import torch", "oracle"),
        ("narae.reference.conv", "def f():\n    import torch.nn", "oracle"),
        ("narae.native.emit", "import llvmlite", "inside the function that uses it"),
        ("narae.native.emit", "try:\n    import llvmlite\nexcept ImportError:\n    pass", "inside"),
        (
            "narae.io.files",
            "def f():\n    require('jax', 'train', 'x')",
            "no extra `train` in pyproject.toml installs jax",
        ),
        ("narae.io.files", "def f():\n    errors.require('PIL.Image', 'none', 'x')", "`none`"),
        ("narae.io.files", "plt = require('matplotlib', 'train', 'x')", "inside the function"),
        ("narae.data.files", "def f():\n    import requests", "no extra in pyproject.toml"),
    ],
)
def test_a_planted_fault_is_found(module, source, said):
    found = verdict(source, module)
    if said is None:
        assert found == []
    else:
        assert len(found) == 1
        assert said in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "narae.train.loop",
            "from narae.nn import Module\nfrom narae.base.shapes import broadcast",
        ),
        ("narae.nn.linear", "from narae.nn.module import Module\nfrom .init import kaiming"),
        (
            "narae.ir.node",
            "import numpy as np\nimport ml_dtypes\nimport dataclasses, collections.abc",
        ),
        ("narae.native.emit", "def f():\n    import llvmlite.binding"),
        ("narae.vision.files", "def f():\n    from PIL import Image"),
        ("narae.vision.files", "def f():\n    require('PIL.Image', 'train', 'pictures')"),
        ("narae", "from narae.cli import main\nfrom .nn import Module"),
        ("narae.testing.samples", "import narae\nfrom narae.tensors import Tensor"),
        ("narae.explain.plots", "if TYPE_CHECKING:\n    from matplotlib.figure import Figure"),
    ],
)
def test_allowed_imports_pass(module, source):
    assert verdict(source, module) == []


def test_relative_imports_of_a_package_and_of_its_module_differ():
    inside = layering.imports_of("from .node import Node", "narae.ir", "p", is_package=True)
    beside = layering.imports_of("from .node import Node", "narae.ir.build", "p")
    assert inside[0].name == beside[0].name == "narae.ir.node.Node"


def test_an_unknown_room_is_reported(tmp_path):
    for folder in ("attic", "base"):
        (tmp_path / "narae" / folder).mkdir(parents=True)
        (tmp_path / "narae" / folder / "__init__.py").touch()
    assert layering.check(tmp_path) == [
        "narae.attic has no floor; give it one in tools/layering.py"
    ]


def test_import_narae_needs_numpy_alone():
    heavy = [
        "matplotlib", "sklearn", "jax", "llvmlite", "PIL", "scipy", "pooch", "torch", "pandas",
        "rich", "safetensors",
    ]  # fmt: skip
    code = f"""import sys, narae
assert narae.__file__, "the package is not there"
print([name for name in {heavy!r} if name in sys.modules])"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"
