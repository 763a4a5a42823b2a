"""Compiled forms of a model's parts, for models whose middle is plain Python."""

from collections.abc import Callable
from typing import Any

from narae.tensors.compilation import compile as compile_module


class Programs:
    """Runs modules as compiled programs, each made when it is first asked for.

    Copies of a model begin with none: the programs are of the model they were made of.

    Attributes:
        wanted: whether to compile; modules run each operation at once otherwise.
        watchers: told of each module that runs, with its inputs.

    >>> import narae
    >>> Programs()(narae.nn.Linear(2, 1), narae.zeros(5, 2)).shape
    narae.Size([5, 1])
    """

    def __init__(self, wanted: bool = True) -> None:
        self.wanted = wanted
        self.watchers: list[Callable[[Any, Any], None]] = []
        self._made: dict[int, Any] = {}

    def __call__(self, module: Any, *inputs: Any) -> Any:
        """The result of a module, by its program."""
        for tell in self.watchers:
            tell(module, inputs)
        if not self.wanted:
            return module(*inputs)
        if id(module) not in self._made:
            self._made[id(module)] = compile_module(module)
        return self._made[id(module)](*inputs)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Programs":
        return Programs(self.wanted)

    def __reduce__(self) -> tuple[Any, ...]:
        return Programs, (self.wanted,)
