"""`narae recipes`: what can be trained."""

from typing import Any

from narae.train.recipe import recipe_names


def add_parser(commands: Any) -> Any:
    """Add the command."""
    text = "list the recipes that come along"
    return commands.add_parser("recipes", help=text, description=text.capitalize() + ".")


def run(options: Any) -> int:
    """Print each recipe's name and what it is."""
    for name, card in recipe_names().items():
        print(f"{name}: {card.summary}")
        width = max(map(len, card.fields), default=0)
        for field, text in card.fields.items():
            print(f"  {field:<{width}}  {text}")
    return 0
