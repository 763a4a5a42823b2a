"""What compiled steps say: one line for each trace, and one for each call that needs none.

They go to the logger "narae.compile". The environment variable NARAE_LOG=compile lets them appear
on standard error; it may hold several words, separated by commas.
"""

import logging
import os
import sys

logger = logging.getLogger("narae.compile")


def _wanted() -> bool:
    words = os.environ.get("NARAE_LOG", "").split(",")
    return "compile" in [word.strip() for word in words]


def _to_standard_error() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False


hits = _wanted()  # whether calls that need no trace are logged, too
if hits:
    _to_standard_error()
