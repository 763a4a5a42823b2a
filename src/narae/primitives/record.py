"""The record of a primitive: every mathematical fact about it, in one place.

A backward rule receives the gradient of the result, then what the record says it `saves`, then the
attributes; it returns the gradient of one operand, built from primitives, so that it works on
arrays, on program values, and on tensors (which makes second derivatives).
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from narae.base.dtypes import BOOL, NumpyDType
from narae.base.errors import DTypeError, explain
from narae.base.shapes import Shape, broadcast_shapes
from narae.ir import bind
from narae.ir.protocol import Meta

Kind = Literal[
    "elementwise",
    "reduction",
    "movement",
    "contraction",
    "window",
    "indexing",
    "ordering",
    "cumulative",
    "host",
    "generator",
    "composite",
    "control",
]
Rule = Callable[..., Any]
# What is saved for the backward rules: ("operand", 1), ("output", 0), ("shape", 0), ("dtype", 0);
# or of all at once: ("operands", 0), ("outputs", 0), ("shapes", 0), ("residuals", 0).
SaveItem = tuple[str, int]

REGISTRY: dict[str, "Primitive"] = {}


class Primitive:
    """One operation that executors must know.

    Attributes:
        name: printed in programs.
        kind: the family; passes and executors ask for it instead of keeping lists of names.
        operands: names of the operands, in order; a single "*xs" takes any number.
        outputs: the number of results; any other number than 1 makes the result a tuple.
        formula: the meaning in one line.
        saves: what the backward rules read, such as "x out x.shape".
        keeps_values: whether some of that holds numbers, which are dropped after backward.
        grads: one rule an operand (None: no gradient flows to it).
        joint_grad: instead of `grads`, one rule `(needs, grads, *saved, **attrs)` for all operands.
        broadcasts: the walk sums gradients over dimensions that were broadcast.
        unview: for movement that returns views, `(x, y, **attrs)` -> x with y written in.
        grad_name: what PyTorch calls the node in `grad_fn`.
    """

    __slots__ = (
        "broadcasts",
        "differentiable",
        "dtype_rule",
        "formula",
        "grad_name",
        "grads",
        "joint_grad",
        "keeps_values",
        "kind",
        "name",
        "operands",
        "outputs",
        "save_plan",
        "saves",
        "shape_rule",
        "unview",
    )

    def __init__(
        self,
        name: str,
        kind: Kind,
        operands: str,
        formula: str,
        *,
        shape: Callable[..., Any],
        dtype: Callable[..., Any],
        saves: str = "",
        grads: Sequence[Rule | None] | None = None,
        joint_grad: Rule | None = None,
        outputs: int = 1,
        broadcasts: bool = False,
        unview: Rule | None = None,
        grad_name: str = "",
    ) -> None:
        self.name, self.kind, self.formula = name, kind, formula
        self.operands = tuple(operands.split())
        self.shape_rule, self.dtype_rule = shape, dtype
        self.saves = saves
        self.save_plan = tuple(self._save_item(text) for text in saves.split())
        kinds = {kind for kind, _ in self.save_plan}
        self.keeps_values = bool(kinds - {"shape", "shapes", "dtype"})
        self.grads = tuple(grads) if grads is not None else None
        self.joint_grad = joint_grad
        self.differentiable = grads is not None or joint_grad is not None
        self.outputs = outputs
        self.broadcasts = broadcasts
        self.unview = unview
        self.grad_name = grad_name or camel_case(name) + "Backward0"
        if name in REGISTRY:
            raise ValueError(f"a primitive named {name} exists already")
        REGISTRY[name] = self

    def _save_item(self, text: str) -> SaveItem:
        name, _, attribute = text.partition(".")
        if name in ("*outs", "*residuals"):
            return ("outputs" if name == "*outs" else "residuals"), 0
        if name.startswith("*"):
            return ("shapes" if attribute else "operands"), 0
        if name.startswith("out"):
            return "output", int(name[3:] or 0)
        return attribute or "operand", self.operands.index(name)

    def infer(self, operands: Sequence[Any], attrs: dict[str, Any]) -> list[Meta]:
        """Shape and dtype of each result."""
        shapes = self.shape_rule(*operands, **attrs)
        dtypes = self.dtype_rule(*operands, **attrs)
        if self.outputs == 1:
            return [(shapes, dtypes)]
        return list(zip(shapes, dtypes, strict=True))

    def __call__(self, *operands: Any, **attrs: Any) -> Any:
        """Apply it to arrays, program values or tensors."""
        return bind(self, *operands, **attrs)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}({', '.join(self.operands)})>"


def camel_case(name: str) -> str:
    """Turn `log_softmax` into `LogSoftmax`."""
    return "".join(part.capitalize() for part in name.split("_"))


def is_number(operand: Any) -> bool:
    """Whether an operand is a Python number, which takes the dtype of its neighbour."""
    return isinstance(operand, (bool, int, float))


def shape_of(operand: Any) -> Shape:
    """Its shape; () for a number."""
    return () if is_number(operand) else tuple(operand.shape)


def residual_count(attrs: dict[str, Any]) -> int:
    """How many of the last results of a `scan` exist for its backward pass only."""
    backward = attrs.get("backward")
    return 0 if backward is None else int(backward.residuals)


# --- rules that many records share ----------------------------------------------------------


def broadcast_shape(*operands: Any, **_: Any) -> Shape:
    """The common shape of all operands."""
    return broadcast_shapes(*(shape_of(operand) for operand in operands))


def same_shape(x: Any, *_: Any, **__: Any) -> Shape:
    """The shape of the first operand."""
    return shape_of(x)


def same_dtype(*operands: Any, **_: Any) -> NumpyDType:
    """The one dtype of all operands that are not numbers."""
    dtypes = {operand.dtype for operand in operands if not is_number(operand)}
    if len(dtypes) != 1:
        names = ", ".join(sorted(str(dtype) for dtype in dtypes)) or "no array"
        raise DTypeError(explain("dtype", f"operands are {names}", "they must have one dtype"))
    return dtypes.pop()  # type: ignore[no-any-return]


def first_dtype(x: Any, *_: Any, **__: Any) -> NumpyDType:
    """The dtype of the first operand."""
    return x.dtype  # type: ignore[no-any-return]


def bool_dtype(*_: Any, **__: Any) -> NumpyDType:
    """Comparisons give bool."""
    return BOOL
