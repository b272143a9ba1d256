"""Damage drawn at random: whatever is in a file, it is read, or refused by one FormatError that names it."""

import contextlib
import json
import random
import zipfile

import numpy as np
import pytest
from hostile import (
    changed_bytes,
    changed_json,
    good_files,
    info_of,
    members_of,
    refused,
    study_beside,
    write_members,
)

import routesig as rs
from routesig._comparison._given import _read as read_side
from support import with_metadata

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 21))]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return good_files(tmp_path_factory.mktemp("good"))


def changed_members(draw, members):
    """Members swapped, left out, given twice or damaged within; a checksum that fits."""
    names = list(members)
    one, other = draw.sample(names, 2)
    pairs = dict(members)
    change = draw.randrange(5)
    if change == 0:
        pairs[one], pairs[other] = pairs[other], pairs[one]
    elif change == 1:
        del pairs[one]
    elif change == 2:
        pairs[one] = changed_bytes(draw, members[one])
    elif change == 3:
        head = members[one][:128].replace(*draw.choice(HEADERS))
        pairs[one] = head + members[one][128:]
    found = list(pairs.items())
    return [*found, (one, members[other])] if change == 4 else found


HEADERS = [
    *((b"'<f8'", kind) for kind in (b"'|O'", b"'>f8'", b"'<f4'", b"'<U2'", b"'<M8'", b"'|b1'", b"[('a', '<f8')]")),
    *(
        (b"(2,", shape)
        for shape in (b"(3,", b"(0,", b"(-2,", b"(2, 1,", b"(" + b"9" * 20 + b",", b"(2.0,", b"(2", b"((2,")
    ),
    *((b"False", order) for order in (b"True", b"None", b"0", b"[]")),
    *((b"{", other) for other in (b"(" * 90, b"{{", b"\x00")),
    *((b"<U", kind) for kind in (b"<S", b"<U0", b"<U9", b"<U999999999")),
    *((b"NUMPY", magic) for magic in (b"NUMPX", b"NUMPY\x02", b"NUMPY\x03")),
    *((b"v\x00", length) for length in (b"\xff\xff", b"\x00\x00", b"w\x00")),
]


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_npz_files_are_values_or_format_errors(seed, made, tmp_path):
    draw, bad, found = random.Random(seed), tmp_path / "bad.npz", []
    whole, members = (made / "s.npz").read_bytes(), members_of(made / "s.npz")
    for _ in range(250):
        bad.write_bytes(changed_bytes(draw, whole, draw.choice((0, len(whole) - 600))))
        found.append(refused(rs.read_signatures, bad))
    for _ in range(250):
        method = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
        write_members(bad, changed_members(draw, members), method)
        bad.write_bytes(bad.read_bytes() if draw.random() < 0.5 else changed_bytes(draw, bad.read_bytes()))
        found.append(refused(rs.read_signatures, bad))
    arrays = dict(np.load(made / "s.npz"))
    info = json.loads(str(arrays["info"]))
    for _ in range(100):
        np.savez(bad, **{**arrays, "info": np.array(json.dumps(changed_json(draw, info)))})
        found.append(refused(rs.read_signatures, bad))
    assert 400 < sum(found) < 600


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["s.parquet", "t.parquet"])
def test_damaged_parquet_files_are_values_or_format_errors(seed, name, made, tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    draw, bad, found = random.Random(seed), tmp_path / "bad.parquet", []
    read = rs.read_signatures if name == "s.parquet" else rs.read_traces
    whole = (made / name).read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for _ in range(300):
        bad.write_bytes(changed_bytes(draw, whole, draw.choice((4, footer))))
        found.append(refused(read, bad))
    for _ in range(100):
        change = draw.choice((changed_metadata, changed_column, changed_layout))
        found.append(refused(read, change(draw, made / name, bad)))
    assert 200 < sum(found) < 400


def changed_metadata(draw, good, bad):
    import pyarrow.parquet as pq

    table = pq.read_table(good)
    values = with_metadata(table).schema.metadata  # without the checksum, which would find every change
    key, text = draw.choice([pair for pair in values.items() if pair[0].startswith(b"routesig")])
    if draw.random() < 0.3:
        text = changed_bytes(draw, text)
    else:
        lines = text.split(b"\n")
        at = draw.choice([i for i, line in enumerate(lines) if line])
        lines[at] = json.dumps(changed_json(draw, json.loads(lines[at])), separators=(",", ":")).encode()
        text = b"\n".join(lines)
    pq.write_table(with_metadata(table, **{key.decode().removeprefix("routesig."): text}), bad)
    return bad


def changed_column(draw, good, bad):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(good)
    at = draw.randrange(table.num_columns)
    name, column = table.column_names[at], table.column(at)
    types = (pa.int8(), pa.uint64(), pa.float32(), pa.string(), pa.binary(), pa.list_(pa.int32()), pa.null())
    with contextlib.suppress(pa.ArrowException):
        column = draw.choice(
            (
                lambda: column.cast(draw.choice(types)),
                lambda: pa.nulls(len(table), column.type),
                lambda: column.take(pa.array([draw.randrange(len(table)) for _ in range(len(table))])),
                lambda: column.take(pa.array([None, *range(1, len(table))])),
                lambda: pa.array(np.full(len(table), draw.choice((-(2**31), -1, 2**31 - 1)), np.int32)),
                lambda: pa.array(np.full(len(table), draw.choice((np.nan, -1.0, 1e-320, 1e300)))),
            )
        )()
    pq.write_table(table.set_column(at, name, column), bad)
    return bad


def changed_layout(draw, good, bad):
    """Of a layout that another program writes, and then damaged."""
    import pyarrow.parquet as pq

    options = {
        "compression": draw.choice(("none", "snappy", "gzip", "lz4", "zstd")),
        "use_dictionary": draw.random() < 0.5,
        "data_page_version": draw.choice(("1.0", "2.0")),
        "data_page_size": draw.choice((1, 1 << 20)),
        "row_group_size": draw.choice((1, 5, 1000)),
        "store_schema": draw.random() < 0.9,
    }
    pq.write_table(pq.read_table(good), bad, **options)
    if draw.random() < 0.8:
        bad.write_bytes(changed_bytes(draw, bad.read_bytes()))
    return bad


class NotBesideIt(Exception):
    """The hash in the study is that of something else."""


def side_of(path):
    try:
        read_side(path)
    except ValueError as error:
        if f"expected what {path} was made from beside it" in str(error):
            raise NotBesideIt from None
        raise


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_studies_are_values_or_format_errors(seed, tmp_path):
    draw, bad, found = random.Random(seed), tmp_path / "study.json", []
    study = study_beside(tmp_path)
    for i in range(500):
        text = json.dumps(changed_json(draw, study)).encode()
        bad.write_bytes(changed_bytes(draw, text, 35) if i % 2 else text)
        found.append(refused(info_of, bad))
        with contextlib.suppress(NotBesideIt):
            found.append(refused(side_of, bad))
    assert 300 < sum(found) < 1000
