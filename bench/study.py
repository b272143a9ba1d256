"""How long a default study takes, and how much memory: python bench/study.py 80 443x57x24x32 5000; needs no model.

A case is PROMPTS or PROMPTSxTASKSxLAYERSxEXPERTS (4 tasks, 16 layers of 64 experts) and runs in a process of its own.
With --parts first: the processor time of each part instead, beside what routesig._study._costs expected.
Prompts are drawn: 46 tokens of 2,000 words, some words favoured by each task, routed by word, task and chance, eight
experts per token.
"""

import json
import os
import resource
import subprocess
import sys
import time

import numpy as np

import routesig as rs

TOP_K, WORDS = 8, 2_000


def traces(prompts: int, tasks: int = 4, layers: int = 16, experts: int = 64) -> rs.TraceSet:
    random = np.random.default_rng(0)
    shape = (layers, experts)
    of_all, of_task = random.normal(size=shape), random.normal(size=(tasks, *shape))
    of_word = random.normal(size=(WORDS, *shape)).astype(np.float32)
    out = []
    for i in range(prompts):
        task = i % tasks
        favoured = np.where(np.arange(WORDS) % tasks == task, 2.5, 1.0) / np.arange(1, WORDS + 1)
        words = random.choice(WORDS, 46 + int(random.integers(-8, 9)), p=favoured / favoured.sum())
        logits = of_word[words] + 0.7 * of_all + 0.35 * of_task[task] + 0.5 * random.gumbel(size=(len(words), *shape))
        chosen = np.argpartition(-logits, TOP_K, axis=2)[:, :, :TOP_K].transpose(1, 0, 2)
        out.append(
            rs.RoutingTrace.from_arrays(
                chosen.astype(np.uint16),
                num_experts=experts,
                token_ids=words,
                prompt_tokens=len(words) // 3,
                id=f"{task:02d}-{i:05d}",
                task=f"task {task:02d}",
                text=" ".join(f"word{word}" for word in words),
            )
        )
    return rs.TraceSet(out)


def measure(case: str) -> None:
    given = traces(*map(int, case.split("x")))
    began, processor = time.perf_counter(), time.process_time()
    found = rs.study(given, progress=False)
    row = {
        "seconds": time.perf_counter() - began,
        "processor": time.process_time() - processor,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "fewer": list(found.fewer.values()),
    }
    print(json.dumps(row))


def measure_parts(case: str) -> None:
    from routesig._study import _compose

    print(f"## {case}\n\n| part | processor time | expected |\n|---|---|---|")
    step = _compose._Composer.step

    def timed(composer, part, make):
        expected, began = composer.expected.get(part, 0.0), time.process_time()
        try:
            return step(composer, part, make)
        finally:
            print(f"| {part} | {time.process_time() - began:.2f} s | {expected:.2f} s |", flush=True)

    _compose._Composer.step = timed
    rs.study(traces(*map(int, case.split("x"))), progress=False)


def compare(cases: list[str]) -> None:
    print(f"{rs.num_threads()} threads\n")
    print("| case | time | processor time | largest memory | fewer |\n|---|---|---|---|---|")
    for case in cases:
        command = [sys.executable, __file__, case]
        done = subprocess.run(
            command, env=os.environ | {"ROUTESIG_BENCH_STUDY": "1"}, check=True, stdout=subprocess.PIPE, text=True
        )
        row = json.loads(done.stdout)
        cells = [
            case,
            f"{row['seconds']:.0f} s",
            f"{row['processor']:.0f} s",
            f"{row['peak']:.1f} GiB",
            "; ".join(row["fewer"]),
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    if os.environ.get("ROUTESIG_BENCH_STUDY"):
        measure(sys.argv[1])
    elif sys.argv[1:2] == ["--parts"]:
        for case in sys.argv[2:]:
            measure_parts(case)
    else:
        compare(sys.argv[1:] or ["80", "1000"])
