"""`rs.study`: runs every analysis and keeps what each gives."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from routesig import _core, baselines, controls, information, metrics, statistics
from routesig._baseline import Baseline
from routesig._bootstrap import Bootstrap
from routesig._classification import Classification, classify
from routesig._debiased import debiased_similarity
from routesig._kinds import either_of
from routesig._labelled import LabelledSimilarities
from routesig._left_out import LeftOut
from routesig._options import number_of_draws, whole_number
from routesig._permutation import PermutationTest
from routesig._progress import progress_bar
from routesig._projection import pca, tsne
from routesig._reliability import reliability
from routesig._signatures import SignatureSet
from routesig._study import _costs
from routesig._study._controls import (
    SYNONYMS,
    Filter,
    GivenControls,
    chosen_signatures,
    filter_control,
    model_control,
    models_of,
    respected,
    shuffle_control,
    source_control,
    text_control,
)
from routesig._study._findings import study_findings
from routesig._study._layers import depth, group, layer_rows
from routesig._study._parts import Control, Debiased, Information, StudyOptions, TokenSet, Weighting
from routesig._study._provenance import provenance
from routesig._study._result import Study
from routesig._tasks import numbered_sources, numbered_tasks
from routesig._text import whole_text
from routesig.controls import ContextTest, OverlapLadder

T = TypeVar("T")

NO_TRACES = "it needs traces; signatures were given"
_TOKEN_SETS: tuple[TokenSet, ...] = ("prompt", "generation", "all")
_FEWEST = {"permutations": 1, "bootstrap": 1, "null_draws": 2, "shuffles": 1, "refits": 0}


def study(
    traces: "_core.TraceSet | SignatureSet",
    *,
    tokens: str = "all",
    weighting: str = "count",
    seed: int = 0,
    permutations: int | None = None,
    bootstrap: int | None = None,
    null_draws: int | None = None,
    shuffles: int | None = None,
    refits: int | None = None,
    folds: int = 5,
    groups: bool = True,
    sources: bool = True,
    drop_invalid: bool = False,
    controls: GivenControls | None = None,
    progress: bool | None = None,
) -> Study:
    """Whether routing follows the task, by how much more than chance, and what explains it.

    Parameters
    ----------
    traces : TraceSet or SignatureSet
        Prompts with tasks. Signatures give less: what needs tokens is absent.
    tokens : {"all", "prompt", "generation"}
        Which tokens count; of signatures, they have chosen already.
    weighting : {"count", "gate", "top1"}
        As in `signatures`.
    seed : int
        The same seed gives the same study, on any number of threads.
    permutations, bootstrap, null_draws, shuffles, refits : int, optional
        Labellings of the permutation test, resamples for intervals, repetitions of each baseline, same-token shuffles,
        permuted refits of the classifier. Default: 10,000, 2,000, 1,000, 200 and 200; fewer, but 999, 200, 39, 39 and
        39 or more, where many prompts, tasks or tokens would make them take minutes. `Study.fewer` says so.
    folds : int
        Of the cross-validation.
    groups : bool
        Leave pairs of prompts of one group (template, near-duplicates) out, and keep them together when labels are
        permuted, prompts resampled and folds made, in controls too. False: prompts are treated as independent.
    sources : bool
        Where the field "source" of prompts (data set, language, author) crosses tasks, permute labels within each
        source, and classify prompts of unseen sources. False: sources are not looked at.
    drop_invalid : bool
        Leave impossible rows out, counted, instead of refusing them.
    controls : dict, optional
        Name -> traces (or signatures) of a control model fed the same tokens, or a list of them, one per seed:
        `{"random weights": [...]}`; from 19 seeds on there is a p. Rotated routers recorded with the traces
        (`traces.rotated`) are found.
    progress : bool, optional
        Show a bar on stderr, with the time left as it was predicted; default: where stderr is a terminal.

    Returns
    -------
    Study

    Raises
    ------
    ValueError
        On impossible rows, a group that spans two tasks or sources, a token set that no prompt has, an option that does
        not fit.

    References
    ----------
    arXiv 2603.11114, sections 3 to 5; docs/concepts has a page for every part.

    Examples
    --------
    >>> import routesig as rs
    >>> counts = [[[9, 1, 0]], [[8, 2, 0]], [[9, 0, 1]], [[1, 9, 0]], [[0, 8, 2]], [[1, 8, 1]]]
    >>> sigs = rs.SignatureSet.from_counts(counts, tasks=["code"] * 3 + ["math"] * 3, top_k=1)
    >>> found = rs.study(sigs, folds=3, progress=False)
    >>> found.p_value, found.absent["decomposition"]
    (PValue(0.1, floor=0.1), 'it needs traces; signatures were given')
    """
    models = models_of({} if controls is None else controls)
    for name in models:
        whole_text(str(name), "study", "the name of a control")
    repetitions = {
        "permutations": permutations,
        "bootstrap": bootstrap,
        "null_draws": null_draws,
        "shuffles": shuffles,
        "refits": refits,
    }
    options = StudyOptions(
        tokens=cast(TokenSet, tokens),  # `signatures` refuses others
        weighting=cast(Weighting, weighting),
        seed=whole_number("study", "seed", seed),
        folds=whole_number("study", "folds", folds, least=2, most=2**31 - 1),
        groups=groups,
        sources=sources,
        drop_invalid=drop_invalid,
        controls=(),  # known when those of the traces are
        **{
            name: number_of_draws("study", name, count, least=_FEWEST[name])
            for name, count in repetitions.items()
            if count is not None
        },
    )
    free = {name for name, count in repetitions.items() if count is None}
    with progress_bar("study", progress, counts=False) as advance:
        given = {SYNONYMS.get(name, name): sets for name, sets in models.items()}
        return _Composer(traces, options, given, free, advance).study()


class _Composer:
    """Runs the parts in their order; a part that cannot be had leaves its reason in `absent`."""

    def __init__(self, given: Any, options: StudyOptions, models: dict[str, Any], free: set[str], advance: Any) -> None:
        self.absent: dict[str, str] = {}
        self.advance = advance
        self.done = 0.0
        self.given = either_of("study", given)
        self.traces, self.sigs, self.left_out = _analysed(self.given, options)
        size = _size(self.traces, self.sigs)
        options, self.fewer = _costs.affordable(size, options, free)
        rotated = self.given.rotated if isinstance(self.given, _core.TraceSet) else []
        self.draws: dict[str, Any] = {"repetitions": options.null_draws, "seed": options.seed}
        self.models = ({"rotated router": rotated} if rotated else {}) | models
        self.options = replace(options, controls=tuple(self.models))
        self.expected = _costs.expected(size, options, self.models, _crossing(self.sigs))

    def study(self) -> Study:
        options, sigs = self.options, self.sigs
        given = LabelledSimilarities(sigs, None, None, "permutation_test", None)
        cosines = given.matrix
        test = self.step(
            "permutation_test",
            partial(statistics.permutation_test, given, permutations=options.permutations, seed=options.seed),
        )
        boot = self.step("bootstrap", partial(statistics.bootstrap, given, draws=options.bootstrap, seed=options.seed))
        debiased = self.attempt("debiased", self.counted(self.debiased))
        read = self.step(
            "classification",
            partial(classify, sigs, folds=options.folds, refits=options.refits, repeats=10, seed=options.seed),
        )
        told = self.information(read)
        nulls = self.baselines()
        balanced = {
            name: self.of_traces(f"load_balance[{name}]", partial(self.balanced, name, nulls)) for name in _TOKEN_SETS
        }
        shuffled = self.of_traces("token_shuffle", self.counted(partial(_sampled, controls.token_shuffle, options)))
        context = self.of_traces("context", self.counted(self.context))
        found_controls = self.controls(shuffled, context)
        pairs = statistics.separation(given)
        layers = layer_rows(given, test, boot, debiased, told)
        return Study(
            traces=self.traces,
            signatures=sigs,
            options=options,
            left_out=self.left_out,
            similarity=np.ma.masked_invalid(cosines) if np.isnan(cosines).any() else cosines,
            within=group(pairs.within, boot.within),
            across=group(pairs.across, boot.across),
            balanced=statistics.separation(given, balanced=True),
            difference=boot.difference,
            cohens_d=boot.cohens_d,
            p_value=test.p_value,
            layers=layers,
            depth=depth(layers, boot, found_controls),
            category_matrix=statistics.category_matrix(given),
            permutation_test=test,
            bootstrap=boot,
            dispersion=self.attempt(
                "dispersion",
                lambda: statistics.dispersion_test(given, permutations=options.permutations, seed=options.seed),
            ),
            debiased=debiased,
            baselines={name: null for name, null in nulls.items() if null is not None},
            load_balance={name: null for name, null in balanced.items() if null is not None},
            classification=read,
            controls=found_controls,
            token_shuffle=shuffled,
            context=context,
            decomposition=self.of_traces(
                "decomposition",
                self.counted(partial(_sampled, controls.decomposition, options, bootstrap=options.bootstrap)),
            ),
            overlap_ladder=self.of_traces("overlap_ladder", self.ladder),
            pca=self.attempt("pca", lambda: pca(sigs)),
            tsne=self.attempt("tsne", lambda: tsne(sigs, seed=options.seed)),
            information=told,
            load=self.attempt("load", lambda: metrics.load(sigs)),
            load_by_task=self.attempt("load_by_task", lambda: metrics.load(sigs, by="task")),
            provenance=provenance(self.given, sigs, options),
            absent=self._reasons(test, boot, read),
            fewer=self.fewer,
            findings=study_findings(self.traces, sigs, options.groups, test, debiased, read, found_controls),
        )

    def ladder(self, traces: _core.TraceSet) -> OverlapLadder:
        options = self.options
        return controls.overlap_ladder(
            traces, tokens=options.tokens, drop_invalid=options.drop_invalid, groups=options.groups
        )

    def context(self, traces: _core.TraceSet) -> ContextTest:
        options = self.options
        return _sampled(
            controls.context_test,
            options,
            traces,
            permutations=options.permutations,
            sources=None if options.sources else False,
        )

    def step(self, part: str, make: Callable[[], T]) -> T:
        """Compute a part and move the bar by what it was expected to take."""
        try:
            return make()
        finally:
            self.done += self.expected.pop(part, 0.0)
            if self.advance is not None:
                self.advance(self.done, self.done + sum(self.expected.values()))

    def attempt(self, name: str, make: Callable[[], T]) -> T | None:
        """A part, or None and the sentence of the error that says why there is none."""
        try:
            return self.step(name, make)
        except (ValueError, ImportError) as error:
            self.absent[name] = str(error)
            return None

    def of_traces(self, name: str, make: Callable[[_core.TraceSet], T]) -> T | None:
        traces = self.traces
        if traces is None:
            self.absent[name] = NO_TRACES
            return None
        return self.attempt(name, lambda: make(traces))

    def counted(self, make: Callable[..., T]) -> Callable[..., T]:
        """What counts experts, for a study that does; beside weights or best experts it would compare unlike things."""

        def checked(*arguments: Any) -> T:
            weighting = self.sigs.info.get("weighting", "count")
            if weighting != "count":
                raise ValueError(f'it counts experts, and the study has weighting="{weighting}"')
            return make(*arguments)

        return checked

    def debiased(self) -> Debiased:
        options = self.options
        if self.traces is None:
            found, halves = debiased_similarity(self.sigs), None
        else:
            chosen: dict[str, Any] = {"tokens": options.tokens, "drop_invalid": options.drop_invalid}
            found = debiased_similarity(self.traces, **chosen)
            halves = reliability(self.traces, **chosen)
        means, layers = found.means(groups=None if options.groups else False)
        known: NDArray[np.bool_] = np.asarray(~np.ma.getmaskarray(found.values).all(axis=1))
        pairs = found.values.data if known.all() else found.values.data[np.ix_(known, known)]
        absent = {} if halves is not None else {"reliability": NO_TRACES}
        p_value = None
        labels = self.sigs[known]
        test = statistics.permutation_test(
            pairs,
            labels.tasks,
            permutations=options.permutations,
            seed=options.seed,
            groups=labels.groups,
            sources=labels.sources if _crossing(labels) else False,
            layers=False,
            pairs=False,
        )
        if means.difference is None or test.difference is None:
            absent["p_value"] = absent["difference"] = test.absent.get(
                "difference", "too few prompts have 8 tokens in every layer, and experts that recur"
            )
        elif test.p_value is None:
            absent["p_value"] = test.absent["p_value"]
        else:
            p_value = test.p_value
        return Debiased(
            means.within, means.across, means.difference, p_value, layers, found.values, found.window, halves, absent
        )

    def baselines(self) -> dict[str, Baseline | None]:
        nulls: dict[str, Baseline | None] = {
            name: self.attempt(f"baselines[{name}]", partial(make, self.sigs, **self.draws))
            for name, make in _NULLS.items()
        }
        options = self.options
        chosen: dict[str, Any] = {"tokens": options.tokens, "weighting": options.weighting}
        chosen |= {"drop_invalid": options.drop_invalid, "groups": None if options.groups else False}
        pool = partial(baselines.token_pool, **chosen, **self.draws)
        return nulls | {"token_pool": self.of_traces("baselines[token_pool]", pool)}

    def balanced(self, tokens: TokenSet, nulls: dict[str, Baseline | None], traces: _core.TraceSet) -> Baseline:
        """Load balance of one token set; that of the study has been drawn."""
        drawn = nulls["load_balance"]
        if tokens == self.options.tokens and drawn is not None:
            return drawn
        sigs = chosen_signatures(traces, replace(self.options, tokens=tokens, weighting="count"))
        if not sigs.values.any():
            raise ValueError(f"no prompt has a {tokens} token")
        return baselines.load_balance(sigs, **self.draws)

    def information(self, read: Classification) -> Information:
        options, sigs = self.options, self.sigs
        log_loss = fano = None
        if read.probabilities is None or read.confusion is None:
            self.absent["information"] = read.absent.get("accuracy", "there are no held-out predictions")
        else:
            rows = [i for i, name in enumerate(read.predictions) if name is not None]
            labels = [read.tasks[i] for i in rows]
            log_loss = information.log_loss_bound(read.probabilities[rows].filled(0.0), labels, read.classes)
            fano = information.fano_bound(
                read.trials - read.hits, read.trials, len(read.classes), entropy=log_loss.entropy_bits
            )
        layers = self.attempt("information.layers", lambda: information.layer_information(sigs, seed=options.seed))
        evidence = self.of_traces(
            "information.evidence",
            lambda t: information.evidence_over_tokens(
                t,
                folds=options.folds if read.accuracy is None else read.folds.tolist(),
                seed=options.seed,
                tokens=options.tokens,
                drop_invalid=options.drop_invalid,
                groups=options.groups,
            ),
        )
        return Information(log_loss, fano, layers or [], evidence)

    def controls(self, shuffled: Any, context: Any) -> dict[str, Control]:
        found: list[Control | None] = []
        options = self.options
        if shuffled is not None:
            make = partial(shuffle_control, shuffled, context, options=options)
            found.append(self.of_traces("controls[token shuffle]", make))
        for name, given in self.models.items():
            found.append(self.attempt(f"controls[{name}]", partial(model_control, name, given, self.given, options)))
        found += self.of_traces("controls[bag of tokens]", self.text_controls) or []
        if _crossing(self.sigs):
            found.append(self.attempt("controls[unseen source]", partial(source_control, self.sigs, options)))
        prefix = partial(controls.drop_common_prefix, groups=options.groups)
        beginning = "tokens after the beginning that it shares with another prompt of the task"
        checks: dict[str, tuple[str, Filter]] = {**_FILTERS, "without common prefix": (beginning, prefix)}
        for name, (holds, keep) in checks.items():
            found.append(self.of_traces(f"controls[{name}]", partial(filter_control, name, holds, keep, options)))
        return {control.name: control for control in found if control is not None}

    def text_controls(self, traces: _core.TraceSet) -> list[Control]:
        options = self.options
        chosen: dict[str, Any] = {"folds": options.folds, "seed": options.seed, "bootstrap": options.bootstrap}
        # Token counts beside expert counts: the classifiers see the same tokens whatever the weighting is.
        bag = controls.bag_of_tokens(traces, self.sigs, tokens=options.tokens, **chosen)
        by_length = controls.length(traces, self.sigs, tokens=options.tokens, **chosen)
        return [
            text_control("bag of tokens", "a tuned classifier sees the token ids alone", bag),
            *(
                text_control(f"length ({what})", f"a classifier sees the number of {what} tokens alone", found)
                for what, found in by_length.items()
            ),
        ]

    def _reasons(self, test: PermutationTest, boot: Bootstrap, read: Classification) -> dict[str, str]:
        """What is missing in the whole study, from its parts' own reasons."""
        reasons = dict(self.absent)
        reasons |= {name: test.absent[name] for name in ("p_value",) if name in test.absent}
        for name in ("within", "across", "difference", "cohens_d"):
            for what in ("value", "interval"):
                if f"{name}.{what}" in boot.absent:
                    reasons[name if what == "value" else f"{name}.ci"] = boot.absent[f"{name}.{what}"]
        if "accuracy" in read.absent:
            reasons["classification"] = read.absent["accuracy"]
        return reasons


