"""Our strict safetensors reader against the ``safetensors`` package: what both accept is equal, byte for byte, and what
only the package accepts breaks a rule that is listed here by name."""

from __future__ import annotations

import json
import random
import struct

import pytest

import routesig._core as core

safetensors = pytest.importorskip("safetensors")

# dtype -> bytes of one element; every dtype our reader knows
SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip

# The rules by which ours refuses what the package accepts: a fragment of the sentence for each.
STRICTER = (
    "begins with '{'",  # white space before the header
    "the name stands twice",  # a tensor named twice
    "the metadata key",  # a metadata key named twice
    "expected an object, found",  # "__metadata__": null, a tensor as an array
    "expected dtype, shape and data_offsets, found",  # fields that the format does not have
    "unknown dtype",  # dtypes of fewer than 8 bits, scales, complex numbers
    "more than 8 dimensions",
    "is too large for any file",  # an overflow behind a dimension of 0
    "take more memory than twice the file",  # tens of thousands of tensors or metadata entries without data
    "whole number from 0 to 9223372036854775807",  # a dimension of 2^63 and more beside a dimension of 0
)


def build(header: str | bytes, data: bytes = b"") -> bytes:
    raw = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(raw)) + raw + data


def theirs(raw: bytes) -> dict | None:
    """What the package reads, or None."""
    try:
        return {
            name: (tensor["dtype"], tuple(tensor["shape"]), bytes(tensor["data"]))
            for name, tensor in safetensors.deserialize(raw)
        }
    except (safetensors.SafetensorError, OverflowError):
        return None


def ours(raw: bytes, folder) -> tuple[dict | None, str]:
    path = folder / "w.safetensors"
    path.write_bytes(raw)
    try:
        return core.read_safetensors(path), ""
    except ValueError as error:  # FormatError is one
        return None, str(error)


def compare(raw: bytes, folder) -> str:
    """Checks one file and says what became of it."""
    reference = theirs(raw)
    read, problem = ours(raw, folder)
    if read is not None:
        assert reference is not None, f"only ours accepts {raw[:200]!r}"
        assert read == reference
        return "both"
    if reference is None:
        return "neither"
    assert any(rule in problem for rule in STRICTER), f"refused without a listed rule: {problem}\n{raw[:400]!r}"
    return "stricter"


def random_file(rng: random.Random) -> bytes:
    """A valid file of up to six tensors, in any order in the header, empty ones and metadata included."""
    entries: dict[str, object] = {}
    data = b""
    for i in range(rng.randrange(7)):
        dtype = rng.choice(list(SIZES))
        shape = [rng.randrange(4) for _ in range(rng.randrange(4))]
        count = SIZES[dtype]
        for dimension in shape:
            count *= dimension
        entries[rng.choice(["w", "é", "😀", "a\\b", '"', ""]) + str(i)] = {
            "dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + count],
        }  # fmt: skip
        data += rng.randbytes(count)
    names = list(entries)
    rng.shuffle(names)
    header: dict[str, object] = {name: entries[name] for name in names}
    if rng.random() < 0.5:
        header["__metadata__"] = {"format": "pt", "é": ""}
    text = json.dumps(header, ensure_ascii=rng.random() < 0.5, separators=rng.choice([(",", ":"), (", ", ": ")]))
    return build(text + " " * rng.randrange(9), data)


def mutate(raw: bytes, rng: random.Random) -> bytes:
    """One to three edits anywhere, with the length corrected half of the time."""
    out = bytearray(raw)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(out) + 1)
        kind = rng.randrange(4)
        if kind == 0 and at < len(out):
            out[at] = rng.choice(b'{}[]",:0123456789- eE.\\utFU\x00\x7f\x80\xff')
        elif kind == 1:
            out[at:at] = bytes([rng.choice(b'{}[]",:0123456789- \\\xc3\x00')])
        elif kind == 2:
            del out[at : at + rng.randrange(1, 4)]
        else:
            out = out[: max(at, 1)] if rng.random() < 0.3 else out + rng.randbytes(rng.randrange(3))
    header_end = 8 + struct.unpack("<Q", raw[:8])[0]
    if rng.random() < 0.5 and len(out) > 8:
        length = max(0, header_end - 8 + (len(out) - len(raw)))
        out[:8] = struct.pack("<Q", length)
    return bytes(out)


