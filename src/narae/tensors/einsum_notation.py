"""`einsum`: sums of products in Einstein's notation, by permutations and matrix products.

Two operands at a time: labels that both have and that are still needed count the batch, labels that
end here are summed by the product, the others belong to the rows or to the columns.

    before: "bik,bkj->bij"
    after:  x (b, i, k) @ y (b, k, j)
"""

import math
from collections.abc import Sequence
from typing import Any

from narae import primitives as p
from narae.base.dtypes import result_type
from narae.base.errors import ShapeError, explain

from .autocast import products
from .eager import apply, converted
from .tensor import Tensor

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
Labels = tuple[Any, ...]


def einsum(equation: Any, *operands: Any) -> Tensor:
    """Multiply operands and sum over every label that the result does not have.

    Args:
        equation: such as "ij,jk->ik"; "..." stands for dimensions without a label. Or operands
            and lists of numbers in turn: `einsum(x, [0, 1], y, [1, 2], [0, 2])`.
        operands: the tensors, or one sequence of them.

    Raises:
        RuntimeError: when labels, numbers of dimensions or sizes do not fit.

    >>> import narae
    >>> narae.einsum("i,i->", narae.tensor([1, 2]), narae.tensor([3, 4]))
    tensor(11)
    """
    if isinstance(equation, Tensor):
        equation, operands = _from_sublists((equation, *operands))
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    if not operands:
        raise ShapeError("[einsum] einsum(): must provide at least one operand")
    inputs, output = _parsed(equation, operands)
    dtype = result_type([x._value for x in operands])
    terms = [
        _simplified(converted(x, dtype), labels) for x, labels in zip(operands, inputs, strict=True)
    ]
    _check_sizes(terms)
    (out, labels), rest = terms[0], terms[1:]
    for place, (other, other_labels) in enumerate(rest):
        later = {label for _, found in rest[place + 1 :] for label in found}
        out, labels = _contracted(out, labels, other, other_labels, later | set(output))
    gone = [label for label in labels if label not in output]
    out, labels = _summed(out, labels, gone)
    return _permuted(out, [labels.index(label) for label in output])


# --- reading the equation -------------------------------------------------------------------