_NULLS = {
    "permutation": baselines.permutation,
    "load_balance": baselines.load_balance,
    "marginal": baselines.marginal,
}

_FILTERS: dict[str, tuple[str, Filter]] = {
    "position matched (prompt)": (
        "the first prompt tokens, as many of every prompt",
        partial(controls.position_matched, tokens="prompt"),
    ),
    "position matched (generation)": (
        "the first generated tokens, as many of every prompt",
        partial(controls.position_matched, tokens="generation"),
    ),
    "without first token": ("all tokens but position 0", controls.drop_first),
    "without duplicates": ("one prompt of those with the same tokens", controls.without_duplicates),
}


def _analysed(given: Any, options: StudyOptions) -> tuple[Any, SignatureSet, list[LeftOut]]:
    """Traces, signatures of those with a token in the token set, and the prompts without."""
    traces = None
    if isinstance(given, SignatureSet):
        if options.tokens not in ("all", given.info.get("tokens", "all")):
            raise ValueError(
                f"study: expected tokens={given.info.get('tokens', 'all')!r}, which the signatures count, "
                f"got {options.tokens!r}"
            )
        sigs = respected(given, options)
    else:
        traces = given
        sigs = chosen_signatures(traces, options)
    has: NDArray[np.bool_] = np.asarray(sigs.values.any(axis=(1, 2)))
    which = "" if options.tokens == "all" else f" {options.tokens}"
    if not has.any():
        raise ValueError(f"study: expected prompts with a{which} token whose routing is known, got none of {len(sigs)}")
    if has.all():
        return traces, sigs, []
    left_out = [LeftOut(sigs.ids[i], f"no{which} token with known routing") for i in np.flatnonzero(~has)]
    return None if traces is None else traces.take(np.flatnonzero(has).tolist()), sigs[has], left_out


def _size(traces: "_core.TraceSet | None", sigs: SignatureSet) -> _costs.Size:
    tokens = 0 if traces is None else sum(len(trace) for trace in traces)
    return _costs.Size(len(sigs), max(1, len(set(sigs.tasks) - {None})), sigs.layers, sigs.experts, tokens)


def _sampled(function: Callable[..., T], options: StudyOptions, traces: _core.TraceSet, **more: Any) -> T:
    """A function that draws same-token shuffles, with the options of the study."""
    return function(
        traces,
        shuffles=options.shuffles,
        seed=options.seed,
        tokens=options.tokens,
        drop_invalid=options.drop_invalid,
        groups=options.groups,
        **more,
    )


def _crossing(sigs: SignatureSet) -> bool:
    """Whether any source has prompts of two tasks, so that labels are permuted within sources."""
    return bool(numbered_sources(None, sigs.sources, numbered_tasks(sigs.tasks)[1], "study"))
