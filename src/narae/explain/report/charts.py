"""Charts as inline SVG: text stays text, colours follow the page, nothing is loaded.

Each function returns one `<svg>`; colours are classes that `style.py` gives a light and a dark
value. Names and numbers are escaped here, so callers pass them as they are.
"""

import html
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Points = Sequence[tuple[float, float]]
Format = Callable[[float], str]

# Drawn about as large as it is shown, so that letters keep their size.
WIDTH, HEIGHT = 480, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 10, 12, 24
_MOST_POINTS = 400
_MOST_DOTS = 60
_MOST_TIMES_USUAL = 4
_LARGEST = 1e150
_MOST_NUMBERED_CLASSES = 20
_MOST_NAMED_CLASSES = 40
_LONGEST_NAME = 12


def escaped(text: object) -> str:
    """A text that is safe anywhere in a page.

    >>> escaped('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    return html.escape(str(text), quote=True)


def short(number: float) -> str:
    """A number in three digits.

    >>> short(0.12345), short(12345.0), short(-1e-7), short(0.0), short(250.0), short(2e12)
    ('0.123', '12.3k', '−1e-7', '0', '250', '2e12')
    """
    if not math.isfinite(number):
        return str(number)
    size, unit = abs(number), ""
    for least, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if least <= size < 1e12 and size >= 1e4:
            size, unit = size / least, letter
            break
    text = f"{size:.3g}" if size < 1000 else f"{size:.0f}" if size < 1e4 else f"{size:.3g}"
    if "e" in text:
        digits, exponent = text.split("e")
        text = f"{digits}e{int(exponent)}"
    return f"{'−' if number < 0 else ''}{text}{unit}"


def percent(share: float) -> str:
    """A share of one.

    >>> percent(0.9876), percent(1.0), percent(0.5)
    ('98.76%', '100%', '50%')
    """
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + "%"


# ---------------------------------------------------------------------------------------- scales
class Scale:
    """From numbers to places, straight or by powers of ten.

    Args:
        low, high: the numbers at both ends.
        start, end: the places at both ends.
        log: go by powers of ten; both numbers are positive then.
    """

    def __init__(
        self, low: float, high: float, start: float, end: float, log: bool = False
    ) -> None:
        self.low, self.high, self.log = low, high, log
        self._start, self._end = start, end
        self._from, self._to = self._bent(low), self._bent(high)

    def _bent(self, number: float) -> float:
        return math.log10(number) if self.log else number

    def __call__(self, number: float) -> float:
        """Where a number is."""
        share = (self._bent(number) - self._from) / ((self._to - self._from) or 1.0)
        return self._start + share * (self._end - self._start)

    def ticks(self, count: int = 5, whole: bool = False) -> list[float]:
        """About so many round numbers between both ends."""
        return log_ticks(self.low, self.high) if self.log else ticks(*self._ends(), count, whole)

    def _ends(self) -> tuple[float, float]:
        return self.low, self.high


def ticks(low: float, high: float, count: int = 5, whole: bool = False) -> list[float]:
    """About so many round numbers from low to high: steps of 1, 2 or 5 times a power of ten.

    >>> ticks(0.0, 1.0), ticks(1.0, 15.0, 4, whole=True)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [5.0, 10.0, 15.0])
    """
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= 0.999 * raw)
    step = max(step, 1.0) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{n * step:.12g}") for n in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from low to high; with 2 and 5 times them where these are few.

    >>> log_ticks(0.01, 1.0)
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = max(1, math.ceil(len(powers) / 7))
    factors = (1, 2, 5) if len(powers) <= 3 else (1,)
    found = [factor * 10.0**power for power in powers[::every] for factor in factors]
    return [float(f"{x:.12g}") for x in found if 0.999 * low <= x <= 1.001 * high]


def finite(points: Points) -> list[tuple[float, float]]:
    """The points of which both numbers are numbers that a scale can hold."""
    return [(float(x), float(y)) for x, y in points if abs(x) < _LARGEST and abs(y) < _LARGEST]


def thinned(points: Points, most: int = _MOST_POINTS) -> list[tuple[float, float]]:
    """The lowest and the highest of each stretch of a long curve, so that no peak is lost."""
    if len(points) <= most:
        return list(points)
    stretches = np.array_split(np.arange(len(points)), most // 2)
    chosen = set()
    for places in stretches:
        values = [points[place][1] for place in places]
        chosen |= {int(places[np.argmin(values)]), int(places[np.argmax(values)])}
    return [points[place] for place in sorted(chosen | {0, len(points) - 1})]


# ------------------------------------------------------------------------------------------ lines
def line_chart(
    series: Mapping[str, Points],
    *,
    title: str,
    x_label: str = "epoch",
    log: bool = False,
    form: Format = short,
    mark: tuple[float, str] | None = None,
    colours: Sequence[int] = (),
    whole_x: bool = True,
    log_x: bool = False,
) -> str:
    """Curves over one axis.

    Args:
        series: points (x, y) by the curve's name; those that are no numbers are left out.
        title: said to those who cannot see it.
        x_label: what the horizontal axis counts.
        log: a vertical axis by powers of ten; straight all the same if a number is not positive.
        form: how to write a value.
        mark: a place on the horizontal axis to mark, and its name.
        colours: which colour each curve has; one after the other if empty.
        whole_x: whether the horizontal axis counts something.
        log_x: a horizontal axis by powers of ten.

    Example:
        >>> chart = line_chart({"training": [(1, 2.0), (2, 1.0)]}, title="loss")
        >>> chart.startswith("<svg") and "<path" in chart
        True
    """
    curves = {name: thinned(finite(points)) for name, points in series.items()}
    everything = [point for points in curves.values() for point in points]
    if not everything:
        return _svg(title, f'<text x="{WIDTH // 2}" y="110" class="mid">nothing recorded</text>')
    x, y = _scales(everything, log, log_x)
    parts = [_grid(x, y, x_label, form, whole_x)]
    for index, (name, points) in enumerate(curves.items()):
        colour = colours[index] if colours else index
        parts.append(_curve(name, points, x, y, colour, form, x_label))
    if mark is not None and x.low <= mark[0] <= x.high:
        parts.append(_mark(x(mark[0]), mark[1]))
    return _svg(title, *parts)


def _scales(points: Points, log: bool, log_x: bool) -> tuple[Scale, Scale]:
    xs, ys = zip(*points, strict=True)
    log, log_x = log and min(ys) > 0, log_x and min(xs) > 0
    low, high = min(ys), max(ys)
    if log:
        low, high = (low / 1.15, high * 1.15) if low < high else (low / 2, high * 2)
    else:
        # A curve that stays above zero is seen above zero, unless it moves far away from it.
        low = 0.0 if 0 <= low <= 0.6 * high or low == high > 0 else low
        pad = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
        low, high = low - (pad if low else 0), high + pad
    left, right = min(xs), max(xs)
    if left == right:
        left, right = (left / 2, right * 2) if log_x else (left - 0.5, right + 0.5)
    across = Scale(left, right, _LEFT, WIDTH - _RIGHT, log_x)
    return across, Scale(low, high, HEIGHT - _BOTTOM, _TOP, log)


def _grid(x: Scale, y: Scale, x_label: str, form: Format, whole_x: bool) -> str:
    parts, bottom = [_lines(y, form)], HEIGHT - 8
    for value in x.ticks(6, whole_x):
        at = x(value)
        if at > WIDTH - _RIGHT - 8 * len(x_label):  # the axis' name stands there
            continue
        parts.append(f'<text x="{at:.1f}" y="{bottom}" class="mid">{short(value)}</text>')
    parts.append(f'<text x="{WIDTH - _RIGHT}" y="{bottom}" class="end">{escaped(x_label)}</text>')
    return "".join(parts)


def _lines(y: Scale, form: Format) -> str:
    parts = []
    for value in y.ticks():
        at = y(value)
        parts.append(f'<path class="grid" d="M{_LEFT} {at:.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 3.5:.1f}" class="end">{form(value)}</text>')
    parts.append(f'<path class="axis" d="M{_LEFT} {HEIGHT - _BOTTOM}H{WIDTH - _RIGHT}"/>')
    return "".join(parts)


def _mark(at: float, name: str) -> str:
    side, shift = ("end", -5) if at > WIDTH / 2 else ("start", 5)
    return (
        f'<path class="mark" d="M{at:.1f} {_TOP}V{HEIGHT - _BOTTOM}"/>'
        f'<text x="{at + shift:.1f}" y="{_TOP + 9}" class="{side} halo">{escaped(name)}</text>'
    )


def _curve(
    name: str, points: Points, x: Scale, y: Scale, colour: int, form: Format, x_label: str
) -> str:
    if not points:
        return ""
    places = [f"{x(a):.1f} {y(b):.1f}" for a, b in points]
    parts = [f'<path class="curve c{colour % 6}" d="M{"L".join(places)}"/>']
    if len(points) <= _MOST_DOTS:
        parts += [
            f'<circle class="dot f{colour % 6}" cx="{x(a):.1f}" cy="{y(b):.1f}" r="2.6">'
            f"<title>{escaped(name)}, {escaped(x_label)} {short(a)}: {form(b)}</title></circle>"
            for a, b in points
        ]
    return "".join(parts)


def scatter_chart(points: Points, *, title: str, x_label: str, y_label: str) -> str:
    """Points of predicted against true values, and the line on which they are equal.

    Args:
        points: (true, predicted).
        title: said to those who cannot see it.
        x_label, y_label: what the axes show.
    """
    shown = finite(points)
    if not shown:
        return line_chart({}, title=title)
    both = [value for point in shown for value in point]
    low, high = min(both), max(both)
    pad = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
    x = Scale(low - pad, high + pad, _LEFT, WIDTH - _RIGHT)
    y = Scale(low - pad, high + pad, HEIGHT - _BOTTOM, _TOP)
    line = f"M{x(x.low):.1f} {y(x.low):.1f}L{x(x.high):.1f} {y(x.high):.1f}"
    dots = (
        f'<circle class="point" cx="{x(a):.1f}" cy="{y(b):.1f}" r="3">'
        f"<title>true {short(a)}, predicted {short(b)}</title></circle>"
        for a, b in shown
    )
    name = f'<text x="{_LEFT + 6}" y="{_TOP + 9}" class="start">{escaped(y_label)}</text>'
    grid = _grid(x, y, x_label, short, whole_x=False)
    return _svg(title, grid, f'<path class="mark" d="{line}"/>', *dots, name)


# ------------------------------------------------------------------------------------------- bars
def stacked_bars(
    rows: Sequence[Mapping[str, float]],
    names: Sequence[str],
    *,
    title: str,
    labels: Sequence[str],
    form: Format = short,
) -> str:
    """A bar for each row, made of named parts one above the other.

    A bar far above most others, such as that of an epoch with compiling, is cut, and says its sum.

    Args:
        rows: the length of each part by its name.
        names: which parts, the lowest first.
        title: said to those who cannot see it.
        labels: the name of each row; its last word stands below the bar.
        form: how to write a length.
    """
    sums = [sum(row.get(name, 0.0) for name in names) for row in rows]
    top = _bar_top(sums)
    x = Scale(0, len(rows) or 1, _LEFT, WIDTH - _RIGHT)
    y = Scale(0, 1.12 * top, HEIGHT - _BOTTOM, _TOP)
    parts = [_lines(y, form)]
    gap = 0.12 if len(rows) <= _MOST_DOTS else 0.0
    every = max(1, math.ceil(len(rows) / 10))
    for index, row in enumerate(rows):
        left, right = x(index + gap), x(index + 1 - gap)
        parts.append(_stack(row, names, (left, right), y, top, labels[index], form))
        middle = f"{(left + right) / 2:.1f}"
        if sums[index] > top:
            words = f'<text x="{middle}" y="{y(top) - 4:.1f}" class="mid halo">'
            parts.append(f"{words}{form(sums[index])}</text>")
        if index % every == 0:
            label = escaped(labels[index].rpartition(" ")[2])
            parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" class="mid">{label}</text>')
    return _svg(title, *parts)


def _bar_top(sums: Sequence[float]) -> float:
    """Where bars end: at the longest, or lower where one or two are far above the others."""
    longest = max(sums, default=0.0) or 1.0
    cut = _MOST_TIMES_USUAL * float(np.median(sums)) if sums else 0.0
    return cut if cut and 0 < sum(x > cut for x in sums) <= 2 else longest


def _stack(
    row: Mapping[str, float],
    names: Sequence[str],
    ends: tuple[float, float],
    y: Scale,
    top: float,
    label: str,
    form: Format,
) -> str:
    parts, below = [], 0.0
    for colour, name in enumerate(names):
        length = row.get(name, 0.0)
        above = below + length
        tall = y(min(below, top)) - y(min(above, top))
        if tall > 0:
            parts.append(
                f'<rect class="f{colour}" x="{ends[0]:.1f}" y="{y(min(above, top)):.1f}" '
                f'width="{ends[1] - ends[0]:.1f}" height="{tall:.1f}">'
                f"<title>{escaped(label)}: {escaped(name)} {form(length)}</title></rect>"
            )
        below = above
    return "".join(parts)


def sparkline(counts: Sequence[float], label: str) -> str:
    """A small histogram of one line's height; nothing if all counts are zero."""
    top = max(counts, default=0)
    if not top:
        return ""
    wide, tall = 96, 22
    step = wide / len(counts)
    bars = "".join(
        f"M{i * step:.1f} {tall}v-{max(tall * count / top, 1):.1f}h{step * 0.8:.1f}V{tall}z"
        for i, count in enumerate(counts)
        if count
    )
    words = escaped(label)
    return (
        f'<svg class="spark" viewBox="0 0 {wide} {tall}" role="img" aria-label="{words}">'
        f'<title>{words}</title><path d="{bars}"/></svg>'
    )


