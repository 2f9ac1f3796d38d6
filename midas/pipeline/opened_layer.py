"""A layer as the pipeline has it, with the archive in its folder."""

from __future__ import annotations

from pathlib import Path

from midas.archive import Archive
from midas.formats.layer import Layer
from midas.parameters import Parameters


def opened_layer(folder: Path, archive: Path) -> tuple[Layer, Parameters]:
    """The layer, and the parameters of its archive.

    Raises
    ------
    ArchiveError, ParameterError : the archive cannot be read, or its parameters are wrong
    """
    with Archive(archive) as opened:
        parameters = opened.parameters
    data_file = parameters.for_stage("pipeline")["dataFN"]
    return Layer(folder, archive, f"{folder}/", data_file=data_file), parameters
