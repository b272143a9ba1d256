"""A study.json that lacks what `routesig info` and `compare` take from it."""

import json
import re

import pytest
from hostile import info_of, study_beside

import routesig as rs
from routesig._comparison._given import _read as read_side


@pytest.fixture
def study(tmp_path):
    return study_beside(tmp_path)


def with_entry(study, place, value):
    """The study with another entry at a place; without it for `...`."""
    *holders, last = place.split(".")
    holder = study
    for key in holders:
        holder = holder[key]
    holder[last] = value
    if value is ...:
        del holder[last]
    return study


@pytest.mark.parametrize(
    ("read", "place", "value", "message"),
    [
        (info_of, "provenance", ..., "expected provenance.model in the JSON of a study, found none"),
        (info_of, "provenance.layers", "3", "expected provenance.layers as int in the JSON of a study, found '3'"),
        (info_of, "provenance.experts", True, "expected provenance.experts as int in the JSON of a study, found True"),
        (info_of, "difference", None, "expected difference.value in the JSON of a study, found none"),
        (info_of, "difference", [1], "expected difference.value in the JSON of a study, found none"),
        (
            info_of,
            "cohens_d.value",
            float("nan"),
            "expected cohens_d.value as int or float or null in the JSON of a study, found nan",
        ),
        (
            read_side,
            "provenance.traces_sha256",
            [],
            "expected provenance.traces_sha256 as str or null in the JSON of a study, found list",
        ),
        (read_side, "options", "all", "expected options.tokens in the JSON of a study, found none"),
        (
            read_side,
            "options.tokens",
            "every",
            "expected options.tokens as 'all' or 'prompt' or 'generation' in the JSON of a study, found 'every'",
        ),
        (read_side, "options.drop_invalid", 0, "expected options.drop_invalid as bool in the JSON of a study, found 0"),
    ],
)
def test_what_a_study_lacks_is_named(read, place, value, message, study, tmp_path):
    path = tmp_path / "study.json"
    path.write_text(json.dumps(study))
    read(path)
    path.write_text(json.dumps(with_entry(study, place, value)))
    with pytest.raises(rs.FormatError) as error:
        read(path)
    assert str(error.value) == f"{path}: {message}"


@pytest.mark.parametrize("read", [info_of, read_side])
@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (b"", "got one that is damaged"),
        (b', "x": ' + b"[" * 100_000, "got one that is damaged"),
        (b', "x": ' + b"[" * 5000 + b"]" * 5000 + b"}", "got one that is damaged|expected provenance"),
        (b', "x": "\xff"}', "got one that is damaged .*utf-8"),
        (b', "x": "\\ud800"}', r"got one that is damaged .*lone surrogate U\+D800"),
        (b', "x": ' + b"9" * 5000 + b"}", "got one that is damaged"),
    ],
)
def test_a_study_that_is_no_json_is_one_sentence(read, rest, message, tmp_path):
    path = tmp_path / "study.json"
    path.write_bytes(b'{"format": "routesig-study"' + rest)
    with pytest.raises(rs.FormatError, match=f"^{re.escape(str(path))}: .*({message})"):
        read(path)
    path.write_bytes(b'["format": "routesig-study"')
    with pytest.raises(rs.FormatError, match=f"^{re.escape(str(path))}: "):
        read(path)
