"""Chat templates: prompts in the model's own conversation format, as token ids. Hugging Face's transformers does it."""

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from routesig import _core
from routesig._apart import EndedError, apart
from routesig._files import read_json_object, read_whole
from routesig._prompts import Prompt
from routesig._text import said, shortened
from routesig._tokenizer import faults_named

_CONFIG, _TEMPLATE = "tokenizer_config.json", "chat_template.jinja"
_JSON = (_CONFIG, "special_tokens_map.json", "added_tokens.json")  # beside tokenizer.json, which `Model` has read
_SPECIAL = tuple(f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
_LARGEST = 16_000_000  # bytes of each of these files
_LONGEST = 10_000_000  # characters of a rendered prompt


def chat_ids(folder: Path, prompts: Sequence[Prompt]) -> list[list[int]]:
    """The ids that `apply_chat_template` of the folder's tokenizer gives for each prompt as the user's one message.

    A template is a program of whoever made the folder, so it runs apart.
    """
    for package in ("transformers", "jinja2"):
        if importlib.util.find_spec(package) is None:
            raise _without(ImportError(f"No module named {package!r}"))
    try:
        pairs = [(prompt.id, prompt.text) for prompt in prompts]
        _, *ids = apart("routesig._chat:rendered_ids", os.fspath(folder), pairs)
    except EndedError as error:
        if error.done == 0:
            with _making(folder):
                raise
        raise _not_rendered(folder, prompts[error.done - 1].id, str(error)) from None
    return ids


def rendered_ids(folder: str, prompts: Sequence[tuple[str, str]]) -> Iterator[list[int] | None]:
    """None when the tokenizer is there, then the ids of every prompt, given as its id and text."""
    tokenizer = _tokenizer(Path(folder))
    yield None
    for name, text in prompts:
        yield _ids(tokenizer, name, text, Path(folder))


def _ids(tokenizer: Any, name: str, text: str, folder: Path) -> list[int]:
    turn = partial(tokenizer.apply_chat_template, [{"role": "user", "content": text}], add_generation_prompt=True)
    length = len(_rendered(partial(turn, tokenize=False), name, folder))
    if length > _LONGEST:
        raise _not_rendered(folder, name, f"it gives {length} characters, more than {_LONGEST}")
    with faults_named(folder, f"{_files(folder)} that can encode the prompts"):
        return list(turn(tokenize=True, return_dict=False))


def _rendered(turn: Callable[[], str], name: str, folder: Path) -> str:
    try:
        return turn()
    except ImportError as error:  # Jinja is too old
        raise _without(error) from None
    except MemoryError:
        raise
    except Exception as error:  # a template can raise anything
        if (line := getattr(error, "lineno", None)) is not None:
            raise _core.FormatError(
                f"{_source(folder)}: expected a chat template that parses, found a fault in its line {line} "
                f"({said(error)})"
            ) from None
        raise _not_rendered(folder, name, said(error)) from None


def _not_rendered(folder: Path, name: str, why: str) -> ValueError:
    return ValueError(f"record: the chat template of {_source(folder)} does not render prompt {name!r} ({why})")


def _source(folder: Path) -> Path:
    """The file that holds the template."""
    return folder / (_TEMPLATE if (folder / _TEMPLATE).is_file() else _CONFIG)


def _tokenizer(folder: Path) -> Any:
    """The tokenizer that transformers makes of a folder: nothing is downloaded, no code of the folder runs."""
    try:
        auto = importlib.import_module("transformers").AutoTokenizer
    except ImportError as error:
        raise _without(error) from None
    for name in _JSON:
        if (folder / name).is_file():
            _check_config(folder / name)
    if (folder / _TEMPLATE).is_file():
        read_whole(folder / _TEMPLATE, _LARGEST)
    with _making(folder):
        tokenizer = auto.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    template = tokenizer.chat_template
    if template is None:
        raise _core.FormatError(
            f"{folder}: chat_template='model' needs a chat template in {_TEMPLATE} or {_CONFIG}, found none"
        )
    if isinstance(template, dict) and "default" not in template:
        names = ", ".join(map(repr, sorted(template))) or "none"
        raise _core.FormatError(f"{folder}: expected a chat template named 'default' among several, found {names}")
    return tokenizer


def _check_config(file: Path) -> None:
    """Refuse by name what would fail deep inside another library."""
    fields = read_json_object(file, _LARGEST)
    for name in _SPECIAL:
        token = fields.get(name)
        if not isinstance(token["content"] if isinstance(token, dict) and "content" in token else token, str | None):
            raise _core.FormatError(f"{file}: expected {name} as text or an object with content, found {token!r}")
    template = fields.get("chat_template")
    if not (template is None or all(isinstance(text, str) for text in _texts(template))):
        raise _core.FormatError(
            f"{file}: expected chat_template as text, or as objects with name and template, "
            f"found {shortened(repr(template))}"
        )


def _texts(template: Any) -> list[Any]:
    """What has to be text in a `chat_template`: itself, or the names and templates of several."""
    if isinstance(template, dict):
        return list(template.values())
    if isinstance(template, list):
        entries = [one if isinstance(one, dict) else {} for one in template]
        return [one.get(key) for one in entries for key in ("name", "template")]
    return [template]


def _making(folder: Path) -> AbstractContextManager[None]:
    return faults_named(folder, f"{_files(folder)} of which transformers makes a tokenizer")


def _files(folder: Path) -> str:
    return ", ".join(name for name in ("tokenizer.json", *_JSON, _TEMPLATE) if (folder / name).is_file())


def _without(error: ImportError) -> ImportError:
    return ImportError(f"chat_template='model' needs transformers ({said(error)}): pip install 'routesig[hf]'")
