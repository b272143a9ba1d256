"""Formulas as MathML, written when the site is built: no script, no font and no network is needed to read them.

A formula that the converter does not know is a warning, and `sphinx -W` stops at it; rewrite the formula.
"""

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def _visit(translator, node, as_block: bool) -> None:
    formula = re.sub(r"\\[bB]igg?[lrm]?(?![a-zA-Z])", "", node.astext())  # the browser sizes delimiters
    try:
        markup = tex2mathml(formula, as_block=as_block)
    except MathError as error:
        logger.warning("formula %r: %s", node.astext(), error, location=node)
        markup = f"<code>{translator.encode(node.astext())}</code>"
    # A bar may open or close, and a slash is a fraction: neither has the spaces of an operator.
    markup = re.sub(r'<mo stretchy="false">([|/])', r'<mo stretchy="false" lspace="0" rspace="0">\1', markup)
    # A wide formula scrolls inside its own box instead of widening the page.
    translator.body.append(f'<div class="formula">{markup}</div>\n' if as_block else markup)
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer under the name that `html_math_renderer` takes."""
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(lambda translator, node: _visit(translator, node, False), None),
        block_renderers=(lambda translator, node: _visit(translator, node, True), None),
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
