"""Small traces for tests, and Parquet files that were changed."""

import dataclasses
from itertools import combinations

import numpy as np

import routesig as rs


def random_experts(layers: int, tokens: int, experts: int, top_k: int, seed: int) -> np.ndarray:
    """Distinct ids a row, [layers, tokens, top_k]."""
    draws = np.random.default_rng(seed).random((layers, tokens, experts))
    return draws.argsort(axis=-1)[..., :top_k].astype(np.uint16)


def random_traces(
    n: int = 6,
    layers: int = 3,
    tokens: int = 10,
    experts: int = 16,
    top_k: int = 4,
    seed: int = 0,
    weights: bool = True,
) -> rs.TraceSet:
    """Traces of tasks "code" and "math" in turn, of unequal length."""
    out = []
    for i in range(n):
        length = tokens + i
        ids = random_experts(layers, length, experts, top_k, seed + i)
        random = np.random.default_rng(seed + 1000 + i)
        out.append(
            rs.RoutingTrace.from_arrays(
                ids,
                num_experts=experts,
                weights=random.random(ids.shape).astype(np.float32) / top_k if weights else None,
                token_ids=random.integers(0, 500, length),
                prompt_tokens=length // 2,
                id=f"p{i}",
                task=("code", "math")[i % 2],
                text=f'text "{i}"\n<b>\u00e9',
                group=f"g{i}",
            )
        )
    return rs.TraceSet(out)


def changed(path, change):
    """The table of a file, changed, written again beside it."""
    import pyarrow.parquet as pq

    table = change(pq.read_table(path))
    pq.write_table(table, path.with_name("changed.parquet"))
    return path.with_name("changed.parquet")


def with_metadata(table, **values):
    """The table with other values in its schema's metadata, without their checksum; None removes one."""
    values = {"crc32": None, **values}
    metadata = {**table.schema.metadata, **{f"routesig.{key}".encode(): value for key, value in values.items()}}
    return table.replace_schema_metadata({key: value for key, value in metadata.items() if value is not None})


def with_column(table, name, values):
    return table.set_column(table.column_names.index(name), name, values)


def tasks_apart(sizes=(7, 5, 4), layers=3, experts=8, effect=1.0, seed=0, **options) -> rs.SignatureSet:
    """Signatures of Poisson counts; each task prefers an expert of its own."""
    random = np.random.default_rng(seed)
    tasks = [name for name, size in zip("abcdefgh", sizes, strict=False) for _ in range(size)]
    rates = np.full((len(tasks), layers, experts), 4.0)
    for i, task in enumerate(tasks):
        rates[i, :, ord(task) - ord("a")] += 4.0 * effect
    return rs.SignatureSet.from_counts(random.poisson(rates), tasks=tasks, unequal_layers=True, **options)


def world(
    context: float,
    seed: int = 0,
    tasks: int = 3,
    prompts: int = 6,
    layers: int = 2,
    by: str = "task",
    common: float = 0.5,
) -> rs.TraceSet:
    """Prompts whose tokens are routed by their word, or, with probability `context`, by their task (or prompt).

    `common` is the share of tokens whose word occurs in every task.
    """
    random = np.random.default_rng(seed)
    out = []
    for task in range(tasks):
        for p in range(prompts):
            length = int(random.integers(12, 30))
            words = np.where(
                random.random(length) < common,
                random.integers(0, 12, length),
                12 + 3 * task + random.integers(0, 3, length),
            )
            experts = np.empty((layers, length, 2), dtype=np.int64)
            own = 5 * task if by == "task" else int(random.integers(16))
            for layer in range(layers):
                favourite = np.where(random.random(length) < context, (own + layer) % 16, (words * 5 + layer) % 16)
                first = np.where(random.random(length) < 0.7, favourite, random.integers(0, 16, length))
                experts[layer] = np.stack([first, (first + random.integers(1, 16, length)) % 16], axis=1)
            trace = rs.RoutingTrace.from_arrays(
                experts, num_experts=16, token_ids=words, prompt_tokens=length // 2, task=f"t{task}", id=f"{task}-{p}"
            )
            out.append(trace)
    return rs.TraceSet(out)


def relabelled(traces, task_of):
    """The same traces under other tasks."""
    return rs.TraceSet(
        [
            rs.RoutingTrace.from_arrays(
                t.experts,
                num_experts=t.info.experts,
                token_ids=t.token_ids,
                positions=t.positions,
                prompt_tokens=t.prompt_tokens,
                task=task_of(t),
                id=t.id,
            )
            for t in traces
        ]
    )


def numpy_difference(signatures: np.ndarray, tasks: list[str]) -> np.ndarray:
    """D per layer from signatures [prompts, layers, experts], pair by pair."""
    unit = signatures / np.linalg.norm(signatures, axis=2, keepdims=True)
    within, across = [], []
    for i, j in combinations(range(len(tasks)), 2):
        (within if tasks[i] == tasks[j] else across).append((unit[i] * unit[j]).sum(axis=1))
    return np.mean(within, axis=0) - np.mean(across, axis=0)


def with_value(sigs, place, value):
    """The same signatures with another value at a place."""
    values = sigs.values.copy()
    values[place] = value
    return dataclasses.replace(sigs, values=values)
