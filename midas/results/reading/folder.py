"""Results in a layer folder, whoever made it, with or without the archive beside them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.formats.grain_spots import spot_ranges
from midas.formats.grains import read_crystal, read_grains
from midas.formats.layer import Layer, consolidated_files
from midas.formats.paramstest import Plain, plain_values
from midas.formats.run_record import RunRecord, read_run_record
from midas.formats.table import Layout, Table, refuse_nul
from midas.results.reading.hdf5_file import FileOrigin
from midas.results.reading.origin import Origin
from midas.results.tables.sources import Sources
from midas.runtime.errors import FormatError
from midas.runtime.files import read_bytes

_ARCHIVE = "*.MIDAS.zip"
_PEAKS = re.compile(r"(.+)_\d{6,}_PS\.csv")
_FRAMES = re.compile(r"EndNr_(\d+)\.csv$")
#: stands for the archive where none is known: the tables do not need its content
_UNKNOWN = "absent.MIDAS.zip"


class FolderOrigin(Origin):
    """The tables of a layer folder.

    Parameters
    ----------
    folder : of the layer
    archive : which of several ones
    grains : the grain list, ``Grains.csv`` by default
    """

    def __init__(self, folder: Path, archive: Path | None = None, grains: Path | None = None):
        super().__init__(folder if grains is None else grains, folder)
        self.archive = _archive_in(folder, needed=grains is None) if archive is None else archive
        self.layer = Layer(folder, self.archive)
        self._grains = self.layer.grains if grains is None else grains
        named = self.archive or folder / (_name_of_archive(self.layer) or _UNKNOWN)
        self._sources = _StoredTables(Layer(folder, named))

    @cached_property
    def grains(self) -> Table:
        return read_grains(self._grains, through="Eul2")

    @cached_property
    def crystal(self) -> tuple[int, tuple[float, ...]]:
        return read_crystal(self._grains)

    @cached_property
    def parameters(self) -> dict[str, Plain]:
        path = self._sources.layer.paramstest
        if not path.exists():
            return {}
        content = read_bytes(path)
        refuse_nul(content, path)
        values = dict(plain_values(content.decode("utf-8", "replace")))
        if self.archive is not None:
            values.setdefault("GrainMerging", self._sources.grain_merging)
        return values

    @cached_property
    def spot_matrix(self) -> Table:
        return self._sources.spot_matrix

    def spot_starts(self) -> NDArray[np.int64]:
        return spot_ranges(self._sources.layer, self.grains, self.spot_matrix)

    @property
    def radius(self) -> Table | None:
        return self._sources.radius

    @property
    def id_rings(self) -> Table | None:
        return self._sources.id_rings

    @property
    def extra_info(self) -> Table | None:
        return self._sources.extra_info

    @property
    def merged(self) -> Table | None:
        return self._sources.merged

    @property
    def merge_map(self) -> Table | None:
        return self._sources.merge_map

    @property
    def peaks(self) -> Table | None:
        return self._sources.peaks

    @property
    def sigma(self) -> Table | None:
        return self._sources.sigma_table

    @property
    def quality(self) -> Table | None:
        return self._sources.grain_quality

    @property
    def owners(self) -> Table | None:
        return self._sources.spot_owners

    @cached_property
    def record(self) -> RunRecord | None:
        return read_run_record(self.folder)

    @cached_property
    def covariance(self) -> NDArray[np.float64] | None:
        """Of the consolidated HDF5 file, which alone holds it, unless that is of other grains."""
        for path in reversed(consolidated_files(self.folder)):
            beside = FileOrigin(path)
            if np.array_equal(beside.grains["GrainID"], self.grains["GrainID"]):
                return beside.covariance
        return None


class _StoredTables(Sources):
    """The tables of a layer whose archive may be elsewhere: the names of the files tell the length of the scan."""

    def _table(self, given: Table | None, layout: Layout, path: Path | Callable[[int], Path]) -> Table | None:
        if not isinstance(path, Path) and not self._lengths:
            return None
        return super()._table(given, layout, path)

    @cached_property
    def _lengths(self) -> set[int]:
        found = (_FRAMES.search(path.name) for path in self.layer.folder.glob("R*_StartNr_1_EndNr_*.csv"))
        return {int(match[1]) for match in found if match}

    @cached_property
    def _frames(self) -> int:
        if len(self._lengths) > 1:
            if self.layer.archive is not None and self.layer.archive.exists():
                return super()._frames  # the archive tells which scan is meant
            reason = f"holds tables of scans of {' and '.join(map(str, sorted(self._lengths)))} frames and no archive"
            raise FormatError(f"{reason}; remove those of the other scan", file=self.layer.folder)
        return next(iter(self._lengths), 1 << 60)


def _archive_in(folder: Path, needed: bool) -> Path | None:
    """The archive in a layer folder, if there is one and only one; of several an error, or none if it is not needed."""
    found = sorted(folder.glob(_ARCHIVE))
    if len(found) > 1:
        if not needed:
            return None
        names = ", ".join(path.name for path in found)
        raise FormatError(f"holds {names}; name one of them: read_results(folder, archive=...)", file=folder)
    return found[0] if found else None


def _name_of_archive(layer: Layer) -> str | None:
    """What the archive was called, from the names of the peak tables, where they agree."""
    if not layer.temp.is_dir():
        return None
    names = {match[1] for path in layer.temp.iterdir() if (match := _PEAKS.fullmatch(path.name))}
    return names.pop() if len(names) == 1 else None
