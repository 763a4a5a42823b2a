"""`narae recipes`: what can be trained."""

from typing import Any

from narae.train.recipe import recipe_names


def add_parser(commands: Any) -> Any:
    """Add the command."""
    text = "list the recipes that come along"
    return commands.add_parser("recipes", help=text, description=text.capitalize() + ".")


def run(options: Any) -> int:
    """Print each recipe's name and what it is."""
    names = recipe_names()
    width = max(map(len, names))
    for name, summary in names.items():
        print(f"{name:<{width}}  {summary}")
    return 0