def test_valid_files_read_the_same(tmp_path):
    rng = random.Random(1)
    for _ in range(200):
        assert compare(random_file(rng), tmp_path) == "both"


def test_mutated_files_are_judged_the_same(tmp_path):
    rng = random.Random(2)
    outcomes = {"both": 0, "neither": 0, "stricter": 0}
    for _ in range(1000):
        outcomes[compare(mutate(random_file(rng), rng), tmp_path)] += 1
    assert outcomes["both"] > 20
    assert outcomes["neither"] > 200


def test_mutated_fields_are_judged_the_same(tmp_path):
    """Edits of values, not of bytes: offsets, shapes and dtypes that parse and disagree."""
    rng = random.Random(3)
    values = [-1, 0, 1, 2, 3, 8, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 1.0, "1", None, True, [], [1], {}]
    outcomes = {"both": 0, "neither": 0, "stricter": 0}
    for _ in range(800):
        raw = random_file(rng)
        end = 8 + struct.unpack("<Q", raw[:8])[0]
        header = json.loads(raw[8:end])
        names = [name for name in header if name != "__metadata__"]
        if not names:
            continue
        tensor = header[rng.choice(names)]
        field = rng.choice(["dtype", "shape", "data_offsets"])
        if field == "dtype":
            tensor[field] = rng.choice([*SIZES, "F4", "C64", "f32", None, 1])
        elif tensor[field] and rng.random() < 0.8:
            tensor[field][rng.randrange(len(tensor[field]))] = rng.choice(values)
        else:
            tensor[field] = rng.choice([values[:2], [], [0], [0, 0], [0, 0, 0], 7, None])
        outcomes[compare(build(json.dumps(header), raw[end:]), tmp_path)] += 1
    assert outcomes["neither"] > 200


def test_every_truncation_is_refused_by_both(tmp_path):
    raw = random_file(random.Random(11))
    assert len(raw) > 100
    assert compare(raw, tmp_path) == "both"
    for size in range(len(raw)):
        assert compare(raw[:size], tmp_path) == "neither", size


TENSOR = '{"dtype":"U8","shape":[1],"data_offsets":[0,1]}'
MANY = json.dumps({str(i): {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(40_000)})


@pytest.mark.parametrize(
    ("header", "data", "rule"),
    [
        (" {}", b"", "begins with '{'"),
        (f'{{"a":{TENSOR},"a":{TENSOR}}}', b"x", "the name stands twice"),
        ('{"__metadata__":{"k":"v","k":"w"}}', b"", 'the metadata key "k" stands twice'),
        ('{"__metadata__":null}', b"", "expected an object, found 'n'"),
        ('{"a":["U8",[1],[0,1]]}', b"x", "expected an object, found '['"),
        ('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"strides":[1]}}', b"x", 'found "strides"'),
        ('{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}', b"x", 'unknown dtype "F4"'),
        ('{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}', b"12345678", 'unknown dtype "C64"'),
        ('{"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}}', b"x", "more than 8 dimensions"),
        ('{"a":{"dtype":"U8","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}}', b"", "too large for any file"),
        ('{"a":{"dtype":"U8","shape":[0,9223372036854775808],"data_offsets":[0,0]}}', b"", "whole number from 0"),
        pytest.param(MANY, b"", "take more memory than twice the file", id="many-empty-tensors"),
    ],
)
def test_where_ours_is_stricter_it_says_why(header, data, rule, tmp_path):
    raw = build(header, data)
    assert theirs(raw) is not None
    read, problem = ours(raw, tmp_path)
    assert read is None
    assert rule in problem


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        core.read_safetensors(tmp_path / "absent.safetensors")


def test_what_the_package_writes_is_read(tmp_path):
    numpy = pytest.importorskip("numpy")
    from safetensors.numpy import save_file

    arrays = {
        "a": numpy.arange(6, dtype="float32").reshape(2, 3),
        "b": numpy.array([True, False]),
        "c": numpy.zeros((0, 4), dtype="int64"),
    }
    save_file(arrays, tmp_path / "model.safetensors", metadata={"format": "np"})
    read = core.read_safetensors(tmp_path)  # the folder
    assert read["a"] == ("F32", (2, 3), arrays["a"].tobytes())
    assert read["b"] == ("BOOL", (2,), b"\x01\x00")
    assert read["c"] == ("I64", (0, 4), b"")
