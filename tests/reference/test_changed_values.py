"""A saved value that changed before backward: an error that names both lines."""

import inspect

import pytest

import narae


def line():
    """The number of the line that calls this."""
    return inspect.currentframe().f_back.f_lineno


@pytest.mark.parametrize(
    "use",
    [
        lambda y: (y * y, line()),
        lambda y: (y.exp(), line()),
        lambda y: (y @ y.t(), line()),
        lambda y: (narae.nn.functional.conv2d(y[None, None], y[None, None]), line()),
    ],
)
def test_both_lines_are_named(use):
    x = narae.ones(2, 2, requires_grad=True)
    y = x * 2
    out, made_at = use(y)
    changed = out if out.grad_fn.name() == "ExpBackward0" else y
    _, written_at = changed.add_(1), line()
    with pytest.raises(RuntimeError) as caught:
        out.sum().backward()
    text = str(caught.value)
    assert f"test_changed_values.py:{made_at} in <lambda>" in text
    assert f"test_changed_values.py:{written_at} in test_both_lines" in text
    assert "Fix: write to a clone()" in text


def test_the_line_of_a_layer_is_the_users():
    layer = narae.nn.Linear(2, 2)
    x = narae.ones(3, 2) * 1
    out, made_at = layer(x), line()
    x.zero_()
    with pytest.raises(RuntimeError, match=f"test_changed_values.py:{made_at} in"):
        out.sum().backward()
