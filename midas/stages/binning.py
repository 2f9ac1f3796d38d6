"""Binning: the spot tables as binary matrices, and the look-up table of the legacy indexer (docs/theory/binning.md)."""

from __future__ import annotations

import logging
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from midas._ext.binning import bin_count, fill_bins, spot_windows
from midas.formats.binary import write_records
from midas.formats.bins import RECORD, ROW, bin_writer
from midas.formats.layer import Layer
from midas.formats.spots import (
    EXTRA_INFO,
    EXTRA_INFO_BINARY,
    INPUT_ALL,
    SPOTS_BINARY,
    SpotTables,
    check_spots,
    read_spots,
)
from midas.formats.table import Table
from midas.ledger.recorded import recorded
from midas.ledger.steps import BINNING
from midas.parameters import Parameters
from midas.runtime.errors import FormatError, StageError
from midas.runtime.files import remove
from midas.runtime.parallel import SERIAL, Communicator
from midas.runtime.result import StageResult
from midas.runtime.room import need_disk
from midas.stages.digits import digits

log = logging.getLogger(__name__)

#: the tables of Spots.bin and ExtraInfo.bin
BinaryTables: TypeAlias = tuple[Table, Table]

#: bins made at a time: 8 bytes each
_PART = 1 << 21

#: first ring number that the legacy programs cannot hold
_RING_LIMIT = 500


@recorded(BINNING)
@digits("binning")
def run(
    layer: Layer,
    parameters: Parameters,
    *,
    threads: int,
    comm: Communicator = SERIAL,
    spots: SpotTables | tuple[Table, Table] | None = None,
) -> StageResult[BinaryTables]:
    """Write Spots.bin and ExtraInfo.bin, and Data.bin and nData.bin unless ``WriteLegacyBins 0`` or ``NoSaveAll 1``.

    Parameters
    ----------
    parameters : of paramstest.txt
    spots : the spot tables, or (InputAll, ExtraInfo); read from their files when None

    Returns
    -------
    StageResult
        data: the table of Spots.bin and that of ExtraInfo.bin
    """
    if comm.connected and comm.size > 1:
        return comm.broadcast(_run(layer, parameters, threads, spots) if comm.rank == 0 else None)
    return _run(layer, parameters, threads, spots)


def _run(
    layer: Layer, parameters: Parameters, threads: int, tables: SpotTables | tuple[Table, Table] | None
) -> StageResult[BinaryTables]:
    parameters = parameters.for_stage("binning")
    remove(layer.bin_counts, layer.bins)
    input_all, extra_info = _spot_tables(layer, tables)
    radii = _ring_radii(parameters)
    rings = input_all.integers("ring")
    radius = np.where((rings >= 0) & (rings < len(radii)), radii[np.clip(rings, 0, len(radii) - 1)], 0.0)
    y, z = input_all["y_ideal"], input_all["z_ideal"]
    columns = np.vstack([input_all.columns, np.sqrt(y * y + z * z) - radius])
    spots = Table(SPOTS_BINARY, columns)
    width = len(SPOTS_BINARY) + len(EXTRA_INFO_BINARY)
    extra = extra_info.select(EXTRA_INFO_BINARY)
    summary = {"spots": len(spots)}
    _warn_of_unlisted(rings, radius)
    legacy_bins = parameters["WriteLegacyBins"] and not parameters["NoSaveAll"]
    size = 8 * width * len(spots)
    if legacy_bins:
        windows = _windows(spots, radius, parameters, threads)
        size += _bytes_of_bins(parameters, np.where(radius != 0, rings, 0), windows)
    need_disk(layer.folder, size, "binning (see WriteLegacyBins)" if legacy_bins else "binning")
    write_records(layer.spots_binary, spots.columns.T, "<f8")
    write_records(layer.extra_info_binary, extra.columns.T, "<f8")
    if legacy_bins:
        summary["bin entries"] = _write_bins(layer, parameters, np.where(radius != 0, rings, 0), windows, threads)
    log.info("Spots: %d%s", len(spots), f", entries of bins: {summary['bin entries']}" if legacy_bins else "")
    return StageResult("binning", summary, (spots, extra))


def _spot_tables(layer: Layer, tables: SpotTables | tuple[Table, Table] | None) -> tuple[Table, Table]:
    if isinstance(tables, SpotTables):
        tables = (tables.input_all, tables.extra_info)
    if tables is None:
        tables = read_spots(layer.input_all, INPUT_ALL), read_spots(layer.extra_info, EXTRA_INFO)
    else:
        for table, path in zip(tables, (layer.input_all, layer.extra_info), strict=True):
            check_spots(table, path)
    if len(tables[0]) != len(tables[1]):
        reason = f"has {len(tables[1])} spots where {layer.input_all.name} has {len(tables[0])}"
        raise FormatError(reason, file=layer.extra_info)
    return tables


