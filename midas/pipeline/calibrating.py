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
from midas.calibration.powder.calibrate import CalibrationSettings, calibrate
from midas.calibration.powder.checks import check_usable, remarks
from midas.calibration.powder.image import PowderImage
from midas.calibration.powder.result import Calibration
from midas.calibration.powder.rings import Rings
from midas.calibration.powder.start import find_start
from midas.calibration.powder.summary import outliers, ring_rows, statistics
from midas.experiment import crystal
from midas.experiment.detector import DetectorGeometry
from midas.experiment.image import PaddedImage
from midas.experiment.panels import panels_of, with_shifts
from midas.formats.hkls import LAYOUT
from midas.parameters import Parameters
from midas.pipeline.calibration_files import HKLS_SCREEN, LOG, SCREEN, Calibrated, raw_centre, write
from midas.pipeline.calibration_request import CalibrationRequest
from midas.pipeline.powder_images import read_image
from midas.runtime import logs
from midas.runtime.errors import FormatError
from midas.runtime.files import located, make_folder, write_atomic
from midas.runtime.result import StageResult

log = logging.getLogger(__name__)

Array = NDArray[np.float64]


def run(request: CalibrationRequest, *, threads: int) -> StageResult[list[Calibrated]]:
    """Calibrate every image, or several at different distances together, and write all files.

    Raises
    ------
    MidasError : the reason why there is no geometry; nothing is written then but the log
    """
    folder = make_folder(request.output)
    if request.legacy != "auto":
        return _run(request, threads)
    with logs.file(folder / LOG):
        return _run(request, threads)


def _run(request: CalibrationRequest, threads: int) -> StageResult[list[Calibrated]]:
    powders = _powders(request.parameters)
    rings = _rings(request, powders)
    said = [tables.planes_line(len(rings))]
    log.info("%s", said[0])
    done = [_calibrated(path, request, powders, rings, threads) for path in _present(request.images)]
    for one in done:
        for warning in one.result.warnings:
            log.warning("%s", warning)
    _write_hkls(done[0], request, powders[0])
    files = [path for i, one in enumerate(done) for path in write(one, request, _name(i, len(done)))]
    block = tables.mean_values([one.result.detector for one in done], [statistics(one.result) for one in done])
    said += [block, *(line for one in done for line in _closing(one, request))]
    log.info("%s", "\n".join(said[1:]))
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
    return [Calibrant("", p["SpaceGroup"], crystal.possible_cell(p), p["SpaceGroupSetting"])]


def _rings(request: CalibrationRequest, powders: Sequence[Calibrant]) -> Rings:
    """The rings that may be used."""
    p = request.parameters
    rings = rings_of(powders, p["Wavelength"])
    if "Lsd" in p and "RhoD" in p:
        farthest = np.degrees(np.arctan(p["RhoD"] / p["Lsd"]))
        rings = _taken(rings, rings.two_theta(p["Wavelength"]) <= farthest)
    wanted = (rings.number >= request.first_ring) & ~np.isin(rings.number, p["CalibRingsToExclude"])
    return _taken(rings, wanted)


def _taken(rings: Rings, wanted: NDArray[np.bool_]) -> Rings:
    return Rings(rings.number[wanted], rings.d_spacing[wanted], rings.multiplicity[wanted])


def _calibrated(
    path: Path, request: CalibrationRequest, powders: Sequence[Calibrant], rings: Rings, threads: int
) -> Calibrated:
    """One image, round after round until no ring is left out any more."""
    p = request.parameters
    image = read_image(path, p, request.folder)
    start_panels = _start_panels(p, request.folder)
    start = _start(image, rings, p, threads)
    settings = _settings(request, start_panels, threads)
    passes = [_one_pass(image, rings, start, settings, p)]
    if request.rejection is not None:
        for _ in range(request.rejection.most_passes - 1):
            kept = _without_bad_rings(passes[-1], request.rejection.factor)
            if len(kept) == len(passes[-1].rings):
                break
            left = sorted(set(passes[-1].rings.number.tolist()) - set(kept.number.tolist()))
            log.info("left out, since their strain is large: rings %s", " ".join(map(str, left)))
            passes.append(_one_pass(image, kept, passes[-1].detector, settings, p))
        if statistics(passes[-1]).mean > 1e6 * request.rejection.stopping:
            passes[-1].warnings.append(
                f"the mean strain, {statistics(passes[-1]).mean:.1f} x 10^-6, stays above -StoppingStrain"
            )
    check_usable(passes[-1])
    passes[-1].warnings.extend(text for text in remarks(passes[-1]) if text not in passes[-1].warnings)
    panels = with_shifts(start_panels, passes[-1].panels) if len(start_panels) else start_panels
    return Calibrated(path, image, passes, panels, start_panels, ", ".join(powder.name for powder in powders))


def _one_pass(
    image: PowderImage, rings: Rings, start: DetectorGeometry, settings: CalibrationSettings, p: Parameters
) -> Calibration:
    found = calibrate(image, rings, start, settings)
    return replace(found, outlier=outliers(found.strain, p["MultFactor"], p["OutlierIterations"]))


def _without_bad_rings(found: Calibration, factor: float) -> Rings:
    """The rings whose mean absolute strain is at most so many times the median over the rings."""
    ring, size = found.points.ring, np.abs(found.strain)
    counts = np.bincount(ring, minlength=len(found.rings))
    means = np.bincount(ring, size, len(found.rings)) / np.maximum(counts, 1)
    return _taken(found.rings, ~((counts > 0) & (means > factor * np.median(means[counts > 0]))))


def _start_panels(p: Parameters, folder: Path) -> Array:
    """The panels where an earlier calibration has left them, else where they should be."""
    named = p["PanelShiftsFile"]
    if named and not located(named, folder).is_file():
        return panels_of(p.without("PanelShiftsFile"), folder)
    return panels_of(p, located(named, folder).parent if named and not (folder / named).is_file() else folder)


def _start(image: PowderImage, rings: Rings, p: Parameters, threads: int) -> DetectorGeometry:
    """The geometry that the parameters give, or the one that the image tells."""
    wavelength: float = p["Wavelength"]
    if "Lsd" in p and "BC" in p:
        lsd, (y_bc, z_bc) = p["Lsd"], p["BC"]
    else:
        found = find_start(image, rings, p["px"], wavelength)
        lsd, y_bc, z_bc = found.lsd, found.y_bc, found.z_bc
        log.info("start from the image: Lsd %.0f, BC %.2f %.2f", lsd, y_bc, z_bc)
    rho_d = p["RhoD"] if "RhoD" in p else _farthest(image, p["ImTransOpt"], y_bc, z_bc) * p["px"]
    rest = {name: p[name] for name in ("tx", "ty", "tz", "p0", "p1", "p2", "p3")}
    if p["p4"]:
        log.warning("%s: p4 %g is not applied: no program of the analysis has a sixth order", p.source, p["p4"])
    return DetectorGeometry(lsd, y_bc, z_bc, p["px"], rho_d, **rest, wavelength=wavelength)


def _farthest(image: PowderImage, operations: Sequence[int], y_bc: float, z_bc: float) -> float:
    """Distance from the beam centre to the farthest corner of the detector, px."""
    rows, columns = image.shape
    y_low, y_high, z_low, z_high = PaddedImage(rows, columns, operations).area
    return float(np.hypot(max(abs(y_low - y_bc), abs(y_high - y_bc)), max(abs(z_low - z_bc), abs(z_high - z_bc))))


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
