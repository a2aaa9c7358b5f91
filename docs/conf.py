"""Sphinx: python -m sphinx -W docs build/docs"""

from jaxbrain import __version__

project = "jaxbrain"
author = "The jaxbrain developers"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["examples"]
nitpicky = False

# Pages are text: their examples run as tests, not here.
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_class_signature = "mixed"
add_module_names = False

html_theme = "furo"
html_title = "jaxbrain"
html_show_sourcelink = False
