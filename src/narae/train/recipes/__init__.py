"""The recipes that come along; `narae recipes` lists them."""
