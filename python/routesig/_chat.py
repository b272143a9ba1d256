"""Chat templates: prompts in the model's own conversation format, as token ids. Hugging Face's transformers does it."""

import importlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from routesig import _core
from routesig._prompts import Prompt
from routesig._text import json_value

_CONFIG, _TEMPLATE = "tokenizer_config.json", "chat_template.jinja"
_JSON = (_CONFIG, "special_tokens_map.json", "added_tokens.json")  # beside tokenizer.json, which `Model` has read
_SPECIAL = tuple(f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
_LONGEST = 400  # characters of what a template or another library says


def chat_ids(folder: Path, prompts: Sequence[Prompt]) -> list[list[int]]:
    """The ids that `apply_chat_template` of the folder's tokenizer gives for each prompt as the user's one message."""
    tokenizer = _tokenizer(folder)
    return [_ids(tokenizer, prompt, folder) for prompt in prompts]


def _ids(tokenizer: Any, prompt: Prompt, folder: Path) -> list[int]:
    turn = partial(
        tokenizer.apply_chat_template, [{"role": "user", "content": prompt.text}], add_generation_prompt=True
    )
    try:
        return list(turn(tokenize=True, return_dict=False))
    except ImportError as error:  # Jinja is missing or too old
        raise _without(error) from None
    except Exception as error:  # a template can raise anything
        if (line := getattr(error, "lineno", None)) is not None:
            raise _core.FormatError(
                f"{folder}: expected a chat template that parses, found a fault in its line {line} ({_said(error)})"
            ) from None
        if _succeeds(partial(turn, tokenize=False)):
            raise _no_tokenizer(folder, error) from None
        raise ValueError(
            f"record: the chat template of {folder} does not render prompt {prompt.id!r} ({_said(error)})"
        ) from None


def _succeeds(call: Callable[[], Any]) -> bool:
    try:
        call()
    except Exception:
        return False
    return True


def _tokenizer(folder: Path) -> Any:
    """The tokenizer that transformers makes of a folder: nothing is downloaded, no code of the folder runs."""
    try:
        auto = importlib.import_module("transformers").AutoTokenizer
    except ImportError as error:
        raise _without(error) from None
    for name in _JSON:
        if (folder / name).is_file():
            _check_config(folder / name)
    try:
        tokenizer = auto.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # as many kinds as there are ways to be broken
        raise _no_tokenizer(folder, error) from None
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
    fields = _object(file)
    for name in _SPECIAL:
        token = fields.get(name)
        if not isinstance(token["content"] if isinstance(token, dict) and "content" in token else token, str | None):
            raise _core.FormatError(f"{file}: expected {name} as text or an object with content, found {token!r}")
    template = fields.get("chat_template")
    if not (template is None or all(isinstance(text, str) for text in _texts(template))):
        raise _core.FormatError(
            f"{file}: expected chat_template as text, or as objects with name and template, "
            f"found {_short(repr(template))}"
        )


def _object(file: Path) -> dict[str, Any]:
    try:
        fields = json_value(file.read_bytes())
    except ValueError as error:
        raise _core.FormatError(f"{file}: expected JSON, found something else ({_said(error)})") from None
    if not isinstance(fields, dict):
        raise _core.FormatError(f"{file}: expected a JSON object, found {type(fields).__name__}")
    return fields


def _texts(template: Any) -> list[Any]:
    """What has to be text in a `chat_template`: itself, or the names and templates of several."""
    if isinstance(template, dict):
        return list(template.values())
    if isinstance(template, list):
        entries = [one if isinstance(one, dict) else {} for one in template]
        return [one.get(key) for one in entries for key in ("name", "template")]
    return [template]


def _no_tokenizer(folder: Path, error: BaseException) -> Exception:
    files = ", ".join(name for name in ("tokenizer.json", *_JSON, _TEMPLATE) if (folder / name).is_file())
    return _core.FormatError(
        f"{folder}: expected {files} of which transformers makes a tokenizer, found others ({_said(error)})"
    )


def _without(error: ImportError) -> ImportError:
    return ImportError(f"chat_template='model' needs transformers ({_said(error)}): pip install 'routesig[hf]'")


def _said(error: BaseException) -> str:
    return _short(str(error)) or type(error).__name__


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "..."
