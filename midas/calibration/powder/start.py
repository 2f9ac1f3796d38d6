"""A geometry to start from, without a guess (docs/theory/calibration.md#start-without-a-guess)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.calibration.powder.centre import Centre, find_centre
from midas.calibration.powder.distance import (
    SAME,
    SIGNIFICANT,
    Judgement,
    Lines,
    Profile,
    distances,
    judged,
    profile_of,
)
from midas.calibration.powder.image import PowderImage
from midas.calibration.powder.rings import Rings
from midas.calibration.powder.tilted_rings import STEEPEST, Tilted, fitted
from midas.experiment.detector import DetectorGeometry
from midas.experiment.noise import robust_spread
from midas.runtime.errors import StageError

log = logging.getLogger(__name__)

#: how much better than the second the best distance must be, and how good at least
_CLEAR, _GOOD = 1.3, 0.4
#: part of the inner peaks that must be rings: else the powder is another one
_EXPLAINED = 0.7
#: a candidate that is worse than the best by more is none
_RIVAL = 2.0
#: a score from which on the centre is no doubt the right one
_CERTAIN = 0.75
#: rings that a distance needs
_FEWEST_RINGS = 3
#: how far peaks may lie from rings: as usual, and when nothing fits, since a centre beside the image is blurred
_BLURS = (1.0, 4.0)
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
    if len(Lines.of(rings, wavelength).tangent) < _FEWEST_RINGS:
        raise NoRingError(f"fewer than {_FEWEST_RINGS} rings have an angle below 90 degrees: check the wavelength")
    try:
        start = _start_about(find_centre(image), image, rings, px, wavelength)
    except NoRingError:
        start = _start_about(find_centre(image, thorough=True), image, rings, px, wavelength)
    log.info("start found: Lsd %.0f um, BC %.2f %.2f px, score %.2f", start.lsd, start.y_bc, start.z_bc, start.score)
    return start


def _start_about(centre: Centre, image: PowderImage, rings: Rings, px: float, wavelength: float) -> Start:
    """The start that a centre leads to."""
    lines = Lines.of(rings, wavelength)
    profile = profile_of(image, centre)
    if len(profile.radius) < _FEWEST_RINGS:
        raise NoRingError(_too_few(profile, lines))
    return _chosen(_candidates(image, rings, wavelength, px, centre, profile), px, profile, lines)


def _candidates(
    image: PowderImage, rings: Rings, wavelength: float, px: float, centre: Centre, profile: Profile
) -> list[_Candidate]:
    """Geometries that may be the right one, the best first."""
    lines = Lines.of(rings, wavelength)
    best: list[_Candidate] = []
    for blur in _BLURS:
        candidates = [
            _Candidate(Tilted.of(centre, distance.lsd / px), judged(profile, lines, distance.lsd / px))
            for distance in distances(profile, lines, px, blur)
        ]
        candidates.sort(key=lambda candidate: -candidate.mark)
        if candidates[0].mark >= _CERTAIN and _rival(candidates) is None:
            candidates = candidates[:1]
        elif blur == 1:
            candidates = [candidate for candidate in candidates if _RIVAL * candidate.mark >= candidates[0].mark]
        best += [candidate.refined(image, rings, wavelength, lines) for candidate in candidates]
        best.sort(key=lambda candidate: -candidate.mark)
        if best[0].is_good:
            break
    return best


@dataclass(frozen=True)
class _Candidate:
    geometry: Tilted
    judgement: Judgement

    @property
    def mark(self) -> float:
        return self.judgement.mark

    @property
    def is_good(self) -> bool:
        """Whether the rings in the image are those of the powder."""
        upright = np.hypot(self.geometry.lean_y, self.geometry.lean_z) <= STEEPEST
        return bool(upright and self.mark >= _GOOD and self.judgement.explained >= _EXPLAINED)

    def refined(self, image: PowderImage, rings: Rings, wavelength: float, lines: Lines) -> _Candidate:
        """With tilts; and looked at again about its own centre, if peaks may have been blurred."""
        geometry = fitted(image, rings, wavelength, self.geometry)
        if self.judgement.mark >= _CERTAIN:
            return _Candidate(geometry, self.judgement)
        again = judged(profile_of(image, geometry), lines, geometry.lsd)
        return _Candidate(geometry, max(self.judgement, again, key=lambda judgement: judgement.mark))

    def start(self, px: float) -> Start:
        """In µm and degrees."""
        geometry = self.geometry
        return Start(geometry.lsd * px, geometry.y, geometry.z, *geometry.tilts, self.judgement.mark)


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
    wavelength = detector.known_wavelength()
    ty, tz = np.radians([detector.ty, detector.tz])
    leans = float(np.cos(ty) * np.sin(tz)), float(np.sin(ty))
    given = Tilted(detector.lsd / detector.px, detector.y_bc, detector.z_bc, *leans)
    lines = Lines.of(rings, wavelength)
    profile = profile_of(image, given)
    own = judged(profile, lines, given.lsd).mark
    for distance in distances(profile, lines, detector.px):
        lsd = distance.lsd / detector.px
        candidate = _Candidate(Tilted(lsd, given.y, given.z, *leans), judged(profile, lines, lsd))
        if abs(np.log(lsd / given.lsd)) > SAME and candidate.is_good and candidate.mark >= _CLEAR * own:
            return candidate.refined(image, rings, wavelength, lines).start(detector.px)
    return None


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
    return bool(max(abs(drift), robust_spread(mean)) > _STRAIN_OF_RINGS)


def _rival(candidates: Sequence[_Candidate]) -> _Candidate | None:
    """The candidate of another distance that is nearly as good as the first."""
    best, *others = candidates
    for other in others:
        if abs(np.log(other.geometry.lsd / best.geometry.lsd)) > SAME:
            return other if best.mark < _CLEAR * other.mark else None
    return None


def _chosen(candidates: Sequence[_Candidate], px: float, profile: Profile, lines: Lines) -> Start:
    """The first of the candidates, if it is good, and clearly the best."""
    if not candidates[0].is_good:
        raise NoRingError(
            f"no distance explains the rings at {_radii(profile.radius[:5])} px, which should be in the ratios "
            f"{_ratios(lines)}: check calibrant and wavelength, or give Lsd and BC"
        )
    if rival := _rival(candidates):
        best, second = candidates[0].start(px), rival.start(px)
        reason = (
            f"ambiguous start: Lsd {best.lsd:.0f} um (score {best.score:.2f}) and {second.lsd:.0f} um "
            f"({second.score:.2f}) both explain the rings; give Lsd"
        )
        raise AmbiguousStartError(reason, (best, second))
    return candidates[0].start(px)


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
