"""Sphinx: python -m sphinx -W docs build/docs"""

import shutil
from pathlib import Path

from jaxbrain import __version__

# Sphinx reads only what lies below its own folder.
HERE = Path(__file__).parent
shutil.rmtree(HERE / "notebooks", ignore_errors=True)
(HERE / "notebooks").mkdir()
for notebook in (HERE.parent / "notebooks").glob("*.ipynb"):
    shutil.copy2(notebook, HERE / "notebooks")

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

# Pages are text, and notebooks have their outputs: what they show runs as tests, not here.
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
