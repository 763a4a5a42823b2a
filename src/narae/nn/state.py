"""The `state_dict` of a module: taking it, and loading one with everything checked first."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from narae.base.errors import ShapeError
from narae.tensors import Parameter, Tensor, no_grad
from narae.tensors.views import check_writable, write

if TYPE_CHECKING:
    from .module import Module

EXTRA = "_extra_state"


class _Keys(NamedTuple):
    missing_keys: list[str]
    unexpected_keys: list[str]


class IncompatibleKeys(_Keys):
    """What `load_state_dict` returns: the keys that only one side has."""

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class StateHooks:
    """Functions called around taking and loading the state of one module."""

    def __init__(self) -> None:
        self.save_before: dict[int, Any] = {}
        self.save_after: dict[int, Any] = {}
        self.load_before: dict[int, Any] = {}
        self.load_after: dict[int, Any] = {}


def own_state(module: "Module") -> Iterator[tuple[str, Tensor]]:
    """The parameters and persistent buffers that belong to the module itself."""
    for name, parameter in module._parameters.items():
        if parameter is not None:
            yield name, parameter
    for name, buffer in module._buffers.items():
        if buffer is not None and name not in module._non_persistent_buffers_set:
            yield name, buffer


def save(module: "Module", destination: Any, prefix: str, keep_vars: bool) -> Any:
    """Fill `destination` with the state of a module and its children."""
    hooks = module._state_hooks
    if hasattr(destination, "_metadata"):
        destination._metadata[prefix[:-1]] = {"version": module._version}
    for hook, _ in list(hooks.save_before.values()) if hooks else ():
        hook(module, prefix, keep_vars)
    module._save_to_state_dict(destination, prefix, keep_vars)
    for name, child in module._modules.items():
        if child is not None:
            child.state_dict(
                destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars
            )
    for hook, options in list(hooks.save_after.values()) if hooks else ():
        replaced = hook(module, destination, prefix, {"version": module._version})
        if replaced is not None and not options["replaces"]:
            raise TypeError("state_dict post-hook must return None: change the state in place")
        destination = destination if replaced is None else replaced
    return destination


class Loading:
    """One `load_state_dict`: look at everything, then change everything or nothing."""

    def __init__(self, state: Mapping[str, Any], strict: bool, assign: bool) -> None:
        self.metadata = getattr(state, "_metadata", None) or {}
        self.state: OrderedDict[str, Any] = OrderedDict(state)
        self.strict, self.assign = strict, assign
        self.missing: list[str] = []
        self.unexpected: list[str] = []
        self.errors: list[str] = []
        self.changes: list[Callable[[], None]] = []

    def visit(self, module: "Module", prefix: str = "") -> None:
        """Check a module and its children, and note what has to be done."""
        metadata = dict(self.metadata.get(prefix[:-1], {}))
        self._run_hooks(module, prefix, metadata)
        module._prepare_loading(self.state, prefix, metadata)
        own = dict(own_state(module))
        for name, target in own.items():
            self._plan(module, name, prefix + name, target)
        self._plan_extra(module, prefix + EXTRA)
        self._find_unexpected(module, prefix, own)
        for name, child in module._modules.items():
            if child is not None:
                self.visit(child, f"{prefix}{name}.")
        self._run_post_hooks(module)

    def _run_hooks(self, module: "Module", prefix: str, metadata: dict[str, Any]) -> None:
        hooks = module._state_hooks
        lists = (self.missing, self.unexpected, self.errors)
        for hook, _ in list(hooks.load_before.values()) if hooks else ():
            hook(module, self.state, prefix, metadata, self.strict, *lists)

    def _run_post_hooks(self, module: "Module") -> None:
        hooks = module._state_hooks
        for hook, _ in list(hooks.load_after.values()) if hooks else ():
            if hook(module, IncompatibleKeys(self.missing, self.unexpected)) is not None:
                raise TypeError(
                    "a load_state_dict post hook must return None: change lists in place"
                )

    def _plan(self, module: "Module", name: str, key: str, target: Tensor) -> None:
        if key not in self.state:
            self.missing.append(key)
            return
        source = self.state[key]
        if not isinstance(source, Tensor):
            self.errors.append(
                f'While copying the parameter named "{key}", expected narae.Tensor from checkpoint '
                f"but received {type(source)}"
            )
            return
        if target.ndim == 0 and tuple(source.shape) == (1,):
            source = source[0]  # files of PyTorch 0.3
        if source.shape != target.shape:
            self.errors.append(
                f"size mismatch for {key}: copying a param with shape {source.shape} from "
                f"checkpoint, the shape in current model is {target.shape}."
            )
            return
        if self.assign:
            self.changes.append(lambda: _assign(module, name, target, source))
        elif source is not target:
            self.changes.append(lambda: _copy(target, source))

    def _plan_extra(self, module: "Module", key: str) -> None:
        from .module import Module

        if type(module).set_extra_state is not Module.set_extra_state:
            if key in self.state:
                self.changes.append(lambda: module.set_extra_state(self.state[key]))
            else:
                self.missing.append(key)
        elif key in self.state:
            self.unexpected.append(key)

    def _find_unexpected(self, module: "Module", prefix: str, own: dict[str, Tensor]) -> None:
        for key in self.state:
            if not key.startswith(prefix) or key == prefix + EXTRA:
                continue
            first, _, rest = key[len(prefix) :].partition(".")
            known = module._modules.get(first) is not None if rest else first in own
            if not known:
                self.unexpected.append(key)

    def finish(self, name: str) -> IncompatibleKeys:
        """Raise one error for all that does not fit, or make the changes."""
        messages = list(self.errors)
        if self.strict:
            if self.unexpected:
                messages.insert(0, f"Unexpected key(s) in state_dict: {_quoted(self.unexpected)}. ")
            if self.missing:
                messages.insert(0, f"Missing key(s) in state_dict: {_quoted(self.missing)}. ")
        if messages:
            lines = "\n\t".join([*messages, self._advice()])
            raise ShapeError(f"Error(s) in loading state_dict for {name}:\n\t{lines}")
        with no_grad():
            for change in self.changes:
                change()
        return IncompatibleKeys(self.missing, self.unexpected)

    def _advice(self) -> str:
        fix = "build the model with the sizes that the state_dict was saved with"
        if not self.errors:
            fix = _renaming(self.missing, self.unexpected) or (
                "build the same model, or load with strict=False to skip these keys"
            )
        return (
            f"Every tensor needs its counterpart of the same shape; nothing was loaded. Fix: {fix}"
        )


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{key}"' for key in keys)


def _renaming(missing: list[str], unexpected: list[str]) -> str:
    """The advice for the usual accident: a prefix that only one side has."""
    if not missing or not unexpected:
        return ""
    for longer, shorter, what in (
        (unexpected, missing, "remove the prefix {!r} from the keys"),
        (missing, unexpected, "add the prefix {!r} to the keys"),
    ):
        if longer[0].endswith("." + shorter[0]):
            prefix = longer[0][: -len(shorter[0])]
            if {prefix + key for key in shorter} == set(longer):
                return what.format(prefix)
    return ""


def _copy(target: Tensor, source: Tensor) -> None:
    check_writable(target, "load_state_dict")
    write(target, source, "load_state_dict")


def _assign(module: "Module", name: str, target: Tensor, source: Tensor) -> None:
    if isinstance(target, Parameter):
        if not isinstance(source, Parameter):
            source = Parameter(source, requires_grad=target.requires_grad)
        source.requires_grad_(target.requires_grad)
    setattr(module, name, source)
