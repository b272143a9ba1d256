"""Files of signatures that hold what no signatures are, or are no files of signatures."""

import json
import os
import re
import zipfile

import numpy as np
import pytest
from hostile import good_files, members_of, write_members

import routesig as rs


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return good_files(tmp_path_factory.mktemp("good"))


def npz_with(made, path, **arrays):
    """The signatures with other arrays (None: without)."""
    found = {**np.load(made / "s.npz"), **arrays}
    np.savez(path, **{name: array for name, array in found.items() if array is not None})
    return path


def scaled(by):
    return lambda arrays: {"values": arrays["values"] * by}


def one_value(value):
    def change(arrays):
        values = arrays["values"].copy()
        values[1, 0, 2] = value
        return {"values": values}

    return change


def with_info(**entries):
    return lambda arrays: {"info": np.array(json.dumps({**json.loads(str(arrays["info"])), **entries}))}


SHARES = (
    "signatures: expected shares of 0 or more that sum to 1 in every layer, or to 0 where there are no data, got {} of "
    "prompt '{}'"
)
CONTENT = {
    "shares that vanish": (scaled(1e-320), SHARES.partition("{}")[0] + "a sum of 9.99"),
    "shares that sum to 5": (scaled(5.0), SHARES.format("a sum of 5 in layer 0", "p0")),
    "huge shares": (scaled(1e300), SHARES.format("a sum of 1e+300 in layer 0", "p0")),
    "a share that is not a number": (one_value(np.nan), SHARES.format("nan in layer 0", "p1")),
    "an infinite share": (one_value(np.inf), SHARES.format("a sum of inf in layer 0", "p1")),
    "a negative share": (one_value(-1.0), SHARES.format("-1 in layer 0", "p1")),
    "counts beyond float64": (
        lambda arrays: {"counts": arrays["counts"] + np.uint64(2**64 - 20)},
        "signatures: expected counts below 2^53, got",
    ),
    "tokens beyond float64": (
        lambda arrays: {"num_tokens": np.full(2, 2**53, np.uint64)},
        "signatures: expected num_tokens below 2^53, got 9007199254740992",
    ),
    "no experts": (
        lambda arrays: {name: np.zeros((2, 2, 0), arrays[name].dtype) for name in ("values", "counts")},
        "signatures: expected at least one layer and one expert, got 2 and 0",
    ),
    "top_k of another kind": (
        with_info(top_k="x"),
        "signatures: expected top_k from 1 to 4 (the number of experts), got 'x'",
    ),
    "negative top_k": (with_info(top_k=-3), "signatures: expected top_k from 1 to 4 (the number of experts), got -3"),
    "top_k beyond the experts": (
        with_info(top_k=2**70),
        "signatures: expected top_k from 1 to 4 (the number of experts), got 1180591620717411303424",
    ),
    "rows of another kind": (with_info(dropped_rows="2"), "signatures: expected dropped_rows of 0 or more, got '2'"),
    "tokens of another kind": (with_info(tokens=[]), "signatures: expected tokens to be text, got []"),
}


@pytest.mark.parametrize("name", CONTENT)
def test_what_no_signatures_are_is_refused_in_either_format_and_not_written(name, made, tmp_path):
    change, message = CONTENT[name]
    arrays = dict(np.load(made / "s.npz"))
    path = npz_with(made, tmp_path / "bad.npz", **change(arrays))
    with pytest.raises(rs.FormatError) as error:
        rs.read_signatures(path)
    assert str(error.value).startswith(f"{path}: {message}")
    arrays |= change(arrays)
    sigs = rs.SignatureSet(
        values=arrays["values"],
        counts=arrays["counts"],
        ids=arrays["ids"].tolist(),
        tasks=arrays["tasks"].tolist(),
        groups=arrays["groups"].tolist(),
        num_tokens=arrays["num_tokens"],
        info=json.loads(str(arrays["info"])),
    )
    for file in ("s.npz", "s.parquet"):
        with pytest.raises(ValueError, match="^" + re.escape(message)):
            sigs.save(tmp_path / file)
    if "s.parquet" in os.listdir(made):
        import pyarrow.parquet as pq

        pq.write_table(sigs.to_arrow(), tmp_path / "bad.parquet")
        with pytest.raises(rs.FormatError) as error:
            rs.read_signatures(tmp_path / "bad.parquet")
        assert str(error.value).startswith(f"{tmp_path / 'bad.parquet'}: {message}")


