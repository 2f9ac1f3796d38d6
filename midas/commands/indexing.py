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
    from midas.commands.arguments import layer_of_paramstest, members, seed_count_of, threads_of
    from midas.commands.holding import hold
    from midas.stages import indexing

    comm, threads = members(values), threads_of(values)
    layer, parameters = layer_of_paramstest(values.paramfile, values.folder)
    hold(layer.folder, values, comm, blocks_of="the indexing")
    result = indexing.run(
        layer,
        parameters,
        threads=threads,
        comm=comm,
        seed_count=seed_count_of(values, layer),
        resume=values.resume == 1,
    )
    if result.summary.get("indexed") == 0:
        from midas.diagnosis.programs import warn

        warn(layer, parameters, threads, "nothing was indexed")
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
