"""Files that ask for more memory than they are worth are refused before they get it."""

import io
import json
import re
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest
from hostile import good_files, members_of

import routesig as rs
from routesig import _parquet_pages
from support import with_column


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return good_files(tmp_path_factory.mktemp("good"))


@pytest.mark.parametrize("name", ["s.npz", "s.parquet", "t.parquet"])
def test_what_takes_more_than_max_bytes_is_refused_with_the_way_out(name, made):
    if not (made / name).is_file():
        pytest.skip("Parquet files need pyarrow")
    read = rs.read_traces if name == "t.parquet" else rs.read_signatures
    size = (made / name).stat().st_size
    with pytest.raises(rs.FormatError) as error:
        read(made / name, max_bytes=100)
    match = re.fullmatch(
        re.escape(f"{made / name}: expected arrays of at most 100 bytes, found ")
        + rf"(\d+) bytes declared in a file of {size} bytes \(max_bytes sets another limit\)",
        str(error.value),
    )
    assert match
    assert len(read(made / name, max_bytes=int(match[1]))) == 2


@pytest.mark.parametrize("name", ["s.npz", "s.parquet", "t.parquet"])
def test_arrays_that_memory_cannot_hold_are_the_files_fault(name, made, monkeypatch):
    if not (made / name).is_file():
        pytest.skip("Parquet files need pyarrow")

    def full(*arguments, **options):
        raise MemoryError("Unable to allocate")

    read = rs.read_traces if name == "t.parquet" else rs.read_signatures
    monkeypatch.setattr(np, "ascontiguousarray", full)  # of the one
    monkeypatch.setattr(np, "bincount", full)  # of the others
    with pytest.raises(rs.FormatError) as error:
        read(made / name)
    assert str(error.value) == f"{made / name}: expected arrays that fit into memory, found larger ones"


def test_the_pages_of_our_files_are_seen_as_pyarrow_writes_them(made):
    pq = pytest.importorskip("pyarrow.parquet", reason="Parquet files need pyarrow")
    with open(made / "t.parquet", "rb") as file:
        (group,) = _parquet_pages.row_groups(file)
        metadata = pq.ParquetFile(made / "t.parquet").metadata.row_group(0)
        assert group.rows == metadata.num_rows == 13
        assert [chunk.values for chunk in group.chunks] == [13] * 7 + [52] * 2
        for i, chunk in enumerate(group.chunks):
            theirs = metadata.column(i)
            assert chunk.end - chunk.begin == theirs.total_compressed_size
            entries = _parquet_pages.decoded_size(file, chunk)
            assert 0 < entries < theirs.total_uncompressed_size + 16 * 52


# By hand, as parquet.thrift has it: a field is a byte of its distance and kind (5: i32, 12: struct), numbers zigzag.
HUGE = b"\x15\x00" + b"\x15\xfe\xff\xff\xff\x0f" + b"\x15\x08"  # a data page, 2^31 - 1 bytes of 4


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (HUGE + b"\x00", 2**31 - 1),
        (HUGE + b"\x2c\x15\x02\x15\x00\x00\x00", 2**31 - 1),  # data_page_header: 1 value, PLAIN
        (HUGE + b"\x2c\x15\x02\x15\x0e\x00\x00", "the encoding DELTA_BYTE_ARRAY"),
        (HUGE + b"\x4c\x15\x02\x15\x00\x00\x00", 2**31 + 15),  # dictionary_page_header of 1 value
        (HUGE + b"\x4c\x15\x01\x15\x00\x00\x00", "a dictionary of more values than bytes"),  # of -1
        (HUGE + b"\x05\x04\x02\x00", "field 2 twice"),
        (b"\x15\x00\x16\x08\x15\x08\x00", "a field of kind 6"),  # i64 for i32
        (b"\x15\x00\x15\x01\x15\x08\x00", "a page without its sizes"),  # -1 bytes
        (b"\x15\x00\x15\x08\x00", "a page without its sizes"),
        (HUGE + b"\x1d\x00", "a field of kind 13"),
        (HUGE, "a page that is cut short"),
        (HUGE + b"\x18\xff\xff\x7f", "a page that is cut short"),  # a text of 2 MB
        (HUGE + b"\x19\xf1" + b"\xff" * 8 + b"\x7f", "a page that is cut short"),  # a list of 2^63 - 1 truths
        (b"\x15\x00\x15" + b"\xff" * 11, "a number of more than 64 bits"),
    ],
)
def test_what_a_page_says_by_hand(header, found):
    page = header if found == "a page that is cut short" else header + bytes(4)
    chunk = _parquet_pages.Chunk(values=1, begin=0, end=len(page))
    if isinstance(found, int):
        assert _parquet_pages.decoded_size(io.BytesIO(page), chunk) == found
        return
    with pytest.raises(_parquet_pages.Damage, match=found):
        _parquet_pages.decoded_size(io.BytesIO(page), chunk)


