"""Pictures: Axes in, Axes out; never shown."""

import numpy as np
import pytest

import routesig as rs
from support import random_traces

matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
matplotlib.use("Agg")


def test_similarity_puts_prompts_of_a_task_side_by_side():
    import matplotlib.pyplot as plt

    sigs = rs.signatures(random_traces())
    _, ax = plt.subplots()
    assert rs.plot.similarity(sigs, ax=ax) is ax
    order = [0, 2, 4, 1, 3, 5]
    np.testing.assert_array_equal(ax.images[0].get_array(), rs.similarity(sigs)[np.ix_(order, order)])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["code", "math"]
    assert ax.get_title() == "Similarity of routing signatures, 6 prompts"
    plt.close("all")


def test_similarity_takes_a_matrix_and_one_prompt():
    import matplotlib.pyplot as plt

    assert rs.plot.similarity(np.eye(3), ["a", "b", "a"]).images
    assert rs.plot.similarity(np.eye(1)).images
    plt.close("all")
    with pytest.raises(ValueError, match="expected a matrix"):
        rs.plot.similarity(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="expected tasks for 3 prompts, got 2"):
        rs.plot.similarity(np.eye(3), ["a", "b"])


def test_comparison_draws_agreement_beside_chance_and_similarity_where_there_are_no_tokens():
    import matplotlib.pyplot as plt

    traces = random_traces()
    _, ax = plt.subplots()
    found = rs.compare(traces, traces)
    assert rs.plot.comparison(found, ax=ax) is ax
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_array_equal(drawn["same set"], np.ones(3))
    np.testing.assert_allclose(
        drawn["in common by chance"], [layer.marginal_chance for layer in found.agreement.layers]
    )
    sigs = rs.signatures(traces)
    drawn = {line.get_label(): line.get_ydata() for line in rs.plot.comparison(rs.compare(sigs, sigs)).lines}
    np.testing.assert_allclose(drawn["same prompt"], np.ones(3))
    assert (drawn["another prompt"] < 1).all()
    plt.close("all")
    other = rs.signatures(random_traces(layers=2))
    with pytest.raises(ValueError, match=r"expected one routing shape \(A has 3 layers x 16 experts, B 2 x 16"):
        rs.plot.comparison(rs.compare(sigs, other))
