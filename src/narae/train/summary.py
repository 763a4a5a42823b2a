"""What a model consists of: its layers, shapes, parameters, operations and memory, as a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from narae.base.errors import ConfigError, explain
from narae.primitives.cost import node_flops
from narae.tensors import Tensor, no_grad
from narae.tensors.compilation import program_of
from narae.tensors.modes import modes

_UNITS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


@dataclass
class LayerRow:
    """One module of a model.

    Attributes:
        path: its name in the model; "" for the model itself.
        kind: its type.
        depth: how deep it is nested.
        leaf: whether it holds no other modules.
        shape: of its result; of the first tensor if there are several.
        parameters: how many numbers it holds itself and in its parts, shared ones once.
        trained: how many of them are trained.
        flops: floating-point operations of matrix products and convolutions in its calls.
        output_bytes: memory of its results.
        calls: how often it ran in one forward pass.
    """

    path: str
    kind: str
    depth: int
    leaf: bool
    parameters: int
    trained: int
    shape: tuple[int, ...] | None = None
    flops: int = 0
    output_bytes: int = 0
    calls: int = 0


@dataclass
class Summary:
    """The rows of all modules, outermost first, and sums over the model.

    Attributes:
        rows: one for each module, in the order of `named_modules()`.
        input_shapes: what the model was given.
        flops: of one forward pass: two for each product that is added up.
        weight_bytes: memory of parameters and buffers.
        output_bytes: memory of the results of all innermost layers, which backward needs.
    """

    rows: list[LayerRow]
    input_shapes: list[tuple[int, ...]]
    flops: int
    weight_bytes: int
    output_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.output_bytes = sum(row.output_bytes for row in self.rows if row.leaf)

    @property
    def parameters(self) -> int:
        """All parameters, shared ones counted once."""
        return self.rows[0].parameters

    @property
    def trained(self) -> int:
        """Parameters that are trained."""
        return self.rows[0].trained

    def as_dict(self) -> dict[str, Any]:
        """Everything as numbers and texts, for JSON."""
        return {
            "parameters": self.parameters,
            "trained_parameters": self.trained,
            "flops": self.flops,
            "weight_bytes": self.weight_bytes,
            "output_bytes": self.output_bytes,
            "input_shapes": [list(shape) for shape in self.input_shapes],
            "layers": [vars(row) for row in self.rows],
        }

    def __str__(self) -> str:
        head = ["layer", "output", "parameters", "FLOPs"]
        lines = [_cells(row) for row in self.rows]
        widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
        table = [_aligned(line, widths) for line in (head, *lines)]
        table.insert(1, "-" * len(table[0]))
        return "\n".join(line.rstrip() for line in (*table, table[1], *self._totals()))

    def _totals(self) -> list[str]:
        frozen = self.parameters - self.trained
        shapes = ", ".join(map(_shape_text, self.input_shapes))
        return [
            f"parameters  {self.parameters:,}" + (f" ({frozen:,} not trained)" if frozen else ""),
            f"FLOPs       {quantity(self.flops)} for an input of {shapes}: products and sums in "
            "matrix products and convolutions",
            f"memory      {size_text(self.weight_bytes)} of weights, "
            f"{size_text(self.output_bytes)} of layer outputs",
        ]


def summarize(model: Any, *inputs: Tensor) -> Summary:
    """Describe a model by tracing one forward pass; nothing is computed.

    Args:
        model: a `narae.nn.Module`; it is looked at in evaluation mode and left as it was.
        *inputs: what the model takes; only shapes and dtypes matter.

    Raises:
        ConfigError: without inputs.
        ShapeError: if the inputs do not fit the model; the message names the layer.

    >>> import narae
    >>> model = narae.nn.Sequential(narae.nn.Linear(4, 3), narae.nn.ReLU())
    >>> print(summarize(model, narae.zeros(2, 4)))
    layer         output  parameters  FLOPs
    ---------------------------------------
    Sequential    (2, 3)          15     48
      0 (Linear)  (2, 3)          15     48
      1 (ReLU)    (2, 3)           0      0
    ---------------------------------------
    parameters  15
    FLOPs       48 for an input of (2, 4): products and sums in matrix products and convolutions
    memory      60 B of weights, 48 B of layer outputs
    """
    if not inputs:
        rule = "shapes are known once an input is"
        raise ConfigError(explain("summarize", "no input is given", rule, "narae.zeros(1, ...)"))
    rows = {id(module): _row(path, module) for path, module in model.named_modules()}
    watches = [watch for module in model.modules() for watch in _watched(module, rows[id(module)])]
    modules = list(model.modules())
    training = [module.training for module in modules]
    try:
        model.eval()
        with no_grad():
            program_of(_function(model))(*inputs)
    finally:
        for watch in watches:
            watch.remove()
        for module, mode in zip(modules, training, strict=True):
            module.training = mode
    shapes = [tuple(x.shape) for x in inputs]
    found = list(rows.values())
    held = [*model.parameters(), *model.buffers()]
    return Summary(found, shapes, found[0].flops, sum(map(_bytes, held)))


def _function(model: Any) -> Any:
    def forward(*inputs: Tensor) -> Any:
        return model(*inputs)

    return forward


def _row(path: str, module: Any) -> LayerRow:
    parameters = list(module.parameters())
    return LayerRow(
        path,
        type(module).__name__,
        depth=path.count(".") + 1 if path else 0,
        leaf=next(module.children(), None) is None,
        parameters=sum(x.numel() for x in parameters),
        trained=sum(x.numel() for x in parameters if x.requires_grad),
    )


def _watched(module: Any, row: LayerRow) -> Sequence[Any]:
    """Hooks that note the shape of a module's result and the program it became."""
    begun: list[int] = []

    def before(module: Any, args: Any) -> None:
        begun.append(len(_nodes()))

    def after(module: Any, args: Any, result: Any) -> None:
        nodes = _nodes()[begun.pop() :]
        tensors = list(_tensors_in(result))
        row.calls += 1
        row.flops += sum(map(node_flops, nodes))
        row.output_bytes += sum(map(_bytes, tensors))
        row.shape = tuple(tensors[0].shape) if tensors else None

    return (
        module.register_forward_pre_hook(before, prepend=True),
        module.register_forward_hook(after),
    )


