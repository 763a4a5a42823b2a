"""The parts of the report: each makes HTML of the facts, or nothing where there are none."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from narae.train.answers import Mistake
from narae.train.callbacks.timing import PARTS
from narae.train.figures import is_picture
from narae.train.progress import format_metric, format_seconds
from narae.train.runs.table import word_of

from .charts import (
    escaped,
    heat_map,
    line_chart,
    percent,
    scatter_chart,
    short,
    sparkline,
    stacked_bars,
)
from .facts import Facts
from .layers import LayerStatistics
from .png import data_uri

_LOG_FROM_RATIO = 50.0
_MOST_CLASSES, _WORST_CLASSES = 20, 15
_MOST_CONFUSIONS = 8
_MOST_BARS = 60
_LARGEST_EXAMPLE = 640  # pixels: a recipe draws fine lines and names
_NAMES = {"lr": "learning rate", "grad_norm": "gradient norm"}


# -------------------------------------------------------------------------------------- small HTML
def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table whose cells are HTML already; the columns of numbers are set to the right."""
    kinds = [' class="n"' if index in numbers else "" for index in range(len(head))]
    top = "".join(f"<th{kind}>{name}</th>" for kind, name in zip(kinds, head, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table class="numbers"><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def facts_table(rows: Mapping[str, Any]) -> str:
    """Names and values; those that are empty are left out."""
    body = "".join(
        f"<tr><td>{escaped(name)}</td><td>{escaped(value)}</td></tr>"
        for name, value in rows.items()
        if value not in (None, "", [], {})
    )
    return f'<table class="facts"><tbody>{body}</tbody></table>' if body else ""


def card(title: str, *inside: str) -> str:
    """A framed part of the page."""
    head = f"<h3>{escaped(title)}</h3>" if title else ""
    return f'<div class="card">{head}{"".join(inside)}</div>'


def section(title: str, *inside: str) -> str:
    """A part of the page with a heading; nothing if it is empty."""
    content = "".join(inside)
    return f"<section><h2>{escaped(title)}</h2>{content}</section>" if content else ""


def _bar(share: float) -> str:
    return f'<span class="bar"><i style="width:{100 * share:.0f}%"></i></span>'


# -------------------------------------------------------------------------------------------- head
def head(facts: Facts) -> str:
    """The name, the numbers that matter most, and what is missing."""
    summary = facts.recipe.card.summary if facts.recipe is not None else ""
    notes = "".join(f'<p class="note">{escaped(note)}</p>' for note in facts.notes)
    tiles = "".join(_tile(*words) for words in _tiles(facts))
    return (
        f"<header><h1>{escaped(facts.plan.recipe)}</h1>"
        f'<p class="lead">{escaped(summary)}</p></header>'
        f'{notes}<div class="tiles">{tiles}</div>'
    )


def _tile(name: str, value: str, under: str = "") -> str:
    return (
        f'<div class="card tile"><div class="name">{escaped(name)}</div>'
        f'<div class="value">{escaped(value)}</div><div class="under">{escaped(under)}</div></div>'
    )


def _tiles(facts: Facts) -> list[tuple[str, str, str]]:
    tiles = []
    best = facts.best_epoch
    if best is not None:
        under = f"epoch {best.epoch}"
        tiles.append((f"best {readable(best.name)}", _value(best.name, best.value), under))
        other = "val_loss" if best.name != "val_loss" else "train_loss"
        losses = facts.history.get(other, [])
        if len(losses) >= best.epoch:
            tiles.append((readable(other), _value(other, losses[best.epoch - 1]), under))
    done, asked = len(_longest(facts.history)), facts.plan.settings.get("epochs")
    tiles.append(("epochs", f"{done} of {asked}" if done != asked else f"{done}", _status(facts)))
    seconds = sum(record.get("seconds", 0.0) for record in facts.timing)
    speed = _samples_a_second(facts.timing)
    if seconds:
        tiles.append(("time", format_seconds(seconds), f"{speed:,.0f} samples/s" if speed else ""))
    parameters = facts.plan.about.get("parameters")
    if parameters:
        shape = " × ".join(map(str, facts.plan.about.get("input_shape", ())))
        tiles.append(("parameters", f"{parameters:,}", f"inputs of {shape}" if shape else ""))
    return tiles


def _status(facts: Facts) -> str:
    result = facts.folder.result()
    if result is not None and result.error:
        return f"failed: {result.error}"[:120]
    return facts.folder.status


def _value(name: str, value: float) -> str:
    return format_metric(name, value) if math.isfinite(value) else str(value)


def readable(name: str) -> str:
    """A number's name in words.

    >>> readable("val_loss"), readable("train_grad_norm"), readable("lr")
    ('validation loss', 'training gradient norm', 'learning rate')
    """
    for prefix, words in (("val_", "validation "), ("train_", "training ")):
        if name.startswith(prefix):
            return words + readable(name.removeprefix(prefix))
    return _NAMES.get(name, name.replace("_", " "))


def _longest(history: Mapping[str, Sequence[float]]) -> Sequence[float]:
    return max(history.values(), key=len, default=[])


# ------------------------------------------------------------------------------------------ curves
def curves(facts: Facts) -> str:
    """A chart for the loss and for each other number, training and validation together."""
    best = facts.best_epoch
    mark = None if best is None else (float(best.epoch), f"best: {best.epoch}")
    charts = [_curve(name, lines, mark) for name, lines in grouped(facts.history).items()]
    return section("Curves", f'<div class="cards">{"".join(charts)}</div>' if charts else "")


def grouped(history: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Sequence[float]]]:
    """Numbers that belong into one chart, the loss first and learning rates last.

    >>> grouped({"train_loss": [1.0], "val_loss": [2.0], "lr": [0.1]})
    {'loss': {'training': [1.0], 'validation': [2.0]}, 'learning rate': {'lr': [0.1]}}
    """
    found: dict[str, dict[str, Sequence[float]]] = {}
    for name, values in history.items():
        if name.startswith("train_"):
            found.setdefault(readable(name.removeprefix("train_")), {})["training"] = values
        elif name.startswith("val_"):
            found.setdefault(readable(name.removeprefix("val_")), {})["validation"] = values
        elif name.partition("_")[0] == "lr":
            found.setdefault("learning rate", {})[name] = values
        else:
            found.setdefault(readable(name), {})[name] = values
    late = ("gradient norm", "learning rate")
    order = sorted(
        found, key=lambda name: (name != "loss", late.index(name) + 1 if name in late else 0)
    )
    return {name: found[name] for name in order}


def _curve(name: str, lines: Mapping[str, Sequence[float]], mark: tuple[float, str] | None) -> str:
    points = {key: list(enumerate(map(float, x), 1)) for key, x in lines.items()}
    values = [y for x in points.values() for _, y in x if math.isfinite(y)]
    wide = bool(values) and min(values) > 0 and max(values) / min(values) > _LOG_FROM_RATIO
    share = name.endswith("accuracy")
    wide = wide and not share and name != "learning rate"
    fixed = {"training": 0, "validation": 1}
    colours = [fixed.get(key, index + 2) for index, key in enumerate(points)]
    chart = line_chart(
        points,
        title=f"{name} by epoch",
        log=wide,
        form=percent if share else short,
        mark=mark,
        colours=colours,
    )
    scale = " (powers of ten)" if wide else ""
    return card(f"{name}{scale}", _legend(points, colours, percent if share else short), chart)


def _legend(points: Mapping[str, Any], colours: Sequence[int], form: Any) -> str:
    parts = []
    for (name, line), colour in zip(points.items(), colours, strict=True):
        last = next((y for _, y in reversed(line) if math.isfinite(y)), None)
        value = "" if last is None else f" <b>{form(last)}</b>"
        parts.append(f'<span><i class="b{colour % 6}"></i>{escaped(readable(name))}{value}</span>')
    return f'<div class="legend">{"".join(parts)}</div>'


# ------------------------------------------------------------------------------- what it says wrong
def answers(facts: Facts) -> str:
    """What the model says of the test data: confusion matrix, or predicted against true."""
    which = f"Epoch {facts.epoch}" + (" (the best)" if facts.best else "")
    words = ", ".join(f"{readable(name)} {_value(name, x)}" for name, x in facts.numbers.items())
    samples = f" on {facts.samples:,} test samples" if facts.samples else ""
    lead = f'<p class="soft">{escaped(which)}{samples}: {escaped(words)}</p>'
    if facts.confusion is not None:
        return section("Test data, class by class", lead, _confusion(facts))
    if facts.pairs:
        chart = scatter_chart(
            facts.pairs, title="predicted against true", x_label="true", y_label="predicted"
        )
        errors = card("furthest off", _errors(facts.mistakes))
        inside = f'<div class="pair">{card("predicted against true", chart)}{errors}</div>'
        return section("Test data, predicted against true", lead, inside)
    return section("Test data", lead) if facts.numbers else ""


def _confusion(facts: Facts) -> str:
    assert facts.confusion is not None
    counts, names = facts.confusion, facts.classes
    total, right = int(counts.sum()), int(counts.trace())
    share = f": {right:,} of {total:,} right ({percent(right / total)})" if total else ""
    chart = heat_map(counts, names, title="confusion matrix")
    side = card("taken for another", _confusions(counts, names)) + card(
        "classes", _class_table(counts, names)
    )
    matrix = card(f"Confusion matrix{share}", chart)
    return f'<div class="pair">{matrix}<div class="stack">{side}</div></div>'


def _confusions(counts: Any, names: Sequence[str]) -> str:
    pairs = [
        (int(counts[i, j]), i, j)
        for i in range(len(names))
        for j in range(len(names))
        if i != j and counts[i, j]
    ]
    if not pairs:
        return '<p class="soft">nothing: every answer is right</p>'
    top = sorted(pairs, key=lambda pair: -pair[0])[:_MOST_CONFUSIONS]
    rows = [(escaped(names[i]), escaped(names[j]), f"{count:,}") for count, i, j in top]
    return table(("true", "taken for", "times"), rows, numbers=(2,))


def _class_table(counts: Any, names: Sequence[str]) -> str:
    rows = []
    for index, name in enumerate(names):
        hit, true = int(counts[index, index]), int(counts[index].sum())
        said = int(counts[:, index].sum())
        precision, recall = hit / said if said else 0.0, hit / true if true else 0.0
        f1 = 2 * hit / (said + true) if said + true else 0.0
        rows.append((f1, escaped(name), precision, recall, true))
    worst = sorted(rows, key=lambda row: row[0])[:_WORST_CLASSES]
    shown = rows if len(rows) <= _MOST_CLASSES else worst
    cells = [
        (name, percent(p), percent(r), f"{percent(f)}{_bar(f)}", f"{n:,}")
        for f, name, p, r, n in shown
    ]
    head = ("class", "precision", "recall", "F1", "samples")
    more = f'<p class="soft">the {_WORST_CLASSES} of {len(rows)} with the lowest F1</p>'
    return table(head, cells, numbers=(1, 2, 3, 4)) + (more if len(rows) > _MOST_CLASSES else "")


def _errors(mistakes: Sequence[Mistake]) -> str:
    rows = [(f"{x.place:,}", f"{x.target:.6g}", f"{x.said:.6g}", short(x.weight)) for x in mistakes]
    return table(("sample", "true", "predicted", "off by"), rows, numbers=(0, 1, 2, 3))


def worst(facts: Facts) -> str:
    """The mistakes that the model was surest of, as pictures or in a table."""
    if facts.confusion is None or not facts.mistakes:
        return ""
    lead = (
        '<p class="soft">wrong, and surest of it: true → predicted, how sure, '
        "which of the test data</p>"
    )
    names = facts.classes
    if all(is_picture(mistake.input) for mistake in facts.mistakes):
        pictures = "".join(_picture(mistake, names) for mistake in facts.mistakes)
        return section("Worst mistakes", lead, card("", f'<div class="mistakes">{pictures}</div>'))
    rows = [
        (f"{x.place:,}", *map(escaped, _names_of(x, names)), percent(x.weight))
        for x in facts.mistakes
    ]
    head = ("sample", "true", "predicted", "sure")
    return section("Worst mistakes", lead, card("", table(head, rows, numbers=(0, 3))))


def _names_of(mistake: Mistake, names: Sequence[str]) -> tuple[str, str]:
    return names[int(mistake.target)], names[int(mistake.said)]


def _picture(mistake: Mistake, names: Sequence[str]) -> str:
    assert mistake.input is not None, "asked before"
    true, said = _names_of(mistake, names)
    words = f"{true}, taken for {said}"
    return (
        f'<figure><img src="{data_uri(mistake.input)}" alt="{escaped(words)}">'
        f"<figcaption>{escaped(true)} → <b>{escaped(said)}</b><br>"
        f'<span class="soft">{mistake.weight:.0%} · #{mistake.place:,}</span>'
        "</figcaption></figure>"
    )


def examples(facts: Facts) -> str:
    """What the recipe shows of its work: pictures and texts."""
    parts = []
    for example in facts.examples:
        title = escaped(example.title)
        if example.picture is not None and is_picture(example.picture):
            uri = data_uri(example.picture, _LARGEST_EXAMPLE)
            text = f'<br><span class="soft">{escaped(example.text)}</span>' if example.text else ""
            parts.append(
                f'<figure><img src="{uri}" alt="{title}">'
                f"<figcaption>{title}{text}</figcaption></figure>"
            )
        else:
            parts.append(f"<div><h3>{title}</h3><pre>{escaped(example.text)}</pre></div>")
    inside = f'<div class="mistakes large">{"".join(parts)}</div>'
    return section("Examples", card("", inside)) if parts else ""


# ------------------------------------------------------------------------------------------ layers
def layers(facts: Facts) -> str:
    """A line for each layer: parameters, weights, gradient, and what it gives on one batch."""
    if not facts.layers:
        return ""
    largest = max((layer.grad_norm or 0.0 for layer in facts.layers), default=0.0)
    rows = [_layer(layer, largest) for layer in facts.layers]
    head = ["layer", "output", "parameters", "weight mean", "weight std", "gradient norm"]
    head += ["output mean", "output std", "zeros", "output histogram"]
    lead = '<p class="soft">on the first samples of the test data, one batch, nothing updated</p>'
    return section("Layers", lead, card("", table(head, rows, numbers=range(2, 9))))


def _layer(layer: LayerStatistics, largest: float) -> tuple[str, ...]:
    def number(value: float | None) -> str:
        return "" if value is None else short(value)

    name = f'<span class="path">{escaped(layer.path or "model")}</span> {escaped(layer.kind)}'
    shape = "not called" if layer.shape is None else " × ".join(map(str, layer.shape))
    ends = f"from {short(layer.low)} to {short(layer.high)}"
    norm = number(layer.grad_norm)
    if layer.grad_norm is not None and largest:
        norm += _bar(layer.grad_norm / largest)
    return (
        name,
        shape,
        f"{layer.parameters:,}" if layer.parameters else "",
        number(layer.weight_mean),
        number(layer.weight_std),
        norm,
        number(layer.mean),
        number(layer.std),
        "" if layer.zeros is None else f"{layer.zeros:.0%}",
        sparkline(layer.counts, f"{layer.path}: {ends}"),
    )


# ------------------------------------------------------------------------------------------ timing
def timing(facts: Facts) -> str:
    """Where the time of each epoch went."""
    records = [x for x in facts.timing if math.isfinite(x.get("seconds", math.nan))]
    if not records:
        return ""
    rows, labels = _merged(records)
    chart = stacked_bars(
        rows, PARTS, title="seconds by epoch", labels=labels, form=format_seconds_short
    )
    total = sum(record["seconds"] for record in records)
    sums = {part: sum(record.get(part, 0.0) for record in records) for part in PARTS}
    shares = [
        f'<span><i class="b{index}"></i>{part} <b>{sums[part] / total:.0%}</b></span>'
        for index, part in enumerate(PARTS)
    ]
    legend = f'<div class="legend">{"".join(shares)}</div>'
    points = {"samples/s": [(x["epoch"], _speed(x)) for x in records if _speed(x)]}
    speed = line_chart(points, title="samples a second by epoch", colours=(2,))
    first = records[0]["seconds"]
    usual = statistics.median(record["seconds"] for record in records)
    words = (
        f"{format_seconds(total)} in {len(records):,} epochs, "
        f"usually {format_seconds_short(usual)} each"
    )
    if len(records) > 1 and first > 2 * usual:
        words += f"; {format_seconds_short(first)} for the first, with compiling"
    inside = card("seconds by epoch", legend, chart) + card("samples a second", speed)
    return section("Time", f'<p class="soft">{escaped(words)}</p><div class="cards">{inside}</div>')


def _merged(records: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, float]], list[str]]:
    """A bar for each epoch, or the mean of some of them where there are many."""
    every = math.ceil(len(records) / _MOST_BARS)
    rows, labels = [], []
    for start in range(0, len(records), every):
        group = records[start : start + every]
        mean = {part: sum(x.get(part, 0.0) for x in group) / len(group) for part in PARTS}
        rows.append(mean)
        labels.append(f"epoch {group[0]['epoch']}")
    return rows, labels


