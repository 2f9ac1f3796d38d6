"""Work in parts of about a second, so that little is lost when a run is killed between two of them.

See docs/theory/indexing.md#blocks-and-threads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

#: seconds that a part takes, and by how much the next one may be longer
_SECONDS, _GROWTH = 1.0, 4

#: items of a part for each thread at least, or threads would wait for the slowest of them at the end of each part
_PER_THREAD = 8


class Chunks:
    """Divides rows by the time that those before have taken; what is computed does not depend on it.

    Parameters
    ----------
    most : rows of a part, which its memory allows
    threads : that share a part
    """

    def __init__(self, most: int, threads: int):
        self._least = _PER_THREAD * threads
        self._most = max(most, self._least)
        self._length = self._least

    def of(self, rows: range) -> Iterator[range]:
        """Adjacent parts of these rows, in order; the time until the next one is asked for counts."""
        at = rows.start
        while at < rows.stop:
            part = range(at, min(at + self._length, rows.stop))
            started = time.perf_counter()
            yield part
            took = max(time.perf_counter() - started, 1e-6)
            wanted = min(int(len(part) * _SECONDS / took), _GROWTH * self._length)
            self._length = min(max(wanted, self._least), self._most)
            at = part.stop
