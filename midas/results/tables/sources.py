"""The tables of a finished layer: those that are still in memory, and the others from their files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.archive import Archive
from midas.experiment.scan import Scan
from midas.formats import hkls, merged, peaks, radius, spots
from midas.formats.grains import SPOT_MATRIX, GrainIdsKey, read_grain_ids_key, read_grains
from midas.formats.layer import Layer
from midas.formats.measured import SPOTS_MEASURED
from midas.formats.resolved import GRAIN_QUALITY, SPOT_OWNERS, read_verdicts
from midas.formats.table import Layout, Table, integer, whole
from midas.formats.uncertainty import GrainSigmas, read_sigma
from midas.parameters import Parameters
from midas.runtime.errors import FormatError
from midas.runtime.files import read_bytes

_GUIDED_SEEDS = Layout(header="", columns=(integer("spot_id"), integer("grain_id")))

#: columns of the peaks of all frames in one table
PEAK_NAMES = ("frame", *peaks.LAYOUT.names)


@dataclass
class LayerTables:
    """The tables of a layer that are in memory; None: in its file, if anywhere.

    Parameters
    ----------
    parameters : of the archive
    peaks : one table per analysed frame
    spots_to_index : (n,) ids of the seeds, or (n, 2) with the grain that each is to find
    """

    parameters: Parameters | None = None
    hkls: Table | None = None
    peaks: Sequence[Table] | None = None
    merged: Table | None = None
    merge_map: Table | None = None
    radius: Table | None = None
    id_rings: Table | None = None
    ids_hash: Table | None = None
    extra_info: Table | None = None
    spots_to_index: NDArray[np.int64] | None = None
    grains: Table | None = None
    spot_matrix: Table | None = None
    grain_ids_key: GrainIdsKey | None = None
    spot_owners: Table | None = None
    spots_measured: Table | None = None
    grain_quality: Table | None = None
    sigmas: GrainSigmas | None = None
    seed_verdicts: Table | None = None


class Sources:
    """Every table as an attribute; None where the layer has no such file.

    Parameters
    ----------
    layer : where the files are
    tables : what is in memory
    """

    def __init__(self, layer: Layer, tables: LayerTables | None = None):
        self.layer = layer
        self._given = LayerTables() if tables is None else tables

    def _table(self, given: Table | None, layout: Layout, path: Path | Callable[[int], Path]) -> Table | None:
        """A table that was given or that its file holds; `path` may need the number of frames of the scan."""
        if given is not None:
            return given
        if not isinstance(path, Path):
            if self.layer.archive is None:
                return None
            path = path(self._frames)
        return layout.read(path) if path.exists() else None

    @cached_property
    def parameters(self) -> Parameters:
        """The parameters in the archive."""
        if self._given.parameters is not None:
            return self._given.parameters.for_stage("results")
        with Archive(self._archive) as archive:
            return archive.parameters.for_stage("results")

    @property
    def grain_merging(self) -> str:
        """The rule by which seeds became grains."""
        parameters = self.parameters if self.layer.archive is not None else self._written
        merging: str = parameters["GrainMerging"]
        return merging

    @property
    def _written(self) -> Parameters:
        return Parameters.read(self.layer.paramstest, "paramstest").for_stage("results")

    @property
    def _archive(self) -> Path:
        if self.layer.archive is None:
            raise FormatError("has no archive, without which its merged spots have no rings", file=self.layer.folder)
        return self.layer.archive

    @cached_property
    def _frames(self) -> int:
        return Scan.of(self.layer, self.parameters).frames

    @cached_property
    def hkls(self) -> Table | None:
        return self._table(self._given.hkls, hkls.LAYOUT, self.layer.hkls)

    @cached_property
    def peaks(self) -> Table | None:
        """The peaks of all frames, frame by frame; columns `PEAK_NAMES`."""
        if self._given.peaks is not None:
            return _of_frames(dict(enumerate(self._given.peaks, 1)))
        if self.layer.archive is None or not self.layer.temp.is_dir():
            return None
        start, end = self.layer.peaks(1).name.removesuffix("000001_PS.csv"), "_PS.csv"
        found: dict[int, Table | None] = {}
        for name in sorted(os.listdir(self.layer.temp)):
            if not (name.startswith(start) and name.endswith(end)):
                continue  # of another archive
            number = name[len(start) : -len(end)]
            if 1 <= (whole(number) or 0) <= self._frames:  # more are left from a longer scan
                found[int(number)] = _peaks_in(self.layer.temp / name)
        return _of_frames({k: t for k, t in found.items() if t is not None}) if found else None

    @cached_property
    def merged(self) -> Table | None:
        return self._table(self._given.merged, merged.RESULT, self.layer.merged)

    @cached_property
    def merge_map(self) -> Table | None:
        return self._table(self._given.merge_map, merged.MERGE_MAP, self.layer.merge_map)

    @cached_property
    def radius(self) -> Table | None:
        return self._table(self._given.radius, radius.LAYOUT, self.layer.radius)

    @cached_property
    def id_rings(self) -> Table | None:
        return self._table(self._given.id_rings, spots.ID_RINGS, self.layer.id_rings)

    @cached_property
    def ids_hash(self) -> Table | None:
        return self._table(self._given.ids_hash, spots.IDS_HASH, self.layer.ids_hash)

    @cached_property
    def extra_info(self) -> Table | None:
        return self._table(self._given.extra_info, spots.EXTRA_INFO, self.layer.extra_info)

    @cached_property
    def spots_to_index(self) -> NDArray[np.int64] | None:
        """Seed ids; in a guided run two columns, the second one the id of the grain that was looked for."""
        if self._given.spots_to_index is not None:
            return self._given.spots_to_index
        path = self.layer.spots_to_index
        if not path.exists():
            return None
        content = read_bytes(path)
        if len(content.split(b"\n", 1)[0].split()) < 2:
            return spots.SPOTS_TO_INDEX.parse(content, path).integers("spot_id")
        return _GUIDED_SEEDS.parse(content, path).columns.T.astype(np.int64)

    @cached_property
    def grains(self) -> Table:
        return read_grains(self.layer.grains) if self._given.grains is None else self._given.grains

    @cached_property
    def spot_matrix(self) -> Table:
        given = self._given.spot_matrix
        return SPOT_MATRIX.read(self.layer.spot_matrix) if given is None else given

    @cached_property
    def grain_ids_key(self) -> GrainIdsKey | None:
        if self._given.grain_ids_key is not None:
            return self._given.grain_ids_key
        return read_grain_ids_key(self.layer.grain_ids_key) if self.layer.grain_ids_key.exists() else None

    @cached_property
    def spot_owners(self) -> Table | None:
        return self._table(self._given.spot_owners, SPOT_OWNERS, self.layer.spot_owners)

    @cached_property
    def spots_measured(self) -> Table | None:
        return self._table(self._given.spots_measured, SPOTS_MEASURED, self.layer.spots_measured)

    @cached_property
    def grain_quality(self) -> Table | None:
        return self._table(self._given.grain_quality, GRAIN_QUALITY, self.layer.grain_quality)

    @property
    def sigmas(self) -> GrainSigmas | None:
        """With their covariances, which no file holds."""
        return self._given.sigmas

    @cached_property
    def sigma_table(self) -> Table | None:
        """The columns of ``GrainsSigma.csv``."""
        if self.sigmas is not None:
            return self.sigmas.table
        return read_sigma(self.layer.grains_sigma) if self.layer.grains_sigma.exists() else None

    @cached_property
    def seed_verdicts(self) -> Table | None:
        if self._given.seed_verdicts is not None:
            return self._given.seed_verdicts
        return read_verdicts(self.layer.seed_verdicts) if self.layer.seed_verdicts.exists() else None


def _peaks_in(path: Path) -> Table | None:
    """The peaks of a frame; None when there are none, which is so in most of the files."""
    content = read_bytes(path)
    header = content.find(b"\n") + 1
    return None if 0 < header == len(content) else peaks.LAYOUT.parse(content, path)


def _of_frames(tables: Mapping[int, Table]) -> Table:
    """One table of the peaks of all frames."""
    counts = [len(table) for table in tables.values()]
    columns = np.empty((len(PEAK_NAMES), sum(counts)))
    columns[0] = np.repeat(np.array(list(tables), np.float64), counts)
    at = 0
    for table, count in zip(tables.values(), counts, strict=True):
        columns[1:, at : at + count] = table.columns
        at += count
    return Table(PEAK_NAMES, columns)
