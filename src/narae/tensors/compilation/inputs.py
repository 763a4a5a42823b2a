"""The arrays that a plan runs on, kept from call to call: only what changed is looked at."""

import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from narae.base.dtypes import FLOAT64
from narae.base.errors import TraceError, explain
from narae.ir import Value
from narae.tensors.tensor import Tensor
from narae.tensors.tracing import HostAction

from .tracer import Traced

Array = np.ndarray[Any, Any]
Store = Callable[[Any], None]


class Inputs:
    """Where each input of a program comes from, and the arrays of the last call.

    * A tensor that the step captured keeps its array as a rule: one look tells. So does a gradient
      that the step adds to.
    * Arguments are taken as they are: a plan is chosen by their shapes and dtypes.
    * Numbers of the host are written into one block of float64, of which the inputs are views.
    """

    def __init__(self, traced: Traced, name: str) -> None:
        self._values, self._name = traced.program.inputs, name
        self._arrays: list[Any] = [None] * len(self._values)
        self._written = {place for _, place in traced.updates}
        sources = list(enumerate(traced.sources))
        self._states = [(place, where) for place, (kind, where) in sources if kind == "state"]
        self._grads = [(place, where) for place, (kind, where) in sources if kind == "grad"]
        self._arguments = [(place, where) for place, (kind, where) in sources if kind == "argument"]
        self._known: list[tuple[Tensor, Array]] = []
        self._sure = False  # whether the arrays of captured tensors were checked
        self._roots: dict[int, list[int]] = {}
        self._actions = self._prepared(traced.actions)
        self._undone = [action.undo for action in traced.actions if action.undo is not None]
        others = [action.owner for action in traced.actions if action.undo is None]
        self._owners = list({id(owner): owner for owner in others if owner is not None}.values())

    # --- gathering -------------------------------------------------------------------------

    def gather(self, arguments: Sequence[Tensor]) -> list[Any]:
        """Let the host do its part; the arrays for the program, in order."""
        for run, store in self._actions:
            store(run())
        if not self._same_arrays(arguments):
            self._look_again(arguments)
        arrays = self._arrays
        for place, which in self._arguments:
            arrays[place] = array = arguments[which]._array
            if place in self._written:
                self._check_writable(place)
            elif id(array if array.base is None else root_of(array)) in self._roots:
                self._check_apart(place)
        return arrays

    def _same_arrays(self, arguments: Sequence[Tensor]) -> bool:
        """Whether captured tensors have the arrays that they had at the last call."""
        for tensor, array in self._known:
            if tensor._value is not array:
                return False
        for place, grad in self._grads:
            if grad.of(arguments)._value is not self._arrays[place]:
                return False
        return self._sure

    def forget_arguments(self) -> None:
        """Do not keep a batch alive until the next call."""
        for place, _ in self._arguments:
            self._arrays[place] = None

    def _look_again(self, arguments: Sequence[Tensor]) -> None:
        """Some captured tensor has another array than at the last call."""
        self._sure = False
        self._roots = {}
        grads = [(place, grad.of(arguments)) for place, grad in self._grads]
        for place, tensor in [*self._states, *grads]:
            self._put(place, tensor._array)
            if place in self._written:
                self._check_writable(place)
                self._roots.setdefault(id(root_of(tensor._array)), []).append(place)
        for place, _ in [*self._states, *grads]:
            self._check_apart(place)
        self._known = [(tensor, self._arrays[place]) for place, tensor in self._states]
        self._sure = True

    def _put(self, place: int, array: Array) -> None:
        value = self._values[place]
        if array.shape != value.shape or array.dtype != value.dtype:
            raise TraceError(
                f"[compile] {value.name} was {value!r} when {self._name} was traced and is now "
                f"{array.dtype}{list(array.shape)}. Fix: keep shapes and dtypes of parameters"
            )
        self._arrays[place] = array

    def _check_writable(self, place: int) -> None:
        if not self._arrays[place].flags.writeable:
            raise TraceError(
                explain(
                    "compile",
                    f"the memory of {self._values[place].name} is read-only",
                    f"{self._name} writes to it",
                    "give it a copy: clone()",
                )
            )

    def _check_apart(self, place: int) -> None:
        """Refuse an input that shares memory with a captured tensor that the program writes to."""
        array = self._arrays[place]
        for other in self._roots.get(id(root_of(array)), ()):
            if other != place and np.may_share_memory(array, self._arrays[other]):
                raise shared_memory(self._values[place].name)

    # --- what the host does ----------------------------------------------------------------

    def _prepared(self, actions: Sequence[HostAction]) -> list[tuple[Callable[[], Any], Store]]:
        """Each action with what takes its numbers."""
        places = {id(value): place for place, value in enumerate(self._values)}
        numbers = [value for action in actions if _scalars(action) for value in action.inputs]
        block = np.zeros(len(numbers), np.float64)
        for position, value in enumerate(numbers):
            self._arrays[places[id(value)]] = block[position : position + 1].reshape(())
        prepared, offset = [], 0
        for action in actions:
            if _scalars(action):
                layout = struct.Struct(f"{len(action.inputs)}d")
                prepared.append((action.run, _packing(layout, block, offset)))
                offset += layout.size
            else:
                prepared.append((action.run, self._keeping([places[id(v)] for v in action.inputs])))
        return prepared

    def _keeping(self, places: Sequence[int]) -> Store:
        """Arrays such as random numbers are new at each call."""

        def keep(drawn: Sequence[Any]) -> None:
            for place, item in zip(places, drawn, strict=True):
                self._put(place, np.asarray(item, self._values[place].dtype))

        return keep

    def snapshot(self) -> list[tuple[Any, Any]]:
        """What `undo` needs to take the host's part of the coming call back."""
        for undo in self._undone:
            undo.begin()
        return [(owner, owner.host_state()) for owner in self._owners] if self._owners else []

    def undo(self, snapshots: Sequence[tuple[Any, Any]]) -> None:
        """Take back what the host did since the snapshot."""
        for undo in reversed(self._undone):
            undo.take_back()
        for owner, snapshot in snapshots:
            owner.restore_host_state(snapshot)


def root_of(array: Any) -> Any:
    """What owns the memory of an array."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return array


def shared_memory(name: str) -> TraceError:
    """The error for an input whose memory is written to under another name."""
    return TraceError(
        f"[compile] the step writes to memory that its input {name} shares; a program "
        "cannot keep both in step. Fix: use one tensor, or clone() one of them"
    )


def _scalars(action: HostAction) -> bool:
    """Whether an action gives nothing but numbers in float64."""
    return all(_is_scalar(value) for value in action.inputs)


def _is_scalar(value: Value) -> bool:
    return value.shape == () and value.dtype == FLOAT64


def _packing(layout: struct.Struct, block: Any, offset: int) -> Store:
    pack = partial(layout.pack_into, block, offset)

    def put(numbers: Sequence[float]) -> None:
        pack(*numbers)

    return put
