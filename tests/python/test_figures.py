"""The figures of a study: drawn from its parts, and written as files that depend on nothing else."""

import re
from dataclasses import replace

import numpy as np
import pytest

import routesig as rs
from support import random_experts, tasks_apart

matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from routesig.plot import _figures  # noqa: E402

QUICK = {"permutations": 200, "bootstrap": 200, "null_draws": 20, "shuffles": 20, "refits": 0, "progress": False}


def labelled_traces(n=14, unlabelled=0):
    """Prompts of two tasks that differ in words and in routing, 20 tokens and more."""
    out = []
    for i in range(n + unlabelled):
        random, length = np.random.default_rng(i), 20 + i
        experts = random_experts(3, length, 16, 2, seed=i)
        experts[:, ::2] = np.array([0, 1])[i % 2] * 2 + np.array([0, 1])
        ids = random.integers(0, 30, length) + 10 * (i % 2)
        task = ("code", "math")[i % 2] if i < n else None
        trace = rs.RoutingTrace.from_arrays(
            experts, num_experts=16, token_ids=ids, prompt_tokens=17, id=f"p{i}", task=task
        )
        out.append(trace)
    return rs.TraceSet(out)


@pytest.fixture(scope="module")
def study():
    pytest.importorskip("sklearn", reason="t-SNE is scikit-learn's")
    traces = labelled_traces(unlabelled=2)
    return rs.study(traces, controls={"random weights": [traces, traces]}, **QUICK)


@pytest.fixture
def ax():
    return Figure(layout="constrained").subplots()


NAMES = [
    *("similarity", "baselines", "layers", "pca", "tsne", "category_matrix", "separation", "null", "token_shuffle"),
    *("decomposition", "overlap_ladder", "controls", "controls_accuracy", "confusion", "evidence", "information"),
    *("load_balance", "length", "load"),
]


@pytest.fixture(scope="module")
def saved(study, tmp_path_factory):
    return rs.plot.save_figures(study, tmp_path_factory.mktemp("saved") / "a" / "figures")


def test_every_figure_is_written(saved):
    paths, absent = saved
    assert absent == {}
    assert [path.name for path in paths] == [f"{name}.{suffix}" for name in NAMES for suffix in ("png", "svg")]
    starts = {".png": b"\x89PNG", ".svg": b"<?xml"}
    assert all(path.read_bytes().startswith(starts[path.suffix]) for path in paths)
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(path.name for path in paths)


def test_figures_with_a_name_a_task_grow_with_the_tasks(study, tmp_path):
    def width(folder, name):
        return float(re.search(r'<svg[^>]* width="([\d.]+)pt"', (folder / f"{name}.svg").read_text()).group(1))

    many = replace(study, category_matrix=replace(study.category_matrix, tasks=[f"t{i}" for i in range(60)]))
    for folder, one in (("few", study), ("many", many)):
        rs.plot.save_figures(one, tmp_path / folder, ["svg"])
    for name, factor in (("pca", 1.6), ("confusion", 1.6), ("layers", 1.0)):
        assert width(tmp_path / "many", name) == pytest.approx(factor * width(tmp_path / "few", name), rel=0.01)


def test_a_comparison_is_drawn_too(study, tmp_path):
    compared = study.with_comparison(rs.compare(study, study))
    paths, _ = compared.save_figures(tmp_path, ["svg"])
    assert (tmp_path / "comparison.svg") in paths


def test_the_same_study_gives_the_same_bytes_whatever_the_style(study, saved, tmp_path):
    first, _ = saved
    with matplotlib.rc_context({"font.size": 20, "savefig.dpi": 40, "axes.facecolor": "red", "svg.fonttype": "none"}):
        second, _ = rs.plot.save_figures(study, tmp_path / "second")
        assert matplotlib.rcParams["font.size"] == 20
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert b"Software" not in first[0].read_bytes()
    assert b"<dc:date>" not in first[1].read_bytes()


@pytest.fixture
def one_figure(monkeypatch):
    """As if there were only one: what is tested is the same for all."""
    monkeypatch.setattr(_figures, "FIGURES", {"null": _figures.FIGURES["null"]})


def test_pdf_files_depend_on_the_study_alone(study, one_figure, tmp_path):
    written = [rs.plot.save_figures(study, tmp_path / name, formats="pdf")[0][0].read_bytes() for name in "ab"]
    assert written[0] == written[1]
    assert written[0].startswith(b"%PDF")
    assert b"CreationDate" not in written[0]


