"""`midas.runtime.parallel`: blocks, launchers, and results in order from threads."""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from midas.runtime import parallel
from midas.runtime.errors import StageError, UsageError
from midas.runtime.parallel import (
    SERIAL,
    Communicator,
    PeerError,
    Team,
    communicator,
    launched_rank,
    launched_size,
    ordered_map,
    thread_count,
)


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


class Threads(Communicator):
    """Members that are threads of this process."""

    def __init__(self, rank: int, size: int, barrier: threading.Barrier, items: list[object]):
        super().__init__(rank, size)
        self._barrier, self._items = barrier, items

    def share(self, item: object) -> list[object]:
        self._items[self.rank] = item
        self._barrier.wait(10)
        everybody = self._items[:]
        self._barrier.wait(10)
        return everybody

    def gather(self, item: object) -> list[object] | None:
        return self.share(item)

    def broadcast(self, item: object) -> object:
        return self.share(item)[0]


@pytest.mark.parametrize("failing", [[0], [2], [0, 1], [0, 1, 2], []])
@pytest.mark.parametrize("place", range(4))
def test_a_team_leaves_its_work_together(failing: list[int], place: int) -> None:
    """Whoever fails, and wherever: all members give the same reason, and share the next work again."""
    size = 3
    barrier, items = threading.Barrier(size), [None] * size

    def work(rank: int) -> tuple[str, object]:
        inner = Threads(rank, size, barrier, items)
        team = Team(inner)
        waits = (team.barrier, lambda: team.gather(rank), lambda: team.broadcast(rank), team.barrier)
        reason = "done"
        try:
            for number, wait in enumerate(waits):
                if number == place and rank in failing:
                    raise StageError(f"rank {rank}")
                wait()
        except PeerError as error:
            reason = error.reason
        except StageError as error:
            reason = team.failed(str(error))
        return reason, inner.share(rank)

    with ThreadPoolExecutor(size) as pool:
        results = list(pool.map(work, range(size)))
    assert results == [(f"rank {failing[0]}" if failing else "done", [0, 1, 2])] * size


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


LAUNCHERS = {
    "none": ({}, 1, 0),
    "one process": ({"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"}, 1, 0),
    "Open MPI": ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3", "PMIX_RANK": "3"}, 4, 3),
    "MPICH": ({"PMI_SIZE": "2", "PMI_RANK": "1"}, 2, 1),
    "MVAPICH": ({"MV2_COMM_WORLD_SIZE": "2", "MV2_COMM_WORLD_RANK": "1"}, 2, 1),
    "Slurm with PMIx": ({"SLURM_STEP_NUM_TASKS": "8", "PMIX_RANK": "5"}, 8, 5),
    "a batch script of Slurm": ({"SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "0"}, 1, 0),
    "one process inside a step of Slurm": (
        {"OMPI_COMM_WORLD_SIZE": "1", "SLURM_STEP_NUM_TASKS": "8", "PMIX_RANK": "0"}, 1, 0,
    ),
}  # fmt: skip


@pytest.fixture
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.startswith(("OMPI_", "PMI", "MV2_", "PALS_", "SLURM_", "MPI_")):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_launchers(launcher: str, no_launcher: pytest.MonkeyPatch) -> None:
    variables, size, rank = LAUNCHERS[launcher]
    for name, value in variables.items():
        no_launcher.setenv(name, value)
    assert (launched_size(), launched_rank()) == (size, rank)
    if size == 1:
        assert communicator() is SERIAL


def test_cores_are_shared_between_the_ranks_of_a_node(no_launcher: pytest.MonkeyPatch) -> None:
    no_launcher.setattr(os, "sched_getaffinity", lambda _: range(12), raising=False)
    assert thread_count(None) == 12
    no_launcher.setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "5")
    assert thread_count(None) == 2
    no_launcher.setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "50")
    assert thread_count(None) == 1
    assert thread_count(7) == 7


def test_nobody_to_abort(no_launcher: pytest.MonkeyPatch) -> None:
    parallel.abort(1)
    no_launcher.setenv("PMI_SIZE", "2")
    no_launcher.delitem(sys.modules, "mpi4py.MPI", raising=False)
    parallel.abort(1)  # MPI has not been started


def test_members_that_cannot_talk() -> None:
    block = Communicator(1, 3)
    block.barrier()
    assert not block.connected
    assert block.broadcast("this") == "this"
    assert block.gather("this") == ["this"]
