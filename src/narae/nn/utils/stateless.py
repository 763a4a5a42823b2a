"""Calling a module with other parameters than its own."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from narae.base.errors import GraphError
from narae.base.notices import warn_user
from narae.tensors import Tensor

from ..module import Module


def call_with(
    module: Module,
    parameters_and_buffers: dict[str, Any],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call a module with these tensors in the places of its own.

    Args:
        module: it is as before when the call is over
        parameters_and_buffers: tensors by path; what the call does to a buffer is put here
        args: one argument, or a tuple of them
        kwargs: further arguments
        tie_weights: a tensor that stands in several places is replaced in all of them
        strict: every parameter and buffer must be given, and nothing else

    >>> import narae
    >>> layer = narae.nn.Linear(2, 1)
    >>> own = {"weight": narae.ones(1, 2), "bias": narae.zeros(1)}
    >>> call_with(layer, own, narae.tensor([1.0, 2.0]))
    tensor([3.])
    """
    given = parameters_and_buffers
    if tie_weights:
        given = _untied(module, given)
    if strict:
        _check_names(module, given)
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _replaced(module, given, parameters_and_buffers):
        return module(*args, **(kwargs or {}))


def functional_call(
    module: Module,
    parameters_and_buffers: dict[str, Any],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """The older address of `narae.func.functional_call`."""
    warn_user(
        "`narae.nn.utils.stateless.functional_call` is deprecated. Please use "
        "`narae.func.functional_call` instead which is a drop-in replacement.",
        FutureWarning,
    )
    options = {"tie_weights": tie_weights, "strict": strict}
    return call_with(module, parameters_and_buffers, args, kwargs, **options)


def _named(module: Module) -> Iterable[tuple[str, Any]]:
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def _untied(module: Module, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, for every name under which a tensor is known."""
    names: dict[int, list[str]] = {}
    for name, tensor in _named(module):
        names.setdefault(id(tensor), []).append(name)
    found = dict(given)
    for tied in names.values():
        wanted = [name for name in tied if name in given]
        if len({id(given[name]) for name in wanted}) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(tied)}, which are tied. "
                "Consider using tie_weights=False"
            )
        if wanted:
            found.update(dict.fromkeys(tied, given[wanted[0]]))
    return found


def _check_names(module: Module, given: Mapping[str, Any]) -> None:
    known = {name for name, _ in _named(module)}
    words = []
    for what, names in (("Unexpected", set(given) - known), ("Missing", known - set(given))):
        if names:
            words.append(f"{what} key(s): {', '.join(map(repr, sorted(names)))}.")
    if words:
        joined = "\n\t".join(words)
        raise GraphError(f"Error(s) in reparametrizing for {module._get_name()}:\n\t{joined}")


class _Place:
    """Where a tensor of a module stands: in a registry, or in a property of a parametrization."""

    def __init__(self, module: Module, path: str) -> None:
        owner, _, self.name = path.rpartition(".")
        self.owner: Any = module.get_submodule(owner)
        self.registry: dict[str, Any] | None = None
        for registry in (self.owner._parameters, self.owner._buffers):
            if self.name in registry:
                self.registry = registry
        if self.registry is None and not isinstance(getattr(self.owner, self.name), Tensor):
            raise TypeError(
                f"{path}: {getattr(self.owner, self.name)} is not an instance of Tensor"
            )

    def get(self) -> Any:
        """What stands there now."""
        return getattr(self.owner, self.name) if self.registry is None else self.registry[self.name]

    def put(self, tensor: Any) -> None:
        """Put something else there."""
        if self.registry is None:
            setattr(self.owner, self.name, tensor)
        else:
            self.registry[self.name] = tensor


@contextmanager
def _replaced(module: Module, given: Mapping[str, Any], results: dict[str, Any]) -> Iterator[None]:
    """Other tensors inside the block; those that it assigned are put into `results`."""
    places = {name: _Place(module, name) for name in given}
    before = {name: place.get() for name, place in places.items()}
    try:
        for name, place in places.items():
            place.put(given[name])
        yield
    finally:
        for name, place in places.items():
            if name in results:
                results[name] = place.get()
            place.put(before[name])


__all__ = ["functional_call"]
