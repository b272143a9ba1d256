"""Pictures: Axes in, Axes out; never shown."""

import io
import itertools
import sys
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

import routesig as rs
from support import random_traces, tasks_apart

matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
matplotlib.use("Agg")
from matplotlib.figure import Figure  # noqa: E402


@pytest.fixture
def ax():
    return Figure(figsize=(3.3, 3.0), layout="constrained").subplots()


def labels(ax):
    return {text.get_text() for text in ax.get_legend().get_texts()}


def title(ax):
    return ax.get_title().replace("\n", " ")


def y_ticks(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def bar_label(ax):
    return ax.images[0].colorbar.ax.get_ylabel()


def test_without_axes_a_new_figure_is_made():
    import matplotlib.pyplot as plt

    drawn = rs.plot.similarity(np.eye(3), ["a", "b", "a"])
    assert plt.get_fignums() == [drawn.figure.number]
    plt.close("all")


def test_given_axes_are_used_and_pyplot_learns_of_none(ax):
    import matplotlib.pyplot as plt

    assert rs.plot.separation(tasks_apart(), ax=ax) is ax
    assert plt.get_fignums() == []


def test_similarity_puts_prompts_of_a_task_side_by_side(ax):
    sigs = rs.signatures(random_traces())
    rs.plot.similarity(sigs, ax=ax)
    order = [0, 2, 4, 1, 3, 5]
    np.testing.assert_array_equal(ax.images[0].get_array(), rs.similarity(sigs)[np.ix_(order, order)])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["code", "math"]
    assert title(ax) == "Similarity of routing signatures, 6 prompts"
    assert ax.images[0].get_clim() == (rs.similarity(sigs)[~np.eye(6, dtype=bool)].min(), 1.0)


def test_similarity_takes_a_matrix_and_one_prompt(ax):
    assert rs.plot.similarity(np.eye(1), ax=ax).images
    with pytest.raises(ValueError, match="expected a matrix"):
        rs.plot.similarity(np.zeros((2, 3)), ax=ax)
    with pytest.raises(ValueError, match="expected tasks for 3 prompts, got 2"):
        rs.plot.similarity(np.eye(3), ["a", "b"], ax=ax)


def test_similarity_names_unlabelled_prompts(ax):
    rs.plot.similarity(np.eye(4), ["b", None, "a", "b"], ax=ax)
    assert y_ticks(ax) == ["a", "b", "no task"]  # in the order of every other picture


def test_similarity_of_many_prompts_is_one_image(ax):
    rs.plot.similarity(np.eye(1500), ["a", "b"] * 750, ax=ax)
    ax.figure.canvas.draw()
    assert ax.images[0].get_array().shape == (1500, 1500)


def test_category_matrix_writes_every_mean_and_marks_what_has_no_pair(ax):
    sigs = rs.SignatureSet.from_counts([[[4, 0]], [[3, 1]], [[0, 4]]], tasks=["a", "a", "b"])
    rs.plot.category_matrix(rs.statistics.category_matrix(sigs), ax=ax)
    assert [text.get_text() for text in ax.texts] == ["0.95", "0.16", "0.16", "-"]
    with pytest.raises(ValueError, match="expected prompts with a task, got none"):
        rs.plot.category_matrix(rs.statistics.category_matrix(np.eye(2), [None, None]), ax=ax)
    with pytest.raises(TypeError, match="expected a Study or CategoryMatrix, got an ndarray"):
        rs.plot.category_matrix(np.eye(2), ax=ax)


def test_maps_of_thirty_tasks_name_them_all_and_write_no_number(ax):
    tasks = [f"task {i}" for i in range(30)] * 2
    rs.plot.category_matrix(rs.statistics.category_matrix(np.eye(60), tasks), ax=ax)
    assert len(y_ticks(ax)) == 30
    assert not ax.texts


def test_separation_counts_pairs_of_both_kinds(ax):
    sigs = tasks_apart((3, 2))
    rs.plot.separation(replace(sigs, tasks=["a", "a", None, "b", "b"]), ax=ax)
    matrix = rs.similarity(sigs)
    within, across = (matrix[0, 1] + matrix[3, 4]) / 2, matrix[[0, 0, 1, 1], [3, 4, 3, 4]].mean()
    expected = {f"within a task: mean {within:.3f}, 2 pairs", f"across tasks: mean {across:.3f}, 4 pairs"}
    assert labels(ax) == expected
    with pytest.raises(ValueError, match="expected two prompts with tasks or more, got none"):
        rs.plot.separation(np.eye(2), ["a", None], ax=ax)


def test_baselines_draw_means_and_say_how_long_the_texts_are(ax):
    traces = random_traces(8)
    found = {name: getattr(rs.baselines, name)(traces, repetitions=20) for name in ("permutation", "load_balance")}
    rs.plot.baselines(found, ax=ax)
    assert y_ticks(ax) == ["real routing", "permutation", "load balance"]
    assert labels(ax) == {"within task", "across tasks"}
    points = [line.get_xydata()[0] for line in ax.lines if line.get_marker() == "o"]
    means = [found["permutation"].observed.within.mean, *(one.within.mean for one in found.values())]
    np.testing.assert_allclose([x for x, _ in points], means)
    assert "10 to 17 tokens per prompt, median 13.5" in ax.get_xlabel().replace("\n", " ")


def test_a_baseline_without_draws_shows_its_closed_form(ax):
    found = rs.baselines.permutation(tasks_apart(), repetitions=0)
    rs.plot.baselines(found, ax=ax)
    squares = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "s"]
    np.testing.assert_allclose(squares, [found.observed.across.mean, found.closed_form.across])
    with pytest.raises(ValueError, match="expected a baseline or more, got none"):
        rs.plot.baselines({}, ax=ax)