def test_shares_that_were_float32_are_read(made, tmp_path):
    values = np.load(made / "s.npz")["values"].astype(np.float32).astype(np.float64)
    assert rs.read_signatures(npz_with(made, tmp_path / "s.npz", values=values)).values.shape == (2, 2, 4)


def replaced(name, old, new):
    return lambda members: {**members, name: members[name].replace(old, new)}


MEMBERS = {
    "no array": (
        lambda members: {**members, "values.npy": b"nonsense" * 40},
        "expected 'values.npy' as NumPy writes an array, found something else",
    ),
    "a header that Python cannot read": (
        replaced("values.npy", b"{'descr'", b"({'descr'"),
        "expected 'values.npy' as NumPy writes an array, found something else",
    ),
    "a long header": (
        lambda members: {**members, "ids.npy": b"\x93NUMPY\x02\x00\x00\x00\x10\x00" + b" " * (1 << 20)},
        "expected 'ids.npy' as NumPy writes an array, found something else",
    ),
    "a type of another order": (replaced("values.npy", b"<f8", b">f8"), "expected values as <f8, found >f8 [2, 2, 4]"),
    "objects": (replaced("ids.npy", b"<U2", b"|O2"), "expected ids as text, found |O2 [2]"),
    "texts of no length": (replaced("ids.npy", b"<U2", b"<U0"), "expected ids as text, found <U0 [2]"),
    "another shape": (replaced("counts.npy", b"(2, 2, 4)", b"(2, 4, 2)"), "expected counts of shape [2, 2, 4], found"),
    "more than there is": (
        replaced("values.npy", b"(2, 2, 4)", b"(2, 2, 5)"),
        "expected values of 288 bytes, found 256",
    ),
    "less than it says": (
        lambda members: {**members, "values.npy": members["values.npy"][:-8]},
        "expected values of 256 bytes, found 248",
    ),
    "a character beyond Unicode": (
        replaced("ids.npy", b"p\0\0\0", b"\0\0\x11\0"),
        "expected characters of Unicode in 'ids.npy', found 1114112",
    ),
    "no ids": (
        lambda members: {name: content for name, content in members.items() if name != "ids.npy"},
        "expected an array 'ids', found 'counts', 'groups', 'info', 'num_tokens', 'tasks', 'values'",
    ),
    "info that is no object": (
        replaced("info.npy", b"{\0\0\0", b"[\0\0\0"),
        "expected info to be JSON, found something else",
    ),
}


@pytest.mark.parametrize("name", MEMBERS)
def test_what_an_npz_file_cannot_be_is_one_sentence(name, made, tmp_path):
    change, message = MEMBERS[name]
    write_members(tmp_path / "bad.npz", change(members_of(made / "s.npz")).items())
    with pytest.raises(rs.FormatError) as error:
        rs.read_signatures(tmp_path / "bad.npz")
    assert str(error.value).startswith(f"{tmp_path / 'bad.npz'}: {message}")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_npz_members_that_could_expand_without_bound_are_refused(method, made, tmp_path):
    write_members(tmp_path / "bad.npz", members_of(made / "s.npz").items(), method)
    with pytest.raises(rs.FormatError, match=r"expected '\w+\.npy' stored or deflated, found compression method 1[24]"):
        rs.read_signatures(tmp_path / "bad.npz")


def test_npz_arrays_that_come_twice_are_refused_and_others_are_not_opened(made, tmp_path):
    members = list(members_of(made / "s.npz").items())
    write_members(tmp_path / "bad.npz", [*members, members[0]])
    with pytest.raises(rs.FormatError, match=r"bad\.npz: expected one array 'values', found 2$"):
        rs.read_signatures(tmp_path / "bad.npz")
    write_members(tmp_path / "more.npz", [*members, ("other.npy", b"nonsense"), ("values", b""), ("../x", b"")])
    assert rs.read_signatures(tmp_path / "more.npz").ids == ["p0", "p1"]


def test_arrays_in_the_order_of_fortran_are_read(made, tmp_path):
    values = np.load(made / "s.npz")["values"]
    path = npz_with(made, tmp_path / "f.npz", values=np.asfortranarray(values))
    assert b"'fortran_order': True" in path.read_bytes()
    assert (rs.read_signatures(path).values == values).all()
