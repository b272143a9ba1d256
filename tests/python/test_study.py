"""The study: that it says what its parts say, and what is missing where something is missing."""

import copy
import dataclasses
import html
import json
import pickle
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from report_studies import worded_traces

import routesig as rs
from routesig._study import _compose, _costs, _show
from routesig._study._parts import StudyOptions
from support import random_experts, random_traces, tasks_apart

QUICK = {"permutations": 200, "bootstrap": 200, "null_draws": 20, "shuffles": 20, "refits": 5, "progress": False}
ALONE = QUICK | {"groups": False}


@pytest.fixture(scope="module")
def traces(model):
    return rs.record(model, rs.load_prompts(), max_new_tokens=20, rotated_routers=3, progress=False)


@pytest.fixture(scope="module")
def study(traces):
    pytest.importorskip("sklearn", reason="t-SNE is scikit-learn's")
    return rs.study(traces, **QUICK)


def test_nothing_is_absent_on_the_shipped_model(study):
    assert study.absent == {}
    assert study.left_out == []
    assert set(study.baselines) == {"permutation", "load_balance", "marginal", "token_pool"}
    assert set(study.load_balance) == {"prompt", "generation", "all"}
    assert study.load_balance["all"] is study.baselines["load_balance"]


def test_it_says_what_its_parts_say(study, traces):
    sigs = rs.signatures(traces)
    found = rs.separation(sigs)
    assert (study.within.mean, study.within.sd, study.within.pairs) == (
        found.within.mean,
        found.within.sd,
        665,
    )  # of 760, 95 in one group
    assert study.across.mean == found.across.mean
    assert study.cohens_d.value == pytest.approx(found.cohens_d)
    assert study.p_value == rs.statistics.permutation_test(sigs, permutations=200).p_value
    assert study.p_value.floor == pytest.approx(1 / 201)
    assert study.cohens_d.ci == rs.statistics.bootstrap(sigs, draws=200).cohens_d.ci
    assert [row.cohens_d for row in study.layers] == [s.cohens_d for s in rs.statistics.layer_separation(sigs)]
    assert study.classification.accuracy == rs.classify(sigs).accuracy
    assert study.decomposition.overall == rs.controls.decomposition(traces, shuffles=20, bootstrap=200).overall
    assert study.debiased.difference == rs.debiased_similarity(traces).means()[0].difference
    assert study.similarity.shape == (80, 80)
    assert study.layer_similarity().mean(axis=0) == pytest.approx(study.similarity)


def test_controls_have_means_and_ranges(study, traces):
    shuffle, rotated = study.controls["token shuffle"], study.controls["rotated router"]
    assert shuffle.difference.mean == pytest.approx(study.token_shuffle.difference.mean)
    assert shuffle.difference.repetitions == 20
    compared = rs.controls.rotated_router(traces, traces.rotated)
    assert rotated.difference.mean == pytest.approx(compared.difference.mean)
    assert rotated.difference.range == pytest.approx((compared.difference.low, compared.difference.high))
    assert rotated.cohens_d.mean == pytest.approx(compared.cohens_d.mean)
    assert rotated.accuracy.repetitions == 3
    assert rotated.p_value is None  # 3 routers cannot give .05
    assert rotated.rank == "above all 3 seeds"
    assert rotated.absent["p_value"] == "above all 3 seeds; from 19 seeds on this has a p"
    context = rs.controls.context_test(traces, shuffles=20, permutations=200)
    assert shuffle.p_value == study.context.p_value == context.p_value
    assert study.controls["bag of tokens"].difference is None
    assert study.controls["bag of tokens"].accuracy.mean > 0.5
    first = study.controls["without first token"]
    dropped = rs.separation(rs.signatures(rs.controls.drop_first(traces).traces))
    assert first.cohens_d.mean == pytest.approx(dropped.cohens_d)
    assert study.strongest.name in ("token shuffle", "rotated router")
    assert study.strongest_by_d.cohens_d.mean == max(shuffle.cohens_d.mean, rotated.cohens_d.mean)


def test_a_check_that_no_prompt_passes_says_why():
    found = rs.study(random_traces(12, tokens=4), **ALONE).controls["position matched (prompt)"]
    assert found.difference is None
    assert "fewer than the 16 compared" in found.absent["difference"]