def test_layers_draw_d_its_interval_and_the_debiased_difference(ax):
    sigs = tasks_apart(top_k=1)
    found = rs.statistics.bootstrap(sigs, draws=200)
    debiased = rs.debiased_similarity(sigs).means()[1]
    rs.plot.layers(found, debiased=debiased, ax=ax)
    line = next(line for line in ax.lines if line.get_label() == "Cohen's d")
    np.testing.assert_allclose(line.get_ydata(), [layer.value for layer in found.layers])
    assert labels(ax) == {"Cohen's d", "debiased difference (right)"}  # a task of 4 prompts has no interval
    right = ax.figure.axes[1]
    np.testing.assert_allclose(right.lines[0].get_ydata(), [layer.difference for layer in debiased])
    with pytest.raises(ValueError, match="expected the list of DebiasedMeans beside a result that is no Study"):
        rs.plot.layers(found, debiased=True, ax=ax)


def test_layers_draw_intervals_and_mark_those_that_may_be_chance(ax):
    found = rs.statistics.bootstrap(tasks_apart((6, 6)), draws=200)
    rs.plot.layers(found, ax=ax)
    assert labels(ax) == {"Cohen's d", "95% bootstrap interval"}
    noise = rs.statistics.permutation_test(tasks_apart((6, 6), effect=0.0), permutations=99).layers
    drawn = rs.plot.layers(noise, ax=Figure().subplots())
    assert "adjusted p ≥ 0.05" in labels(drawn)
    with pytest.raises(ValueError, match="expected a layer with a Cohen's d, got none"):
        rs.plot.layers(rs.statistics.layer_separation(tasks_apart((3,))), ax=ax)


def test_decomposition_stacks_its_parts_and_hangs_negative_ones_below_zero(ax):
    part = rs.controls.Part
    parts = rs.controls.Parts(part(0.2, (0.1, 0.3)), part(-0.1, None), part(0.1, None), part(0.2, (0.15, 0.25)))
    found = rs.controls.Decomposition(parts, [parts], None, 10, 9, [])
    rs.plot.decomposition(found, ax=ax)
    np.testing.assert_allclose([(b.get_y(), b.get_height()) for b in ax.patches[:3]], [(0, -0.1), (0, 0.1), (0.1, 0.2)])
    band = next(line for line in ax.lines if len(set(line.get_ydata())) == 2 and len(line.get_xdata()) == 2)
    np.testing.assert_allclose(band.get_ydata(), [0.25, 0.35])  # standing on the 0.1 of vocabulary
    absent = rs.controls.Decomposition(None, [], None, 0, 0, [], {"overall": "every task has one prompt"})
    with pytest.raises(ValueError, match="nothing to draw: every task has one prompt"):
        rs.plot.decomposition(absent, ax=ax)


