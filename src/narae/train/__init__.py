"""Training: recipes, the loop, callbacks, exact resume, what a run shows and leaves behind."""

from .building import build
from .callback import Callback
from .data import Data
from .example import Example
from .recipe import Recipe, load_recipe, recipe_names
from .settings import Settings
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
    "load_recipe",
    "recipe_names",
]
