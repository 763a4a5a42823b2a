"""Files: weights and checkpoints, data files, downloads; whole files or none.

`save` and `load` are also `narae.save` and `narae.load`.
"""

from .atomic import atomic_write
from .checkpoint import load_checkpoint, save_checkpoint
from .fetch import cache_dir
from .saving import load, save

__all__ = ["atomic_write", "cache_dir", "load", "load_checkpoint", "save", "save_checkpoint"]
