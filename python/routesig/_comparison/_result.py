"""Two recordings, or two models, on the same prompts."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from routesig import _core
from routesig._absent import Masked
from routesig._comparison._agreement import ExpertAgreement, expert_agreement
from routesig._comparison._alignment import Alignment, find_alignment
from routesig._comparison._given import Given, Side, match
from routesig._comparison._matrix_correlation import MatrixCorrelation, matrix_correlation
from routesig._comparison._paired_bootstrap import PairedEstimate, paired_bootstrap
from routesig._equality import ByValue
from routesig._labelled import masked, number
from routesig._left_out import LeftOut
from routesig._load import pooled_counts
from routesig._options import number_of_draws, whole_number
from routesig._signatures import SignatureSet
from routesig._similarity import similarity

if TYPE_CHECKING:
    Comparable = _core.TraceSet | SignatureSet | Any | str | os.PathLike[str]  # Any: a Study


@dataclass(frozen=True, eq=False)
class Comparison(ByValue):
    """Result of `compare`.

    Attributes
    ----------
    a, b : Side
        What was compared: `.model`, `.sha256`, `.dtype`, `.layers`, `.experts`, `.top_k`, `.prompts`,
        `.tokens_a_prompt`.
    ids, tasks : list
        The prompts that both hold, in the order of A.
    left_out : list of LeftOut
        The others: `.id`, `.reason`.
    agreement : ExpertAgreement or None
        Of expert sets, token by token.
    alignment : Alignment or None
        Where expert sets agree about as chance would, and far more once layers are shifted by one or the experts of
        every layer numbered otherwise: which shift, which numbers. None where they agree as they are, or never.
    prompt_similarity : masked float64 [prompts, layers], or None
        Cosine of a prompt's signature in A with that in B; masked where either has no token in the layer.
    similarity_chance : masked float64 [layers], or None
        Mean cosine of a prompt in A with the other prompts in B.
    mean_similarity, mean_similarity_chance : float or None
        Means of these.
    load_divergence : masked float64 [layers], or None
        Jensen-Shannon divergence in bits of the loads of all prompts, over all tokens of the set.
    difference, cohens_d : PairedEstimate
        D (mean within-task less mean across-task similarity) and d of A, of B, and of B less A.
    unit, units : str, int
        What was resampled ("prompts" or "groups"), and how many.
    correlation : MatrixCorrelation
        Of the two similarity matrices, with Mantel's tests.
    cka : float or None
        Unbiased linear CKA of the signatures: 1 for the same arrangement of the prompts, about 0 without relation.
    tokens, seed, bootstrap, permutations
        The options.
    notes : list of str
        What to mind in reading this comparison.
    absent : dict
        Why a field is None.
    """

    a: Side
    b: Side
    ids: list[str]
    tasks: list[str | None]
    left_out: list[LeftOut]
    agreement: ExpertAgreement | None
    alignment: Alignment | None
    prompt_similarity: Masked | None
    similarity_chance: Masked | None
    mean_similarity: float | None
    mean_similarity_chance: float | None
    load_divergence: Masked | None
    difference: PairedEstimate
    cohens_d: PairedEstimate
    unit: str
    units: int
    correlation: MatrixCorrelation
    cka: float | None
    tokens: str
    seed: int
    bootstrap: int
    permutations: int
    notes: list[str] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Every attribute under its name, as plain data: docs/formats.md, "Comparison JSON"."""
        from routesig._plain import plain

        return {"format": "routesig-comparison", "version": 1, **plain(self)}

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """The text of `to_dict` as JSON; also written to `path`, whole or not at all, where one is given."""
        text = json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=1) + "\n"
        if path is not None:
            from routesig._files import atomic_write

            with atomic_write(path) as file:
                file.write(text.encode())
        return text

    def _repr_html_(self) -> str:
        from routesig._comparison._text import comparison_html

        return comparison_html(self)

    def __str__(self) -> str:
        from routesig._comparison._text import comparison_text

        return comparison_text(self)

    def __repr__(self) -> str:
        exact = None if self.agreement is None else self.agreement.exact
        return (
            f"Comparison({len(self.ids)} prompts, exact={number(exact)}, similarity={number(self.mean_similarity)}, "
            f"spearman={number(self.correlation.spearman)}, cka={number(self.cka)}, "
            f"cohens_d={number(self.cohens_d.a.value)} and {number(self.cohens_d.b.value)})"
        )


