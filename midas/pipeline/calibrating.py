"""From images of a powder to a geometry and its files: ``ff-calibrate`` and its legacy names.

See docs/theory/calibration.md and docs/calibrating.md.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.calibration.powder import tables
from midas.calibration.powder.calibrants import Calibrant, calibrants_of, rings_of
from midas.calibration.powder.calibrate import Series, calibrate
from midas.calibration.powder.image import PowderImage
from midas.calibration.powder.legacy_objective import LegacyWeights, refitted
from midas.calibration.powder.result import Calibration
from midas.calibration.powder.rings import Rings
from midas.calibration.powder.settings import CalibrationSettings
from midas.calibration.powder.summary import MICRO, ring_rows, statistics
from midas.calibration.powder.which_powder import check_powder
from midas.experiment import crystal
from midas.experiment.detector import DetectorGeometry
from midas.experiment.panels import panels_of, with_shifts
from midas.experiment.ring_fit import FEWEST_POINTS_OF_PANEL
from midas.formats.hkls import LAYOUT
from midas.parameters import Parameters
from midas.pipeline.calibration_files import HKLS_SCREEN, LOG, SCREEN, Calibrated, raw_centre, write
from midas.pipeline.calibration_request import CalibrationRequest, RingRejection
from midas.pipeline.powder_images import read_image
from midas.runtime import logs
from midas.runtime.errors import FormatError, ParameterError, StageError, UsageError
from midas.runtime.files import keep_inputs, located, make_folder, write_atomic
from midas.runtime.result import StageResult

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

#: what each key bounds, about its start
BOUNDS = {
    "tolLsd": ("Lsd",), "tolBC": ("BCy", "BCz"), "tolTilts": ("ty", "tz"), "tolP": ("p0", "p1c", "p1s", "p2"),
    "tolP0": ("p0",), "tolP1": ("p1c", "p1s"), "tolP2": ("p2",), "tolShifts": ("dY", "dZ"), "tolRotation": ("dTheta",),
}  # fmt: skip
#: part of the pixels; with more saturated ones rings may be missing for this reason
_MANY = 1e-3


def run(request: CalibrationRequest, *, threads: int) -> StageResult[list[Calibrated]]:
    """Calibrate every image, or several at different distances together, and write all files.

    Raises
    ------
    MidasError : the reason why there is no geometry; nothing is written then but the log
    """
    _keep_inputs(request)
    folder = make_folder(request.output)
    if request.legacy != "auto":
        return _run(request, threads)
    with logs.file(folder / LOG):
        return _run(request, threads)


def _keep_inputs(request: CalibrationRequest) -> None:
    """No file that the user names for results is one that is read."""
    p = request.parameters
    named = [p[key] for key in ("MaskFN", "GapFile", "BadPxFile", "FloodFN") if p[key]]
    read = [*request.images, *(located(name, request.folder) for name in (*named, *p["Dark"]))]
    written = [request.figure, request.json, request.arrays]
    if p["PanelShiftsFile"]:
        written.append(request.output / p["PanelShiftsFile"])
    for path in written:
        if path is not None:
            keep_inputs(path, *read, p.source or None)


def _run(request: CalibrationRequest, threads: int) -> StageResult[list[Calibrated]]:
    powders = _powders(request.parameters)
    paths = _present(request.images)
    together = [paths] if request.travel else [[path] for path in paths]
    done = [_calibrated(group, request, powders, threads) for group in together]
    for one in done:
        for warning in one.result.warnings:
            log.warning("%s", warning)
    said = [tables.planes_line(len(list(ring_rows(done[0].result))))]
    said.append(tables.mean_values([one.result.detector for one in done], [statistics(one.result) for one in done]))
    said += [line for one in done for line in _closing(one, request)]
    files = [path for i, one in enumerate(done) for path in write(one, request, _name(i, len(done)))]
    _write_hkls(done[0], request, powders[0])
    log.info("%s", "\n".join(said))
    if request.legacy == "auto":
        write_atomic(request.output / SCREEN, ("\n".join(said) + "\n").encode())
    return StageResult("calibrate", {"Files": ", ".join(str(path) for path in files)}, done)


def _name(place: int, count: int) -> str:
    """Of the report of one of several images."""
    return "calibration" if count == 1 else f"calibration_{place + 1}"


def _present(paths: Sequence[Path]) -> list[Path]:
    """The images that exist; of a series some may be missing, but not all."""
    found = [path for path in paths if path.exists() or len(paths) == 1]
    if not found:
        raise FormatError(f"is missing, and so are the other {len(paths) - 1} images", file=paths[0])
    for path in paths:
        if path not in found:
            log.warning("%s: is missing; the means are those of the other images", path)
    return found


def _powders(p: Parameters) -> list[Calibrant]:
    """What the sample is, by name or by its cell."""
    if p["Calibrant"]:
        return calibrants_of(p["Calibrant"])
    if "LatticeParameter" not in p:
        reason = "name the calibrant (-calibrant CeO2, or the key Calibrant), or give LatticeParameter and SpaceGroup"
        raise ParameterError(reason, file=p.source or None)
    a, b, c, alpha, beta, gamma = crystal.possible_cell(p)
    return [Calibrant("", p["SpaceGroup"], (a, b, c, alpha, beta, gamma), p["SpaceGroupSetting"])]


def _rings(request: CalibrationRequest, powders: Sequence[Calibrant]) -> Rings:
    """The rings that the user wants to be used; those beyond RhoD or the image are nobody's."""
    p = request.parameters
    rings = rings_of(powders, p["Wavelength"])
    return _taken(rings, (rings.number >= request.first_ring) & ~np.isin(rings.number, p["CalibRingsToExclude"]))