# --------------------------------------------------------------------------------------- heat map
def heat_map(counts: npt.NDArray[np.int64], names: Sequence[str], *, title: str) -> str:
    """A confusion matrix: right answers in one colour, mistakes in another, with their counts.

    Args:
        counts: (classes, classes), rows are true classes.
        names: of the classes.
        title: said to those who cannot see it.
    """
    classes = len(counts)
    shown = [_cut(name) for name in names]
    every = max(1, math.ceil(classes / _MOST_NAMED_CLASSES))
    letters = max((len(name) for name in shown[::every]), default=1)
    long = letters > 3
    left = 22 + 6.4 * letters
    head = 26 + (4.9 * letters if long else 6)
    side = 400.0 if classes > 3 else 240.0
    cell = side / max(classes, 1)
    parts = [f'<rect class="empty" x="{left:.1f}" y="{head:.1f}" width="{side}" height="{side}"/>']
    strength = _strength(counts)
    if classes <= _MOST_NUMBERED_CLASSES:
        parts += _cells(counts, names, strength, left, head, cell)
    else:
        parts += _patches(strength, left, head, cell)
    for place in range(0, classes, every):
        middle = (place + 0.5) * cell
        name = escaped(shown[place])
        parts.append(
            f'<text x="{left - 6:.1f}" y="{head + middle + 3.5:.1f}" class="end">{name}</text>'
        )
        at = f"{left + middle:.1f}"
        turn = f'transform="rotate(-45 {at} {head - 6:.1f})" class="start"'
        parts.append(f'<text x="{at}" y="{head - 6:.1f}" {turn if long else CENTRED}>{name}</text>')
    parts.append(f'<text x="{left + side / 2:.1f}" y="12" {CENTRED}>predicted</text>')
    middle = head + side / 2
    turned = f'transform="rotate(-90 11 {middle:.1f})" {CENTRED}'
    parts.append(f'<text x="11" y="{middle:.1f}" {turned}>true</text>')
    right = left + side + (4.9 * letters if long else 2)
    return _svg(title, *parts, size=(right, head + side + 2), kind="heat")