def _ring_radii(parameters: Parameters) -> NDArray[np.float64]:
    """Ideal radius by ring number; 0 for a ring that is not in use."""
    rings, radii = parameters["RingNumbers"], parameters["RingRadii"]
    if not rings:
        raise parameters.error("RingNumbers", "is missing; list the rings in use")
    if len(rings) != len(radii):
        raise parameters.error("RingRadii", f"must be one per RingNumbers: {len(rings)}, not {len(radii)}")
    if not all(1 <= ring < _RING_LIMIT for ring in rings):
        raise parameters.error("RingNumbers", f"must lie in 1 ... {_RING_LIMIT - 1}")
    if not all(radius > 0 for radius in radii):
        raise parameters.error("RingRadii", "must be greater than 0")
    table = np.zeros(max(rings) + 1)
    table[list(rings)] = radii
    return table


def _warn_of_unlisted(rings: NDArray[np.int64], radius: NDArray[np.float64]) -> None:
    unlisted = (rings != 0) & (radius == 0)
    if unlisted.any():
        numbers = " ".join(map(str, np.unique(rings[unlisted])))
        log.warning("%d spots are on rings without RingRadii (%s); no bin holds them", unlisted.sum(), numbers)


def _windows(spots: Table, radius: NDArray[np.float64], parameters: Parameters, threads: int) -> NDArray[np.void]:
    """The bins of each spot, once it is certain that their table can be written."""
    for name in ("EtaBinSize", "OmeBinSize"):
        _, divides = bin_count(parameters[name])
        if not divides:
            log.warning("%s %g does not divide 360: the last bin is smaller", name, parameters[name])
    eta_bins, omega_bins = _shape(parameters)
    if eta_bins * omega_bins > np.iinfo(np.int32).max:
        raise parameters.error("OmeBinSize", f"is too small: {eta_bins} x {omega_bins} bins per ring")
    windows = spot_windows(
        spots["eta"],
        spots["omega_ideal"],
        radius,
        parameters["MarginEta"],
        parameters["MarginOme"],
        parameters["StepSizeOrient"],
        parameters["EtaBinSize"],
        parameters["OmeBinSize"],
        threads,
    )
    entries = int((windows["eta_count"].astype(np.int64) * windows["omega_count"]).sum())
    if entries > np.iinfo(np.int32).max:
        raise StageError(
            f"the bins would hold {entries} entries, more than their files can count; "
            "take larger bins or smaller margins, or set WriteLegacyBins 0",
            file=parameters.source or None,
        )
    return windows


def _shape(parameters: Parameters) -> tuple[int, int]:
    return bin_count(parameters["EtaBinSize"])[0], bin_count(parameters["OmeBinSize"])[0]


def _bytes_of_bins(parameters: Parameters, rings: NDArray[np.int64], windows: NDArray[np.void]) -> int:
    """What Data.bin and nData.bin take at least: the first ring with entries begins with a hole, and does not count."""
    eta_bins, omega_bins = _shape(parameters)
    entries = np.where(rings > 0, windows["eta_count"].astype(np.int64) * windows["omega_count"], 0)
    if not entries.any():
        return 0
    whole = max(parameters["RingNumbers"]) - int(rings[entries > 0].min())
    size: int = int(entries.sum()) * ROW.itemsize + whole * eta_bins * omega_bins * RECORD.itemsize
    return size


def _write_bins(
    layer: Layer, parameters: Parameters, rings: NDArray[np.int64], windows: NDArray[np.void], threads: int
) -> int:
    """Both files, a part of a ring at a time; the number of entries."""
    eta_bins, omega_bins = _shape(parameters)
    part = min(max(1, _PART // omega_bins), eta_bins)
    records = np.empty((part, omega_bins), RECORD)
    with bin_writer(layer) as writer:
        for ring in range(1, max(parameters["RingNumbers"]) + 1):
            rows = np.flatnonzero(rings == ring).astype(np.int32)
            of_ring = np.ascontiguousarray(windows[rows])
            for begin in range(0, eta_bins, part):
                view = records[: min(part, eta_bins - begin)]
                entries = fill_bins(rows, of_ring, begin, eta_bins, writer.entries, view, threads)
                writer.add(view, entries)
        return writer.entries
