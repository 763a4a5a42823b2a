"""Optimizers that are a rule for one parameter; what surrounds the rule is here, once.

A step treats together the parameters of a group that have taken part in the same steps (a cohort):
they have the same step count, so one computation of numbers on the host serves all of them. In a
step traced by `narae.compile`, those numbers are inputs of the program.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from narae.base import dtypes
from narae.base.errors import GraphError, NotSupportedError, explain
from narae.tensors import Tensor, epoch, no_grad
from narae.tensors.host import gradient_of, host_scalars
from narae.tensors.modes import modes
from narae.tensors.tensor import wrap

from .optimizer import Optimizer, run_closure

Shape = tuple[int, ...]
Cohort = list[tuple[Tensor, Tensor]]  # parameters with their gradients


class UpdateRule(Optimizer):
    """Base of the optimizers here. A rule says what it remembers and what a step does:

    * `counters`: names of single numbers kept on the host for each parameter, such as the step.
    * `numbers`: names of the numbers that an update needs, in the order `advance` returns them.
    * `buffers(group)`: the tensors kept for each parameter, each with its first value
      (`buffers_of(p, group)` where they differ from parameter to parameter).
    * `advance(group, host)`: moves the counters on by a step, computes the numbers in float64.
    * `update(p, grad, state, group, **numbers)`: changes p and the buffers, in place.
    """

    numbers: ClassVar[tuple[str, ...]] = ()
    decoupled: ClassVar[bool] = False  # weight decay shrinks the parameter itself

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if defaults.get("differentiable"):
            raise NotSupportedError(
                explain(
                    type(self).__name__,
                    "differentiable=True was given",
                    "steps are not recorded for gradients",
                    "write the update as tensor expressions where you need its derivative",
                )
            )
        super().__init__(params, defaults)

    def _set_up(self) -> None:
        super()._set_up()
        self._forget_cohorts()

    def _forget_cohorts(self) -> None:
        self._cohort_of: dict[int, int] = {}
        self._cohort_sizes: dict[int, int] = {0: 0}

    # --- the rule --------------------------------------------------------------------------

    def first_counters(self, group: dict[str, Any]) -> dict[str, float]:
        """The counters before the first step."""
        return dict.fromkeys(self.counters, 0.0)

    def buffers(self, group: dict[str, Any]) -> dict[str, float]:
        """Names of the tensors that are kept for each parameter, and what fills them at first."""
        return {}

    def buffers_of(self, p: Tensor, group: dict[str, Any]) -> dict[str, tuple[Shape, float]]:
        """The same for one parameter, with their shapes: its own, unless a rule says otherwise."""
        shape = p._value.shape
        return {name: (shape, filling) for name, filling in self.buffers(group).items()}

    def advance(self, group: dict[str, Any], host: dict[str, float]) -> Sequence[float]:
        """Move the counters in `host` on by one step; the numbers for that step."""
        raise NotImplementedError(f"{type(self).__name__} must say which numbers a step needs")

    def update(
        self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], **numbers: Any
    ) -> None:
        """Change one parameter and its buffers, in place."""
        raise NotImplementedError(f"{type(self).__name__} must say how it updates a parameter")

    # --- a step ----------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters once, by their gradients.

        Args:
            closure: computes the loss again and returns it; called first, if given.
        """
        loss = run_closure(closure)
        with no_grad():
            if modes.trace is not None:
                self.traced_state()
            for group in self.param_groups:
                for cohort in self._cohorts(group):
                    self._update_cohort(group, cohort)
        return loss

    def _update_cohort(self, group: dict[str, Any], cohort: Cohort) -> None:
        compute = Advance(self, group, [p for p, _ in cohort])
        values = host_scalars(self, compute, self.numbers)
        numbers = dict(zip(self.numbers, values, strict=True))
        decay = {name: numbers.pop(name, None) for name in ("weight_decay", "shrink")}
        for p, grad in cohort:
            grad = self.regularized(p, grad, group, **decay)
            self.update(p, grad, self.state[p], group, **numbers)

    def regularized(
        self, p: Tensor, grad: Tensor, group: dict[str, Any], weight_decay: Any, shrink: Any
    ) -> Tensor:
        """What a rule starts from: the gradient of what is minimised, with weight decay.

        maximize:      g ← −g
        weight decay:  g ← g + λp
        decoupled:     p ← (1 − lr·λ)p   (Loshchilov & Hutter 2019, "Decoupled Weight Decay
                       Regularization", algorithm 2, line 12)
        """
        if group.get("maximize", False):
            grad = -grad
        if group.get("weight_decay", 0) == 0:
            return grad
        if group.get("decoupled_weight_decay", self.decoupled):
            p.mul_(shrink)
            return grad
        return grad + weight_decay * p

    # --- cohorts ---------------------------------------------------------------------------

    def _cohorts(self, group: dict[str, Any]) -> list[Cohort]:
        """The parameters that have a gradient, sorted into those with equal counters."""
        found: dict[Any, Cohort] = {}
        for p in group["params"]:
            grad = gradient_of(p)
            if grad is not None:
                self._ready(p, group)
                key = (self._cohort_of.get(id(p), 0), *self._host_of(p).values())
                found.setdefault(key, []).append((p, grad))
        for (number, *_), cohort in found.items():
            self._settle(number, cohort)
        return list(found.values())

    def _settle(self, number: int, cohort: Cohort) -> None:
        """Parameters that stepped without the rest of their cohort are one of their own now.

        A compiled step that counts on equal counters of the whole has to be traced again.
        """
        if self._cohort_sizes[number] == len(cohort):
            return
        new = len(self._cohort_sizes)
        for p, _ in cohort:
            self._cohort_of[id(p)] = new
        self._cohort_sizes[new] = len(cohort)
        if number != 0:
            self._cohort_sizes[number] -= len(cohort)
            epoch.bump()

    # --- what is remembered ----------------------------------------------------------------

    def traced_state(self) -> list[Tensor]:
        """All state tensors that steps read and write; those still missing are made.

        A compiled step needs them before it is traced. Counters are not among them: they stay on
        the host.
        """
        found = []
        for group in self.param_groups:
            for p in group["params"]:
                if p.requires_grad:
                    self._ready(p, group)
                    found += [self.state[p][name] for name in self.buffers_of(p, group)]
        return found

    def _ready(self, p: Tensor, group: dict[str, Any]) -> None:
        """Make what the rule keeps for a parameter, as far as it is missing."""
        state = self.state[p]
        for name in self.counters:
            if name not in state:
                first = self.first_counters(group)[name]
                state[name] = wrap(np.asarray(first, self._counter_dtype()))
        for name, (shape, filling) in self.buffers_of(p, group).items():
            if state.get(name) is None:
                state[name] = wrap(np.full(shape, filling, p._value.dtype))
                self._made(p, name)

    def _counter_dtype(self) -> Any:
        """float32, or float64 where that is the default, as PyTorch keeps its steps."""
        wide = dtypes.as_numpy(dtypes.default_dtype()) == np.float64
        return np.float64 if wide else np.float32

    def _made(self, p: Tensor, name: str) -> None:
        """A buffer was made."""

    def _host_of(self, p: Tensor) -> dict[str, float]:
        state = self.state[p]
        return {name: float(state[name]._array) for name in self.counters}

    def _shared_host(self, params: list[Tensor]) -> dict[str, float]:
        """The counters of parameters that have the same ones.

        Raises:
            RuntimeError: when they have not.
        """
        state, host = self.state, {}
        for name in self.counters:
            numbers = [state[p][name]._value.item() for p in params]
            host[name] = first = numbers[0]
            if numbers.count(first) != len(numbers):
                odd = next(p for p, number in zip(params, numbers, strict=True) if number != first)
                raise GraphError(unequal_message(self, odd))
        return host

    def _store_host(self, params: list[Tensor], host: dict[str, float]) -> None:
        state = self.state
        for name in self.counters:
            number = host[name]
            for p in params:
                state[p][name]._value[()] = number

    def host_state(self) -> dict[Tensor, dict[str, float]]:
        """A snapshot of all counters."""
        return {p: self._host_of(p) for p in self._with_state()}

    def restore_host_state(self, snapshot: dict[Tensor, dict[str, float]]) -> None:
        """Go back to a snapshot of the counters."""
        for group in self.param_groups:
            first = self.first_counters(group)
            for p in group["params"]:
                if p in self.state and self._is_ready(p):
                    self._store_host([p], snapshot.get(p, first))

    def _with_state(self) -> list[Tensor]:
        return [p for p in self._all_params() if p in self.state and self._is_ready(p)]

    def _is_ready(self, p: Tensor) -> bool:
        return all(isinstance(self.state[p].get(name), Tensor) for name in self.counters)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._forget_cohorts()
        for param_state in self.state.values():
            if isinstance(param_state, dict):
                _as_tensors(param_state, self.counters)


