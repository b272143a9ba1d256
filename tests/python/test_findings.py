"""What is wrong with traces, told by rule."""

import numpy as np
import pytest

import routesig as rs
from routesig import _core
from routesig._findings import Finding, trace_findings
from support import random_experts, random_traces


def trace(experts, **options):
    return rs.RoutingTrace.from_arrays(experts, **{"num_experts": 16, "id": "a", **options})


def by_rule(*traces):
    return {finding.rule: finding for finding in trace_findings(traces)}


def test_good_traces_have_no_findings():
    assert trace_findings(random_traces()) == []
    assert trace_findings([]) == []
    assert trace_findings([trace(np.zeros((2, 0, 3), int))]) == []


def test_row_states_are_by_layer_and_token():
    states = _core.row_states(trace([[[0, 1], [-1, -1], [2, 2]], [[3, 4], [5, -1], [1, 0]]]))
    assert states.tolist() == [[0, 1, 2], [0, 2, 0]]


def test_rows_that_are_not_finite_are_a_warning_and_not_told_twice():
    ids, weights = random_experts(3, 6, 16, 2, seed=1), np.full((3, 6, 2), 0.5, np.float32)
    weights[1, 2:4] = np.nan
    found = by_rule(random_traces(1)[0], trace(ids, weights=weights))
    assert list(found) == ["not-finite"]
    finding = found["not-finite"]
    assert (finding.severity, finding.count, finding.places) == ("warning", 2, ['prompt "a", 2 rows'])
    assert str(finding).startswith('2 rows had router logits that were not finite (prompt "a", 2 rows): ')


def test_ids_that_nan_chose_and_no_weight_betrays_are_an_error(tmp_path):
    """A file of an earlier version, recorded without weights."""
    traces = random_traces(1, weights=False)
    traces.save(tmp_path / "t.jsonl")
    *lines, end = (tmp_path / "t.jsonl").read_text().splitlines(keepends=True)[:-1]
    (tmp_path / "t.jsonl").write_text("".join([*lines, end.replace("}", ',"nonfinite_rows":4}')]))
    with pytest.warns(UserWarning, match="cut off"):
        old = rs.read_traces(tmp_path / "t.jsonl", recover=True)
    (finding,) = trace_findings(old)
    assert (finding.rule, finding.severity, finding.count) == ("not-finite", "error", 4)
    assert "4 rows of these cannot be told from data" in str(finding)


def test_unknown_rows_are_a_note_and_many_a_warning():
    ids = random_experts(3, 20, 16, 2, seed=1).astype(int)
    ids[1, 7] = -1
    ids[2, 9] = -1
    finding = by_rule(trace(ids, positions=np.arange(100, 120)))["unknown-rows"]
    assert (finding.severity, finding.count) == ("note", 2)
    assert finding.places == ['prompt "a", layer 1, position 107', 'prompt "a", layer 2, position 109']
    assert str(finding).startswith("the routing of 2 of 60 rows is not known (prompt")
    ids[0] = -1
    finding = by_rule(trace(ids))["unknown-rows"]
    assert (finding.severity, finding.count, len(finding.places)) == ("warning", 22, 5)
    assert "; ...)" in str(finding)


def test_impossible_rows_are_an_error():
    ids = random_experts(2, 5, 16, 2, seed=1)
    ids[1, 3] = 4
    found = by_rule(random_traces(1, layers=2, top_k=2)[0], trace(ids))
    assert list(found) == ["impossible-rows"]
    finding = found["impossible-rows"]
    assert (finding.severity, finding.count, finding.places) == ("error", 1, ['prompt "a", layer 1, position 3'])
    assert str(finding).startswith("1 row is not 2 distinct experts below 16 (")


def test_identity_rows_in_every_layer_are_a_warning():
    ids = random_experts(8, 30, 16, 2, seed=1).astype(int)
    ids[:, [4, 5, 20]] = (0, 1)
    ids[3, 5] = -1  # and whatever is known counts
    rows, runs, tokens = _core.identity_rows(trace(ids))
    assert tokens.tolist() == [4, 5, 20]
    assert (rows >= 2).all()
    assert (runs >= 2).all()
    finding = by_rule(trace(ids))["identity-rows"]
    assert (finding.severity, finding.count) == ("warning", 3)
    assert finding.places == [f'prompt "a", position {position}' for position in (4, 5, 20)]
    assert str(finding).startswith("3 tokens in 2 runs have the experts 0 to 1, in this order, in every known layer (")


@pytest.mark.parametrize("layers", [1, 2])
def test_identity_rows_that_may_be_chance_are_none(layers):
    """One of 240 rows is [0, 1]: two layers of 30 tokens say nothing."""
    ids = random_experts(layers, 30, 16, 2, seed=1)
    ids[:, 4] = (0, 1)
    assert len(_core.identity_rows(trace(ids))[2]) >= 1
    assert by_rule(trace(ids)) == {}


def test_errors_come_first_and_places_are_five():
    ids = random_experts(8, 30, 16, 2, seed=1).astype(int)
    ids[:, 4] = (0, 1)
    ids[2, 9] = -1
    ids[:, 11] = 3
    found = trace_findings([trace(ids)])
    assert [finding.rule for finding in found] == ["impossible-rows", "identity-rows", "unknown-rows"]
    assert found[0].places == [f'prompt "a", layer {layer}, position 11' for layer in range(5)]


def test_a_finding_is_one_sentence():
    finding = Finding("rule", "note", 1, ["here"], "something is so", "do that")
    assert str(finding) == "something is so (here): do that"
    with pytest.raises(AttributeError):
        finding.count = 2
