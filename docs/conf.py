"""The site: `sphinx-build -W docs build/site`. It needs the extra `docs` and no network."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import markup  # noqa: E402
import reference  # noqa: E402

project = "snnjax"
author = "the snnjax authors"
copyright = "the snnjax authors, Apache-2.0"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
html_theme = "furo"
html_title = "snnjax"
html_show_sphinx = False
html_copy_source = False
html_static_path = ["static"]
html_js_files = ["reach.js"]

nb_execution_mode = "off"  # a test runs the notebooks; the pages show what they printed
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

default_role = "code"
maximum_signature_line_length = 90
autoclass_content = "both"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_use_rtype = False
napoleon_use_ivar = True

# Pages that are made here; git ignores them.
reference.write(HERE / "api")
markup.copy_pages(HERE / "pages")
print("code that is not run:", *markup.list_skipped(HERE / "pages"), sep="\n")


def setup(app):
    """Called by Sphinx."""
    app.connect("source-read", markup.relink_page)
    app.connect("autodoc-process-signature", markup.shorten)
    # After napoleon, which reads the sections.
    app.connect("autodoc-process-docstring", markup.to_rest, priority=600)
