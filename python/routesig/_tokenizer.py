"""A model's tokenizer.json through the package tokenizers, whose errors become one sentence about the file."""

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from routesig import _core
from routesig._files import read_whole
from routesig._text import said

_LARGEST = 256_000_000  # bytes; large ones in use have 35 million


def load_tokenizer(file: Path) -> Any:
    """The tokenizer of a file. Whatever the file says, it neither pads nor cuts prompts, as transformers' does not."""
    try:
        tokenizers = importlib.import_module("tokenizers")
    except ImportError:
        raise ImportError("model.tokenizer needs the package tokenizers: pip install tokenizers") from None
    content = read_whole(file, _LARGEST)  # by content: the package takes no path that is not UTF-8
    with faults_named(file, "a tokenizer"):
        tokenizer = tokenizers.Tokenizer.from_buffer(content)
        tokenizer.no_padding()
        tokenizer.no_truncation()
    return tokenizer


def encode(tokenizer: Any, file: Path, texts: Sequence[str], add_special_tokens: bool) -> list[list[int]]:
    """The ids of every text."""
    with faults_named(file, "a tokenizer that can encode the prompts"):
        return [one.ids for one in tokenizer.encode_batch(texts, add_special_tokens=add_special_tokens)]


def decode_each(tokenizer: Any, file: Path, ids: int) -> list[str]:
    """The text of each id below a number, special ones included."""
    with faults_named(file, "a tokenizer that can decode every token id"):
        return list(tokenizer.decode_batch([[i] for i in range(ids)], skip_special_tokens=False))


@contextlib.contextmanager
def faults_named(place: Path, expected: str) -> Iterator[None]:
    """FormatError in place of what the package raises: a bare Exception, or a Rust panic, which is no Exception."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise _core.FormatError(f"{place}: expected {expected}, found something else ({said(error)})") from None
