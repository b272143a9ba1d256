"""
Recording, signatures and statistics of routesig, compiled; use the names of the package `routesig`.
"""
from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import os
from routesig import FormatError
import typing
__all__: list[str] = ['ClassificationScores', 'DebiasedRows', 'FoldPlan', 'FormatError', 'JsonlRecorder', 'PairMoments', 'RoutingInfo', 'RoutingRecorder', 'RoutingTrace', 'Separation', 'TokenTable', 'TraceRecorder', 'TraceSet', 'accuracy_difference_interval', 'agreement', 'balanced_separation', 'benjamini_hochberg', 'bootstrap', 'break_even_tokens', 'category_matrix', 'centroids', 'chance_load', 'cka', 'classification_scores', 'coactivation', 'common_prefixes', 'compare_with_controls', 'cross_validate', 'debiased_counts', 'debiased_layers', 'debiased_matrix', 'debiased_means', 'debiased_traces', 'decompose', 'depth_slope', 'dispersion_test', 'drop_common_prefix', 'drop_first', 'entropy_bias', 'fano_bound', 'fit_logistic', 'groups_have_one_label', 'half_similarities', 'holm', 'identity_rows', 'jsonl_head', 'kept_tokens', 'layer_bootstrap', 'layer_information', 'layer_permutation_test', 'layer_separation', 'length_free', 'load', 'load_balance_baseline', 'load_divergence', 'log_loss_bound', 'logistic_decision', 'logistic_probabilities', 'looks_like_jsonl_trace', 'marginal_baseline', 'matched_similarity', 'matrix_correlation', 'mcnemar', 'nearest_centroid', 'normalized_counts', 'num_threads', 'overlap_ladder', 'paired_bootstrap', 'parse_jsonl_head', 'pca', 'permutation_baseline', 'permutation_moments', 'permutation_test', 'permuted_accuracy', 'position_matched', 'prefix_signatures', 'read_jsonl', 'read_safetensors', 'repeated_accuracy', 'residual_similarity', 'row_states', 'safetensors_shapes', 'sampled_similarity', 'sampling_ratio', 'separation', 'set_num_threads', 'short_task', 'shuffle_test', 'signatures', 'similarity', 'spearman_brown', 'standardized', 'token_pool_baseline', 'token_shuffle', 'tokens_for_reliability', 'tuned_cross_validation', 'uncertainty', 'unused_probability', 'upper_p_value', 'vocabulary_specialization', 'wilson_interval', 'without_duplicates']
class RoutingInfo:
    """
    The routing shape of a model and where it comes from.
    
    Examples
    --------
    >>> import routesig as rs
    >>> shape = rs.RoutingInfo(layers=16, experts=64, top_k=8, model_name="mine")
    >>> shape.experts, shape.ranked
    (64, True)
    """
    __hash__: typing.ClassVar[None] = None
    def __eq__(self, arg0: RoutingInfo) -> bool:
        ...
    def __getstate__(self) -> tuple:
        ...
    def __init__(self, *, layers: typing.SupportsInt | typing.SupportsIndex, experts: typing.SupportsInt | typing.SupportsIndex, top_k: typing.SupportsInt | typing.SupportsIndex, model_layers: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = [], ranked: bool = True, renormalized: bool = False, model_name: str = '', model_sha256: str = '', model_dtype: str = '', tokenizer_sha256: str = '') -> None:
        ...
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: tuple) -> None:
        ...
    @property
    def experts(self) -> int:
        """
        Experts per layer.
        """
    @property
    def layers(self) -> int:
        """
        Mixture-of-experts layers.
        """
    @property
    def model_dtype(self) -> str:
        ...
    @property
    def model_layers(self) -> list[int]:
        """
        Index of each layer in the whole model; empty means 0, 1, 2, ...
        """
    @property
    def model_name(self) -> str:
        ...
    @property
    def model_sha256(self) -> str:
        ...
    @property
    def ranked(self) -> bool:
        """
        The experts of a row are ordered best first.
        """
    @property
    def renormalized(self) -> bool:
        """
        The weights of a row are divided by their sum.
        """
    @property
    def tokenizer_sha256(self) -> str:
        ...
    @property
    def top_k(self) -> int:
        """
        Experts per token.
        """