def format_seconds_short(seconds: float) -> str:
    """Seconds as on an axis.

    >>> format_seconds_short(0.0015), format_seconds_short(2.5), format_seconds_short(0.0)
    ('1.5 ms', '2.5 s', '0')
    >>> format_seconds_short(95.0)
    '1 min 35 s'
    """
    if not seconds:
        return "0"
    if seconds < 1:
        return f"{short(1000 * seconds)} ms"
    return f"{short(seconds)} s" if seconds < 60 else format_seconds(seconds)


def _speed(record: Mapping[str, Any]) -> float:
    seconds = record.get("data", 0.0) + record.get("step", 0.0)
    return record.get("samples", 0) / seconds if seconds > 0 else 0.0


def _samples_a_second(timing: Sequence[Mapping[str, Any]]) -> float:
    """The usual speed of training, without validation and saving; 0 if it is not known."""
    speeds = [_speed(record) for record in timing if _speed(record)]
    return statistics.median(speeds) if speeds else 0.0


# ----------------------------------------------------------------------------------------- details
def details(facts: Facts) -> str:
    """Settings, machine and versions."""
    plan = facts.plan
    chosen = {name: _change(facts, name, value) for name, value in plan.chosen.items()}
    changed = facts_table(chosen) or '<p class="soft">those of the recipe</p>'
    every = facts_table({name: _plain(value) for name, value in plan.settings.items()})
    everything = f"<details><summary>all settings</summary>{every}</details>"
    where: dict[str, Any] = {"folder": facts.folder.path, "recipe": plan.file or plan.recipe}
    where |= {"started": plan.started.replace("T", " ")[:19], "command": " ".join(plan.command)}
    where |= {"git": _git(plan.git)} | dict(plan.options) | dict(plan.machine)
    where |= {name: plan.environment.get(name) for name in ("executor", "threads")}
    versions = plan.environment.get("versions", {})
    where |= {"versions": ", ".join(f"{name} {x}" for name, x in versions.items())}
    changes = "".join(
        f'<p class="soft">after epoch {escaped(change.get("epoch"))}: '
        f"{escaped(_pairs(change.get('settings')))}</p>"
        for change in plan.changes
    )
    left = card("Settings that differ from the recipe's", changed, changes, everything)
    return section("Run", f'<div class="pair">{left}{card("Where", facts_table(where))}</div>')


def _change(facts: Facts, name: str, value: Any) -> str:
    own = f" (recipe: {_plain(facts.own[name])})" if name in facts.own else ""
    return _plain(value) + own


def _plain(value: Any) -> str:
    return "–" if value == "" else word_of(value)


def _pairs(settings: Any) -> str:
    chosen = settings if isinstance(settings, Mapping) else {}
    return ", ".join(f"{name} {_plain(x)}" for name, x in chosen.items())


def _git(state: Mapping[str, Any] | None) -> str:
    if not state:
        return ""
    return f"{str(state.get('commit', ''))[:12]}{', with changes' if state.get('dirty') else ''}"
