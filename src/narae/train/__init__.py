"""Training: recipes, the loop, checkpoints, what a run shows and leaves behind."""

from .loop import Trainer, fit, predict
from .recipe import Data, Recipe, Settings, load_recipe, recipe_names
from .run import run_recipe

__all__ = [
    "Data",
    "Recipe",
    "Settings",
    "Trainer",
    "fit",
    "load_recipe",
    "predict",
    "recipe_names",
    "run_recipe",
]
