"""Training: recipes, the loop, callbacks, exact resume, what a run shows and leaves behind."""

from .building import build
from .callback import Callback
from .data import Data
from .example import Example
from .layer_groups import layer_groups
from .recipe import Recipe, load_recipe, recipe_names
from .settings import Settings
from .signals import stop_on_signals
from .step import Step
from .trainer import Trainer

__all__ = [
    "Callback",
    "Data",
    "Example",
    "Recipe",
    "Settings",
    "Step",
    "Trainer",
    "build",
    "layer_groups",
    "load_recipe",
    "recipe_names",
    "stop_on_signals",
]
