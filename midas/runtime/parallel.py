"""Who does which part of the work: MPI ranks or legacy blocks, times OpenMP threads.

A stage sees a `Communicator`: its own number, how many there are, and, when they can talk to each other (MPI), a way
to wait and to agree. Legacy blocks (``blockNr nBlocks``) are members that cannot talk; a serial run is one member.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import NoReturn, TypeVar, cast

from midas.runtime.errors import MidasError, UsageError
from midas.runtime.room import free_address_space

Item = TypeVar("Item")
Result = TypeVar("Result")

# Variables that a launcher (mpirun, mpiexec, srun) sets for each of its processes; the first that is there counts.
# A batch script of Slurm has tasks too, so SLURM_STEP_NUM_TASKS counts only where srun also offers an MPI (PMIX_RANK).
_LAUNCHER_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "PALS_NRANKS")
_LAUNCHER_RANKS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK", "PALS_RANKID", "PMIX_RANK")
_LAUNCHER_LOCAL_SIZES = (
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "MPI_LOCALNRANKS",
    "MV2_COMM_WORLD_LOCAL_SIZE",
    "PALS_LOCAL_SIZE",
)


#: seconds between two looks whether the other ranks have come
_SHORTEST_PAUSE, _LONGEST_PAUSE = 1e-4, 0.01

#: OpenMP dies of more threads than the system can start
_MOST_THREADS = 1024


class Communicator:
    """Member `rank` of `size` members that cannot talk to each other (a legacy block, or the only one)."""

    #: whether the members can wait for each other; if not, each must cope with any order of the others
    connected = False

    def __init__(self, rank: int = 0, size: int = 1):
        if size < 1:
            raise UsageError("must be at least 1", key="nBlocks", value=size)
        if not 0 <= rank < size:
            raise UsageError(f"must lie in 0 ... {size - 1}", key="blockNr", value=rank)
        self.rank = rank
        self.size = size

    def rows(self, total: int) -> range:
        """The part of ``range(total)`` that is this member's: half-open blocks of ceil(total / size)."""
        length = -(-total // self.size)
        return range(min(self.rank * length, total), min((self.rank + 1) * length, total))

    def barrier(self) -> None:
        """Wait until every member has come here."""

    def gather(self, item: Item) -> list[Item] | None:
        """Everybody's item, in order of rank, on rank 0; None elsewhere."""
        return [item]

    def broadcast(self, item: Item | None) -> Item:
        """Rank 0's item, on every member; what the others give does not count."""
        return cast("Item", item)

    def share(self, item: Item) -> list[Item]:
        """Everybody's item, in order of rank, on every member."""
        return [item]


class MPICommunicator(Communicator):
    """The ranks of an MPI run."""

    connected = True

    def __init__(self) -> None:
        try:
            from mpi4py import MPI  # only here: starting MPI costs time and needs a launcher
        except (ImportError, RuntimeError) as error:
            raise MidasError(f"{launched_size()} processes were started, but there is no MPI: {error}") from None

        self._comm = MPI.COMM_WORLD
        super().__init__(self._comm.Get_rank(), self._comm.Get_size())
        if self.size != launched_size():
            library = MPI.Get_library_version().split(",")[0].strip("\0 \n")
            reason = f"mpi4py uses {library}, which is not the MPI of the launcher"
            raise MidasError(f"{launched_size()} processes were started, but MPI knows of {self.size}: {reason}")

    def barrier(self) -> None:
        # Not MPI's own waiting: it takes a whole core, and no handler of a signal runs in Python before its end.
        everybody, pause = self._comm.Ibarrier(), _SHORTEST_PAUSE
        while not everybody.Test():
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def gather(self, item: Item) -> list[Item] | None:
        self.barrier()
        items: list[Item] | None = self._comm.gather(item, root=0)
        return items

    def broadcast(self, item: Item | None) -> Item:
        self.barrier()
        sent: Item = self._comm.bcast(item, root=0)
        return sent

    def share(self, item: Item) -> list[Item]:
        items: list[Item] = self._comm.allgather(item)
        return items


class PeerError(MidasError):
    """The failure of another member, for which this one must not wait."""


class Team(Communicator):
    """Members of `comm` that leave a piece of work together when one of them fails.

    Before they wait for each other they ask whether all are well; a member that is not tells so in `failed` at the
    place of its next wait, and the others leave theirs with a `PeerError`. So a failing member must come to `failed`
    before it shares anything again, and the work must end with a `barrier`.
    """

    def __init__(self, comm: Communicator):
        self._comm = comm
        self.rank, self.size, self.connected = comm.rank, comm.size, comm.connected

    def failed(self, reason: str) -> str:
        """Tell the others; the reason of the first of those that failed at the same time."""
        return next(filter(None, self._comm.share(reason)))

    def barrier(self) -> None:
        if reason := next(filter(None, self._comm.share("")), ""):
            raise PeerError(reason)

    def gather(self, item: Item) -> list[Item] | None:
        self.barrier()
        return self._comm.gather(item)

    def broadcast(self, item: Item | None) -> Item:
        self.barrier()
        return self._comm.broadcast(item)

    def share(self, item: Item) -> list[Item]:
        self.barrier()
        return self._comm.share(item)


SERIAL = Communicator()


def launched_size() -> int:
    """How many processes mpirun or the like started; 1 without it."""
    for variable in _LAUNCHER_SIZES:
        if variable in os.environ:
            return int(os.environ[variable])
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) if "PMIX_RANK" in os.environ else 1


