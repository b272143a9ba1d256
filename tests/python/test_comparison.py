"""Two recordings of the same prompts: cases worked by hand, SciPy and NumPy as references, and what must not matter."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import routesig as rs
from support import random_experts, random_traces, tasks_apart

FIRST = [[[0, 1], [0, 2], [1, 3]], [[0, 1], [2, 3], [0, 2]]]  # [layers, tokens, top_k]
SECOND = [[[1, 0], [0, 3], [1, 3]], [[0, 1], [0, 1], [0, 3]]]


def trace(experts, ids=(7, 8, 9), prompt_tokens=2, name="x", num_experts=4, **options):
    options = {"task": "code", "token_ids": list(ids), **options}
    return rs.RoutingTrace.from_arrays(
        np.array(experts), num_experts=num_experts, prompt_tokens=prompt_tokens, id=name, **options
    )


def one(*arguments, **options):
    return rs.TraceSet([trace(*arguments, **options)])


def recorded(n, **options):
    """Random traces without groups."""
    return noisy(random_traces(n, **options), 0.0)


def noisy(traces, share, seed=0):
    """The same tokens; some rows get other experts."""
    random = np.random.default_rng(seed)
    out = []
    for i, t in enumerate(traces):
        other = random_experts(*t.experts.shape[:2], traces.info.experts, t.experts.shape[2], 500 + seed + i)
        changed = random.random(t.experts.shape[:2]) < share
        ids = np.where(changed[:, :, None], other, t.experts)
        out.append(
            rs.RoutingTrace.from_arrays(
                ids,
                num_experts=traces.info.experts,
                token_ids=t.token_ids,
                prompt_tokens=t.prompt_tokens,
                id=t.id,
                task=t.task,
                text=t.text,
            )
        )
    return rs.TraceSet(out)


def test_agreement_by_hand():
    found = rs.compare(one(FIRST), one(SECOND)).agreement
    assert (found.rows, found.tokens) == (6, 3)
    assert found.exact == pytest.approx(3 / 6)
    assert found.overlap == pytest.approx(8 / 12)
    assert found.top1 == pytest.approx(4 / 6)
    assert found.uniform_chance == 0.5
    assert found.exact_chance == pytest.approx(1 / 6)
    assert found.marginal_chance == pytest.approx(19 / 36)
    assert found.first_divergent.tolist() == [1, 1, 1]
    assert found.layers[0].marginal_chance == pytest.approx(10 / 18)
    assert found.layers[0].top1_chance == pytest.approx(4 / 9)
    assert found.prompts[0].parts_at is None
    assert "3 tokens of 1 prompts" in repr(found)


def test_load_divergence_is_scipys():
    from scipy.spatial.distance import jensenshannon

    traces = random_traces(4)
    other = noisy(traces, 0.5)
    found = rs.compare(traces, other)
    for layer in range(3):
        loads = [
            np.bincount(np.concatenate([t.experts[layer].ravel() for t in s]), minlength=16) for s in (traces, other)
        ]
        expected = jensenshannon(*loads, base=2) ** 2
        assert found.load_divergence[layer] == pytest.approx(expected, abs=1e-13)
        assert found.agreement.layers[layer].load_divergence == pytest.approx(expected, abs=1e-13)


def test_identical_sets_agree_in_everything():
    traces = recorded(12)
    found = rs.compare(traces, traces)
    assert (found.agreement.exact, found.agreement.overlap, found.agreement.top1) == (1.0, 1.0, 1.0)
    assert found.agreement.first_divergent.tolist() == [0, 0, 0, sum(map(len, traces))]
    np.testing.assert_allclose(found.prompt_similarity, 1.0, atol=1e-14)
    assert np.abs(found.load_divergence).max() < 1e-14
    for estimate in (found.difference.difference, found.cohens_d.difference):
        assert (estimate.value, estimate.se) == (0.0, 0.0)
    assert found.correlation.spearman == 1.0
    assert found.cka == pytest.approx(1.0, abs=1e-12)
    assert found.notes == []


def test_agreement_equals_its_definition():
    traces = random_traces(5, seed=3)
    other = noisy(traces, 0.3, seed=9)
    found = rs.compare(traces, other).agreement
    equal, shared, first, best = [], [], [], []
    for a, b in zip(traces, other, strict=True):
        for t in range(len(a)):
            sets = [(set(a.experts[layer, t].tolist()), set(b.experts[layer, t].tolist())) for layer in range(3)]
            equal += [x == y for x, y in sets]
            shared += [len(x & y) / 4 for x, y in sets]
            best += (a.experts[:, t, 0] == b.experts[:, t, 0]).tolist()
            first.append(next((layer for layer, (x, y) in enumerate(sets) if x != y), 3))
    assert found.exact == pytest.approx(np.mean(equal), abs=1e-14)
    assert found.overlap == pytest.approx(np.mean(shared), abs=1e-14)
    assert found.top1 == pytest.approx(np.mean(best), abs=1e-14)
    assert found.first_divergent.tolist() == np.bincount(first, minlength=4).tolist()
    assert sum(p.rows * p.exact for p in found.prompts) == pytest.approx(sum(equal))
    assert [p.tokens for p in found.prompts] == [len(t) for t in traces]


def test_generated_tokens_are_compared_up_to_the_first_difference():
    experts = random_experts(1, 6, 4, 2, 0)
    a = one(experts, ids=(1, 2, 3, 4, 5, 6), prompt_tokens=2)
    b = one(experts, ids=(1, 2, 3, 9, 5, 6), prompt_tokens=2)
    for tokens, compared in (("all", 3), ("prompt", 2), ("generation", 1)):
        found = rs.compare(a, b, tokens=tokens)
        assert (found.agreement.tokens, found.agreement.prompts[0].parts_at) == (compared, 3)
        assert any("part" in note for note in found.notes) == (tokens != "prompt")


def test_other_prompt_tokens_have_no_agreement_and_say_why():
    found = rs.compare(one(FIRST), one(SECOND, ids=(7, 1, 9)))
    assert found.agreement is None
    assert "prompt 'x': its prompt tokens differ (from position 1 on)" in found.absent["agreement"]
    assert found.prompt_similarity.shape == (1, 2)
    found = rs.compare(one(FIRST), one(SECOND, token_ids=None))
    assert "no token ids were recorded" in found.absent["agreement"]
    both = rs.TraceSet([trace(FIRST), trace(FIRST, name="y")])
    other = rs.TraceSet([trace(SECOND, ids=(7, 1, 9)), trace(SECOND, name="y")])
    found = rs.compare(both, other).agreement
    assert [p.tokens for p in found.prompts] == [0, 3]
    assert (found.prompts[0].exact, found.prompts[1].reason) == (None, None)
    assert found.exact == 0.5


def test_unknown_rows_are_skipped_and_counted():
    unknown = np.array(SECOND)
    unknown[0] = -1
    found = rs.compare(one(FIRST), one(unknown))
    assert (found.agreement.rows, found.agreement.unknown_rows) == (3, 3)
    assert found.agreement.exact == pytest.approx(1 / 3)
    assert found.agreement.layers[0].exact is None
    assert "layers[0]" in found.agreement.absent
    assert found.prompt_similarity.mask.tolist() == [[True, False]]
    assert found.load_divergence.mask.tolist() == [True, False]
    assert "3 rows (tokens x layers) of B have no known routing: left out" in found.notes
    with pytest.raises(ValueError, match="expected prompts with tokens in both, got none of 1"):
        rs.compare(one(FIRST), one(np.full_like(unknown, -1)))


def test_impossible_rows_are_refused_or_dropped():
    wrong = np.array(SECOND)
    wrong[1, 0] = 3
    with pytest.raises(ValueError, match="expected 2 distinct experts below 4"):
        rs.compare(one(FIRST), one(wrong))
    found = rs.compare(one(FIRST), one(wrong), drop_invalid=True)
    assert (found.agreement.rows, found.agreement.dropped_rows) == (5, 1)


def test_prompts_are_matched_by_id_whatever_their_order():
    traces = recorded(10)
    other = noisy(traces, 0.2)
    order = np.random.default_rng(1).permutation(10).tolist()
    straight, mixed = rs.compare(traces, other), rs.compare(traces, other.take(order))
    assert straight.to_json() == mixed.to_json()
    turned = rs.compare(traces.take(order), other)
    assert turned.ids == [traces[i].id for i in order]
    assert turned.correlation == straight.correlation
    assert turned.cohens_d == straight.cohens_d
    np.testing.assert_array_equal(turned.prompt_similarity, straight.prompt_similarity[order])


def test_prompts_of_one_side_only_are_listed():
    traces = random_traces(8)
    found = rs.compare(traces[:6], traces[2:])
    assert found.ids == [f"p{i}" for i in range(2, 6)]
    assert {one.id: one.reason for one in found.left_out} == {
        "p0": "only in A",
        "p1": "only in A",
        "p6": "only in B",
        "p7": "only in B",
    }
    assert "left out: p0 (only in A), and 3 more" in str(found)
    assert found.to_dict()["left_out"][0] == {"id": "p0", "reason": "only in A"}


def test_other_prompts_under_the_same_id_are_left_out():
    a = rs.TraceSet([trace(FIRST), trace(FIRST, name="y", text="one"), trace(FIRST, name="z")])
    b = rs.TraceSet([trace(FIRST), trace(FIRST, name="y", text="two"), trace(FIRST, name="z", task="math")])
    found = rs.compare(a, b)
    assert found.ids == ["x"]
    assert [one.reason for one in found.left_out] == [
        "its text is another in B",
        "its task is 'code' in A and 'math' in B",
    ]
    with pytest.raises(ValueError, match="got other prompts under the same ids"):
        rs.compare(a[1:], b[1:])


def test_what_cannot_be_compared_is_one_sentence():
    traces = random_traces(4)
    sigs = rs.signatures(traces)
    with pytest.raises(ValueError, match=r"got no id in common \(A begins with 'p0', B with 'x'\)"):
        rs.compare(traces, one(FIRST))
    with pytest.raises(ValueError, match="got no prompt in B"):
        rs.compare(traces, traces[:0])
    with pytest.raises(ValueError, match="got 'p0' twice in A"):
        rs.compare(rs.TraceSet([traces[0], traces[0]]), traces)
    with pytest.raises(ValueError, match="got 'all' in A and 'prompt' in B"):
        rs.compare(traces, rs.signatures(traces, tokens="prompt"))
    with pytest.raises(ValueError, match="expected tokens 'all', which the signatures of B hold, got 'prompt'"):
        rs.compare(traces, sigs, tokens="prompt")
    with pytest.raises(ValueError, match="of one weighting, got count in A and gate in B"):
        rs.compare(traces, rs.signatures(traces, weighting="gate"))
    with pytest.raises(ValueError, match="expected tokens to be one of all, prompt, generation, got"):
        rs.compare(traces, traces, tokens="some")
    with pytest.raises(TypeError, match="expected a TraceSet, a SignatureSet, a Study or a path as B, got an int"):
        rs.compare(traces, 3)


def test_prompts_without_tokens_are_left_out():
    traces = random_traces(3)
    short = rs.RoutingTrace.from_arrays(
        traces[1].experts[:, : traces[1].prompt_tokens],
        num_experts=16,
        token_ids=traces[1].token_ids[: traces[1].prompt_tokens],
        prompt_tokens=traces[1].prompt_tokens,
        id="p1",
    )
    found = rs.compare(traces, rs.TraceSet([traces[0], short, traces[2]]), tokens="generation")
    assert found.ids == ["p0", "p2"]
    assert [(one.id, one.reason) for one in found.left_out] == [("p1", "no token with known routing in B")]


def test_cosines_are_those_of_the_signatures():
    a, b = tasks_apart(seed=1), tasks_apart(seed=2)
    found = rs.compare(a, b)
    layers = rs.similarity(a, b, per_layer=True)
    np.testing.assert_allclose(found.prompt_similarity, np.diagonal(layers, axis1=1, axis2=2).T, atol=1e-13)
    different = ~np.eye(len(a), dtype=bool)
    np.testing.assert_allclose(found.similarity_chance, [layer[different].mean() for layer in layers], atol=1e-13)
    assert found.absent["agreement"] == "A and B hold signatures, not traces"
    assert rs.compare(random_traces(4), rs.signatures(random_traces(4))).absent["agreement"].startswith("B holds")


def test_spearman_is_scipys_and_mantel_keeps_within_strata():
    a, b = tasks_apart(seed=1, effect=2), tasks_apart(seed=2, effect=2)
    found = rs.compare(a, b, permutations=499).correlation
    upper = np.triu_indices(len(a), 1)
    x, y = rs.similarity(a), rs.similarity(b)
    assert found.spearman == pytest.approx(stats.spearmanr(x[upper], y[upper]).statistic, abs=1e-12)
    assert found.pairs == 120
    assert (found.free.p_value.floor, found.free.permutations, found.free.exact) == (1 / 500, 499, False)
    assert found.within_groups is None
    assert found.absent == {"within_groups": "no two prompts share a group"}
    # The null of each from independent draws.
    random = np.random.default_rng(0)
    tasks = np.array(a.tasks)
    for test, blocks in (
        (found.free, [np.arange(16)]),
        (found.within_tasks, [np.flatnonzero(tasks == t) for t in "abc"]),
    ):
        draws = []
        for _ in range(500):
            order = np.arange(16)
            for block in blocks:
                order[block] = random.permutation(block)
            draws.append(stats.spearmanr(x[upper], y[np.ix_(order, order)][upper]).statistic)
        assert abs(test.null_mean - np.mean(draws)) < 5 * np.std(draws) * np.sqrt(2 / 500)
        assert test.null_sd == pytest.approx(np.std(draws), rel=0.2)
    assert found.within_tasks.null_mean > found.free.null_mean + 0.1  # tasks alone make them alike


def test_free_mantel_rejects_where_both_separate_tasks_and_the_one_within_tasks_does_not():
    free = within = 0
    for seed in range(40):
        found = rs.compare(
            tasks_apart((6, 6, 6), seed=2 * seed, effect=2),
            tasks_apart((6, 6, 6), seed=2 * seed + 1, effect=2),
            permutations=99,
            bootstrap=1,
            seed=seed,
        ).correlation
        free += found.free.p_value <= 0.05
        within += found.within_tasks.p_value <= 0.05
    assert free == 40
    assert within <= 8  # 2 expected


def test_groups_make_a_test_of_their_own_and_are_resampled_whole():
    groups, ids = [f"g{i // 2}" for i in range(24)], [f"p{i:02}" for i in range(24)]
    a, b = (tasks_apart((12, 12), groups=groups, ids=ids, seed=seed) for seed in (1, 2))
    found = rs.compare(a, b)
    assert (found.unit, found.units) == ("groups", 12)
    assert (found.correlation.within_groups.permutations, found.correlation.within_groups.exact) == (2**12, True)
    expected = rs.statistics.bootstrap(b, layers=False)
    assert found.cohens_d.b.value == pytest.approx(expected.cohens_d.value, abs=1e-12)
    assert found.cohens_d.b.interval == expected.cohens_d.interval  # 24 ids in the order of their names


def test_groups_of_two_tasks_leave_no_interval():
    traces = rs.TraceSet(
        [
            rs.RoutingTrace.from_arrays(
                t.experts, num_experts=16, token_ids=t.token_ids, id=t.id, task=t.task, group=f"g{i % 3}"
            )
            for i, t in enumerate(random_traces(12))
        ]
    )
    found = rs.compare(traces, noisy(traces, 0.3))
    assert found.difference.difference.value is not None
    assert (found.difference.difference.se, found.difference.difference.interval) == (None, None)
    assert found.absent["cohens_d.a.interval"] == (
        "group 'g1' holds prompts of tasks 'math' and 'code'; a group must lie in one task"
    )
    assert found.correlation.within_groups is not None


def centred(x):
    return x - x.mean(axis=0)


def plain_cka(x, y):
    """Kornblith et al. 2019, the linear and biased one."""
    x, y = centred(x), centred(y)
    cross = np.linalg.norm(x.T @ y) ** 2
    return cross / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def unbiased_cka(x, y):
    """By U-centring (Szekely and Rizzo 2014), another way to the same number."""

    def centre(k):
        n = len(k)
        k = k - np.diag(np.diag(k))
        rows = k.sum(axis=0) / (n - 2)
        out = k - rows - rows[:, None] + k.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(out, 0)
        return out

    k, m = centre(x @ x.T), centre(y @ y.T)
    return (k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum())


def test_cka_is_without_the_bias_of_few_prompts():
    random = np.random.default_rng(0)
    counts = random.integers(0, 50, size=(2, 80, 16, 64))
    a, b = (rs.SignatureSet.from_counts(c, unequal_layers=True) for c in counts)
    x, y = (s.values.reshape(80, -1) for s in (a, b))
    assert plain_cka(x, y) == pytest.approx(0.93, abs=0.01)  # of matrices without any relation
    found = rs.compare(a, b, bootstrap=1, permutations=9)
    assert found.cka == pytest.approx(0.0, abs=0.06)
    assert found.cka == pytest.approx(unbiased_cka(x, y), abs=1e-9)
    one, other = tasks_apart(seed=1), tasks_apart(seed=2)
    x, y = (s.values.reshape(len(s), -1) for s in (one, other))
    assert rs.compare(one, other).cka == pytest.approx(unbiased_cka(x, y), abs=1e-10)


def test_models_of_other_shapes_are_compared_by_their_matrices():
    a, b = tasks_apart(layers=3, experts=8, seed=1), tasks_apart(layers=5, experts=6, seed=2)
    found = rs.compare(a, b)
    reason = "A has 3 layers x 8 experts, B 5 x 6: no expert is in both"
    for name in ("agreement", "prompt_similarity", "similarity_chance", "mean_similarity", "load_divergence"):
        assert getattr(found, name) is None
        assert found.absent[name] == reason
    assert found.correlation.spearman > 0.3
    assert found.cka > 0.3
    assert found.cohens_d.difference.interval is None  # a task of four prompts
    assert "a task has 4 of the 5 prompts" in found.absent["cohens_d.difference.interval"]
    assert found.cohens_d.difference.value == pytest.approx(rs.separation(b).cohens_d - rs.separation(a).cohens_d)
    assert reason in " ".join(str(found).split())


def test_sets_of_other_sizes_have_no_agreement():
    found = rs.compare(random_traces(4, top_k=4), random_traces(4, top_k=2))
    assert found.absent["agreement"] == "a token has 4 experts in A and 2 in B"
    assert found.prompt_similarity.shape == (4, 3)


def test_a_planted_difference_of_separations_is_covered():
    """The mean of many studies stands for the truth; intervals from single ones hold it about as often as they say."""
    pairs = [
        (tasks_apart((20, 20), seed=2 * s, effect=1.0), tasks_apart((20, 20), seed=2 * s + 1, effect=1.6))
        for s in range(300)
    ]
    found = [rs.compare(a, b, bootstrap=400, permutations=1, seed=i).difference for i, (a, b) in enumerate(pairs)]
    truth = np.mean([one.difference.value for one in found])
    assert truth > 0.02
    covered = np.mean([one.difference.interval.low <= truth <= one.difference.interval.high for one in found])
    assert 0.9 <= covered <= 0.99


def test_fewer_prompts_leave_a_reason_beside_what_is_absent():
    alone = rs.compare(one(FIRST), one(SECOND))
    assert alone.cka is None
    assert alone.correlation.spearman is None
    assert alone.difference.a.value is None
    assert alone.mean_similarity_chance is None
    assert alone.absent["cka"] == "it needs 4 prompts or more, got 1"
    assert alone.absent["difference.difference.value"] == "there are fewer than two tasks"
    assert "NaN" not in alone.to_json()
    unlabelled = rs.SignatureSet.from_counts(tasks_apart().counts, unequal_layers=True)
    found = rs.compare(unlabelled, unlabelled)
    assert found.correlation.within_tasks is None
    assert found.correlation.absent["within_tasks"] == "no two prompts share a task"
    flat = rs.SignatureSet.from_counts(np.ones((6, 2, 4), dtype=int), tasks=["a", "b"] * 3)
    found = rs.compare(flat, flat)
    assert (found.cka, found.correlation.spearman, found.cohens_d.a.value) == (None, None, None)
    assert "do not differ" in found.absent["cka"]
    str(found), found._repr_html_()


def test_notes_name_other_weights_and_other_lengths():
    a = random_traces(4)
    longer = random_traces(4, tokens=14)
    assert any("a prompt has 11.5 tokens in A and 15.5 in B" in note for note in rs.compare(a, longer).notes)
    one, other = rs.signatures(a), rs.signatures(a)
    assert rs.compare(one, other).notes == []
    one.info["model"], other.info["model"] = "first", "second"
    assert any("A and B are different weights" in note for note in rs.compare(one, other).notes)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_do_not_change_a_byte(threads):
    traces = recorded(16)
    other = noisy(traces, 0.4)
    rs.set_num_threads(threads)
    try:
        text = rs.compare(traces, other, seed=5).to_json()
    finally:
        rs.set_num_threads(0)
    assert text == rs.compare(traces, other, seed=5).to_json()
    assert text != rs.compare(traces, other, seed=6).to_json()


def test_the_dictionary_is_plain_and_complete(tmp_path):
    traces = recorded(12)
    found = rs.compare(traces, noisy(traces, 0.3))
    written = found.to_json(tmp_path / "c.json")
    read = json.loads((tmp_path / "c.json").read_text())
    assert json.loads(written) == read == json.loads(json.dumps(found.to_dict()))
    assert (read["format"], read["version"]) == ("routesig-comparison", 1)
    assert set(read) == {"format", "version", *found.__dataclass_fields__}
    assert read["agreement"]["exact"] == found.agreement.exact
    assert read["correlation"]["free"]["p_value"] == {
        "value": found.correlation.free.p_value.value,
        "floor": found.correlation.free.p_value.floor,
    }
    assert len(read["prompt_similarity"]) == 12
    assert read["cohens_d"]["difference"]["interval"]["method"] in ("BCa", "percentile")


def test_it_prints_on_one_screen_and_escapes_in_notebooks():
    traces = recorded(12)
    found = rs.compare(traces, noisy(traces, 0.3))
    text = str(found)
    assert len(text.splitlines()) <= 30
    assert max(map(len, text.splitlines())) <= 120
    for part in ("same set of experts", "Cohen's d", "95 % interval", "within tasks", "CKA"):
        assert part in text
    assert repr(found).startswith("Comparison(12 prompts, exact=0.")
    tags = rs.TraceSet([trace(FIRST, name="x", task="<b>")])
    html = rs.compare(tags, tags)._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html


def test_files_folders_and_partial_sides_are_read(tmp_path):
    traces = random_traces(6)
    other = noisy(traces, 0.2)
    expected = rs.compare(traces, other).to_json()
    traces.save(tmp_path / "a.jsonl")
    (tmp_path / "b").mkdir()
    other.save(tmp_path / "b" / "traces.jsonl")
    assert rs.compare(tmp_path / "a.jsonl", str(tmp_path / "b")).to_json() == expected
    rs.signatures(traces).save(tmp_path / "a.npz")
    assert rs.compare(tmp_path / "a.npz", other).agreement is None
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"expected traces\.jsonl or .* in folder .*empty, found none"):
        rs.compare(tmp_path / "empty", traces)
    with pytest.raises(FileNotFoundError):
        rs.compare(tmp_path / "nothing.jsonl", traces)
    (tmp_path / "text.jsonl").write_text("hello")
    with pytest.raises(rs.FormatError):
        rs.compare(tmp_path / "text.jsonl", traces)


def test_parquet_files_of_either_kind_are_read(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    traces = random_traces(6)
    traces.save(tmp_path / "t.parquet")
    rs.signatures(traces).save(tmp_path / "s.parquet")
    assert rs.compare(tmp_path / "t.parquet", traces).agreement.exact == 1.0
    assert rs.compare(tmp_path / "s.parquet", traces).mean_similarity == pytest.approx(1.0)


def test_studies_are_compared_as_they_were_analysed():
    options = {"permutations": 9, "bootstrap": 9, "null_draws": 2, "refits": 2}
    traces = random_traces(12)  # groups of two tasks, which a study refuses
    other = noisy(traces, 0.2)
    sigs = rs.signatures(traces[:3], tokens="prompt")  # too few for t-SNE, which takes its time
    study = rs.study(sigs, tokens="prompt", groups=False, progress=False, **options)
    assert rs.compare(study, rs.signatures(other, tokens="prompt")).absent["agreement"] == (
        "A and B hold signatures, not traces"
    )
    # Studies of traces, without the time that all their parts take.
    a, b = (
        replace(study, traces=t, signatures=replace(rs.signatures(t, tokens="prompt"), groups=[None] * 12))
        for t in (traces, other)
    )
    plain = [noisy(t, 0.0) for t in (traces, other)]  # without groups
    assert rs.compare(a, b).to_json() == rs.compare(*plain, tokens="prompt").to_json()
    assert rs.compare(a, b, tokens="generation").to_json() == rs.compare(*plain, tokens="generation").to_json()
    assert study.with_comparison(rs.compare(a, b)).to_dict()["comparison"]["agreement"]["exact"] < 1


def test_progress_is_told_and_may_stop_it():
    traces = recorded(12)
    told = []

    def stop(done, total):
        told.append((done, total))
        raise KeyboardInterrupt

    from routesig import _core

    matrix = rs.similarity(traces)
    with pytest.raises(KeyboardInterrupt):
        _core.paired_bootstrap(matrix, matrix, [0, 1] * 6, [], 100_000, 0, 0.95, stop)
    with pytest.raises(KeyboardInterrupt):
        _core.matrix_correlation(matrix, matrix, [[0] * 12], 100_000, 0, stop)
    with pytest.raises(KeyboardInterrupt):
        _core.agreement(traces, traces, "all", False, stop)
    assert len(told) == 3


def test_number_formats_of_the_shipped_model_agree_far_above_chance(model):
    prompts = rs.load_prompts()[:8]
    traces = rs.record(model, prompts, max_new_tokens=4, progress=False)
    rounded = rs.record(rs.load_model(dtype="bfloat16"), traces, progress=False)
    found = rs.compare(traces, rounded)
    assert found.agreement.tokens == sum(map(len, traces))
    assert found.agreement.overlap > 0.9
    assert found.agreement.overlap > 3 * found.agreement.marginal_chance
    assert found.mean_similarity > 0.99
    assert (found.a.dtype, found.b.dtype) == ("float32", "bfloat16")