def test_given_controls_stand_beside_the_others(model, traces):
    untrained = rs.load_model(random_weights=1)
    weights = rs.record(untrained, traces, progress=False)
    sigs = rs.signatures(weights)
    found = rs.study(traces, controls={"random weights": [weights, weights], "counts": sigs}, **ALONE)
    control = found.controls["random weights"]
    assert control.difference.repetitions == 2
    assert control.cohens_d.mean == pytest.approx(rs.separation(sigs, groups=False).cohens_d)
    assert (control.p_value, control.rank) == (None, "above all 2 seeds")
    whole = rs.study(traces, controls={"random weights": [weights] * 19}, **QUICK).controls["random weights"]
    assert whole.p_value == whole.p_value.floor == 0.05
    assert whole.cohens_d.mean == pytest.approx(rs.separation(sigs).cohens_d)
    assert len(control.layers) == 16
    assert "random weights" in found.depth.controls
    assert found.controls["counts"].p_value is None
    assert "traces of the same prompts" in found.controls["counts"].absent["p_value"]


def test_a_control_of_other_prompts_is_shown_without_a_comparison(traces):
    other = random_traces(12)
    found = rs.study(random_traces(12, seed=50), controls={"other": other}, **ALONE)
    assert found.controls["other"].p_value is None
    assert found.controls["other"].difference is not None
    assert "p_value" in found.controls["other"].absent


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads(tmp_path):
    traces, threads = random_traces(14, tokens=12), rs.num_threads()
    written = []
    try:
        for count in (1, 2, 3):
            rs.set_num_threads(count)
            path = rs.study(traces, seed=3, **ALONE).to_json(tmp_path / f"{count}.json")
            written.append(path.read_bytes())
    finally:
        rs.set_num_threads(threads)
    assert written[0] == written[1] == written[2]
    assert rs.study(traces, seed=4, **ALONE).to_dict()["baselines"] != json.loads(written[0])["baselines"]


def test_json_holds_the_numbers_and_no_draws(study, tmp_path):
    path = study.to_json(tmp_path / "study.json")
    read = json.loads(path.read_text(encoding="utf-8"))
    assert (read["format"], read["version"]) == ("routesig-study", 2)
    assert read["headline"] == study.headline
    assert read["p_value"] == {"value": float(study.p_value), "floor": study.p_value.floor}
    assert read["cohens_d"]["value"] == study.cohens_d.value
    assert read["controls"]["token shuffle"]["difference"]["mean"] == study.controls["token shuffle"].difference.mean
    assert [row["id"] for row in read["prompts"]] == study.signatures.ids
    assert read["category_matrix"]["tasks"] == ["code", "factual", "math", "story"]
    assert "null" not in read["permutation_test"]
    assert path.stat().st_size < 1_000_000


def test_an_unwritable_file_is_named_and_nothing_is_left(study, tmp_path):
    with pytest.raises(OSError, match="absent"):
        study.to_json(tmp_path / "absent/study.json")
    assert list(tmp_path.iterdir()) == []


def test_text_fits_a_screen_and_names_what_is_not_claimed(study):
    lines = str(study).splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 120
    text = " ".join(str(study).split())
    for part in ("0.8435 ± 0.0879", "1.44", "92.5 %", "another model, other prompts", "Not claimed", study.headline):
        assert part in text


def like_the_papers(layers=16, experts=64, top_k=8, tasks=4):
    counts = np.random.default_rng(0).multinomial(480, np.full(experts, 1 / experts), (3 * tasks, layers))
    sigs = rs.SignatureSet.from_counts(counts, tasks=[f"t{i % tasks}" for i in range(len(counts))], top_k=top_k)
    return rs.study(sigs, **ALONE)


@pytest.mark.parametrize("other", [{}, {"layers": 12}, {"experts": 60}, {"top_k": 6}, {"top_k": None}, {"tasks": 5}])
def test_the_papers_numbers_stand_beside_studies_of_its_routing_and_number_of_tasks_alone(other):
    text = str(like_the_papers(**other))
    assert [part in text for part in ("the paper", "0.8435", "(*)")] == [not other] * 3
    assert "this study" in text


