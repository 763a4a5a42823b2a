"""Files: weights and checkpoints, data files, downloads; whole files or none.

`save` and `load` are also `narae.save` and `narae.load`.
"""

from narae.base.folders import cache_dir

from .atomic import atomic_write
from .checkpoint import load_checkpoint, save_checkpoint
from .config_file import read_config, write_config
from .pickles import read_pickles
from .records import append_record, read_records
from .saving import load, save

__all__ = [
    "append_record",
    "atomic_write",
    "cache_dir",
    "load",
    "load_checkpoint",
    "read_config",
    "read_pickles",
    "read_records",
    "save",
    "save_checkpoint",
    "write_config",
]
