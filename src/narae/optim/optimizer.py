"""The face of all optimizers: parameter groups, state, hooks; the rules are in their own files."""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import wraps
from itertools import chain
from typing import Any, ClassVar

import numpy as np

from narae.base.errors import ConfigError
from narae.base.notices import warn_user
from narae.base.places import user_line
from narae.tensors import Tensor, enable_grad, epoch, no_grad
from narae.tensors.backward import RemovableHandle
from narae.tensors.host import gradient_of
from narae.tensors.tensor import wrap

from . import stale
from .groups import ParamGroup, as_groups, split_names

_HOOK_KINDS = (
    "step_pre",
    "step_post",
    "state_dict_pre",
    "state_dict_post",
    "load_state_dict_pre",
    "load_state_dict_post",
)


class Optimizer:
    """Base of all optimizers; a new one overrides `step()`, as in PyTorch.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and settings of a group.
        defaults: settings of groups that do not say otherwise.

    Attributes:
        param_groups: a list of dicts; write `group["lr"] = …` to change a setting.
        state: for each parameter, what the rule remembers about it.
    """

    # Settings that are read at each step, and those of them where 0 selects another update.
    host_numbers: ClassVar[frozenset[str]] = frozenset()
    switches: ClassVar[frozenset[str]] = frozenset()
    # Single numbers of the state that live on the host, in a precision of their own.
    counters: ClassVar[tuple[str, ...]] = ("step",)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.__dict__["step"])  # type: ignore[method-assign]

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._set_up()
        for group in as_groups(params):
            self.add_param_group(group)

    def _set_up(self) -> None:
        """What is not part of a pickle."""
        self._hooks: dict[str, OrderedDict[int, Any]] = {
            kind: OrderedDict() for kind in _HOOK_KINDS
        }
        self._opt_called = False
        self._made_at = user_line()
        self._watch = stale.Watch(self)

    # --- groups ----------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters with settings of their own.

        Raises:
            TypeError: for what is not a tensor, and for sets, which have no order.
            ValueError: for tensors that are not leaves or already belong to a group.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        tensors, names = split_names(_as_list(param_group["params"]))
        param_group["params"] = tensors
        if names:
            param_group["param_names"] = names
        for param in tensors:
            _check_param(param)
        for key, value in self.defaults.items():
            param_group.setdefault(key, value)
        self._check_against_groups(param_group)
        self.param_groups.append(ParamGroup(param_group, self.host_numbers, self.switches))
        epoch.bump()

    def _check_against_groups(self, new: dict[str, Any]) -> None:
        ids = [id(param) for param in new["params"]]
        if len(set(ids)) != len(ids):
            warn_user("optimizer contains a parameter group with duplicate parameters")
        for group in self.param_groups:
            if ("param_names" in new) != ("param_names" in group):
                kind = "with" if "param_names" in new else "without"
                raise ConfigError(
                    "all optimizer param groups should be with/without names. cannot add param "
                    f"group {kind} names to the optimizer. Fix: build all groups from "
                    "named_parameters(), or all from parameters()"
                )
            if not set(ids).isdisjoint(id(param) for param in group["params"]):
                raise ConfigError("some parameters appear in more than one parameter group")

    def _all_params(self) -> list[Tensor]:
        return [param for group in self.param_groups for param in group["params"]]

    # --- steps -----------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters once, by their gradients.

        Args:
            closure: computes the loss again and returns it; called first, if given.
        """
        raise NotImplementedError(f"{type(self).__name__} must override step()")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters; with `set_to_none=False`, fill them with 0."""
        for param in self._all_params():
            if set_to_none:
                param.grad = None  # even if it is None already: a trace must see it
            else:
                _fill_with_zeros(param)

    # --- state -----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The state, keyed by the place of each parameter, and the groups: PyTorch's format."""
        for hook in self._hooks["state_dict_pre"].values():
            hook(self)
        places: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for param in group["params"]:
                places.setdefault(id(param), len(places))
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [places[id(param)] for param in group["params"]]
            groups.append(packed)
        state = {}
        for key, value in self.state.items():
            if not isinstance(key, Tensor):
                state[key] = value
            elif self._exported(key, value):
                state[places[id(key)]] = self._exported(key, value)
        result: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in self._hooks["state_dict_post"].values():
            replaced = hook(self, result)
            result = result if replaced is None else replaced
        return result

    def _exported(self, param: Any, state: Any) -> Any:
        """The state of one parameter as `state_dict` shows it."""
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict()` of such an optimizer returned, or PyTorch's did.

        The numbers are copied. Steps may be numbers or tensors.

        Raises:
            ValueError: when groups or their sizes differ.
        """
        state_dict = dict(state_dict)
        for hook in self._hooks["load_state_dict_pre"].values():
            replaced = hook(self, state_dict)
            state_dict = state_dict if replaced is None else replaced
        saved = deepcopy(state_dict["param_groups"])
        _check_sizes(self.param_groups, saved)
        by_place = dict(
            zip(
                chain.from_iterable(group["params"] for group in saved),
                self._all_params(),
                strict=True,
            )
        )
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            param = by_place.get(key)
            state[key if param is None else param] = (
                deepcopy(value) if param is None else _loaded(param, value, self.counters)
            )
        groups = []
        for group, new in zip(self.param_groups, saved, strict=True):
            new["params"] = group["params"]
            if "param_names" in group:
                new.setdefault("param_names", group["param_names"])
            groups.append(ParamGroup({**self.defaults, **new}, self.host_numbers, self.switches))
        self.__setstate__({"state": state, "param_groups": groups})
        epoch.bump()
        for hook in self._hooks["load_state_dict_post"].values():
            hook(self)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "defaults": self.defaults,
            "state": self.state,
            "param_groups": self.param_groups,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if "_hooks" not in self.__dict__:
            self._set_up()

    # --- hooks -----------------------------------------------------------------------------

    def _register(self, kind: str, hook: Callable[..., Any], first: bool) -> RemovableHandle:
        hooks = self._hooks[kind]
        handle = RemovableHandle(hooks, noticed=True)
        epoch.bump()
        hooks[handle.id] = hook
        if first:
            hooks.move_to_end(handle.id, last=False)
        return handle

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step; it may return new ones."""
        return self._register("step_pre", hook, first=False)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return self._register("step_post", hook, first=False)

    def register_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer)` before `state_dict()`."""
        return self._register("state_dict_pre", hook, prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` after `state_dict()`; it may return another one."""
        return self._register("state_dict_post", hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` before loading; it may return another one."""
        return self._register("load_state_dict_pre", hook, prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer)` after loading."""
        return self._register("load_state_dict_post", hook, prepend)

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for index, group in enumerate(self.param_groups):
            text += f"\nParameter Group {index}\n"
            for key in sorted(group):
                text += f"    {key}: {group[key]}\n" if key != "params" else ""
        return text + ")"


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """`step` between its hooks; what it is called with is looked at for stale parameters."""

    @wraps(step)
    def hooked(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        for hook in list(self._hooks["step_pre"].values()):
            replaced = hook(self, (self, *args), kwargs)
            if replaced is not None:
                (_, *args), kwargs = replaced
        result = step(self, *args, **kwargs)
        self._watch.stepped()
        self._opt_called = True
        for hook in list(self._hooks["step_post"].values()):
            hook(self, (self, *args), kwargs)
        return result

    return hooked


def _fill_with_zeros(param: Tensor) -> None:
    grad: Any = gradient_of(param)
    if grad is None:
        return
    if grad.requires_grad:
        param.grad = grad = grad.detach()
    with no_grad():
        grad.zero_()


def run_closure(closure: Callable[[], Any] | None) -> Any:
    """The loss that a closure computes, with gradients recorded."""
    if closure is None:
        return None
    with enable_grad():
        return closure()


# --- checks and conversions -----------------------------------------------------------------


def _as_list(params: Any) -> list[Any]:
    if isinstance(params, Tensor):
        return [params]
    if isinstance(params, (set, frozenset)):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but the ordering "
            "of tensors in sets will change between runs. Fix: use a list instead"
        )
    return list(params)


def _check_param(param: Any) -> None:
    if not isinstance(param, Tensor):
        raise TypeError(
            f"optimizer can only optimize Tensors, but one of the params is {type(param).__name__}"
        )
    if not (param.is_leaf or param.retains_grad):
        raise ConfigError(
            f"[optimizer] can't optimize a non-leaf Tensor: {tuple(param.shape)}, made by "
            f"{param.grad_fn}; gradients end in leaves. Fix: give the tensor it was computed from, "
            "or detach() it and switch requires_grad on again"
        )


def _check_sizes(groups: list[dict[str, Any]], saved: list[dict[str, Any]]) -> None:
    if len(groups) != len(saved):
        raise ConfigError(
            f"[load_state_dict] loaded state dict has a different number of parameter groups: "
            f"{len(saved)}, the optimizer has {len(groups)}"
        )
    for index, (group, new) in enumerate(zip(groups, saved, strict=True)):
        if len(group["params"]) != len(new["params"]):
            raise ConfigError(
                "[load_state_dict] loaded state dict contains a parameter group that doesn't match "
                f"the size of optimizer's group: group {index} has {len(new['params'])} parameters "
                f"there, {len(group['params'])} here. Fix: build the same model first"
            )


def _loaded(param: Tensor, value: Any, counters: tuple[str, ...], key: Any = None) -> Any:
    """A copy of a value of a state dict, tensors in the dtype of their parameter.

    Counters keep theirs. PyTorch's tensors become Narae's.
    """
    if isinstance(value, dict):
        return {name: _loaded(param, item, counters, name) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_loaded(param, item, counters) for item in value)
    if not isinstance(value, Tensor) and not hasattr(value, "__array__"):
        return deepcopy(value)
    array = value._array if isinstance(value, Tensor) else np.asarray(value)
    dtype = array.dtype if key in counters else param._value.dtype
    return wrap(np.array(array, dtype=dtype, order="C"))