def test_neither_pyplot_nor_a_backend_learns_of_it(study, one_figure, tmp_path):
    import matplotlib.pyplot as plt

    backend = matplotlib.get_backend()
    rs.plot.save_figures(study, tmp_path, formats="svg")
    assert plt.get_fignums() == []
    assert matplotlib.get_backend() == backend


def test_what_a_study_of_signatures_lacks_is_named_with_its_reason(tmp_path):
    found = rs.study(tasks_apart((6, 6), top_k=1), **QUICK)
    paths, absent = rs.plot.save_figures(found, tmp_path, formats=["svg"])
    lacking = {"token_shuffle", "decomposition", "overlap_ladder", "evidence", "load_balance", "length"}
    assert lacking <= set(absent)
    assert all("it needs traces; signatures were given" in absent[name] for name in lacking)
    assert absent["decomposition"].startswith("plot.decomposition: the study has no decomposition:")
    assert {path.stem for path in paths} == set(NAMES) - set(absent)
    assert {"similarity", "layers", "pca", "null", "confusion"} <= {path.stem for path in paths}


def test_a_study_of_one_prompt_draws_its_similarity_and_says_why_not_the_rest(tmp_path):
    paths, absent = rs.plot.save_figures(rs.study(labelled_traces(1), **QUICK), tmp_path, formats=["png"])
    drawn = {path.stem for path in paths}
    assert {"similarity", "load", "category_matrix"} <= drawn
    assert drawn | set(absent) == set(NAMES)
    assert "needs 2 prompts" in absent["pca"]
    assert "fewer than two tasks" in absent["null"]
    assert "expected a layer with a Cohen's d, got none: there are fewer than two tasks" in absent["layers"]
    assert absent["baselines"] == "plot.baselines: nothing to draw: there are fewer than two tasks"


def test_prompts_without_tasks_draw_what_needs_none(tmp_path):
    paths, absent = rs.plot.save_figures(rs.study(labelled_traces(0, unlabelled=5), **QUICK), tmp_path, formats=["png"])
    assert {"similarity", "pca", "load"} <= {path.stem for path in paths}
    assert "expected prompts with a task, got none" in absent["category_matrix"]


def test_a_folder_that_cannot_be_written_is_named(study, tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "figures"):
        with pytest.raises(OSError, match="save_figures: cannot write to the folder") as caught:
            rs.plot.save_figures(study, folder)
        assert caught.value.filename == str(folder)


def test_formats_and_studies_are_checked_before_anything_is_written(study, tmp_path):
    with pytest.raises(ValueError, match=r"expected formats among png, svg, pdf, got \['gif'\]"):
        rs.plot.save_figures(study, tmp_path / "none", formats=("png", "gif"))
    with pytest.raises(ValueError, match="got none"):
        rs.plot.save_figures(study, tmp_path / "none", formats=())
    with pytest.raises(TypeError, match="save_figures: expected a Study, got a SignatureSet"):
        rs.plot.save_figures(study.signatures, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_study_is_drawn_from_its_parts(study):
    def same(drawn, expected):
        np.testing.assert_array_equal(drawn.images[0].get_array(), expected.images[0].get_array())

    def draw(function, *arguments):
        return function(*arguments, ax=Figure().subplots())

    plot, tasks = rs.plot, study.signatures.tasks
    same(draw(plot.similarity, study), draw(plot.similarity, study.signatures))
    same(draw(plot.category_matrix, study), draw(plot.category_matrix, study.category_matrix))
    same(draw(plot.confusion, study), draw(plot.confusion, study.classification))
    same(draw(plot.load, study), draw(plot.load, study.load))
    same(draw(plot.load, study, "math"), draw(plot.load, study.load_by_task, "math"))
    drawn, expected = draw(plot.pca, study), draw(plot.pca, study.pca, tasks)
    assert [line.get_xydata().tolist() for line in drawn.lines] == [
        line.get_xydata().tolist() for line in expected.lines
    ]
    assert {line.get_label() for line in drawn.lines} == {"no task", "code", "math"}


def test_baselines_of_a_study_have_its_intervals(study, ax):
    rs.plot.baselines(study, ax=ax)
    low, high = study.within.ci
    segments = [bar.get_segments()[0][:, 0].tolist() for bar in ax.collections]
    assert any(np.allclose(segment, [low, high]) for segment in segments)
    assert "20 to 33 tokens per prompt, median 26.5" in ax.get_xlabel()


def test_layers_of_a_study_have_intervals_slope_and_debiased_differences(study, ax):
    rs.plot.layers(study, ax=ax)
    right = ax.figure.axes[1]
    np.testing.assert_allclose(right.lines[0].get_ydata(), [row.debiased for row in study.layers])
    band = ax.collections[0].get_paths()[0].vertices
    assert all(np.isclose(band, [row.layer, end]).all(axis=1).any() for row in study.layers for end in row.ci)
    assert f"slope of d {study.depth.cohens_d.value:+.3f} a layer" in ax.get_title()
    plain = rs.plot.layers(study, debiased=False, ax=Figure().subplots())
    assert len(plain.figure.axes) == 1
    with pytest.raises(ValueError, match=r"the study has no debiased.layers: too short"):
        rs.plot.layers(replace(study, debiased=None, absent={"debiased": "too short"}), debiased=True, ax=ax)


def test_controls_of_a_study_show_kinds_ranges_and_accuracies(study, ax):
    rs.plot.controls(study, ax=ax)
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names[:3] == ["real routing", "token shuffle", "random weights"]
    assert "bag of tokens" not in names  # it has no similarities
    accuracies = [text.get_text() for text in ax.figure.axes[1].get_yticklabels()]
    assert accuracies[0] == f"{study.classification.accuracy:.2f}"
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"real", "null", "check"}
    drawn = rs.plot.controls(study, "accuracy", ax=Figure().subplots())
    assert "bag of tokens" in [text.get_text() for text in drawn.get_yticklabels()]
    assert f"commonest task, {study.classification.chance:.2f}" in drawn.get_xlabel()
    d = next(line.get_xdata()[0] for line in rs.plot.controls(study, "cohens_d", ax=Figure().subplots()).lines)
    assert d == study.cohens_d.value