def test_headline_says_what_length_words_and_other_routers_account_for(study):
    for part in (
        "on 80 prompts of",
        "95 % interval",
        "whole groups of prompts permuted across tasks: p = ",
        "Text length alone would give 0.000",
        "free of text length the difference is 0.",
        "of the tokens occur in more than one task",
        "Of the control models, routers rotated at random keep most of the difference",
        "above all 3 seeds",
        "held-out prompts",
        "A classifier that sees only token ids, tuned the same way, names",
    ):
        assert part in study.headline, part
    assert "vocabulary" not in study.headline  # no share is said to *be* vocabulary


def test_show_displays_controls_and_pictures_in_a_notebook_and_prints_elsewhere(study, monkeypatch, capsys):
    study.show()
    assert capsys.readouterr().out == f"{study}\n"
    shown = []
    monkeypatch.setattr(_show, "_in_notebook", lambda: True)
    display = SimpleNamespace(HTML=lambda text: text, display=shown.append)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    study.show()
    (page,) = shown
    assert html.escape(study.headline) in page
    assert all(html.escape(name) in page for name, control in study.controls.items() if control.difference)
    pictures = re.findall(r'alt="([^"]*)" src="data:image/png;base64,', page)
    assert pictures == ["similarity of prompts", "controls"]


def test_a_headline_without_its_control_models_says_why():
    prompts = rs.load_prompts()[::2]
    traces = rs.record(rs.load_model(), prompts, max_new_tokens=0, rotated_routers=1, progress=False)
    found = rs.study(traces, weighting="gate", **ALONE)  # rotated routers apply no weights
    assert found.absent["controls[rotated router]"] in found.headline
    assert "The control 'rotated router' could not be compared: " in found.headline


def test_without_an_effect_the_headline_claims_none():
    found = rs.study(tasks_apart((12, 12, 12), effect=0.0, top_k=1), **ALONE)
    assert found.p_value > 0.05
    assert found.headline.startswith("Routing is not shown to follow the task")
    assert "are routed more alike" not in found.headline
    # The length is always said; after it the headline ends.
    assert found.headline.count("Text length alone would give") == 1
    assert found.headline.rstrip(".").endswith(")")
    for word in ("classifier", "control", "words"):
        assert word not in found.headline


def test_signatures_alone_leave_what_needs_tokens_absent():
    found = rs.study(tasks_apart(top_k=1), **ALONE)
    assert found.traces is None
    for name in ("token_shuffle", "decomposition", "overlap_ladder", "baselines[token_pool]", "information.evidence"):
        assert found.absent[name] == "it needs traces; signatures were given"
    assert found.controls == {}
    assert found.cohens_d.ci is None
    assert "of the 5 prompts" in found.absent["cohens_d.ci"]
    assert "absent" in str(found)


def test_one_task_leaves_similarity_load_and_projections():
    traces = rs.TraceSet([t for t in random_traces(12) if t.task == "code"])
    found = rs.study(traces, **ALONE)
    assert found.p_value is None
    assert found.across.mean is None
    assert found.absent["p_value"]
    assert found.absent["classification"]
    assert found.load is not None
    assert found.pca.points is not None
    assert found.headline.startswith("No test is possible on 6 prompts")
    assert "there are fewer than two tasks" in found.headline
    json.dumps(found.to_dict(), allow_nan=False)
    text = " ".join(str(found).split())
    assert "p_value, across, difference, cohens_d, controls[token shuffle]: there are fewer than two tasks" in text
    assert "controls[length (prompt)], controls[length (all)]" in text  # and no rows of dashes
    assert "token shuffle -" not in text


@pytest.mark.parametrize("prompts", [1, 2, 3])
def test_a_few_prompts(prompts):
    found = rs.study(random_traces(prompts), **ALONE)
    assert len(found.signatures) == prompts
    json.dumps(found.to_dict(), allow_nan=False)
    assert "1 pairs" not in str(found)
    assert "1 prompts" not in str(found)