def launched_rank() -> int:
    """Which of them this one is. Known from the launcher alone, before MPI is started."""
    if launched_size() == 1:
        return 0
    return next((int(os.environ[variable]) for variable in _LAUNCHER_RANKS if variable in os.environ), 0)


def communicator() -> Communicator:
    """The MPI ranks when a launcher started more than one process, else the serial communicator."""
    return MPICommunicator() if launched_size() > 1 else SERIAL


def abort(code: int) -> None:
    """End all ranks after an error of this one, so that they do not wait for ever.

    Without effect where MPI has not been started: none can be waiting in it.
    """
    if launched_size() > 1 and "mpi4py.MPI" in sys.modules:
        sys.modules["mpi4py.MPI"].COMM_WORLD.Abort(code)


def leave(code: int) -> NoReturn:
    """End this process at once: a regular end would wait for other ranks in MPI, and for threads still at work."""
    atexit._run_exitfuncs()  # what removes files that nobody needs any more
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def available_cores() -> int:
    """Cores that this process may use, shared fairly with the other ranks on this node."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for variable in _LAUNCHER_LOCAL_SIZES:
        if ranks := int(os.environ.get(variable) or 0):
            return max(1, cores // ranks)
    return cores


def thread_count(requested: int | None) -> int:
    """Threads to use: what the user asked for, else every core that this process may use."""
    if requested is None:
        requested = min(available_cores(), _MOST_THREADS)
    if requested < 1:
        raise UsageError("must be at least 1", key="nCPUs", value=requested)
    if requested > _MOST_THREADS:
        raise UsageError(f"must be at most {_MOST_THREADS}", key="nCPUs", value=requested)
    _check_threads(requested)
    return requested


@cache
def _check_threads(count: int) -> None:
    """An error if so many threads cannot be started: OpenMP would end the process."""
    if count == 1:
        return
    from midas._ext.numerics.threads import startable

    started = 1 + startable(count - 1)
    if started < count:
        reason = f"only {started} of {count} threads can be started here"
        raise MidasError(f"{reason}; give a smaller -nCPUs, or raise the limit (ulimit -u, ulimit -v)")


#: bytes that a thread takes of a limited address space: its stack, and what it does first
_OF_A_THREAD = 12 << 20


def pool(threads: int) -> ThreadPoolExecutor:
    """Threads of Python.

    Raises
    ------
    MemoryError : they do not fit into a limited address space, where one that starts and gets no memory is waited for
        without end
    """
    free = free_address_space()
    if free is not None and free < threads * _OF_A_THREAD:
        raise MemoryError
    return ThreadPoolExecutor(threads)


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Results of `function` in the order of `items`, computed by threads a few items ahead of the consumer.

    For functions that release the interpreter lock. At most ``threads + 1`` results wait at any time.
    """
    if threads == 1:
        yield from map(function, items)
        return
    pending: deque[Future[Result]] = deque()
    with pool(threads) as workers:
        try:
            for item in items:
                pending.append(workers.submit(function, item))
                if len(pending) > threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            workers.shutdown(cancel_futures=True)