def _from_sublists(arguments: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    """`x, [0, 1], y, [1, 2], [0, 2]` as an equation and operands."""
    operands = tuple(arguments[0 : len(arguments) // 2 * 2 : 2])
    terms = [_letters(labels) for labels in arguments[1::2]]
    equation = ",".join(terms)
    if len(arguments) % 2:
        equation += "->" + _letters(arguments[-1])
    return equation, operands


def _letters(labels: Sequence[Any]) -> str:
    text = ""
    for label in labels:
        if label is Ellipsis:
            text += "..."
        elif 0 <= label < len(_LETTERS):
            text += _LETTERS[label]
        else:
            raise ShapeError(
                f"[einsum] einsum(): label {label} is not within the valid range [0, 52)"
            )
    return text


def _parsed(equation: str, operands: Sequence[Tensor]) -> tuple[list[Labels], Labels]:
    """The labels of each operand and of the result; an ellipsis becomes numbered labels."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        found = "more" if len(operands) > len(terms) else "fewer"
        raise ShapeError(
            explain(
                "einsum",
                f"the equation {equation!r} names {len(terms)} operands, {len(operands)} are given",
                f"einsum(): {found} operands were provided than specified in the equation",
            )
        )
    ranks = [len(x._value.shape) for x in operands]
    pairs = zip(terms, ranks, strict=True)
    inputs = [_labels(term, rank, place) for place, (term, rank) in enumerate(pairs)]
    widest = max((sum(type(label) is int for label in labels) for labels in inputs), default=0)
    dots = tuple(range(-widest, 0))
    if not arrow:
        return inputs, (*dots, *_implicit(left))
    output = _output_labels(right, dots)
    known = {label for labels in inputs for label in labels}
    for label in output:
        if label not in known:
            raise ShapeError(
                f"[einsum] einsum(): output subscript {label} does not appear in the equation for "
                "any input operand"
            )
        if output.count(label) > 1:
            raise ShapeError(
                f"[einsum] einsum(): output subscript {label} appears more than once in the output"
            )
    return inputs, output


def _labels(term: str, rank: int, place: int) -> Labels:
    before, dots, after = term.partition("...")
    _check_letters(before + after)
    covered = len(before) + len(after)
    if covered > rank or (not dots and covered != rank):
        raise ShapeError(
            explain(
                "einsum",
                f"operand {place} has {rank} dimensions, its subscripts are {term!r}",
                f"einsum(): the number of subscripts in the equation ({covered}) does not match "
                f"the number of dimensions ({rank}) for operand {place}"
                + ("" if dots else " and no ellipsis was given"),
            )
        )
    # Dimensions under an ellipsis are numbered from the last, so that they broadcast.
    return (*before, *range(covered - rank, 0), *after)


def _check_letters(text: str) -> None:
    for letter in text:
        if letter not in _LETTERS:
            raise ShapeError(
                f"[einsum] einsum(): invalid subscript given: {letter!r}, subscripts must be in "
                "[a-zA-Z]"
            )


def _implicit(left: str) -> Labels:
    """Without an arrow: the labels that appear once, in alphabetical order."""
    letters = left.replace(",", "").replace("...", "")
    return tuple(sorted(letter for letter in letters if letters.count(letter) == 1))


def _output_labels(right: str, dots: Labels) -> Labels:
    before, ellipsis, after = right.partition("...")
    _check_letters(before + after)
    return (*before, *(dots if ellipsis else ()), *after)


def _check_sizes(terms: Sequence[tuple[Tensor, Labels]]) -> None:
    sizes: dict[Any, int] = {}
    for place, (x, labels) in enumerate(terms):
        for dim, (label, size) in enumerate(zip(labels, x._value.shape, strict=True)):
            known = sizes.get(label, 1)
            if known != 1 and size not in (1, known):
                raise ShapeError(
                    explain(
                        "einsum",
                        f"operand {place} is {tuple(x._value.shape)}; subscript {label} has size "
                        f"{size} in dimension {dim} and {known} before",
                        f"einsum(): operands do not broadcast: sizes of subscript {label} must be "
                        "equal or 1",
                    )
                )
            sizes[label] = size if known == 1 else known


# --- computing ------------------------------------------------------------------------------


def _simplified(x: Tensor, labels: Labels) -> tuple[Tensor, Labels]:
    """Take the diagonal of labels that repeat within one operand."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            if x._value.shape[first] != x._value.shape[second]:
                raise ShapeError(
                    f"[einsum] einsum(): subscript {label} is repeated for operand "
                    f"{tuple(x._value.shape)} but the sizes don't match"
                )
            x = apply(p.diagonal, x, offset=0, dim1=first, dim2=second)
            kept = [item for dim, item in enumerate(labels) if dim not in (first, second)]
            labels = (*kept, label)
    return x, labels


def _summed(x: Tensor, labels: Labels, gone: Sequence[Any]) -> tuple[Tensor, Labels]:
    if not gone:
        return x, labels
    dims = tuple(sorted(labels.index(label) for label in gone))
    kept = tuple(label for label in labels if label not in gone)
    return apply(p.sum_, x, dim=dims, keepdim=False), kept


def _size(x: Tensor, labels: Labels, label: Any) -> int:
    return int(x._value.shape[labels.index(label)])


def _contracted(
    x: Tensor, x_labels: Labels, y: Tensor, y_labels: Labels, needed: set[Any]
) -> tuple[Tensor, Labels]:
    """One operand from two: the labels that nobody needs any more are summed away."""
    both = [label for label in x_labels if label in y_labels]
    x, x_labels = _summed(x, x_labels, _lonely(x, x_labels, y_labels, needed))
    y, y_labels = _summed(y, y_labels, _lonely(y, y_labels, x_labels, needed))
    for label in both:
        # A size of 1 against another one broadcasts: sum the other side, or spread this one.
        small, large = _size(x, x_labels, label), _size(y, y_labels, label)
        if small != large:
            x, y = _spread(x, x_labels, label, large), _spread(y, y_labels, label, small)
    ending = [label for label in both if label not in needed]
    batch = [label for label in both if label in needed]
    rows = [label for label in x_labels if label not in both]
    columns = [label for label in y_labels if label not in both]
    left = _grouped(x, x_labels, batch, rows, ending)  # (batch.., rows, ending)
    right = _grouped(y, y_labels, batch, ending, columns)  # (batch.., ending, columns)
    if ending:  # nothing is summed otherwise
        left, right = products(left, right)
    out = apply(p.matmul, left, right)
    shape = [_size(x, x_labels, label) for label in (*batch, *rows)]
    shape += [_size(y, y_labels, label) for label in columns]
    return apply(p.reshape, out, shape=tuple(shape)), (*batch, *rows, *columns)


def _lonely(x: Tensor, labels: Labels, other: Labels, needed: set[Any]) -> list[Any]:
    """Labels of one operand alone that end here."""
    return [label for label in labels if label not in other and label not in needed]


def _spread(x: Tensor, labels: Labels, label: Any, size: int) -> Tensor:
    dim, shape = labels.index(label), tuple(x._value.shape)
    if shape[dim] != 1 or size == 1:
        return x
    return apply(p.expand, x, shape=(*shape[:dim], size, *shape[dim + 1 :]))  # type: ignore[no-any-return]


def _grouped(x: Tensor, labels: Labels, *groups: Sequence[Any]) -> Tensor:
    """Permute to (batch.., second group, third group), the last two each joined into one."""
    order = [label for group in groups for label in group]
    x = _permuted(x, [labels.index(label) for label in order])
    shape = tuple(x._value.shape)
    count, middle = len(groups[0]), len(groups[0]) + len(groups[1])
    joined = (*shape[:count], math.prod(shape[count:middle]), math.prod(shape[middle:]))
    return apply(p.reshape, x, shape=joined)  # type: ignore[no-any-return]


def _permuted(x: Tensor, dims: Sequence[int]) -> Tensor:
    if list(dims) == list(range(len(dims))):
        return x
    return apply(p.permute, x, dims=tuple(dims))  # type: ignore[no-any-return]


__all__ = ["einsum"]