class RoutingTrace:
    """
    The routing of one prompt. Immutable; arrays are views that keep it alive.
    
    A token is there if it was fed to the model: the last sampled token never is.
    """
    __hash__: typing.ClassVar[None] = None
    @staticmethod
    def from_arrays(experts: typing.Any, *, num_experts: typing.Any, weights: typing.Any = None, token_ids: typing.Any = None, positions: typing.Any = None, prompt_tokens: typing.Any = None, id: str | None = '', task: str | None = None, text: str | None = '', group: str | None = None, fields: dict[str, typing.Any] | None = None, axes: str = 'ltk', ranked: bool = True, drop_invalid: bool = False) -> RoutingTrace:
        """
        A trace from expert ids of any engine.
        
        Parameters
        ----------
        experts : array of integers [layers, tokens, top_k]
            Best first. -1 or 65535 where no routing is known; any other id outside [0, num_experts) is refused.
        num_experts : int
            Experts per layer.
        weights : array of floats, optional
            Applied weights, same axes as `experts`. A row whose weights are not all finite becomes unknown, counted in
            `nonfinite_rows`.
        token_ids, positions : array of integers [tokens], optional
            Token ids; positions (default 0, 1, 2, ...), which ascend.
        prompt_tokens : int, optional
            How many of the tokens are the prompt's (default all); the others count as generated.
        id, task, text, group : str, optional
            Of the prompt, as far as known. None, NaN and pandas' NA are unknown.
        fields : dict, optional
            What else is known of the prompt, by name: `{"source": "GSM8K"}`. Values that JSON can write; unknown ones are
            left out.
        axes : str
            The order of the axes of `experts` and `weights`: a permutation of "l" (layers), "t" (tokens), "k" (top_k).
        ranked : bool
            False where the order of a row's experts says nothing.
        drop_invalid : bool
            Where a position repeats or decreases, as after a draft that was rejected, leave out the earlier tokens from that
            position on, counted in `dropped_tokens`, instead of refusing them.
        
        Raises
        ------
        ValueError
            Where shapes, ids or types do not fit, positions do not ascend, or a text holds a lone surrogate (half of a
            character).
        
        Examples
        --------
        >>> import numpy as np
        >>> import routesig as rs
        >>> trace = rs.RoutingTrace.from_arrays(np.array([[[0, 3], [1, 2]]]), num_experts=4, id="hand")
        >>> trace.experts.shape
        (1, 2, 2)
        """
    def __copy__(self) -> RoutingTrace:
        ...
    def __deepcopy__(self, arg0: dict) -> RoutingTrace:
        ...
    def __eq__(self, arg0: RoutingTrace) -> bool:
        ...
    def __getstate__(self) -> tuple[tuple, tuple]:
        ...
    def __len__(self) -> int:
        ...
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: tuple) -> None:
        ...
    def _repr_html_(self) -> typing.Any:
        """
        What notebooks show.
        """
    @property
    def dropped_tokens(self) -> int:
        """
        Tokens that `drop_invalid` left out because their positions repeated or decreased. No file keeps it.
        """
    @property
    def experts(self) -> numpy.typing.NDArray[numpy.uint16]:
        """
        uint16 [layers, tokens, top_k], best first; 65535 where unknown. A view.
        """
    @property
    def fields(self) -> dict[str, typing.Any]:
        """
        Further fields of the prompt.
        """
    @property
    def group(self) -> str | None:
        """
        Template or near-duplicate family, or None.
        """
    @property
    def id(self) -> str:
        ...
    @property
    def info(self) -> RoutingInfo:
        """
        RoutingInfo: shape and model.
        """
    @property
    def nonfinite_rows(self) -> int:
        """
        Rows whose router logits were not finite, summed over layers.
        """
    @property
    def positions(self) -> numpy.typing.NDArray[numpy.int32]:
        """
        int32 [tokens], 0-based. A view.
        """
    @property
    def prompt_tokens(self) -> int:
        """
        Tokens of the prompt.
        """
    @property
    def router_logits(self) -> numpy.typing.NDArray[numpy.float32] | None:
        """
        float32 [layers, tokens, experts], or None. A view.
        """
    @property
    def task(self) -> str | None:
        """
        The task, or None where unlabelled.
        """
    @property
    def text(self) -> str:
        ...
    @property
    def token_ids(self) -> numpy.typing.NDArray[numpy.int32] | None:
        """
        int32 [tokens], or None. A view.
        """
    @property
    def token_texts(self) -> list[str] | None:
        """
        The text of every token, or None.
        """
    @property
    def token_types(self) -> numpy.typing.NDArray[numpy.uint8]:
        """
        uint8 [tokens]: 0 prompt, 1 generation. A view.
        """
    @property
    def unknown_rows(self) -> int:
        """
        Rows of which no routing is known, summed over layers.
        """
    @property
    def valid(self) -> numpy.typing.NDArray[numpy.bool]:
        """
        bool [layers, tokens]; False where routing is unknown.
        """
    @property
    def weights(self) -> numpy.typing.NDArray[numpy.float32] | None:
        """
        float32 [layers, tokens, top_k] as the model applied them, or None. A view.
        """
