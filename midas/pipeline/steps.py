"""How one step of a layer runs: on which ranks, with which log, and what its failure is called."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from midas.runtime import logs
from midas.runtime.errors import MidasError, StageError
from midas.runtime.files import write_atomic
from midas.runtime.parallel import Communicator
from midas.runtime.result import StageResult

log = logging.getLogger(__name__)

T = TypeVar("T")

#: what a failing step is called in messages, by the name of its logs
_FAILURES = {
    "ZipOut": "Failed to generate ZIP file",
    "hkls": "Failed to generate HKLs: HKL generation failed",
    "peaksearch": "Peak search failed",
    "merge_overlaps": "Peak merging failed",
    "calc_radius": "Radius calculation failed",
    "fit_setup": "Data transformation failed",
    "binning": "Data binning failed",
    "indexing": "Indexing failed",
    "refining": "Refinement failed",
    "process_grains": "Grain processing failed",
    "consolidation": "Failed to write the consolidated results",
}
#: steps that the ranks of an MPI run share, with a log of each
_SHARED = ("peaksearch", "indexing", "refining")


class Steps:
    """The steps of one layer.

    Parameters
    ----------
    folder : of the layer; the logs are in midas_log/ in it
    seconds : that each step took, filled as they run
    """

    def __init__(self, folder: Path, comm: Communicator):
        self.folder, self.comm = folder, comm
        self.seconds: dict[str, float] = {}

    def serial(self, name: str, work: Callable[[], StageResult[T]]) -> T | None:
        """A stage that one process does; its data there, None on the other ranks, which read its files."""
        data = self.stage(name, work).data if self.comm.rank == 0 else None
        self.comm.barrier()
        return data

    def shared(self, name: str, work: Callable[[], StageResult[T]]) -> T | None:
        """A stage whose work is shared over the ranks; its data only when this process has all of it."""
        result = self.stage(name, work)
        self.comm.barrier()
        return result.data if self.comm.size == 1 else None

    def stage(self, name: str, work: Callable[[], StageResult[T]]) -> StageResult[T]:
        """A stage with its messages in midas_log/, as the legacy driver kept its programs' output."""
        block = f"{self.comm.rank}" if name in _SHARED else ""
        folder = self.folder / "midas_log"
        out, errors = folder / f"{name}_out{block}.csv", folder / f"{name}_err{block}.csv"
        if name == "ZipOut":
            out, errors = folder / "ZipOut.txt", folder / "ZipErr.txt"
        write_atomic(errors, b"")
        try:
            with self.step(name), logs.file(out):
                result = work()
                for label, value in result.summary.items():
                    logging.getLogger("midas.stages").info("%s: %s", label, value)
        except MidasError as error:
            write_atomic(errors, f"{error}\n".encode("utf-8", "surrogateescape"))
            raise
        return result

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times a step, and says in its errors which one it was."""
        started = time.perf_counter()
        try:
            yield
        except MidasError as error:
            raise StageError(f"{_FAILURES[name]}: {error}") from None
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            raise StageError(f"{_FAILURES[name]}: {place}{error.strerror or error}") from None
        except MemoryError:
            raise StageError(f"{_FAILURES[name]}: not enough memory") from None
        self.seconds[name] = time.perf_counter() - started
        if self.comm.rank == 0:
            log.info("%s: %.2f s", name, self.seconds[name])
