"""`{headers} TARGET`: every public header of a CMake target, or of a group of it, in the order of its CMakeLists.txt.

Of each the opening comment, and after it the declarations. A new header appears on the page by being listed in CMake.
"""

import re
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from declarations import declarations, split_opening

ROOT = Path(__file__).resolve().parents[2]
LISTS = {"core": "CMakeLists.txt", "io": "src/io/CMakeLists.txt", "model": "src/model/CMakeLists.txt"}


def headers(target: str) -> list[Path]:
    """The public headers of `routesig::target` or of a group; an umbrella, which only includes others, left out."""
    text = (ROOT / LISTS.get(target, "src/CMakeLists.txt")).read_text(encoding="utf-8")
    if target in LISTS:
        listed = re.findall(r"include/(routesig/[\w/]+\.hpp)", text)
    else:
        nouns = re.search(rf"routesig_group\({target}\s([^)]*)\)", text)[1].split()
        all_of_them = [f"routesig/{target}/{noun}.hpp" for noun in nouns]
        listed = [path for path in all_of_them if (ROOT / "include" / path).exists()]
    return [ROOT / "include" / path for path in dict.fromkeys(listed) if path != "routesig/routesig.hpp"]


class Headers(SphinxDirective):
    """One section a header."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(ROOT / LISTS.get(self.arguments[0], "src/CMakeLists.txt")))
        return [self._section(header) for header in headers(self.arguments[0])]

    def _section(self, header: Path) -> nodes.section:
        self.env.note_dependency(str(header))
        text = header.read_text(encoding="utf-8")
        name = str(header.relative_to(ROOT / "include"))
        section = nodes.section(ids=[nodes.make_id(name)], names=[nodes.fully_normalize_name(name)])
        section += nodes.title("", "", nodes.literal("", name))
        section += self._prose(split_opening(text)[0], header)
        code = declarations(text)
        if code:
            section += nodes.raw("", "<details><summary>Declarations</summary>", format="html")
            section += nodes.literal_block(code, code, language="cpp")
            section += nodes.raw("", "</details>", format="html")
        return section

    def _prose(self, comment: str, header: Path) -> list[nodes.Node]:
        """Paragraphs, and indented lines as C++."""
        out: list[nodes.Node] = []
        for code, lines in _runs(comment):
            if code:
                out.append(nodes.literal_block(lines, lines, language="cpp"))
            else:
                parent = nodes.Element()
                self.state.nested_parse(StringList(_escaped(lines).split("\n"), str(header)), 0, parent)
                out.extend(parent.children)
        return out


def _runs(comment: str) -> list[tuple[bool, str]]:
    """(is code, text) in turn; code is indented by four spaces, as in Markdown."""
    blocks = re.split(r"\n(?:[ \t]*\n)+", comment.strip("\n"))
    out: list[tuple[bool, str]] = []
    for block in blocks:
        code = block.startswith("    ")
        text = re.sub(r"(?m)^    ", "", block) if code else block
        if out and out[-1][0] and code:
            out[-1] = (True, out[-1][1] + "\n\n" + text)
        else:
            out.append((code, text))
    return out


def _escaped(prose: str) -> str:
    """Prose whose marks outside of backticks mean themselves."""
    pieces = re.split(r"(`[^`]*`)", prose)
    return "".join(p if p.startswith("`") else re.sub(r"([*_<>$\[\]\\#])", r"\\\1", p) for p in pieces)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("headers", Headers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
