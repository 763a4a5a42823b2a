"""The inventory page is what its generator makes, and the generator finds what tests quote."""

from tools import inventory


def test_the_page_is_up_to_date():
    expected = inventory.page(inventory.read_rows(), inventory.shown_by())
    # If this fails, run: python -m tools.inventory
    assert inventory.PAGE.read_text(encoding="utf8") == expected


def test_all_rows_are_there_once():
    rows = [row.row for row in inventory.read_rows()]
    assert len(rows) == len(set(rows)) == 191


def test_tests_quote_only_rows_that_exist():
    unknown = inventory.shown_by().keys() - {row.row for row in inventory.read_rows()}
    assert unknown == set()


def test_a_quote_in_a_docstring_is_found():
    first = "Z" + "9"  # this file itself is read too, so no real row is named in a docstring here
    source = f'''
"""G3: of the module. Not a row: {first}, A1B, x_A1."""

def test_x():
    """A6, A7–A8 and B10-12."""

def test_d4_and_more(): ...

def test_f1_score(): ...

def helper():
    """Needed for C5."""

x = "D1"  # D2
'''
    assert sorted(inventory.places_in(source, "tests/a.py")) == [
        ("A6", "tests/a.py::test_x"),
        ("A7", "tests/a.py::test_x"),
        ("A8", "tests/a.py::test_x"),
        ("B10", "tests/a.py::test_x"),
        ("B11", "tests/a.py::test_x"),
        ("B12", "tests/a.py::test_x"),
        ("C5", "tests/a.py"),
        ("D4", "tests/a.py::test_d4_and_more"),
        ("G3", "tests/a.py"),
    ]


def test_the_page_names_what_shows_a_row():
    row = inventory.Row("A1", "Convolution", "a | b", "합성곱", "equals a loop")
    text = inventory.page([row], {"A1": ["tests/a.py::test_x", "tests/b.py"]})
    assert "name 1 of 1 rows" in text
    assert (
        "| A1 | a \\| b | 합성곱 | equals a loop | `tests/a.py::test_x` <br> `tests/b.py` |" in text
    )
    assert "name 0 of 1 rows" in inventory.page([row], {})
