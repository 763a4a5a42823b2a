"""The style rules of the house hold, and the checker that says so can see each fault."""

import pytest

from tools import house


def function_of(lines: int) -> str:
    body = "\n".join(f"    x{i} = {i}" for i in range(lines - 1))
    return f'def f():\n    """One line.\n\n    Two.\n    """\n\n    # why\n{body}\n'


def test_the_tree_is_in_order():
    assert house.check() == []


def test_the_check_reads_the_real_tree():
    names = {path.relative_to(house.ROOT).as_posix() for path in house.tracked_files()}
    assert {"pyproject.toml", "src/narae/base/dtypes.py", "tests/pure/test_house.py"} <= names


def test_a_function_is_measured_without_words():
    assert house.python_faults(function_of(60)) == []
    assert house.python_faults(function_of(61)) == [
        "1: f has 61 code lines, more than 60",
    ]


def test_a_method_is_measured_too():
    method = "class A:\n" + "\n".join("    " + line for line in function_of(61).splitlines())
    assert house.python_faults(method) == ["2: f has 61 code lines, more than 60"]


def test_a_file_is_measured_without_words():
    words = '"""Words\nwords."""\n\n# words\n'
    assert house.python_faults(words + "x = 1\n" * 500) == []
    assert house.python_faults(words + "x = 1\n" * 501) == [
        "1: 501 code lines in one file, more than 500"
    ]


def test_a_string_that_is_a_value_counts_as_code():
    assert house.code_lines('x = """a\nb\nc"""\n') == {1, 2, 3}
    assert house.code_lines('def f():\n    "doc"\n    "value"\n') == {1, 3}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def mean(x, axis): ...", "1: mean takes `axis`"),
        ("def mean(x, /, *, axis=0): ...", "1: mean takes `axis`"),
        ("class A:\n    def mean(self, axis=None): ...", "2: mean takes `axis`"),
        ("if (size := len([])) > 3:\n    pass", "1: a walrus"),
        ("x = [y for z in [1] if (y := z)]", "1: a walrus"),
        ("def f():\n    raise NotImplementedError", "2: NotImplementedError without"),
        ("def f():\n    raise NotImplementedError()", "2: NotImplementedError without"),
        ("x = 1  # TO" + "DO: more", "1: `TO" + "DO`"),
        ("# FIX" + "ME\n", "1: `FIX" + "ME`"),
        ("raise ValueError('not implemented ye" + "t')", "1: `not implemented ye" + "t`"),
    ],
)
def test_a_planted_fault_is_found(source, said):
    found = house.python_faults(source)
    assert len(found) == 1
    assert found[0].startswith(said)


@pytest.mark.parametrize(
    "source",
    [
        "def _to_numpy(x, axis): ...",
        "def mean(x, dim, keepdim=False): ...",
        "np.sum(x, axis=0)",
        "def f():\n    raise NotImplementedError('A Dataset needs __getitem__')",
        "todo = 1",
    ],
)
def test_good_code_passes(source):
    assert house.python_faults(source) == []


@pytest.mark.parametrize(
    "text",
    [
        "see /wor" + "k/main/x.py",
        "'/hom" + "e/ann/data'",
        "cd /roo" + "t/x",
        "(/User" + "s/bo/narae)",
        "pip install --inde" + "x-url=x",
        "https://pyp" + "i.org/simple",
    ],
)
def test_a_machine_place_is_found(text):
    assert len(house.places("a line\n" + text)) == 1
    assert house.places("a line\n" + text)[0].startswith("2: ")


@pytest.mark.parametrize(
    "text", ["https://a.org/home/", "src/wo" + "rk/x", "~/.cache/narae", "/tm" + "p/x"]
)
def test_an_ordinary_place_passes(text):
    assert house.places(text) == []
