"""From a table of spots, or from frames, to grains, by the suite's own pipeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from independent.referee.lists import FoundGrain, read_grains

from midas.archive import Archive, ArchiveWriter
from midas.formats.layer import Layer
from midas.formats.merged import RESULT
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.pipeline import layers
from midas.pipeline.layer_run import LayerRun
from midas.pipeline.options import Options
from midas.pipeline.plan import LayerPlan, plans
from midas.results.tables.sources import LayerTables
from midas.runtime import logs
from midas.runtime.errors import NothingFoundError
from midas.runtime.parallel import SERIAL, Communicator

_DATA = "exchange/data"


class SpotsRun(LayerRun):
    """A layer whose merged spots are given: all stages from the radius on, without the consolidated file."""

    def __init__(self, options: Options, plan: LayerPlan, comm: Communicator, spots: Table):
        super().__init__(options, plan, comm)
        self.spots = spots

    def search(self, hkls: Table | None) -> None:
        """There are no frames."""

    def merge(self) -> Table | None:
        frames = _frames(self.layer)
        RESULT.write(self.layer.merged(frames), self.spots)
        self.tables.merged = self.spots
        return self.spots

    def consolidate(self) -> None:
        """Not needed to judge the grains."""


def _frames(layer: Layer) -> int:
    with Archive(str(layer.archive)) as archive:
        return len(archive.frames)


def empty_archive(path: Path, parameter_file: Path, shape: tuple[int, int, int]) -> Path:
    """An archive of (frames, rows, columns) without counts, with the parameters of a file."""
    with ArchiveWriter(path, shape, np.uint16) as writer:
        chunk = writer.compress(np.zeros(shape[1:], np.uint16))
        writer.add_compressed(_DATA, shape, [chunk] * shape[0])
        writer.add_parameters(Parameters.read(parameter_file))
    return path


def from_spots(parameter_file: Path, archive: Path, spots: Table, *, threads: int = 1) -> tuple[Layer, LayerTables]:
    """Grains of merged spots; results are beside the archive."""
    options = _options(parameter_file, archive, threads)
    with logs.one_run():
        run = SpotsRun(options, plans(options)[0], SERIAL, spots)
        try:
            tables = run.run()
        except NothingFoundError:
            tables = run.tables
    return run.layer, tables


def from_frames(parameter_file: Path, archive: Path, *, threads: int = 1, search: bool = True) -> Layer:
    """Grains of the frames of an archive, or of the peaks that were found in them; results are beside it."""
    options = replace(_options(parameter_file, archive, threads), peak_search=search)
    return layers.run(options, comm=SERIAL).data[0].layer


def grains_of(layer: Layer) -> list[FoundGrain]:
    """The grains of a layer; none where there is no list."""
    return read_grains(layer.grains) if layer.grains.exists() else []


def _options(parameter_file: Path, archive: Path, threads: int) -> Options:
    files = {"parameter_file": parameter_file, "data_file": archive, "result_folder": archive.parent}
    return Options(**files, threads=threads, convert=False, per_spot_groups=0).checked()
