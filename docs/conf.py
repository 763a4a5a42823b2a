"""Settings of the documentation: `uv run --extra docs sphinx-build -W docs site`."""

import importlib.metadata

project = "Narae"
author = "The Narae authors"
copyright = "The Narae authors"
release = importlib.metadata.version("narae")

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"Narae {release}"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]  # links to files outside docs/ are tested on their own
