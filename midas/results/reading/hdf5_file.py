"""Results in a consolidated HDF5 file, ours of any version or one of the legacy programs (docs/results.md#hdf5).

Only flat tables are read, by the places of their columns: the names, and the values in the groups of the grains, are
wrong in legacy files.
"""

from __future__ import annotations

import ast
import json
import logging
import os
from contextlib import suppress
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from midas.formats import merged, peaks, radius, spots
from midas.formats.cells import fault_of, why_impossible, why_no_group
from midas.formats.grains import CELL, GRAINS, ORIENTATION, SPOT_MATRIX
from midas.formats.hdf5 import FAILURES
from midas.formats.hdf5_links import attribute, check_inside, children, has_link, item_at, opened
from midas.formats.hdf5_values import text_of, touch, values
from midas.formats.layer import Layer
from midas.formats.paramstest import Plain
from midas.formats.resolved import GRAIN_QUALITY, SPOT_OWNERS
from midas.formats.run_record import Input, RunRecord, read_run_record
from midas.formats.table import LARGEST, Layout, Table, fixed, integer
from midas.formats.uncertainty import NUMBERS, SIGMA_NAMES
from midas.results.consolidated.layer_file import RADIUS
from midas.results.reading.origin import Origin
from midas.results.tables.sources import PEAK_NAMES
from midas.runtime.apart import apart
from midas.runtime.errors import FormatError, one_line, shown
from midas.runtime.part_files import is_path
from midas.runtime.ragged import offsets_of

log = logging.getLogger(__name__)

#: what h5py raises for a file or a dataset that is damaged
_DAMAGED = (*FAILURES, SyntaxError, MemoryError)

_OF_PEAKS = peaks.LAYOUT.columns[1:]
_ANY = tuple(column.name for column in _OF_PEAKS)
#: ``constituent_peaks``: the merge map and the rows of the peak tables, NaN where these have none
_CONSTITUENTS = Layout("", (*merged.MERGE_MAP.columns, integer("peak_row"), *_OF_PEAKS), free=("peak_row", *_ANY))
_PER_FRAME = Layout("", (integer("frame"), *peaks.LAYOUT.columns), free=_ANY)
_SIGMAS = Layout("", fixed(" ".join(SIGMA_NAMES)), free=SIGMA_NAMES)


#: datasets, and groups of them, that are read
_PLACES = (
    "grains/summary", "grains/sigma", "grains/covariance", "parameters", "spot_matrix/data", "radius_data",
    "id_rings/data", "all_spots/data", "peaks/summary/data", "merge_map", "constituent_peaks/data",
    "peaks/per_frame/data", "resolve/grain_quality/data", "resolve/spot_owners/data", "raw_data_ref",
)  # fmt: skip
#: where the file names its archive
_ARCHIVE = "raw_data_ref/zarr_path"
#: members of a group that are looked at before they are read
_MOST = 1000


