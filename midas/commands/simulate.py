"""``ff-simulate``, ``ForwardSimulationCompressed``: the scan of known grains."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import N_CPUS, Argument, Program

if TYPE_CHECKING:
    from midas.runtime.result import StageResult
    from midas.simulation.scan import Simulation


def run(values: argparse.Namespace) -> StageResult[Simulation]:
    """Simulate a scan."""
    from midas import simulation
    from midas.commands.arguments import threads_of

    return simulation.run(Path(values.paramfile), threads=threads_of(values))


PROGRAMS = (
    Program(
        names=("ff-simulate", "ForwardSimulationCompressed"),
        does=(
            "Simulate the scan that a detector would record of a list of grains: every spot with its exact position, "
            "and the frames with spots, background and noise."
        ),
        uses=(
            "Reads a parameter file that names the grain list (InFileName) and the output (OutFileName). Writes "
            "SpotMatrixGen.csv and GrainsGen.csv, the truth, hkls.csv, and <OutFileName>_scanNr_0.zip; with "
            "WriteAnalysisZip 1 also an archive that ff-midas takes. Point focus and VTK grain lists are not there yet."
        ),
        examples=(
            ("ff-simulate Parameters.txt", "every core"),
            ("ForwardSimulationCompressed Parameters.txt 8", "eight threads"),
        ),
        arguments=(Argument("paramfile", "parameter file"), N_CPUS),
        run=run,
        exact=True,
    ),
)