class TraceSet:
    """
    Traces of one routing shape; indexed, sliced, added and iterated like a list.
    
    An index may also be an id, a list of integers or a boolean mask.
    
    Examples
    --------
    >>> import routesig as rs
    >>> traces = rs.record(rs.load_model(), rs.load_prompts()[:4], max_new_tokens=0, progress=False)
    >>> traces["code-02"].task, len(traces[1:3]), traces[[True, False, True, False]].ids
    ('code', 2, ['code-01', 'code-03'])
    """
    __hash__: typing.ClassVar[None] = None
    def __add__(self, other: TraceSet) -> TraceSet:
        """
        The traces of both sets, in order. Settings are kept where both were recorded with the same.
        """
    def __eq__(self, arg0: TraceSet) -> bool:
        ...
    @typing.overload
    def __getitem__(self, index: typing.SupportsInt | typing.SupportsIndex) -> RoutingTrace:
        ...
    @typing.overload
    def __getitem__(self, index: slice) -> TraceSet:
        ...
    @typing.overload
    def __getitem__(self, index: str) -> RoutingTrace:
        ...
    @typing.overload
    def __getitem__(self, index: typing.Any) -> TraceSet:
        ...
    def __getstate__(self) -> tuple:
        ...
    def __init__(self, traces: typing.Any = ()) -> None:
        ...
    def __iter__(self) -> collections.abc.Iterator[RoutingTrace]:
        ...
    def __len__(self) -> int:
        ...
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: tuple) -> None:
        ...
    def _repr_html_(self) -> typing.Any:
        """
        What notebooks show.
        """
    def save(self, path: os.PathLike | str | bytes) -> None:
        """
        Write a trace file; it appears whole or not at all.
        
        Parameters
        ----------
        path : path
            Its end decides on the format: `.jsonl`, or `.parquet` (needs pyarrow). docs/formats.md describes both. Router
            logits and traces of rotated routers are part of neither; the latter can be saved to a file each.
        
        Raises
        ------
        ValueError
            On another end, on an empty set, on prompt ids that repeat, on traces of several models.
        """
    def select(self, *, tasks: typing.Any = None, ids: typing.Any = None) -> TraceSet:
        """
        The traces of the given tasks and ids, in their present order.
        
        Parameters
        ----------
        tasks, ids : str or iterable of str, optional
            None among the tasks stands for unlabelled traces.
        
        Raises
        ------
        ValueError
            Where a task or an id does not occur.
        
        Examples
        --------
        >>> import routesig as rs
        >>> traces = rs.record(rs.load_model(), rs.load_prompts()[::16], max_new_tokens=0, progress=False)
        >>> traces.select(tasks="code").ids
        ['code-01', 'code-17']
        """
    def take(self, indices: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> TraceSet:
        """
        The traces at these indices, in this order.
        """
    def to_pandas(self) -> typing.Any:
        """
        One row per token, as a pandas DataFrame.
        
        Returns
        -------
        pandas.DataFrame
            `prompt`, `task`, `group` (categorical), `position`, `type` ("prompt" or "generation"), `token` and `token_text`
            (missing where not recorded), `experts` (each a uint16 array [layers, top_k], a view; 65535 where not known), and,
            where they were recorded, `weights` (float32 [layers, top_k]).
        """
    def top_experts(self, count: typing.SupportsInt | typing.SupportsIndex = 5, *, tokens: str = 'all') -> typing.Any:
        """
        See `SignatureSet.top_experts`: the same of `rs.signatures(traces, tokens=tokens)`.
        """
    def with_tasks(self, tasks: typing.Any) -> TraceSet:
        """
        The same traces under other tasks; arrays are shared.
        
        Parameters
        ----------
        tasks : dict or sequence
            Of each id its task: traces that are not named keep theirs. Or one task per trace. None: unlabelled.
        
        Raises
        ------
        ValueError
            Where an id does not occur, or the number of tasks does not fit.
        
        Examples
        --------
        >>> import routesig as rs
        >>> traces = rs.record(rs.load_model(), rs.load_prompts()[:2], max_new_tokens=0, progress=False)
        >>> traces.with_tasks({"code-02": "python"}).tasks
        ['code', 'python']
        """
    @property
    def command(self) -> str | None:
        """
        The shell command that recorded them, as a file says; None where none did. `==` does not look at it.
        """
    @property
    def complete(self) -> bool:
        """
        False where the file ended before its last line and was read with recover=True.
        """
    @property
    def dropped_tokens(self) -> int:
        """
        Tokens that `drop_invalid` left out, over all traces.
        """
    @property
    def ids(self) -> list[str]:
        """
        The id of every trace.
        """
    @property
    def info(self) -> RoutingInfo | None:
        """
        RoutingInfo: shape and model; None where neither a trace nor a file says.
        """
    @property
    def rotated(self) -> list[TraceSet]:
        """
        One TraceSet for each rotated router that was recorded beside the model's own, else an empty list. Each has a file of its own, if any.
        """
    @rotated.setter
    def rotated(self, arg1: collections.abc.Sequence[TraceSet]) -> None:
        ...
    @property
    def settings(self) -> dict | None:
        """
        Settings of the run as a dict, or None.
        """
    @property
    def tasks(self) -> list[str | None]:
        """
        The task of every trace, None where unlabelled.
        """
class RoutingRecorder:
    """
    What a model tells its routing to; see TraceRecorder and JsonlRecorder.
    """
    def begin(self, info: RoutingInfo) -> None:
        """
        Opens a run; models do this themselves unless told that it has begun.
        """
    def end(self) -> None:
        """
        Ends a run.
        """
class TraceRecorder(RoutingRecorder):
    """
    Keeps whole traces in memory.
    
    Parameters
    ----------
    weights : bool
        Record the weights that the model applied.
    router_logits : bool
        Record the router's logits of every expert.
    vocabulary : list of str, optional
        The text of every token id, for `RoutingTrace.token_texts`.
    
    Examples
    --------
    >>> import routesig as rs
    >>> recorder = rs.TraceRecorder()
    >>> len(recorder.traces)
    0
    """
    def __init__(self, *, weights: bool = True, router_logits: bool = False, vocabulary: collections.abc.Sequence[str] | None = None) -> None:
        ...
    def flush(self) -> None:
        """
        Nothing: the traces are in memory.
        """
    @property
    def traces(self) -> TraceSet:
        """
        TraceSet of the finished runs; another thread may record meanwhile.
        """
class JsonlRecorder(RoutingRecorder):
    """
    Streams traces to PATH.partial; `close` makes it PATH. With resume, whole prompts of an earlier run are kept.
    """
    def __init__(self, path: os.PathLike | str | bytes, *, settings: str = '', prompts: typing.SupportsInt | typing.SupportsIndex | None = None, prompts_sha256: str = '', command: str = '', weights: bool = True, vocabulary: collections.abc.Sequence[str] | None = None, resume: bool = False, overwrite: bool = False) -> None:
        ...
    def close(self) -> None:
        """
        Writes the last line, syncs, renames to the final name.
        """
    def flush(self) -> None:
        """
        What was recorded so far survives the end of the process.
        """
    def sync(self) -> None:
        """
        What was recorded so far survives a power cut.
        """
    @property
    def kept(self) -> list[str]:
        """
        Ids of the whole prompts that resume found.
        """
class PairMoments:
    """
    Mean and standard deviation (ddof 1) over pairs of prompts; None where undefined.
    """
    __hash__: typing.ClassVar[None] = None
    def __eq__(self, arg0: PairMoments) -> bool:
        ...
    def __getstate__(self) -> tuple[int, float | None, float | None]:
        ...
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: tuple) -> None:
        ...
    @property
    def mean(self) -> float | None:
        """
        Mean similarity, or None without a pair.
        """
    @property
    def pairs(self) -> int:
        """
        Number of pairs.
        """
    @property
    def sd(self) -> float | None:
        """
        Standard deviation (ddof 1), or None with fewer than two pairs.
        """
