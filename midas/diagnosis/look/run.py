"""From a scan, raw or in an archive, to the first look at it (docs/theory/diagnosis.md#a-first-look)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.archive import MASK
from midas.archive.writer import Frame
from midas.convert.scan import RawScan
from midas.diagnosis.look import findings
from midas.diagnosis.look.findings import Look
from midas.diagnosis.look.levels import hot_pixels, ring_level, saturation
from midas.diagnosis.look.page import page
from midas.diagnosis.look.picture import png
from midas.diagnosis.look.polar import polar_map
from midas.diagnosis.look.projections import Projections, project
from midas.diagnosis.look.rings import observed_rings
from midas.experiment import crystal
from midas.experiment.detector import DetectorGeometry
from midas.formats.layer import look_files, name_of_scan
from midas.parameters import Parameters
from midas.runtime import progress
from midas.runtime.errors import UsageError
from midas.runtime.files import make_folder, readable, write_atomic
from midas.runtime.result import StageResult

log = logging.getLogger(__name__)

#: rings that are shown and measured beyond those of RingThresh
_MOST_RINGS = 20


@dataclass(frozen=True)
class Files:
    """What the look writes."""

    page: Path
    picture: Path
    text: Path


def run(scan: RawScan, folder: Path, *, threads: int, first: int = 0, count: int = -1) -> StageResult[Look]:
    """Look at a scan; write ``<name>_look.html``, ``.png`` and ``.txt`` into a folder.

    Parameters
    ----------
    first, count : part of the scan: number of its first frame after the skipped ones, and of frames (-1: all)
    """
    parameters = scan.parameters.for_stage("look")
    look = look_at(scan, parameters, threads=threads, first=first, count=count)
    text = findings.text(look)
    files = _write(look, text, folder)
    log.info("%s", text.rstrip())
    summary = {"Page": files.page, "Picture": files.picture, "Text": files.text}
    return StageResult("look", summary, look)


def look_at(scan: RawScan, parameters: Parameters, *, threads: int, first: int, count: int) -> Look:
    """All that is seen, nothing written."""
    skipped = parameters["SkipFrame"]
    total = scan.shape[0] - skipped
    if not 0 <= first < total:
        raise UsageError(f"must lie in 0 ... {total - 1}", key="-first", value=first)
    if count == 0 or count < -1:
        raise UsageError("must be at least 1, or -1 for all", key="-count", value=count)
    number = total - first if count == -1 else min(count, total - first)
    dark = scan.dark.mean()
    with progress.bar(number, "First look", "frame") as advance:
        frames: Iterator[Frame] = islice(scan.frames(), skipped + first, skipped + first + number)
        seen = project(frames, number, dark, threads=threads, advance=advance)
    valid = _valid(scan, parameters, seen)
    detector = DetectorGeometry.from_parameters(parameters)
    where = polar_map(detector, valid, parameters["ImTransOpt"])
    numbers, radii = _rings(parameters, where.radius[valid])
    width = parameters.positive("Width")
    observed = observed_rings(where, seen.mean, seen.maximum, numbers, radii, width)
    given = dict(parameters.rings())
    levels = [
        ring_level(where, seen, dark, ring, radius * observed.scale, width, given.get(ring, float("nan")))
        for ring, radius in zip(numbers.tolist(), radii.tolist(), strict=True)
    ]
    return Look(
        name_of(scan),
        number,
        first,
        _omegas(scan, skipped + first, number),
        detector,
        where,
        seen,
        observed,
        levels,
        hot_pixels(seen, valid),
        saturation(seen, valid, parameters["UpperBoundThreshold"]),
        bool(dark.any()),
    )


def _valid(scan: RawScan, parameters: Parameters, seen: Projections) -> NDArray[np.bool_]:
    """Pixels that measure: not masked, not marked by a value, numbers."""
    valid: NDArray[np.bool_] = np.isfinite(seen.maximum) & np.isfinite(seen.mean)
    masked = scan.images().get(MASK)
    if masked is not None:
        valid &= masked.reshape(valid.shape) == 0
    for key in ("BadPxIntensity", "GapIntensity"):
        if key in parameters:
            valid &= ~np.all(seen.sample == parameters[key], axis=0)
    return valid


def _rings(parameters: Parameters, radius: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Numbers and radii of the rings on the detector: all of RingThresh, and the first ones besides."""
    table = crystal.reflections(parameters)
    numbers, rows = np.unique(table.integers("ring"), return_index=True)
    radii = table["ring_radius"][rows]
    asked = np.isin(numbers, [ring for ring, _ in parameters.rings()])
    nearest, farthest = (float(radius.min()), float(radius.max())) if radius.size else (np.inf, -np.inf)
    kept = (radii > nearest) & (radii < farthest) & (asked | (numbers <= _MOST_RINGS))
    return numbers[kept].astype(np.int64), radii[kept].astype(np.float64)


def _omegas(scan: RawScan, first: int, count: int) -> tuple[float, float] | None:
    omegas = scan.omegas
    if omegas is None:
        return None
    step = omegas[1] - omegas[0] if len(omegas) > 1 else 0.0
    return float(omegas[first]), float(omegas[first + count - 1] + step)


def name_of(scan: RawScan) -> str:
    """What the scan is called, from the name of its archive."""
    return name_of_scan(scan.archive_name)


def _write(look: Look, text: str, folder: Path) -> Files:
    files = Files(*look_files(make_folder(folder), look.name))
    picture = png(look)
    write_atomic(files.page, readable(page(look, text, picture)).encode())
    write_atomic(files.picture, picture)
    write_atomic(files.text, readable(text).encode())
    return files
