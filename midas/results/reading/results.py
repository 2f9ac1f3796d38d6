"""The results of a layer as Python sees them (docs/results.md)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from midas.experiment.orientation import symmetry_operators
from midas.formats.layer import Layer, consolidated_files
from midas.formats.paramstest import Plain
from midas.formats.run_record import RunRecord
from midas.formats.table import Table
from midas.results.columns import GRAIN_FIELDS, PEAK_DTYPE, PEAK_FIELDS, SPOT_FIELDS, Field
from midas.results.grain_list import GrainList
from midas.results.reading import dataframes, words
from midas.results.reading.arrays import Structured, at, grains_of, peaks_of, spots_of
from midas.results.reading.folder import FolderOrigin
from midas.results.reading.grain import Grain
from midas.results.reading.hdf5_file import FileOrigin
from midas.results.reading.origin import Origin
from midas.runtime.errors import FormatError, MidasError

if TYPE_CHECKING:
    from pandas import DataFrame

#: structured arrays of `Results` and their fields
_ARRAYS = {"grains": GRAIN_FIELDS, "spots": SPOT_FIELDS, "peaks": PEAK_FIELDS}
#: tables of `Results` under the names of their files
_TABLES = ("all_spots", "sigma", "quality", "owners")


def read_results(path: str | os.PathLike[str], *, archive: str | os.PathLike[str] | None = None) -> Results:
    """Open the results of a layer; each table is read when it is asked for.

    Parameters
    ----------
    path : a layer folder, a consolidated HDF5 file (of midas or of the legacy programs), or a grain list
    archive : with the frames; by default the one in the folder, or below that of the file, if there is just one

    Raises
    ------
    FormatError : it is none of these

    Examples
    --------
    >>> results = read_results("results/LayerNr_1")  # doctest: +SKIP
    >>> results.grains["radius"].mean(), results[42].spots["omega"]  # doctest: +SKIP
    """
    path = Path(path)
    archive = None if archive is None else Path(archive)
    if archive is not None and not archive.is_file():
        raise FormatError("does not exist", file=archive)
    if path.is_dir():
        return Results(_origin_of_folder(path, archive))
    if path.suffix.lower() in (".h5", ".hdf5"):
        return Results(FileOrigin(path, archive))
    return Results(FolderOrigin(path.parent, archive, path))


def _origin_of_folder(folder: Path, archive: Path | None) -> Origin:
    """The tables of a folder; where only its HDF5 file is left, those of the file."""
    if Layer(folder).grains.exists():
        return FolderOrigin(folder, archive)
    found = consolidated_files(folder)
    if found:
        return FileOrigin(found[-1], archive)
    layers = sorted(path.name for path in folder.glob("LayerNr_*") if path.is_dir())
    advice = f"; name one of its layers ({', '.join(layers)})" if layers else "; name a layer folder or a grain list"
    raise FormatError(f"has no Grains.csv{advice}", file=folder)


class Results:
    """Grains, spots and peaks of a layer.

    ``results[grain_id]`` is a `Grain`; iteration gives all of them. The arrays cannot be written to.

    Parameters
    ----------
    origin : where the tables are
    """

    def __init__(self, origin: Origin):
        self._origin = origin
        #: what `read_results` was given
        self.path: Path = origin.path
        #: the folder of the layer, or of the file
        self.folder: Path = origin.folder
        #: the files of the layer; None for a lone HDF5 file
        self.layer: Layer | None = origin.layer
        #: the ``.MIDAS.zip`` with the frames, if it is there
        self.archive: Path | None = origin.archive

    # The sample

    @property
    def space_group(self) -> int:
        """Number of the space group."""
        return self._origin.crystal[0]

    @property
    def cell(self) -> tuple[float, ...]:
        """a, b, c (Å), alpha, beta, gamma (degrees) of the unstrained crystal."""
        return self._origin.crystal[1]

    @cached_property
    def operators(self) -> NDArray[np.float64]:
        """(m, 4) quaternions of the proper rotations of the lattice, crystal frame."""
        return symmetry_operators(self.space_group, self.cell)

    @property
    def parameters(self) -> dict[str, Plain]:
        """What ``paramstest.txt`` holds: key to number, several numbers, or text; empty without it."""
        return self._origin.parameters

    @property
    def record(self) -> RunRecord | None:
        """How the results came about: program, inputs, steps, warnings; None of older results."""
        return self._origin.record

    # Tables

    @cached_property
    def grains(self) -> Structured:
        """The grains: a structured array, see `midas.results.columns.GRAIN_FIELDS`."""
        return grains_of(self._origin.grains)

    @cached_property
    def spots(self) -> Structured:
        """The spots of the grains, grain after grain: a structured array, see `midas.results.columns.SPOT_FIELDS`."""
        return spots_of(self._origin.spot_matrix, self._origin.radius, self._origin.radius_row)

    @cached_property
    def spot_starts(self) -> NDArray[np.int64]:
        """(n + 1,) the spots of the grain in row k are ``spots[spot_starts[k] : spot_starts[k + 1]]``."""
        return self._origin.spot_starts()

    @cached_property
    def peaks(self) -> Structured:
        """The peaks of the frames that were merged to spots: see `midas.results.columns.PEAK_FIELDS`.

        Empty where the layer has no merge map, as when it began with a table of spots.
        """
        links = self._origin.links
        return np.empty(0, PEAK_DTYPE) if links is None else peaks_of(links)

    def peaks_of(self, spot_id: int) -> Structured:
        """The rows of `peaks` that a spot is made of; none for a spot without a history."""
        links = self._origin.links
        if links is None:
            return self.peaks
        place = np.array([spot_id])
        return self.peaks[int(at(links.first, place, 0)[0]) : int(at(links.last, place, 0)[0])]

    @property
    def all_spots(self) -> Table | None:
        """Every spot of the layer, of a grain or not: the table that indexing and refinement read."""
        return self._origin.extra_info

    @property
    def sigma(self) -> Table | None:
        """How well the numbers of the grains are known, a row a grain; None without ``GrainsSigma.csv``."""
        return self._of_grains(self._origin.sigma, "GrainsSigma.csv")

    @property
    def covariance(self) -> NDArray[np.float64] | None:
        """(n, 12, 12) of position (µm), rotation (degrees) and strain (1e-6) of every grain; None if not known."""
        return self._origin.covariance

    @property
    def quality(self) -> Table | None:
        """How sure the grains are, a row a grain; None with ``GrainMerging legacy``."""
        return self._of_grains(self._origin.quality, "GrainQuality.csv")

    @property
    def owners(self) -> Table | None:
        """The grain of every spot; None with ``GrainMerging legacy``."""
        return self._origin.owners

    def _of_grains(self, table: Table | None, name: str) -> Table | None:
        """A table with a row a grain, if it is of these grains."""
        if table is not None and table.integers("GrainID").tolist() != self.grains["grain_id"].tolist():
            raise FormatError(f"{name} lists other grains than Grains.csv; run ff-grains again", file=self.path)
        return table

    @cached_property
    def grain_list(self) -> GrainList:
        """The grains as what can be exported, compared, matched and tracked."""
        g = self.grains
        return GrainList(
            ids=g["grain_id"],
            orientations=g["orientation"],
            positions=g["position"],
            cells=g["cell"],
            radii=g["radius"],
            completeness=g["completeness"],
            strains=g["strain"],
            space_group=self.space_group,
            cell=self.cell,
            name=str(self.path),
        )

    # For other programs

    def units(self, table: str) -> dict[str, str]:
        """Unit of each field of the array ``grains``, ``spots`` or ``peaks``; "" for a pure number.

        Examples
        --------
        >>> results.units("grains")["radius"]  # doctest: +SKIP
        'um'
        """
        return {field.name: field.unit for field in self._fields(table)}

    def to_dataframe(self, table: str = "grains") -> DataFrame:
        """A table as a data frame of pandas.

        Parameters
        ----------
        table : ``grains``, ``spots`` or ``peaks``, a column a number, with the units in ``attrs["units"]``;
            ``parameters``, a row a key; ``all_spots``, ``sigma``, ``quality`` or ``owners``, as in their files

        Raises
        ------
        MidasError : pandas is not installed, or the layer has no such table
        """
        if table == "parameters":
            return dataframes.frame_of_parameters(self.parameters)
        if table not in _TABLES:
            fields = self._fields(table)
            return dataframes.frame_of_array(getattr(self, table), fields)
        found: Table | None = getattr(self, table)
        if found is None:
            raise MidasError(f"has no table {table}", file=self.path)
        return dataframes.frame_of_table(found)

    @staticmethod
    def _fields(table: str) -> tuple[Field, ...]:
        if table not in _ARRAYS:
            raise ValueError(f"there is no table {table!r}; there are {', '.join((*_ARRAYS, 'parameters', *_TABLES))}")
        return _ARRAYS[table]

    # Grains

    @cached_property
    def _rows(self) -> dict[int, int]:
        """Row of each id, the first of equal ones."""
        ids = self.grains["grain_id"].tolist()
        return dict(zip(reversed(ids), reversed(range(len(ids))), strict=True))

    def __len__(self) -> int:
        return len(self.grains)

    def __iter__(self) -> Iterator[Grain]:
        return (Grain(self, row) for row in range(len(self)))

    def __getitem__(self, grain_id: int) -> Grain:
        if grain_id not in self._rows:
            raise KeyError(f"{self.path} has no grain {grain_id}")
        return Grain(self, self._rows[grain_id])

    def __contains__(self, grain_id: object) -> bool:
        return grain_id in self._rows

    def __repr__(self) -> str:
        cell = " ".join(f"{x:g}" for x in self.cell)
        return f"<Results of {self.path}: {len(self)} grains, space group {self.space_group}, cell {cell}>"

    def _repr_html_(self) -> str:
        return words.of_results(self)
