"""Whether an image is one of the powder that it was calibrated with.

Lattices of one kind have most of their rings in the same ratios, and a distance makes up for the edge of the cell: the
rings of silicon are those of CeO2 without some. So peaks that are no rings, and rings that are no peaks, decide. See
docs/theory/calibration.md#which-powder-it-is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import arctan
from midas.calibration.powder.calibrants import KNOWN, Calibrant, rings_of
from midas.calibration.powder.distance import Lines, Profile, distances, profile_of
from midas.calibration.powder.image import PowderImage
from midas.calibration.powder.rings import Rings
from midas.experiment.detector import DetectorGeometry
from midas.runtime.errors import StageError

Array = NDArray[np.float64]

#: px between a peak and its ring at most; a peak of two rings lies between them
_SAME_PLACE = 3.0
#: part of the usual height that a peak must have to say something, and of the radius of the first ring that it is
#: beyond: farther in is what the beam stop lets through
_NOTABLE, _BEYOND_FIRST = 0.25, 0.9
#: part (by strength) of the rings whose absence is suspicious, and is enough to refuse when they are several; part of
#: that which a better powder may lack; part of the peaks that may be no rings
_SUSPICIOUS, _REFUSED, _BETTER, _MOST_UNEXPLAINED = 0.15, 0.2, 0.5, 0.5
#: part of its rings that another powder may lack at most, and how much more than this one when it explains the peaks
#: that are left over
_MOST_LACKING, _MARGIN = 0.3, 0.1
#: part of the edge by which a cell differs that still is that of a known powder
_SAME_CELL = 0.01
#: times the two_theta of the rim that rings of any powder are looked at
_WIDER = 2.0
#: radii in a message
_NAMED = 5


@dataclass(frozen=True)
class _Fit:
    """How a powder at a distance explains the peaks.

    Parameters
    ----------
    name : of the powder
    lsd : µm
    unexplained : px, radii of notable peaks that are no rings
    share : part of the peaks that these are, by the root of their height
    absent : numbers of the rings before the outermost peak that are no peaks
    lacking : part of the rings there that these are, by their expected strength
    """

    name: str
    lsd: float
    unexplained: Array
    share: float
    absent: NDArray[np.int64]
    lacking: float


@dataclass(frozen=True)
class _InGeometry:
    """Pixels have the radius that a geometry gives them."""

    detector: DetectorGeometry
    y: float = 0.0
    z: float = 0.0

    def radius(self, dy: NDArray[np.floating], dz: NDArray[np.floating]) -> NDArray[np.floating]:
        """px on the plane without tilt and distortion; none where a pixel is not in front of the sample."""
        _, _, radius = self.detector.ideal(np.asarray(dy, np.float64), np.asarray(dz, np.float64))
        return np.nan_to_num(radius) / self.detector.px


def check_powder(
    image: PowderImage, detector: DetectorGeometry, powders: Sequence[Calibrant], used: Rings
) -> list[str]:
    """Sentences for the user about peaks that are no rings of the powder.

    Parameters
    ----------
    image : what was calibrated
    detector : the result, with its wavelength
    powders : what the sample is said to be
    used : those of its rings that are looked for

    Raises
    ------
    StageError : when another powder explains the image, and this one does not
    """
    assert detector.wavelength is not None
    profile = profile_of(image, _InGeometry(detector))
    if not len(profile.radius):
        return []
    rings = rings_of(powders, detector.wavelength, _reach(profile, detector))
    name = ", ".join(powder.name for powder in powders if powder.name) or "the calibrant"
    own = _fit(name, rings, profile, detector, detector.lsd, np.isin(rings.number, used.number))
    if not len(own.unexplained) and own.lacking <= _SUSPICIOUS:
        return []
    rival = _rival(own, profile, detector)
    if len(own.unexplained):
        return _left_over(own, rival)
    if rival is None or rival.lacking > _BETTER * own.lacking:
        return []
    which = f"ring{'s' if len(own.absent) > 1 else ''} {_listed(own.absent, 'd')} of {own.name}"
    words = (
        f"{which} {'are' if len(own.absent) > 1 else 'is'} not in the image, and {rival.name} with Lsd "
        f"{rival.lsd:.0f} um explains every peak: is the powder {rival.name}?"
    )
    if len(own.absent) > 1 and own.lacking > _REFUSED and len(powders) == 1 and _is_known(powders[0]):
        raise StageError(words)
    return [words]


def _left_over(own: _Fit, rival: _Fit | None) -> list[str]:
    """What to say of peaks that are no rings."""
    peaks = f"peaks at {_listed(own.unexplained, '.1f')} px from the beam are no rings of {own.name}"
    if rival is not None and rival.lacking < own.lacking + _MARGIN:
        raise StageError(
            f"{peaks}, and {rival.name} with Lsd {rival.lsd:.0f} um explains every peak: is the powder {rival.name}?"
        )
    if own.share > _MOST_UNEXPLAINED:
        raise StageError(f"{peaks}, which is more than half of them: check calibrant, wavelength and px")
    return [f"{peaks}: a second phase, or a wrong calibrant"]


def _rival(own: _Fit, profile: Profile, detector: DetectorGeometry) -> _Fit | None:
    """The known powder that explains every peak with the fewest rings too many; None where no one does."""
    assert detector.wavelength is not None
    found = []
    for powder in KNOWN.values():
        rings = rings_of([powder], detector.wavelength, _reach(profile, detector))
        for distance in distances(profile, Lines.of(rings, detector.wavelength), detector.px):
            found.append(_fit(powder.name, rings, profile, detector, distance.lsd, np.ones(len(rings), bool)))
    found = [fit for fit in found if not len(fit.unexplained) and fit.lacking < _MOST_LACKING and fit.name != own.name]
    return min(found, key=lambda fit: fit.lacking, default=None)


def _reach(profile: Profile, detector: DetectorGeometry) -> float:
    """Largest two_theta (degrees) that matters: of other powders the same place may have a larger one."""
    return float(_WIDER * np.degrees(arctan(profile.most * detector.px / detector.lsd)))


def _fit(
    name: str, rings: Rings, profile: Profile, detector: DetectorGeometry, lsd: float, used: NDArray[np.bool_]
) -> _Fit:
    """How rings explain the peaks; only the used ones need to be there."""
    assert detector.wavelength is not None
    lines = Lines.of(rings, detector.wavelength)
    predicted, used = lines.tangent * (lsd / detector.px), used[: len(lines.tangent)]
    beside = np.abs(profile.radius[:, None] - predicted).min(axis=1)
    looked_at = profile.radius > _BEYOND_FIRST * predicted[0]
    is_ring = beside <= _SAME_PLACE
    usual = float(np.median(profile.height[is_ring])) if is_ring.any() else 0.0
    left = looked_at & ~is_ring & (profile.height > _NOTABLE * usual)
    weight = np.sqrt(profile.height)
    seen = np.abs(profile.radius - predicted[:, None]).min(axis=1) <= _SAME_PLACE
    inside = used & (predicted > profile.least) & (predicted < profile.radius[-1] + _SAME_PLACE)
    strength = np.where(inside, lines.strength, 0.0)
    return _Fit(
        name=name,
        lsd=lsd,
        unexplained=profile.radius[left],
        share=float(weight[left].sum() / weight.sum()),
        absent=rings.number[: len(seen)][inside & ~seen],
        lacking=float(strength[~seen].sum() / max(strength.sum(), 1e-300)),
    )


def _is_known(powder: Calibrant) -> bool:
    """Whether all rings of a powder that symmetry allows can be seen, as those of the known ones."""
    return any(
        known.space_group == powder.space_group and np.allclose(known.cell, powder.cell, rtol=_SAME_CELL, atol=0)
        for known in KNOWN.values()
    )


def _listed(numbers: NDArray[np.generic], form: str) -> str:
    words = ", ".join(format(number, form) for number in numbers[:_NAMED].tolist())
    return f"{words} ..." if len(numbers) > _NAMED else words
