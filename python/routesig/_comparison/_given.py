"""The two sides of a comparison: reading them, and finding the prompts that both hold."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from routesig import _core
from routesig._files import read_traces_or_signatures
from routesig._kinds import refused
from routesig._left_out import LeftOut
from routesig._signatures import SignatureSet, experts_a_token, signatures

_IN_FOLDER = ("traces.jsonl", "traces.parquet", "signatures.npz", "signatures.parquet")


@dataclass(frozen=True)
class Side:
    """One side of a comparison, as far as it is known.

    Attributes
    ----------
    model, sha256, dtype : str or None
    layers, experts : int
    top_k : int or None
    prompts : int
        Before matching.
    tokens_a_prompt : float or None
        Mean over the compared prompts.
    """

    model: str | None
    sha256: str | None
    dtype: str | None
    layers: int
    experts: int
    top_k: int | None
    prompts: int
    tokens_a_prompt: float | None


class Given:
    """Traces or signatures of one side; `place` ("A" or "B") is for messages."""

    def __init__(self, one: Any, place: str, tokens: str, drop_invalid: bool) -> None:
        if isinstance(one, (str, os.PathLike)):
            one = _read(Path(one))
        self.place, self.tokens, self.weighting, self.drop_invalid = place, tokens, "count", drop_invalid
        self.traces: _core.TraceSet | None = None
        self._signatures: SignatureSet | None = None
        groups: list[str | None] | None = None
        if isinstance(one, _core.TraceSet):
            self.traces = one
        elif isinstance(one, SignatureSet):
            self._take_signatures(one)
        else:
            from routesig._study import Study

            if not isinstance(one, Study):
                raise refused("compare", f"a TraceSet, a SignatureSet, a Study or a path as {place}", one)
            if one.signatures is None:
                raise ValueError(
                    f"compare: expected a study with signatures as {place}, got one read from a file, which holds "
                    "results alone; give the path, with traces or signatures beside it"
                )
            groups, self.traces = list(one.signatures.groups), one.traces
            self.weighting, self.drop_invalid = one.options.weighting, drop_invalid or one.options.drop_invalid
            if self.traces is None or tokens in ("all", one.options.tokens):
                self._take_signatures(one.signatures)
        source: Any = self._signatures if self.traces is None else self.traces
        self.ids: list[str] = list(source.ids)
        self.tasks: list[str | None] = list(source.tasks)
        if groups is None:
            groups = [t.group for t in self.traces] if self.traces is not None else list(source.groups)
        self.groups = groups
        self.texts = [t.text for t in self.traces] if self.traces is not None else [""] * len(self.ids)
        self.prompts = len(self.ids)

    def _take_signatures(self, sigs: SignatureSet) -> None:
        held = str(sigs.info.get("tokens", "all"))
        if self.tokens not in ("all", held):
            raise ValueError(
                f"compare: expected tokens {held!r}, which the signatures of {self.place} hold, got {self.tokens!r}"
            )
        self._signatures, self.tokens = sigs, held

    def take(self, indices: Sequence[int]) -> None:
        """Keep these prompts, in this order."""
        chosen = list(indices)
        if self.traces is not None:
            self.traces = self.traces.take(chosen)
        if self._signatures is not None:
            self._signatures = self._signatures[np.array(chosen, dtype=np.intp)]
        for name in ("ids", "tasks", "groups", "texts"):
            column = getattr(self, name)
            setattr(self, name, [column[i] for i in chosen])

    @property
    def signatures(self) -> SignatureSet:
        if self._signatures is None:
            assert self.traces is not None
            self._signatures = signatures(
                self.traces, tokens=self.tokens, weighting=self.weighting, drop_invalid=self.drop_invalid
            )
        return self._signatures

    def side(self) -> Side:
        sigs = self.signatures
        info = None if self.traces is None else self.traces.info
        model = sigs.info.get("model") if info is None else info.model_name
        num_tokens = sigs.num_tokens
        return Side(
            model=str(model) if model else None,
            sha256=None if info is None else info.model_sha256 or None,
            dtype=None if info is None else info.model_dtype or None,
            layers=sigs.layers,
            experts=sigs.experts,
            top_k=_top_k(sigs) if info is None else info.top_k,
            prompts=self.prompts,
            tokens_a_prompt=None if num_tokens is None or not len(sigs) else float(num_tokens.mean()),
        )


def match(a: Given, b: Given) -> list[LeftOut]:
    """Keep the prompts that both hold, in the order of A; the others with the reason."""
    places = {given.place: _places(given) for given in (a, b)}
    left_out, kept = [], []
    for i, name in enumerate(a.ids):
        reason = _difference(a, i, b, places["B"].get(name))
        if reason is None:
            kept.append((i, places["B"][name]))
        else:
            left_out.append(LeftOut(name, reason))
    left_out += [LeftOut(name, "only in B") for name in b.ids if name not in places["A"]]
    if not kept:
        raise ValueError(f"compare: expected prompts that both hold, got {_nothing(a, b, left_out)}")
    a.take([i for i, _ in kept])
    b.take([j for _, j in kept])
    has = {given.place: [bool(one.any()) for one in given.signatures.values] for given in (a, b)}
    whole = []
    for at, name in enumerate(a.ids):
        lacking = [place for place, some in has.items() if not some[at]]
        if lacking:
            left_out.append(LeftOut(name, f"no token with known routing in {' and '.join(lacking)}"))
        else:
            whole.append(at)
    if not whole:
        raise ValueError(f"compare: expected prompts with tokens in both, got none of {len(a.ids)}")
    if len(whole) < len(a.ids):
        a.take(whole)
        b.take(whole)
    return left_out


def _places(given: Given) -> dict[str, int]:
    places: dict[str, int] = {}
    for i, name in enumerate(given.ids):
        if places.setdefault(name, i) != i:
            raise ValueError(f"compare: expected ids that occur once, got {name!r} twice in {given.place}")
    return places


def _difference(a: Given, i: int, b: Given, j: int | None) -> str | None:
    """Why these are not the same prompt."""
    if j is None:
        return "only in A"
    task, other = a.tasks[i], b.tasks[j]
    if task is not None and other is not None and task != other:
        return f"its task is {task!r} in A and {other!r} in B"
    if a.texts[i] and b.texts[j] and a.texts[i] != b.texts[j]:
        return "its text is another in B"
    return None


def _nothing(a: Given, b: Given, left_out: list[LeftOut]) -> str:
    if not a.ids or not b.ids:
        return f"no prompt in {'A' if not a.ids else 'B'}"
    different = next((one for one in left_out if not one.reason.startswith("only in")), None)
    if different is None:
        return f"no id in common (A begins with {a.ids[0]!r}, B with {b.ids[0]!r})"
    return f"other prompts under the same ids ({different.id!r}: {different.reason})"


def _top_k(sigs: SignatureSet) -> int | None:
    try:
        return experts_a_token(sigs)
    except ValueError:
        return None


def _read(path: Path) -> _core.TraceSet | SignatureSet:
    if path.is_dir():
        return read_traces_or_signatures(_in_folder(path, f"in folder {path}")[0])
    from routesig._study._json import is_study

    return _of_study(path) if is_study(path) else read_traces_or_signatures(path)


def _in_folder(folder: Path, where: str) -> list[Path]:
    found = [folder / name for name in _IN_FOLDER if (folder / name).is_file()]
    if not found:
        raise ValueError(f"compare: expected {' or '.join(_IN_FOLDER)} {where}, found none")
    return found


def _of_study(path: Path) -> _core.TraceSet | SignatureSet:
    """What a study.json was made from, which lies beside it: itself it holds results alone. As it was analysed."""
    from routesig._study import read_study
    from routesig._study._provenance import signatures_hash, traces_hash

    study = read_study(path)
    origin, options = study.provenance, study.options
    for file in _in_folder(path.parent, f"beside {path}, which holds results alone"):
        given = read_traces_or_signatures(file)
        if isinstance(given, SignatureSet):
            if signatures_hash(given) == origin["signatures_sha256"]:
                return given
        elif traces_hash(given) == origin["traces_sha256"]:
            if options.tokens == "all" and options.weighting == "count":
                return given
            return signatures(
                given, tokens=options.tokens, weighting=options.weighting, drop_invalid=options.drop_invalid
            )
    raise ValueError(f"compare: expected what {path} was made from beside it, found {file.name} of another recording")
