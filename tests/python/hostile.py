"""Files that are damaged or made to do harm, and what reading one may come to."""

import contextlib
import copy
import io
import re
import warnings
import zipfile

import routesig as rs
from routesig import cli
from support import random_traces

SAID = r"[^\n]{10,1000}"


def refused(read, path):
    """Whether `read` refuses the file, as it must: on one line that begins with the file's name."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of columns that are not known
        try:
            read(path)
        except rs.FormatError as error:
            said = str(error)
        else:
            return False
    assert re.fullmatch(re.escape(str(path)) + SAID, said), repr(said)
    return True


def changed_bytes(draw, whole, begin=0):
    """Bits turned, bytes replaced, cut off, put in, taken out, or copied elsewhere, from `begin` on."""
    place, other = draw.randrange(begin, len(whole)), draw.randrange(len(whole))
    some = draw.randbytes(draw.choice((1, 2, 8, 40)))
    return draw.choice(
        (
            lambda: whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1 :],
            lambda: whole[:place] + some + whole[place + len(some) :],
            lambda: whole[:place],
            lambda: whole[:place] + some + whole[place:],
            lambda: whole[:place] + whole[place + len(some) :],
            lambda: whole[:place] + whole[other : other + 40] + whole[place:],
            lambda: whole[:place] + whole[other : other + 40] + whole[place + 40 :],
        )
    )()


ODD = (None, True, -1, 0, 1, 2**31, 2**63, 2**70, 10**400, 0.5, -1e300, float("nan"), float("inf"))
ODD += ("", "x", "\ud800", "\x00\n\x1b", "x" * 5000, [], {}, [[]], [1, 2], {"value": 1}, {"id": 1})


def changed_json(draw, value):
    """One entry anywhere in it replaced, taken out, or given twice."""
    value = copy.deepcopy(value)
    at = [value]
    while isinstance(at[-1], (list, dict)) and at[-1] and (len(at) == 1 or draw.random() < 0.8):
        holder = at[-1]
        key = draw.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        at.append(holder[key])
    change = draw.randrange(4)
    if change == 0:
        del holder[key]
    elif change == 1 and isinstance(holder, list):
        holder.append(holder[key])
    else:
        holder[key] = draw.choice(ODD)
    return value


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {member.filename: archive.read(member) for member in archive.infolist()}


def write_members(path, members, method=zipfile.ZIP_STORED):
    """`members`: pairs, since a name may come twice."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(name, content)


def good_files(folder):
    """Small signatures and traces in every format."""
    traces = random_traces(2, layers=2, tokens=6, experts=4, top_k=2)
    sigs = rs.signatures(traces)
    sigs.save(folder / "s.npz")
    with contextlib.suppress(ImportError):
        sigs.save(folder / "s.parquet")
        traces.save(folder / "t.parquet")
    return folder


FEW = {"permutations": 9, "bootstrap": 9, "null_draws": 2, "shuffles": 2, "refits": 1, "progress": False}


def study_beside(folder):
    """A study.json, as a dict, of the signatures of `good_files`, which are put into a folder."""
    good_files(folder)
    (folder / "s.npz").rename(folder / "signatures.npz")
    return rs.study(rs.read_signatures(folder / "signatures.npz"), **FEW).to_dict()


def info_of(path):
    cli.info(path, as_json=True)
