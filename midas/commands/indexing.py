"""``ff-index``, ``IndexerOMP``: an orientation and a position for every seed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from midas.commands.program import GO_ON, LAYER, RESUME, SEEDS, THREADS, Program

if TYPE_CHECKING:
    from midas.formats.index import IndexedSeeds
    from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[IndexedSeeds]:
    """Index the seeds of this process."""
    from midas.commands.arguments import of_seeds
    from midas.stages import indexing

    layer, parameters, keywords = of_seeds(values, "the indexing")
    result = indexing.run(layer, parameters, **keywords)
    if result.summary.get("indexed") == 0:
        from midas.diagnosis.programs import warn

        warn(layer, parameters, keywords["threads"], "nothing was indexed")
    return result


PROGRAMS = (
    Program(
        names=("ff-index", "IndexerOMP"),
        does=(
            "Find, for every seed spot, the orientation and position of the crystal that explains it and as many other "
            "spots as possible."
        ),
        uses=(
            "Works in the folder of paramstest.txt: reads that, SpotsToIndex.csv, hkls.csv and Spots.bin (ff-setup, "
            "ff-bin). Writes Output/IndexBest.bin and IndexBestFull.bin; ff-refine is next. Ranks of mpirun, or "
            "blocks, "
            "share the seeds."
        ),
        examples=(
            ("ff-index paramstest.txt", "every core"),
            ("mpirun -n 8 ff-index paramstest.txt", "eight ranks"),
            ("IndexerOMP paramstest.txt 0 1 1824 18", "block 0 of 1, 1824 seeds, 18 threads"),
        ),
        arguments=SEEDS,
        options=(THREADS, LAYER, RESUME),
        interrupted=GO_ON,
        run=run,
        exact=True,
        shared=True,
    ),
)
