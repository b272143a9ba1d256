"""The shipped model does what its card says: routing follows the task, and no expert is dead."""

import hashlib
import re

import numpy as np
import pytest

import routesig as rs

KINDS = ("code", "math", "story", "factual")


@pytest.fixture(scope="module")
def sigs(model):
    return rs.signatures(rs.record(model, rs.load_prompts(), max_new_tokens=32, progress=False))


def test_routing_separates_the_tasks(sigs):
    found = rs.separation(sigs)
    print(f"within {found.within.mean:.4f} across {found.across.mean:.4f} d {found.cohens_d:.2f}")
    assert found.within.mean - found.across.mean >= 0.25
    assert found.cohens_d >= 2.0


def test_label_permutation_is_at_its_floor(sigs):
    matrix, labels = rs.similarity(sigs), np.array(sigs.tasks)
    random = np.random.default_rng(0)

    def difference(tasks):
        found = rs.separation(matrix, tasks.tolist())
        return found.within.mean - found.across.mean

    observed = difference(labels)
    exceeding = sum(difference(random.permutation(labels)) >= observed - 1e-12 for _ in range(999))
    assert (1 + exceeding) / 1000 == 1 / 1000


def test_a_linear_classifier_reads_the_task(sigs):
    linear = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed")
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), linear.LogisticRegression(max_iter=2000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = cross_val_score(classifier, sigs.values.reshape(len(sigs), -1), sigs.tasks, cv=folds)
    print(f"accuracy {scores.mean():.3f} +- {scores.std():.3f}")
    assert scores.mean() >= 0.90


def test_no_expert_is_dead_and_the_load_is_even_on_held_out_text(model, repository):
    with np.load(repository / "tests/data/heldout_tokens.npz", allow_pickle=False) as file:
        held_out = {kind: file[kind] for kind in KINDS}
    assert all(len(ids) == 5000 for ids in held_out.values())
    recorder = rs.TraceRecorder(weights=False)
    windows = [ids[i : i + 128].tolist() for ids in held_out.values() for i in range(0, len(ids), 128)]
    for start in range(0, len(windows), 16):
        model.forward(windows[start : start + 16], recorder=recorder)
    counts = rs.signatures(recorder.traces).counts.sum(axis=0)
    assert counts.sum() == 20_000 * 16 * 8
    assert counts.min() > 0, "a dead expert"
    cv = counts.std(axis=1) / counts.mean(axis=1)
    print("load CV by layer", np.round(cv, 3))
    assert cv.max() <= 0.5


def test_the_model_card_says_what_the_model_is_not():
    card = (rs.load_model().path / "README.md").read_text(encoding="utf-8")
    assert "form" in card
    assert "content" in card
    assert "sha256" in card.lower().replace("-", "")


def test_the_model_card_is_of_this_file_and_of_the_scripts_defaults(model, repository):
    card = " ".join((model.path / "README.md").read_text(encoding="utf-8").split())
    weights = (model.path / "model.safetensors").read_bytes()
    assert f"{len(weights):,} bytes, SHA-256 `{hashlib.sha256(weights).hexdigest()}`" in card
    script = (repository / "scripts/train_tiny_olmoe.py").read_text(encoding="utf-8")
    default = dict(re.findall(r'"--(\w+)", type=int, default=(\d+)', script))
    steps, seed, threads = (int(default[name]) for name in ("steps", "seed", "threads"))
    assert f"{steps:,} steps of 4,096 tokens ({4096 * steps:,} in all), seed {seed}, {threads} worker processes" in card


def test_the_folder_is_small():
    assert sum(f.stat().st_size for f in rs.load_model().path.iterdir()) <= 12_000_000