@pytest.mark.parametrize("count", [20, 144])
def test_projections_tell_tasks_apart_by_colour_and_marker(ax, count):
    tasks = [f"t{i:03}" for i in range(count)] + [None, None]
    points = np.arange(2.0 * len(tasks)).reshape(-1, 2)
    found = rs.Pca(points, None, None, np.array([0.5, 0.25]), np.zeros((1, 1)))
    rs.plot.pca(found, tasks, ax=ax)
    looks = {
        line.get_label(): (line.get_color(), line.get_marker(), line.get_markerfacecolor() == "none")
        for line in ax.lines
    }
    assert len(looks) == len(set(looks.values())) == count + 1
    assert looks["no task"] == ("#888888", ".", False)
    assert labels(ax) == set(looks)
    drawn = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert drawn["no task"] == points[-2:].tolist()
    assert ax.get_xlabel().replace("\n", " ") == "component 1 (50.0% of variance)"


@pytest.mark.parametrize("width", [3.3, 6.4, 10.0])
def test_names_of_sixty_tasks_do_not_meet(width):
    tasks = [f"task number {i:02}" for i in range(60)]
    counts = np.diag(np.full(60, 3))
    confusion = replace(rs.classify(tasks_apart((5, 5))), confusion=counts, classes=tasks)
    matrix = np.eye(120)
    drawings = (
        lambda ax: rs.plot.similarity(matrix, tasks * 2, ax=ax),
        lambda ax: rs.plot.category_matrix(rs.statistics.category_matrix(matrix, tasks * 2), ax=ax),
        lambda ax: rs.plot.confusion(confusion, ax=ax),
    )
    for draw in drawings:
        figure = Figure(figsize=(width, 0.85 * width), layout="constrained")
        drawn = draw(figure.subplots())
        figure.canvas.draw()
        for names, low, high in ((drawn.get_xticklabels(), "x0", "x1"), (drawn.get_yticklabels(), "y0", "y1")):
            assert 15 <= len(names) <= 60
            assert min(name.get_fontsize() for name in names) >= 4
            boxes = sorted((getattr(b, low), getattr(b, high)) for b in (n.get_window_extent() for n in names))
            assert all(before[1] <= after[0] + 0.5 for before, after in itertools.pairwise(boxes))
        assert not drawn.texts or drawn.texts[0].get_fontsize() > 4


def test_projection_on_one_direction_lies_on_a_line(ax):
    rs.plot.pca(rs.pca(rs.SignatureSet.from_counts([[[4, 0]], [[2, 2]], [[0, 4]]])), ax=ax)
    assert ax.lines[0].get_ydata().tolist() == [0, 0, 0]
    assert ax.get_legend() is None


def test_absent_projections_say_why(ax):
    one = rs.SignatureSet.from_counts([[[4, 0]]])
    with pytest.raises(ValueError, match=r"plot\.pca: nothing to draw: PCA needs 2 prompts or more, got 1"):
        rs.plot.pca(rs.pca(one), ax=ax)
    with pytest.raises(ValueError, match=r"plot\.tsne: nothing to draw: t-SNE needs 4 prompts or more, got 1"):
        rs.plot.tsne(rs.tsne(one), ax=ax)
    with pytest.raises(ValueError, match="expected tasks for 3 prompts, got 1"):
        rs.plot.tsne(rs.Tsne(np.zeros((3, 2)), 1.0, 0), ["a"], ax=ax)


def test_tsne_says_perplexity_and_seed(ax):
    rs.plot.tsne(rs.Tsne(np.zeros((3, 2)), 1.5, 7), ["a", "b", None], ax=ax)
    assert title(ax) == "t-SNE of 3 prompts (perplexity 1.5, seed 7)"


def test_load_marks_unused_experts_and_states_chance(ax):
    found = rs.metrics.load(rs.SignatureSet.from_counts([[[6, 2, 0, 0], [2, 2, 2, 2]]], top_k=1))
    rs.plot.load(found, ax=ax)
    np.testing.assert_allclose(ax.images[0].get_array()[0], [75, 25, 0, 0])
    assert ax.lines[0].get_xydata().tolist() == [[2, 0], [3, 0]]
    assert "even: 25" in bar_label(ax)
    expected = float(found.chance.unused.sum())
    assert title(ax) == f"Load of the experts 2 of 8 unused (crosses); even routing would leave {expected:.1f}"