def deflated(pieces):
    """Raw deflate of pieces, its CRC and length."""
    packer, crc, size, out = zlib.compressobj(9, zlib.DEFLATED, -15), 0, 0, b""
    for piece in pieces:
        crc, size = zlib.crc32(piece, crc), size + len(piece)
        out += packer.compress(piece)
    return out + packer.flush(), crc, size


def npz_bomb(made, path, name, declared=None):
    """The signatures with a member of 96 MB of zeros: 100 KB in the file. `declared`: a length that is a lie."""
    members = members_of(made / "s.npz")
    head = members["values.npy"][:128].replace(b"(2, 2, 4), }      ", b"(2, 1572864, 4), }")
    content, crc, size = deflated([head, *[bytes(1 << 20)] * 96])
    del members["counts.npy"]
    members[name] = content
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        info = archive.getinfo(name)
        info.compress_type, info.CRC, info.file_size = zipfile.ZIP_DEFLATED, crc, declared or size
    whole = bytearray(path.read_bytes())
    assert whole[info.header_offset : info.header_offset + 2] == b"PK"
    whole[info.header_offset + 8 : info.header_offset + 10] = b"\x08\x00"  # the method, in the member's own header
    path.write_bytes(whole)


def long_trace(layers=2, tokens=10):
    experts = np.broadcast_to(np.arange(32, dtype=np.uint16), (layers, tokens, 32))
    return rs.TraceSet([rs.RoutingTrace.from_arrays(experts, num_experts=64, id="a")])


def parquet_bombs(made, folder):
    """8,000 tokens of 64 layers x top-32; 1,500,000 cells; a long text on every row; a longer one in a page."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    long_trace(layers=64, tokens=8000).save(folder / "rows.parquet")
    cells = rs.SignatureSet.from_counts(np.zeros((1, 500, 3000), np.uint8), ids=["a"]).to_arrow()
    for column in ("layer", "expert"):
        cells = with_column(cells, column, pa.array(np.zeros(len(cells), np.int32)))
    pq.write_table(cells, folder / "cells.parquet", compression="zstd")

    long_trace(tokens=10_000).save(folder / "t.parquet")
    table = pq.read_table(folder / "t.parquet")
    codes = pa.array(np.zeros(len(table), np.int32))
    for name, column, text in (("texts", "token_text", "x" * 4096), ("page", "task", "x" * (48 << 20))):
        texts = pa.DictionaryArray.from_arrays(codes, [text])
        changed = with_column(table, column, texts if column == "task" else texts.cast(pa.string()))
        pq.write_table(changed, folder / f"{name}.parquet", compression="zstd")
    (folder / "t.parquet").unlink()


MEASURE = """
import json, re, sys
import routesig as rs
def peak(): return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
good, *paths = sys.argv[1:]
for name in ("s.npz", "s.parquet", "t.parquet"):
    (rs.read_traces if name == "t.parquet" else rs.read_signatures)(f"{good}/{name}")
for path in paths:
    before = peak()
    read = rs.read_traces if path.endswith(("rows.parquet", "texts.parquet", "page.parquet")) else rs.read_signatures
    try:
        said = repr(read(path))
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    print(json.dumps([path, peak() - before, said]))
"""


def test_files_that_expand_take_little_memory(made, tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    npz_bomb(made, tmp_path / "zeros.npz", "values.npy")
    npz_bomb(made, tmp_path / "unknown.npz", "other.npy")
    npz_bomb(made, tmp_path / "lie.npz", "values.npy", declared=256)
    parquet_bombs(made, tmp_path)
    paths = sorted(tmp_path.iterdir())
    assert [path.name for path in paths] == [
        *("cells.parquet", "lie.npz", "page.parquet", "rows.parquet"),
        *("texts.parquet", "unknown.npz", "zeros.npz"),
    ]
    assert max(path.stat().st_size for path in paths) < 120_000
    command = [sys.executable, "-c", MEASURE, made, *paths]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    for line, path in zip(done.stdout.splitlines(), paths, strict=True):
        name, megabytes, said = json.loads(line)
        assert name == str(path)
        assert megabytes < 40, line
        if path.name == "unknown.npz":
            assert said.startswith("SignatureSet(2 prompts")
            continue
        assert said.startswith(f"FormatError: {path}: "), line
        assert ("max_bytes sets another limit" in said) != (path.name == "lie.npz"), line
