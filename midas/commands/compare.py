"""``ff-compare``: found grains against the true ones."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import Argument, Program
from midas.runtime.options import Option

if TYPE_CHECKING:
    from midas.results.matching.compare import Comparison
    from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[Comparison]:
    """Compare two grain lists and print both tables."""
    from midas.results.matching.compare import compare
    from midas.runtime.result import StageResult

    found = compare(
        Path(values.true),
        Path(values.found),
        omega_step=values.omega_step,
        turn_positions=values.turn_positions == 1,
        space_group=values.space_group,
        lattice=values.lattice,
    )
    print(found.grain_table())
    print(found.table())
    return StageResult("compare", {}, found)


PROGRAMS = (
    Program(
        names=("ff-compare",),
        does=(
            "Compare the grains that an analysis found with the true ones of a simulation: which were found, which are "
            "spurious, and the errors of orientation, position and cell."
        ),
        uses=(
            "Reads the grain list that was simulated and a Grains.csv; writes nothing. The recorded omega of a "
            "frame is "
            "that of its beginning, so that the true sample is turned by half a frame before the comparison."
        ),
        examples=(("ff-compare GrainsSim.csv LayerNr_1/Grains.csv --omega-step 0.25", "frames of 0.25 degrees"),),
        arguments=(
            Argument("true", "grain list of the simulation"),
            Argument("found", "Grains.csv of the analysis"),
        ),
        options=(
            Option("--omega-step", "rotation per frame: the true sample is turned by half of it", float, 0.0),
            Option(
                "--turn-positions",
                "1: positions too; 0: orientations only, as in the published legacy figures",
                int,
                1,
            ),
            Option("--space-group", "symmetry; by default from the header of FOUND", int),
            Option(
                "--lattice",
                "unstrained cell a b c alpha beta gamma; by default from the header of FOUND",
                float,
                None,
                6,
            ),
        ),
        run=run,
    ),
)
