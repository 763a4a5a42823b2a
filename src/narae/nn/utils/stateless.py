"""Calling a module with other parameters than its own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from narae.base.errors import GraphError
from narae.base.notices import warn_user
from narae.tensors import Tensor, stack

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


def functional_call_of_dicts(
    module: Module,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`narae.func.functional_call`: as `call_with`, whose tensors may come in several dicts."""
    given = parameter_and_buffer_dicts
    if not isinstance(given, dict):
        given = _joined(given)
    return call_with(module, given, args, kwargs, tie_weights=tie_weights, strict=strict)


def _joined(dicts: Any) -> dict[str, Any]:
    if not isinstance(dicts, Sequence) or not all(isinstance(part, dict) for part in dicts):
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
            f"{type(dicts)}"
        )
    names = [name for part in dicts for name in part]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"{repeated} appeared in multiple dictionaries; behavior of functional call is "
            "ambiguous"
        )
    return {name: x for part in dicts for name, x in part.items()}


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and buffers of several equal models, each stacked along a new first dimension.

    Args:
        models: of one class, all in training or all in evaluation mode

    Returns:
        Parameters by name, which are leaves of their own, and buffers by name.

    >>> import narae
    >>> models = [narae.nn.Linear(3, 2) for _ in range(4)]
    >>> params, buffers = stack_module_state(models)
    >>> {name: tuple(x.shape) for name, x in params.items()}
    {'weight': (4, 2, 3), 'bias': (4, 2)}
    """
    models = list(models)
    problem = ""
    if not models:
        problem = "Expected at least one model, got 0."
    elif len({model.training for model in models}) > 1:
        problem = "Expected all models to have the same training/eval mode."
    elif len({type(model) for model in models}) > 1:
        problem = "Expected all models to be of the same class."
    if problem:
        raise GraphError(f"stack_module_state: {problem}")
    params = [dict(model.named_parameters()) for model in models]
    buffers = [dict(model.named_buffers()) for model in models]
    return _stacked(params), _stacked(buffers)


def _stacked(states: list[dict[str, Any]]) -> dict[str, Any]:
    found = {}
    for name in states[0]:
        tensors = [state[name] for state in states]
        wanting = {x.requires_grad for x in tensors}
        if len(wanting) > 1:
            raise GraphError(f"Expected {name} from each model to have the same .requires_grad")
        found[name] = stack([x.detach() for x in tensors]).requires_grad_(wanting == {True})
    return found


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