class FileOrigin(Origin):
    """The tables of a consolidated HDF5 file, which is open only while one is read.

    Parameters
    ----------
    path : of the file
    archive : with its frames; by default the one that the file names, where it lies below the folder of the file
    """

    def __init__(self, path: Path, archive: Path | None = None):
        super().__init__(path, path.parent)
        self._given = archive
        if "grains/summary" not in self:
            raise FormatError("holds no grains/summary; it is no consolidated file of a layer", file=path)

    @cached_property
    def archive(self) -> Path | None:  # type: ignore[override]
        if self._given is not None:
            return self._given
        found: Path | None = self._read(_ARCHIVE, self._named_archive)
        return found

    def _named_archive(self, node: Any) -> Path | None:
        """The archive that the file names: beside the file, with which it may have been moved, or below its folder.

        A stranger may have named what lies elsewhere: it is not even looked for.
        """
        named = text_of(node)
        if not named or not is_path(named):
            return None
        folder = Path(os.path.abspath(self.folder))
        places = [folder / Path(named).name, Path(os.path.normpath(folder / named))]
        path = next((place for place in places if place.is_relative_to(folder) and place.is_file()), None)
        if path is None and places[-1].is_relative_to(folder):
            return None
        if path is not None:
            with suppress(FormatError):  # a link that leads elsewhere
                check_inside(path, self.path, _ARCHIVE)
                return path
        reason = "is not below the folder of this file and not read"
        advice = "name it with read_results(..., archive=...) or -archive of ff-report"
        log.info("%s: the archive %s %s; %s", self.path, shown(places[-1]), reason, advice)
        return None

    def __contains__(self, name: str) -> bool:
        return self._read(name, lambda node: True) is not None

    def _read(self, name: str, what: Any) -> Any:
        """``what(dataset or group)``; None where the file has none of this name."""
        self._rehearsed  # noqa: B018 - the library comes to an end with this file
        with opened(self.path) as file:
            try:
                node = item_at(file, name)
                if node is None and has_link(file, name):
                    raise KeyError("leads to nothing")
                return None if node is None else what(node)
            except FormatError:
                raise
            except _DAMAGED as error:
                raise FormatError(f"cannot be read ({one_line(error)})", file=self.path, key=name) from None

    @cached_property
    def _rehearsed(self) -> bool:
        """That the HDF5 library finds all that is read here; it is tried in a process of its own.

        Raises
        ------
        FormatError : the library crashes or does not come to an end.
        """
        return apart(partial(_rehearsal, self.path), self.path)

    def _numbers(self, name: str) -> NDArray[np.float64] | None:
        def numbers(node: Any) -> NDArray[np.float64]:
            if not isinstance(node, h5py.Dataset):
                raise TypeError("is a group where numbers belong")
            return np.asarray(values(node), np.float64)

        found: NDArray[np.float64] | None = self._read(name, numbers)
        return found

    def _table(self, name: str, layout: Layout, fewest: int | None = None) -> Table | None:
        """A table of rows; columns that older files lack are 0, those beyond the layout's do not matter."""
        rows = self._numbers(name)
        if rows is None:
            return None
        least = len(layout.columns) if fewest is None else fewest
        if rows.ndim != 2 or rows.shape[1] < least:
            shape = " x ".join(map(str, rows.shape))
            raise FormatError(f"must be rows of {least} columns", file=self.path, key=name, value=f"({shape})")
        columns = np.zeros((len(layout.columns), len(rows)))
        width = min(len(columns), rows.shape[1])
        columns[:width] = rows[:, :width].T
        return self._sound(Table(layout.names, columns), layout, name)

    def _sound(self, table: Table, layout: Layout, name: str) -> Table:
        """The table, if the numbers that count are numbers to count with."""
        for column in layout.names:
            if column not in layout.free and not (np.abs(table[column]) < LARGEST).all():
                reason = f"{column} must be finite numbers below {LARGEST:.0e}"
                raise FormatError(reason, file=self.path, key=name)
        return table

    def _columns(self, group: str, labels: list[str], layout: Layout, fewest: int) -> Table | None:
        """A table whose columns are datasets of their own."""
        if group not in self:
            return None
        found = [self._numbers(f"{group}/{label}") for label in labels]
        present = [column for column in found if column is not None]
        if any(column is None for column in found[:fewest]) or len({c.shape for c in present}) != 1:
            reason = f"must hold {fewest} columns of the same length, {labels[0]} ... {labels[fewest - 1]}"
            raise FormatError(reason, file=self.path, key=group)
        if present[0].ndim != 1:
            raise FormatError("must hold columns of numbers", file=self.path, key=group)
        empty = np.zeros(len(present[0]))
        columns = np.stack([empty if column is None else column for column in found])
        return self._sound(Table(layout.names, columns), layout, group)

    @cached_property
    def grains(self) -> Table:
        table = self._table("grains/summary", GRAINS)
        if table is None:
            raise FormatError("holds no grains/summary", file=self.path)
        if fault := fault_of(table.numbers(ORIENTATION), table.numbers(CELL)):
            key = f"grains/summary, row {fault.row}, {fault.key}"
            raise FormatError(fault.reason, file=self.path, key=key, value=fault.value)
        return table

    @cached_property
    def crystal(self) -> tuple[int, tuple[float, ...]]:
        space_group, cell = self.told_crystal
        if space_group is None or cell is None:
            raise FormatError("has no SpaceGroup and LatticeParameter", file=self.path, key="parameters")
        return space_group, cell

    @cached_property
    def told_crystal(self) -> tuple[int | None, tuple[float, ...] | None]:
        """Space group and unstrained cell, None where the file does not tell them.

        Raises
        ------
        FormatError : they cannot be
        """
        found = []
        for name, size in (("SpaceGroup", 1), ("LatticeParameter", 6)):
            numbers = self._numbers(f"parameters/{name}")
            if numbers is not None and numbers.size != size:
                reason = f"must hold {size} numbers, not {numbers.size}"
                raise FormatError(reason, file=self.path, key=f"parameters/{name}")
            found.append(None if numbers is None else tuple(numbers.ravel().tolist()))
        group, cell = found
        for name, value, reason in (
            ("SpaceGroup", group, "" if group is None else why_no_group(group[0])),
            ("LatticeParameter", cell, "" if cell is None else why_impossible(cell)),
        ):
            if reason and value is not None:
                shown = " ".join(f"{x:g}" for x in value)
                raise FormatError(reason, file=self.path, key=f"parameters/{name}", value=shown)
        return None if group is None else int(group[0]), cell

    @cached_property
    def parameters(self) -> dict[str, Plain]:
        return self._read("parameters", _plain_values) or {}

    @cached_property
    def spot_matrix(self) -> Table:
        table = self._table("spot_matrix/data", SPOT_MATRIX)
        if table is None:
            raise FormatError("holds no spot_matrix/data", file=self.path)
        return table

    def spot_starts(self) -> NDArray[np.int64]:
        ids, owners = self.grains.integers("GrainID"), self.spot_matrix.integers("GrainID")
        unique, counts = np.unique(owners, return_counts=True)
        of_id = dict(zip(unique.tolist(), counts.tolist(), strict=True))
        lengths = [of_id.get(i, 0) for i in ids.tolist()]
        if len(np.unique(ids)) != len(ids):
            lengths = self._counted_spots(ids)
        starts = offsets_of(lengths)
        if starts[-1] != len(owners) or (np.repeat(ids, lengths) != owners).any():
            raise FormatError("does not list the spots of grains/summary", file=self.path, key="spot_matrix/data")
        return starts

    def _counted_spots(self, ids: NDArray[np.int64]) -> list[int]:
        """Spots of each grain where several have the same id (tracking), as their groups count them."""
        seen: dict[int, int] = {}
        counts = []
        for i in ids.tolist():
            seen[i] = seen.get(i, 0) + 1
            name = f"grain_{i:04d}" if seen[i] == 1 else f"grain_{i:04d}_{seen[i]}"
            count = self._numbers(f"grains/{name}/spots/n_spots")
            if count is None:
                raise FormatError("is missing", file=self.path, key=f"grains/{name}/spots/n_spots")
            counts.append(int(count))
        return counts

    @cached_property
    def radius(self) -> Table | None:
        return self._columns("radius_data", RADIUS, radius.LAYOUT, 21)

    @cached_property
    def id_rings(self) -> Table | None:
        return self._table("id_rings/data", spots.ID_RINGS)

    @cached_property
    def extra_info(self) -> Table | None:
        return self._table("all_spots/data", spots.EXTRA_INFO, 14)

    @cached_property
    def merged(self) -> Table | None:
        return self._table("peaks/summary/data", merged.RESULT, 14)

    @cached_property
    def merge_map(self) -> Table | None:
        return self._columns("merge_map", ["MergedSpotID", "FrameNr", "PeakID"], merged.MERGE_MAP, 3)

    @cached_property
    def peaks(self) -> Table | None:
        """Those of the merge map, which are in the file even where the tables of the frames are not."""
        table = self._table("constituent_peaks/data", _CONSTITUENTS, len(_CONSTITUENTS.columns) - 1)
        if table is None:
            return self._table("peaks/per_frame/data", _PER_FRAME, len(PEAK_NAMES) - 1)
        known = ~np.isnan(table["peak_row"])
        return Table(PEAK_NAMES, np.concatenate([table.columns[1:2], table.columns[3:]])[:, known])

    @cached_property
    def sigma(self) -> Table | None:
        found = self._table("grains/sigma", _SIGMAS)
        if found is None:
            return None
        if len(found) != len(self.grains):
            raise FormatError("must hold a row for each grain", file=self.path, key="grains/sigma")
        return Table(("GrainID", *SIGMA_NAMES), np.vstack([self.grains["GrainID"], found.columns]))

    @cached_property
    def covariance(self) -> NDArray[np.float64] | None:
        found, n = self._numbers("grains/covariance"), len(NUMBERS)
        if found is not None and found.shape != (len(self.grains), n, n):
            raise FormatError(f"must be {n} x {n} for each grain", file=self.path, key="grains/covariance")
        return found

    @cached_property
    def quality(self) -> Table | None:
        return self._table("resolve/grain_quality/data", GRAIN_QUALITY)

    @cached_property
    def record(self) -> RunRecord | None:
        """What the attributes of the file say; of the layer in which it stands the whole record, if of the same run."""
        named: RunRecord | None = self._read("/", _record_of)
        beside = read_run_record(self.folder) if Layer(self.folder).grains.exists() else None
        return beside if beside is not None and (named is None or beside.date == named.date) else named

    @cached_property
    def owners(self) -> Table | None:
        return self._table("resolve/spot_owners/data", SPOT_OWNERS)


