"""Setup: merged peaks to spots in the laboratory, and the parameters of the later stages.

See docs/theory/fit_setup.md#steps.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas._ext.fit_setup import laboratory_spots, read_out_correction
from midas._ext.numerics.ordering import argsort_tolerant
from midas._ext.physics.region import VERDICTS
from midas.experiment.crystal import within_detector
from midas.experiment.detector import DetectorGeometry
from midas.experiment.image import PaddedImage
from midas.experiment.read_out import gap_step
from midas.experiment.region import (
    ANY_BOX,
    ANY_OMEGA,
    Limits,
    accepted_region,
    detector_box,
    limited_omega,
    paired_limits,
    within_omegas,
)
from midas.experiment.rings import warn_of_absent
from midas.experiment.scan import Scan, covered_ranges, omegas_of
from midas.formats import hkls as hkls_format
from midas.formats import radius as radius_format
from midas.formats.layer import Layer
from midas.formats.paramstest import format_paramstest
from midas.formats.spots import (
    EXTRA_INFO,
    ID_RINGS,
    IDS_HASH,
    INPUT_ALL,
    SPOTS_TO_INDEX,
    SpotTables,
    write_spot_tables,
)
from midas.formats.table import Table
from midas.ledger.recorded import recorded
from midas.ledger.steps import FIT_SETUP
from midas.parameters import Parameters
from midas.runtime.errors import NothingFoundError
from midas.runtime.files import remove, write_atomic
from midas.runtime.named_paths import make_subfolder
from midas.runtime.parallel import SERIAL, Communicator
from midas.runtime.result import StageResult
from midas.stages.detector_pixels import write_detector_pixels
from midas.stages.digits import digits
from midas.stages.expected_rings import expected_rings
from midas.stages.geometry_fit import FREE, GeometryFit, fit_geometry
from midas.stages.legacy_geometry_fit import fit_legacy_geometry
from midas.stages.spot_flags import write_spot_flags

log = logging.getLogger(__name__)

ACCEPTED = VERDICTS["accepted"]

#: of the Radius file that follow a spot
_COLUMNS = ("spot_id", "intensity", "omega_recorded", "y_recorded", "z_recorded", "ring", "grain_radius", "raw_sum")


@recorded(FIT_SETUP)
@digits("fit_setup")
def run(
    layer: Layer,
    parameters: Parameters,
    *,
    threads: int,
    comm: Communicator = SERIAL,
    hkls: Table | None = None,
    radius: Table | None = None,
    more_lines: tuple[str, ...] = (),
) -> StageResult[SpotTables]:
    """Write the spot tables, the seeds and paramstest.txt of a layer.

    Parameters
    ----------
    parameters : of the archive
    hkls, radius : the tables of hkls.csv and of the Radius file; read from them when None
    more_lines : at the end of paramstest.txt

    Returns
    -------
    StageResult
        data: `SpotTables`
    """
    if comm.connected and comm.size > 1:
        found = _run(layer, parameters, threads, hkls, radius, more_lines) if comm.rank == 0 else None
        return comm.broadcast(found)
    return _run(layer, parameters, threads, hkls, radius, more_lines)


def _run(
    layer: Layer,
    parameters: Parameters,
    threads: int,
    hkls: Table | None,
    radius: Table | None,
    more_lines: tuple[str, ...],
) -> StageResult[SpotTables]:
    parameters = parameters.for_stage("fit_setup")
    remove(layer.paramstest, layer.spot_flags, layer.seed_passes)
    scan = Scan.of(layer, parameters)
    source = layer.radius(scan.frames)
    radius = radius_format.LAYOUT.read(source) if radius is None else radius
    hkls = hkls_format.LAYOUT.read(layer.hkls) if hkls is None else hkls
    rings = _rings(hkls, parameters)
    usable = _usable_peaks(radius, rings, parameters, source)
    peaks = _sorted_peaks(radius.select(_COLUMNS), usable, rings, parameters, scan.size, threads)
    detector = DetectorGeometry.from_parameters(parameters)
    if parameters["DoFit"]:
        detector = _fitted(detector, peaks, rings, parameters, threads)
    write_detector_pixels(layer, detector, np.array([ring.two_theta for ring in rings]), parameters)
    parameters = _with_limits(parameters, layer, scan, detector, rings)
    y, z, recorded_omega = (peaks[name] for name in ("y_recorded", "z_recorded", "omega_recorded"))
    wavelength, wedge = parameters["Wavelength"], (detector.wedge, detector.exact_wedge)
    spots = laboratory_spots(y, z, recorded_omega, detector.packed(), wavelength, *wedge, threads)
    omega, reasons = _verdicts(peaks, spots, detector, parameters, threads)
    seeds = _seeds(peaks, omega, reasons, parameters)
    in_use = _in_use(rings, peaks, reasons, detector, scan, parameters)
    handed_on = parameters.changed(
        Lsd=detector.lsd,
        BC=(detector.y_bc, detector.z_bc),
        ty=detector.ty,
        tz=detector.tz,
        RingNumbers=tuple(ring.number for ring in in_use),
        # A fitted distance moves the ideal rings with it.
        RingRadii=tuple(ring.radius * (detector.lsd / parameters["Lsd"]) for ring in in_use),
    )
    # First: it finds the keys that are missing.
    paramstest = format_paramstest(handed_on, layer) + os.fsencode("".join(f"{line}\n" for line in more_lines))
    tables = _write(layer, paramstest, peaks, spots, reasons, seeds, rings, threads)
    accepted = int((reasons == ACCEPTED).sum())
    summary = {"spots": len(peaks), "accepted": accepted, "rings": len(in_use), "seeds": len(seeds)}
    if saturated := write_spot_flags(layer, parameters, hkls, scan.frames, peaks):
        summary["saturated"] = saturated
    log.info("Number of spots: %d, accepted: %d, spots to index: %d", len(peaks), accepted, len(seeds))
    return StageResult("fit_setup", summary, tables)


@dataclass(frozen=True)
class _Ring:
    """A ring in use: d spacing in Å, two_theta in degrees, radius in µm."""

    number: int
    d_spacing: float
    two_theta: float
    radius: float


def _with_limits(
    parameters: Parameters, layer: Layer, scan: Scan, detector: DetectorGeometry, rings: list[_Ring]
) -> Parameters:
    """The parameters with the accepted region spelled out, as paramstest.txt hands it on.

    Where no range is given, the omegas that the scan covers; where no box is given, the area of the detector.
    """
    ranges: Limits = (ANY_OMEGA,)
    boxes: Limits = (ANY_BOX,)
    if not parameters["OmegaRange"]:
        ranges = covered_ranges(omegas_of(layer, parameters), parameters.get("OmegaStep", 0.0))
        text = ", ".join(f"{low:g} ... {high:g}" for low, high in ranges)
        log.info("No OmegaRange is given: the omegas that the scan covers are accepted: %s", text)
    if not parameters["BoxSize"]:
        image = PaddedImage(*scan.shape, parameters["ImTransOpt"])
        boxes = (detector_box(detector, image, np.array([ring.two_theta for ring in rings])),)
        log.info("No BoxSize is given: the whole detector is accepted")
    return paired_limits(parameters, ranges, boxes)


def _rings(hkls: Table, parameters: Parameters) -> list[_Ring]:
    """The rings of RingThresh up to MaxRingRad, in the order of hkls.csv."""
    wanted = [number for number, _ in parameters.rings()]
    rows = within_detector(hkls, parameters).integers("ring")
    numbers, first = np.unique(rows, return_index=True)
    rings = [
        _Ring(
            int(rows[row]),
            float(hkls["d_spacing"][row]),
            2 * float(hkls["theta"][row]),
            float(hkls["ring_radius"][row]),
        )
        for row in np.sort(first[np.isin(numbers, wanted)])
    ]
    warn_of_absent(set(wanted) - {ring.number for ring in rings})
    if not rings:
        raise parameters.error("RingThresh", "names no ring of hkls.csv within MaxRingRad")
    if parameters["OverAllRingToIndex"] not in [ring.number for ring in rings]:
        raise parameters.error("OverAllRingToIndex", "must be one of the rings of RingThresh")
    return rings


def _usable_peaks(radius: Table, rings: list[_Ring], parameters: Parameters, source: Path) -> NDArray[np.bool_]:
    """Which peaks of the Radius file `source` are on the rings in use and on at most MaxNFrames frames."""
    if not len(radius):
        reason = "no spots in the Radius file; nothing can follow"
        raise NothingFoundError(reason, nothing="no spots on the rings", file=source)
    listed: NDArray[np.bool_] = np.isin(radius.integers("ring"), [ring.number for ring in rings])
    short: NDArray[np.bool_] = radius.integers("frames") <= parameters["MaxNFrames"]
    if not listed.all():
        log.warning("%d spots on rings that are not in use are dropped", (~listed).sum())
    if not short.all():
        log.warning(
            "%d spots on more than %d frames (MaxNFrames) are dropped", (~short).sum(), parameters["MaxNFrames"]
        )
    if not (listed & short).any():
        reason = "no spots on the rings in use; nothing can follow"
        raise NothingFoundError(reason, nothing="no spots on the rings", file=source)
    return listed & short


def _sorted_peaks(
    peaks: Table,
    usable: NDArray[np.bool_],
    rings: list[_Ring],
    parameters: Parameters,
    size: int,
    threads: int,
) -> Table:
    """The usable peaks at the omega of their read-out, by ring and then omega: row r is spot r + 1."""
    omega = read_out_correction(peaks["omega_recorded"], peaks["z_recorded"], gap_step(parameters), size, threads)
    numbers = np.where(usable, peaks["ring"], 0)
    order = []
    for ring in rings:
        rows = np.flatnonzero(numbers == ring.number)
        order.append(rows[argsort_tolerant(omega[rows])])
        log.info("Number of spots on ring %d: %d", ring.number, len(rows))
    by_ring = np.concatenate(order)
    peaks = peaks.take(by_ring)
    peaks["omega_recorded"][:] = omega[by_ring]
    return peaks


def _fitted(
    detector: DetectorGeometry, peaks: Table, rings: list[_Ring], parameters: Parameters, threads: int
) -> DetectorGeometry:
    two_theta = {ring.number: ring.two_theta for ring in rings}
    of_spots = np.array([two_theta[int(number)] for number in peaks["ring"]])
    spots = (detector, peaks["y_recorded"], peaks["z_recorded"], of_spots)
    reach = {"tol_lsd": parameters["tolLsd"], "tol_bc": parameters["tolBC"], "tol_tilts": parameters["tolTilts"]}
    if parameters.legacy_digits:
        fit = fit_legacy_geometry(*spots, **reach, threads=threads)
    else:
        fit = fit_geometry(*spots, **reach)
    _tell(fit, detector)
    return fit.detector


def _tell(fit: GeometryFit, start: DetectorGeometry) -> None:
    """The fitted numbers, in the log."""
    found = fit.detector
    log.info("Fitted: Lsd %.4f, BC %.5f %.5f, ty %.6f, tz %.6f", found.lsd, found.y_bc, found.z_bc, found.ty, found.tz)
    if fit.sigma:
        log.info("Uncertainties: %s", ", ".join(f"{name} {sigma:.2g}" for name, sigma in fit.sigma.items()))
    for name in fit.on_bound:
        log.warning("%s ended on the bound that %s sets: the start or the rings are wrong", name, FREE[name])
    log.info("Mean deviation from the rings: %.3g, before %.3g", fit.deviation, fit.initial_deviation)
    log.info("RingRadii are multiplied by LsdFit/Lsd = %.9f", found.lsd / start.lsd)


def _verdicts(
    peaks: Table, spots: NDArray[np.float64], detector: DetectorGeometry, parameters: Parameters, threads: int
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """The omegas that limits are compared with (degrees, NaN without an ideal spot), and what speaks against each spot.

    Of the spots as recorded, since range and detector are facts of the instrument; of the ideal ones, which but for
    omega are the same, without a wedge or with the legacy one.
    """
    y, z, omega, eta = spots[:4]
    if limited_omega(parameters) == "omega_recorded":
        y, z, eta = spots[5:]
        omega = np.where(np.isnan(omega), np.nan, peaks["omega_recorded"])
    return omega, accepted_region(parameters, observed=True).verdicts(omega, eta, y, z, threads)


def _seeds(
    peaks: Table, omega: NDArray[np.float64], reasons: NDArray[np.uint8], parameters: Parameters
) -> NDArray[np.int64]:
    """Ids of the spots to index."""
    ring, low, high = (
        parameters[name] for name in ("OverAllRingToIndex", "MinOmeSpotIDsToIndex", "MaxOmeSpotIDsToIndex")
    )
    chosen = (reasons == ACCEPTED) & (peaks["ring"] == ring) & within_omegas(omega, low, high)
    seeds = np.flatnonzero(chosen) + 1
    *outside, without = (
        int((reasons == VERDICTS[name]).sum()) for name in ("outside eta", "outside omega", "outside box", "no omega")
    )
    log.info("Rejected by eta: %d, by omega: %d, by the box: %d, beside the wedge: %d", *outside, without)
    if not len(seeds):
        log.warning(
            "No spots to index: none of ring %d with omega %g ... %g is accepted; rejected by eta: %d, by omega: %d, "
            "by the box: %d",
            ring, low, high, *outside,
        )  # fmt: skip
    return seeds.astype(np.int64)


def _in_use(
    rings: list[_Ring],
    peaks: Table,
    reasons: NDArray[np.uint8],
    detector: DetectorGeometry,
    scan: Scan,
    parameters: Parameters,
) -> list[_Ring]:
    """The rings that count in the completeness."""
    seen = np.array([(reasons[peaks["ring"] == ring.number] == ACCEPTED).any() for ring in rings])
    numbers, two_theta = [ring.number for ring in rings], [ring.two_theta for ring in rings]
    counted = expected_rings(numbers, two_theta, seen, detector, scan.shape, parameters)
    return [ring for ring, counts in zip(rings, counted, strict=True) if counts]


def _extra_info(peaks: Table, spots: NDArray[np.float64], rejected: NDArray[np.bool_]) -> Table:
    """All columns of the ExtraInfo file, as the file holds them; rejected rows are zeros but for their id."""
    names = ("y_ideal", "z_ideal", "omega_ideal", "eta", "two_theta", "y_plane", "z_plane")
    columns = dict(zip(names, spots[:7], strict=True))
    columns |= {name: peaks[name] for name in ("grain_radius", "ring", "intensity", "raw_sum")}
    columns |= {
        "y_recorded": peaks["y_recorded"],
        "z_recorded": peaks["z_recorded"],
        "omega_recorded": peaks["omega_recorded"],
        "omega_detector": peaks["omega_recorded"],
    }
    columns["spot_id"] = ids = np.arange(1.0, len(peaks) + 1)
    table = Table.from_columns(EXTRA_INFO.names, columns)
    table.columns[:, rejected] = 0.0
    table["spot_id"][:] = ids
    return EXTRA_INFO.rounded(table)


def _ids_hash(peaks: Table, rings: list[_Ring]) -> Table:
    counts = [int((peaks["ring"] == ring.number).sum()) for ring in rings]
    ends = np.cumsum(counts) + 1
    columns: dict[str, ArrayLike] = {
        "ring": [ring.number for ring in rings],
        "first_id": ends - counts,
        "end_id": ends,
        "d_spacing": [ring.d_spacing for ring in rings],
    }
    return Table.from_columns(IDS_HASH.names, columns)


def _write(
    layer: Layer,
    paramstest: bytes,
    peaks: Table,
    spots: NDArray[np.float64],
    reasons: NDArray[np.uint8],
    seeds: NDArray[np.int64],
    rings: list[_Ring],
    threads: int,
) -> SpotTables:
    """All files of the stage, paramstest.txt last."""
    rejected = reasons != ACCEPTED
    extra_info = _extra_info(peaks, spots, rejected)
    ids = {"ring": peaks["ring"], "radius_id": peaks["spot_id"], "spot_id": extra_info["spot_id"]}
    id_rings = ID_RINGS.rounded(Table.from_columns(ID_RINGS.names, ids))
    ids_hash = _ids_hash(peaks, rings)
    make_subfolder(layer.output)
    make_subfolder(layer.results)
    ID_RINGS.write(layer.id_rings, id_rings)
    IDS_HASH.write(layer.ids_hash, ids_hash)
    SPOTS_TO_INDEX.write(layer.spots_to_index, Table(SPOTS_TO_INDEX.names, seeds[None].astype(np.float64)))
    write_spot_tables(layer, extra_info, rejected, threads)
    write_atomic(layer.paramstest, paramstest)
    return SpotTables(
        input_all=Table(INPUT_ALL.names, extra_info.columns[: len(INPUT_ALL.names)]),
        extra_info=extra_info,
        id_rings=id_rings,
        ids_hash=IDS_HASH.rounded(ids_hash),
        spots_to_index=seeds,
        parameters=Parameters.read(layer.paramstest, "paramstest"),
    )
