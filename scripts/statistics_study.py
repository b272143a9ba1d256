"""Run many small studies whose truth is known, count how often the statistics are right, and write docs/statistics.md.

    python scripts/statistics_study.py                  # 1,000 studies of each kind; an hour on two processors
    python scripts/statistics_study.py --studies 100 --print
    python scripts/statistics_study.py --kinds "equal tasks" classifier    # these anew, the others as they are

The counts go to docs/statistics.json, from which the page is written. tests/python/test_statistics_study.py runs the first
studies of each kind and compares them with the counts, and the page with what the counts print.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import sys
from pathlib import Path

import routesig as rs
from calibration.page import page
from calibration.studies import KINDS

ROOT = Path(__file__).resolve().parents[1]
FIRST = 8  # studies of each kind that a test runs again
COUNTS, PAGE = ROOT / "docs" / "statistics.json", ROOT / "docs" / "statistics.md"


def one(kind: str, seed: int) -> dict[str, float]:
    """The outcomes of a study, as plain numbers."""
    rs.set_num_threads(1)
    return {name: round(float(value), 6) for name, value in KINDS[kind](seed).items()}


def summary(rows: list[dict[str, float]]) -> dict[str, object]:
    """Sums over all studies, the first ones as they are, and for what is no count every value's mean."""
    names = list(rows[0])
    sums = {name: round(sum(row[name] for row in rows), 4) for name in names}
    out: dict[str, object] = {"studies": len(rows), "sums": sums, "first": rows[:FIRST]}
    if any(name.endswith(" low") for name in names):
        out["covers"] = covers(rows)
    return out


def covers(rows: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """How often bands hold the mean of the values over all studies, and the spread of the values."""
    out = {}
    for name in (name for name in rows[0] if f"{name} low" in rows[0]):
        truth = sum(row[name] for row in rows) / len(rows)
        hit = sum(row[f"{name} low"] <= truth <= row[f"{name} high"] for row in rows)
        out[name] = {"truth": round(truth, 5), "covers": hit}
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", help="print the page instead of writing it and the counts")
    parser.add_argument("--studies", type=int, default=1000, help="studies of each kind (default: 1000)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="run these alone (default: all)")
    parser.add_argument("--processes", type=int, help="processes (default: one per processor)")
    arguments = parser.parse_args()
    counts = json.loads(COUNTS.read_text(encoding="utf-8")) if arguments.kinds else {}
    with concurrent.futures.ProcessPoolExecutor(arguments.processes) as pool:
        for kind in arguments.kinds or KINDS:
            seeds = range(arguments.studies)
            counts[kind] = summary(list(pool.map(one, [kind] * len(seeds), seeds, chunksize=4)))
            print(kind, counts[kind]["sums"], file=sys.stderr, flush=True)
    counts = {kind: counts[kind] for kind in KINDS if kind in counts}
    if arguments.print:
        print(page(counts))
        return
    COUNTS.write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(counts), encoding="utf-8")


if __name__ == "__main__":
    main()