def _nodes() -> list[Any]:
    """The program in the making."""
    trace: Any = modes.trace
    return trace.builder.nodes


def _tensors_in(result: Any) -> Any:
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, dict):
        yield from _tensors_in(list(result.values()))
    elif isinstance(result, list | tuple):
        for each in result:
            yield from _tensors_in(each)


def _bytes(x: Tensor) -> int:
    return x.numel() * x.element_size()


# ------------------------------------------------------------------------------------- the table
def _cells(row: LayerRow) -> list[str]:
    name = row.path.rpartition(".")[2]
    label = f"{name} ({row.kind})" if name else row.kind
    times = f" × {row.calls}" if row.calls > 1 else ""
    shape = "not called" if not row.calls else "" if row.shape is None else _shape_text(row.shape)
    return ["  " * row.depth + label, shape + times, f"{row.parameters:,}", quantity(row.flops)]


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    right = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join([*left, *right])


def _shape_text(shape: Sequence[int]) -> str:
    return f"({', '.join(map(str, shape))})"


def quantity(number: int) -> str:
    """A count in three digits.

    >>> quantity(48), quantity(1_234), quantity(724_406_816)
    ('48', '1.23 k', '724 M')
    """
    for unit, letter in _UNITS:
        if number >= unit:
            return f"{number / unit:#.3g} {letter}".replace(". ", " ")
    return str(number)


def size_text(number: int) -> str:
    """Bytes in powers of 1024.

    >>> size_text(60), size_text(200_744)
    ('60 B', '196 KiB')
    """
    size, units = float(number), ["B", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{number} B" if units[0] == "B" else f"{size:#.3g} {units[0]}".replace(". ", " ")
