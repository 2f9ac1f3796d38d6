"""``ff-hkls``, ``GetHKLListZarr``, ``GetHKLList``: the reflections of the crystal."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import RESULT_FOLDER, Argument, Program

if TYPE_CHECKING:
    from midas.formats.table import Table
    from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[Table]:
    """The reflections of an archive's crystal, or of a parameter file's."""
    from midas.commands.arguments import is_archive, layer_of_archive
    from midas.commands.holding import hold
    from midas.stages import hkls

    if not is_archive(values.archive):
        return _of_parameter_file(values, values.archive, values.result_folder or ".")
    layer, parameters = layer_of_archive(values, create=True)
    hold(layer.folder, values)
    return hkls.run(layer, parameters)


def run_in_current_folder(values: argparse.Namespace) -> StageResult[Table]:
    """The reflections of a parameter file's crystal."""
    return _of_parameter_file(values, values.paramfile, ".")


def _of_parameter_file(values: argparse.Namespace, path: str, folder: str) -> StageResult[Table]:
    from midas.commands.holding import hold
    from midas.formats.layer import Layer
    from midas.parameters import Parameters
    from midas.stages import hkls

    parameters = Parameters.read(path)
    hold(folder, values)
    return hkls.run(Layer(Path(folder)), parameters)


_DOES = (
    "List the reflections that the crystal can give within the detector: Miller indices, ring number, d spacing, "
    "angles "
    "and radius of each, as hkls.csv."
)
_USES = (
    "Reads space group, cell, wavelength and distance. Every later stage reads hkls.csv; look at it to choose "
    "the rings "
    "of RingThresh. The list is complete; LegacyHKLList 1 gives the shorter one of the legacy programs."
)

PROGRAMS = (
    Program(
        names=("ff-hkls", "GetHKLListZarr"),
        does=_DOES,
        uses=_USES,
        examples=(
            ("ff-hkls scan.MIDAS.zip", "into the folder that the archive names"),
            ("ff-hkls ps.txt LayerNr_1", "from a parameter file, into LayerNr_1"),
        ),
        arguments=(Argument("archive", "the scan, a .MIDAS.zip, or a parameter file"), RESULT_FOLDER),
        run=run,
    ),
    Program(
        names=("GetHKLList",),
        has_short_name=False,
        does=_DOES,
        uses=_USES,
        examples=(("GetHKLList ps.txt", "into the current folder"),),
        arguments=(Argument("paramfile", "parameter file"),),
        run=run_in_current_folder,
    ),
)