class Separation:
    """
    Within-task against across-task similarity.
    """
    __hash__: typing.ClassVar[None] = None
    def __eq__(self, arg0: Separation) -> bool:
        ...
    def __getstate__(self) -> tuple[PairMoments, PairMoments, float | None]:
        ...
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: tuple) -> None:
        ...
    @property
    def across(self) -> PairMoments:
        """
        Pairs of prompts of different tasks.
        """
    @property
    def cohens_d(self) -> float | None:
        """
        (within - across) / pooled sd, or None where undefined.
        """
    @property
    def difference(self) -> float | None:
        """
        Mean within less mean across, or None where undefined.
        """
    @property
    def within(self) -> PairMoments:
        """
        Pairs of prompts of one task, and of different groups.
        """
class TokenTable:
    """
    The tokens of labelled prompts, and the strata a shuffle keeps.
    """
    def __init__(self, traces: TraceSet, *, tokens: str = 'all', drop_invalid: bool = False, groups: bool = True) -> None:
        ...
    def __len__(self) -> int:
        ...
    def counts(self, seed: typing.SupportsInt | typing.SupportsIndex | None = None, repetition: typing.SupportsInt | typing.SupportsIndex = 0) -> numpy.typing.NDArray[numpy.uint64]:
        """
        Counts [prompts, layers, experts] in the order of the traces; shuffled where there is a seed.
        """
    def crossing(self) -> TokenTable:
        """
        Those tokens alone whose stratum spans two tasks or more.
        """
    @property
    def across_tasks(self) -> int:
        """
        Tokens whose stratum spans two tasks or more.
        """
    @property
    def dropped_rows(self) -> int:
        """
        Impossible rows left out.
        """
    @property
    def empty(self) -> list[int]:
        """
        Traces left out: no token with known routing.
        """
    @property
    def group(self) -> list[int]:
        """
        Number of every prompt's group; -1 where it has none.
        """
    @property
    def movable(self) -> int:
        """
        Tokens whose stratum spans two prompts or more.
        """
    @property
    def prompts(self) -> int:
        """
        Prompts in the table.
        """
    @property
    def task(self) -> list[int]:
        """
        Number of every prompt's task, ascending.
        """
    @property
    def tasks(self) -> int:
        """
        Different tasks.
        """
    @property
    def trace(self) -> list[int]:
        """
        Index of the trace of every prompt, by task, group and id.
        """
    @property
    def unknown_rows(self) -> int:
        """
        Rows without known routing.
        """
    @property
    def unlabelled(self) -> list[int]:
        """
        Traces left out: no task.
        """