def _taken(rings: Rings, wanted: NDArray[np.bool_]) -> Rings:
    return Rings(rings.number[wanted], rings.d_spacing[wanted], rings.multiplicity[wanted])


def _calibrated(
    paths: Sequence[Path], request: CalibrationRequest, powders: Sequence[Calibrant], threads: int
) -> Calibrated:
    """One image, or several at different distances, round after round until no ring is left out any more."""
    p = request.parameters
    images = [read_image(path, p, request.folder, request.links) for path in paths]
    series = Series(images, request.travel, request.travel_sigma) if request.travel else Series(images)
    rings = _rings(request, powders)
    panels = _start_panels(p, request.folder)
    settings, start = _settings(request, panels, threads), _start(p)
    try:
        passes = [calibrate(series, rings, start, settings)]
        doubts = check_powder(images[0], passes[0].detector, powders, rings)
    except StageError as error:
        raise _named(error, paths[0], images[0]) from None
    if request.rejection is not None:
        _leave_out_rings(passes, series, settings, request.rejection)
    passes[-1].warnings.extend(doubts)
    if request.parameters["p4"]:
        passes[-1].warnings.append(f"p4 {p['p4']:g} is not applied: no program of the analysis has a sixth order")
    moved = with_shifts(panels, passes[-1].panels) if len(panels) else panels
    if p["CalibEngine"] == "legacy":
        if request.travel:
            raise UsageError("works with one image, not with -travel", key="CalibEngine", value="legacy")
        keys = ("NormalizeRingWeights", "WeightByRadius", "WeightByFitSNR", "L2Objective")
        passes.append(refitted(passes[-1], moved, LegacyWeights(*(p[key] == 1 for key in keys)), settings.tolerances))
    named = ", ".join(powder.name for powder in powders)
    return Calibrated(paths, images, request.travel or (0.0,), passes, moved, panels, named)


def _named(error: StageError, path: Path, image: PowderImage) -> StageError:
    """The error with the image, and with the number of saturated pixels where that may be the cause."""
    saturated = np.count_nonzero((image.counts > image.full_scale) & ~image.masked)
    if "saturated" not in error.reason and saturated > _MANY * np.count_nonzero(~image.masked):
        error = StageError(f"{error.reason}; {saturated} pixels are saturated: expose for a shorter time or attenuate")
    return StageError(error.reason, file=path)


def _leave_out_rings(
    passes: list[Calibration], series: Series, settings: CalibrationSettings, rejection: RingRejection
) -> None:
    """Further passes without the rings whose strains are large."""
    for _ in range(rejection.most_passes - 1):
        last = passes[-1]
        kept = _without_bad_rings(last, rejection.factor)
        if len(kept) == len(last.rings):
            break
        left = sorted(set(last.rings.number.tolist()) - set(kept.number.tolist()))
        log.info("left out, since their strain is large: rings %s", " ".join(map(str, left)))
        passes.append(calibrate(series, kept, last.detector, replace(settings, search=False)))
    mean = statistics(passes[-1]).mean
    if mean > MICRO * rejection.stopping:
        passes[-1].warnings.append(f"the mean strain, {mean:.1f} x 10^-6, stays above -StoppingStrain")


