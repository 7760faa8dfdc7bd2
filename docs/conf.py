"""How Sphinx builds these pages: ``python -m sphinx -W -b html docs docs/_build``."""

import craterbench

project = "craterbench"
author = "The craterbench developers"
copyright = author  # noqa: A001
version = release = craterbench.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "craterbench"
