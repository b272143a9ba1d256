"""Control models: random weights and rotated routers."""

import numpy as np
import pytest

import routesig as rs
from support import numpy_difference, relabelled, world

controls = rs.controls


@pytest.mark.parametrize("compare", [controls.random_weights, controls.rotated_router])
def test_control_models_give_gain_mean_and_range(compare):
    real = world(0.6)

    def control(seed):
        random = np.random.default_rng(seed)
        return rs.TraceSet(
            [
                rs.RoutingTrace.from_arrays(
                    random.permuted(np.tile(np.arange(16), (*t.experts.shape[:2], 1)), axis=2)[:, :, :2],
                    num_experts=16,
                    token_ids=t.token_ids,
                    prompt_tokens=t.prompt_tokens,
                    task=t.task,
                    id=t.id,
                )
                for t in real
            ]
        )

    sets = [control(seed) for seed in range(4)]
    result = compare(real, sets)
    separations = [rs.separation(rs.signatures(traces)) for traces in (real, *sets)]
    differences = [s.within.mean - s.across.mean for s in separations]
    d = result.difference
    assert [d.real, *d.controls] == pytest.approx(differences, abs=1e-13)
    assert (d.mean, d.low, d.high) == pytest.approx(
        (np.mean(differences[1:]), min(differences[1:]), max(differences[1:])), abs=1e-13
    )
    assert d.gain == pytest.approx(differences[0] - np.mean(differences[1:]), abs=1e-13)
    assert (d.p_value, d.p_value.floor) == (0.2, 0.2)
    assert result.cohens_d.real == pytest.approx(separations[0].cohens_d, abs=1e-12)
    by_layer = numpy_difference(rs.signatures(real).values, real.tasks)
    assert [layer.real for layer in result.layers] == pytest.approx(by_layer, abs=1e-13)
    with pytest.raises(TypeError, match="expected a list of trace sets, got a TraceSet"):
        compare(real, sets[0])
    with pytest.raises(ValueError, match="expected one control or more, got none"):
        compare(real, [])
    with pytest.raises(ValueError, match="expected the 18 prompts of the real model, got 2 in control 1"):
        compare(real, [sets[0], sets[1][:2]])
    with pytest.raises(ValueError, match="expected the tokens of the real model, got others"):
        compare(real, [world(0.6, seed=9)])


def test_control_models_that_cannot_be_compared_are_absent():
    alone = world(0.0, tasks=1)
    result = controls.random_weights(alone, [alone])
    assert (result.difference, result.cohens_d, result.layers) == (None, None, [None, None])
    assert set(result.absent) == {"difference", "cohens_d"}
    unlabelled = relabelled(world(0.0), lambda t: None if t.id == "0-0" else t.task)
    assert controls.random_weights(unlabelled, [unlabelled]).left_out == [("0-0", "no task")]


def test_the_shipped_model_routes_by_more_than_vocabulary(model):
    """Small: 40 prompts, few generated tokens. Random weights see the same tokens and separate less."""
    prompts = [p for i, p in enumerate(rs.load_prompts()) if i % 2 == 0]
    traces = rs.record(model, prompts, max_new_tokens=4, progress=False)
    parts = controls.decomposition(traces, shuffles=99, bootstrap=200)
    assert parts.crossing.context.band[0] > 0  # too few tokens occur in two tasks to split the whole
    untrained = rs.record(rs.load_model(random_weights=0), traces, progress=False)
    assert controls.random_weights(traces, [untrained]).difference.gain > 0
