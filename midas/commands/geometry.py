"""``ff-geometry``: the geometry of the instrument from the grains of finished layers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from midas.commands.program import Argument, Program
from midas.pipeline.geometry.options import GeometryOptions, layer_folders
from midas.runtime.options import from_words, options_of

if TYPE_CHECKING:
    from midas.pipeline.geometry.run import Refined
    from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[Refined]:
    """Refine the geometry, and print the table."""
    options = from_words(GeometryOptions, vars(values)).checked()
    folders = layer_folders(values.layer)
    from midas.commands.holding import hold
    from midas.pipeline.geometry.run import run as refine

    for folder in folders:
        hold(folder, values)
    result = refine(folders, options)
    print(result.data.text())
    return result


PROGRAMS = (
    Program(
        names=("ff-geometry",),
        does=(
            "Refine the geometry of the instrument - distance, beam centre, tilts, distortion, wedge - from all grains "
            "of finished layers at once, say how well each number is known, and what the spots cannot tell: which "
            "numbers go together, and which ways to read the image no data can tell apart."
        ),
        uses=(
            "Reads the tables of ff-midas in the layer folders (several are detectors of one scan, with common grains) "
            "and writes a copy of the parameter file with the refined values (-o), GeometryFit.csv, GeometrySpots.csv, "
            "geometry.html and the group geometry of the HDF5 file. Grains.csv stays as it is: run ff-midas again with "
            "the new file, or ask for -maxPasses 3. Of a fit that is refused nothing is written."
        ),
        examples=(
            ("ff-geometry LayerNr_1", "what the spots need, into LayerNr_1/ps_refined.txt"),
            ("ff-geometry LayerNr_1 -refine Lsd,BC,ty,tz -trust none", "these numbers, the scale from the rotation"),
            ("ff-geometry LayerNr_1 -maxPasses 3 -o ps_refined.txt", "with the stages again until nothing moves"),
            ("ff-geometry near/LayerNr_1 far/LayerNr_1", "two detectors of one scan"),
        ),
        arguments=(Argument("layer", "layer folder; by default the current one", str, False, several=True),),
        options=options_of(GeometryOptions),
        run=run,
    ),
)
