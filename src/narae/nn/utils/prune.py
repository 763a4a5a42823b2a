"""Pruning: some elements of a parameter become zero and stay so.

`weight` is computed as `weight_orig * weight_mask`; the first is the parameter, the second a
buffer.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from narae.tensors import Parameter, ones_like

from ..module import Module
from .clip_grad import parameters_to_vector
from .derived import derive, pre_hooks, take_pre_hook, underive
from .prune_amounts import (
    check_amount,
    check_count,
    check_dim,
    check_structured,
    count_of,
    norm_along,
    random_channels,
    random_places,
    smallest_places,
    strongest_channels,
)

AnyModule = TypeVar("AnyModule", bound=Module)


class BasePruningMethod(ABC):
    """A way to choose what is pruned; subclasses say so in `compute_mask`.

    Attributes:
        PRUNING_TYPE: "unstructured" (single elements), "structured" (channels) or "global".
    """

    PRUNING_TYPE: str
    _tensor_name: str

    def __call__(self, module: Module, inputs: Any) -> None:  # noqa: B027
        """Nothing to do: what is pruned is computed when it is read."""

    @abstractmethod
    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """0 where an element is pruned, 1 elsewhere.

        Args:
            t: by which elements are judged
            default_mask: what was pruned before
        """

    def apply_mask(self, module: Any) -> Any:
        """What is left of the parameter."""
        mask = getattr(module, self._tensor_name + "_mask")
        original = getattr(module, self._tensor_name + "_orig")
        return mask.to(dtype=original.dtype) * original

    @classmethod
    def apply(
        cls, module: Any, name: str, *args: Any, importance_scores: Any = None, **kwargs: Any
    ) -> Any:
        """Prune a parameter, on top of what was pruned before.

        Args:
            module: it is changed
            name: which parameter
            args, kwargs: for the class
            importance_scores: of the parameter's shape; elements are judged by them instead
        """
        method = cls(*args, **kwargs)
        method._tensor_name = name
        found = [(k, hook) for k, hook in pre_hooks(module, BasePruningMethod)
                 if hook._tensor_name == name]  # fmt: skip
        combined = _combined(found[0][1], method) if found else method
        current = getattr(module, name)
        scores = current if importance_scores is None else importance_scores
        _check_scores(scores, current, name)
        before = getattr(module, name + "_mask").detach().clone() if found else ones_like(current)
        mask = combined.compute_mask(scores.detach(), default_mask=before.detach())
        for key, _ in found:
            take_pre_hook(module, key)
        if not found:
            del module._parameters[name]
            module.register_parameter(name + "_orig", current)
        module.register_buffer(name + "_mask", mask)
        derive(module, name, combined.apply_mask)
        module.register_forward_pre_hook(combined)
        return combined

    def prune(self, t: Any, default_mask: Any = None, importance_scores: Any = None) -> Any:
        """A pruned copy of a tensor."""
        scores = t if importance_scores is None else importance_scores
        _check_scores(scores, t, "t")
        mask = ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(scores, default_mask=mask)

    def remove(self, module: Any) -> None:
        """Make what is left a plain parameter."""
        left = self.apply_mask(module).detach()
        underive(module, self._tensor_name)
        original = module._parameters.pop(self._tensor_name + "_orig")
        del module._buffers[self._tensor_name + "_mask"]
        setattr(module, self._tensor_name, _overwritten(original, left))


def _overwritten(parameter: Any, value: Any) -> Parameter:
    """The parameter itself, which an optimizer knows, with other numbers."""
    from narae.tensors import no_grad

    with no_grad():
        parameter.copy_(value)
    return parameter


def _check_scores(scores: Any, t: Any, name: str) -> None:
    if scores.shape != t.shape:
        raise ValueError(
            f"importance_scores should have the same shape as parameter {name}, got "
            f"{tuple(scores.shape)} vs {tuple(t.shape)}"
        )


def _combined(before: BasePruningMethod, method: BasePruningMethod) -> "PruningContainer":
    container = before if isinstance(before, PruningContainer) else PruningContainer(before)
    container.add_pruning_method(method)
    return container


class PruningContainer(BasePruningMethod):
    """Several ways to prune one parameter, one after the other."""

    PRUNING_TYPE = "container"

    def __init__(self, *args: BasePruningMethod) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        if len(args) == 1:
            self._tensor_name = args[0]._tensor_name
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: Any) -> None:
        """Add one more."""
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, index: Any) -> Any:
        return self._pruning_methods[index]

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """Let the last method choose among what is not yet pruned."""
        method = self._pruning_methods[-1]
        mask = default_mask.to(dtype=t.dtype).clone()
        part = _unpruned(method, t, default_mask)
        chosen = method.compute_mask(t[part], default_mask=default_mask[part])
        mask[part] = chosen.to(dtype=mask.dtype)
        return mask


def _unpruned(method: Any, t: Any, mask: Any) -> Any:
    """The index of what a method may still prune."""
    if method.PRUNING_TYPE == "unstructured":
        return mask == 1
    if method.PRUNING_TYPE == "global":
        return (slice(None),) * t.ndim
    if method.PRUNING_TYPE != "structured":
        raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
    if not hasattr(method, "dim"):
        raise AttributeError(
            'Pruning methods of PRUNING_TYPE "structured" need to have the attribute `dim` defined.'
        )
    if not -t.ndim <= method.dim < t.ndim:
        raise IndexError(f"Index is out of bounds for tensor with dimensions {t.ndim}")
    dim = method.dim % t.ndim
    kept = mask.sum([place for place in range(t.ndim) if place != dim]) != 0
    return (*(slice(None),) * dim, kept)


# --- methods --------------------------------------------------------------------------------


class Identity(BasePruningMethod):
    """Prune nothing, but have a mask."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        return default_mask


