"""The documentation site: `make docs`. Its pages are Markdown and read well without it."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "lungscore"
author = "The lungscore authors"
version = release = re.search(
    r'__version__ = "(.+)"', (HERE.parent / "src/lungscore/version.py").read_text("utf-8")
)[1]
html_title = f"lungscore {release}"

extensions = [
    "reference_pages",
    "not_run",
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "_ext", "**.ipynb_checkpoints"]
# numpydoc's sections; types of other libraries stay plain text, so that nothing is looked up online.
napoleon_google_docstring = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = True
templates_path = ["_templates"]
nitpicky = True
# Types in docstrings are words ("ndarray", "str to Change"), not names to be looked up.
nitpick_ignore_regex = [(r"py:(class|exc|obj)", r"(?!lungscore\.).*")]

myst_enable_extensions = ["colon_fence", "deflist", "attrs_block"]
myst_heading_anchors = 4
# A link that leads nowhere is a warning, and `make docs` ends with an error for a warning. The
# language of a cell is known only once a kernel has run it.
suppress_warnings = ["myst-nb.lexer"]

# The tutorials run while the site is built; with the same text and code they are not run again.
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"footer_icons": []}
html_show_copyright = False
html_copy_source = False
pygments_style = "default"
pygments_dark_style = "github-dark"

linkcheck_timeout = 20
