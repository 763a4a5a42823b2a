"""Parametrizations: a parameter that is computed from others, wherever the module reads it.

`module.weight` becomes a property; what is trained stands in `module.parametrizations.weight`.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from narae.tensors import Parameter, Tensor, epoch, no_grad
from narae.tensors.modes import modes

from ..containers import ModuleDict, ModuleList
from ..module import Module, _replace

AnyModule = TypeVar("AnyModule", bound=Module)


class _Cache:
    """What parametrizations gave since `cached()` was entered."""

    def __init__(self) -> None:
        self.depth = 0
        self.known: dict[Any, Any] = {}

    def value(self, module: Module, name: str, compute: Callable[[], Any]) -> Any:
        """Compute it, or look it up; a trace has values of its own."""
        if not self.depth:
            return compute()
        key = (id(module), name, modes.trace)
        if key not in self.known:
            self.known[key] = compute()
        return self.known[key]


_cache = _Cache()


@contextmanager
def cached() -> Iterator[None]:
    """Compute each parametrized tensor only once inside the block.

    >>> import narae
    >>> from narae.nn.utils import parametrize
    >>> layer = narae.nn.utils.parametrizations.weight_norm(narae.nn.Linear(3, 2))
    >>> with parametrize.cached():
    ...     layer.weight is layer.weight
    True
    """
    _cache.depth += 1
    try:
        yield
    finally:
        _cache.depth -= 1
        if not _cache.depth:
            _cache.known.clear()


def _register(module: Module, name: str, x: Any) -> None:
    if isinstance(x, Parameter):
        module.register_parameter(name, x)
    else:
        module.register_buffer(name, x)


def _set(target: Any, source: Any) -> None:
    """Give a tensor, which an optimizer may know, the numbers of another one."""
    if target is source:
        return
    with no_grad():
        if target.shape == source.shape and target.dtype is source.dtype:
            target.copy_(source.detach().clone())
        else:
            _replace(target, source.detach().clone()._value)
            epoch.bump()


def _invert(module: Any, value: Any) -> Any:
    """What a parametrization has to be given for this value; without an inverse, the value."""
    if not hasattr(module, "right_inverse"):
        return value
    try:
        return module.right_inverse(value)
    except NotImplementedError:
        return value


def _check_kept(what: str, before: Any, after: Any, where: str) -> None:
    """Refuse a change of dtype or shape.

    Raises:
        ValueError: naming both.
    """
    if not isinstance(after, Tensor):
        raise ValueError(f"{what} must return a tensor. Got {type(after).__name__}.")
    for name in ("dtype", "shape"):
        if getattr(before, name) != getattr(after, name):
            raise ValueError(
                f"Registering a parametrization may not change the {name} of the tensor, unless "
                f"`unsafe` flag is enabled.\n{where}.{name}: {getattr(before, name)}\n"
                f"{what}.{name}: {getattr(after, name)}"
            )


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, in order, and what the first of them starts from.

    That is `original`, or `original0`, `original1`, … if its `right_inverse` gives several tensors.
    """

    def __init__(self, modules: Sequence[Module], original: Any, unsafe: bool = False) -> None:
        if len(modules) == 0:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        value = original.detach().clone()  # as it was, to compare with
        with no_grad():
            new = original
            for module in reversed(list(self)):
                new = _invert(module, new)
        if not isinstance(new, (Tensor, Sequence)):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(new).__name__}"
            )
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            self._add_one(original, new)
        else:
            self._add_several(original, new)
        if not unsafe:
            _check_kept("A parametrization", value, self(), "unparametrized")

    def _add_one(self, original: Any, new: Any) -> None:
        if original.dtype != new.dtype:
            raise ValueError(
                "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                f"original.dtype: {original.dtype}\nright_inverse(original).dtype: {new.dtype}"
            )
        _set(original, new)
        _register(self, "original", original)

    def _add_several(self, original: Any, new: Any) -> None:
        for place, item in enumerate(new):
            if not isinstance(item, Tensor):
                raise ValueError(
                    "'right_inverse' must return a Tensor or a Sequence of tensors (list, "
                    f"tuple...). Got element {place} of the sequence with type "
                    f"{type(item).__name__}."
                )
            if isinstance(original, Parameter):
                item = Parameter(item.detach().clone(), original.requires_grad)
            _register(self, f"original{place}", item)

    def _originals(self) -> list[Any]:
        if self.is_tensor:
            return [self.original]
        return [getattr(self, f"original{place}") for place in range(self.ntensors)]

    def right_inverse(self, value: Any) -> None:
        """Set the originals so that the parametrized tensor becomes `value`, if that can be.

        Raises:
            RuntimeError: when a parametrization has no `right_inverse`.
        """
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(module).__name__} does not implement right_inverse."
                    )
                value = module.right_inverse(value)
        if self.is_tensor != isinstance(value, Tensor):
            wanted = "a tensor" if self.is_tensor else "a sequence of tensors"
            raise ValueError(f"`right_inverse` should return {wanted}. Got {type(value).__name__}")
        values = [value] if self.is_tensor else list(value)
        if len(values) != self.ntensors:
            raise ValueError(
                f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. "
                f"Got a sequence of length {len(values)}."
            )
        for place, (original, new) in enumerate(zip(self._originals(), values, strict=True)):
            if original.dtype != new.dtype:
                raise ValueError(
                    f"Tensor {place} returned by `right_inverse` has dtype {new.dtype} while "
                    f"its original has dtype {original.dtype}"
                )
            _set(original, new)

    def forward(self) -> Any:
        first, *others = list(self)
        x = first(*self._originals())
        for module in others:
            x = module(x)
        return x


