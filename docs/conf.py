"""The site: `nox -s docs`. The pages are Markdown, readable where they are; the API's are made of the docstrings."""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import axisoft  # noqa: E402

project = "axisoft"
author = "the axisoft developers"
copyright = author
version = release = axisoft.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "sphinx_design"]
exclude_patterns = ["_build"]
nitpicky = True
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
html_theme = "furo"
html_title = "axisoft"
html_static_path = ["_static"]
html_css_files = ["axisoft.css"]
autodoc_typehints = "none"

FAMILIES = {
    "Softmax": ("softmax", "log_softmax", "logsumexp", "softmax2d"),
    "Sigmoid": ("sigmoid", "log_sigmoid", "softplus"),
    "Losses": ("cross_entropy", "linear_cross_entropy", "nll_loss", "binary_cross_entropy_with_logits"),
    "Derivatives": ("vjp", "value_and_grad"),
    "Looking": ("diagnose", "show_versions", "get_num_threads", "set_num_threads"),
}


def write_api(app):
    """A page a function, and their list, beside the other pages; git does not see them."""
    missing = set(axisoft.__all__) ^ {name for names in FAMILIES.values() for name in names}
    if missing:
        raise ValueError(f"docs/conf.py: FAMILIES and axisoft.__all__ differ by {', '.join(sorted(missing))}")
    folder = HERE / "api"
    folder.mkdir(exist_ok=True)
    lines = ["# API", ""]
    for family, names in FAMILIES.items():
        lines += [f"## {family}", "", "```{toctree}", ":maxdepth: 1", "", *names, "```", ""]
        for name in names:
            title = f"{name}\n{'=' * len(name)}"
            others = ", ".join(f":func:`axisoft.{other}`" for other in names if other != name)
            page = (
                f"{title}\n\n.. currentmodule:: axisoft\n\n.. autofunction:: axisoft.{name}\n\n.. seealso:: {others}\n"
            )
            (folder / f"{name}.rst").write_text(page)
    (folder / "index.md").write_text("\n".join(lines))


def read_docstring(app, what, name, thing, options, lines):
    """The docstrings' own form: under an underlined heading, ``names : text``, indented where it goes on."""
    found, items = [], False
    for i, line in enumerate(lines):
        underlined = i + 1 < len(lines) and re.fullmatch(r"-{3,}", lines[i + 1]) is not None
        if underlined:
            items = line in ("Parameters", "Returns", "Raises", "Attributes")
            found += [f".. rubric:: {line}", ""]
        elif re.fullmatch(r"-{3,}", line):
            continue
        elif items and (item := re.fullmatch(r"(\S.*?) : (.*)", line)):
            names = ", ".join(f"``{part}``" for part in item[1].split(", "))
            found += ["", names, f"    {item[2]}"]
        elif items and line and not line.startswith(" "):
            found += ["", line]
        else:
            found.append(line)
    lines[:] = [re.sub(r"docs/([\w-]+)\.md", r":doc:`\1 </\1>`", line) for line in found]


def setup(app):
    app.connect("builder-inited", write_api)
    app.connect("autodoc-process-docstring", read_docstring)
