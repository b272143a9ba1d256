"""Studies for the tests of the report: small ones, and one whose every text would like to be HTML."""

import json
import warnings
from dataclasses import replace

import numpy as np

import routesig as rs

QUICK = {"permutations": 199, "bootstrap": 50, "null_draws": 20, "shuffles": 19, "refits": 5, "progress": False}
HOSTILE = "<script>alert(1)</script></script><b>bold</b>&amp;<!--"


def worded_traces(n=12, layers=4, experts=16, top_k=2, tasks=("code", "story"), seed=0) -> rs.TraceSet:
    """Prompts of words; a word's experts depend on the word, and sometimes on the task."""
    random = np.random.default_rng(seed)
    spoken = np.random.default_rng(seed + 1)
    usual = random.permuted(np.tile(np.arange(experts), (40, layers, 1)), axis=2)[:, :, :top_k]
    own = random.permuted(np.tile(np.arange(experts), (len(tasks), 40, layers, 1)), axis=3)[:, :, :, :top_k]
    traces = []
    for i in range(n):
        task = i % len(tasks)
        words = spoken.integers(10 * task, 10 * task + 30, 18 + i % 5) % 40  # most of them are of two tasks
        lexical = random.random(len(words)) < 0.7
        chosen = np.where(lexical[:, None, None], usual[words], own[task, words])
        traces.append(
            rs.RoutingTrace.from_arrays(
                chosen.transpose(1, 0, 2),
                num_experts=experts,
                weights=np.full((layers, len(words), top_k), 0.25, np.float32),
                token_ids=words,
                prompt_tokens=9,
                id=f"{tasks[task]}-{i:02d}",
                task=tasks[task],
                text=" ".join(f"word{w}" for w in words[:9]),
            )
        )
    return rs.TraceSet(traces)


def with_token_texts(traces: rs.TraceSet, text_of, folder) -> rs.TraceSet:
    """The same traces, with the text of every token: they come from a file."""
    path = folder / "traces.jsonl"
    traces.save(path)
    lines = []
    for line in path.read_text(encoding="utf-8").split("\n")[:-2]:  # the end line's checksum would not hold
        event = json.loads(line)
        if event["kind"] == "prompt_end":
            ids = next(trace for trace in traces if trace.id == event["id"]).token_ids
            event["token_texts"] = [text_of(int(word)) for word in ids]
        lines.append(json.dumps(event))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return rs.read_traces(path, recover=True)


def hostile_study(folder) -> rs.Study:
    """Ids, tasks, texts, token texts and a control's name that hold HTML."""
    traces = worded_traces(tasks=(f"code {HOSTILE}", "story"))
    renamed = rs.TraceSet(
        [
            rs.RoutingTrace.from_arrays(
                trace.experts,
                num_experts=16,
                weights=trace.weights,
                token_ids=trace.token_ids,
                prompt_tokens=trace.prompt_tokens,
                id=f"{i} {HOSTILE}",
                task=trace.task,
                text=f"{HOSTILE} {trace.text}",
            )
            for i, trace in enumerate(traces)
        ]
    )
    worded = with_token_texts(renamed, lambda word: HOSTILE if word % 3 == 0 else f" word{word}\n", folder)
    return rs.study(worded, controls={f"control {HOSTILE}": rs.signatures(renamed)}, **QUICK)


def large_study(study, n, tasks=4) -> rs.Study:
    """The study with n random prompts in place of its own: as hard to compress as can be."""
    random = np.random.default_rng(0)
    ids = random.random((60, 16, 40, 64)).argsort(axis=-1)[..., :8].astype(np.uint16)
    traces = rs.TraceSet(
        [
            rs.RoutingTrace.from_arrays(
                ids[i % 60],
                num_experts=64,
                weights=random.random((16, 40, 8), dtype=np.float32),
                token_ids=random.integers(0, 50_000, 40),
                prompt_tokens=15,
                id=f"p{i}",
                task=f"task {i % tasks:02d}",
                text="".join(map(chr, random.integers(97, 123, 900))),
            )
            for i in range(n)
        ]
    )
    sigs = rs.signatures(traces)
    counts = random.multinomial(320, np.full(64, 1 / 64), size=(n, 16)).astype(np.uint64)
    sigs = replace(sigs, counts=counts, values=counts / 320)
    points = random.random((n, 2))
    return replace(
        study,
        traces=traces,
        signatures=sigs,
        similarity=rs.similarity(sigs),
        classification=replace(study.classification, tasks=sigs.tasks, predictions=[None] * n),
        category_matrix=rs.statistics.category_matrix(sigs),
        load=rs.metrics.load(sigs),
        load_by_task=rs.metrics.load(sigs, by="task"),
        pca=replace(study.pca, points=points),
        tsne=replace(study.tsne, points=points),
    )


def many_tasks(tasks=60, prompts=2, layers=4, experts=8) -> rs.Study:
    """Prompts of many tasks with long names, from counts alone."""
    random = np.random.default_rng(0)
    names = [f"topic-{i:02d} among many" for i in range(tasks) for _ in range(prompts)]
    own = random.dirichlet(np.ones(experts), size=(tasks, layers))
    counts = np.array(
        [[random.multinomial(200, own[i // prompts, layer]) for layer in range(layers)] for i in range(tasks * prompts)]
    )
    return rs.study(rs.SignatureSet.from_counts(counts, tasks=names, top_k=2), **QUICK | {"folds": 2, "refits": 1})
