"""Studies whose truth is known: what scripts/statistics_study.py counted, held to the code, to bounds and to its page.

The short form runs the first studies of each kind again; the long one, marked slow, all of them.
"""

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from scipy import stats

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import statistics_study as script  # noqa: E402
from calibration import page  # noqa: E402

NULLS = ["equal tasks", "templates of 5", "templates of 1 to 9"]
EXACT = ["label permutation, D", "debiased D"]
AT_MOST = ["any layer, max-T", "any pair of tasks, Holm", "any layer's information, Bonferroni"]
LENGTHS = ["one task 10 times longer", "one task 10 times shorter"]
TOKENS = [kind for kind in script.KINDS if kind.startswith("tokens: ")]


@functools.cache
def counts():
    return json.loads(script.COUNTS.read_text(encoding="utf-8"))


def range_of(studies, rate=0.05):
    """The 99.9 % range of a binomial count."""
    return tuple(stats.binom.ppf([0.0005, 0.9995], studies, rate))


def counted(kind, name):
    assert counts()[kind]["studies"] == 1000
    return counts()[kind]["sums"][name]


def test_the_page_says_what_was_counted():
    assert list(counts()) == list(script.KINDS)
    assert page.page(counts()) == script.PAGE.read_text(encoding="utf-8")
    assert range_of(1000) == (page.FEW, page.MANY)


@pytest.mark.parametrize("kind", script.KINDS)
def test_the_first_studies_give_what_was_counted(kind):
    for seed, expected in enumerate(counts()[kind]["first"]):
        assert script.one(kind, seed) == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_all_studies_give_what_was_counted():
    done = subprocess.run(
        [sys.executable, SCRIPTS / "statistics_study.py", "--print"], stdout=subprocess.PIPE, check=True
    )
    assert done.stdout.decode().rstrip("\n") == script.PAGE.read_text(encoding="utf-8").rstrip("\n")


@pytest.mark.parametrize("kind", NULLS)
def test_nothing_is_found_where_there_is_nothing(kind):
    for name in EXACT:
        assert page.FEW <= counted(kind, name) <= page.MANY, name
    for name in AT_MOST:
        assert counted(kind, name) <= page.MANY, name
    assert counted(kind, "dispersion") <= range_of(1000, 0.09)[1]  # approximate, and said to be


def test_wrong_tests_reject_where_there_is_nothing():
    assert counted("equal tasks", "t-test over pairs") > 200
    for kind in ("templates of 5", "templates of 1 to 9"):
        assert counted(kind, "prompts permuted instead of groups") > 900


@pytest.mark.parametrize("kind", LENGTHS)
def test_length_is_no_task_to_what_is_free_of_it(kind):
    assert page.FEW <= counted(kind, "debiased D") <= page.MANY
    assert counted(kind, "any layer's information, Bonferroni") <= page.MANY


@pytest.mark.parametrize("kind", TOKENS)
def test_no_context_is_claimed_where_there_is_none(kind):
    assert counted(kind, "context test") <= page.MANY
    assert counted(kind, "interval of Delta above 0") <= page.MANY


def test_each_half_of_the_context_test_alone_claims_context_that_is_not_there():
    assert max(counted(kind, "labels permuted, alone") for kind in TOKENS) > page.MANY
    assert max(counted(kind, "words shuffled, alone") for kind in TOKENS) > page.MANY


def test_the_classifier_is_at_chance_where_there_is_nothing():
    few = range_of(1000, 0.03)[0]  # equal accuracies count against it
    assert few <= counted("classifier", "classifier, 39 refits") <= page.MANY
    # 40 predictions a study, which share their training sets: twice the error of independent ones.
    assert abs(counted("classifier", "accuracy") / 1000 - 0.25) < 3.3 * 2 * (0.25 * 0.75 / 40 / 1000) ** 0.5


def test_planted_effects_are_found():
    found = [counted("power", f"{effect:g}") for effect in page.EFFECTS]
    assert page.FEW <= found[0] <= page.MANY < found[1]
    assert found == sorted(found)
    assert found[-1] >= 990


def test_intervals_cover_the_truth():
    low, high = page.COVERAGE
    for name, covered in counts()["coverage"]["sums"].items():
        assert 1000 * low <= covered <= 1000 * high, name
    for prompts in (10, 20):
        for name, found in counts()[f"parts, {prompts} prompts"]["covers"].items():
            assert 1000 * low <= found["covers"] <= 1000 * high, name
    assert counted("28 templates of 3", "interval of D above 0") <= page.MANY
