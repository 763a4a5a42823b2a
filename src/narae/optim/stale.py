"""The warning for an optimizer that steps in vain, because other parameters are being trained.

A typing mistake, or a notebook cell that was run again, leaves a training loop with an optimizer
of an older model: `backward()` fills the gradients of the new one, `step()` changes nothing, and
the loss never falls. No rule is broken, so nothing but a look at the whole loop can tell.

What is looked at, by the numbers that `narae.tensors.received` gives to gradients:

* since its last step, no parameter of this optimizer received a gradient, and other leaves did;
* that happens for the second time in a row;
* some of those leaves are new: their first gradient came after the last one that the parameters of
  this optimizer received (a branch of a model that is not used for a while has seen them before);
* no other optimizer that owns them has made a step since (two optimizers may take turns);
* if the parameters of this optimizer never received any gradient, nothing else is trained by
  another optimizer meanwhile (they may belong to a branch whose turn is still to come);
* nobody writes the gradients of this optimizer's parameters by hand.
"""

import weakref
from typing import Any

import numpy as np

from narae.base.errors import explain
from narae.base.notices import warn_user
from narae.tensors import Tensor, received
from narae.tensors.modes import modes

_SHOWN = 4
_watches: "weakref.WeakSet[Watch]" = weakref.WeakSet()


class StaleOptimizerWarning(UserWarning):
    """An optimizer steps, but its parameters receive no gradients, while others do."""


class Watch:
    """What one optimizer remembers in order to notice that it steps in vain."""

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = weakref.ref(optimizer)
        self.updated_at = 0
        self._looked_at = received.count()
        self._in_vain = 0
        self._given: list[Any] = []
        self._warned = False
        _watches.add(self)

    def __reduce__(self) -> Any:
        raise TypeError("a watch belongs to one living optimizer")

    def stepped(self) -> None:
        """The optimizer made a step."""
        now = received.count()
        if now != self._looked_at and not self._warned:
            mine = self._last_gradient()
            if mine > self._looked_at:
                self._in_vain = 0
            else:
                self._step_in_vain(mine)
        self._looked_at = self.updated_at = now

    def params(self) -> list[Tensor]:
        """The parameters of the optimizer; none when it is gone."""
        optimizer = self._optimizer()
        return [] if optimizer is None else optimizer._all_params()

    def _last_gradient(self) -> int:
        return max((received.number_of(param) for param in self.params()), default=0)

    def _step_in_vain(self, last_gradient: int) -> None:
        given, self._given = self._given, _gradients(self.params())
        self._in_vain += 1
        by_hand = bool(self._given) and not _same(given, self._given)
        if self._in_vain < 2 or by_hand:
            return
        others = self._trained_instead(last_gradient)
        if others:
            self._warned = True
            warn_user(self._message(others), StaleOptimizerWarning)

    def _trained_instead(self, last_gradient: int) -> list[Tensor]:
        """New leaves that received gradients since the last step, and that nobody updates."""
        served: dict[int, int] = {}
        for watch in list(_watches):
            if watch is self or not watch.updated_at:
                continue
            for param in watch.params():
                if last_gradient == 0 and received.number_of(param) > self._looked_at:
                    return []
                served[id(param)] = max(served.get(id(param), 0), watch.updated_at)
        return [
            leaf
            for leaf, first in received.first_received_after(last_gradient)
            if received.number_of(leaf) > self._looked_at and served.get(id(leaf), 0) < first
        ]

    def _message(self, others: list[Tensor]) -> str:
        optimizer: Any = self._optimizer()
        names = optimizer.param_groups[0].get("param_names")
        kind = type(optimizer).__name__
        message = explain(
            f"{kind}.step",
            f"its parameters, {_listed(self.params(), names)}, received no gradient in the last "
            f"{self._in_vain} steps, while others did: {_listed(others)}",
            "an optimizer changes only the parameters it was given, so nothing is learned",
            self._fix(others, kind),
        )
        return f"{message} (this {kind} was made at {optimizer._made_at})"

    def _fix(self, others: list[Tensor], kind: str) -> str:
        ids = {id(leaf) for leaf in others}
        for watch in list(_watches):
            if watch is self or not ids & {id(param) for param in watch.params()}:
                continue
            other: Any = watch._optimizer()
            return (
                f"another optimizer, {type(other).__name__}, was created at {other._made_at} with "
                "the parameters that do receive gradients, and it never steps: is this the "
                "variable you meant?"
            )
        return (
            f"make a new optimizer from the parameters of the model that is trained now, "
            f"optimizer = narae.optim.{kind}(model.parameters(), …)"
        )


def _gradients(params: list[Tensor]) -> list[Any]:
    """The gradients that are there and not zero, with their versions."""
    if modes.trace is not None:
        return []
    found = []
    for param in params:
        grad = param._grad
        if isinstance(grad, Tensor) and np.any(grad._array != 0):
            found.append((grad, grad._version))
    return found


def _same(first: list[Any], second: list[Any]) -> bool:
    return [(id(grad), version) for grad, version in first] == [
        (id(grad), version) for grad, version in second
    ]


def _listed(tensors: list[Tensor], names: list[str] | None = None) -> str:
    """Tensors by name if they have one, and by shape; a few of them.

    >>> import narae
    >>> _listed([narae.ones(2, 3), narae.ones(2)], ["weight", "bias"])
    'weight (2, 3), bias (2,)'
    """
    words = []
    for index, tensor in enumerate(tensors[:_SHOWN]):
        name = names[index] if names and index < len(names) else type(tensor).__name__
        words.append(f"{name} {tuple(tensor.shape)}")
    rest = len(tensors) - _SHOWN
    return ", ".join(words) + (f" and {rest} more" if rest > 0 else "")
