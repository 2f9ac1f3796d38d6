"""Progress bars: on a terminal only, and never in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def _ignore(n: int = 1) -> object:
    return None


@contextmanager
def bar(total: int, label: str, unit: str = "") -> Iterator[Callable[[int], object]]:
    """A bar on stderr while it is a terminal; the block gets a function that advances it by n."""
    if total <= 1 or not sys.stderr.isatty():
        yield _ignore
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=label, unit=unit, leave=False) as progress:
        yield progress.update
