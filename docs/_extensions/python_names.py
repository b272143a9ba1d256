"""`{public-names}` and `{public-modules}`: the Python API, found through `routesig.__all__`.

The body of `public-names` groups names, one `Title: name name` a line; names of `__all__` that no line holds follow at
the end, so that nothing public is ever missing. `public-modules` documents every public module by its own `__all__`.
"""

import importlib
import inspect
import re

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from docstrings import plain, with_colons


class PublicNames(SphinxDirective):
    """One section a group: a table of its names, then each of them."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        package = importlib.import_module("routesig")
        values = {name: getattr(package, name) for name in package.__all__ if not name.startswith("__")}
        values = {name: value for name, value in values.items() if not inspect.ismodule(value)}
        groups = {title: names.split() for title, names in (line.split(":", 1) for line in self.content)}
        grouped = {name for names in groups.values() for name in names}
        for name in grouped:
            if name not in values:
                raise self.error(f"public-names: expected names of routesig.__all__, got {name!r}")
        others = [name for name in values if name not in grouped]
        if others:
            groups["More"] = others
        return [_section(self, title, _group("routesig", names, values)) for title, names in groups.items()]


class PublicModules(SphinxDirective):
    """One section a module."""

    def run(self) -> list[nodes.Node]:
        package = importlib.import_module("routesig")
        modules = [name for name in package.__all__ if inspect.ismodule(getattr(package, name))]
        out = []
        for name in modules:
            module = getattr(package, name)
            values = {inner: getattr(module, inner) for inner in module.__all__}
            lines = ["", *inspect.cleandoc(module.__doc__ or "").split("\n"), ""]
            lines += _group(module.__name__, list(values), values)
            out.append(_section(self, module.__name__, lines))
        return out


def _group(module: str, names: list[str], values: dict[str, object]) -> list[str]:
    lines = [f".. currentmodule:: {module}", "", ".. autosummary::", "   :nosignatures:", ""]
    lines += [f"   {name}" for name in names]
    for name in names:
        value = values[name]
        compiled = inspect.isclass(value) and value.__module__.endswith("._core")
        lines += ["", f".. {_directive(value)}:: {module}.{name}{_constructor(value) if compiled else ''}"]
        if inspect.isclass(value):
            lines += ["   :members:"]
        if compiled:  # these describe themselves member by member, Python's in their docstring
            lines += ["   :undoc-members:"]
    return [*lines, ""]


def _directive(value: object) -> str:
    if inspect.isclass(value):
        return "autoexception" if issubclass(value, BaseException) else "autoclass"
    return "autofunction" if callable(value) else "autodata"


def _section(directive: SphinxDirective, title: str, lines: list[str]) -> nodes.section:
    section = nodes.section(ids=[nodes.make_id(title)], names=[nodes.fully_normalize_name(title)])
    section += nodes.title("", "", nodes.literal("", title) if "." in title else nodes.Text(title))
    source, _ = directive.get_source_info()
    # Docstrings are reStructuredText, the page around them is Markdown.
    lines = ["``````{eval-rst}", *lines, "``````"]
    directive.state.nested_parse(StringList(lines, source), directive.content_offset, section)
    return section


_ONLY_RETURNED = {"routesig.Model"}  # classes that users never construct


def _short_signature(app, what, name, obj, options, signature, returns):
    """Names and defaults alone, also for compiled functions, whose signatures come with types from their docstrings."""
    del app, what, obj, options, returns
    if name in _ONLY_RETURNED:
        return "", ""
    return None if signature is None else (_without_types(signature), "")


def _constructor(value: type) -> str:
    """The parameters of a compiled class, which autodoc does not find; "" where it has no constructor."""
    found = re.match(r"__init__(\(.*\)) -> None", value.__init__.__doc__ or "")
    return _without_types(found[1]) if found else ""


def _without_types(signature: str) -> str:
    parameters = [_without_type(one) for one in _split(signature[1:-1])]
    return f"({', '.join(one for one in parameters if one != 'self')})"


def _split(parameters: str) -> list[str]:
    """The parts between the commas that no bracket or quote encloses."""
    parts, depth, quoted = [""], 0, False
    for character in parameters:
        quoted ^= character == "'"
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _without_type(parameter: str) -> str:
    name, separator, rest = parameter.partition(":")
    if not separator or "=" in name:
        return parameter
    return name + ("=" + rest.rpartition(" = ")[2] if " = " in rest else "")


def _plain_docstring(app, what, name, obj, options, lines):
    del app, what, name, obj, options
    lines[:] = plain(lines)


def _with_colons(app, what, name, obj, options, lines):
    del app, what, name, obj, options
    lines[:] = with_colons(lines)


def _foreign(app, what, name, obj, skip, options):
    """Leave out what a base class of another package hangs on ours."""
    del app, name, options
    home = getattr(obj, "__module__", None) or "routesig"
    return True if what == "class" and not home.startswith("routesig") else skip


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both directives."""
    app.add_directive("public-names", PublicNames)
    app.add_directive("public-modules", PublicModules)
    app.connect("autodoc-process-signature", _short_signature)
    app.connect("autodoc-process-docstring", _plain_docstring, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", _with_colons, priority=600)  # after it
    app.connect("autodoc-skip-member", _foreign)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
