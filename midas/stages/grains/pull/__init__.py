"""Spots measured on the frames, in boxes around the predictions of accepted grains: ``ff-pull``.

See docs/theory/measured_spots.md.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import numpy as np

from midas.archive import Archive
from midas.experiment.angles import wrapped
from midas.experiment.crystals import Crystals
from midas.formats import hkls as hkls_format
from midas.formats.grains import CELL, GRAINS, ORIENTATION, POSITION, SPOT_MATRIX, read_grains
from midas.formats.layer import Layer
from midas.formats.measured import SPOTS_MEASURED
from midas.formats.resolved import GRAIN_QUALITY
from midas.formats.spots import EXTRA_INFO
from midas.formats.table import Table
from midas.ledger.recorded import recorded
from midas.ledger.steps import PULL
from midas.parameters import Parameters
from midas.runtime.errors import FormatError, StageError
from midas.runtime.files import remove, write_together
from midas.runtime.parallel import SERIAL, Communicator
from midas.runtime.result import StageResult
from midas.stages.digits import digits
from midas.stages.grains.pull.instrument import PullSetting, setting
from midas.stages.grains.pull.rounds import HIGHEST_CHANCE, RANDOM_ORIENTATIONS, Rounds, measure_and_refine
from midas.stages.grains.pull.same_scan import check_places
from midas.stages.grains.pull.tables import connected_spots, grains_table, measured_table, quality_table
from midas.stages.grains.tables import header, remove_consolidated

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PullTables:
    """What the measurement leaves: ``Grains.csv``, ``SpotsMeasured.csv`` and, if it was there, ``GrainQuality.csv``."""

    grains: Table
    spots: Table
    quality: Table | None


@recorded(PULL)
@digits("pull")
def run(
    layer: Layer,
    parameters: Parameters,
    *,
    threads: int,
    comm: Communicator = SERIAL,
    grains: Table | None = None,
    spot_matrix: Table | None = None,
    extra_info: Table | None = None,
    quality: Table | None = None,
    hkls: Table | None = None,
) -> StageResult[PullTables]:
    """Measure the spots of the grains of ``Grains.csv``, refine them on these, and write both.

    Parameters
    ----------
    parameters : of the archive
    grains, spot_matrix, extra_info, quality, hkls : inputs in memory, else read from the layer's files

    Returns
    -------
    StageResult whose data is `PullTables`
    """
    if comm.rank:  # the frames are read on one machine
        return comm.broadcast(None)
    begin = time.perf_counter()
    before = _before(layer, grains, spot_matrix, extra_info, quality)
    hkls = hkls_format.LAYOUT.read(layer.hkls) if hkls is None else hkls
    if layer.archive is None:
        raise StageError("has no archive; spots are measured on its frames", file=layer.folder)
    own = parameters.for_stage("pull")
    of_setup = Parameters.read(layer.paramstest, "paramstest")
    with Archive(layer.archive) as archive:
        common = setting(layer, archive, own, of_setup.for_stage("pull"), hkls)
        _check(layer, common, before.extra_info)
        rows = np.unique(before.spot_matrix.integers("SpotID")) - 1
        check_places(layer, common.reader, before.extra_info.take(rows), common.saturation)
        found = measure_and_refine(layer, common, of_setup, hkls, crystals_of(before.grains), threads)
    _check_kept(layer, found, before)
    _report(found)
    data = _tables(own, common, found, before, threads)
    _write(layer, parameters, data)
    log.info("Time elapsed: %f s.", time.perf_counter() - begin)
    summary = {"grains": len(before.grains), "refined": int(found.refit.refined.sum()), "spots": len(data.spots)}
    quality = None if data.quality is None else GRAIN_QUALITY.rounded(data.quality)
    rounded = PullTables(GRAINS.rounded(data.grains), SPOTS_MEASURED.rounded(data.spots), quality)
    return comm.broadcast(StageResult("pull", summary, rounded))


@dataclass(frozen=True)
class _Before:
    """The tables of a layer before its spots were measured."""

    grains: Table
    spot_matrix: Table
    extra_info: Table
    quality: Table | None


def _before(
    layer: Layer, grains: Table | None, spot_matrix: Table | None, extra_info: Table | None, quality: Table | None
) -> _Before:
    """The tables that are given, and the others from their files, checked."""
    grains = read_grains(layer.grains, through="Eul2") if grains is None else grains
    if spot_matrix is None:
        spot_matrix = SPOT_MATRIX.read(layer.spot_matrix)
        if len(grains) and not len(spot_matrix):
            raise FormatError("lists no spot of any grain; run ff-grains again", file=layer.spot_matrix)
    extra_info = EXTRA_INFO.read(layer.extra_info) if extra_info is None else extra_info
    if quality is None and layer.grain_quality.exists():
        quality = GRAIN_QUALITY.read(layer.grain_quality)
    _check_peaks(layer, spot_matrix, extra_info)
    return _Before(grains, spot_matrix, extra_info, quality)


def _tables(own: Parameters, common: PullSetting, found: Rounds, before: _Before, threads: int) -> PullTables:
    """What is written, before rounding."""
    ids, measured = before.grains.integers("GrainID"), found.measured
    connected = connected_spots(measured, ids, before.spot_matrix, before.extra_info)
    geometry = own.changed(Lsd=common.detector.lsd)
    return PullTables(
        grains_table(before.grains, common, geometry, measured, found.refit, threads),
        measured_table(common, measured, ids, connected),
        None if before.quality is None else quality_table(before.quality, common, measured, ids),
    )


def crystals_of(grains: Table) -> Crystals:
    """The crystals of a grain list."""
    columns = (np.stack([grains[name] for name in names], axis=1) for names in (ORIENTATION, POSITION, CELL))
    u, position, cell = map(np.ascontiguousarray, columns)
    return Crystals(u.reshape(-1, 3, 3), position, cell)


def _check_peaks(layer: Layer, spot_matrix: Table, spots: Table) -> None:
    """The peaks of the grains are in the spot table."""
    ids = spot_matrix.integers("SpotID")
    if (bad := np.flatnonzero((ids < 1) | (ids > len(spots)))).size:
        reason = f"is no spot of {layer.extra_info.name} (1 ... {len(spots)}); run ff-grains again"
        line = int(bad[0]) + 2
        raise FormatError(reason, file=layer.spot_matrix, line=line, key="SpotID", value=f"{ids[bad[0]]}")


def _check(layer: Layer, common: PullSetting, spots: Table) -> None:
    """The frames are those that the spots were found on."""
    reader = common.reader
    known = spots["ring"] > 0
    side = len(reader.numbers)
    inside = np.ones(len(spots), bool)
    for name in ("y_recorded", "z_recorded"):
        inside &= (spots[name] > -1) & (spots[name] < side)
    if (outside := known & ~inside).any():
        spot = int(np.argmax(outside)) + 1
        reason = f"has frames of {side} pixels, beside which spot {spot} of {layer.extra_info.name} lies"
        raise StageError(f"{reason}; it is another scan", file=layer.archive)
    turns = np.sort(np.concatenate([reader.omegas + turn for turn in (-360.0, 0.0, 360.0)]))
    omega = wrapped(spots["omega_recorded"][known])
    nearest = np.clip(np.searchsorted(turns, omega), 1, len(turns) - 1)
    distance = np.minimum(abs(turns[nearest] - omega), abs(turns[nearest - 1] - omega))
    if len(distance) and distance.max() > max(2 * reader.step, common.widths.omega):
        spot = int(np.flatnonzero(known)[np.argmax(distance)]) + 1
        reason = f"has no frame near omega {omega[np.argmax(distance)]:.3f} of spot {spot} of {layer.extra_info.name}"
        raise StageError(f"{reason}; it is another scan", file=layer.archive)


def _check_kept(layer: Layer, found: Rounds, before: _Before) -> None:
    """The boxes in which the grains have a peak hold it."""
    ids = before.grains.integers("GrainID")
    peaks = connected_spots(found.first, ids, before.spot_matrix, before.extra_info) > 0
    lost = int((peaks & ~found.first.valid).sum())
    if lost > peaks.sum() / 2:
        reason = f"holds nothing in {lost} of {peaks.sum()} boxes in which the grains have a peak"
        raise StageError(f"{reason}; it is another scan, or PullBox is wrong", file=layer.archive)


def _report(found: Rounds) -> None:
    """What was reached, and whether it means anything."""
    if np.isnan(found.chance):
        log.info("Chance level: unknown, no box of %d random orientations lies in the frames", RANDOM_ORIENTATIONS)
    else:
        message = "Chance level: %.3f of the boxes of %d random orientations hold a spot"
        log.info(message, found.chance, RANDOM_ORIENTATIONS)
    if found.chance > HIGHEST_CHANCE:
        log.warning(
            "%.0f %% of the boxes around random orientations hold a spot, too: measured spots are no evidence of a "
            "grain; make PullBox smaller, or leave MeasureSpots 0",
            100 * found.chance,
        )
    left = np.flatnonzero(~found.refit.refined)
    if len(left):
        log.warning(
            "%d grains have too few measured spots and keep their solution (first: grain %d of the list)",
            len(left),
            left[0] + 1,
        )


def _write(layer: Layer, parameters: Parameters, data: PullTables) -> None:
    """All files or none; ``Grains.csv`` gets its name last."""
    contents = {} if data.quality is None else {layer.grain_quality: GRAIN_QUALITY.format(data.quality)}
    first_lines = header(data.grains, parameters.for_stage("grains")).text()
    contents |= {
        layer.spots_measured: SPOTS_MEASURED.format(data.spots),
        layer.grains: GRAINS.format(data.grains, header=first_lines),
    }
    remove(layer.grains_sigma)
    write_together(contents)
    remove_consolidated(layer)
