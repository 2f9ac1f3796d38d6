"""``ff-track``: the same grains through load steps or layers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from midas.commands.program import Argument, Program
from midas.results.matching.track_options import TrackOptions
from midas.runtime.options import PATHS, from_words, options_of

if TYPE_CHECKING:
    from midas.results.matching.tracks import Tracks
    from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[Tracks]:
    """Track the grains, and show them."""
    from midas.results.figures.tracks import tracks_page
    from midas.results.matching.track_files import track_files
    from midas.runtime.files import readable, write_atomic

    options = from_words(TrackOptions, vars(values), layers=PATHS.read(values.layers))
    result = track_files(options)
    write_atomic(options.page, readable(tracks_page(result.data)).encode())
    return result


PROGRAMS = (
    Program(
        names=("ff-track",),
        does=(
            "Follow the grains of a sample through the steps of a series, load steps or layers: by orientation, "
            "position and size, while rotation, displacement and strain of the sample from step to step are found "
            "from the grains themselves. Nothing has to be aligned before, and there are no weights to set: what "
            "counts is how far the grains scatter about the common motion. Grains that are lost, that return or "
            "are new are named, and so are those of which the data do not say which is which."
        ),
        uses=(
            "Each LAYER is a layer folder or a grain list of any kind (Grains.csv, consolidated HDF5, a table of "
            "ff-stitch, grains.out, .map), in the order of the series. Writes Tracks.csv (a row for each grain and "
            "step), Tracks.h5 (arrays by track and step, and the motion) and Tracks.html (paths of strain, rotation "
            "and displacement) into the result folder."
        ),
        examples=(
            ("ff-track load0/LayerNr_1 load1/LayerNr_1 load2/LayerNr_1", "three load steps"),
            ("ff-track load?/LayerNr_1 -resultFolder tracks -maxRotation 20", "a sample that was mounted anew"),
            ("ff-track LayerNr_? -beamThickness 100", "layers above each other"),
        ),
        arguments=(Argument("layers", "layer folders or grain lists, step by step", several=True),),
        options=options_of(TrackOptions),
        run=run,
    ),
)
