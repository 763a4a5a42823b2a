"""When something goes wrong: try, except, assert, and Narae's own errors.

Run `python examples/scratch/01_errors_and_asserts.py`.
"""

from __future__ import annotations

import common

import narae
from narae import errors


def divide_ten() -> None:
    """Divide ten by each digit, and go on after the one that cannot be done.

    >>> divide_ten()
    Not divided by 0
    10.0
    5.0
    3.3333333333333335
    2.5
    2.0
    1.6666666666666667
    1.4285714285714286
    1.25
    1.1111111111111112
    """
    for i in range(10):
        try:
            print(10 / i)
        except ZeroDivisionError:
            print("Not divided by 0")


def binary_number(number: int) -> str:
    """The digits of a whole number to base two.

    >>> binary_number(10)
    '1010'
    >>> binary_number(10.0)
    Traceback (most recent call last):
    AssertionError: 10.0 is not a whole number
    """
    assert isinstance(number, int), f"{number} is not a whole number"
    return f"{number:b}"


class TooFewSamples(errors.DataError):
    """An error of our own: it says what went wrong, and is a ValueError as well."""


def mean_of(samples: list[float]) -> float:
    """The mean, of two samples at least.

    >>> mean_of([1.0, 2.0])
    1.5
    """
    if len(samples) < 2:
        raise TooFewSamples(f"a mean of {len(samples)} samples says little; give two or more")
    return float(narae.tensor(samples).mean())


# Each situation, and the built-in class that a Python programmer expects there.
SITUATIONS = {
    "an index outside": (IndexError, lambda: narae.arange(3)[5]),
    "sizes that do not fit": (ValueError, lambda: narae.arange(6).reshape(4, 2)),
    "a file that is not there": (FileNotFoundError, lambda: narae.load("nowhere.safetensors")),
    "whole numbers divided by zero": (ZeroDivisionError, lambda: narae.tensor(7) // 0),
    "a dtype that cannot be used": (TypeError, lambda: narae.arange(3).softmax(dim=0)),
    "a misspelt function": (AttributeError, lambda: narae.tensr),
    "a misspelt name": (NameError, lambda: eval("nare")),
}


def what_happens(action: object) -> Exception:
    """Call it, and return the exception it raises."""
    try:
        action()
    except Exception as error:
        return error
    raise AssertionError("nothing happened")


BUILT_IN = (
    RuntimeError,
    ValueError,
    TypeError,
    IndexError,
    FileNotFoundError,
    ImportError,
    NotImplementedError,
)


def draw_hierarchy(figure: object, axes: object) -> None:
    """A dot where a class of Narae is also a built-in class."""
    own = [getattr(errors, name) for name in errors.__all__]
    for row, kind in enumerate(own):
        for column, built_in in enumerate(BUILT_IN):
            if issubclass(kind, built_in):
                axes.plot(column, row, "o", ms=9, color=common.BLUE)
    slant = {"rotation": 20, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(BUILT_IN)), [kind.__name__ for kind in BUILT_IN], **slant)
    axes.set_yticks(range(len(own)), [kind.__name__ for kind in own])
    axes.set_ylim(len(own) - 0.5, -0.5)
    axes.set_title("Which except clause catches it?")


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv)
    common.say(
        """Exception handling (예외 처리): the loop below divides by zero in its first turn. `try`
        and `except` keep the program going."""
    )
    divide_ten()
    print()
    common.say(
        f"""An assert (assert 구문) states what must be true if the program itself has no mistake.
        binary_number(10) gives {binary_number(10)}; binary_number(10.0) stops with:
        {what_happens(lambda: binary_number(10.0))!r}"""
    )
    common.say(
        """Some exceptions we expect, because we know the situation and define the error for it:"""
    )
    error = what_happens(lambda: mean_of([1.0]))
    print(f"   {type(error).__name__}: {error}\n")
    common.say(
        """Narae defines its errors in the same way. Each is also the built-in class that fits, so
        that both `except narae.errors.ShapeError` and `except ValueError` work:"""
    )
    rows = []
    for situation, (built_in, action) in SITUATIONS.items():
        error = what_happens(action)
        assert isinstance(error, built_in)
        rows.append([situation, built_in.__name__, type(error).__name__])
    common.table(["situation", "is a", "exactly"], rows)
    common.say("A message names what was given, the rule it breaks, and the likely fix:")
    common.say(str(what_happens(lambda: narae.ones(2, 3) @ narae.ones(4, 5))))
    figure, axes = common.new_figure(width=7.5, height=4.2)
    draw_hierarchy(figure, axes)
    common.save(
        figure,
        chosen.out,
        "errors",
        """Every class of narae.errors (rows) is a NaraeError and also the built-in class that a
        Python programmer expects (columns).""",
    )


if __name__ == "__main__":
    main()
