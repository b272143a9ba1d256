"""How long a default study takes, and how much memory: python bench/study.py 80 1000 5000; needs no model.

Each number of prompts runs in a process of its own. Prompts are drawn: 46 tokens of 2,000 words, some words favoured by
each of four tasks, routed by word, task and chance through 16 layers of 64 experts, eight a token.
"""

import json
import os
import resource
import subprocess
import sys
import time

import numpy as np

import routesig as rs

LAYERS, EXPERTS, TOP_K, WORDS = 16, 64, 8, 2_000
TASKS = ("code", "math", "story", "translation")


def traces(prompts: int) -> rs.TraceSet:
    random = np.random.default_rng(0)
    shape = (LAYERS, EXPERTS)
    of_all, of_task = random.normal(size=shape), random.normal(size=(len(TASKS), *shape))
    of_word = random.normal(size=(WORDS, *shape)).astype(np.float32)
    out = []
    for i in range(prompts):
        task = i % len(TASKS)
        favoured = np.where(np.arange(WORDS) % len(TASKS) == task, 2.5, 1.0) / np.arange(1, WORDS + 1)
        words = random.choice(WORDS, 46 + int(random.integers(-8, 9)), p=favoured / favoured.sum())
        logits = of_word[words] + 0.7 * of_all + 0.35 * of_task[task] + 0.5 * random.gumbel(size=(len(words), *shape))
        chosen = np.argpartition(-logits, TOP_K, axis=2)[:, :, :TOP_K].transpose(1, 0, 2)
        out.append(
            rs.RoutingTrace.from_arrays(
                chosen.astype(np.uint16),
                num_experts=EXPERTS,
                token_ids=words,
                prompt_tokens=len(words) // 3,
                id=f"{TASKS[task]}-{i:05d}",
                task=TASKS[task],
                text=" ".join(f"word{word}" for word in words),
            )
        )
    return rs.TraceSet(out)


def measure(prompts: int) -> None:
    given = traces(prompts)
    began, processor = time.perf_counter(), time.process_time()
    found = rs.study(given, progress=False)
    row = {
        "seconds": time.perf_counter() - began,
        "processor": time.process_time() - processor,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "fewer": list(found.fewer.values()),
    }
    print(json.dumps(row))


def compare(sizes: list[str]) -> None:
    print(f"{rs.num_threads()} threads\n")
    print("| prompts | time | processor time | largest memory | fewer |\n|---|---|---|---|---|")
    for prompts in sizes:
        command = [sys.executable, __file__, prompts]
        done = subprocess.run(
            command, env=os.environ | {"ROUTESIG_BENCH_STUDY": "1"}, check=True, stdout=subprocess.PIPE, text=True
        )
        row = json.loads(done.stdout)
        cells = [
            f"{int(prompts):,}",
            f"{row['seconds']:.0f} s",
            f"{row['processor']:.0f} s",
            f"{row['peak']:.1f} GiB",
            "; ".join(row["fewer"]),
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    if os.environ.get("ROUTESIG_BENCH_STUDY"):
        measure(int(sys.argv[1]))
    else:
        compare(sys.argv[1:] or ["80", "1000"])
