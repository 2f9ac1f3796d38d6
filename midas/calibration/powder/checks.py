"""Whether a calibration can be used, and what its user should know (docs/calibrating.md#messages)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from midas.calibration.powder.result import ON_BOUND, Calibration
from midas.calibration.powder.summary import panel_rows, ring_rows, statistics
from midas.runtime.errors import StageError

#: less cannot be a geometry: rings, degrees of azimuth
FEWEST_RINGS, LEAST_AZIMUTH = 3, 60
#: robust rms of the strains, 10⁻⁶: not usable, and worth a warning
UNUSABLE, POOR = 1000.0, 200.0
#: sectors of the azimuth, and the least gap that is named, degrees
_SECTOR, _GAP = 5, 20
#: rings beyond this many sigma disagree; when more than this part of them does, the user should know
_OFF, _MANY = 3.0, 0.2
#: relative change of the distance, and tilt (degrees), that are strange
_FAR, _STEEP = 0.05, 5.0


def check_usable(calibration: Calibration) -> None:
    """Refuse what is no geometry.

    Raises
    ------
    StageError : too few rings, too little of the azimuth, or residuals that no right geometry has
    """
    points = calibration.points
    rings = len(np.unique(points.ring))
    if rings < FEWEST_RINGS:
        reason = f"points on {rings} ring{'' if rings == 1 else 's'}; {FEWEST_RINGS} are needed: check Lsd, the "
        raise StageError(reason + "wavelength and RhoD, or take an image with more rings")
    covered = int(sectors(points.eta).sum()) * _SECTOR
    if covered < LEAST_AZIMUTH:
        reason = f"points in {covered} degrees of the azimuth; {LEAST_AZIMUTH} are needed: check BC, the mask and the "
        raise StageError(reason + "shadows on the detector")
    rms = statistics(calibration).robust_rms
    if rms > UNUSABLE:
        reason = f"the points scatter by {rms:.0f} x 10^-6 about the best geometry, more than {UNUSABLE:.0f}: no "
        raise StageError(reason + "geometry explains them; check the calibrant, the wavelength, px and the start")


def sectors(eta: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which sectors of the azimuth have points."""
    found = np.zeros(360 // _SECTOR, bool)
    found[np.minimum(((eta + 180) // _SECTOR).astype(np.int64), len(found) - 1)] = True
    return found


def remarks(calibration: Calibration) -> Iterator[str]:
    """Sentences for the user, about a result that can be used."""
    yield from _of_bounds(calibration)
    yield from _of_rings(calibration)
    yield from _of_places(calibration)
    rms = statistics(calibration).robust_rms
    if rms > POOR:
        yield f"the points scatter by {rms:.0f} x 10^-6 (robust rms): spotty rings, or a geometry that lacks something"
    start, lsd = calibration.start.get("Lsd", np.nan), calibration.detector.lsd
    if abs(lsd / start - 1) > _FAR:
        yield f"Lsd {lsd:.0f} differs by {100 * (lsd / start - 1):+.1f} % from its start {start:.0f}"
    for name in ("ty", "tz"):
        if abs(tilt := getattr(calibration.detector, name)) > _STEEP:
            yield f"{name} is {tilt:.2f} degrees; is the detector so steep?"
    tx = calibration.detector.tx
    yield f"tx stays at {tx:g} degrees: rings do not tell it, the grains do"


def _of_bounds(calibration: Calibration) -> Iterator[str]:
    for name, verdict in calibration.verdict.items():
        if verdict == ON_BOUND:
            yield f"{name} {calibration.value[name]:.6g} lies on the bound of its tol key: widen it, or it is wrong"


def _of_rings(calibration: Calibration) -> Iterator[str]:
    """Rings whose means are not 0."""
    rows = [row for row in ring_rows(calibration) if row.points > 2]
    off = [row for row in rows if abs(row.mean) > _OFF * row.sigma]
    if len(off) > _MANY * len(rows):
        listed = ", ".join(f"{row.number} ({row.mean:+.1f})" for row in off[:6])
        more = " ..." if len(off) > 6 else ""
        yield (
            f"{len(off)} of {len(rows)} rings lie beside their places by more than {_OFF:.0f} sigma: {listed}{more} "
            "x 10^-6; peaks are not symmetric, or the lattice of the calibrant is another one"
        )


def _of_places(calibration: Calibration) -> Iterator[str]:
    """Panels and sectors without points."""
    empty = [row.number for row in panel_rows(calibration) if not row.points]
    if empty:
        listed = ", ".join(map(str, empty))
        yield f"panel{'' if len(empty) == 1 else 's'} {listed} without points: no shift is known there"
    for first, last in _gaps(~sectors(calibration.points.eta)):
        yield f"no points between eta {first} and {last} degrees: a shadow?"


def _gaps(empty: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Sectors in a row that are empty, from and to, degrees; across 180 too."""
    count = len(empty)
    if empty.all():
        return
    begins = [i for i in range(count) if empty[i] and not empty[i - 1]]
    for begin in begins:
        length = next(n for n in range(1, count) if not empty[(begin + n) % count])
        if length * _SECTOR >= _GAP:
            first = begin * _SECTOR - 180
            yield first, (first + length * _SECTOR + 180) % 360 - 180