def compare(
    a: "Comparable",
    b: "Comparable",
    *,
    tokens: str = "all",
    bootstrap: int = 2_000,
    permutations: int = 10_000,
    seed: int = 0,
    drop_invalid: bool = False,
    progress: bool = False,
) -> Comparison:
    """How alike two recordings of the same prompts route, and two models arrange and separate them.

    Prompts are matched by id. Where both sides have the same layers and experts, expert sets are compared token by
    token (all prompt tokens, and generated ones up to the first that differs), and signatures prompt by prompt. Two
    models of any shape are compared by how they arrange the prompts, and by how far they separate tasks.

    Parameters
    ----------
    a, b : TraceSet, SignatureSet, Study or path
        A path leads to a trace or signature file, to a folder that holds `traces.jsonl` or `signatures.npz`, or to a
        `study.json` beside one of them.
        Signatures know no tokens: without traces on both sides there is no agreement of expert sets. A Study is
        compared as it was analysed.
    tokens : {"all", "prompt", "generation"}
        Which tokens count; signatures have chosen already.
    bootstrap : int
        Resamples of the prompts.
    permutations : int
        Orders of the prompts in each of Mantel's tests; all of them where no more are possible.
    seed : int
    drop_invalid : bool
        Leave impossible rows out, counted, instead of refusing them.
    progress : bool
        Show bars on stderr.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        Where no prompt is in both, ids repeat, signatures count different tokens, or rows are impossible.
    FormatError, OSError
        Where a file cannot be read.

    Notes
    -----
    Experts are matched by number, which says something about recordings of one model (another number format, engine or
    fine-tune) and nothing about models trained apart. Similarities grow with the number of tokens: where the two sides
    generated different texts, compare `tokens="prompt"`, or force the same tokens with `rs.record(model, traces)`.

    References
    ----------
    Mantel, Cancer Research 27 (1967). Kornblith et al., ICML 2019 (CKA). Song et al., JMLR 13 (2012), equation 5
    (unbiased HSIC). Efron, JASA 1987 (BCa intervals).

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson([[[9, 3, 3]]] * 6 + [[[3, 9, 3]]] * 6)
    >>> one = SignatureSet.from_counts(counts, tasks=["code"] * 6 + ["math"] * 6)
    >>> other = SignatureSet.from_counts(counts[:, :, ::-1], tasks=one.tasks)  # the same experts under other numbers
    >>> found = compare(one, other)
    >>> round(found.cka, 9), abs(found.difference.difference.value) < 1e-12, found.mean_similarity < 0.9
    (1.0, True, True)
    """
    bootstrap = number_of_draws("compare", "bootstrap", bootstrap)
    permutations = number_of_draws("compare", "permutations", permutations, least=1)
    seed = whole_number("compare", "seed", seed)
    left, right = (Given(one, place, tokens, drop_invalid) for one, place in ((a, "A"), (b, "B")))
    if left.tokens != right.tokens:
        raise ValueError(
            f"compare: expected signatures of the same tokens, got {left.tokens!r} in A and {right.tokens!r} in B"
        )
    left_out = match(left, right)
    weightings = [str(given.signatures.info.get("weighting", "count")) for given in (left, right)]
    if weightings[0] != weightings[1]:
        raise ValueError(f"compare: expected signatures of one weighting, got {' in A and '.join(weightings)} in B")
    absent: dict[str, str] = {}
    agreement = _agreement(left, right, progress, absent)
    tasks = [x if x is not None else y for x, y in zip(left.tasks, right.tasks, strict=True)]
    groups = [x if x is not None else y for x, y in zip(left.groups, right.groups, strict=True)]
    return Comparison(
        a=left.side(),
        b=right.side(),
        ids=left.ids,
        tasks=tasks,
        left_out=left_out,
        agreement=agreement,
        alignment=_alignment(left, right, agreement, absent),
        **_prompt_by_prompt(left.signatures, right.signatures, absent),
        **_as_matrices(left, right, tasks, groups, (bootstrap, permutations, seed, progress), absent),
        tokens=left.tokens,
        seed=seed,
        bootstrap=bootstrap,
        permutations=permutations,
        notes=_notes(left, right, agreement),
        absent=absent,
    )


def _agreement(left: Given, right: Given, progress: bool, absent: dict[str, str]) -> ExpertAgreement | None:
    found: ExpertAgreement | str = _other_shape(left.signatures, right.signatures)
    if not found and (left.traces is None or right.traces is None):
        which = [given.place for given in (left, right) if given.traces is None]
        found = f"{' and '.join(which)} {'holds' if len(which) == 1 else 'hold'} signatures, not traces"
    elif not found:
        top_k = [given.side().top_k for given in (left, right)]
        found = f"a token has {top_k[0]} experts in A and {top_k[1]} in B" if top_k[0] != top_k[1] else ""
    if not found:
        assert left.traces is not None
        assert right.traces is not None
        found = expert_agreement(left.traces, right.traces, left.tokens, left.drop_invalid, progress)
    if isinstance(found, ExpertAgreement):
        return found
    absent["agreement"] = found
    return None


