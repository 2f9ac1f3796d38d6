"""``ff-stress``: from the strain of the grains to their stress."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import Argument, Program
from midas.results.stress.options import StressOptions
from midas.runtime.options import from_words, options_of

if TYPE_CHECKING:
    from midas.results.stress.run import StressResult
    from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[StressResult]:
    """The stress of the grains of a layer."""
    from midas.commands.holding import hold
    from midas.results.reading import read_results
    from midas.results.stress import run as stress

    results, options = read_results(values.layer), from_words(StressOptions, vars(values))
    if Path(values.layer).is_dir():
        hold(values.layer, values)
    return stress.run(results, options)


PROGRAMS = (
    Program(
        names=("ff-stress",),
        does=(
            "Make stresses of the elastic strains of the grains: the tensor of every grain in the frame of the sample "
            "and of the crystal, hydrostatic and von Mises stress, resolved shear on slip systems, Schmid factors, the "
            "average over the volume, and by how much the reference cell must be off for it to agree with the load."
        ),
        uses=(
            "Reads a layer folder, its consolidated HDF5 file, or a Grains.csv; writes Stress.csv, which ff-report "
            "shows. Sigmas are those of the grains (GrainsSigma.csv), carried through. The reference cell is changed "
            "only with -correct. Formulas, frames and the table of materials: docs/theory/stress.md, docs/stress.md."
        ),
        examples=(
            ("ff-stress LayerNr_1 -material Ni", "nickel of the table"),
            ("ff-stress LayerNr_1 -material my_alloy.txt -slip fcc", "own constants"),
            ("ff-stress LayerNr_1 -stiffness C11=250.8 C12=150 C44=123.5", ""),
            ("ff-stress LayerNr_1 -material Ti -load 0 0 1 -applied 350 -correct scale", "350 MPa along z is known"),
        ),
        arguments=(Argument("layer", "layer folder, consolidated HDF5 file, or Grains.csv"),),
        options=options_of(StressOptions),
        exact=True,
        run=run,
    ),
)