CENTRED = 'class="mid"'


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _strength(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """How strong each cell's colour is: recall on the diagonal, the number of mistakes beside it.

    The square root lifts single mistakes off the ground without drowning the frequent ones.
    """
    diagonal = np.eye(len(counts), dtype=bool)
    rows = counts.sum(axis=1, keepdims=True)
    mistakes = np.where(diagonal, 0, counts)
    strongest = max(mistakes.max(initial=0), 0.1 * rows.max(initial=0), 1)
    recall = counts / np.maximum(rows, 1)
    return np.where(diagonal, 0.15 + 0.85 * recall, np.sqrt(mistakes / strongest)) * (counts > 0)


def _cells(
    counts: npt.NDArray[np.int64],
    names: Sequence[str],
    strength: npt.NDArray[np.float64],
    left: float,
    head: float,
    cell: float,
) -> list[str]:
    parts = []
    size = min(12.0, 0.42 * cell, 2.6 * cell / max(3, len(f"{counts.max(initial=0)}")))
    for (row, column), count in np.ndenumerate(counts):
        x, y = left + column * cell, head + row * cell
        kind = "right" if row == column else "wrong"
        if not count:
            kind = "none"
        answer = "right" if row == column else f"taken for {names[column]}"
        parts.append(
            f'<rect class="{kind}" x="{x + 0.7:.1f}" y="{y + 0.7:.1f}" width="{cell - 1.4:.1f}" '
            f'height="{cell - 1.4:.1f}" rx="2" fill-opacity="{strength[row, column]:.2f}">'
            f"<title>{escaped(names[row])} {escaped(answer)}: {count:,}</title></rect>"
        )
        if count:
            bright = " bright" if strength[row, column] > 0.6 else ""
            parts.append(
                f'<text x="{x + cell / 2:.1f}" y="{y + cell / 2 + 0.36 * size:.1f}" '
                f'class="mid count{bright}" style="font-size:{size:.1f}px">{count}</text>'
            )
    return parts


def _patches(strength: npt.NDArray[np.float64], left: float, head: float, cell: float) -> list[str]:
    """Cells of many classes: one path for each of a few strengths, so that the page stays small."""
    parts = []
    diagonal = np.eye(len(strength), dtype=bool)
    levels = np.ceil(strength * 6).astype(int)
    for kind, part in (("right", diagonal), ("wrong", ~diagonal)):
        for level in range(1, 7):
            rows, columns = np.nonzero(part & (levels == level))
            squares = "".join(
                f"M{left + c * cell:.1f} {head + r * cell:.1f}h{cell:.2f}v{cell:.2f}h-{cell:.2f}z"
                for r, c in zip(rows, columns, strict=True)
            )
            if squares:
                parts.append(f'<path class="{kind}" fill-opacity="{level / 6:.2f}" d="{squares}"/>')
    return parts


def _svg(
    title: str, *parts: str, size: tuple[float, float] = (WIDTH, HEIGHT), kind: str = "chart"
) -> str:
    view = f"0 0 {size[0]:.0f} {size[1]:.0f}"
    label = escaped(title)
    inside = "".join(parts)
    return f'<svg class="{kind}" viewBox="{view}" role="img" aria-label="{label}">{inside}</svg>'
