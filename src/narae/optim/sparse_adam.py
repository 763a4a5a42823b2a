"""SparseAdam: refused, because there are no sparse gradients."""

from collections.abc import Iterable
from typing import Any

from narae.base.errors import NotSupportedError, explain

from .optimizer import Optimizer


class SparseAdam(Optimizer):
    """PyTorch's Adam for sparse gradients; here it only says what to use instead.

    Raises:
        NotSupportedError: always.
    """

    def __init__(self, params: Iterable[Any], *args: Any, **options: Any) -> None:
        raise NotSupportedError(
            explain(
                "SparseAdam",
                "it steps by sparse gradients",
                "gradients of Narae are dense, those of embeddings too",
                "use Adam; rows that got no gradient then still move by their momentum",
            )
        )
