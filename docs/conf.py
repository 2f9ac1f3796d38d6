"""How Sphinx builds the documentation: ``make docs``, HTML into build/docs, every warning an error."""

from __future__ import annotations

import os
import re
from typing import Any

from midas import __version__

project = "midas"
author = "midas contributors"
copyright = author
version = release = __version__

extensions = [
    "myst_nb",  # and with it myst_parser
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
]
# The first one is also that of the pages that autosummary makes.
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb"}
templates_path = ["_templates"]

# Formulas between dollars; an anchor at every heading, which the code cites as docs/theory/<page>.md#<heading>.
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 4

# Notebooks are run, each time, and an error in one of them is an error of the page.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
# Figures as HTML with the drawing program in the page: read by the kernel that runs them.
os.environ["PLOTLY_RENDERER"] = "notebook"

# Docstrings: what stands between single backquotes is code, as in Markdown.
default_role = "code"
autodoc_default_options = {"show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autosummary_generate = True
numpydoc_show_class_members = False
# An annotation is looked up by its last word, and `type` or `Path` may be the name of several attributes as well.
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = f"midas {__version__}"
html_copy_source = False

#: what NumPy's names for annotations expand to, and the names
_ARRAY = re.compile(
    r"~?numpy\.ndarray\[tuple\[~?typing\.Any, \.\.\.\], ~?numpy\.dtype\[~?(?:numpy\.|typing\.)?(\w+)\]\]"
)
_ARRAY_LIKE = re.compile(r"~?numpy\._typing.*?complex \| bytes \| str\]")


def _readable(
    _app: Any, _what: str, _name: str, _obj: Any, _options: Any, given: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Signature and return annotation with the names that the code has; None of what has no signature."""
    if given is None:
        return None, None
    given, returned = (
        _ARRAY_LIKE.sub("ArrayLike", _ARRAY.sub(r"NDArray[\1]", text or "")) for text in (given, returned)
    )
    return given, returned


def setup(app: Any) -> None:
    """Called by Sphinx."""
    # Before numpydoc, which would otherwise look for signatures in the docstrings.
    app.connect("autodoc-process-signature", _readable, priority=400)
