"""A state dict under other names: each rule says what a tensor is called here, and its form.

    Rule("h.{}.attn.c_attn.weight", "layers.{}.self_attn.in_proj_weight", transposed)

`{}` stands for a number; several tensors that make up one are joined by rows.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from narae.base.errors import FileFormatError, explain
from narae.tensors import Tensor, cat

State = Mapping[str, Tensor]


def as_it_is(x: Tensor) -> Tensor:
    """The tensor itself."""
    return x


def transposed(x: Tensor) -> Tensor:
    """GPT-2 stores matrices as (in, out); what is no matrix is left, and will not fit."""
    return x.t().contiguous() if x.ndim == 2 else x


@dataclass(frozen=True)
class Rule:
    """What tensors are called there and here.

    Attributes:
        theirs: one name, or several whose tensors are joined by rows.
        ours: the name here.
        form: what is done to each of their tensors.
    """

    theirs: str | Sequence[str]
    ours: str
    form: Callable[[Tensor], Tensor] = as_it_is

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [self.theirs] if isinstance(self.theirs, str) else list(self.theirs)


def renamed(state: State, rules: Sequence[Rule], ignored: Iterable[str] = ()) -> dict[str, Tensor]:
    """The tensors of a state dict under the names here.

    Args:
        state: as another library wrote it.
        rules: one for each kind of tensor.
        ignored: patterns of names that are not needed, such as buffers.

    Raises:
        FileFormatError: for a name that no rule knows, or a part of a joined tensor that is missing
            or has other columns.

    >>> import narae
    >>> state = {"h.0.w": narae.ones(2), "h.1.w": narae.zeros(2)}
    >>> list(renamed(state, [Rule("h.{}.w", "layers.{}.weight")]))
    ['layers.0.weight', 'layers.1.weight']
    """
    found: dict[str, Tensor] = {}
    left = {name for name in state if not any(_match(each, name) for each in ignored)}
    for rule in rules:
        for number in sorted(_numbers(rule.names[0], left)):
            names = [name.replace("{}", number) for name in rule.names]
            _check_all_there(names, left)
            _check_columns(names, state)
            parts = [rule.form(state[name]) for name in names]
            found[rule.ours.replace("{}", number)] = parts[0] if len(parts) == 1 else cat(parts)
            left -= set(names)
    if left:
        given = f"no rule knows {', '.join(sorted(left)[:5])}" + (" …" if len(left) > 5 else "")
        fix = "is it a model of this kind?"
        raise FileFormatError(explain("weights", given, "each tensor has a place here", fix))
    return found


def _match(pattern: str, name: str) -> re.Match[str] | None:
    return re.fullmatch(re.escape(pattern).replace(r"\{\}", r"(\d+)"), name)


def _numbers(pattern: str, names: Iterable[str]) -> list[str]:
    """What `{}` stands for in each name that fits; [""] for a pattern without it."""
    matches = (_match(pattern, name) for name in names)
    return ["".join(match.groups()) for match in matches if match is not None]


def _check_columns(names: list[str], state: State) -> None:
    shapes = {name: tuple(state[name].shape) for name in names}
    columns = {shape[1:] for shape in shapes.values()}
    if len(names) > 1 and (() in shapes.values() or len(columns) > 1):
        given = ", ".join(f"{name} is {shape}" for name, shape in shapes.items())
        raise FileFormatError(explain("weights", given, "they are joined by rows"))


def _check_all_there(names: list[str], there: set[str]) -> None:
    missing = [name for name in names if name not in there]
    if missing:
        given, rule = f"{', '.join(missing)} is missing", f"it belongs with {names[0]}"
        raise FileFormatError(explain("weights", given, rule))
