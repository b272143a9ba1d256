"""The progress bar of long computations."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(
    what: str, show: bool | None, *, counts: bool = True
) -> Iterator[Callable[[float, float], None] | None]:
    """Yield what `_core` functions take as `progress`: None, or a callback (done, total) that moves a bar on stderr.

    `show` None: where stderr is a terminal. Without `counts` the bar shows a share and times alone: what is done is no
    number of things.
    """
    if not (sys.stderr.isatty() if show is None else show):
        yield None
        return
    from tqdm import tqdm

    layout = None if counts else "{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"
    with tqdm(desc=what, unit="", bar_format=layout) as bar:

        def advance(done: float, total: float) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield advance
        if bar.total is not None:
            bar.update(bar.total - bar.n)
