"""L-BFGS: Newton's method with a Hessian that is guessed from the last steps."""

# mypy: disable-error-code="attr-defined,operator"
# (the methods of tensors are attached to their class at run time)

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from narae.base.errors import ConfigError, TraceError, explain
from narae.tensors import Tensor, cat, no_grad
from narae.tensors.modes import modes

from .line_search import Point, strong_wolfe
from .optimizer import Optimizer, run_closure
from .settings import check_not_negative, number

Closure = Callable[[], Any]
_LEAST_CURVATURE = 1e-10


def direction(
    grad: Tensor, steps: list[Tensor], changes: list[Tensor], inverses: list[Any], scale: Any
) -> Tensor:
    """−H·g, with the inverse Hessian H that the last steps suggest.

    q ← −g;  for each step, newest first:  αᵢ = ρᵢ·sᵢᵀq,  q ← q − αᵢ·yᵢ
    r ← γ·q; for each step, oldest first:  r ← r + (αᵢ − ρᵢ·yᵢᵀr)·sᵢ

    Nocedal 1980, "Updating quasi-Newton matrices with limited storage"; Nocedal & Wright 2006,
    "Numerical Optimization", algorithm 7.4.

    Args:
        grad: g, (elements,).
        steps: sᵢ, how all parameters changed at a time, (elements,) each, oldest first.
        changes: yᵢ, how the gradient changed meanwhile.
        inverses: ρᵢ = 1 / yᵢᵀsᵢ.
        scale: γ = yᵀs / yᵀy of the newest step.
    """
    out = -grad
    weights = []
    for s, y, rho in zip(reversed(steps), reversed(changes), reversed(inverses), strict=True):
        weights.append(dot(s, out) * float(rho))
        out = out - weights[-1] * y
    out = out * float(scale)
    for s, y, rho, weight in zip(steps, changes, inverses, reversed(weights), strict=True):
        out = out + (weight - dot(y, out) * float(rho)) * s
    return out


def dot(x: Tensor, y: Tensor) -> float:
    """The inner product of two vectors, as a number."""
    return float(x.dot(y).item())


def largest(x: Tensor) -> float:
    """The largest size of an element."""
    return float(x.abs().max().item())


