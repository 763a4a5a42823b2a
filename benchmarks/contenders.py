"""Who runs a workload: Narae eager or compiled, and PyTorch in each of its modes.

All contenders of a workload begin with the same weights and are fed the same arrays.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from workloads import (
    LEARNING_RATE,
    Array,
    Workload,
    prediction,
    training_step,
    unchanged,
)

Weights = dict[str, Array]


class Unavailable(Exception):
    """Why a contender cannot run a workload here."""


@dataclass
class Contender:
    """A library in one mode, ready to run one workload.

    Attributes:
        label: the mode, for the table.
        lib: narae or torch.
        call: tensors of one batch -> the loss, or the outputs.
        place: brings an input into the layout of this mode.
    """

    label: str
    lib: Any
    call: Callable[..., Any]
    place: Callable[[Any], Any] = unchanged

    def outputs(self, arrays: Sequence[Array]) -> Any:
        """One step, from NumPy arrays to a tensor."""
        x, *rest = [self.lib.from_numpy(array) for array in arrays]
        return self.call(self.place(x), *rest)

    def step(self, arrays: Sequence[Array]) -> float:
        """One step as it is timed: from NumPy arrays to one number of Python's."""
        out = self.outputs(arrays)
        number = out if out.ndim == 0 else out[0, 0]
        return float(number.item())

    def values(self, arrays: Sequence[Array]) -> Array:
        """One step's loss, or its outputs, as an array to compare."""
        return self.outputs(arrays).detach().numpy().copy()


def first_weights(workload: Workload, seed: int = 0) -> Weights:
    """The weights that all contenders begin with: PyTorch's for a seed."""
    import torch

    torch.manual_seed(seed)
    state = workload.model(torch).state_dict()
    return {name: tensor.numpy().copy() for name, tensor in state.items()}


def model_with(lib: Any, workload: Workload, weights: Weights) -> Any:
    """The model of a workload with these weights.

    Raises:
        RuntimeError: when names or shapes do not fit.
    """
    model = workload.model(lib)
    model.load_state_dict({name: lib.from_numpy(w.copy()) for name, w in weights.items()})
    return model.train(workload.trains)


def _call_of(lib: Any, workload: Workload, model: Any, adam: Any, compile_forward: Any) -> Any:
    if not workload.trains:
        return prediction(lib, model, compile_forward)
    optimizer = adam(model.parameters(), lr=LEARNING_RATE)
    return training_step(lib, workload, model, optimizer, compile_forward)


# --- Narae ----------------------------------------------------------------------------------


def narae_contender(
    workload: Workload, weights: Weights, compiled: bool, executor: str | None = None
) -> Contender:
    """Narae, eager or with the whole step compiled.

    Raises:
        Unavailable: when it has no `autocast` that the workload needs.
    """
    import narae

    if workload.autocast and not hasattr(narae, "autocast"):
        raise Unavailable("Narae has no autocast here")
    model = model_with(narae, workload, weights)
    call = _call_of(narae, workload, model, narae.optim.Adam, unchanged)
    if compiled:
        call = narae.compile(call, executor=executor)
    return Contender("compiled" if compiled else "eager", narae, call)


def products_of(contender: Contender, arrays: Sequence[Array]) -> int:
    """Floating-point operations of a compiled step's products."""
    from narae.primitives.cost import program_flops

    tensors = [contender.lib.from_numpy(array) for array in arrays]
    return program_flops(contender.call.program(*tensors))


def executors_of(contender: Contender) -> set[str]:
    """Who ran a compiled step."""
    return {plan.executor for plan in contender.call.explain().plans}


# --- PyTorch --------------------------------------------------------------------------------


@dataclass(frozen=True)
class TorchMode:
    """How PyTorch runs a workload."""

    compiled: bool = False
    channels_last: bool = False
    fused: bool = False

    @property
    def label(self) -> str:
        """Its name in the table."""
        parts = ["torch.compile" if self.compiled else "eager"]
        parts += ["channels-last"] * self.channels_last + ["fused Adam"] * self.fused
        return ", ".join(parts)


def torch_modes(workload: Workload, with_compile: bool = True) -> list[TorchMode]:
    """The modes worth a try for a workload; compiled ones always with the fused Adam."""
    layouts = (False, True) if workload.images else (False,)
    optimizers = (False, True) if workload.trains else (False,)
    modes = [TorchMode(False, layout, fused) for layout in layouts for fused in optimizers]
    if with_compile:
        modes += [TorchMode(True, layout, workload.trains) for layout in layouts]
    return modes


def torch_contender(workload: Workload, weights: Weights, mode: TorchMode) -> Contender:
    """PyTorch in one mode."""
    import torch

    model, place = model_with(torch, workload, weights), unchanged
    if mode.channels_last:
        model = model.to(memory_format=torch.channels_last)
        place = partial(torch.Tensor.contiguous, memory_format=torch.channels_last)
    adam = partial(torch.optim.Adam, fused=True) if mode.fused else torch.optim.Adam
    compile_forward = partial(torch.compile, dynamic=False) if mode.compiled else unchanged
    call = _call_of(torch, workload, model, adam, compile_forward)
    return Contender(mode.label, torch, call, place)


def torch_contenders(
    workload: Workload, weights: Weights, arrays: Sequence[Array], with_compile: bool = True
) -> tuple[list[Contender], list[str]]:
    """PyTorch in all its modes, each warmed up, and what is said about those that failed."""
    import torch

    torch._dynamo.reset()  # it gives up on a function that was compiled for many workloads
    found, notes = [], []
    for mode in torch_modes(workload, with_compile):
        try:
            contender = torch_contender(workload, weights, mode)
            contender.step(arrays)
        except Exception as error:
            if not mode.compiled:
                raise
            reason = str(error).strip().splitlines() or [type(error).__name__]
            notes.append(f"{mode.label} skipped: {reason[0]}")
            continue
        found.append(contender)
    return found, notes
