"""Runs of recipes: their folders, starting and going on, looking back."""
