"""`routesig compare`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

import routesig as rs
from routesig._cli_options import JsonFlag, TokenSet

_SIDE = "Traces, signatures, a folder that holds traces.jsonl or signatures.npz, or a study.json beside them."


def compare(
    a: Annotated[Path, typer.Argument(help=_SIDE)],
    b: Annotated[Path, typer.Argument(help="The same prompts, recorded otherwise or by another model.")],
    tokens: TokenSet = "all",
    seed: Annotated[int, typer.Option(help="Seed of the resampling.", min=0)] = 0,
    drop_invalid: Annotated[bool, typer.Option("--drop-invalid", help="Leave impossible rows out, counted.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the result to this .json file.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Compare two recordings of the same prompts, or two models on them."""
    found = rs.compare(a, b, tokens=tokens, seed=seed, drop_invalid=drop_invalid, progress=sys.stderr.isatty())
    text = found.to_json(out)
    print(text if as_json else found, end="" if as_json else "\n")
