"""Chat templates: a prompt as the model's own conversation format has it."""

import json
from pathlib import Path


def render_chat(folder: Path, text: str) -> str:
    """`text` as the user's turn in the chat template of tokenizer_config.json or chat_template.jinja."""
    try:
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise ImportError("chat_template='model' needs the package jinja2: pip install jinja2") from None
    config = {}
    if (folder / "tokenizer_config.json").is_file():
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    file = folder / "chat_template.jinja"
    template = file.read_text(encoding="utf-8") if file.is_file() else config.get("chat_template")
    if not isinstance(template, str):
        raise ValueError(f"record: chat_template='model' needs a chat template, and {folder} has none")
    tokens = {}
    for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
        token = config.get(name)
        tokens[name] = token["content"] if isinstance(token, dict) else token or ""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    messages = [{"role": "user", "content": text}]
    try:
        return environment.from_string(template).render(messages=messages, add_generation_prompt=True, **tokens)
    except TemplateError as error:
        raise ValueError(f"record: the chat template of {folder} does not render ({error})") from None
