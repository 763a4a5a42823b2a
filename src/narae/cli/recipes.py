"""`narae recipes`: what can be trained, and what can be set."""

import json
from typing import Any


def add_parser(commands: Any) -> Any:
    """Add the command with its options."""
    parser = commands.add_parser(
        "recipes",
        help="list the recipes that come along",
        description="List the recipes that come along: task, data, the figure to expect, the time "
        "on two cores. With a name, or a file of your own: its settings, for `narae train --set`.",
    )
    parser.add_argument("recipe", nargs="?", help="a name of the list, or your own recipe.py")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def run(options: Any) -> int:
    """Print the cards of all recipes, or the settings of one."""
    from narae.train.recipe import load_recipe, recipe_names

    if options.recipe is None:
        cards = recipe_names()
        if options.json:
            print(json.dumps({name: _content(card) for name, card in cards.items()}, indent=2))
        else:
            for name, card in cards.items():
                print(*_card_lines(name, card), sep="\n")
        return 0
    recipe = load_recipe(options.recipe)
    if options.json:
        settings = recipe.all_settings()
        found = {"name": recipe.name, **_content(recipe.card), "settings": settings}
        print(json.dumps(found, indent=2, default=str))
    else:
        print(*_card_lines(recipe.name, recipe.card), "", *_setting_lines(recipe), sep="\n")
    return 0


def _content(card: Any) -> dict[str, str]:
    return {"summary": card.summary, **card.fields}


def _card_lines(name: str, card: Any) -> list[str]:
    width = max(map(len, card.fields), default=0)
    fields = [f"  {field:<{width}}  {text}" for field, text in card.fields.items()]
    return [f"{name}: {card.summary}", *fields]


def _setting_lines(recipe: Any) -> list[str]:
    """Its own settings first, then those that every recipe has."""
    from narae.train.parsing import described
    from narae.train.runs.table import aligned, word_of

    rows = [
        [key, word_of(value), described(recipe.kind_of(key))]
        for key, value in recipe.all_settings().items()
    ]
    rows.sort(key=lambda row: "." not in row[0])
    return aligned([["setting", "value", "kind"], *rows])
