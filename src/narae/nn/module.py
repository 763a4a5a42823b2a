"""`Module`: the base of every layer and model, with PyTorch's face.

A module keeps three registries: parameters (trained), buffers (state that is not trained) and
modules (children). Assigning a `Parameter`, a `Module` or a `Buffer` as an attribute fills them.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, TypeVar

from narae.base.dtypes import DType, as_numpy
from narae.primitives import cast
from narae.tensors import Parameter, Tensor, epoch
from narae.tensors.devices import Device, check_device
from narae.tensors.eager import apply
from narae.tensors.modes import modes

from . import hooks as hooks_of
from . import place, state
from .parameter import Buffer
from .text import block

Kind = TypeVar("Kind")
_PLAIN = (bool, int, float, str, type(None))


class Module:
    """The base class of layers and models: define `__init__` and `forward`.

    >>> import narae
    >>> class Double(narae.nn.Module):
    ...     def forward(self, x):
    ...         return 2 * x
    >>> Double()(narae.ones(2))
    tensor([2., 2.])
    """

    training: bool
    _version: int = 1
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, "Module | None"]
    _non_persistent_buffers_set: set[str]
    # Most modules have no hooks; these become objects with the first one.
    _hooks: hooks_of.Hooks | None = None
    _state_hooks: state.StateHooks | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args or kwargs:
            extra = f"'{next(iter(kwargs))}'" if kwargs else f"{len(args)} positional arguments"
            raise TypeError(
                f"{type(self).__name__}.__init__() got an unexpected keyword argument {extra}"
                if kwargs
                else f"{type(self).__name__}.__init__() takes 1 positional argument but "
                f"{len(args) + 1} were given"
            )
        own = self.__dict__
        own["training"] = True
        own["_parameters"], own["_buffers"], own["_modules"] = {}, {}, {}
        own["_non_persistent_buffers_set"] = set()

    # --- calling ---------------------------------------------------------------------------

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass defines it."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._hooks is None and not modes.anomaly:
                return self.forward(*args, **kwargs)
            return self._call_watched(args, kwargs)
        except Exception as error:
            place.note(error, self)
            raise

    def _call_watched(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call with hooks, or in anomaly mode, which wants to know which modules are running."""
        with place.entered(self):
            if self._hooks is None:
                return self.forward(*args, **kwargs)
            return hooks_of.call_with_hooks(self, args, kwargs)

    # --- registries ------------------------------------------------------------------------

    def _registry(self, kind: str, what: str) -> dict[str, Any]:
        registry = self.__dict__.get(kind)
        if registry is None:
            raise AttributeError(
                f"cannot assign {what} before Module.__init__() call. Fix: call "
                "super().__init__() first"
            )
        return registry

    def _check_name(self, name: Any, kind: str, what: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {type(name).__name__}")
        if "." in name:
            raise KeyError(f'{what} name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError(f'{what} name can\'t be empty string ""')
        if name not in self.__dict__[kind] and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None keeps the name free for one."""
        registry = self._registry("_parameters", "parameter")
        self._check_name(name, "_parameters", "parameter")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type(param).__name__}' object to parameter '{name}' "
                "(narae.nn.Parameter or None required)"
            )
        if param is not None and param._node is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be "
                f"created explicitly. To express '{name}' as a function of another Tensor, compute "
                "the value in the forward() method."
            )
        registry[name] = param
        epoch.bump()

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a buffer; a persistent one is part of the `state_dict`."""
        registry = self._registry("_buffers", "buffer")
        self._check_name(name, "_buffers", "buffer")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' "
                "(narae Tensor or None required)"
            )
        registry[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)
        epoch.bump()

    def add_module(self, name: str, module: "Module | None") -> None:
        """Add a child."""
        registry = self._registry("_modules", "module")
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._check_name(name, "_modules", "module")
        registry[name] = module
        epoch.bump()

    register_module = add_module

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if isinstance(value, Parameter):
            self._registry("_parameters", "parameters")
            self._forget(name, "_parameters")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._registry("_modules", "module")
            self._forget(name, "_modules")
            self.add_module(name, value)
        elif isinstance(value, Tensor) and self._takes_buffer(name, value):
            persistent = name not in own["_non_persistent_buffers_set"]
            if isinstance(value, Buffer):
                persistent = value.__dict__["persistent"]
            self._forget(name, "_buffers")
            self.register_buffer(name, value, persistent)
        else:
            self._set_plain(name, value)

    def _takes_buffer(self, name: str, value: Tensor) -> bool:
        if isinstance(value, Buffer):
            self._registry("_buffers", "buffer")
            return True
        return name in self.__dict__.get("_buffers", ())

    def _set_plain(self, name: str, value: Any) -> None:
        own = self.__dict__
        for kind, wanted in (
            ("_parameters", "parameter '{}' (narae.nn.Parameter or None expected)"),
            ("_modules", "child module '{}' (narae.nn.Module or None expected)"),
            ("_buffers", "buffer '{}' (narae.Tensor or None expected)"),
        ):
            registry = own.get(kind)
            if registry is not None and name in registry:
                if value is not None:
                    raise TypeError(
                        f"cannot assign '{type(value).__name__}' as {wanted.format(name)}"
                    )
                registry[name] = None
                epoch.bump()
                return
        before = own.get(name, own)
        if _differs(before, value):
            if name == "training" and type(before) is type(value) is bool:
                epoch.flip(self)  # as before, once it is switched back
            else:
                epoch.bump()
        object.__setattr__(self, name, value)

    def _forget(self, name: str, keep: str) -> None:
        """Take a name out of every place but one registry."""
        own = self.__dict__
        own.pop(name, None)
        for kind in ("_parameters", "_buffers", "_modules"):
            if kind != keep:
                own[kind].pop(name, None)
        if keep != "_buffers":
            own["_non_persistent_buffers_set"].discard(name)

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for kind in ("_parameters", "_buffers", "_modules"):
            registry = own.get(kind)
            if registry is not None and name in registry:
                return registry[name]
        if name in own.get("_derived", ()):
            return own["_derived"][name](self)  # see utils/derived.py
        hint = "" if "_modules" in own else ". Fix: call super().__init__() first"
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'{hint}")

    def __delattr__(self, name: str) -> None:
        for kind in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__[kind]:
                del self.__dict__[kind][name]
                self._non_persistent_buffers_set.discard(name)
                break
        else:
            object.__delattr__(self, name)
        epoch.bump()

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[:1].isdigit())

    # --- walking ---------------------------------------------------------------------------

    def _named_members(
        self,
        members: Callable[["Module"], Any],
        prefix: str,
        recurse: bool,
        remove_duplicate: bool,
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, self)]
        )
        for path, module in modules:
            for name, member in members(module).items():
                if member is None or (remove_duplicate and id(member) in seen):
                    continue
                seen.add(id(member))
                yield (f"{path}.{name}" if path else name), member

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their paths."""
        yield from self._named_members(lambda m: m._parameters, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their paths."""
        yield from self._named_members(lambda m: m._buffers, prefix, recurse, remove_duplicate)

    def children(self) -> Iterator["Module"]:
        """The direct children."""
        for _, module in self.named_children():
            yield module

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """The direct children with their names."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def modules(self, remove_duplicate: bool = True) -> Iterator["Module"]:
        """The module itself and everything inside it."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_modules(
        self, memo: set["Module"] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, "Module"]]:
        """The module itself and everything inside it, with paths."""
        memo = set() if memo is None else memo
        if remove_duplicate and self in memo:
            return
        memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, path, remove_duplicate)

    def get_submodule(self, target: str) -> "Module":
        """The module at a path such as "features.3"."""
        module: Any = self
        for name in target.split(".") if target else ():
            owner = module._get_name()
            if not hasattr(module, name):
                raise AttributeError(f"{owner} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: "Module") -> None:
        """Put another module at a path."""
        path, _, name = target.rpartition(".")
        if not name:
            raise ValueError("Cannot set the submodule without a target name!")
        setattr(self.get_submodule(path), name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a path such as "features.3.weight"."""
        return self._get_member(target, Parameter, "an nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a path."""
        path, _, name = target.rpartition(".")
        found = self._get_member(target, Tensor, "a buffer")
        if name not in self.get_submodule(path)._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return found

    def _get_member(self, target: str, kind: type[Kind], what: str) -> Kind:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        found = getattr(module, name)
        if not isinstance(found, kind):
            raise AttributeError(f"`{name}` is not {what}")
        return found

    # --- changing --------------------------------------------------------------------------

    def apply(self, fn: Callable[["Module"], Any]) -> Self:
        """Call `fn(module)` for every module inside, children first, then for itself."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Switch to training: dropout drops, batch normalization measures."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Switch to evaluation."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze (False) or unfreeze all parameters."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        epoch.bump()
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zeros."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None  # even if it is None already: a trace must see it
            elif parameter._grad is not None:
                parameter.grad = parameter._grad.detach().zero_()

    def _apply(self, fn: Callable[[Tensor], Tensor]) -> Self:
        """Replace the numbers of all parameters and buffers; optimizers keep their parameters."""
        for tensor in [*self.parameters(), *self.buffers()]:
            _replace(tensor, fn(tensor)._value)
            if tensor._grad is not None:
                tensor._grad = fn(tensor._grad)
        epoch.bump()
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Convert parameters and buffers: `to(dtype)`, `to(device)`, `to(device, dtype)`, `to(x)`.

        Only floating point tensors change their dtype.
        """
        dtype = kwargs.get("dtype")
        check_device(kwargs.get("device"))
        for argument in args:
            if isinstance(argument, DType):
                dtype = argument
            elif isinstance(argument, Tensor):
                dtype = argument.dtype
            elif isinstance(argument, (str, Device)):
                check_device(argument)
        if dtype is None:
            return self
        if not dtype.is_floating_point:
            raise TypeError(
                f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}"
            )
        return self._apply(lambda x: _cast(x, dtype) if x.is_floating_point() else x)

    def type(self, dst_type: DType) -> Self:
        """Convert all parameters and buffers to a dtype."""
        return self._apply(lambda x: _cast(x, dst_type))

    def float(self) -> Self:
        """Convert floating point parameters and buffers to float32."""
        from narae.base.dtypes import float32

        return self.to(float32)

    def double(self) -> Self:
        """Convert floating point parameters and buffers to float64."""
        from narae.base.dtypes import float64

        return self.to(float64)

    def half(self) -> Self:
        """Convert floating point parameters and buffers to float16."""
        from narae.base.dtypes import float16

        return self.to(float16)

    def bfloat16(self) -> Self:
        """Convert floating point parameters and buffers to bfloat16."""
        from narae.base.dtypes import bfloat16

        return self.to(bfloat16)

    def cpu(self) -> Self:
        """Move to the CPU."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Self:
        """Move to a CUDA device."""
        return self.to("cuda" if device is None else f"cuda:{device}")

    # --- hooks -----------------------------------------------------------------------------

    def _own_hooks(self) -> hooks_of.Hooks:
        if self._hooks is None:
            self._hooks = hooks_of.Hooks()
        epoch.bump()
        return self._hooks

    def _own_state_hooks(self) -> state.StateHooks:
        if self._state_hooks is None:
            self._state_hooks = state.StateHooks()
        return self._state_hooks

    def register_forward_pre_hook(
        self, hook: hooks_of.Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> Any:
        """Call `hook(module, args)` before `forward`; it may return other arguments."""
        return hooks_of.add(self._own_hooks().before, hook, prepend, with_kwargs=with_kwargs)

    def register_forward_hook(
        self,
        hook: hooks_of.Hook,
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> Any:
        """Call `hook(module, args, output)` after `forward`; it may return another output."""
        options = {"with_kwargs": with_kwargs, "always_call": always_call}
        return hooks_of.add(self._own_hooks().after, hook, prepend, **options)

    def register_full_backward_pre_hook(self, hook: hooks_of.Hook, prepend: bool = False) -> Any:
        """Call `hook(module, grad_output)` before the backward pass of the module."""
        return hooks_of.add(self._own_hooks().backward_before, hook, prepend)

    def register_full_backward_hook(self, hook: hooks_of.Hook, prepend: bool = False) -> Any:
        """Call `hook(module, grad_input, grad_output)` after the backward pass of the module."""
        return hooks_of.add(self._own_hooks().backward, hook, prepend)

    def register_state_dict_pre_hook(self, hook: hooks_of.Hook) -> Any:
        """Call `hook(module, prefix, keep_vars)` before the state is taken."""
        return hooks_of.add(self._own_state_hooks().save_before, hook)

    def register_state_dict_post_hook(self, hook: hooks_of.Hook) -> Any:
        """Call `hook(module, state_dict, prefix, local_metadata)` after the state is taken."""
        return hooks_of.add(self._own_state_hooks().save_after, hook, replaces=False)

    def _register_state_dict_hook(self, hook: hooks_of.Hook) -> Any:
        """Like `register_state_dict_post_hook`, for hooks that return another state."""
        return hooks_of.add(self._own_state_hooks().save_after, hook, replaces=True)

    def register_load_state_dict_pre_hook(self, hook: hooks_of.Hook) -> Any:
        """Call `hook(module, state_dict, prefix, metadata, strict, missing, …)` first."""
        return hooks_of.add(self._own_state_hooks().load_before, hook)

    def register_load_state_dict_post_hook(self, hook: hooks_of.Hook) -> Any:
        """Call `hook(module, incompatible_keys)` when keys have been compared."""
        return hooks_of.add(self._own_state_hooks().load_after, hook)

    # --- state -----------------------------------------------------------------------------

    def state_dict(
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> Any:
        """Parameters and persistent buffers by path, sharing storage with the module."""
        given = dict(zip(("destination", "prefix", "keep_vars"), args, strict=False))
        destination = given.get("destination", destination)
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        prefix, keep_vars = given.get("prefix", prefix), given.get("keep_vars", keep_vars)
        return state.save(self, destination, prefix, keep_vars)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, tensor in state.own_state(self):
            destination[prefix + name] = tensor if keep_vars else tensor.detach()
        if type(self).get_extra_state is not Module.get_extra_state:
            destination[prefix + state.EXTRA] = self.get_extra_state()

    def _prepare_loading(self, state_dict: Any, prefix: str, metadata: dict[str, Any]) -> None:
        """Adapt the state of an older version of this module, in place."""

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> state.IncompatibleKeys:
        """Copy a state into parameters and buffers.

        Args:
            state_dict: what `state_dict()` returned.
            strict: keys must match exactly.
            assign: take the tensors themselves instead of copying their numbers.

        Raises:
            RuntimeError: naming every missing or unexpected key and every size that differs;
                nothing is changed then.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        loading = state.Loading(state_dict, strict, assign)
        loading.visit(self)
        return loading.finish(type(self).__name__)

    def get_extra_state(self) -> Any:
        """What else belongs to the state; subclasses may define it."""
        raise NotImplementedError("a module with extra state defines get_extra_state")

    def set_extra_state(self, state: Any) -> None:
        """Take extra state back; subclasses that define `get_extra_state` define it."""
        raise NotImplementedError("a module with extra state defines set_extra_state")

    # --- text ------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands between the parentheses of the layer's text."""
        return ""

    def __repr__(self) -> str:
        children = [f"({name}): {module!r}" for name, module in self._modules.items()]
        return block(self._get_name(), self.extra_repr(), children)


def _differs(before: Any, after: Any) -> bool:
    """Whether an attribute write changes something; only plain values are compared."""
    if before is after:
        return False
    plain = type(before) is type(after) and isinstance(after, _PLAIN)
    return not (plain and before == after)


def _cast(x: Tensor, dtype: DType) -> Tensor:
    if x.dtype is dtype:
        return x
    return apply(cast, x.detach(), dtype=as_numpy(dtype))


def _replace(tensor: Tensor, value: Any) -> None:
    if value is not tensor._value:
        tensor._log()
        tensor._value = value
        tensor._cell = None
