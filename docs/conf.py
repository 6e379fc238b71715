"""Sphinx settings: MyST pages, the Furo theme, nothing loaded from elsewhere."""

from ringwork import __version__

project = "Ringwork"
author = "The Ringwork contributors"
copyright = "2026, The Ringwork contributors"
release = __version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"Ringwork {__version__}"
html_theme_options = {"navigation_with_keys": True}
html_show_sourcelink = False
