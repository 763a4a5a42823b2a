"""Layers and losses as functions: `import narae.nn.functional as F`."""

from .functional_losses import *  # noqa: F403