class DebiasedRows:
    """
    Signatures prepared for the debiased cosine.
    """
    __hash__: typing.ClassVar[None] = None
    def __eq__(self, arg0: DebiasedRows) -> bool:
        ...
    def __getstate__(self) -> tuple[int, int, int, list[float], list[float], list[int]]:
        ...
    def __setstate__(self, arg0: tuple) -> None:
        ...
    def absence(self, prompt: typing.SupportsInt | typing.SupportsIndex) -> str | None:
        """
        Why a prompt has none, or None.
        """
    @property
    def known(self) -> list[bool]:
        """
        Whether a layer of a prompt has a similarity, row by row.
        """
    @property
    def squared_norms(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        float64 [prompts, layers].
        """
    @property
    def tokens(self) -> numpy.typing.NDArray[numpy.uint64]:
        """
        uint64 [prompts, layers] tokens with known routing.
        """
class ClassificationScores:
    """
    How good held-out predictions are.
    """
    def __repr__(self) -> str:
        ...
    @property
    def accuracy(self) -> float:
        """
        Mean over folds.
        """
    @property
    def accuracy_sd(self) -> float:
        """
        Standard deviation over folds (ddof 0).
        """
    @property
    def chance(self) -> float:
        """
        Share of the commonest label.
        """
    @property
    def confusion(self) -> list[int]:
        """
        Counts [classes * classes]: rows truth, columns prediction.
        """
    @property
    def fold_accuracy(self) -> list[float]:
        """
        Accuracy of each fold.
        """
    @property
    def hits(self) -> int:
        """
        Right predictions, pooled over folds.
        """
    @property
    def macro_f1(self) -> float:
        """
        Of the pooled predictions.
        """
    @property
    def macro_f1_folds(self) -> float:
        """
        Mean over folds.
        """
    @property
    def trials(self) -> int:
        """
        Predictions.
        """
    @property
    def wilson(self) -> tuple[float, float]:
        """
        Wilson's 95 % interval of hits / trials.
        """
class FoldPlan:
    """
    How rows are split into folds.
    """
    def __init__(self, folds: typing.SupportsInt | typing.SupportsIndex, given: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = [], groups: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = []) -> None:
        ...
    def __repr__(self) -> str:
        ...
    def assign(self, labels: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], seed: typing.SupportsInt | typing.SupportsIndex = 0, repetition: typing.SupportsInt | typing.SupportsIndex = 0) -> list[int]:
        """
        The fold of every row.
        """
def accuracy_difference_interval(first: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], second: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], unit: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], draws: typing.SupportsInt | typing.SupportsIndex = 2000, seed: typing.SupportsInt | typing.SupportsIndex = 0) -> tuple[float, float]:
    """
    95 % bootstrap interval of the difference of two accuracies on the same rows.
    """
def agreement(a: TraceSet, b: TraceSet, tokens: str, drop_invalid: bool, progress: typing.Any = None) -> dict:
    """
    Agreement of expert sets, by name; prompts in one order.
    """
def balanced_separation(matrix: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], task: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], group: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = []) -> Separation:
    """
    separation with means in which every task weighs the same.
    """
def benjamini_hochberg(p: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> numpy.typing.NDArray[numpy.float64]:
    """
    Benjamini and Hochberg's adjusted p-values.
    """
def bootstrap(matrices: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], task: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], group: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], draws: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex, level: typing.SupportsFloat | typing.SupportsIndex, progress: typing.Any = None) -> dict:
    """
    Bootstrap intervals of the separation of similarity matrices [matrices, n, n].
    """
def break_even_tokens(within: typing.SupportsFloat | typing.SupportsIndex, model_ratio: typing.SupportsFloat | typing.SupportsIndex, balanced_ratio: typing.SupportsFloat | typing.SupportsIndex) -> float | None:
    """
    T* = (r w - r') / (1 - w), or None where w is not below 1.
    """
def category_matrix(matrix: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], task: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], tasks: typing.SupportsInt | typing.SupportsIndex, group: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = []) -> tuple[list[float | None], list[int]]:
    """
    (means, pairs), row-major [tasks, tasks].
    """
def centroids(x: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], labels: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> numpy.typing.NDArray[numpy.float64]:
    """
    Mean rows [classes, columns] of the labels that occur, ascending.
    """
def chance_load(experts: typing.SupportsInt | typing.SupportsIndex, top_k: typing.SupportsInt | typing.SupportsIndex, tokens: typing.Annotated[numpy.typing.ArrayLike, numpy.uint64]) -> dict:
    """
    Expected measures of load of uniform routing of tokens [...], by name.
    """
def cka(a: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], b: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> float | None:
    """
    Unbiased linear CKA of rows [n, ...]; None where undefined.
    """
def classification_scores(labels: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], predictions: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], fold: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> ClassificationScores:
    """
    Scores of predictions [rows] against labels [rows]; rows with a negative entry are left out.
    """
def coactivation(traces: TraceSet, pairs: str, tokens: str, drop_invalid: bool) -> tuple:
    """
    (counts [layers, experts, experts], tokens [layers]).
    """
def common_prefixes(traces: TraceSet, groups: bool) -> tuple[bool, list[int], list[int]]:
    """
    (by token ids?, first tokens that another prompt of the task has too, those that one of another task has).
    """
def compare_with_controls(real: TraceSet, controls: collections.abc.Sequence[TraceSet], tokens: str, drop_invalid: bool, groups: bool) -> tuple:
    """
    (difference or None, d or None, differences of layers, unlabelled, empty).
    """
def cross_validate(x: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], labels: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], fold: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], *, classifier: str = 'logistic_regression', c: typing.SupportsFloat | typing.SupportsIndex = 1.0, tolerance: typing.SupportsFloat | typing.SupportsIndex = 1e-10, layers: typing.SupportsInt | typing.SupportsIndex = 1) -> tuple[list[int], typing.Any]:
    """
    (predictions, probabilities [rows, classes] or None) of every row from the other folds' rows.
    """
def debiased_counts(counts: typing.Annotated[numpy.typing.ArrayLike, numpy.uint64], top_k: typing.SupportsInt | typing.SupportsIndex) -> DebiasedRows:
    """
    DebiasedRows of counts [prompts, layers, experts].
    """
def debiased_layers(a: DebiasedRows, b: DebiasedRows = None) -> numpy.typing.NDArray[numpy.float64]:
    """
    Debiased cosines [layers, prompts of a, prompts of b]; 0 where absent.
    """
def debiased_matrix(a: DebiasedRows, b: DebiasedRows = None) -> numpy.typing.NDArray[numpy.float64]:
    """
    Their mean over layers [prompts of a, prompts of b].
    """
def debiased_means(rows: DebiasedRows, task: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], group: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> tuple[tuple[float | None, float | None, float | None, int, int], list[tuple[float | None, float | None, float | None, int, int]]]:
    """
    (within, across, difference, within pairs, across pairs), overall and a list by layer.
    """
def debiased_traces(traces: TraceSet, tokens: str, window: typing.SupportsInt | typing.SupportsIndex, drop_invalid: bool) -> DebiasedRows:
    """
    DebiasedRows of traces.
    """
def decompose(table: TokenTable, length: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], shuffles: typing.SupportsInt | typing.SupportsIndex, bootstrap: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any = None) -> tuple:
    """
    (parts or None, parts of layers, why there are no bands).
    """
def depth_slope(values: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]) -> float | None:
    """
    Least-squares slope over 0, 1, 2, ...; None for fewer than two values.
    """
def dispersion_test(matrix: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], task: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], group: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], permutations: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex, source: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = [], progress: typing.Any = None) -> dict:
    """
    Whether tasks differ in the distances of prompts to their centroids.
    """
def drop_common_prefix(traces: TraceSet, groups: bool) -> tuple:
    """
    (traces, left out, 0, tokens dropped).
    """
def drop_first(traces: TraceSet) -> tuple:
    """
    (traces, left out, 0, tokens dropped).
    """
def entropy_bias(experts: typing.Annotated[numpy.typing.ArrayLike, numpy.int32], top_k: typing.Annotated[numpy.typing.ArrayLike, numpy.int32], tokens: typing.Annotated[numpy.typing.ArrayLike, numpy.uint64]) -> typing.Any:
    """
    Bits by which the entropy of counts is too low on average.
    """
def fano_bound(errors: typing.SupportsInt | typing.SupportsIndex, n: typing.SupportsInt | typing.SupportsIndex, classes: typing.SupportsInt | typing.SupportsIndex, confidence: typing.SupportsFloat | typing.SupportsIndex, entropy: typing.SupportsFloat | typing.SupportsIndex | None) -> tuple[float, float, float]:
    """
    (point, valid, upper error rate).
    """
def fit_logistic(x: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], labels: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], *, c: typing.SupportsFloat | typing.SupportsIndex = 1.0, intercept: bool = True, tolerance: typing.SupportsFloat | typing.SupportsIndex = 1e-10, max_iterations: typing.SupportsInt | typing.SupportsIndex = 10000) -> tuple[numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64], int, bool]:
    """
    (coefficients [scores, columns], intercepts [scores], iterations, converged); one score for two classes.
    """
def groups_have_one_label(labels: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], groups: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> bool:
    """
    Whether no group has rows of two labels.
    """
def half_similarities(traces: TraceSet, split: str, tokens: str, drop_invalid: bool) -> tuple[numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.uint64]]:
    """
    (cosines of the halves, tokens), [prompts, layers] each.
    """
def holm(p: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> numpy.typing.NDArray[numpy.float64]:
    """
    Holm's adjusted p-values.
    """
def identity_rows(trace: RoutingTrace) -> tuple[numpy.typing.NDArray[numpy.uint64], numpy.typing.NDArray[numpy.uint64], numpy.typing.NDArray[numpy.uint64]]:
    """
    Rows that are exactly the ids 0, 1, ..., top_k - 1: what engines write for padding and for NaN.
    
    Returns
    -------
    rows, runs : uint64 [layers]
        How many there are in each layer, and how many runs of them over neighbouring tokens.
    tokens : uint64
        Tokens whose known rows, one at least, are all so.
    """
def jsonl_head(traces: TraceSet) -> bytes:
    """
    The header and prompt lines of a trace file.
    """
def kept_tokens(positions: typing.Annotated[numpy.typing.ArrayLike, numpy.int32]) -> numpy.typing.NDArray[numpy.uint64]:
    """
    The tokens that `drop_invalid` keeps of those at these positions, as indices.
    """
def layer_bootstrap(values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], task: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], group: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], draws: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex, level: typing.SupportsFloat | typing.SupportsIndex, progress: typing.Any = None) -> dict:
    """
    bootstrap of the layers' cosines of signatures [n, layers, experts].
    """
def layer_information(values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], task: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], group: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], permutations: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex, source: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = [], progress: typing.Any = None) -> list:
    """
    Of each layer: (prompts, units, plug-in, null mean, corrected, standard error, statistic, (p, its floor)); None where undefined.
    """
def layer_permutation_test(values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], task: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], group: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], permutations: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex, source: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = [], progress: typing.Any = None) -> dict:
    """
    permutation_test of the layers' cosines of signatures [n, layers, experts].
    """
def layer_separation(values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], task: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], balanced: bool, group: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = []) -> list[Separation]:
    """
    Separation of the cosines of signatures [n, layers, experts], layer by layer.
    """
def length_free(counts: typing.Annotated[numpy.typing.ArrayLike, numpy.uint64], top_k: typing.SupportsInt | typing.SupportsIndex, task: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], group: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> tuple[float, float] | None:
    """
    (within-task similarity, sampling ratio) without text length, or None.
    """
def load(values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> dict:
    """
    Measures of load of counts or shares [..., experts], by name.
    """
def load_balance_baseline(counts: typing.Annotated[numpy.typing.ArrayLike, numpy.uint64], top_k: typing.SupportsInt | typing.SupportsIndex, task: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], group: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], *, with_replacement: bool = False, repetitions: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any = None) -> dict:
    """
    Separation under uniform routing: a dict of what routesig.baselines shows.
    """
def load_divergence(a: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], b: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> list[float]:
    """
    Jensen-Shannon divergences in bits of loads [layers, experts].
    """
def log_loss_bound(probabilities: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], label: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], floor: typing.SupportsFloat | typing.SupportsIndex) -> tuple:
    """
    (bits, unclipped, H(T), loss, standard error of the loss).
    """
def logistic_decision(x: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], coefficients: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], intercepts: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]) -> numpy.typing.NDArray[numpy.float64]:
    """
    Scores [rows, scores].
    """
def logistic_probabilities(x: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], coefficients: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], intercepts: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]) -> numpy.typing.NDArray[numpy.float64]:
    """
    Probabilities [rows, classes].
    """
def looks_like_jsonl_trace(first_bytes: bytes) -> bool:
    ...
def marginal_baseline(counts: typing.Annotated[numpy.typing.ArrayLike, numpy.uint64], top_k: typing.SupportsInt | typing.SupportsIndex, task: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], group: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], *, repetitions: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any = None) -> dict:
    """
    Separation under routing by pooled popularity: a dict of what routesig.baselines shows.
    """
def matched_similarity(a: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], b: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> tuple:
    """
    (cosines of the same prompts, row by row [prompts, layers]; mean cosines of different ones [layers]).
    """
def matrix_correlation(a: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], b: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], strata: collections.abc.Sequence[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]], permutations: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any = None) -> tuple:
    """
    (Spearman's correlation of similarity matrices [n, n], Mantel's test for each of `strata`).
    """
def mcnemar(first: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], second: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], unit: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = []) -> tuple[int, int, float, float]:
    """
    (right in the first alone, in the second alone, exact p, smallest p); whole units swap.
    """
def nearest_centroid(x: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], centroids: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], layers: typing.SupportsInt | typing.SupportsIndex | None = None) -> list[int]:
    """
    Index of the nearest centroid for every row: by distance, or by mean cosine over `layers` blocks of columns.
    """
def normalized_counts(counts: typing.Annotated[numpy.typing.ArrayLike, numpy.uint64]) -> numpy.typing.NDArray[numpy.float64]:
    """
    Counts [prompts, layers, experts] divided by their layer totals; an empty layer stays zero.
    """
def num_threads() -> int:
    """
    Number of threads that loops use: `set_num_threads`, else ROUTESIG_NUM_THREADS, else the processors available.
    
    Examples
    --------
    >>> import routesig as rs
    >>> rs.num_threads() >= 1
    True
    """
def overlap_ladder(table: TokenTable) -> tuple:
    """
    (rungs, chance, effect or None, token ids, units, fewest units of a task, layers).
    """
def paired_bootstrap(a: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], b: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], task: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], group: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], draws: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex, level: typing.SupportsFloat | typing.SupportsIndex, progress: typing.Any = None) -> dict:
    """
    Separations of two similarity matrices [n, n] and their difference, with intervals.
    """
def parse_jsonl_head(lines: bytes, name: str) -> TraceSet:
    """
    The prompts of such lines, without tokens; `name` stands in messages.
    """
def pca(x: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], components: typing.SupportsInt | typing.SupportsIndex = 2) -> tuple[numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64], float, numpy.typing.NDArray[numpy.float64]]:
    """
    (points [rows, k], loadings [k, columns], variance [k], total variance, mean [columns]); k: components, or the rank where that is smaller.
    """
def permutation_baseline(values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], task: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], group: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], *, repetitions: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any = None) -> dict:
    """
    Separation under relabelled experts: a dict of what routesig.baselines shows.
    """
def permutation_moments(pair: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> tuple[float, float]:
    """
    Mean and sd of the similarity of two signatures [2, layers, experts] with relabelled experts.
    """
def permutation_test(matrices: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], task: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], group: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], permutations: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex, source: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = [], progress: typing.Any = None) -> dict:
    """
    Label permutation test of similarity matrices [matrices, n, n].
    """
def permuted_accuracy(x: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], labels: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], plan: FoldPlan, count: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex = 0, *, sources: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = [], classifier: str = 'logistic_regression', c: typing.SupportsFloat | typing.SupportsIndex = 1.0, tolerance: typing.SupportsFloat | typing.SupportsIndex = 1e-10, layers: typing.SupportsInt | typing.SupportsIndex = 1, progress: typing.Any = None) -> list[float]:
    """
    Accuracy under `count` random orders of the labels (within sources), refitted each time.
    """
def position_matched(traces: TraceSet, tokens: str, length: typing.SupportsInt | typing.SupportsIndex) -> tuple:
    """
    (traces, left out, length, tokens dropped).
    """
def prefix_signatures(traces: TraceSet, tokens: typing.SupportsInt | typing.SupportsIndex, which: str, drop_invalid: bool) -> numpy.typing.NDArray[numpy.float64]:
    """
    Signatures of the first tokens [prompts, layers, experts].
    """
def read_jsonl(path: os.PathLike | str | bytes, *, recover: bool = False, experts: typing.SupportsInt | typing.SupportsIndex = 0, drop_invalid: bool = False) -> TraceSet:
    ...
def read_safetensors(path: os.PathLike | str | bytes) -> dict:
    """
    Read a safetensors file, an index, or a model folder into memory.
    
    Parameters
    ----------
    path : str or os.PathLike
        A ``.safetensors`` file, a ``.safetensors.index.json``, or a folder that holds ``model.safetensors``, else
        ``model.safetensors.index.json``.
    
    Returns
    -------
    dict of str to tuple
        For each tensor its dtype as the file writes it (``"BF16"``), its shape, and its bytes (little-endian, row-major).
    
    Raises
    ------
    routesig.FormatError
        Where the file breaks a rule of the format; the sentence names the file, the place and the rule.
    OSError
        Where a file cannot be opened.
    """
def repeated_accuracy(x: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], labels: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], plan: FoldPlan, count: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex = 0, *, first: typing.SupportsInt | typing.SupportsIndex = 0, classifier: str = 'logistic_regression', c: typing.SupportsFloat | typing.SupportsIndex = 1.0, tolerance: typing.SupportsFloat | typing.SupportsIndex = 1e-10, layers: typing.SupportsInt | typing.SupportsIndex = 1, progress: typing.Any = None) -> list[float]:
    """
    Accuracy of `count` cross-validations, each with folds of its own, from number `first` on.
    """
def residual_similarity(table: TokenTable, shuffles: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any = None) -> numpy.typing.NDArray[numpy.float64]:
    """
    Similarity less its mean under the shuffle [prompts, prompts]; NaN where absent.
    """
def row_states(trace: RoutingTrace) -> numpy.typing.NDArray[numpy.uint8]:
    """
    uint8 [layers, tokens]: 0 known, 1 unknown, 2 impossible (a repeated id, one out of range, known in part).
    """
def safetensors_shapes(path: os.PathLike | str | bytes) -> dict:
    """
    What a safetensors file, an index, or a model folder holds, from the headers alone.
    
    Returns, for each tensor, its dtype as the file writes it and its shape; takes and raises what `read_safetensors` does.
    """
def sampled_similarity(tokens_a: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], tokens_b: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], ratio: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> typing.Any:
    """
    1 / sqrt((1 + r/T_a)(1 + r/T_b)), 0 without tokens.
    """
def sampling_ratio(experts: typing.SupportsInt | typing.SupportsIndex, top_k: typing.SupportsInt | typing.SupportsIndex, with_replacement: bool = False) -> float:
    """
    r of 1 / sqrt((1 + r/T_a)(1 + r/T_b)) for uniform routing.
    """
def separation(matrix: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], task: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], group: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = []) -> Separation:
    """
    Separation of a similarity matrix [n, n] under integer tasks [n], negative where unlabelled, and groups [n], negative where alone.
    """
def set_num_threads(count: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Set the number of threads; 0 goes back to the default. See `routesig.set_num_threads`.
    """
def short_task(task: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], group: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> tuple[int, int] | None:
    """
    (task, pairs) of a task whose prompts of different groups make fewer than 5 pairs, or None.
    """
def shuffle_test(observed: typing.SupportsFloat | typing.SupportsIndex, draws: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]) -> tuple[float, float, float, float, float, float, float, float | None]:
    """
    Test of one statistic against its draws under the shuffle.
    """
def signatures(traces: TraceSet, tokens: str = 'all', weighting: str = 'count', drop_invalid: bool = False) -> tuple[numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.uint64] | None, numpy.typing.NDArray[numpy.uint64], int, int]:
    """
    (values, counts or None, num_tokens, unknown_rows, dropped_rows) of a TraceSet.
    """