class _Unstructured(BasePruningMethod):
    PRUNING_TYPE = "unstructured"
    places: Callable[[Any, int], Any]

    def __init__(self, amount: float) -> None:
        check_amount(amount)
        self.amount = amount

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        count = count_of(self.amount, t.numel())
        check_count(count, t.numel())
        if count == 0:
            return default_mask.clone()
        flat = default_mask.reshape(-1).clone()
        flat[type(self).places(t, count)] = 0
        return flat.reshape(default_mask.shape)


class RandomUnstructured(_Unstructured):
    """Prune random elements; `amount` is how many, or which share of them."""

    places = staticmethod(random_places)


class L1Unstructured(_Unstructured):
    """Prune the elements nearest to zero; `amount` is how many, or which share of them."""

    places = staticmethod(smallest_places)


class _Structured(BasePruningMethod):
    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1) -> None:
        check_amount(amount)
        self.amount, self.dim = amount, dim

    def kept_channels(self, t: Any, count: int) -> Any:
        """True for each channel that stays, when `count` are pruned."""
        raise NotImplementedError(f"{type(self).__name__} does not say which channels it keeps")

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        check_structured(t)
        check_dim(t, self.dim)
        size = t.shape[self.dim]
        count = count_of(self.amount, size)
        check_count(count, size)
        if count == 0:
            return default_mask
        dim = self.dim % t.ndim
        kept = self.kept_channels(t, count).to(dtype=t.dtype)
        shape = tuple(size if place == dim else 1 for place in range(t.ndim))
        return kept.reshape(shape) * default_mask.to(dtype=t.dtype)


class RandomStructured(_Structured):
    """Prune random channels along `dim`."""

    def kept_channels(self, t: Any, count: int) -> Any:
        return random_channels(t.shape[self.dim], count)


class LnStructured(_Structured):
    """Prune the channels along `dim` whose n-norm is smallest."""

    def __init__(self, amount: float, n: Any, dim: int = -1) -> None:
        super().__init__(amount, dim)
        self.n = n

    def kept_channels(self, t: Any, count: int) -> Any:
        return strongest_channels(norm_along(t, self.n, self.dim), count)


class CustomFromMask(BasePruningMethod):
    """Prune where a mask is 0."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Any) -> None:
        self.mask = mask

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        _check_scores(self.mask, default_mask, "mask")
        return default_mask * self.mask.to(dtype=default_mask.dtype)


# --- functions ------------------------------------------------------------------------------


def identity(module: AnyModule, name: str) -> AnyModule:
    """Give a parameter a mask that prunes nothing."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: AnyModule, name: str, amount: float) -> AnyModule:
    """Prune random elements of a parameter.

    Args:
        module: it is changed
        name: which parameter
        amount: how many elements (int), or which share of those that are left (float)
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(
    module: AnyModule, name: str, amount: float, importance_scores: Any = None
) -> AnyModule:
    """Prune the elements of a parameter that are nearest to zero.

    Args:
        module: it is changed
        name: which parameter
        amount: how many elements (int), or which share of those that are left (float)
        importance_scores: judge by these instead of the parameter

    >>> import narae
    >>> layer = narae.nn.Linear(4, 2)
    >>> _ = l1_unstructured(layer, "weight", amount=3)
    >>> int((layer.weight == 0).sum()), sorted(layer.state_dict())
    (3, ['bias', 'weight_mask', 'weight_orig'])
    """
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: AnyModule, name: str, amount: float, dim: int) -> AnyModule:
    """Prune random channels of a parameter along a dimension."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: AnyModule, name: str, amount: float, n: Any, dim: int, importance_scores: Any = None
) -> AnyModule:
    """Prune the channels of a parameter along a dimension whose n-norm is smallest."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: AnyModule, name: str, mask: Any) -> AnyModule:
    """Prune a parameter where a mask is 0."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Any, str]],
    pruning_method: type[BasePruningMethod],
    importance_scores: Any = None,
    **kwargs: Any,
) -> None:
    """Prune several parameters together, as if they were one.

    Args:
        parameters: modules, each with the name of a parameter
        pruning_method: an unstructured one, such as `L1Unstructured`
        importance_scores: by (module, name); what to judge a parameter by instead of itself
        kwargs: for the method, such as `amount`
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    if not isinstance(importance_scores, (dict, type(None))):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    places, known = list(parameters), importance_scores or {}
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method '
            f"{pruning_method} of type {method.PRUNING_TYPE}"
        )
    tensors = [getattr(module, name) for module, name in places]
    scores = [known.get(place, x) for place, x in zip(places, tensors, strict=True)]
    masks = [getattr(m, name + "_mask", ones_like(x)) for (m, name), x in
             zip(places, tensors, strict=True)]  # fmt: skip
    method._tensor_name = "temp"
    flat_scores, flat_masks = (parameters_to_vector(x).detach() for x in (scores, masks))
    final = PruningContainer(method).compute_mask(flat_scores, flat_masks)
    sizes = [x.numel() for x in tensors]
    for (module, name), x, mask in zip(places, tensors, final.split(sizes), strict=True):
        custom_from_mask(module, name, mask.reshape(x.shape))


def remove(module: AnyModule, name: str) -> AnyModule:
    """Make what is left of a pruned parameter a plain parameter."""
    for key, hook in pre_hooks(module, BasePruningMethod):
        if hook._tensor_name == name:
            hook.remove(module)
            take_pre_hook(module, key)
            return module
    raise ValueError(
        f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed"
    )


def is_pruned(module: Module) -> bool:
    """Whether something in a module or in its children is pruned."""
    return any(True for part in module.modules() for _ in pre_hooks(part, BasePruningMethod))


__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]