def test_load_of_one_task_is_asked_for_by_name(ax):
    found = rs.metrics.load(tasks_apart((3, 2)), by="task")
    rs.plot.load(found, "b", ax=ax)
    np.testing.assert_allclose(ax.images[0].get_array(), 100 * found.shares[1])
    with pytest.raises(ValueError, match="expected one of a, b as group, got none"):
        rs.plot.load(found, ax=ax)
    with pytest.raises(ValueError, match="expected one of a, b as group, got 'c'"):
        rs.plot.load(found, "c", ax=ax)


def test_null_shows_the_observed_value_p_and_its_floor(ax):
    found = rs.statistics.permutation_test(tasks_apart(), permutations=199)
    rs.plot.null(found, ax=ax)
    assert sum(bar.get_height() for bar in ax.patches) == 199
    assert ax.lines[0].get_xdata() == [found.difference, found.difference]
    assert ax.get_title().endswith("p = 0.005, smallest possible 0.005")
    assert ax.texts[0].get_text() == f"observed {found.difference:.4f}"


def test_null_of_a_baseline_that_tests_nothing_says_so(ax):
    found = rs.baselines.load_balance(tasks_apart(top_k=1), repetitions=50)
    rs.plot.null(found, ax=ax)
    assert "no p: any trained model departs from uniform routing" in title(ax)
    with pytest.raises(ValueError, match="nothing to draw: repetitions is 0"):
        rs.plot.null(rs.baselines.load_balance(tasks_apart(top_k=1), repetitions=0), ax=ax)


def test_null_of_the_token_shuffle_and_of_equal_draws(ax):
    found = rs.controls.token_shuffle(random_traces(), shuffles=20)
    rs.plot.null(found, ax=ax)
    assert ax.get_ylabel() == "shuffles"
    same = rs.statistics.permutation_test(np.ones((4, 4)), ["a", "a", "b", "b"])
    assert rs.plot.null(same, ax=Figure().subplots()).lines[0].get_xdata() == [0, 0]


def test_confusion_writes_prompts(ax):
    found = rs.classify(tasks_apart(), folds=3)
    rs.plot.confusion(found, ax=ax)
    assert [int(text.get_text()) for text in ax.texts] == found.confusion.ravel().tolist()
    assert ax.get_title().startswith(f"{found.hits} of {found.trials} held-out prompts")
    with pytest.raises(ValueError, match="nothing to draw: classification needs prompts of two tasks"):
        rs.plot.confusion(rs.classify(tasks_apart((3,))), ax=ax)


def test_evidence_draws_bits_bands_threshold_and_entropy(ax):
    found = rs.information.evidence_over_tokens(random_traces(12), folds=3, threshold=0.25)
    rs.plot.evidence(found, ax=ax)
    lines = {line.get_label().partition(":")[0]: line.get_ydata() for line in ax.lines}
    for name, label in (("signature", "signature"), ("bag", "bag of tokens"), ("length", "length")):
        np.testing.assert_array_equal(lines[label], found.bits[name])
    assert [list(line.get_ydata()) for line in ax.lines[-2:]] == [[1.0, 1.0], [0.25, 0.25]]
    assert len(ax.collections) == 3
    assert [text.get_text() for text in ax.texts] == ["all there is to know", "threshold"]


def test_length_draws_each_prompt_and_its_ceiling(ax):
    traces = random_traces(6, tokens=12)
    found = rs.reliability(traces)
    rs.plot.length(found, ["a", "a", "a", "b", "b", None], ax=ax)
    ceiling, similarity = (points.get_offsets() for points in ax.collections)
    matrix = rs.similarity(rs.signatures(traces))
    expected = [matrix[0, [1, 2]].mean(), matrix[1, [0, 2]].mean(), matrix[2, [0, 1]].mean(), *[matrix[3, 4]] * 2]
    np.testing.assert_allclose(similarity[:5, 1], expected)
    np.testing.assert_allclose(ceiling[3], [15, found.ceiling[3, 4]])
    assert similarity.mask[5].any()  # no task, no point
    with pytest.raises(ValueError, match="expected tasks for 6 prompts, got none"):
        rs.plot.length(found, ax=ax)
    with pytest.raises(ValueError, match="expected a task with two prompts whose halves can be compared"):
        rs.plot.length(found, [None] * 6, ax=ax)


