"""The consolidated HDF5 file: every result of a layer in one place (docs/formats.md)."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from midas._version import __version__
from midas.formats.hdf5 import FAILURES
from midas.formats.layer import Layer, consolidated_files
from midas.formats.paramstest import plain_values
from midas.formats.resolved import VERDICTS
from midas.formats.run_record import read_run_record
from midas.formats.table import Table
from midas.results.consolidated.grain_groups import PEAK_COLUMNS, write_grains
from midas.results.hdf5.writing import Group, atomic_hdf5, plain_name
from midas.results.tables.joins import SpotLinks
from midas.results.tables.sources import LayerTables, Sources
from midas.runtime import provenance
from midas.runtime.files import read_bytes
from midas.runtime.room import need_memory

log = logging.getLogger(__name__)

_ALL_SPOTS = (
    "YLab ZLab Omega GrainRadius SpotID RingNumber Eta Ttheta OmegaIni YOrig ZOrig YOrigDetCor ZOrigDetCor "
    "OmegaOrigDetCor IntegratedIntensity RawSumIntensity"
).split()
#: columns of the radius table, which are datasets of their own
RADIUS = (
    "SpotID IntegratedIntensity Omega YCen ZCen IMax MinOme MaxOme Radius Theta Eta DeltaOmega NImgs RingNr "
    "GrainVolume GrainRadius PowderIntensity SigmaR SigmaEta NrPx NrPxTot RawSumIntensity"
).split()
_MERGED = (
    "SpotID IntegratedIntensity Omega YCen ZCen IMax MinOme MaxOme SigmaR SigmaEta NrPx NrPxTot Radius Eta "
    "RawSumIntensity"
).split()
_SPOT_MATRIX = "GrainID SpotID Omega DetY DetZ OmeRaw Eta RingNr YLab ZLab Theta StrainError".split()
_HKLS = "h k l D-spacing RingNr g1 g2 g3 Theta 2Theta Radius".split()
_MERGE_MAP = ["MergedSpotID", "FrameNr", "PeakID"]
_KEY_TEXT = "One row per grain: seed SpotID and row in SpotsToIndex of each member, the best one first; padded with -1"


def write(layer: Layer, *, per_spot_groups: int = -1, tables: LayerTables | None = None) -> Path:
    """Write ``<archive>_consolidated.h5`` into the layer folder.

    Parameters
    ----------
    per_spot_groups : 0: no groups for single spots; 1 or -1: a group for every spot of every grain
    tables : tables that are in memory; the others come from the files

    Returns
    -------
    the file
    """
    path = layer.consolidated
    sources = Sources(layer, tables)
    links = SpotLinks.of(sources)
    with atomic_hdf5(path) as root:
        root.attach(**_run_attributes(layer))
        _write_parameters(root.group("parameters"), layer, sources)
        _write_spots(root, sources)
        _write_peaks(root, sources, links)
        _write_grain_tables(root, sources)
        _write_resolved(root, sources)
        write_grains(root, sources, links, per_spot_groups)
        _keep_geometry(root, path)
        root.group("raw_data_ref").put_text("zarr_path", str(layer.archive.absolute()) if layer.archive else "")
    others = sorted(p.name for p in consolidated_files(layer.folder) if p != path)
    if others:
        log.warning("%s: readers may take %s instead of %s", layer.folder, ", ".join(others), path.name)
    log.info("Consolidated results: %s", path)
    return path


def _run_attributes(layer: Layer) -> dict[str, str]:
    """How the results came about: as the record of the run says, else who has put them into one file."""
    record = read_run_record(layer.run_record)
    if record is None:
        return {
            "program": "midas",
            "version": __version__,
            "date": provenance.now(),
            "command_line": provenance.command_line(),
        }
    inputs = [asdict(item) for item in record.inputs]
    return {
        "program": record.program,
        "version": record.version,
        "date": record.date,
        "command_line": record.command_line,
        "parameter_hash": record.parameter_hash,
        "inputs": json.dumps(inputs, ensure_ascii=False),
    }


def _keep_geometry(root: Group, path: Path) -> None:
    """What ff-geometry has added to the earlier file: a run that finds other grains has removed that one."""
    if not path.is_file():
        return
    try:
        earlier = h5py.File(path, "r")
    except FAILURES:  # damaged: it is written again, since what there was of a geometry has been asked for before
        return
    with earlier:
        if "geometry" in earlier:
            root.copy_from(earlier.id, "geometry")


# Parameters


def _write_parameters(group: Group, layer: Layer, sources: Sources) -> None:
    """Every line of ``paramstest.txt`` under its key, and the rule of the grains, default or not."""
    if not layer.paramstest.exists():
        return
    values = plain_values(read_bytes(layer.paramstest).decode("utf-8", "replace"))
    values.setdefault("GrainMerging", sources.grain_merging)
    taken: set[str] = set()
    for key, value in values.items():
        name = plain_name(key)
        if name in taken:
            continue
        taken.add(name)
        if isinstance(value, str):
            group.put_text(name, value)
        elif isinstance(value, tuple) and isinstance(value[0], str):
            group.attach(**{name: str(list(value))})
        else:
            group.put(name, np.asarray(value))


# Tables


def _rows(table: Table) -> NDArray[np.float64]:
    return table.columns.T


def _write_spots(root: Group, sources: Sources) -> None:
    """The spot tables and their ids."""
    if sources.extra_info is not None:
        root.group("all_spots").put_columns("data", _rows(sources.extra_info), _ALL_SPOTS)
    if sources.radius is not None:
        group = root.group("radius_data")
        for name, column in zip(RADIUS, sources.radius.columns, strict=True):
            group.put(name, column)
        group.attach_names("column_names", RADIUS)
    if sources.hkls is not None:
        root.group("hkls").put_columns("data", _rows(sources.hkls), _HKLS)
    if sources.id_rings is not None:
        root.group("id_rings").put_columns("data", _rows(sources.id_rings), ["RingNumber", "OriginalID", "NewID"])
    if sources.ids_hash is not None:
        names = ["RingNr", "StartID", "EndID", "D-spacing"]
        root.group("ids_hash").put_columns("data", _rows(sources.ids_hash), names)
    seeds = sources.spots_to_index
    if seeds is not None:
        names = ["SpotID"] if seeds.ndim == 1 else ["SpotID", "OriginalGrainID"]
        root.group("spots_to_index").put_columns("data", seeds, names)


def _write_peaks(root: Group, sources: Sources, links: SpotLinks) -> None:
    """The peaks of all frames, the merged spots, and which peak is in which spot."""
    group = root.group("peaks")
    if sources.merged is not None:
        group.group("summary").put_columns("data", _rows(sources.merged), _MERGED)
    if sources.peaks is not None:
        group.group("per_frame").put_columns("data", _rows(sources.peaks), ["FrameNr", *PEAK_COLUMNS])
    if sources.merge_map is None:
        return
    group = root.group("merge_map")
    for name, column in zip(_MERGE_MAP, sources.merge_map.columns, strict=True):
        group.put(name, column.astype(np.int64))
    group = root.group("constituent_peaks")
    count = len(links.constituents) * (links.constituents.shape[1] + links.peaks.shape[1])
    need_memory(8.0 * count, "joining the peaks of all spots")
    rows = np.concatenate([links.constituents.astype(np.float64), links.peaks], axis=1)
    missing = int(np.isnan(links.peaks).all(axis=1).sum())
    if missing:
        log.warning("%d of %d merged peaks are not in the peak tables", missing, len(rows))
    group.put_columns("data", rows, [*_MERGE_MAP, *PEAK_COLUMNS])
    group.put("final_spot_id", links.final_spot_id)


def _write_grain_tables(root: Group, sources: Sources) -> None:
    root.group("spot_matrix").put_columns("data", _rows(sources.spot_matrix), _SPOT_MATRIX)
    if sources.grain_ids_key is not None:
        group = root.group("grain_ids_key")
        group.put("data", sources.grain_ids_key.padded(), description=_KEY_TEXT)
        group.attach(description=_KEY_TEXT)


def _write_resolved(root: Group, sources: Sources) -> None:
    """Who owns which spot, how good the grains are, what became of the seeds; not with the legacy rule."""
    tables = {
        "spot_owners": sources.spot_owners,
        "grain_quality": sources.grain_quality,
        "seed_verdicts": sources.seed_verdicts,
        "measured": sources.spots_measured,
    }
    if all(table is None for table in tables.values()):
        return
    group = root.group("resolve")
    for name, table in tables.items():
        if table is not None:
            own = group.group(name)
            own.put_columns("data", _rows(table), table.names)
            if name == "seed_verdicts":
                own.attach_names("verdicts", VERDICTS)
                own.dataset("data").attach_names("verdicts", VERDICTS)
