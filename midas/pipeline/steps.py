"""How one step of a layer runs: on which ranks, with which log, and what its failure is called."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from midas.formats.ledger import Entry
from midas.ledger.steps import first_of
from midas.runtime import logs
from midas.runtime.errors import MidasError, NothingFoundError, StageError, shown
from midas.runtime.files import write_atomic
from midas.runtime.parallel import Communicator, PeerError
from midas.runtime.result import StageResult, whole_numbers

log = logging.getLogger(__name__)

T = TypeVar("T")

#: what a failing step is called in messages, by the name of its logs
_FAILURES = {
    "ZipOut": "Failed to generate ZIP file",
    "first_look": "First look failed",
    "hkls": "HKL generation failed",
    "peaksearch": "Peak search failed",
    "merge_overlaps": "Peak merging failed",
    "calc_radius": "Radius calculation failed",
    "fit_setup": "Data transformation failed",
    "spot_table": "Spot table failed",
    "binning": "Data binning failed",
    "indexing": "Indexing failed",
    "refining": "Refinement failed",
    "process_grains": "Grain processing failed",
    "measure_spots": "Measuring spots failed",
    "grain_sigma": "Uncertainty of the grains failed",
    "consolidation": "Consolidation failed",
    "refine_geometry": "Geometry refinement failed",
    "report": "Report failed",
}
#: what a step found, as the console and the closing table show it: name of its logs -> rows of its summary
_COUNTS = {
    "hkls": ("rings",),
    "peaksearch": ("peaks",),
    "merge_overlaps": ("merged spots",),
    "calc_radius": ("spots", "spots on no ring"),
    "fit_setup": ("accepted", "seeds", "saturated"),
    "spot_table": ("spots", "seeds"),
    "indexing": ("indexed",),
    "refining": ("refined",),
    "process_grains": ("grains", "duplicates", "fragments", "ghosts"),
    "measure_spots": ("spots",),
    "refine_geometry": ("passes", "grains"),
}
#: steps that the ranks of an MPI run share, with a log of each
_SHARED = ("peaksearch", "indexing", "refining")


def counts_of(name: str, summaries: Sequence[Mapping[str, object]]) -> dict[str, int]:
    """What the console shows of the summaries of a step."""
    return {
        label: sum(int(rows[label]) for rows in summaries if label in rows)  # type: ignore[call-overload]
        for label in _COUNTS.get(first_of(name), ())
        if any(label in rows for rows in summaries)
    }


class Steps:
    """The steps of one layer.

    Parameters
    ----------
    folder : of the layer; the logs are in midas_log/ in it
    seconds : that each step took, filled as they run
    counts : what each step found, on the first rank, as far as the console shows it
    found : every whole number of the summary of each step, on the first rank
    kept : steps that a run before has done, and that are left as they are; their data are in their files
    """

    def __init__(self, folder: Path, comm: Communicator):
        self.folder, self.comm = folder, comm
        self.kept: Mapping[str, Entry] = {}
        self.seconds: dict[str, float] = {}
        self.counts: dict[str, dict[str, int]] = {}
        self.found: dict[str, dict[str, int]] = {}

    def keeps(self, name: str) -> bool:
        """Whether a step is kept; if so, what it found is what it found then."""
        entry = self.kept.get(name)
        if entry is None:
            return False
        if self.comm.rank == 0 and name not in self.found:
            self.found[name] = dict(entry.counts)
            self.counts[name] = counts_of(name, [entry.counts])
        return True

    def serial(self, name: str, work: Callable[[], StageResult[T]]) -> T | None:
        """A stage that one process does; its data there, None on the other ranks, which read its files."""
        if self.keeps(name):
            return None
        data = self.alone(name, work) if self.comm.rank == 0 else None
        self.comm.barrier()
        return data

    def alone(self, name: str, work: Callable[[], StageResult[T]]) -> T:
        """A stage of this process, for which nobody waits yet."""
        result = self.stage(name, work)
        self.say(name, [result.summary])
        return result.data

    def shared(self, name: str, work: Callable[[], StageResult[T]]) -> T | None:
        """A stage whose work is shared over the ranks; its data only when this process has all of it."""
        if self.keeps(name):
            return None
        result = self.stage(name, work)
        everybody = self.comm.gather(result.summary)
        if everybody is not None:
            self.say(name, everybody)
        return result.data if self.comm.size == 1 else None

    def say(self, name: str, summaries: Sequence[Mapping[str, object]] = ()) -> None:
        """What a step found and how long it took, on the console."""
        self.counts[name] = counts = counts_of(name, summaries)
        self.found[name] = whole_numbers(summaries)
        found = "".join(f", {count} {label}" for label, count in counts.items())
        log.info("%s: %.2f s%s", name, self.seconds[name], found)

    def stage(self, name: str, work: Callable[[], StageResult[T]]) -> StageResult[T]:
        """A stage with its messages in midas_log/, as the legacy driver kept its programs' output."""
        block = f"{self.comm.rank}" if first_of(name) in _SHARED else ""
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
        except PeerError:  # it has its own log
            raise
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
        except PeerError:  # not a failure of this member: it would tell the others, who wait for nothing any more
            raise
        except NothingFoundError as error:
            raise NothingFoundError(f"{_FAILURES[first_of(name)]}: {error}", nothing=error.nothing) from None
        except MidasError as error:
            raise StageError(f"{_FAILURES[first_of(name)]}: {error}") from None
        except OSError as error:
            place = f"{shown(error.filename)}: " if error.filename else ""
            raise StageError(f"{_FAILURES[first_of(name)]}: {place}{error.strerror or error}") from None
        except MemoryError:
            raise StageError(f"{_FAILURES[first_of(name)]}: not enough memory") from None
        self.seconds[name] = time.perf_counter() - started
