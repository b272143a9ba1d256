"""How Sphinx builds this documentation: `python -m sphinx -W docs build/site`, with routesig installed.

Nothing on a page comes from the network: formulas become MathML when the site is built, fonts are the reader's own.
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

ROOT = Path(__file__).resolve().parents[1]

project = "routesig"
copyright = "the routesig authors"
version = release = re.findall(r'define ROUTESIG_VERSION "(.+)"', (ROOT / "include/routesig/version.hpp").read_text())[
    0
]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "mathml",
    "cpp_headers",
    "python_names",
]
html_math_renderer = "mathml"
exclude_patterns = ["_extensions"]
smartquotes_action = "D"  # dashes alone: quoted words in docstrings are values to type
highlight_language = "none"  # blocks without a language are output, files or shell lines

# Pages: CommonMark with formulas between dollars, and headings that links can name.
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

# Docstrings: NumPy style; single backticks are code; the text names the types.
default_role = "code"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = False
napoleon_google_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]
# As fields of their own, types would become links, and so would the words of a shape such as [layers, tokens].
napoleon_use_param = napoleon_use_rtype = False

html_theme = "furo"
html_title = f"routesig {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
copybutton_exclude = ".linenos, .gp, .go"
