"""Python source as raw passages and as instruction -> function pairs."""

from __future__ import annotations

import ast
import random
import re
import textwrap

from .prompts import Pair

# Docstrings that open with one of these read as commands: "Return the ..." -> "Write a function to return the ...".
VERBS = {
    "return", "create", "compute", "get", "set", "read", "write", "parse", "convert", "remove", "add", "find",
    "check", "test", "open", "close", "print", "build", "make", "send", "receive", "run", "call", "load", "save",
    "format", "split", "join", "list", "copy", "move", "delete", "insert", "replace", "search", "sort", "encode",
    "decode", "generate", "validate", "update", "register", "start", "stop", "wait", "determine", "calculate",
    "extract", "compare", "apply", "process", "handle", "iterate", "yield", "raise", "initialize", "execute", "match",
    "compile", "evaluate", "escape", "quote", "normalize", "decompress", "compress", "flush", "append", "pop", "push",
    "reset", "clear", "walk", "scan", "dump", "show", "display", "report", "count", "reverse", "merge", "map", "fill",
    "wrap",
}  # fmt: skip
BY_PHRASE = (
    "Write a Python function to {phrase}.",
    "Write a function that can {phrase}.",
    "Write code to {phrase}.",
    "Implement a function called {name} to {phrase}.",
    "How do I {phrase} in Python?",
    "How can I {phrase}?",
    "Show how to {phrase} in Python.",
    "Create a method named {name} to {phrase}.",
    "Write a small program to {phrase}.",
    "Give me a Python routine to {phrase}.",
    "I need a function that will {phrase}.",
    "Define {name}, which should {phrase}.",
    "Using Python, {phrase}.",
)
BY_NAME = (
    "Write a Python function called {name} that takes {arguments}.",
    "Implement {name} with the arguments {arguments}.",
    "Write the function {words} in Python.",
    "Define a function {words} that uses {arguments}.",
    "Write code for {words}, given {arguments}.",
    "Implement the method {name} of the class {owner}.",
    "Show the code of a method named {name}.",
    "Write a helper named {name}.",
    "How would you write {words} in Python?",
    "Complete the function {name} for {owner}.",
)
BY_CLASS = (
    "Create a class named {name} with methods {methods}.",
    "Write a Python class called {name}.",
    "Define a {words} class with {methods}.",
    "Implement a class for a {words} in Python.",
    "Design a class {name}: {phrase}.",
    "Implement {words} as a class.",
)


def code_passages(files: dict[str, str]) -> list[str]:
    """Top-level statements of each file, cut where a piece has grown past about 600 characters."""
    passages = []
    for text in files.values():
        piece: list[str] = []
        for line in text.splitlines():
            starts_statement = line and not line[0].isspace() and line[0] not in "#)]}"
            if sum(map(len, piece)) > 900 or (starts_statement and sum(map(len, piece)) > 400):
                passages.append("\n".join(piece).strip("\n"))
                piece = []
            piece.append(line)
        passages.append("\n".join(piece).strip("\n"))
    return [passage for passage in passages if len(passage) > 80]


def _phrase(docstring: str | None) -> str | None:
    """The first sentence of a docstring as a command in lower case, or None when it is not one."""
    if not docstring:
        return None
    first = re.split(r"\.\s|\n\s*\n|:$", " ".join(docstring.strip().split("\n\n")[0].split()))[0].strip().rstrip(".:")
    word = first.split(" ")[0].lower()
    word = word[:-1] if word.endswith("s") and word[:-1] in VERBS else word
    if word not in VERBS or not 12 < len(first) < 110:
        return None
    return " ".join([word, *first.split(" ")[1:]])


def _source(lines: list[str], node: ast.FunctionDef | ast.ClassDef, keep_docstring: bool) -> str:
    start = node.lineno - 1
    body = node.body[0]
    own = lines[start : node.end_lineno]
    is_docstring = isinstance(body, ast.Expr) and isinstance(body.value, ast.Constant)
    if is_docstring and not keep_docstring and len(node.body) > 1 and body.lineno > node.lineno:
        own = lines[start : body.lineno - 1] + lines[body.end_lineno : node.end_lineno]
    return textwrap.dedent("\n".join(own))


def _words(name: str) -> str:
    return " ".join(re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)).lower() or name


def _function_pair(rng: random.Random, lines: list[str], node: ast.FunctionDef, owner: str) -> Pair:
    phrase = _phrase(ast.get_docstring(node))
    names = [argument.arg for argument in node.args.args if argument.arg not in ("self", "cls")]
    arguments = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names) or "no arguments"
    wordings = BY_PHRASE if phrase and rng.random() < 0.85 else BY_NAME
    words = _words(node.name)
    if wordings is BY_NAME and words.split(" ")[0] in VERBS and " " in words and rng.random() < 0.6:
        phrase, wordings = words, BY_PHRASE
    instruction = rng.choice(wordings).format(
        phrase=phrase, name=node.name, words=words, arguments=arguments, owner=owner or "your module"
    )
    return Pair(instruction, _source(lines, node, rng.random() < 0.5))


def _class_pair(rng: random.Random, lines: list[str], node: ast.ClassDef) -> Pair:
    methods = [item.name for item in node.body if isinstance(item, ast.FunctionDef) and not item.name.startswith("_")]
    docstring = (ast.get_docstring(node) or "").split("\n")[0].strip().rstrip(".")
    wordings = BY_CLASS if docstring else BY_CLASS[:4]
    instruction = rng.choice(wordings).format(
        name=node.name,
        words=_words(node.name),
        methods=" and ".join(methods[:3]) or "no methods",
        phrase=docstring,
    )
    return Pair(instruction, _source(lines, node, rng.random() < 0.3)[:900])


def code_pairs(files: dict[str, str], rng: random.Random) -> list[Pair]:
    """One pair for every function and class of at least two lines."""
    pairs = []
    for text in files.values():
        try:
            tree = ast.parse(text)
        except SyntaxError:  # lib2to3 and idlelib carry a few files of other dialects
            continue
        lines = text.splitlines()
        owners = {child: node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for child in node.body}
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) > node.lineno + 1:
                pairs.append(_function_pair(rng, lines, node, owners.get(node, "")))
            elif isinstance(node, ast.ClassDef) and (node.end_lineno or 0) > node.lineno + 1:
                pairs.append(_class_pair(rng, lines, node))
    return pairs
