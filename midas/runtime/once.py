"""What several parts of one run have to say, and the first of them says."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager

#: what has been said in this run; None outside one, where every part speaks for itself
_said: set[Hashable] | None = None


def first_time(topic: Hashable) -> bool:
    """Whether nobody in this run has spoken about the topic yet."""
    if _said is None:
        return True
    if topic in _said:
        return False
    _said.add(topic)
    return True


@contextmanager
def one_run() -> Iterator[None]:
    """The parts that work in the block are one run."""
    global _said
    before, _said = _said, set()
    try:
        yield
    finally:
        _said = before
