"""``CalibrantPanelShiftsOMP``: the legacy calibration from a parameter file, in the current folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import Argument, Program

if TYPE_CHECKING:
    from midas.pipeline.calibration_files import Calibrated
    from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[list[Calibrated]]:
    """Calibrate what the parameter file names."""
    from midas.commands.arguments import threads_of
    from midas.pipeline import calibrating
    from midas.pipeline.calibration_request import CalibrationRequest, fitted_names, with_keys
    from midas.pipeline.powder_images import numbered_files

    given, folder = with_keys(Path(values.parameters), {})
    free, demanded = fitted_names(given["CalibFit"], (), False)
    images = tuple(numbered_files(given, folder))
    request = CalibrationRequest(given, folder, images, free, demanded, output=Path(), legacy="OMP")
    return calibrating.run(request, threads=threads_of(values))


PROGRAMS = (
    Program(
        names=("CalibrantPanelShiftsOMP",),
        does=(
            "Find the geometry of the instrument from images of a powder, as ff-calibrate does, with everything in a "
            "parameter file, the results in the current folder and the output that old scripts read."
        ),
        uses=(
            "Reads <Folder>/<FileStem>_<number><Ext> for StartNr to EndNr, each calibrated by itself. Writes "
            "<image>.corr.csv beside each image, hkls.csv, PanelShiftsFile with its two images, and calibration.json, "
            ".h5, .png, .html; prints the mean values of all images."
        ),
        examples=(("CalibrantPanelShiftsOMP parameters.txt 8", "eight threads"),),
        arguments=(
            Argument("parameters", "parameter file"),
            Argument("nCPUs", "threads; by default every core that the process may use", int, False),
        ),
        run=run,
        has_short_name=False,
    ),
)
