"""The progress bar of long computations."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(what: str, show: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Yield what `_core` functions take as `progress`: None, or a callback (done, total) that moves a bar on stderr."""
    if not show:
        yield None
        return
    from tqdm import tqdm

    with tqdm(desc=what, unit="") as bar:

        def advance(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield advance
        if bar.total is not None:
            bar.update(bar.total - bar.n)