class LBFGS(Optimizer):
    """L-BFGS, for losses without noise: full batches, and a `closure` that computes them again.

    Liu & Nocedal 1989, "On the limited memory BFGS method for large scale optimization",
    algorithm 2.1. One `step(closure)` makes up to `max_iter` iterations. It reads the loss in
    order to decide, so a step that `narae.compile` traces cannot hold it.

    Args:
        params: the tensors to train; one group only.
        lr: the step size without a line search; with one, the first size tried.
        max_iter: the most iterations in one step.
        max_eval: the most evaluations of the closure in one step; 1.25·max_iter unless given.
        tolerance_grad: a gradient with no element above this size ends the step.
        tolerance_change: so does a change of the parameters or of the loss below this one.
        history_size: how many past steps are remembered.
        line_search_fn: "strong_wolfe", or None for steps of the fixed size.

    >>> import narae
    >>> w = narae.tensor([3.0, -4.0], requires_grad=True)
    >>> optimizer = narae.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - narae.tensor([1.0, 2.0])) ** 4).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure)
    tensor(1312., grad_fn=<SumBackward0>)
    >>> closure().item() < 1e-6
    True
    """

    counters = ()

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_not_negative({"learning rate": lr})
        if line_search_fn not in (None, "strong_wolfe"):
            raise ConfigError(
                f"[LBFGS] line_search_fn is {line_search_fn!r}; only 'strong_wolfe' is supported, "
                "or None for steps of a fixed size"
            )
        if history_size < 1:
            raise ConfigError(f"[LBFGS] history_size is {history_size}; at least 1 step is kept")
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Take the parameters.

        Raises:
            ConfigError: for a second group.
        """
        super().add_param_group(param_group)
        if len(self.param_groups) > 1:
            self.param_groups.pop()
            raise ConfigError(
                "LBFGS doesn't support per-parameter options (parameter groups): one curvature is "
                "estimated for all parameters. Fix: give one list"
            )

    # --- a step ----------------------------------------------------------------------------

    @no_grad
    def step(self, closure: Closure) -> Any:  # type: ignore[override]
        """Make up to `max_iter` iterations.

        Args:
            closure: clears the gradients, computes the loss, calls `backward()`, returns the loss.

        Returns:
            The loss before the step.

        Raises:
            TraceError: inside a step that is being compiled.
        """
        _check_closure(closure)
        group, state = self.param_groups[0], self._state()
        first_loss = run_closure(closure)
        loss, grad = float(first_loss), self._gradient()
        evaluations = 1
        if largest(grad) > group["tolerance_grad"]:
            for iteration in range(1, group["max_iter"] + 1):
                before, slope = loss, self._aim(loss, grad)
                if slope > -group["tolerance_change"]:
                    break
                start = Point(0.0, loss, grad, slope)
                last = iteration == group["max_iter"]
                end, used = self._move(closure, start, group["max_eval"] - evaluations, last)
                loss, grad = end.loss, end.grad
                evaluations += used
                if last or evaluations >= group["max_eval"] or self._arrived(before, end):
                    break
        state["func_evals"] += evaluations
        return first_loss

    def _state(self) -> dict[str, Any]:
        """What is remembered, under the first parameter, with PyTorch's names."""
        state: dict[str, Any] = self.state[self.param_groups[0]["params"][0]]
        for name in ("func_evals", "n_iter"):
            state.setdefault(name, 0)
        return state

    def _aim(self, loss: float, grad: Tensor) -> float:
        """Choose the direction d and the first step size t; the slope of the loss along d."""
        group, state = self.param_groups[0], self._state()
        lr = number(group["lr"])
        state["n_iter"] += 1
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0, d=-grad)
            state["t"] = min(1.0, 1.0 / grad.abs().sum().item()) * lr
        else:
            self._remember(grad, group["history_size"])
            known = state["old_stps"], state["old_dirs"], state["ro"]
            state["d"] = direction(grad, *known, state["H_diag"])
            state["t"] = lr
        state["prev_flat_grad"], state["prev_loss"] = grad, loss
        return dot(grad, state["d"])

    def _remember(self, grad: Tensor, history_size: int) -> None:
        """Add the last step to the history, if the loss curved upwards along it."""
        state = self._state()
        change = grad - state["prev_flat_grad"]
        step = state["d"] * float(state["t"])
        curvature = dot(change, step)
        if curvature <= _LEAST_CURVATURE:
            return
        history = {"old_dirs": change, "old_stps": step, "ro": 1.0 / curvature}
        for name, value in history.items():
            state[name] = [*state[name], value][-history_size:]
        state["H_diag"] = curvature / dot(change, change)

    def _move(
        self, closure: Closure, start: Point, evaluations: int, last: bool
    ) -> tuple[Point, int]:
        """Go along the direction; the point reached, and how often the loss was computed."""
        group, state = self.param_groups[0], self._state()
        d, t = state["d"], float(state["t"])
        if group["line_search_fn"] is None:
            self._add(t, d)
            if last:  # with noisy losses, computing it once more would be of no use
                return start, 0
            return Point(t, float(run_closure(closure)), self._gradient(), 0.0), 1
        here = [p.clone() for p in group["params"]]
        narrow = group["tolerance_change"] / largest(d)
        evaluate = partial(self._evaluate, closure, here)
        end, used = strong_wolfe(evaluate, start, t, narrow, evaluations)
        state["t"] = end.t
        self._add(end.t, d)
        return end, used

    def _evaluate(self, closure: Closure, here: list[Tensor], t: float) -> Point:
        """The loss and its gradient at a distance; the parameters are put back."""
        d = self._state()["d"]
        self._add(t, d)
        loss, grad = float(run_closure(closure)), self._gradient()
        for p, value in zip(self.param_groups[0]["params"], here, strict=True):
            p.copy_(value)
        return Point(t, loss, grad, dot(grad, d))

    def _arrived(self, loss_before: float, end: Point) -> bool:
        group, state = self.param_groups[0], self._state()
        if largest(end.grad) <= group["tolerance_grad"]:
            return True
        moved = largest(state["d"]) * abs(float(state["t"]))
        change = abs(end.loss - loss_before)
        return bool(moved <= group["tolerance_change"] or change < group["tolerance_change"])

    # --- all parameters as one vector ------------------------------------------------------

    def _gradient(self) -> Tensor:
        """All gradients, (elements,); zeros where there is none."""
        params = self.param_groups[0]["params"]
        grads = [p.detach() * 0 if p.grad is None else p.grad.detach() for p in params]
        return cat([grad.reshape(-1) for grad in grads])

    def _add(self, t: float, d: Tensor) -> None:
        """p ← p + t·d for all parameters."""
        start = 0
        for p in self.param_groups[0]["params"]:
            p.add_((t * d[start : start + p.numel()]).reshape(p.shape))
            start += p.numel()


def _check_closure(closure: Any) -> None:
    if modes.trace is not None:
        given = "step() is called while narae.compile traces a step"
        rule = "it reads the loss to decide how far to go, which one program cannot do"
        fix = "compile the function that computes the loss and its gradients; step outside of it"
        raise TraceError(explain("LBFGS.step", given, rule, fix))
    if not callable(closure):
        given, rule = f"closure is {closure!r}", "the loss is computed several times in one step"
        fix = "give a function that clears gradients, calls backward() and returns the loss"
        raise ConfigError(explain("LBFGS.step", given, rule, fix))
