"""A group of parameters and its settings."""

from collections.abc import Iterable
from typing import Any

from narae.tensors import epoch

_MISSING = object()


class ParamGroup(dict[str, Any]):
    """The dict of a parameter group; a write that a compiled step depends on is noted.

    Numbers are read anew at each step, also by a compiled one, so writing them costs nothing. But
    a momentum that becomes 0 changes which update is computed: that, like any other setting, moves
    the counter that compiled steps look at.

    Args:
        settings: the group.
        numbers: keys whose values are read at each step.
        switches: those of them for which it matters whether they are 0.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        numbers: frozenset[str] = frozenset(),
        switches: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(settings)
        self._numbers, self._switches = numbers, switches

    def __setitem__(self, key: str, value: Any) -> None:
        before = self.get(key, _MISSING)
        super().__setitem__(key, value)
        if before is not value and self._matters(key, before, value):
            epoch.bump()

    def _matters(self, key: str, before: Any, value: Any) -> bool:
        if key not in self._numbers:
            return True
        return key in self._switches and (before == 0) != (value == 0)

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *others: Any, **settings: Any) -> None:
        for key, value in dict(*others, **settings).items():
            self[key] = value

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        epoch.bump()

    def pop(self, key: str, *default: Any) -> Any:
        epoch.bump()
        return super().pop(key, *default)

    def __reduce__(self) -> Any:
        return (ParamGroup, (dict(self), self._numbers, self._switches))

    def __deepcopy__(self, memo: dict[int, Any]) -> "ParamGroup":
        from copy import deepcopy

        return ParamGroup(deepcopy(dict(self), memo), self._numbers, self._switches)


def as_groups(params: Iterable[Any]) -> list[dict[str, Any]]:
    """The argument `params` of an optimizer as a list of dicts.

    Raises:
        TypeError: for a lone tensor.
        ValueError: for an empty list.
    """
    from narae.base.errors import ConfigError
    from narae.tensors import Tensor

    if isinstance(params, Tensor):
        raise TypeError(
            "params argument given to the optimizer should be an iterable of Tensors or dicts, "
            "but got Tensor. Fix: put it in a list, [tensor]"
        )
    groups = list(params)
    if not groups:
        raise ConfigError(
            "[optimizer] optimizer got an empty parameter list; there is nothing to train. Fix: "
            "give model.parameters() (an iterator is empty after it was used once)"
        )
    return groups if isinstance(groups[0], dict) else [{"params": groups}]


def split_names(items: list[Any]) -> tuple[list[Any], list[str]]:
    """Tensors and names from a list of tensors, or of (name, tensor) pairs.

    Raises:
        ValueError: when only some have names.
    """
    from narae.base.errors import ConfigError

    names = [item[0] for item in items if isinstance(item, tuple)]
    if names and len(names) != len(items):
        raise ConfigError(
            "all optimizer params should be with/without names. Some param names are missing"
        )
    return [item[1] if isinstance(item, tuple) else item for item in items], names