def test_nulls_of_a_study_are_asked_for_by_name(study, ax):
    rs.plot.null(study, "marginal", ax=ax)
    assert ax.get_title().startswith("20 repetitions of the baseline marginal")
    with pytest.raises(ValueError, match="expected one of permutation_test, token_shuffle, permutation, load_balance"):
        rs.plot.null(study, "anything", ax=ax)
    lacking = replace(study, baselines={}, absent={"baselines[marginal]": "no counts"})
    with pytest.raises(ValueError, match="the study has no baseline marginal: no counts"):
        rs.plot.null(lacking, "marginal", ax=ax)


def test_load_balance_has_a_row_a_token_set(study, ax):
    rs.plot.load_balance(study, ax=ax)
    rows = [text.get_text() for text in ax.get_yticklabels()]
    assert rows[0] == "prompt tokens,\n17 to 17 a prompt"
    assert len(rows) == 3
    empty = [line.get_xdata()[0] for line in ax.lines if line.get_markerfacecolor() == "white"]
    np.testing.assert_allclose(
        empty, [getattr(one, kind).mean for kind in ("within", "across") for one in study.load_balance.values()]
    )


def test_information_draws_corrected_bits(study, ax):
    rs.plot.information(study, ax=ax)
    assert list(ax.lines[0].get_ydata()) == [row.corrected for row in study.information.layers]
    with pytest.raises(ValueError, match="nothing to draw: permutations=0"):
        rs.plot.information(rs.information.layer_information(study.signatures, permutations=0), ax=ax)


def test_length_of_a_study_has_the_line_of_load_balance(study, ax):
    rs.plot.length(study, ax=ax)
    x, y = ax.lines[0].get_data()
    np.testing.assert_allclose(y, 1 / (1 + 7 / np.asarray(x)))  # 16 experts, 2 a token
    lacking = replace(study.debiased, reliability=None, absent={"reliability": "signatures only"})
    with pytest.raises(ValueError, match=r"the study has no debiased.reliability: signatures only"):
        rs.plot.length(replace(study, debiased=lacking), ax=ax)


@pytest.mark.parametrize("width", [3.3, 6.4])
def test_text_stays_inside_the_figure(study, width):
    for name, (draw, size) in _figures.FIGURES.items():
        figure = Figure(figsize=(width, max(2.6, size[1] * width / 6.4)), layout="constrained")
        FigureCanvasAgg(figure)
        draw(study, ax=figure.subplots())
        figure.canvas.draw()
        inner, outer = figure.get_tightbbox(), figure.bbox_inches
        assert inner.x0 > -0.02, name
        assert inner.y0 > -0.02, name
        assert inner.x1 < outer.x1 + 0.02, name
        assert inner.y1 < outer.y1 + 0.02, name
