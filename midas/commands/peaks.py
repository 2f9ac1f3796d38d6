"""``ff-peaks``, ``PeaksFittingOMPZarrRefactor``: the diffraction peaks of every frame."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from midas.commands.program import ARCHIVE, BLOCKS, N_CPUS, RESULT_FOLDER, THREADS, Argument, Program
from midas.runtime.options import Option

if TYPE_CHECKING:
    from midas.runtime.result import StageResult
    from midas.stages.peaks import FramePeaks


def run(values: argparse.Namespace) -> StageResult[list[FramePeaks]]:
    """Search the frames of this process."""
    from midas.commands.arguments import layer_of_archive, members, threads_of
    from midas.commands.holding import hold
    from midas.runtime.errors import ArchiveError, exiting_with
    from midas.stages import peaks

    comm, threads = members(values), threads_of(values)
    with exiting_with(peaks.EXIT_NO_ARCHIVE, ArchiveError):
        layer, parameters = layer_of_archive(values)
    hold(layer.folder, values, comm, blocks_of="the peak search")
    return peaks.run(layer, parameters, threads=threads, comm=comm, fit=values.fitPeaks, force=values.force == 1)


PROGRAMS = (
    Program(
        names=("ff-peaks", "PeaksFittingOMPZarrRefactor"),
        does=(
            "Find the connected regions of pixels above the threshold of their ring in every frame, and fit the peaks "
            "in each of them: position, intensity, widths, and which pixels belong to them."
        ),
        uses=(
            "Reads the archive and hkls.csv (ff-hkls first). Writes Temp/<archive>_<frame>_PS.csv, the table of peaks "
            "of a frame, and _PX.bin, their pixels; ff-merge is next. Ranks of mpirun, or blocks, share the frames."
        ),
        examples=(
            ("ff-peaks scan.MIDAS.zip", "every core, into the folder that the archive names"),
            ("mpirun -n 8 ff-peaks scan.MIDAS.zip --folder LayerNr_1", "eight ranks"),
            ("PeaksFittingOMPZarrRefactor scan.MIDAS.zip 0 1 18", "block 0 of 1, 18 threads"),
        ),
        arguments=(
            ARCHIVE,
            *BLOCKS,
            N_CPUS,
            RESULT_FOLDER,
            Argument("fitPeaks", "0: centroids instead of fits", int, False),
        ),
        options=(
            THREADS,
            Option("--folder", "folder of the results, where the block arguments are left out"),
            Option("-force", "1: search crowded frames too; 0: stop when there are many", int, 0),
        ),
        run=run,
        shared=True,
    ),
)