def similarity(a: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], b: typing.Annotated[numpy.typing.ArrayLike, numpy.float64] | None = None, *, per_layer: bool = False, metric: str = 'cosine', single: bool = False) -> numpy.ndarray[typing.Any, numpy.dtype[typing.Any]]:
    """
    Mean layer-wise similarity of signatures [prompts, layers, experts] (float64, C order); float32 if `single`.
    """
def spearman_brown(half: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> typing.Any:
    """
    2 h / (1 + h).
    """
def standardized(x: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], labels: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> numpy.typing.NDArray[numpy.float64]:
    """
    Columns moved and scaled to mean 0 and sd 1 (ddof 0) of the rows whose label is not negative.
    """
def token_pool_baseline(traces: TraceSet, task: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], group: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], *, tokens: str = 'all', weighting: str = 'count', drop_invalid: bool = False, repetitions: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any = None) -> dict:
    """
    Separation under redistributed tokens: a dict of what routesig.baselines shows.
    """
def token_shuffle(table: TokenTable, shuffles: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any = None) -> tuple:
    """
    (test of D or None, tests of layers, draws, draws of layers).
    """
def tokens_for_reliability(rho: typing.SupportsFloat | typing.SupportsIndex, r: typing.SupportsFloat | typing.SupportsIndex) -> float:
    """
    r rho / (1 - rho).
    """
