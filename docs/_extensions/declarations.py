"""What a C++ header declares: its text without function bodies, private parts and `detail` namespaces.

Not a parser of C++: it follows braces and knows the shapes that this library's headers use. A shape that it does not
know is shown as it stands.
"""

import re

_LITERAL = re.compile(r"""R"\((?:.|\n)*?\)"|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])'""")
_ACCESS = re.compile(r"(public|protected|private):")


def declarations(text: str) -> str:
    """The declarations of a header.

    Parameters
    ----------
    text : str
        A whole header: an opening comment, includes, namespaces.

    Returns
    -------
    str
        Public declarations with their comments, as C++.
    """
    _, body = split_opening(text)
    body = re.sub(r"(?m)^#\s*(include|pragma|if|ifdef|ifndef|elif|else|endif)\b[^\n]*\n", "", body)
    body = re.sub(r"[ \t]*// (NOLINT|namespace)[^\n]*", "", body)
    out = "".join(_scope(body, hidden=False))
    out = re.sub(r"[ \t]+\n", "\n", out)
    out = re.sub(r"\n\s*\n(\s*\};)", r"\n\1", out)
    return re.sub(r"\n{3,}", "\n\n", out).strip()


def split_opening(text: str) -> tuple[str, str]:
    """The opening `///` comment without its marks and the line that names the file, and everything after it."""
    lines = text.split("\n")
    end = next((i for i, line in enumerate(lines) if not line.startswith("///")), len(lines))
    opening = [re.sub(r"^/// ?", "", line) for line in lines[:end] if not line.startswith("/// \\file")]
    return "\n".join(opening), "\n".join(lines[end:])


def _scope(text: str, hidden: bool):
    """Yield what is shown of a namespace's or a class's inside; `hidden`: it begins with private members."""
    at = start = parens = 0  # start: of the declaration that `at` is inside of
    shown = not hidden
    while at < len(text):
        skipped = _skip(text, at)
        if skipped > at:
            at = skipped
            continue
        character = text[at]
        if parens == 0 and (access := _ACCESS.match(text, at)) and not _code(text[start:at]).strip():
            if shown:
                yield text[start:at].rstrip(" ")
            shown = access[1] == "public"
            if shown:
                yield "\n public:"
            at = start = access.end()
        elif character in "([":
            parens, at = parens + 1, at + 1
        elif character in ")]":
            parens, at = parens - 1, at + 1
        elif character == ";" and parens == 0:
            at += 1
            if shown:
                yield text[start:at]
            start = at
        elif character == "{":
            end = _matching(text, at)
            kind = _kind(_code(text[start:at])) if parens == 0 else "value"
            if kind == "value":
                at = end
                continue
            if shown:
                yield from _block(kind, text[start:at], text[at + 1 : end - 1])
            at = start = end
        else:
            at += 1
    if shown:
        yield text[start:]


def _block(kind: str, head: str, inside: str):
    if kind == "namespace":
        if not re.search(r"namespace\s+\w*detail\s*$", head):
            yield _comments_before(head)
            yield from _scope(inside, hidden=False)
        return
    if kind == "function":
        yield re.sub(r"\s*$", "", _without_initializers(head)) + ";"
        return
    yield head + "{"
    yield from _scope(inside, hidden=bool(re.search(r"\bclass\b[^;]*$", _code(head))))
    yield "}"


def _kind(head: str) -> str:
    """What a brace opens after this code (without comments): namespace, type, function, or a value (kept as it is)."""
    if re.search(r"\bnamespace\b", head):
        return "namespace"
    plain = _without_angles(_without_templates(head))
    if re.search(r"\b(enum|concept|requires)\b", plain):
        return "value"
    if re.match(r"\s*(?:\[\[\w+\]\]\s*)?(struct|class|union)\b", plain):
        return "type"
    # A function has its parentheses outside of any others, and no '=' there.
    outside = re.sub(r"operator\s*[^\s(]+|\((?:[^()]|\([^()]*\))*\)", "()", plain)
    if "()" not in outside or "=" in outside:
        return "value"
    # Inside a constructor's list of initializers a brace after a name is a value; the body follows ')' or '}'.
    initializer = re.search(r"\)\s*(?:noexcept\s*)?:(?!:)", plain) and re.search(r"\w\s*$", plain)
    return "value" if initializer else "function"


def _skip(text: str, at: int) -> int:
    """The end of the comment, literal or preprocessor line that begins at `at`, else `at`."""
    if text.startswith("//", at):
        return text.find("\n", at) if "\n" in text[at:] else len(text)
    if text[at] == "'" and at and text[at - 1].isalnum():  # a digit separator
        return at + 1
    literal = _LITERAL.match(text, at)
    return literal.end() if literal else at


def _matching(text: str, at: int) -> int:
    """Behind the brace that closes the one at `at`."""
    depth = 0
    while at < len(text):
        skipped = _skip(text, at)
        if skipped > at:
            at = skipped
            continue
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
        if depth == 0:
            return at
    raise ValueError("declarations: expected every brace to be closed, got one that is not")


def _code(text: str) -> str:
    """The text without comments and preprocessor lines."""
    return re.sub(r"(?m)//[^\n]*|^#[^\n]*", "", text)


def _comments_before(head: str) -> str:
    """What stands before a namespace: preprocessor lines and blank ones."""
    return re.sub(r"(?:inline\s+)?namespace\s+[\w:]*\s*$", "", head)


def _without_initializers(head: str) -> str:
    return re.sub(r"\)((?:\s*noexcept)?)\s*:(?!:)(?:.|\n)*$", r")\1", head)


def _without_templates(head: str) -> str:
    """The code without its leading `template <...>`, whose defaults hold '=' and whose types hold names."""
    while found := re.match(r"\s*template\s*<", head):
        depth, at = 1, found.end()
        while depth and at < len(head):
            depth += {"<": 1, ">": -1}.get(head[at], 0)
            at += 1
        head = head[at:]
    return head


def _without_angles(head: str) -> str:
    """The code without template arguments: the `()` of `std::function<void()> f{}` makes no function of `f`."""
    while (shorter := re.sub(r"(?<!operator)<[^<>]*>", "", head)) != head:
        head = shorter
    return head
