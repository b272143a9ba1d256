"""Study: every result about one set of prompts."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._baseline import Baseline
from routesig._bootstrap import Bootstrap, Estimate
from routesig._classification import Classification
from routesig._dispersion import DispersionTest
from routesig._findings import Finding
from routesig._left_out import LeftOut
from routesig._load import Load
from routesig._p_value import PValue
from routesig._permutation import PermutationTest
from routesig._plain import NOT_HELD
from routesig._projection import Pca, Tsne
from routesig._signatures import SignatureSet
from routesig._similarity import similarity
from routesig._study._parts import (
    Control,
    Debiased,
    Depth,
    Group,
    Information,
    LayerRow,
    StudyOptions,
    StudyPrompt,
)
from routesig._study._provenance import Provenance
from routesig.controls import ContextTest, Decomposition, OverlapLadder, TokenShuffle
from routesig.statistics import CategoryMatrix

if TYPE_CHECKING:
    from routesig._comparison import Comparison


@dataclass(frozen=True)
class FromFile:
    """What a file of a study says in the place of signatures and details that it does not hold."""

    headline: str
    prompts: list[StudyPrompt]


@dataclass(frozen=True, eq=False)
class Study:
    """Result of `rs.study`: whether routing follows the task, by how much, and what explains it.

    What is undefined is None or empty, and `absent` says why. Similarities are mean layer-wise cosines (arXiv
    2603.11114, equation 5). Two studies are equal where `to_dict` is; `rs.read_study` gives one back from its file.

    Attributes
    ----------
    traces : TraceSet or None
        The prompts that were analysed; None where signatures were given.
    signatures : SignatureSet or None
        Theirs, in the same order; None in a study that was read from a file.
    prompts : list of StudyPrompt
        Theirs: id, task, group, source, number of tokens, predicted task.
    options : StudyOptions
    left_out : list of LeftOut
        Prompts without a token in the chosen set.
    similarity : float64 [prompts, prompts], or None in a study that was read from a file
    within, across : Group
        `.mean`, `.sd` and `.pairs` of the similarities of pairs of prompts; `.ci`: interval of the mean.
    balanced : Separation
        The same with every task weighing the same.
    difference, cohens_d : Estimate
        D = within - across, and d: `.value`, `.ci`, `.se`.
    p_value : PValue or None
        Label permutation, one-sided; it knows its floor.
    layers : list of LayerRow
    depth : Depth
        Slopes over the layers.
    category_matrix : CategoryMatrix
    permutation_test : PermutationTest
    bootstrap : Bootstrap
    dispersion : DispersionTest or None
    debiased : Debiased or None
        Free of text length.
    baselines : dict of Baseline
        "permutation", "load_balance", "marginal", "token_pool".
    load_balance : dict of Baseline
        By token set: "prompt", "generation", "all".
    classification : Classification
    controls : dict of Control
    token_shuffle, context, decomposition, overlap_ladder : or None
        Where the difference comes from.
    pca, tsne : Pca and Tsne, or None
    information : Information
    load, load_by_task : Load or None
    comparison : Comparison or None
        See `with_comparison`.
    provenance : dict
        Model, tokenizer, settings, hashes, versions.
    absent : dict
        Field -> why it is None or lacks an entry.
    fewer : dict
        Option -> how many repetitions there were, and why, where its default was lowered because of what it would cost.
    findings : list of Finding
        What to know before the numbers: faults of the data, of the design, and tests that could not have found
        anything.
    """

    traces: _core.TraceSet | None
    signatures: SignatureSet | None
    options: StudyOptions
    left_out: list[LeftOut]
    similarity: NDArray[np.float64] | None
    within: Group
    across: Group
    balanced: _core.Separation
    difference: Estimate
    cohens_d: Estimate
    p_value: PValue | None
    layers: list[LayerRow]
    depth: Depth
    category_matrix: CategoryMatrix
    permutation_test: PermutationTest
    bootstrap: Bootstrap
    dispersion: DispersionTest | None
    debiased: Debiased | None
    baselines: dict[str, Baseline]
    load_balance: dict[str, Baseline]
    classification: Classification
    controls: dict[str, Control]
    token_shuffle: TokenShuffle | None
    context: ContextTest | None
    decomposition: Decomposition | None
    overlap_ladder: OverlapLadder | None
    pca: Pca | None
    tsne: Tsne | None
    information: Information
    load: Load | None
    load_by_task: Load | None
    provenance: Provenance
    absent: dict[str, str] = field(default_factory=dict)
    fewer: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    comparison: "Comparison | None" = None
    _file: FromFile | None = field(default=None, repr=False)

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, Study) else NotImplemented

    @property
    def prompts(self) -> list[StudyPrompt]:
        """What is known of every prompt: id, task, group, source, number of tokens, predicted task."""
        if self._file is not None:
            return self._file.prompts
        sigs = self._known_signatures("prompts")
        tokens = [None] * len(sigs) if sigs.num_tokens is None else sigs.num_tokens.tolist()
        columns = (sigs.ids, sigs.tasks, sigs.groups, sigs.sources, tokens, self.classification.predictions)
        return [StudyPrompt(*row) for row in zip(*columns, strict=True)]

    def layer_similarity(self) -> NDArray[np.float64]:
        """Cosines of the signatures, layer by layer: float64 [layers, prompts, prompts]; computed when asked for."""
        return np.asarray(similarity(self._known_signatures("layer_similarity"), per_layer=True))

    def with_comparison(self, comparison: "Comparison | None") -> "Study":
        """The same study with a `Comparison` (of `rs.compare`) for its report to show."""
        return replace(self, comparison=comparison)

    @property
    def headline(self) -> str:
        """What was found, in sentences: size, interval, p, what length, words and other routers account for."""
        from routesig._study._headline import headline

        return " ".join(headline(self)) if self._file is None else self._file.headline

    @property
    def not_claimed(self) -> tuple[str, ...]:
        """What the numbers do not say."""
        from routesig._study._headline import NOT_CLAIMED

        return NOT_CLAIMED

    @property
    def strongest(self) -> Control | None:
        """The null control, the token shuffle among them, that keeps the largest difference of similarities."""
        nulls = [c for c in self.controls.values() if c.kind == "null" and c.difference is not None]
        return max(nulls, key=lambda c: c.difference.mean if c.difference else 0.0, default=None)

    @property
    def strongest_by_d(self) -> Control | None:
        """The null control, the token shuffle among them, that keeps the largest Cohen's d."""
        nulls = [c for c in self.controls.values() if c.kind == "null" and c.cohens_d is not None]
        return max(nulls, key=lambda c: c.cohens_d.mean if c.cohens_d else 0.0, default=None)

    def paper(self) -> list[tuple[str, str, str]]:
        """Name, this study's value and the paper's, as text: another model and other prompts."""
        from routesig._study._text import beside_the_paper

        return beside_the_paper(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything but traces, signatures and single draws, as plain data: docs/formats.md, "Study JSON"."""
        from routesig._study._json import study_to_dict

        return study_to_dict(self)

    def to_json(self, path: str | os.PathLike[str]) -> Path:
        """Write `to_dict` as a JSON file; the same study gives the same bytes.

        Raises
        ------
        OSError
            Where the file cannot be written; nothing is left behind.
        """
        from routesig._study._json import write_json

        return write_json(self, path)

    def save_figures(
        self, folder: str | os.PathLike[str], formats: Sequence[str] = ("png", "svg")
    ) -> tuple[list[Path], dict[str, str]]:
        """Write every figure that can be drawn; the files, and for the others why not. See `rs.plot.save_figures`."""
        from routesig.plot import save_figures

        return save_figures(self, folder, formats)

    def show(self) -> None:
        """Display the headline, the controls and two pictures in a notebook; elsewhere print the study.

        Raises
        ------
        ImportError
            In a notebook without matplotlib.
        """
        from routesig._study._show import show

        show(self)

    def report(
        self, path: str | os.PathLike[str], *, title: str | None = None, commands: Sequence[str] | None = None
    ) -> Path:
        """Write one self-contained interactive page (docs/report.md); the same study gives the same bytes.

        Parameters
        ----------
        path : path
            Usually ends in `.html`.
        title : str, optional
            What the page is called, in the browser too. Default: the model.
        commands : list of str, optional
            Shell commands that make the study again, for the section Reproduce: `routesig study` gives its own.
            Without them the section says that the study was made in Python, and shows the call.

        Returns
        -------
        Path

        Raises
        ------
        ImportError
            Without Jinja2 and Plotly: `pip install 'routesig[report]'`.
        ValueError
            Where the study was read from a file, which holds no signatures.
        OSError
            Where the file cannot be written; nothing is left behind.
        """
        from routesig._report import write

        return write(self, path, title, commands)

    def tables(self) -> dict[str, Any]:
        """What is tabular as pandas DataFrames: "prompts", "layers", "pairs", "tasks", "baselines", "controls"."""
        from routesig._study._tables import tables

        return tables(self)

    def _repr_html_(self) -> str:
        from routesig._html import study_html

        return study_html(self)

    def __str__(self) -> str:
        from routesig._study._text import study_text

        return study_text(self)

    def _known_signatures(self, who: str) -> SignatureSet:
        """The signatures; ValueError where the study was read from a file, which holds none."""
        if self.signatures is None:
            raise ValueError(f"{who}: expected a study with signatures, got one read from a file: {NOT_HELD}")
        return self.signatures

    def __repr__(self) -> str:
        difference = "None" if self.difference.value is None else f"{self.difference.value:.4f}"
        return f"Study({len(self.prompts)} prompts, difference={difference}, p_value={self.p_value!r})"