class Advance:
    """Moves parameters that share their counters on by a step, and gives the numbers for it.

    A compiled step calls it before each run of its program.

    Args:
        rule: the optimizer.
        group: its settings.
        params: the parameters.
    """

    __slots__ = ("_before", "_group", "_params", "_rule")

    def __init__(self, rule: UpdateRule, group: dict[str, Any], params: list[Tensor]) -> None:
        self._rule, self._group, self._params = rule, group, params
        self._before: dict[str, float] | None = None

    def begin(self) -> None:
        """There is nothing to take back yet."""
        self._before = None

    def __call__(self) -> Sequence[float]:
        rule = self._rule
        host = rule._shared_host(self._params)
        before = host.copy()
        numbers = rule.advance(self._group, host)
        self._before = before
        rule._store_host(self._params, host)
        return numbers

    def take_back(self) -> None:
        """Go back to the counters before the step, if it was made."""
        if self._before is not None:
            self._rule._store_host(self._params, self._before)


def _as_tensors(state: dict[str, Any], counters: tuple[str, ...]) -> None:
    """Counters of old state dicts may be plain numbers."""
    for name in counters:
        value = state.get(name)
        if isinstance(value, (int, float)):
            state[name] = wrap(np.asarray(value, np.float32))


def unequal_message(optimizer: Optimizer, p: Tensor) -> str:
    """What is said when a parameter has another step count than those it is updated with."""
    return explain(
        f"{type(optimizer).__name__}.step",
        f"the step count of a parameter {tuple(p.shape)} was changed by hand",
        "parameters that a compiled step updates together share their count",
        "use optimizer.load_state_dict() to change the state",
    )
