"""Floor 4: the reference executor. NumPy says what every primitive means."""

from .executor import LOWERINGS, ReferenceExecutor, execute, lowered

__all__ = ["LOWERINGS", "ReferenceExecutor", "execute", "lowered"]