def test_overlap_ladder_draws_rungs_layers_and_chance(ax):
    found = rs.controls.overlap_ladder(random_traces())
    rs.plot.overlap_ladder(found, ax=ax)
    assert [bar.get_height() for bar in ax.patches] == [value for value in found.overlap.values() if value is not None]
    assert labels(ax) == {f"chance {found.chance:.3f}"}
    assert len(ax.lines[0].get_ydata()) == 3  # layers
    one = rs.controls.overlap_ladder(random_traces(1))
    with pytest.raises(ValueError, match="nothing to draw: no two tokens of different prompts are such a pair"):
        rs.plot.overlap_ladder(one, ax=ax)


def test_controls_draw_the_real_routing_and_each_range(ax):
    real = random_traces(6)
    controls = [rs.TraceSet(list(real)) for _ in range(3)]
    found = {
        "random weights": rs.controls.random_weights(real, controls),
        "token shuffle": rs.controls.token_shuffle(real, shuffles=9),
    }
    rs.plot.controls(found, ax=ax)
    assert y_ticks(ax) == ["real routing", "random weights", "token shuffle"]
    points = [line.get_xdata()[0] for line in ax.lines if line.get_marker() in "os"]
    difference = found["random weights"].difference
    np.testing.assert_allclose(points, [difference.real, difference.mean, found["token shuffle"].difference.mean])
    with pytest.raises(ValueError, match="expected a control with accuracy, got none"):
        rs.plot.controls(found, "accuracy", ax=ax)
    with pytest.raises(ValueError, match="expected one of difference, cohens_d, accuracy, got 'd'"):
        rs.plot.controls(found, "d", ax=ax)


def test_routing_itself_can_be_drawn(ax):
    traces = random_traces(2)
    rs.plot.trace(traces[1], ax=ax)
    np.testing.assert_array_equal(ax.images[0].get_array(), traces[1].experts[:, :, 0])
    assert ax.lines[0].get_xdata()[0] == traces[1].prompt_tokens - 0.5
    sigs = rs.signatures(traces)
    drawn = rs.plot.signature(sigs[0], ax=Figure().subplots())
    np.testing.assert_array_equal(drawn.images[0].get_array(), sigs[0].values)
    with pytest.raises(TypeError, match=r"expected a Signature \(sigs\[0\]\), got a SignatureSet"):
        rs.plot.signature(sigs, ax=ax)


def test_a_trace_is_drawn_with_its_words_where_there_is_room(ax):
    wide = Figure(figsize=(6.4, 3.8)).subplots()
    traces = rs.record(rs.load_model(), rs.load_prompts()[:1], max_new_tokens=0, progress=False)
    drawn = rs.plot.trace(traces[0], ax=wide)
    words = [label.get_text() for label in drawn.get_xticklabels()]
    assert words == [text.strip() or "␣" for text in traces[0].token_texts]
    for plain in (
        rs.plot.trace(traces[0], words=False, ax=Figure(figsize=(6.4, 3.8)).subplots()),
        rs.plot.trace(traces[0], ax=ax),
    ):
        assert len(plain.get_xticklabels()) != len(words)
    with pytest.raises(ValueError, match=r"expected a trace with token texts \(words=True\), got 'p0' without"):
        rs.plot.trace(random_traces(1)[0], words=True, ax=ax)


def test_coactivation_states_chance_and_knows_its_layers(ax):
    found = rs.metrics.coactivation(random_traces())
    rs.plot.coactivation(found, 2, ax=ax)
    np.testing.assert_array_equal(ax.images[0].get_array(), found.conditional[2])
    assert bar_label(ax).replace("\n", " ") == f"P(j | i), by chance {found.chance:.2f}"
    with pytest.raises(ValueError, match="expected a layer from 0 to 2, got 3"):
        rs.plot.coactivation(found, 3, ax=ax)


def test_uncertainty_is_a_line_a_task(ax):
    found = rs.metrics.uncertainty(np.random.default_rng(0).normal(size=(4, 3, 8)), top_k=2)
    rs.plot.uncertainty(found, ["a", "b", "a", None], ax=ax)
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_allclose(lines["a"], found.entropy[[0, 2]].mean(axis=0))
    assert set(lines) == {"a", "b", "no task"}


