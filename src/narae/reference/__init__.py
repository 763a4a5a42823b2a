"""Floor 4: the reference executor. NumPy says what every primitive means."""

from .executor import ReferenceExecutor, execute, lowered

__all__ = ["ReferenceExecutor", "execute", "lowered"]