# --- the class of a parametrized module -----------------------------------------------------


def _refuse_pickling(self: Any) -> Any:
    raise RuntimeError(
        "Serialization of parametrized modules is only supported through state_dict(). Fix: "
        "narae.save(module.state_dict(), path), then load it into a module that was parametrized "
        "in the same way"
    )


def _deepcopy(self: Any, memo: dict[int, Any]) -> Any:
    """A copy whose class is its own, since properties stand in the class."""
    cls = type(self)
    replica: Any = object.__new__(type(cls.__name__, cls.__bases__, dict(cls.__dict__)))
    memo[id(self)] = replica
    replica.__dict__.update(copy.deepcopy(self.__dict__, memo))
    return replica


def _inject_class(module: Module) -> None:
    cls = type(module)
    members = {"__getstate__": _refuse_pickling, "__deepcopy__": _deepcopy}
    module.__class__ = type(f"Parametrized{cls.__name__}", (cls,), members)


def _inject_property(module: Module, name: str) -> None:
    def read(self: Any) -> Any:
        return _cache.value(self, name, self.parametrizations[name])

    def write(self: Any, value: Any) -> None:
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(read, write))


# --- functions ------------------------------------------------------------------------------


def register_parametrization(
    module: AnyModule, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> AnyModule:
    """Compute a parameter or buffer by a module, whenever it is read.

    Args:
        module: whose tensor it is; it is changed, and its class as well
        tensor_name: the name of the parameter or buffer
        parametrization: what computes it from the trained tensor; an optional method
            `right_inverse` makes assignment to the tensor possible
        unsafe: allow that it changes shape or dtype

    >>> import narae
    >>> class Symmetric(narae.nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).mT
    >>> layer = register_parametrization(narae.nn.Linear(3, 3), "weight", Symmetric())
    >>> narae.equal(layer.weight, layer.weight.mT)
    True
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'parametrizations.weight.original']
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        _append(module, tensor_name, parametrization, unsafe)
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        original = getattr(module, tensor_name)
        found = ParametrizationList([parametrization], original, unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _inject_class(module)
            module.parametrizations = ModuleDict()
        _inject_property(module, tensor_name)
        module.parametrizations[tensor_name] = found
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element "
            f"with name '{tensor_name}'"
        )
    return module


def _append(module: Any, name: str, parametrization: Any, unsafe: bool) -> None:
    """One more parametrization, applied to what the others give."""
    before = getattr(module, name)
    if not unsafe:
        after = parametrization(before)
        _check_kept("A parametrization", before, after, f"module.{name}")
        inverse = _invert(parametrization, after)
        _check_kept("parametrization.right_inverse", before, inverse, f"module.{name}")
    module.parametrizations[name].append(parametrization)
    module.parametrizations[name].unsafe |= unsafe


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a tensor of the module is parametrized, or any."""
    found = getattr(module, "parametrizations", None)
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(
    module: AnyModule, tensor_name: str, leave_parametrized: bool = True
) -> AnyModule:
    """Make a parametrized tensor a plain one again.

    Args:
        leave_parametrized: it keeps its present value; otherwise it gets that of `original`

    Raises:
        ValueError: when it is not parametrized, or when there are several originals to go back to.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    owner: Any = module
    found = owner.parametrizations[tensor_name]
    original = _plain(owner, tensor_name, found, leave_parametrized)
    delattr(type(module), tensor_name)
    del owner.parametrizations[tensor_name]
    _register(module, tensor_name, original)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    return module


def _plain(module: Any, name: str, found: Any, leave_parametrized: bool) -> Any:
    if not found.is_tensor:
        if not leave_parametrized:
            raise ValueError(
                "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is "
                "parametrized in terms of a sequence of tensors."
            )
        value = getattr(module, name)
        return Parameter(value.detach()) if value.requires_grad else value
    original = found.original
    if leave_parametrized:
        with no_grad():
            value = getattr(module, name)
        _set(original, value)
    return original


def type_before_parametrizations(module: Module) -> type:
    """The class that the module had before it was parametrized."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Give a module the parametrizations and the parametrized parameters of another one.

    Args:
        from_module: where they come from; nothing happens if it has none
        to_module: which gets them, and parameters that it lacks
        tensor_name: only this parameter
    """
    if not is_parametrized(from_module):
        return to_module
    source: Any = from_module
    target: Any = to_module
    names = list(source.parametrizations) if tensor_name is None else [tensor_name]
    for name in names:
        if not hasattr(target, name):
            setattr(target, name, Parameter(getattr(source, name).detach()))
        for parametrization in source.parametrizations[name]:
            register_parametrization(target, name, parametrization)
        for key, x in (*source.parametrizations[name]._parameters.items(),
                       *source.parametrizations[name]._buffers.items()):  # fmt: skip
            setattr(target.parametrizations[name], key, x)
    return to_module


__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]