def test_titles_are_wrapped_to_the_place_there_is():
    found = rs.statistics.permutation_test(tasks_apart(), permutations=99)
    wide = rs.plot.null(found, ax=Figure(figsize=(6.4, 3)).subplots())
    narrow = rs.plot.null(found, ax=Figure(figsize=(6.4, 3)).subplots(1, 4)[0])
    assert narrow.get_title().count("\n") > wide.get_title().count("\n")
    assert narrow.title.get_size() < wide.title.get_size()


def test_importing_the_plots_imports_no_matplotlib():
    import subprocess

    code = "import sys, routesig.plot; assert 'matplotlib' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_names_are_drawn_letter_by_letter():
    tasks = ["$x_{", "_hidden", "two\nlines", "long " * 20, "$a$"]
    matrix = rs.statistics.category_matrix(np.eye(10), tasks * 2)
    found = rs.Pca(np.arange(20.0).reshape(10, 2), None, None, np.array([0.5, 0.25]), np.zeros((1, 1)))
    controls = {task: rs.controls.ControlValue(1.0, [0.5], 0.5, 0.5, 0.5, 0.5, rs.PValue(0.5, 0.5)) for task in tasks}
    controls = {task: rs.controls.ControlComparison(task, value, None, [], []) for task, value in controls.items()}
    figure = Figure(layout="constrained")
    axes = figure.subplots(2, 2)
    rs.plot.similarity(np.eye(10), tasks * 2, ax=axes[0, 0])
    rs.plot.category_matrix(matrix, ax=axes[0, 1])
    rs.plot.pca(found, tasks * 2, ax=axes[1, 0])
    rs.plot.controls(controls, ax=axes[1, 1])
    figure.canvas.draw()  # a formula that cannot be read would stop it
    drawn = {r"\$x_{", " _hidden", "two lines", r"\$a\$", ("long " * 20)[:31] + "…"}
    assert labels(axes[1, 0]) == drawn
    assert set(y_ticks(axes[0, 0])) == set(y_ticks(axes[0, 1])) == drawn


def test_names_with_control_characters_give_an_svg_that_can_be_read(ax):
    rs.plot.similarity(np.eye(4), ["\x1b[31mred", "bell\x07"] * 2, ax=ax)
    ax.figure.savefig(file := io.BytesIO(), format="svg")
    ElementTree.fromstring(file.getvalue())
    assert set(y_ticks(ax)) == {r"\u001b[31mred", r"bell\u0007"}


def test_axes_without_a_place_in_a_grid_are_drawn_on():
    ax = Figure().add_axes((0.1, 0.1, 0.8, 0.8))
    assert rs.plot.separation(tasks_apart(), ax=ax) is ax


def test_one_layer_and_many_layers_can_be_drawn():
    for layers in (1, 60):
        sigs = tasks_apart((6, 6), layers=layers)
        drawn = rs.plot.layers(rs.statistics.bootstrap(sigs, draws=50), ax=Figure().subplots())
        line = next(line for line in drawn.lines if line.get_label() == "Cohen's d")
        assert len(line.get_ydata()) == layers


def test_a_negative_d_is_drawn_below_zero(ax):
    tests = [rs.statistics.LayerTest(i, d, rs.PValue(0.5, 0.1), d, None) for i, d in enumerate([-0.5, 0.5])]
    rs.plot.layers(tests, ax=ax)
    low, high = ax.get_ylim()
    assert low < -0.5
    assert high > 0.5


def test_comparison_draws_agreement_beside_chance_and_similarity_where_there_are_no_tokens(ax):
    traces = random_traces()
    found = rs.compare(traces, traces)
    assert rs.plot.comparison(found, ax=ax) is ax
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_array_equal(drawn["same set"], np.ones(3))
    np.testing.assert_allclose(
        drawn["in common by chance"], [layer.marginal_chance for layer in found.agreement.layers]
    )
    sigs = rs.signatures(traces)
    drawn = {
        line.get_label(): line.get_ydata()
        for line in rs.plot.comparison(rs.compare(sigs, sigs), ax=Figure().subplots()).lines
    }
    np.testing.assert_allclose(drawn["same prompt"], np.ones(3))
    assert (drawn["another prompt"] < 1).all()
    other = rs.signatures(random_traces(layers=2))
    with pytest.raises(ValueError, match=r"expected one routing shape \(A has 3 layers x 16 experts, B 2 x 16"):
        rs.plot.comparison(rs.compare(sigs, other), ax=ax)
