"""The transforms of F(2 x 2, 3 x 3), each along one line of four, two or three values.

    1  0 -1  0            1   0   0
Bᵀ = 0  1  1  0      G =  1/2 1/2 1/2      Aᵀ = 1 1  1  0
    0 -1  1  0            1/2-1/2 1/2           0 1 -1 -1
    0  1  0 -1            0   0   1
"""

from collections.abc import Callable, Sequence

from ..emit import Function, Val

Square = list[list[Val]]
Line = Callable[[Function, Sequence[Val]], list[Val]]


def along_both(f: Function, line: Line, square: Square) -> Square:
    """L s Lᵀ for the matrix L that `line` applies."""
    rows = [line(f, row) for row in square]
    columns = [line(f, [row[place] for row in rows]) for place in range(len(rows[0]))]
    return [[column[place] for column in columns] for place in range(len(columns[0]))]


def input_line(f: Function, d: Sequence[Val]) -> list[Val]:
    """Bᵀ d: four values of a picture."""
    return [f.sub(d[0], d[2]), f.add(d[1], d[2]), f.sub(d[2], d[1]), f.sub(d[1], d[3])]


def output_line(f: Function, m: Sequence[Val]) -> list[Val]:
    """Aᵀ m: two outputs."""
    return [f.add(m[0], f.add(m[1], m[2])), f.sub(f.sub(m[1], m[2]), m[3])]


def output_back(f: Function, y: Sequence[Val]) -> list[Val]:
    """A y: the gradient with respect to m."""
    return [y[0], f.add(y[0], y[1]), f.sub(y[0], y[1]), f.neg(y[1])]


def taps_line(f: Function, g: Sequence[Val]) -> list[Val]:
    """G g: three taps."""
    half = f.const(0.5, g[0].type)
    ends, middle = f.mul(half, f.add(g[0], g[2])), f.mul(half, g[1])
    return [g[0], f.add(ends, middle), f.sub(ends, middle), g[2]]


def taps_back(f: Function, u: Sequence[Val]) -> list[Val]:
    """Gᵀ u: the gradient with respect to g."""
    half = f.const(0.5, u[0].type)
    plus, minus = f.mul(half, f.add(u[1], u[2])), f.mul(half, f.sub(u[1], u[2]))
    return [f.add(u[0], plus), minus, f.add(plus, u[3])]
