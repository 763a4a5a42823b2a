"""`compile` and `program_of`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from narae.ir import Program, dead_code
from narae.tensors.tensor import Tensor

from .guards import named_tensors
from .step import CompiledStep, argument_names
from .tracer import trace_step
from .trees import flatten


def compile(
    model: Any = None,
    *,
    keep_grads: bool = False,
    taps: Sequence[str] | Mapping[str, Callable[[Tensor], Tensor]] = (),
    executor: str | None = None,
    verify: bool = True,
    fullgraph: bool = True,
    dynamic: bool | None = None,
    backend: Any = None,
    mode: str | None = None,
) -> Any:
    """Turn a training step (or a module) into one program.

    The step runs once on symbolic values: forward, backward and update become one program, which
    later calls run. Parameters, buffers, optimizer state and random streams that it touches are
    inputs, and what it writes to them is written after the program ran; results equal those of the
    eager step, or an error says why they cannot.

    Args:
        model: a function (a step) or a Module; without it, a decorator is returned.
        keep_grads: leave the gradients in `.grad`; otherwise reading them afterwards is an error.
        taps: intermediates to hand out in `.taps`: names given with `narae.tap`, or paths of
            modules; a dict maps names to functions, such as statistics, of the intermediate.
        executor: who runs the program; the fastest one by default.
        verify: trace again on calls 2, 4, 8, … and compare.
        fullgraph, dynamic, backend, mode: accepted for programs written for PyTorch; ignored.

    >>> import narae
    >>> w = narae.zeros(2, requires_grad=True)
    >>> @narae.compile
    ... def step(x):
    ...     loss = ((w * x - 1) ** 2).sum()
    ...     loss.backward()
    ...     with narae.no_grad():
    ...         w.sub_(0.1 * w.grad)
    ...         w.grad = None
    ...     return loss.detach()
    >>> step(narae.ones(2)), step(narae.ones(2))
    (tensor(2.), tensor(1.2800))
    """
    options = {"keep_grads": keep_grads, "taps": taps, "executor": executor, "verify": verify}

    def wrap_it(function: Any) -> Any:
        if hasattr(function, "named_parameters"):
            from .module import CompiledModule

            return CompiledModule(function, executor=executor, verify=verify)
        return CompiledStep(function, **options)  # type: ignore[arg-type]

    return wrap_it if model is None else wrap_it(model)


def program_of(function: Callable[..., Any]) -> Callable[..., Program]:
    """A function that shows the program which `function` stands for, instead of running it.

    >>> import narae
    >>> print(narae.program_of(lambda x: (x * x).sum())(narae.ones(3)))
    <lambda>(x: f32[3]):
      v0: f32[3] = mul(x, x)
      v1: f32[] = sum(v0, dim=(0,), keepdim=False)
      return v1
    """

    def show(*args: Any, **kwargs: Any) -> Program:
        arguments: list[Tensor] = []
        spec = flatten((args, kwargs), arguments, convert_arrays=True)
        traced = trace_step(
            function,
            arguments,
            spec,
            name=getattr(function, "__name__", "program"),
            argument_names=argument_names(function, spec, len(arguments)),
            names=named_tensors(function),
            keep_grads=True,
            taps={},
        )
        return dead_code(traced.program)

    return show
