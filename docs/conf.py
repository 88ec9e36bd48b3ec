"""The site: `nox -s docs`. The pages are Markdown, readable where they are; the API's are made of the docstrings."""

from __future__ import annotations

import inspect
import re
import sys
import tempfile
import textwrap
import zlib
from pathlib import Path

from docutils import nodes

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import calls  # noqa: E402

import axisoft  # noqa: E402

project = "axisoft"
author = "the axisoft developers"
copyright = author
version = release = axisoft.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery/*.ipynb"]
nitpicky = True
suppress_warnings = ["config.cache"]  # the gallery's functions: nothing of a build is kept for the next
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
html_theme = "furo"
html_title = "axisoft"
html_favicon = html_logo = "_static/mark.svg"
html_static_path = ["_static"]
html_css_files = ["axisoft.css"]
html_js_files = ["axisoft.js"]
autodoc_typehints = "none"

# Where the peers describe what our pages name. An inventory is a file from their site; these hold the names that are
# needed here, as lines of text, so that a build asks no network.
PLACES = {
    "numpy": "https://numpy.org/doc/stable/",
    "scipy": "https://docs.scipy.org/doc/scipy/",
    "torch": "https://docs.pytorch.org/docs/stable/",
    "jax": "https://docs.jax.dev/en/latest/",
    "optax": "https://optax.readthedocs.io/en/latest/",
}
INVENTORIES = Path(tempfile.mkdtemp())


def inventory(name):
    """The form that Sphinx reads of an inventory of ours."""
    head = f"# Sphinx inventory version 2\n# Project: {name}\n# Version: \n# The remainder is compressed using zlib.\n"
    packed = INVENTORIES / f"{name}.inv"
    packed.write_bytes(head.encode() + zlib.compress((HERE / "inventories" / f"{name}.txt").read_bytes()))
    return str(packed)


intersphinx_mapping = {name: (place, inventory(name)) for name, place in PLACES.items()}


def drawn_alike(gallery_conf, script):
    import matplotlib.pyplot as plt

    plt.rcdefaults()
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False})


GALLERY = ("axis", "lost_digits", "smoothing", "temperature", "attention", "training", "imbalance", "calibration")
sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": "",
    "within_subsection_order": lambda file: GALLERY.index(file.removesuffix(".py")),
    "abort_on_example_error": True,
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("axisoft",),
    "download_all_examples": False,
    "reset_modules": (drawn_alike,),
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1e9,
    "plot_gallery": True,
    "run_stale_examples": True,
}

FAMILIES = {
    "Softmax": ("softmax", "log_softmax", "logsumexp", "softmax2d"),
    "Sigmoid": ("sigmoid", "log_sigmoid", "softplus"),
    "Losses": ("cross_entropy", "linear_cross_entropy", "nll_loss", "binary_cross_entropy_with_logits"),
    "Derivatives": ("vjp", "value_and_grad"),
    "Diagnosis and settings": ("diagnose", "show_versions", "get_num_threads", "set_num_threads"),
}

PEERS = {
    "softmax": ("scipy.special.softmax", "torch.nn.functional.softmax", "jax.nn.softmax"),
    "log_softmax": ("scipy.special.log_softmax", "torch.nn.functional.log_softmax", "jax.nn.log_softmax"),
    "logsumexp": ("scipy.special.logsumexp", "torch.logsumexp", "jax.nn.logsumexp", "numpy.logaddexp"),
    "softmax2d": ("torch.nn.Softmax2d",),
    "sigmoid": ("scipy.special.expit", "torch.sigmoid", "jax.nn.sigmoid"),
    "log_sigmoid": ("scipy.special.log_expit", "torch.nn.functional.logsigmoid", "jax.nn.log_sigmoid"),
    "softplus": ("scipy.special.softplus", "torch.nn.functional.softplus", "jax.nn.softplus"),
    "cross_entropy": (
        "torch.nn.functional.cross_entropy",
        "optax.losses.softmax_cross_entropy_with_integer_labels",
        "optax.losses.softmax_cross_entropy",
    ),
    "linear_cross_entropy": ("torch.nn.functional.linear_cross_entropy",),
    "nll_loss": ("torch.nn.functional.nll_loss",),
    "binary_cross_entropy_with_logits": (
        "torch.nn.functional.binary_cross_entropy_with_logits",
        "optax.losses.sigmoid_binary_cross_entropy",
    ),
    "vjp": ("torch.func.vjp", "jax.vjp"),
    "value_and_grad": ("torch.func.grad_and_value", "jax.value_and_grad"),
}


def page_of(name, family):
    """A function's page: a call in each library with what it prints, its docstring, its relatives and its peers."""
    lines = [name, "=" * len(name), ""]
    if name in calls.CALLS or name in calls.ALIKE:
        lines += [".. tab-set::", "    :sync-group: library", ""]
        for library, (title, *_) in calls.LIBRARIES.items():
            code = calls.source(name, library)
            _, printed = calls.run(code)
            parts = [f".. tab-item:: {title}", f"    :sync: {library}", "", "    .. code-block:: python", ""]
            parts += [textwrap.indent(code, " " * 8), "", "    .. code-block:: text", ""]
            parts += [textwrap.indent(printed, " " * 8)]
            lines += [textwrap.indent("\n".join(parts), "    "), ""]
    lines += [".. currentmodule:: axisoft", "", f".. autofunction:: axisoft.{name}", ""]
    ours = ", ".join(f":func:`axisoft.{other}`" for other in family if other != name)
    theirs = ", ".join(f":py:obj:`{peer}`" for peer in PEERS.get(name, ()))
    lines += [f".. seealso:: {ours}" + (f"; elsewhere {theirs}, and :doc:`/porting`" if theirs else ""), ""]
    lines += [f".. minigallery:: axisoft.{name}", "    :add-heading: In the gallery", "    :heading-level: -", ""]
    return "\n".join(lines)


def write_api(app):
    """A page a function, and their list, beside the other pages; git does not see them."""
    missing = set(axisoft.__all__) ^ {name for names in FAMILIES.values() for name in names}
    if missing:
        raise ValueError(f"docs/conf.py: FAMILIES and axisoft.__all__ differ by {', '.join(sorted(missing))}")
    folder = HERE / "api"
    folder.mkdir(exist_ok=True)
    lines = ["# API", ""]
    for family, names in FAMILIES.items():
        lines += [f"## {family}", "", "```{toctree}", ":hidden:", "", *names, "```", "", "| | |", "| --- | --- |"]
        for name in names:
            said = (
                inspect.getdoc(getattr(axisoft, name))
                .split("\n\n")[0]
                .replace("\n", " ")
                .replace("``", "`")
                .replace(":func:", "")
            )
            lines.append(f"| `{name}` | {said.replace('|', chr(92) + '|')} |")
            (folder / f"{name}.rst").write_text(page_of(name, names))
        lines.append("")
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


INSIDE = ("how-it-works", "add-a-function", "add-a-backend")  # where an op's `vjp`, for one, is not the public one


def link_calls(app, doctree, docname):
    """A call or a name of ours that a page quotes leads to its page; the Markdown stays as readable as it is."""
    for literal in list(doctree.findall(nodes.literal)):
        prefix = r"axisoft\." if docname in INSIDE else r"(?:axisoft\.)?"
        found = re.fullmatch(rf"{prefix}(\w+)(?:\(.*\))?", literal.astext(), re.DOTALL)
        inside = literal.parent
        while inside is not None and not isinstance(inside, (nodes.reference, nodes.title)):
            inside = inside.parent
        if found and found[1] in axisoft.__all__ and inside is None and docname != f"api/{found[1]}":
            link = nodes.reference("", "", internal=True)
            link["refuri"] = app.builder.get_relative_uri(docname, f"api/{found[1]}")
            literal.replace_self(link)
            link += literal


def setup(app):
    app.connect("doctree-resolved", link_calls)
    app.connect("builder-inited", write_api)
    app.connect("autodoc-process-docstring", read_docstring)
