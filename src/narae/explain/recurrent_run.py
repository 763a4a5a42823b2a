"""What a recurrent layer within a model was given: for those that look into it."""

from dataclasses import dataclass
from typing import Any

from narae.base.errors import ConfigError, DataError, explain
from narae.nn import Module
from narae.nn.rnn import RNNBase
from narae.nn.utils.rnn import PackedSequence
from narae.tensors import Tensor, no_grad, zeros

from .watching import in_evaluation

State = tuple[Tensor, ...]


@dataclass(frozen=True)
class RecurrentRun:
    """A recurrent layer at work.

    Attributes:
        name: the module's path in the model; empty where it is the model.
        module: RNN, LSTM or GRU.
        x: what it was given, (time, batch, features).
        state: h, and c of an LSTM, before the first step: (layers, batch, hidden) each.
    """

    name: str
    module: RNNBase
    x: Tensor
    state: State


def recurrent_run(where: str, model: Module, inputs: Any, name: str | None) -> RecurrentRun:
    """Run a model once, without dropout and gradients; what one of its recurrent layers was given.

    Args:
        where: who asks, for the text of errors.
        model: it is left as it was; states that it carries are put back.
        inputs: what it is called with.
        name: of the layer; it can be left out where there is one only.

    Raises:
        ConfigError: if there is no such layer, several without a name, or it cannot be looked into.
        DataError: if the model does not call it exactly once, or the batch is empty.
    """
    found = {path: m for path, m in model.named_modules() if isinstance(m, RNNBase)}
    path = _chosen(where, found, name)
    calls: list[tuple[Any, Any]] = []
    handle = found[path].register_forward_pre_hook(_keeper(calls), with_kwargs=True)
    before = {key: x.clone() for key, x in model.named_buffers()}
    try:
        with no_grad(), in_evaluation(model):
            model(*inputs)
    finally:
        handle.remove()
        with no_grad():
            for key, x in model.named_buffers():
                x.copy_(before[key])
    if len(calls) != 1:
        given = f"the model calls {path or 'the layer'} {len(calls)} times"
        raise DataError(explain(where, given, "one call with all steps is looked at"))
    return _run_of(where, path, found[path], *calls[0])


def _keeper(calls: list[tuple[Any, Any]]) -> Any:
    def keep(module: Any, args: Any, options: Any) -> None:
        given = dict(zip(("input", "hx"), args, strict=False), **options)
        calls.append((given["input"], given.get("hx")))

    return keep


def _chosen(where: str, found: dict[str, RNNBase], name: str | None) -> str:
    if name is None and len(found) == 1:
        return next(iter(found))
    if name is None or name not in found:
        given = f"layer is {name!r}, the model has {', '.join(found) or 'no recurrent layer'}"
        raise ConfigError(explain(where, given, "one RNN, LSTM or GRU is looked at", "layer=..."))
    return name


def _run_of(where: str, name: str, module: RNNBase, x: Any, hx: Any) -> RecurrentRun:
    if module.bidirectional or module.proj_size or isinstance(x, PackedSequence) or x.ndim != 3:
        given = f"{name or 'the model'} is {module!r}"
        rule = "a layer of one direction, without projection, is given a padded batch"
        raise ConfigError(explain(where, given, rule))
    x = x.detach().transpose(0, 1) if module.batch_first else x.detach()  # (time, batch, features)
    if x.shape[1] == 0:
        raise DataError(explain(where, "the batch has no rows", "at least one is looked at"))
    if hx is None:
        shape = (module.num_layers, x.shape[1], module.hidden_size)
        hx = tuple(zeros(shape, dtype=x.dtype) for _ in module._state_sizes)
    state = hx if isinstance(hx, tuple) else (hx,)
    return RecurrentRun(name, module, x, tuple(h.detach() for h in state))
