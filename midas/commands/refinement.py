"""``ff-refine``, ``FitPosOrStrainsOMP``: position, orientation and cell of every indexed seed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from midas.commands.program import ALLOW_PARTIAL, GO_ON, LAYER, RESUME, SEEDS, THREADS, Program

if TYPE_CHECKING:
    from midas.formats.refined import RefinedSeeds
    from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[RefinedSeeds]:
    """Refine the seeds of this process."""
    from midas.commands.arguments import of_seeds
    from midas.stages import refinement

    layer, parameters, keywords = of_seeds(values, "the refinement")
    return refinement.run(layer, parameters, allow_partial=values.allowPartial == 1, **keywords)


PROGRAMS = (
    Program(
        names=("ff-refine", "FitPosOrStrainsOMP"),
        does=(
            "Refine position, orientation and unit cell of every indexed seed against its spots: all of them together "
            "with a robust loss (RefineMethod joint), or in the steps of the legacy program (staged, converged)."
        ),
        uses=(
            "Works in the folder of paramstest.txt: reads that, SpotsToIndex.csv, hkls.csv, ExtraInfo.bin and "
            "Output/IndexBest*.bin (ff-index). Writes Results/Key.bin, OrientPosFit.bin, ProcessKey.bin and "
            "Output/FitBest.bin; ff-grains is next. Ranks of mpirun, or blocks, share the seeds."
        ),
        examples=(
            ("ff-refine paramstest.txt", "every core"),
            ("mpirun -n 8 ff-refine paramstest.txt", "eight ranks"),
            ("FitPosOrStrainsOMP paramstest.txt 0 1 1824 18", "block 0 of 1, 1824 seeds, 18 threads"),
        ),
        arguments=SEEDS,
        options=(THREADS, LAYER, RESUME, ALLOW_PARTIAL),
        interrupted=GO_ON,
        run=run,
        exact=True,
        shared=True,
    ),
)
