"""Whether a calibration can be used, and what its user should know (docs/theory/calibration.md#order-of-work)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import hypot
from midas.calibration.powder.extract import Extraction
from midas.calibration.powder.points import Points
from midas.calibration.powder.result import ON_BOUND, Calibration
from midas.calibration.powder.rings import Rings
from midas.calibration.powder.start import rings_disagree
from midas.calibration.powder.windows import ring_radii
from midas.experiment.detector import DetectorGeometry
from midas.experiment.noise import robust_spread
from midas.runtime.errors import StageError

#: without so many rings, and degrees of azimuth, there is no geometry
FEWEST_RINGS, LEAST_AZIMUTH = 3, 60.0
#: part of the bins that may be saturated
MOST_SATURATED = 0.5
#: microstrain, robust: beyond it the result is of doubtful use, or of none
DOUBTFUL, UNUSABLE = 200.0, 1000.0
#: sigmas by which a ring disagrees, and part of the rings that may
DISAGREEMENT, MOST_DISAGREEING = 3.0, 0.2
#: degrees, of the sectors that are looked at for points, bins that a sector must have, and part of them without which
#: it counts as empty
SECTOR, FEWEST_IN_SECTOR, NEXT_TO_NONE = 10.0, 5, 0.1
#: degrees, of the sectors that make up the azimuth covered
NARROW_SECTOR = 5.0
#: degrees of tilt, part of the distance by which it changes, and px by which the beam centre does, that deserve a word
LARGE_TILT, LARGE_CHANGE, LARGE_SHIFT = 5.0, 0.05, 50.0


@dataclass(frozen=True)
class Evidence:
    """What the images showed: points of all of them, and the extraction of each."""

    points: Points
    extractions: Sequence[Extraction]
    rings: Rings
    panels: NDArray[np.float64]


def check_rings(rings: Rings, detector: DetectorGeometry) -> None:
    """Raise a `StageError` when too few rings can be on the detector."""
    inside = int(np.isfinite(ring_radii(rings, detector)).sum())
    if inside < FEWEST_RINGS:
        raise StageError(
            f"{inside} rings of the calibrant are nearer to the beam than RhoD, {detector.rho_d:.0f} um, a geometry "
            f"needs {FEWEST_RINGS}"
        )


def check_saturation(evidence: Evidence) -> None:
    """Raise a `StageError` when most of the rings are beyond the range of the detector."""
    looked_for = sum(int(one.looked_for.sum()) for one in evidence.extractions)
    saturated = sum(int(one.saturated.sum()) for one in evidence.extractions)
    if looked_for and saturated > MOST_SATURATED * looked_for:
        raise StageError(
            f"{saturated} of {looked_for} bins on rings have saturated pixels; expose for a shorter time or attenuate"
        )


def check_points(evidence: Evidence) -> None:
    """Raise a `StageError` when the points are too few for any geometry."""
    check_saturation(evidence)
    rings = np.unique(evidence.points.ring)
    if not len(rings):
        raise StageError("no ring rises above 5 sigma where the rings are expected; give a nearer start, or none")
    if len(rings) < FEWEST_RINGS:
        raise StageError(f"only {len(rings)} rings have points, a geometry needs {FEWEST_RINGS}")
    azimuth = NARROW_SECTOR * len(np.unique(np.floor(evidence.points.eta / NARROW_SECTOR)))
    if azimuth < LEAST_AZIMUTH:
        raise StageError(
            f"the points cover only {azimuth:.0f} degrees of azimuth, a geometry needs {LEAST_AZIMUTH:.0f}"
        )


def check_result(result: Calibration) -> None:
    """Raise a `StageError` when the rings are too far from the points to mean anything."""
    rms = robust_rms(result)
    if rms > UNUSABLE:
        raise StageError(
            f"the rings are {rms:.0f} microstrain (robust) from the points, more than {UNUSABLE:.0f}: wrong rings, "
            "wrong wavelength or a wrong calibrant"
        )
    two_theta = result.rings.two_theta(result.detector.known_wavelength())
    if rings_disagree(result.strain, result.points.ring, two_theta):
        raise StageError(
            "the strains of the rings drift with two_theta: they are other rings than they were taken for, or the "
            "wavelength or the calibrant is wrong"
        )


def robust_rms(result: Calibration) -> float:
    """Of the strain about 0, microstrain, as the median of its size tells it."""
    return robust_spread(result.strain, 0.0) * 1e6


def warnings_of(result: Calibration, evidence: Evidence, undetermined: Mapping[str, str]) -> list[str]:
    """What the user should know, a sentence each."""
    words = [f"{name} ended on the bound of its tolerance" for name in result.free if result.verdict[name] == ON_BOUND]
    words += [f"{name} stays at {result.value[name]:g}: {reason}" for name, reason in undetermined.items()]
    words += _of_rings(result) + _of_sectors(evidence) + _of_panels(evidence)
    rms = robust_rms(result)
    if rms > DOUBTFUL:
        words.append(f"the rings are {rms:.0f} microstrain (robust) from the points, more than {DOUBTFUL:.0f}")
    change = result.value["Lsd"] / result.start["Lsd"] - 1
    if abs(change) > LARGE_CHANGE:  # never with NaN, a start that nobody gave
        words.append(f"Lsd is {100 * change:+.1f} % from its start")
    shift_y, shift_z = (result.value[name] - result.start[name] for name in ("BCy", "BCz"))
    shift = hypot(shift_y, shift_z)
    if shift > LARGE_SHIFT:
        words.append(f"BC is {shift:.0f} px from its start")
    for name in ("ty", "tz"):
        if abs(result.value[name]) > LARGE_TILT:
            words.append(f"{name} is {result.value[name]:.2f} degrees, more than {LARGE_TILT:.0f}")
    if result.value["tx"] != 0.0:
        words.append(f"tx stays at {result.value['tx']:g}: rings cannot tell it, spots of grains can")
    return words


def mean_of_rings(result: Calibration) -> dict[int, tuple[float, float, int]]:
    """Of each ring with points: mean strain, its sigma as the points scatter, and how many there are.

    Points far off count less, as in the fit.
    """
    found = {}
    for ring in np.unique(result.points.ring):
        own = result.points.ring == ring
        strain, sigma = result.strain[own], result.sigma_strain[own] * max(result.scale, 1e-12)
        middle = np.median(strain)
        weight = sigma**-2.0 / (1.0 + ((strain - middle) / (3.0 * sigma)) ** 2)
        mean = np.sum(weight * strain) / np.sum(weight)
        spread = np.sqrt(np.sum((weight * (strain - mean)) ** 2)) / np.sum(weight)
        found[int(ring)] = (float(mean), float(max(spread, np.sum(sigma**-2.0) ** -0.5)), int(own.sum()))
    return found


def _of_rings(result: Calibration) -> list[str]:
    rings = mean_of_rings(result)
    apart = [ring for ring, (mean, sigma, _) in rings.items() if abs(mean) > DISAGREEMENT * sigma]
    if len(apart) <= MOST_DISAGREEING * len(rings):
        return []
    worst = ", ".join(f"{result.rings.number[ring]} by {rings[ring][0] * 1e6:+.0f}" for ring in apart[:5])
    more = " ..." if len(apart) > 5 else ""
    return [
        f"{len(apart)} of {len(rings)} rings disagree with the others by more than {DISAGREEMENT:.0f} sigma (ring "
        f"{worst}{more} microstrain): profiles that are not symmetric, a second phase, or a wrong calibrant"
    ]


def _of_sectors(evidence: Evidence) -> list[str]:
    """Sectors of the detector where rings should be and hardly a point is."""
    sectors = int(360 / SECTOR)
    looked_for = np.concatenate([one.eta_looked_for for one in evidence.extractions])
    expected, seen = (
        np.bincount(np.floor((eta + 180.0) / SECTOR).astype(int) % sectors, minlength=sectors)
        for eta in (looked_for, evidence.points.eta)
    )
    empty = (expected >= FEWEST_IN_SECTOR) & (seen <= NEXT_TO_NONE * expected)
    if not empty.any():
        return []
    begin = [s for s in range(sectors) if empty[s] and (not empty[s - 1] or empty.all())]
    words = []
    for first in begin[:1] if empty.all() else begin:
        last = first
        while empty[(last + 1) % sectors] and last - first < sectors - 1:
            last += 1
        low, high = first * SECTOR - 180.0, (last % sectors + 1) * SECTOR - 180.0
        words.append(f"next to no points on rings between eta {low:.0f} and {high:.0f} degrees: a shadow?")
    return words


def _of_panels(evidence: Evidence) -> list[str]:
    counts = np.bincount(evidence.points.panel[evidence.points.panel >= 0], minlength=len(evidence.panels))
    empty = np.flatnonzero(counts == 0)
    if not len(empty):
        return []
    few = f"panel {' '.join(map(str, empty))} has" if len(empty) == 1 else f"panels {' '.join(map(str, empty))} have"
    return [f"{few} too few points on rings: no shift, and no part in the fit"]