def _alignment(
    left: Given, right: Given, agreement: ExpertAgreement | None, absent: dict[str, str]
) -> Alignment | None:
    if agreement is None:
        absent["alignment"] = absent["agreement"]
        return None
    assert left.traces is not None
    assert right.traces is not None
    return find_alignment(left.traces, right.traces, left.tokens, agreement, absent)


def _other_shape(a: SignatureSet, b: SignatureSet) -> str:
    if (a.layers, a.experts) == (b.layers, b.experts):
        return ""
    return f"A has {a.layers} layers x {a.experts} experts, B {b.layers} x {b.experts}: no expert is in both"


def _prompt_by_prompt(a: SignatureSet, b: SignatureSet, absent: dict[str, str]) -> dict[str, Any]:
    """Signatures of the same prompt, and loads."""
    names = ("prompt_similarity", "similarity_chance", "mean_similarity", "mean_similarity_chance", "load_divergence")
    if _other_shape(a, b):
        absent.update(dict.fromkeys(names, _other_shape(a, b)))
        return dict.fromkeys(names)
    same, other = _core.matched_similarity(np.ascontiguousarray(a.values), np.ascontiguousarray(b.values))
    cosines, chance = masked(same).reshape(len(a), a.layers), masked(other)
    everyone = [np.arange(len(a))]
    loads = [np.ascontiguousarray(pooled_counts(sigs, everyone)[0][0]) for sigs in (a, b)]
    empty = ~(loads[0].any(axis=1) & loads[1].any(axis=1))
    if not chance.count():
        absent["mean_similarity_chance"] = "there is no other prompt"
    return {
        "prompt_similarity": cosines,
        "similarity_chance": chance,
        "mean_similarity": float(cosines.mean()) if cosines.count() else None,
        "mean_similarity_chance": float(chance.mean()) if chance.count() else None,
        "load_divergence": np.ma.MaskedArray(np.array(_core.load_divergence(*loads)), empty),
    }


def _as_matrices(
    left: Given,
    right: Given,
    tasks: Sequence[str | None],
    groups: Sequence[str | None],
    options: tuple[int, int, int, bool],
    absent: dict[str, str],
) -> dict[str, Any]:
    """Similarity matrices of the two: their separations, their correlation, the alignment of the signatures."""
    draws, permutations, seed, progress = options
    # Resampled in the order of the ids, so that the order of the prompts does not matter.
    order = sorted(range(len(left.ids)), key=left.ids.__getitem__)
    tasks, groups = [tasks[i] for i in order], [groups[i] for i in order]
    a, b = left.signatures[order], right.signatures[order]
    of_a, of_b = (np.ascontiguousarray(similarity(sigs)) for sigs in (a, b))
    paired = paired_bootstrap(of_a, of_b, tasks, groups, draws, seed, progress)
    absent.update(paired.absent)
    cka = _core.cka(np.ascontiguousarray(a.values), np.ascontiguousarray(b.values))
    if cka is None:
        few = f"it needs 4 prompts or more, got {len(a)}"
        absent["cka"] = few if len(a) < 4 else "the signatures of one of the two do not differ"
    number_of: dict[str, int] = {}
    codes = [-1 if group is None else number_of.setdefault(group, len(number_of)) for group in groups]
    return {
        "difference": paired.difference,
        "cohens_d": paired.cohens_d,
        "unit": paired.unit,
        "units": paired.units,
        "correlation": matrix_correlation(of_a, of_b, paired.tasks, codes, permutations, seed, progress),
        "cka": cka,
    }


def _notes(left: Given, right: Given, agreement: ExpertAgreement | None) -> list[str]:
    a, b = left.signatures, right.signatures
    notes = []
    sides = (left.side(), right.side())
    key = "sha256" if all(side.sha256 for side in sides) else "model"
    if not _other_shape(a, b) and len({getattr(side, key) for side in sides} - {None}) == 2:
        notes.append(
            "A and B are different weights: experts are matched by number, which says nothing of models trained apart"
        )
    if a.num_tokens is not None and b.num_tokens is not None and not np.array_equal(a.num_tokens, b.num_tokens):
        notes.append(
            f"a prompt has {a.num_tokens.mean():.1f} tokens in A and {b.num_tokens.mean():.1f} in B: similarities, and "
            "with them D and d, grow with their number"
        )
    parted = 0 if agreement is None else sum(one.parts_at is not None for one in agreement.prompts)
    if parted and left.tokens != "prompt":
        notes.append(f"the texts of {parted} prompts part: signatures, D and d also count the tokens that differ")
    for given in (left, right):
        for key, what in (("unknown_rows", "have no known routing"), ("dropped_rows", "are impossible")):
            if given.signatures.info.get(key):
                notes.append(f"{given.signatures.info[key]} rows (tokens x layers) of {given.place} {what}: left out")
    return notes
