"""Calls that take minutes, each ended by Ctrl-C soon after it has begun: what test_interrupt.py runs in a process of
its own. Prints a line for each: its name, and how many seconds after the signal it ended.

    python long_calls.py THREADS SECONDS [NAME...]      # SECONDS: when the signal comes
"""

import faulthandler
import os
import signal
import sys
import threading
import time

import numpy as np

import routesig as rs
from routesig import _core

random = np.random.default_rng(0)


def counts_set(prompts, layers=4, experts=16, tasks=4, least=5, most=50):
    """Signatures of random counts, tasks in turn."""
    counts = random.integers(least, most, (prompts, layers, experts))
    return rs.SignatureSet.from_counts(counts, tasks=[f"task {i % tasks}" for i in range(prompts)], unequal_layers=True)


def long_texts(prompts, layers, experts, tokens):
    """Signatures of texts with as many tokens in every layer, experts equally popular but for a few tokens."""
    shift = random.integers(0, 5, (prompts, layers, experts // 2))
    counts = tokens * 4 // experts + np.concatenate([shift, -shift], axis=2)
    return rs.SignatureSet.from_counts(counts, tasks=[f"task {i % 4}" for i in range(prompts)], top_k=4)


def trace(tokens, layers=4, experts=32, top_k=4, name="p", task="a"):
    first = random.integers(0, experts, (layers, tokens, 1))
    ids = (first + np.arange(top_k)) % experts
    words = random.integers(0, 200, tokens)
    return rs.RoutingTrace.from_arrays(ids, num_experts=experts, token_ids=words, id=name, task=task)


def traces(prompts, tokens, **shape):
    return rs.TraceSet([trace(tokens, name=f"p{i}", task="ab"[i % 2], **shape) for i in range(prompts)])


def same_trace(tokens, times, **shape):
    """One long trace many times over, which takes its memory `times` times."""
    return rs.TraceSet([trace(tokens, **shape)] * times)


def fit_of_many_columns():
    x, labels = random.normal(size=(6000, 8000)), random.integers(0, 3, 6000).tolist()
    return lambda: _core.fit_logistic(x, labels)


def cross_validation_of_many_classes():
    x, labels = random.normal(size=(6000, 1000)), [i % 80 for i in range(6000)]
    fold = [i // 80 % 5 for i in range(6000)]
    return lambda: _core.cross_validate(x, labels, fold, c=1e4)


def tuning(preparation):
    x, labels = random.integers(0, 3, (1000, 6000)).astype(float), [i % 40 for i in range(1000)]
    plan, fold = _core.FoldPlan(5), [i // 40 % 5 for i in range(1000)]
    return lambda: _core.tuned_cross_validation([(x, preparation)] * 40, labels, fold, plan)


def hits(rows):
    first, second = random.integers(0, 2, (2, rows))
    return lambda: _core.accuracy_difference_interval(first, second, list(range(rows)), draws=5_000_000)


def of(make, *arguments, **options):
    """A call of `make` on what `given` makes now, so that this does not count."""

    def prepared(given):
        data = given()
        return lambda: make(data, *arguments, **options)

    return prepared


# Name -> what makes the call.
CALLS = {
    "similarity": lambda: of(rs.similarity, metric="jensen-shannon")(lambda: counts_set(4000, 16, 64)),
    "similarity of a layer": lambda: of(rs.similarity, metric="overlap", per_layer=True)(
        lambda: counts_set(1000, 60, 512)
    ),
    "layer_separation": lambda: of(rs.statistics.layer_separation)(lambda: counts_set(4000, 300, 4)),
    "debiased_similarity": lambda: of(rs.debiased_similarity, window=10**6)(lambda: traces(2, 100_000, layers=1)),
    "reliability": lambda: of(rs.reliability)(lambda: same_trace(30_000, 1_500, layers=8)),
    "signatures": lambda: of(rs.signatures)(lambda: same_trace(200_000, 60, layers=16)),
    "permutation_test": lambda: of(rs.statistics.permutation_test, permutations=3_000_000)(lambda: counts_set(1000)),
    "bootstrap": lambda: of(rs.statistics.bootstrap, draws=300_000)(lambda: counts_set(1000)),
    "dispersion_test": lambda: of(rs.statistics.dispersion_test, permutations=10_000_000)(lambda: counts_set(1000)),
    "classify": lambda: of(rs.classify, refits=1_000_000)(lambda: counts_set(400)),
    "cross-validation": cross_validation_of_many_classes,
    "tuned regression": lambda: tuning("log1p"),
    "tuned naive Bayes": lambda: tuning("naive Bayes"),
    "accuracy_difference_interval": lambda: hits(3000),
    "tsne": lambda: of(rs.tsne)(lambda: counts_set(6000)),
    "layer_information": lambda: of(rs.information.layer_information, permutations=1_000_000)(lambda: counts_set(1000)),
    "jackknife": lambda: of(rs.information.layer_information, permutations=1)(lambda: counts_set(6000, 8, 512, 60)),
    "evidence_over_tokens": lambda: of(rs.information.evidence_over_tokens, prefixes=range(1, 500))(
        lambda: traces(200, 500)
    ),
    "permutation": lambda: of(rs.baselines.permutation, repetitions=1_000_000)(lambda: counts_set(300)),
    "load_balance": lambda: of(rs.baselines.load_balance, repetitions=1_000_000)(
        lambda: long_texts(300, 4, 16, 10_000)
    ),
    "marginal": lambda: of(rs.baselines.marginal, repetitions=1_000_000)(lambda: long_texts(300, 4, 16, 10_000)),
    "marginal, one repetition": lambda: of(rs.baselines.marginal, repetitions=1)(
        lambda: long_texts(1000, 400, 32, 10**9)
    ),
    "token_pool": lambda: of(rs.baselines.token_pool, repetitions=1_000_000)(lambda: traces(100, 200)),
    "token_shuffle": lambda: of(rs.controls.token_shuffle, shuffles=1_000_000)(lambda: traces(100, 200)),
    "decomposition": lambda: of(rs.controls.decomposition, shuffles=200_000)(lambda: traces(20, 200)),
    "context_test": lambda: of(rs.controls.context_test, shuffles=1_000_000)(lambda: traces(100, 200)),
    "bag_of_tokens": lambda: of(rs.controls.bag_of_tokens)(lambda: traces(2000, 2000, layers=1)),
    "coactivation": lambda: of(rs.metrics.coactivation)(lambda: same_trace(10_000, 2000, layers=8)),
    "specialization": lambda: of(rs.metrics.vocabulary_specialization)(lambda: same_trace(10_000, 2000, layers=8)),
    "load": lambda: of(rs.metrics.load, by="prompt")(
        lambda: long_texts(3000, 4, 256, 10**9 + np.arange(0, 3000 * 256, 256)[:, None, None])
    ),
    "compare": lambda: of(lambda sigs: rs.compare(sigs, sigs, permutations=1_000_000))(lambda: counts_set(1500)),
    "study": lambda: of(rs.study, null_draws=100_000, progress=False)(lambda: counts_set(400, 16, 64)),
    "study that shows a bar": lambda: of(rs.study, permutations=10_000_000, progress=True)(lambda: counts_set(60)),
    # Last: what they leave behind goes on for a while.
    "fit of many columns": fit_of_many_columns,
    "pca": lambda: of(rs.pca, components=1000)(lambda: counts_set(6000, 16, 256)),
}


def seconds_to_end(call, after):
    """From a signal `after` seconds to the KeyboardInterrupt; None where the call ended by itself before."""
    sent, ended = [], False

    def press():
        time.sleep(after)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    pressing = threading.Thread(target=press)
    try:
        pressing.start()
        call()
        ended = True
        pressing.join()
        time.sleep(10)  # here the signal arrives
    except KeyboardInterrupt:
        return None if ended else time.monotonic() - sent[0]


def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threads, after, *names = sys.argv[1:]
    rs.set_num_threads(int(threads))
    for name in names or CALLS:
        call = CALLS[name]()
        faulthandler.dump_traceback_later(120, exit=True)
        print(name, seconds_to_end(call, float(after)), sep="\t", flush=True)
        faulthandler.cancel_dump_traceback_later()
    sigs = counts_set(50)  # and all is as before
    rs.set_num_threads(1)
    alone = rs.similarity(sigs)
    rs.set_num_threads(int(threads))
    assert np.array_equal(rs.similarity(sigs), alone)
    print("well", 0.0, sep="\t", flush=True)


if __name__ == "__main__":
    main()
