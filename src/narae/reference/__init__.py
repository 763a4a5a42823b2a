"""Floor 4: the reference executor. NumPy says what every primitive means."""

import warnings

from .executor import ReferenceExecutor, execute, lowered

# Infinity and NaN are results as good as any other: NumPy's warnings about them are for its own
# users. The filter is for arithmetic inside this package only.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"narae\.(reference|tensors)")

__all__ = ["ReferenceExecutor", "execute", "lowered"]