def test_unlabelled_prompts_are_kept_in_the_projections_and_out_of_the_tests():
    traces = list(random_traces(12))
    for i in (1, 4):
        traces[i] = rs.RoutingTrace.from_arrays(
            traces[i].experts, num_experts=16, token_ids=traces[i].token_ids, id=traces[i].id
        )
    found = rs.study(rs.TraceSet(traces), **ALONE)
    assert len(found.pca.points) == 12
    assert found.permutation_test.unlabelled == 2
    assert found.classification.left_out == 2
    unlabelled = rs.study(rs.TraceSet([traces[1], traces[4]]), **ALONE)
    assert unlabelled.p_value is None
    assert str(unlabelled)


def test_prompts_without_such_tokens_are_left_out_and_listed():
    traces = list(random_traces(12))
    short = traces[3]
    traces[3] = rs.RoutingTrace.from_arrays(
        short.experts, num_experts=16, token_ids=short.token_ids, prompt_tokens=len(short), id=short.id, task=short.task
    )
    found = rs.study(rs.TraceSet(traces), tokens="generation", **ALONE)
    assert found.left_out == [rs.controls.LeftOut("p3", "no generation token with known routing")]
    assert found.signatures.ids == found.traces.ids == [f"p{i}" for i in range(12) if i != 3]
    assert "left out: 1 prompt" in str(found)
    with pytest.raises(ValueError, match="expected prompts with a generation token"):
        rs.study(rs.TraceSet([traces[3]]), tokens="generation", **ALONE)


def test_impossible_rows_are_refused_or_left_out():
    traces = list(random_traces(12))
    experts = np.array(random_experts(3, 10, 16, 4, 9))
    experts[0, 0] = 5  # one expert four times
    traces[0] = rs.RoutingTrace.from_arrays(experts, num_experts=16, token_ids=np.arange(10), id="bad", task="code")
    with pytest.raises(ValueError, match="bad"):
        rs.study(rs.TraceSet(traces), **ALONE)
    found = rs.study(rs.TraceSet(traces), drop_invalid=True, **ALONE)
    assert found.provenance["dropped_rows"] == 1


def test_gate_weighting_leaves_out_what_needs_counts():
    found = rs.study(random_traces(12), weighting="gate", controls={"other": random_traces(12)}, **ALONE)
    for name in ("token_shuffle", "decomposition", "debiased"):
        assert found.absent[name] == 'it counts experts, and the study has weighting="gate"'
    assert found.controls["other"].difference.mean == pytest.approx(found.difference.value)
    assert found.controls["other"].p_value is None
    assert "counts" in found.absent["baselines[load_balance]"]
    assert found.baselines["permutation"].within is not None


def test_bad_options_are_refused():
    traces = random_traces(12)
    for options in ({"tokens": "some"}, {"weighting": "some"}, {"folds": 1}, {"permutations": 0}, {"refits": -1}):
        with pytest.raises(ValueError, match=r"expected"):
            rs.study(traces, **{**ALONE, **options})
    with pytest.raises(TypeError, match="read_traces"):
        rs.study("traces.jsonl", **ALONE)
    with pytest.raises(ValueError, match="tokens"):
        rs.study(rs.signatures(traces), tokens="prompt", **ALONE)


def test_length_alone_is_not_announced_as_routing():
    """Uniform random routing, texts of 300 and of 25 tokens: the labels alone give p < .05, and length is named."""
    random = np.random.default_rng(0)
    counts = np.stack(
        [
            sum(np.eye(32, dtype=int)[random.permutation(32)[:4]].sum(axis=0) for _ in range(300 if i < 12 else 25))
            for i in range(24)
        ]
    )[:, None]
    found = rs.study(rs.SignatureSet.from_counts(counts, tasks=["long"] * 12 + ["short"] * 12, top_k=4), **QUICK)
    assert found.p_value <= 0.05
    assert found.debiased.p_value > 0.05
    assert "length may account for all of it" in found.headline
    assert "What words alone account for could not be controlled: it needs traces" in found.headline


