"""Spots to grains: seeds indexed, refined and resolved, and once more among the spots that no grain owns.

See docs/theory/indexing.md#passes.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from midas._version import __version__
from midas.formats import passes
from midas.formats.hkls import LAYOUT as HKLS
from midas.formats.index import IndexedSeeds
from midas.formats.ledger import COMPLETE, STARTED, Entry, Ledger
from midas.formats.passes import SeedPass
from midas.formats.refined import RefinedSeeds, joined_seeds
from midas.formats.spots import EXTRA_INFO, read_seed_ids
from midas.formats.table import Table
from midas.ledger.recorded import update
from midas.ledger.steps import PASSES, pass_number
from midas.parameters import Parameters
from midas.pipeline import asked
from midas.runtime.result import StageResult

if TYPE_CHECKING:
    from midas.formats.spots import SpotTables
    from midas.pipeline.layer_run import LayerRun
    from midas.stages.binning import BinaryTables
    from midas.stages.grains import GrainTables

log = logging.getLogger(__name__)

#: reflections of the rings of a pass: of a ring of fewer a crystal may have no spot that is not another one's, too
ENOUGH = 8


class GrainSearch:
    """The last three stages of a layer, as often as they find more.

    Parameters
    ----------
    run : the layer
    parameters : of paramstest.txt
    setup, binned, hkls : the spots and reflections in memory; None: in their files

    Attributes
    ----------
    seeds : ids in the order of their rows; None where the indexing makes them itself, or where they are in their file
    """

    def __init__(
        self,
        run: LayerRun,
        parameters: Parameters,
        setup: SpotTables | None,
        binned: BinaryTables | None,
        hkls: Table | None,
    ):
        self._run, self._parameters, self._hkls = run, parameters, hkls
        self._tracking = run.options.grains_file is not None
        # A guided run makes its seeds itself.
        self.seeds = setup.spots_to_index if setup is not None and not self._tracking else None
        self._spots: Table | None = None
        self._extra_info: Table | None = None
        if binned is not None:
            self._spots, self._extra_info = binned
        self._refined: RefinedSeeds | None = None

    def find(self) -> GrainTables | None:
        """The grains of all passes, on the first rank."""
        if self._run.steps.keeps("process_grains"):  # and so are the passes
            return None
        last = 1 if self._tracking else self._passes()
        self._record(STARTED)
        self._solve(None)
        found = self._resolve("process_grains")
        found, number = self._again(found, last)
        if self._run.options.keeps_parts and self._run.comm.rank == 0 and not self._tracking:
            passes.end(self._run.layer)
        self._record(COMPLETE, number)
        return found

    def _record(self, state: str, last: float | None = None) -> None:
        """Write into the ledger that the passes have begun, or that no other one follows the `last`.

        What an earlier run has done in other passes is no longer there; until then it may be gone on with.
        """
        layer, parameters = self._run.layer, asked.of_passes(self._run)
        if last is None:
            last = math.inf if self._run.options.keeps_parts else 1

        def changed(ledger: Ledger) -> Ledger:
            others = [name for name in ledger.entries if pass_number(name) > last]
            return ledger.without(others).with_entry(Entry(PASSES, state, "", __version__, parameters))

        if self._run.comm.rank == 0:
            update(layer, changed)

    def _again(self, found: GrainTables | None, last: int) -> tuple[GrainTables | None, int]:
        """The passes behind the first one, of which `found` are the grains; and the number of the last one."""
        run, number = self._run, 1
        for following in range(2, last + 1):
            seed_pass = run.comm.broadcast(None if found is None else self._next(following, found))
            if seed_pass is None:
                break
            number = following
            if not self._solve(seed_pass):
                break
            more = self._resolve(f"process_grains_pass{number}", seed_pass)
            grown = run.comm.broadcast(more is not None and found is not None and len(more.grains) > len(found.grains))
            found = more
            if not grown:
                break
        return found, number

    def _passes(self) -> int:
        """How often to look; only spots that have owners tell which of them have none."""
        own = self._run.grain_parameters().for_stage("pipeline")
        most: int = own["IndexPasses"]
        return 1 if own["GrainMerging"] == "legacy" else most

    def _solve(self, seed_pass: SeedPass | None) -> bool:
        """Index and refine the seeds of a pass, the first one by default; whether it has solutions."""
        from midas.stages import refinement

        run, end = self._run, "" if seed_pass is None else f"_pass{seed_pass.number}"
        layer, threads, comm, steps = run.layer, run.threads, run.comm, run.steps
        seeds = self.seeds if seed_pass is None else None
        indexed = steps.shared(f"indexing{end}", lambda: self._index(seed_pass))
        if seed_pass is not None and not comm.broadcast(steps.counts.get(f"indexing{end}", {}).get("indexed", 0)):
            if comm.rank == 0:
                passes.drop_indexed(layer, seed_pass.first)
            return False
        refined = steps.shared(
            f"refining{end}",
            lambda: refinement.run(
                layer, self._parameters, threads=threads, comm=comm, seeds=seeds, seed_pass=seed_pass, indexed=indexed,
                extra_info=self._extra_info, hkls=self._hkls, allow_partial=run.options.allow_partial,
                resume=run.options.keeps_parts,
            ),
        )  # fmt: skip
        earlier, self._refined = self._refined, refined
        if seed_pass is not None:  # the rows of all passes, or none: then they are in their files
            self._refined = None
            if earlier is not None and refined is not None:
                self._refined = joined_seeds([earlier, refined])
        return True

    def _index(self, seed_pass: SeedPass | None) -> StageResult[IndexedSeeds]:
        from midas.stages import indexing

        layer, parameters, threads, comm = self._run.layer, self._parameters, self._run.threads, self._run.comm
        spots, hkls, resume = self._spots, self._hkls, self._run.options.keeps_parts
        if seed_pass is None:
            return indexing.run(
                layer, parameters, threads=threads, comm=comm, seeds=self.seeds, spots=spots, hkls=hkls, resume=resume
            )
        return indexing.run_again(
            layer, parameters, seed_pass, threads=threads, comm=comm, spots=spots, hkls=hkls, resume=resume
        )

    def _resolve(self, step: str, seed_pass: SeedPass | None = None) -> GrainTables | None:
        """Refined seeds to grains, on the first rank."""
        from midas.stages import grains

        run, tables = self._run, self._run.tables

        def work() -> StageResult[GrainTables]:
            if seed_pass is not None:
                passes.commit(run.layer, seed_pass)
            return grains.run(
                run.layer, run.grain_parameters(), threads=run.threads, track=self._tracking, refined=self._refined,
                hkls=self._hkls, extra_info=tables.extra_info, ids_hash=tables.ids_hash,
                allow_partial=run.options.allow_partial,
            )  # fmt: skip

        if seed_pass is not None and self.seeds is not None:
            self.seeds = np.concatenate([self.seeds, seed_pass.seeds])
        return run.steps.serial(step, work)

    def _next(self, number: int, found: GrainTables) -> SeedPass | None:
        """The seeds of the next pass; None where no spot is left."""
        if found.unowned is None:
            return None
        layer, given, unowned = self._run.layer, self._run.tables.extra_info, found.unowned
        known = read_seed_ids(layer.spots_to_index) if self.seeds is None else self.seeds
        spots = EXTRA_INFO.read(layer.extra_info) if given is None else given
        of_hkls = (HKLS.read(layer.hkls) if self._hkls is None else self._hkls).integers("ring")
        in_use = self._parameters.for_stage("pipeline")["RingNumbers"]
        sizes = {ring: int((of_hkls == ring).sum()) for ring in in_use}
        own = self._run.grain_parameters().for_stage("pipeline")
        seeds = next_seeds(unowned, spots.integers("ring"), own["OverAllRingToIndex"], sizes, known)
        if not len(seeds):
            return None
        limit = pass_completeness(own["Completeness"], own["UniqueCompleteness"])
        log.info("Pass %d: %d spots without a grain, %d of them are new seeds", number, len(unowned), len(seeds))
        return SeedPass(number, len(known), seeds, unowned, limit)


def pass_completeness(completeness: float, unique: float) -> float:
    """Smallest completeness in a later pass, where the spots that a crystal shares are hidden: half-way to the part of
    its reflections that it must own alone.
    """
    return min(completeness, (completeness + unique) / 2)


def next_seeds(
    unowned: NDArray[np.int64],
    ring: NDArray[np.int64],
    first: int,
    sizes: Mapping[int, int],
    known: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Unowned spots that are no seeds yet: those of the first ring that are left, and of the smallest others.

    As many other rings as have together the reflections that a crystal needs to be among the seeds; by id within a
    ring. No others, since a crystal that is left has seeds on every ring, and one of them is enough.

    Parameters
    ----------
    unowned : spot ids
    ring : (s,) of every spot; id i is entry i - 1
    first : the ring of the first pass
    sizes : reflections of each ring in use
    known : seeds so far
    """
    new = np.setdiff1d(unowned, known)
    of_new = ring[new - 1]
    seeds, reflections = [new[:0]], 0
    for number in sorted(sizes, key=lambda number: (number != first, sizes[number], number)):
        found = new[of_new == number]
        if len(found) and reflections < ENOUGH:
            seeds.append(found)
            reflections += 0 if number == first else sizes[number]
    return np.concatenate(seeds)
