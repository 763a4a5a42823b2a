"""What Narae raises on purpose; each is also the built-in class that fits.

>>> import narae
>>> try:
...     narae.ones(2, 3) @ narae.ones(4, 5)
... except narae.errors.ShapeError as error:
...     print(isinstance(error, ValueError))
True
"""

from narae.base.errors import BoundsError as BoundsError
from narae.base.errors import ConfigError as ConfigError
from narae.base.errors import DataError as DataError
from narae.base.errors import DeviceError as DeviceError
from narae.base.errors import DTypeError as DTypeError
from narae.base.errors import FileFormatError as FileFormatError
from narae.base.errors import GraphError as GraphError
from narae.base.errors import LinAlgError as LinAlgError
from narae.base.errors import MissingDataError as MissingDataError
from narae.base.errors import MissingExtraError as MissingExtraError
from narae.base.errors import NaraeError as NaraeError
from narae.base.errors import NotSupportedError as NotSupportedError
from narae.base.errors import ShapeError as ShapeError
from narae.base.errors import TraceError as TraceError

__all__ = [
    "NaraeError",
    "ShapeError",
    "DTypeError",
    "DeviceError",
    "BoundsError",
    "GraphError",
    "TraceError",
    "DataError",
    "LinAlgError",
    "FileFormatError",
    "MissingDataError",
    "ConfigError",
    "MissingExtraError",
    "NotSupportedError",
]
