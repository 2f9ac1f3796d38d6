"""``ff-calibrate``: the geometry of the instrument from the image of a powder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import Argument, Program
from midas.pipeline.calibration_options import CalibrateOptions
from midas.runtime.errors import UsageError
from midas.runtime.options import absolute, from_words, options_of

if TYPE_CHECKING:
    from midas.pipeline.calibration_files import Calibrated
    from midas.pipeline.calibration_request import CalibrationRequest
    from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[list[Calibrated]]:
    """Calibrate."""
    from midas.pipeline import calibrating
    from midas.runtime.parallel import thread_count

    options = from_words(CalibrateOptions, vars(values))
    return calibrating.run(_request(values, options), threads=thread_count(options.threads))


def _request(values: argparse.Namespace, options: CalibrateOptions) -> CalibrationRequest:
    """Options win over the parameter file."""
    from midas.commands.arguments import is_archive
    from midas.pipeline.calibration_request import CalibrationRequest, fitted_names, keys_of_calibrate, with_keys
    from midas.pipeline.powder_images import numbered_files

    source = options.params
    if source is None and values.image and is_archive(values.image):
        source = absolute(values.image)
    given, folder = with_keys(source, keys_of_calibrate(options))
    if options.images and values.image:
        raise UsageError("give one image, or -images, not both", key="IMAGE", value=values.image)
    if options.travel is not None and len(options.travel) != len(options.images):
        reason = f"needs one number for each of the {len(options.images)} -images"
        raise UsageError(reason, key="-travel", value=" ".join(f"{x:g}" for x in options.travel))
    images = options.images or ((absolute(values.image),) if values.image else ())
    if not images:
        if options.params is None or "FileStem" not in given:
            raise UsageError("name the image, or a parameter file with FileStem and StartNr", key="IMAGE")
        images = tuple(numbered_files(given, folder))
    free, demanded = fitted_names(tuple(options.fit.split()) or given["CalibFit"], tuple(options.fix.split()),
                                  options.wavelength_fit)  # fmt: skip
    return CalibrationRequest(
        given, folder, images, free, demanded, options.travel or (), options.travel_sigma, options.out or Path(),
        figure=options.figure, json=options.json, links=options.allow_links,
    )  # fmt: skip


PROGRAMS = (
    Program(
        names=("ff-calibrate",),
        does=(
            "Find the geometry of the instrument - distance, beam centre, tilts, distortion, shifts of the panels - "
            "from the image of a powder, from a rough start or from nothing, with the uncertainty of every number and "
            "what the image cannot tell."
        ),
        uses=(
            "Reads an image in any raw format, with a dark and a mask. Writes ps_calibrated.txt, whose lines go into "
            "the parameter file of the analysis, calibration.html and .png to look at, calibration.json and .h5, "
            "<image>.corr.csv, hkls.csv, and PanelShiftsFile where there are panels. Exit code 0 only if the result "
            "can be used. docs/calibrating.md is the guide."
        ),
        examples=(
            ("ff-calibrate CeO2.tif -calibrant CeO2 -energy 71.676 -px 172", "from nothing"),
            ("ff-calibrate CeO2.h5 -params ps.txt -out calibration", "with the keys of a parameter file"),
            ("ff-calibrate CeO2.tif -params ps.txt -fit 'Lsd BC ty tz'", "without distortion"),
        ),
        arguments=(
            Argument("image", "image of the powder, of any raw format; a folder or pattern is summed", str, False),
        ),
        options=options_of(CalibrateOptions),
        run=run,
        exact=True,
    ),
)
