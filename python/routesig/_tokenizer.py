"""A model's tokenizer.json through the package tokenizers, whose errors become one sentence about the file.

Its rules may make a text longer, and one after the other many million times longer. Where they could, what they make is
made in a process apart, whose memory and time are limited.
"""

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from routesig import _core
from routesig._apart import EndedError, apart
from routesig._files import read_whole
from routesig._text import said
from routesig._tokenizer_growth import TEXT, TOKENS, growth, rules, rules_of

_LARGEST = 256_000_000  # bytes; large ones in use have 35 million
_ORDINARY = 64  # bytes that a byte of a text becomes at worst; OLMoE's rules make 12 of it
_LONGEST = 32_000_000  # bytes that may be made of all prompts here, and tokens apart
_PIECE = 1_000  # token ids whose texts come at a time


def load_tokenizer(file: Path) -> Any:
    """The tokenizer of a file. Whatever the file says, it neither pads nor cuts prompts, as transformers' does not."""
    try:
        tokenizers = importlib.import_module("tokenizers")
    except ImportError:
        raise ImportError("model.tokenizer needs the package tokenizers: pip install tokenizers") from None
    content = read_whole(file, _LARGEST)  # by content: the package takes no path that is not UTF-8
    if _long(growth(rules(content), TEXT), len(content)):  # of added tokens, which are put through the rules at once
        _apart(file, "a tokenizer", "loaded", content.decode("utf-8", "replace"))
    with faults_named(file, "a tokenizer"):
        tokenizer = tokenizers.Tokenizer.from_buffer(content)
        tokenizer.no_padding()
        tokenizer.no_truncation()
    return tokenizer


def encode(tokenizer: Any, file: Path, texts: Sequence[str], add_special_tokens: bool) -> list[list[int]]:
    """The ids of every text."""
    expected = "a tokenizer that can encode the prompts"
    if _long(growth(rules_of(tokenizer), TEXT), sum(map(len, texts))):
        return _apart(file, expected, "encoded", tokenizer.to_str(), list(texts), add_special_tokens)
    with faults_named(file, expected):
        return [one.ids for one in tokenizer.encode_batch(texts, add_special_tokens=add_special_tokens)]


def decode_each(tokenizer: Any, file: Path, ids: int) -> list[str]:
    """The text of each id below a number, special ones included."""
    expected = "a tokenizer that can decode every token id"
    if (factor := growth(rules_of(tokenizer), TOKENS)) > _ORDINARY:
        whole = tokenizer.to_str()
        if _long(factor, len(whole)):
            return [text for piece in _apart(file, expected, "decoded", whole, ids) for text in piece]
    with faults_named(file, expected):
        return list(tokenizer.decode_batch([[i] for i in range(ids)], skip_special_tokens=False))


def _long(factor: float, size: int) -> bool:
    """Whether so many bytes may become more than there ought to be memory for."""
    return factor > _ORDINARY and factor * size > _LONGEST


def _apart(file: Path, expected: str, work: str, *arguments: Any) -> list[Any]:
    try:
        return apart(f"routesig._tokenizer:{work}", str(file), *arguments)
    except EndedError as error:
        raise _core.FormatError(
            f"{file}: expected {expected}, found rules that make a text longer than can be borne ({error})"
        ) from None


def _made(file: str, expected: str, content: str) -> Any:
    with faults_named(Path(file), expected):
        return importlib.import_module("tokenizers").Tokenizer.from_str(content)


def loaded(file: str, content: str) -> Iterator[None]:
    """None, when the tokenizer has been made."""
    _made(file, "a tokenizer", content)
    yield None


def encoded(file: str, content: str, texts: Sequence[str], add_special_tokens: bool) -> Iterator[list[int]]:
    """The ids of each text."""
    expected, made = "a tokenizer that can encode the prompts", 0
    most = max(_LONGEST, sum(map(len, texts)))
    tokenizer = _made(file, expected, content)
    for text in texts:
        with faults_named(Path(file), expected):
            ids = tokenizer.encode(text, add_special_tokens=add_special_tokens).ids
        made += len(ids)
        if made > most:
            raise _core.FormatError(
                f"{file}: expected {expected}, found rules that make more than {most} tokens of them"
            )
        yield list(ids)


def decoded(file: str, content: str, ids: int) -> Iterator[list[str]]:
    """The texts of ids, many at a time."""
    expected, made = "a tokenizer that can decode every token id", 0
    tokenizer = _made(file, expected, content)
    for first in range(0, ids, _PIECE):
        with faults_named(Path(file), expected):
            texts = [tokenizer.decode([i], skip_special_tokens=False) for i in range(first, min(first + _PIECE, ids))]
        made += sum(map(len, texts))
        if made > _LONGEST:
            raise _core.FormatError(
                f"{file}: expected {expected}, found rules that make more than {_LONGEST} characters of them"
            )
        yield texts


@contextlib.contextmanager
def faults_named(place: Path, expected: str) -> Iterator[None]:
    """FormatError in place of what the package raises: a bare Exception, or a Rust panic, which is no Exception."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise _core.FormatError(f"{place}: expected {expected}, found something else ({said(error)})") from None
