"""A study.json that is damaged: `routesig info` and `compare` refuse it in one sentence, as `read_study` does."""

import json
import re

import pytest
from hostile import info_of, study_beside

import routesig as rs
from routesig._comparison._given import _read as read_side


@pytest.mark.parametrize("read", [info_of, read_side])
@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("provenance", ..., "provenance: expected a value, found none"),
        ("provenance.layers", "3", 'provenance.layers: expected a whole number, found "3"'),
        ("provenance.experts", True, "provenance.experts: expected a whole number, found true"),
        ("provenance.traces_sha256", [], "provenance.traces_sha256: expected text, found a list of 0"),
        ("difference", [1], "difference: expected an object, found a list of 1"),
        ("options", "all", 'options: expected an object, found "all"'),
        ("options.tokens", "every", 'options.tokens: expected one of all, prompt, generation, found "every"'),
        ("options.drop_invalid", 0, "options.drop_invalid: expected true or false, found 0"),
    ],
)
def test_what_a_study_lacks_is_named(read, place, value, message, tmp_path):
    study, path = study_beside(tmp_path), tmp_path / "study.json"
    path.write_text(json.dumps(study))
    read(path)
    *holders, last = place.split(".")
    holder = study
    for key in holders:
        holder = holder[key]
    holder[last] = value
    if value is ...:
        del holder[last]
    path.write_text(json.dumps(study))
    with pytest.raises(rs.FormatError) as error:
        read(path)
    assert str(error.value) == f"{path}: {message}"


@pytest.mark.parametrize("read", [info_of, read_side])
@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (b"", "found damage"),
        (b', "x": ' + b"[" * 100_000, "found damage"),
        (b', "x": ' + b"[" * 5000 + b"]" * 5000 + b"}", "found damage|version: expected"),
        (b', "x": "\xff"}', "found damage .*utf-8"),
        (b', "x": "\\ud800"}', "found damage .*lone surrogate"),
        (b', "x": ' + b"9" * 5000 + b"}", "found damage"),
        (b', "x": ' + b"9" * 5000 + b".0}", "found damage"),
        (b', "version": 2, "x": NaN}', "found damage .*not finite"),
        (b', "version": 2, "controls": {"a\\nb": 1}}', "headline: expected a value, found none"),
    ],
)
def test_a_study_that_is_no_json_is_one_sentence(read, rest, message, tmp_path):
    path = tmp_path / "study.json"
    path.write_bytes(b'{"format": "routesig-study"' + rest)
    with pytest.raises(rs.FormatError, match=f"^{re.escape(str(path))}: [^\n]*({message})[^\n]*$") as error:
        read(path)
    assert len(str(error.value)) < 1000
    path.write_bytes(b'["format": "routesig-study"')
    with pytest.raises(rs.FormatError, match=f"^{re.escape(str(path))}: "):
        read(path)
