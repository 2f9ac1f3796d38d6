"""The stages of a finished layer once more with another geometry (docs/theory/geometry_from_grains.md#the-loop)."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from midas.archive import Archive, without_frames
from midas.archive.update import update
from midas.experiment.scan import Scan
from midas.formats.grains import read_grains
from midas.formats.layer import Layer
from midas.formats.merged import RESULT
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.pipeline.geometry.parameter_file import Values
from midas.pipeline.layer_run import LayerRun
from midas.pipeline.options import Options
from midas.pipeline.plan import LayerPlan
from midas.runtime import logs
from midas.runtime.files import located, read_bytes, remove, write_atomic
from midas.runtime.named_paths import make_subfolder
from midas.runtime.parallel import SERIAL

log = logging.getLogger(__name__)

#: loggers that a user hears while the stages run again; the others write into their files
_OWN = "midas.pipeline.geometry"


class AgainRun(LayerRun):
    """A layer whose merged spots are there: all stages from the radius on."""

    def search(self, hkls: Table | None) -> None:
        """There are no frames."""

    def merge(self) -> Table | None:
        """The spots of the layer that this one is made of: pixels do not depend on the geometry."""
        self.tables.merged = RESULT.read(next(self.layer.folder.glob("Result_StartNr_*.csv")))
        return self.tables.merged

    def consolidate(self) -> None:
        """Once, at the end; see `finish`."""

    def finish(self) -> None:
        """The results in one file, after the last pass."""
        with logs.only_of(_OWN):
            super().consolidate()

    def finish_with_geometry(self) -> None:
        """The same once more when that file has the geometry: it is part of the uncertainty of the grains."""
        with logs.only_of(_OWN):
            self.uncertainty()
            super().consolidate()


def again(layer: Layer, keys: Values, threads: int, per_spot_groups: int = 0) -> AgainRun:
    """Run the stages behind the merging in the folder ``Geometry`` of a layer.

    Parameters
    ----------
    layer : a finished one, which stays as it is
    keys : that get other values
    per_spot_groups : see `midas.results.consolidated`

    Returns
    -------
    the run, with the layer in that folder; the results are not in one file yet
    """
    merged, grains_file = _merged(layer), _seed_grains(layer)  # before anything is written
    target = _prepared(layer, keys, merged)
    own = Options(
        data_file=target.archive, result_folder=layer.folder, threads=threads, convert=False, measure_spots=0,
        per_spot_groups=per_spot_groups, grains_file=grains_file,
    )  # fmt: skip
    with logs.only_of(_OWN):
        run = AgainRun(own, LayerPlan(1, target.folder, target.archive), SERIAL)
        run.run()
    return run


def _merged(layer: Layer) -> Path:
    """The merged spots of a layer, which can be read."""
    assert layer.archive is not None  # `layer_of` sees to it
    with Archive(layer.archive) as opened:
        parameters = opened.parameters.for_stage("geometry")
    path = layer.merged(Scan.of(layer, parameters).frames)
    RESULT.read(path)
    return path


def _prepared(layer: Layer, keys: Values, merged: Path) -> Layer:
    """The folder with the archive and the tables that the stages start from."""
    assert layer.archive is not None  # `layer_of` sees to it
    folder = make_subfolder(layer.geometry_folder)
    archive = folder / layer.archive.name
    old = Layer(folder)
    remove(*folder.glob("*.MIDAS.zip"), *folder.glob("Result_StartNr_*.csv"))
    remove(old.merge_map, old.geometry_fit, old.geometry_spots, old.geometry_page, *folder.glob("ps_refined*"))
    without_frames(layer.archive, archive)
    with Archive(archive) as opened:
        parameters = opened.parameters.for_stage("geometry")
    for name, words in keys.items():
        update(archive, name, [word if isinstance(word, str) else repr(float(word)) for word in words])
    for path in (merged, layer.merge_flags):
        target = folder / path.name
        if path.exists():
            write_atomic(target, read_bytes(path, advice="run ff-merge first"))
        else:
            remove(target)
    _copy_shifts(parameters, layer.folder, folder)
    return replace(layer, folder=folder, archive=archive, folder_text=f"{folder}/")


def _copy_shifts(parameters: Parameters, source: Path, target: Path) -> None:
    """The shifts of the panels, which the archive names by a place in its folder."""
    name = parameters.get("PanelShiftsFile", "")
    if name and (path := located(name, source)).exists():
        write_atomic(target / path.name, read_bytes(path))


def _seed_grains(layer: Layer) -> Path | None:
    """The grains that the layer was told to find, if it was."""
    named = Parameters.read(layer.paramstest, "paramstest").for_stage("refinement")["GrainsFile"]
    return Path(named) if named else None


def grain_count(layer: Layer) -> int:
    """Number of grains of a layer."""
    return len(read_grains(layer.grains))
