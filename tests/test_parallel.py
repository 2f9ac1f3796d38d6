"""`midas.parallel`: blocks, and results in order from threads."""

from __future__ import annotations

import threading
import time

import pytest

from midas.errors import UsageError
from midas.parallel import Communicator, ordered_map, thread_count


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_keep_their_order(threads: int) -> None:
    def slow(item: int) -> int:
        time.sleep(0.002 * (item % 3))
        return item * item

    assert list(ordered_map(slow, range(40), threads)) == [i * i for i in range(40)]


def test_only_a_few_results_wait() -> None:
    started: list[int] = []
    results = ordered_map(lambda item: started.append(item) or item, range(1000), 2)
    next(results)
    time.sleep(0.05)
    assert len(started) <= 4
    results.close()
    assert threading.active_count() < 50


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_reaches_the_consumer(threads: int) -> None:
    def work(item: int) -> int:
        if item == 7:
            raise ValueError("seven")
        return item

    with pytest.raises(ValueError, match="seven"):
        list(ordered_map(work, range(20), threads))


def test_blocks_cover_everything_once() -> None:
    for total in (0, 1, 7, 100):
        for size in (1, 3, 8):
            rows = [i for rank in range(size) for i in Communicator(rank, size).rows(total)]
            assert rows == list(range(total))


@pytest.mark.parametrize(("rank", "size"), [(0, 0), (3, 3), (-1, 2)])
def test_impossible_blocks(rank: int, size: int) -> None:
    with pytest.raises(UsageError):
        Communicator(rank, size)


def test_thread_count() -> None:
    assert thread_count(3) == 3 and thread_count(None) >= 1
    with pytest.raises(UsageError, match="nCPUs"):
        thread_count(0)
