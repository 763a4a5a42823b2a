"""The planted faults name tests and code that exist, and planting one is seen."""

import pytest

from tools import faults, inventory


@pytest.mark.parametrize("fault", faults.read_faults(), ids=str)
def test_each_fault_can_be_planted(fault):
    assert fault.problem() == ""
    assert fault.find != fault.replace
    assert set(fault.rows) <= {row.row for row in inventory.read_rows()}


def _tree(tmp_path):
    (tmp_path / "code.py").write_text("def double(x):\n    return 2 * x\n")
    (tmp_path / "test_code.py").write_text(
        "import pathlib, sys\n"
        "sys.path.insert(0, str(pathlib.Path(__file__).parent))\n"
        "import code_under_test\n\n\n"
        "def test_double():\n    assert code_under_test.double(2) == 4\n"
    )
    (tmp_path / "code.py").rename(tmp_path / "code_under_test.py")


def _fault(find, replace):
    test = "test_code.py::test_double"
    return faults.Fault(("A1",), test, "code_under_test.py", find, replace, "here")


def test_a_fault_is_seen_and_mended(tmp_path):
    _tree(tmp_path)
    before = (tmp_path / "code_under_test.py").read_text()
    assert faults.is_seen(_fault("2 * x", "3 * x"), tmp_path)
    assert not faults.is_seen(_fault("2 * x", "x + x"), tmp_path)
    assert (tmp_path / "code_under_test.py").read_text() == before


def test_a_fault_that_fits_nowhere_is_told(tmp_path):
    _tree(tmp_path)
    assert "stands 0 times" in _fault("4 * x", "5 * x").problem(tmp_path)
    assert "there is no" in faults.Fault(("A1",), "t.py", "no.py", "a", "b", "").problem(tmp_path)