def test_a_single_group_per_task_is_no_test():
    counts = np.random.default_rng(0).multinomial(16, [0.25] * 4, (12, 2))
    sigs = rs.SignatureSet.from_counts(counts, tasks=["a", "b"] * 6, groups=["a", "b"] * 6, top_k=1)
    found = rs.study(sigs, **QUICK)
    assert found.p_value is None
    assert found.difference.value is None
    assert found.headline.startswith("No test is possible on 12 prompts")
    assert "every task is a single group" in found.headline
    assert "p = 1" not in str(found)
    assert rs.study(sigs, **ALONE).p_value is not None


def test_groups_that_are_ignored_are_ignored_by_every_control():
    random = np.random.default_rng(3)
    traces = rs.TraceSet(
        [
            rs.RoutingTrace.from_arrays(
                random_experts(2, 20, 8, 2, i // 4),  # four prompts of a group are the same
                num_experts=8,
                token_ids=random.integers(0, 5, 20),
                prompt_tokens=10,
                id=str(i),
                task="ab"[i // 16],
                group=str(i // 4),
            )
            for i in range(32)
        ]
    )
    whole = rs.study(traces, **ALONE)
    for name in ("without first token", "without duplicates", "without common prefix"):
        control = whole.controls[name]
        assert control.accuracy.mean == pytest.approx(whole.classification.accuracy, abs=0.15), name
    assert whole.controls["bag of tokens"].detail.signature.folds.tolist() == whole.classification.folds.tolist()
    grouped = rs.study(traces, **QUICK)
    assert grouped.within.pairs == 16 * 15 - 8 * 6
    assert grouped.classification.accuracy < whole.classification.accuracy


def test_sources_that_cross_tasks_block_the_permutations_and_are_held_out():
    sigs = tasks_apart((10, 10), effect=1.0, top_k=1)
    crossed = dataclasses.replace(sigs, sources=["x", "y"] * 10)
    found = rs.study(crossed, **ALONE)
    assert found.permutation_test.sources == 2
    assert "permuted across tasks within each of 2 sources" in found.headline
    assert found.controls["unseen source"].accuracy.mean > 0.7
    assert found.controls["unseen source"].detail.trials == 20
    assert [row["source"] for row in found.to_dict()["prompts"]] == ["x", "y"] * 10
    ignored = rs.study(crossed, sources=False, **ALONE)
    assert ignored.permutation_test.sources == 0
    assert "unseen source" not in ignored.controls
    nested = rs.study(dataclasses.replace(sigs, sources=["x"] * 10 + ["y"] * 10), **ALONE)
    assert [finding.rule for finding in nested.findings if finding.rule == "source-is-task"]
    assert "may be one between sources" in nested.headline


def test_prompts_that_begin_with_one_instruction_are_found():
    def prompt(task, i, prefix):
        random = np.random.default_rng([task, i])
        words = [*prefix, *(1_000 + random.integers(0, 30, 20))]
        experts = np.array([[w * 7 % 16, (w * 7 + 3) % 16] for w in words])[None]
        return rs.RoutingTrace.from_arrays(
            experts, num_experts=16, token_ids=words, id=f"{task}-{i}", task=f"t{task}", prompt_tokens=len(words)
        )

    instructed = rs.TraceSet([prompt(t, i, [16 * j + 5 * t for j in range(12)]) for t in range(2) for i in range(8)])
    found = rs.study(instructed, **ALONE)
    finding = next(f for f in found.findings if f.rule == "common-prefix")
    assert finding.count == 16
    assert "begin with 8 tokens or more (up to 1" in found.headline  # 12, and chance
    control = found.controls["without common prefix"]
    assert control.difference.mean < 0.5 * found.difference.value
    assert "common-prefix" in [f["rule"] for f in found.to_dict()["findings"]]
    plain = rs.study(rs.TraceSet([prompt(t, i, ()) for t in range(2) for i in range(8)]), **ALONE)
    assert "common-prefix" not in [f.rule for f in plain.findings]


def test_layers_without_data_are_left_out_and_said():
    sigs = tasks_apart((8, 8), layers=3, top_k=1)
    counts = sigs.counts.copy()
    counts[:5, 1] = 0
    missing = rs.SignatureSet.from_counts(counts, tasks=sigs.tasks, top_k=1, unequal_layers=True)
    found = rs.study(missing, **ALONE)
    finding = next(f for f in found.findings if f.rule == "missing-layers")
    assert finding.count == 5
    assert "5 of 16 prompts have no known routing in some layer" in str(found)
    assert found.similarity.min() > 0.3


def test_what_no_test_could_have_found_is_said():
    found = rs.study(tasks_apart((3, 3, 3), top_k=1), **QUICK)
    finding = next(f for f in found.findings if f.rule == "floor")
    assert "any pair of tasks, adjusted: 0.3 at the least" in str(finding)


def test_groups_that_span_tasks_are_refused_with_the_way_out():
    counts = np.random.default_rng(0).poisson(4.0, (12, 2, 4))
    sigs = rs.SignatureSet.from_counts(
        counts, tasks=["a", "b"] * 6, groups=["g"] * 2 + [None] * 10, unequal_layers=True
    )
    with pytest.raises(ValueError, match=r"every group within one task.*groups=False"):
        rs.study(sigs, **QUICK)
    assert rs.study(sigs, **ALONE).permutation_test.unit == "prompts"


def test_tables_hold_the_rows(study):
    pytest.importorskip("pandas", reason="tables are pandas'")
    tables = study.tables()
    assert tables["layers"].shape[0] == 16
    assert tables["layers"]["cohens_d"].tolist() == [row.cohens_d for row in study.layers]
    assert set(tables["controls"]["control"]) == set(study.controls)
    assert len(tables["prompts"]) == 80
    assert len(tables["tasks"]) == 10
    assert len(tables["pairs"]) == 6
    assert set(tables["baselines"]["baseline"]) == set(study.baselines)


def test_provenance_recognises_the_same_traces_in_another_file(tmp_path):
    traces = random_traces(12)
    traces.save(tmp_path / "t.jsonl")
    before, after = (rs.study(t, **ALONE).provenance for t in (traces, rs.read_traces(tmp_path / "t.jsonl")))
    for name in ("traces_sha256", "signatures_sha256"):
        assert before[name] == after[name]
        assert before[name] != rs.study(random_traces(12, seed=1), **ALONE).provenance[name]


def test_notebooks_show_it_escaped():
    counts = np.random.default_rng(0).poisson(9.0, (12, 2, 4)) + 9 * np.eye(4, dtype=int)[[0, 1] * 6][:, None]
    sigs = rs.SignatureSet.from_counts(counts, tasks=["<i>", "math"] * 6, top_k=1, unequal_layers=True)
    found = rs.study(sigs, controls={"<script>": sigs}, **ALONE)
    assert "<script>" in found.headline  # the strongest control
    shown = found._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert len(shown) < 10_000


def test_whether_it_grows_with_depth():
    effect = np.linspace(0, 1, 6)
    random = np.random.default_rng(0)
    rates = np.full((30, 6, 8), 10.0)
    for i in range(30):
        rates[i, :, i % 3] += 20 * effect
    sigs = rs.SignatureSet.from_counts(
        random.poisson(rates), tasks=[str(i % 3) for i in range(30)], top_k=1, unequal_layers=True
    )
    deeper = rs.study(sigs, **{**ALONE, "bootstrap": 500})
    assert deeper.depth.grows is True
    shallower = rs.SignatureSet.from_counts(sigs.counts[:, ::-1], tasks=sigs.tasks, top_k=1, unequal_layers=True)
    assert rs.study(shallower, **ALONE).depth.grows is False


def test_hundreds_of_prompts_have_every_part():
    traces = worded_traces(440, layers=2, experts=8)  # more prompts than cells
    found = rs.study(traces, permutations=50, bootstrap=50, null_draws=50, refits=1, shuffles=3, progress=False)
    assert set(found.absent) <= {"tsne"}
    slow = [rs.separation(matrix, traces.tasks) for matrix in found.layer_similarity()]
    assert [row.cohens_d for row in found.layers] == pytest.approx([one.cohens_d for one in slow])
    assert found.bootstrap.layers[1].value == pytest.approx(slow[1].cohens_d)
    assert found.permutation_test.layers[1].cohens_d == pytest.approx(slow[1].cohens_d)
    balanced = found.baselines["load_balance"]
    assert balanced.within.mean == pytest.approx(balanced.closed_form.within, abs=0.01)
    assert found.decomposition.crossing.context.band is not None
    assert found.context.p_value is not None


@pytest.fixture
def patient(monkeypatch):
    """As if everything took ten thousand times as long."""
    slow = [dataclasses.replace(one, each=lambda size, each=one.each: 1e4 * each(size)) for one in _costs._LIMITS]
    monkeypatch.setattr(_costs, "_LIMITS", slow)


def test_what_would_take_long_is_done_fewer_times_and_said(patient):
    found = rs.study(worded_traces(40, layers=2, experts=8), progress=False)
    options = found.options
    assert 39 <= options.null_draws == found.baselines["marginal"].repetitions < 1_000
    assert options.bootstrap == 200  # the fewest
    assert found.fewer["bootstrap"].startswith("200 resamples, not 2,000: those would take some ")
    assert found.fewer["bootstrap"].endswith(" of processor time for 40 prompts")
    assert f"fewer: {options.null_draws} repetitions of each baseline, not 1,000" in str(found)
    assert found.to_dict()["fewer"] == found.fewer


def test_repetitions_that_were_asked_for_are_made(patient):
    found = rs.study(tasks_apart((210, 210), layers=1, experts=4), **QUICK)
    assert found.options.null_draws == found.baselines["permutation"].repetitions == QUICK["null_draws"]
    assert found.fewer == {}


def test_every_part_is_expected_to_take_a_time():
    traces = worded_traces(40, layers=2, experts=8)
    told = []
    quick = {name: count for name, count in QUICK.items() if name != "progress"}
    options = StudyOptions(**quick)
    composer = _compose._Composer(traces, options, {}, set(), lambda *now: told.append(now))
    parts = set(composer.expected)
    composer.study()
    assert len(parts) > 20
    assert composer.expected == {}  # all of them were done
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == pytest.approx(told[-1][1])


def test_rows_that_are_not_finite_and_rows_of_padding_are_said_wherever_the_study_speaks(tmp_path):
    def damaged(i, given):
        ids, weights = given.experts.copy(), np.full(given.experts.shape, 0.25, np.float32)
        if i < 2:
            weights[1, 3:5] = np.nan
            ids[:, 6:9] = [0, 1]
        known = {"token_ids": given.token_ids, "id": given.id, "task": given.task}
        return rs.RoutingTrace.from_arrays(ids, num_experts=16, weights=weights, **known)

    found = rs.study([damaged(i, given) for i, given in enumerate(worded_traces())], **QUICK)
    found.report(tmp_path / "report.html")
    said = (
        "4 rows had router logits that were not finite",
        "6 tokens in 2 runs have the experts 0 to 1, in this order, in every known layer",
    )
    written = json.dumps(found.to_dict()["findings"])
    page = html.unescape((tmp_path / "report.html").read_text(encoding="utf-8"))
    for sentence in said:
        assert sentence in found.headline
        assert sentence in " ".join(str(found).split())
        assert sentence in written
        assert sentence in page
        assert sentence in html.unescape(found._repr_html_())


def test_a_study_can_be_kept_and_copied(tmp_path):
    traces = worded_traces()
    found = rs.study(traces, controls={"other": worded_traces(seed=4)}, **QUICK)
    for again in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert again.balanced == found.balanced
        assert again.to_dict() == found.to_dict()
        assert str(again) == str(found)
        assert again.report(tmp_path / "again.html").read_bytes() == found.report(tmp_path / "r.html").read_bytes()
    debiased = rs.debiased_similarity(traces)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(debiased)).layers, debiased.layers)
    halves = rs.reliability(traces)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(halves)).disattenuated, halves.disattenuated)


def test_a_bar_is_shown_where_stderr_is_a_terminal(monkeypatch, capsys):
    sigs = tasks_apart((5, 5), layers=1, experts=4)
    quick = {name: count for name, count in QUICK.items() if name != "progress"}
    rs.study(sigs, **quick)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    rs.study(sigs, **quick)
    assert re.search(r"study: 100%\|.*\| \d\d:\d\d, 00:00 left", capsys.readouterr().err)