def _plain_values(group: Any) -> dict[str, Plain]:
    """The datasets of the group, and its attributes: what is neither numbers nor one text."""
    found: dict[str, Plain] = {}
    for name, dataset in children(group):
        if not isinstance(dataset, h5py.Dataset):
            raise TypeError(f"{group.name.lstrip('/')}/{name} is a group where values belong")
        value = values(dataset)
        if value.dtype.kind == "S":
            found[name] = value.ravel()[0].decode("utf-8", "replace")
        else:
            numbers = value.astype(np.float64).ravel().tolist()
            found[name] = numbers[0] if value.ndim == 0 else tuple(numbers)
    for name in group.attrs:
        if name != "column_names":
            found[name] = _values_in(attribute(group, name), name)
    return found


def _values_in(text: str, name: str) -> Plain:
    """The values that an attribute tells, which is written as Python writes a tuple."""
    try:
        return tuple(ast.literal_eval(text))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise ValueError(f"attribute {name} tells no values: {shown(text)!r}") from None


def _rehearsal(path: Path) -> bool:
    """Find and describe all that is read, and read what HDF5 keeps in heaps: texts and attributes."""
    with opened(path) as file:
        _record_of(file)
        for name in _PLACES:
            item = item_at(file, name)
            datasets = [item] if isinstance(item, h5py.Dataset) else []
            if isinstance(item, h5py.Group):
                datasets = [one for _, one in islice(children(item), _MOST) if isinstance(one, h5py.Dataset)]
                for attribute_name in item.attrs:
                    attribute(item, attribute_name)
            for dataset in datasets:
                touch(dataset)
    return True


def _record_of(root: Any) -> RunRecord | None:
    """The run that the attributes of a file describe: without steps and warnings, which are in no file."""
    names = ("program", "version", "date", "command_line", "parameter_hash")
    program, version, date, command_line, parameter_hash = (attribute(root, name) for name in names)
    if not program:
        return None
    inputs = tuple(Input(**item) for item in json.loads(attribute(root, "inputs") or "[]"))
    return RunRecord(program, version, date, command_line, parameter_hash, inputs)
