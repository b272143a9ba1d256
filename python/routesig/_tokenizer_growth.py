"""How much longer the rules of a tokenizer.json may make a text: at worst, whatever the text."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

TEXT, TOKENS = ("normalizer", "pre_tokenizer", "post_processor"), ("decoder",)
_PARTS = ("normalizers", "pretokenizers", "processors", "decoders")  # of a sequence
# Bytes that one byte may become, tried with every character. What is not here cuts, drops or marks.
_BY_TYPE = {"NFC": 3.0, "NFD": 3.0, "NFKC": 11.0, "NFKD": 11.0, "Lowercase": 1.5, "BertNormalizer": 5.0}
_BY_TYPE |= {"ByteLevel": 4.0, "Metaspace": 4.0, "WordPiece": 2.0, "BPEDecoder": 2.0, "CTC": 2.0}
_MOST = 1e300
_DEEPEST = 128  # levels of JSON; the package tokenizers refuses more


def growth(fields: Any, parts: Iterable[str]) -> float:
    """Bytes that a byte of a text may become in these parts of a tokenizer, one after the other."""
    whole = 1.0
    for part in parts:
        types = {} if part == "post_processor" else _BY_TYPE  # there ByteLevel only trims offsets
        whole = _after(whole, _mapping(fields).get(part), types)
    return whole


def rules(content: bytes) -> Any:
    """What a tokenizer.json says; None where it is no JSON, which the package tokenizers has sentences for."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def rules_of(tokenizer: Any) -> dict[str, Any]:
    """The same of a tokenizer that is loaded, but for its vocabulary and for parts that are somebody's own code."""
    found = {}
    for part in (*TEXT, *TOKENS):
        try:
            found[part] = json.loads(getattr(tokenizer, part).__getstate__())
        except Exception:  # none, or one in Python
            continue
    return found


def _after(length: float, rule: Any, types: Mapping[str, float], depth: int = 0) -> float:
    """Bytes of so many, by one rule. What a rule is shows in its fields: old files name no types."""
    if not isinstance(rule, Mapping) or depth > _DEEPEST:
        return length
    for name in _PARTS:
        for part in _list(rule.get(name)):
            length = _after(length, part, types, depth + 1)
    if "pattern" in rule and "content" in rule:
        length *= _replaced(rule.get("pattern"), _size(rule["content"]))
    if "prepend" in rule:
        length += _size(rule["prepend"])
    if "precompiled_charsmap" in rule:
        length *= _longest_entry(rule["precompiled_charsmap"])
    if "single" in rule:
        length = _around(length, _list(rule["single"]), rule.get("special_tokens"))
    return min(length * types.get(str(rule.get("type")), 1.0), _MOST)


def _replaced(pattern: Any, content: int) -> float:
    """Of `Replace`: what a regular expression finds may be empty, beside each byte."""
    text = _mapping(pattern).get("String", pattern)
    if isinstance(text, str) and text:
        return max(1.0, content / _size(text))
    return 1.0 + content


def _longest_entry(charsmap: Any) -> float:
    """Of `Precompiled`: a trie of so many bytes, then the texts that it leads to, each ended by NUL."""
    try:
        blob = base64.b64decode(charsmap or "")
    except (TypeError, ValueError, binascii.Error):
        return 1.0
    texts = blob[4 + int.from_bytes(blob[:4], "little") :]
    return max(1.0, float(max(map(len, texts.split(b"\0")))))


def _around(length: float, pieces: Sequence[Any], special: Any) -> float:
    """Of `TemplateProcessing`: the text as often as the template names it, and the ids of its special tokens."""
    named = [_mapping(_mapping(piece).get("SpecialToken")).get("id") for piece in pieces]
    ids = {name: len(_list(_mapping(token).get("ids"))) for name, token in _mapping(special).items()}
    added = sum(ids.get(name, 0) for name in named if isinstance(name, str))
    return length * max(1, sum("Sequence" in _mapping(piece) for piece in pieces)) + added


def _size(text: Any) -> int:
    return len(text.encode("utf-8", "replace")) if isinstance(text, str) else 0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
