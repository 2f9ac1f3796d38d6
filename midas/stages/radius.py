"""Spots on rings, and their grain sizes: ``CalcRadiusAllZarr`` (docs/theory/radius.md)."""

from __future__ import annotations

import logging
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas._ext.radius import grain_sizes, sum_by_ring
from midas.experiment.rings import Rings, distances_from_beam, rings_of_merged, warn_of_absent
from midas.experiment.scan import Scan
from midas.formats import hkls as hkl_format
from midas.formats.layer import Layer
from midas.formats.merged import RESULT
from midas.formats.radius import LAYOUT
from midas.formats.table import Table
from midas.ledger.recorded import recorded
from midas.ledger.steps import RADIUS
from midas.parameters import Parameters
from midas.runtime.files import remove
from midas.runtime.parallel import SERIAL, Communicator
from midas.runtime.result import StageResult
from midas.stages.digits import digits

log = logging.getLogger(__name__)

#: Columns that a row takes over from its merged spot.
_COPIED = (
    "intensity omega_recorded y_recorded z_recorded i_max min_omega max_omega radius eta sigma_r sigma_eta pixels "
    "region_pixels raw_sum"
).split()


@recorded(RADIUS)
@digits("radius")
def run(
    layer: Layer,
    parameters: Parameters,
    *,
    threads: int,
    comm: Communicator = SERIAL,
    hkls: Table | None = None,
    merged: Table | None = None,
) -> StageResult[Table]:
    """Give each merged spot to its rings, estimate its grain's size, and write ``Radius_*.csv``.

    Parameters
    ----------
    hkls, merged : tables of the hkl list and the merged spots; read from the files when None

    Returns
    -------
    StageResult whose data is the `Table` of ``Radius_*.csv``
    """
    parameters = parameters.for_stage("radius")
    scan = Scan.of(layer, parameters)
    path = layer.radius(scan.frames)
    remove(path)
    if parameters["OmegaStep"] == 0:
        raise parameters.error("OmegaStep", "must not be 0")
    hkls = hkl_format.LAYOUT.read(layer.hkls) if hkls is None else hkls
    merged = RESULT.read(layer.merged(scan.frames)) if merged is None else merged
    rings = Rings.of(parameters, hkls)
    _report(parameters, scan, rings)
    distances = distances_from_beam(merged, parameters)
    spots, which = rings_of_merged(distances, rings)
    table = _radius_table(merged.take(spots), distances[spots], which, rings, scan, parameters)
    LAYOUT.write(path, table)
    on_rings = len(np.unique(spots))
    log.info("%d of %d merged spots on rings, %d rows: %s", on_rings, len(merged), len(table), path)
    summary = {"spots": len(table), "spots on no ring": len(merged) - on_rings}
    return StageResult("radius", summary, LAYOUT.rounded(table))


def _radius_table(
    rows: Table,
    distances: NDArray[np.float64],
    which: NDArray[np.int64],
    rings: Rings,
    scan: Scan,
    parameters: Parameters,
) -> Table:
    """``Radius_*.csv`` of merged spots that lie on the rings `which`, before rounding."""
    powder = sum_by_ring(rows["intensity"], which, len(rings.numbers)) / scan.frames
    columns: dict[str, ArrayLike] = {name: rows[name] for name in _COPIED}
    columns |= grain_sizes(
        distances,
        rows["eta"],
        rows["min_omega"],
        rows["max_omega"],
        rows["intensity"],
        powder[which],
        rings.multiplicities[which],
        parameters["Lsd"],
        parameters["OmegaStep"],
        _gauge(parameters),
        parameters["DiscModel"] == 1,
    )
    columns |= {"spot_id": np.arange(1, len(rows) + 1), "ring": rings.numbers[which], "powder_intensity": powder[which]}
    return Table.from_columns(LAYOUT.names, columns)


def _gauge(parameters: Parameters) -> float:
    """Illuminated volume in µm³; in the disc model the area in µm²."""
    if parameters["DiscModel"] == 1:
        area: float = parameters["DiscArea"]
        return area
    volume: float = parameters["Vsample"]
    if volume != 0:
        return volume
    height: float = parameters["Hbeam"]
    radius: float = parameters["Rsample"]
    return (height * math.pi) * radius * radius


def _report(parameters: Parameters, scan: Scan, rings: Rings) -> None:
    warn_of_absent(rings.absent)
    if rings.overlap:
        log.warning("ring bands of half width %g µm overlap: a spot in two of them has two rows", rings.width)
    for key in ("Wavelength", "Lsd", "Rsample", "Hbeam", "px", "DiscModel", "DiscArea", "Vsample", "OmegaStep"):
        log.info("%s: %s", key, parameters.get(key))
    log.info("Width: %f", rings.width)
    log.info("EndNr: %d", scan.frames + parameters["SkipFrame"])
    log.info("nRings: %d", len(rings.numbers))
