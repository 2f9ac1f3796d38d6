"""A geometry to start from, without a guess (docs/theory/calibration.md#start-without-a-guess)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.calibration.powder.centre import find_centre
from midas.calibration.powder.distance import SAME, SIGNIFICANT, Lines, Profile, distances, profile_of, score_near
from midas.calibration.powder.image import PowderImage
from midas.calibration.powder.rings import Rings
from midas.calibration.powder.tilted_rings import Tilted, fitted
from midas.experiment.detector import DetectorGeometry
from midas.runtime.errors import StageError

log = logging.getLogger(__name__)

#: how much better than the second the best distance must be, and how good at least
_CLEAR, _GOOD = 1.3, 0.4
#: a candidate that is worse than the best by more is none
_RIVAL = 2.0
#: a score from which on the centre is no doubt the right one
_CERTAIN = 0.6
#: rings that a distance needs
_FEWEST_RINGS = 3
#: mean strains of the rings that differ by more, or drift by more over the rings, belong to other rings
_STRAIN_OF_RINGS = 1e-3


class NoRingError(StageError):
    """An image in which the rings of the calibrant are not."""


class AmbiguousStartError(StageError):
    """An image that two distances explain; `candidates` has them, the better first."""

    def __init__(self, reason: str, candidates: tuple[Start, Start]):
        super().__init__(reason)
        self.candidates = candidates


@dataclass(frozen=True)
class Start:
    """A geometry to start from.

    Parameters
    ----------
    lsd : µm
    y_bc, z_bc : px
    ty, tz : degrees
    score : 1 when every ring is seen and every peak is a ring
    """

    lsd: float
    y_bc: float
    z_bc: float
    ty: float = 0.0
    tz: float = 0.0
    score: float = 1.0


def find_start(image: PowderImage, rings: Rings, px: float, wavelength: float) -> Start:
    """Distance, beam centre and tilts of an image of a powder.

    Parameters
    ----------
    image : of rings that need not be whole: the beam may be beside the detector
    rings : of the powder, out to large angles, since the distance is not known
    px : µm
    wavelength : Å

    Returns
    -------
    Start

    Raises
    ------
    NoRingError : when no rings are seen, or none of this powder
    AmbiguousStartError : when two distances explain what is seen
    """
    centre = find_centre(image)
    lines = Lines.of(rings, wavelength)
    profile = profile_of(image, centre)
    if len(profile.radius) < _FEWEST_RINGS:
        raise NoRingError(_too_few(profile, lines))
    found = distances(profile, lines, px)
    found = [candidate for candidate in found if _RIVAL * candidate.score >= found[0].score]
    tilted = [Tilted.of(centre, candidate.lsd / px) for candidate in found]
    scores = [candidate.score for candidate in found]
    if scores[0] < _CERTAIN or not _is_clear(scores):
        tilted = [fitted(image, rings, wavelength, candidate) for candidate in tilted]
        scores = [score_near(profile_of(image, candidate), lines, candidate.lsd) for candidate in tilted]
    else:
        tilted[0] = fitted(image, rings, wavelength, tilted[0])
    starts = [_start(geometry, px, score) for geometry, score in zip(tilted, scores, strict=True)]
    start = _chosen(starts, profile, lines)
    log.info("start found: Lsd %.0f um, BC %.2f %.2f px, score %.2f", start.lsd, start.y_bc, start.z_bc, start.score)
    return start


def better_start(image: PowderImage, rings: Rings, detector: DetectorGeometry) -> Start | None:
    """A distance that explains an image clearly better than the one of a geometry; nothing when there is none.

    The rings must be about the beam centre of the geometry, which is kept.

    Parameters
    ----------
    rings : of the powder, out to large angles
    detector : with its wavelength

    Returns
    -------
    Start or None
    """
    assert detector.wavelength is not None
    ty, tz = np.radians([detector.ty, detector.tz])
    leans = float(np.cos(ty) * np.sin(tz)), float(np.sin(ty))
    given = Tilted(detector.lsd / detector.px, detector.y_bc, detector.z_bc, *leans)
    lines = Lines.of(rings, detector.wavelength)
    profile = profile_of(image, given)
    own = score_near(profile, lines, given.lsd)
    found = distances(profile, lines, detector.px)
    if not found or abs(np.log(found[0].lsd / detector.lsd)) <= SAME or found[0].score < max(_CLEAR * own, _GOOD):
        return None
    other = Tilted(found[0].lsd / detector.px, given.y, given.z, *leans)
    return _start(fitted(image, rings, detector.wavelength, other), detector.px, found[0].score)


def rings_disagree(strain: NDArray[np.float64], ring: NDArray[np.int64], two_theta: NDArray[np.float64]) -> bool:
    """Whether points seem to lie on other rings than they were taken for.

    Then no distance makes the mean strains of the rings equal: they drift with the angle.

    Parameters
    ----------
    strain : of each point
    ring : place of each point's ring in `two_theta`
    two_theta : of the rings, degrees

    Returns
    -------
    bool; False with fewer than three rings, which tell nothing
    """
    seen = np.unique(ring)
    if len(seen) < _FEWEST_RINGS:
        return False
    mean = np.array([np.median(strain[ring == number]) for number in seen])
    drift = np.polyfit(two_theta[seen], mean, 1)[0] * np.ptp(two_theta[seen])
    spread = 1.4826 * np.median(np.abs(mean - np.median(mean)))
    return bool(max(abs(drift), spread) > _STRAIN_OF_RINGS)


def _start(geometry: Tilted, px: float, score: float) -> Start:
    return Start(geometry.lsd * px, geometry.y, geometry.z, *geometry.tilts, score)


def _is_clear(scores: Sequence[float]) -> bool:
    return len(scores) < 2 or scores[0] >= _CLEAR * scores[1]


def _chosen(starts: Sequence[Start], profile: Profile, lines: Lines) -> Start:
    """The best of the candidates, if it is good, and clearly the best."""
    best, *others = sorted(starts, key=lambda start: -start.score)
    if best.score < _GOOD:
        raise NoRingError(
            f"no distance explains the rings at {_radii(profile.radius[:5])} px, which should be in the ratios "
            f"{_ratios(lines)}: check calibrant and wavelength, or give Lsd and BC"
        )
    others = [other for other in others if abs(np.log(other.lsd / best.lsd)) > SAME]
    if others and not _is_clear([best.score, others[0].score]):
        second = others[0]
        reason = (
            f"ambiguous start: Lsd {best.lsd:.0f} um (score {best.score:.2f}) and {second.lsd:.0f} um "
            f"({second.score:.2f}) both explain the rings; give Lsd"
        )
        raise AmbiguousStartError(reason, (best, second))
    return best


def _too_few(profile: Profile, lines: Lines) -> str:
    """What is seen instead of rings."""
    number = len(profile.radius)
    seen = "no ring rises" if not number else f"only {number} ring{'s rise' if number > 1 else ' rises'}"
    brightest = _radii(profile.radius if number else profile.highest)
    return (
        f"{seen} above {SIGNIFICANT:g} sigma; brightest radii {brightest or 'none'} px, expected in the ratios "
        f"{_ratios(lines)}: check the image, or give Lsd and BC"
    )


def _radii(radius: NDArray[np.float64]) -> str:
    return ", ".join(f"{value:.1f}" for value in radius)


def _ratios(lines: Lines) -> str:
    return " : ".join(f"{value / lines.tangent[0]:.3f}" for value in lines.tangent[:5])