def tuned_cross_validation(candidates: collections.abc.Sequence[tuple[typing.Annotated[numpy.typing.ArrayLike, numpy.float64], str]], labels: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], fold: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], inner: FoldPlan, *, c: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex] = [0.01, 0.1, 1.0, 10.0, 100.0], seed: typing.SupportsInt | typing.SupportsIndex = 0, progress: typing.Any = None) -> tuple[list[int], list[tuple[int, float]]]:
    """
    (predictions [rows], (candidate, c) of each outer fold): preparation and penalty chosen by inner folds.
    """
def uncertainty(logits: typing.Annotated[numpy.typing.ArrayLike, numpy.float32], top_k: typing.SupportsInt | typing.SupportsIndex) -> tuple:
    """
    (entropy, gap, mass, margin, known) of logits [..., experts].
    """
def unused_probability(experts: typing.Annotated[numpy.typing.ArrayLike, numpy.int32], top_k: typing.Annotated[numpy.typing.ArrayLike, numpy.int32], tokens: typing.Annotated[numpy.typing.ArrayLike, numpy.uint64]) -> typing.Any:
    """
    (1 - K/E)^T.
    """
def upper_p_value(observed: typing.SupportsFloat | typing.SupportsIndex, draws: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]) -> tuple[float, float]:
    """
    (p, smallest p that as many draws can give), one-sided.
    """
def vocabulary_specialization(traces: TraceSet, least: typing.SupportsInt | typing.SupportsIndex, tokens: str, drop_invalid: bool) -> tuple:
    """
    (token ids, occurrences [ids, layers], shares).
    """
def wilson_interval(hits: typing.SupportsInt | typing.SupportsIndex, trials: typing.SupportsInt | typing.SupportsIndex) -> tuple[float, float]:
    """
    Wilson's 95 % interval of a proportion.
    """
def without_duplicates(traces: TraceSet, tokens: str) -> tuple:
    """
    (traces, left out, 0, 0).
    """
__version__: str = '0.1.0'