def _settings(request: CalibrationRequest, panels: Array, threads: int) -> CalibrationSettings:
    """How the engine is to work; absent keys leave what it does by itself."""
    p = request.parameters
    bounds = {name: p[key] for key, names in BOUNDS.items() if key in p for name in names}
    settings = CalibrationSettings(
        free=request.free,
        demanded=tuple(request.demanded),
        search=not ("Lsd" in p and "BC" in p),
        tolerances=bounds,
        panels=panels,
        fit_panels=p["tolShifts"] > 0,
        fewest_points=max(p["MinIndicesForFit"], FEWEST_POINTS_OF_PANEL),
        anchor=p["FixPanelID"] if "FixPanelID" in p and len(panels) else None,
        eta_bin=p["EtaBinSize"],
        floor=p["CalibFloor"],
        outlier_factor=p["MultFactor"],
        outlier_rounds=p["OutlierIterations"],
        threads=threads,
    )
    return replace(settings, half_width=p["Width"] / p["px"]) if "Width" in p else settings


def _without_bad_rings(found: Calibration, factor: float) -> Rings:
    """The rings whose mean absolute strain is at most so many times the median over the rings."""
    ring, size = found.points.ring, np.abs(found.strain)
    counts = np.bincount(ring, minlength=len(found.rings))
    means = np.bincount(ring, size, len(found.rings)) / np.maximum(counts, 1)
    return _taken(found.rings, ~((counts > 0) & (means > factor * np.median(means[counts > 0]))))


def _start_panels(p: Parameters, folder: Path) -> Array:
    """The panels where an earlier calibration has left them, else where they should be."""
    if not (named := p["PanelShiftsFile"]):
        return panels_of(p, folder)
    path = located(named, folder).absolute()
    return panels_of(p.changed(PanelShiftsFile=str(path)) if path.is_file() else p.without("PanelShiftsFile"), folder)


def _start(p: Parameters) -> DetectorGeometry:
    """The geometry that the parameters give, NaN where they do not tell distance or centre."""
    lsd = p.get("Lsd", np.nan)
    y_bc, z_bc = p.get("BC", (np.nan, np.nan))
    # without RhoD it follows the beam centre that is found: one that is given wrong says nothing about the detector
    rho_d = p.get("RhoD", np.nan)
    rest = {name: p[name] for name in ("tx", "ty", "tz", "p0", "p1", "p2", "p3")}
    return DetectorGeometry(lsd, y_bc, z_bc, p["px"], rho_d, **rest, wavelength=p["Wavelength"])


def _write_hkls(done: Calibrated, request: CalibrationRequest, powder: Calibrant) -> None:
    """``hkls.csv`` of the powder with the geometry that was found, as the analysis would have it."""
    detector = done.result.detector
    parameters = request.parameters.changed(
        SpaceGroup=powder.space_group, LatticeParameter=powder.cell, SpaceGroupSetting=powder.setting,
        Lsd=float(detector.lsd), RhoD=float(detector.rho_d), Wavelength=float(detector.wavelength or 0),
    )  # fmt: skip
    table = crystal.reflections(parameters)
    LAYOUT.write(request.output / "hkls.csv", table)
    if request.legacy == "auto":
        text = f"{len(table)} reflections on {int(table['ring'][-1]) if len(table) else 0} rings: hkls.csv\n"
        write_atomic(request.output / HKLS_SCREEN, text.encode())


def _closing(done: Calibrated, request: CalibrationRequest) -> list[str]:
    """What stands behind the block that scripts parse."""
    column, row = raw_centre(done, request.parameters["ImTransOpt"])
    used = [row.number for row in ring_rows(done.result) if row.points]
    return [
        f"# {done.path}: rings {' '.join(map(str, used))}",
        *tables.summary_lines(done.result),
        tables.result_table(done.result),
        f"# beam centre in the raw image: column {column:.4f}, row {row:.4f}",
    ]
