"""Options that several commands have."""

from typing import Annotated, Literal

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
TokenSet = Annotated[Literal["all", "prompt", "generation"], typer.Option(help="The tokens that count.")]
