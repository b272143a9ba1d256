"""Studies whose truth is known: scripts/statistics_study.py runs them, this holds them to what docs/statistics.md says.

The long form, marked slow, is 1,000 studies; the short one takes fewer, with bounds as wide as their number asks for.
"""

import importlib.util
import sys

import numpy as np
import pytest
from scipy import stats


@pytest.fixture(scope="module")
def study(repository):
    spec = importlib.util.spec_from_file_location("statistics_study", repository / "scripts" / "statistics_study.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["statistics_study"] = module
    spec.loader.exec_module(module)
    return module


SIZES = [pytest.param(200, id="short"), pytest.param(1000, id="long", marks=pytest.mark.slow)]
VALID = ("permutation test", "any layer, max-T", "any pair of tasks, Holm")


def bounds(studies, rate=0.05):
    """The 99.9 % range of a binomial count."""
    return stats.binom.ppf([0.0005, 0.9995], studies, rate)


def test_the_stated_range_is_the_999_permille_one(study):
    assert tuple(bounds(1000)) == (study.FEW, study.MANY)


@pytest.mark.parametrize("studies", SIZES)
def test_nothing_is_found_where_there_is_nothing(study, studies):
    rejected = study.null_studies(studies, permutations=999 if studies == 1000 else 199)
    few, many = bounds(studies)
    for name in VALID:
        assert rejected[name] <= many, name
    assert rejected["permutation test"] >= few
    assert rejected["any layer, max-T"] >= few
    assert few <= rejected["dispersion test"] <= bounds(studies, 0.08)[1]  # approximate, and said to be
    assert rejected["t-test over pairs"] > bounds(studies)[1]  # what a wrong test looks like


@pytest.mark.parametrize("studies", [pytest.param(60, id="short"), SIZES[1]])
def test_the_classifier_is_at_chance_where_there_is_nothing(study, studies):
    rejected, accuracy = study.classifier_studies(studies)
    few, many = bounds(studies, 0.04)[0], bounds(studies)[1]  # equal accuracies count against it
    assert few <= rejected <= many
    # 40 predictions a study, which share their training sets: twice the error of independent ones.
    assert abs(accuracy - 0.25) < 3.3 * 2 * np.sqrt(0.25 * 0.75 / 40 / studies)


@pytest.mark.parametrize("studies", SIZES)
def test_templates_are_not_taken_for_tasks(study, studies):
    rejected = study.template_studies(studies, permutations=999 if studies == 1000 else 199)
    few, many = bounds(studies)
    assert few <= rejected["groups permuted"] <= many
    assert rejected["prompts permuted"] > 0.9 * studies


@pytest.mark.parametrize("studies", SIZES)
def test_planted_effects_are_found(study, studies):
    few, many = bounds(studies)
    assert few <= study.power_studies(0.0, studies, permutations=199) <= many
    weak = study.power_studies(0.05, studies, permutations=199)
    assert many < weak < 0.5 * studies
    assert study.power_studies(0.15, studies, permutations=199) >= 0.97 * studies


@pytest.mark.parametrize("studies", SIZES)
def test_intervals_cover_planted_effects(study, studies):
    covered, expected = study.coverage_studies(studies, draws=2_000 if studies == 1000 else 500)
    assert expected["difference"] > 0.05
    assert expected["slope"] > 0.1
    low, high = study.COVERAGE
    for name, count in covered.items():
        if studies == 1000:
            assert low * studies <= count <= high * studies, name
        else:
            assert bounds(studies, low)[0] <= count <= bounds(studies, high)[1], name
