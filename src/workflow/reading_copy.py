"""The reading copy of an executed notebook: an HTML file that needs no network, mathematics included."""

import copy
import re
from html import escape
from pathlib import Path
from typing import Any

from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors.sanitize import SanitizeHTML
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from workflow.mathematics import mathml

STYLE = Path(__file__).with_name("reading_copy.css")
# What an output may bring of HTML: tables and plain text marks. All else is shown as the text that it is.
TAGS = ["b", "br", "code", "div", "em", "i", "li", "ol", "p", "pre", "span", "strong", "sub", "sup", "ul"]
TAGS += ["table", "tbody", "td", "th", "thead", "tr"]
ATTRIBUTES = {"*": ["class"], "td": ["colspan", "rowspan"], "th": ["colspan", "rowspan"]}
PLAIN = {"text/plain", "image/png", "image/jpeg"}
CLEANED = {"text/html", "text/markdown", "text/latex"}
STYLE_BLOCK = re.compile(r"<style\b.*?</style\s*>", re.DOTALL | re.IGNORECASE)  # the page has a style of its own
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<p class="origin">{origin}</p>
<main>
{body}
</main>
</body>
</html>
"""


class MathematicsRenderer(IPythonRenderer):
    """Markdown to HTML with every formula as MathML, which browsers draw by themselves."""

    def inline_math(self, body: str) -> str:
        """Return a formula within a line."""
        return mathml(body)

    def block_math(self, body: str) -> str:
        """Return a displayed formula."""
        return mathml(body, "block")

    def multiline_math(self, text: str) -> str:
        """Return a displayed formula that still has its delimiters."""
        return mathml(text.strip().strip("$").removeprefix(r"\[").removesuffix(r"\]"), "block")

    def latex_environment(self, name: str, body: str) -> str:
        """Return a displayed environment such as align."""
        return mathml(rf"\begin{{{name}}}{body}\end{{{name}}}", "block")


def render_markdown(text: str) -> str:
    """Return a Markdown text as HTML."""
    return MarkdownWithMath(renderer=MathematicsRenderer(escape=False, exclude_anchor_links=True)).render(text)


def reading_copy(notebook: NotebookNode, origin: str) -> str:
    """Return an executed notebook as a page; `origin` says in one line where it comes from."""
    exporter = HTMLExporter(
        template_name="basic",
        filters={"markdown2html": render_markdown, "mimetype2math": lambda text: text},
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    body, _ = exporter.from_notebook_node(with_clean_outputs(notebook))
    style = HtmlFormatter(style="friendly").get_style_defs(".highlight") + "\n" + STYLE.read_text(encoding="utf-8")
    return PAGE.format(title=escape(title(notebook)), style=style, origin=escape(origin), body=body)


def with_clean_outputs(notebook: NotebookNode) -> NotebookNode:
    """Return a notebook whose outputs run nothing and load nothing; its prose is the author's and stays."""
    clean = copy.deepcopy(notebook)
    outputs = [output for cell in clean.cells if cell.cell_type == "code" for output in cell.outputs]
    for output in outputs:
        for kind in CLEANED & set(output.get("data", {})):
            output.data[kind] = STYLE_BLOCK.sub("", output.data[kind])
    sanitizer = SanitizeHTML(
        tags=TAGS, attributes=ATTRIBUTES, styles=[], safe_output_keys=PLAIN, sanitized_output_types=CLEANED
    )
    sanitizer.sanitize_code_outputs(outputs)
    return clean


def title(notebook: NotebookNode) -> str:
    """Return the first heading of a notebook."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    found: Any = next((hit for text in texts if (hit := re.search(r"^#\s+(.+)$", text, re.MULTILINE))), None)
    return found[1] if found else "Notebook"
