"""``AutoCalibrateZarr.py``: the legacy driver of the calibration."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import Program
from midas.pipeline.calibration_options import NO_BC, NO_LSD, AutoCalibrateOptions
from midas.runtime.errors import UsageError
from midas.runtime.options import from_words, options_of

if TYPE_CHECKING:
    from midas.pipeline.calibration_files import Calibrated
    from midas.pipeline.calibration_request import CalibrationRequest
    from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[list[Calibrated]]:
    """Calibrate one image."""
    from midas.pipeline import calibrating
    from midas.runtime.parallel import thread_count

    options = from_words(AutoCalibrateOptions, vars(values))
    return calibrating.run(_request(options), threads=thread_count(options.threads))


def _request(options: AutoCalibrateOptions) -> CalibrationRequest:
    from midas.commands.arguments import is_archive
    from midas.pipeline.calibration_request import (
        CalibrationRequest,
        RingRejection,
        fitted_names,
        keys_of_auto,
        parameters_of,
        with_keys,
    )

    if options.data_file is None:
        raise UsageError("name the image", key="-dataFN")
    source = options.parameter_file
    if source is None and is_archive(str(options.data_file)):
        source = options.data_file
    plain, folder = parameters_of(source)
    given, _ = with_keys(source, keys_of_auto(options, plain.as_given()))
    if options.lsd_guess == NO_LSD:
        given = given.without("Lsd")
    if not options.bc_guess or options.bc_guess[0] == NO_BC:
        given = given.without("BC")
    free, demanded = fitted_names(given["CalibFit"], (), False)
    return CalibrationRequest(
        given, folder, (options.data_file,), free, demanded, output=Path(), legacy="auto",
        picture=options.make_plots == 1, arrays=options.save_plots, first_ring=options.first_ring,
        threshold=options.threshold, background=options.no_median != 1,
        rejection=RingRejection(options.mult_factor, options.stopping_strain, max(options.most_passes, 1)),
    )  # fmt: skip


PROGRAMS = (
    Program(
        names=("AutoCalibrateZarr.py", "AutoCalibrateZarr"),
        does=(
            "Find the geometry of the instrument from the image of a powder without a start, as ff-calibrate does, "
            "with the options and files of the legacy driver."
        ),
        uses=(
            "Reads the image, and SpaceGroup, LatticeParameter, Wavelength and px from a parameter file or the "
            "archive. Writes refined_MIDAS_params.txt, ps_calibrated.txt, <image>ps.txt, <image>.corr.csv, hkls.csv, "
            "calibrant_screen_out.csv, hkls_screen_out.csv, autocal.log and calibration.json and .h5 into the current "
            "folder. The lines of ps_calibrated.txt are those for ff-midas."
        ),
        examples=(
            ("AutoCalibrateZarr.py -dataFN CeO2.tif -paramFN ps.txt", "from nothing"),
            (
                "AutoCalibrateZarr.py -dataFN CeO2.tif -paramFN ps.txt -LsdGuess 650000 -BCGuess 690 920 -MakePlots 1",
                "",
            ),
        ),
        options=options_of(AutoCalibrateOptions),
        run=run,
        has_short_name=False,
        tolerant=True,
        newer=("-nCPUs", "-maxIter"),
    ),
)
