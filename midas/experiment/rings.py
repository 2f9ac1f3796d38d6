"""Which rings a scan looks at, and which of them a spot lies on (docs/theory/radius.md#rings-of-a-spot)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.radius import match_rings
from midas.experiment.detector import DetectorGeometry
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.logs import first_time

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rings:
    """The rings of `RingThresh`, in its order.

    Parameters
    ----------
    numbers : (r,) int64
    radii : (r,) float64, µm; NaN for a ring that is not in the hkl list
    multiplicities : (r,) float64, reflections on the ring
    width : half width of the band in which a spot belongs to a ring, µm
    """

    numbers: NDArray[np.int64]
    radii: NDArray[np.float64]
    multiplicities: NDArray[np.float64]
    width: float

    @classmethod
    def of(cls, parameters: Parameters, hkls: Table) -> Rings:
        """The rings that the parameters ask for, with what the hkl list says about them."""
        numbers = np.array([ring for ring, _ in parameters.rings()], np.int64)
        radii = np.full(len(numbers), np.nan)
        multiplicities = np.zeros(len(numbers))
        listed = hkls.integers("ring")
        for i, ring in enumerate(numbers):
            rows = np.flatnonzero(listed == ring)
            multiplicities[i] = len(rows)
            if len(rows):
                radii[i] = hkls["ring_radius"][rows[-1]]
        key = "WidthTthPx" if parameters["WidthTthPx"] != -1 else "Width"
        return cls(numbers, radii, multiplicities, parameters.positive(key))

    @property
    def absent(self) -> NDArray[np.int64]:
        """Rings that the hkl list does not have."""
        return self.numbers[np.isnan(self.radii)]

    @property
    def overlap(self) -> bool:
        """Whether a spot can lie in the bands of two rings."""
        known = np.sort(self.radii[~np.isnan(self.radii)])
        return bool((np.diff(known) < 2 * self.width).any())


def warn_of_absent(numbers: Iterable[int]) -> None:
    """Say once in a run which rings of RingThresh nothing can lie on, whichever part notices it first."""
    new = [number for number in sorted({int(number) for number in numbers}) if first_time("absent ring", number)]
    if new:
        names = " ".join(map(str, new))
        log.warning("RingThresh: ring %s is not in hkls.csv or lies beyond MaxRingRad; no spot can lie on it", names)


def distances_from_beam(merged: Table, parameters: Parameters) -> NDArray[np.float64]:
    """(n,) float64: how far merged spots are from the beam centre, µm on the plane without tilt and distortion.

    See docs/theory/radius.md#distance-from-the-beam. With ``LegacyDigits 1`` the raw distance of the newest peak.
    """
    if parameters.legacy_digits:
        raw: NDArray[np.float64] = merged["radius"] * parameters["px"]
        return raw
    detector = DetectorGeometry.from_parameters(parameters, beam=False)
    return detector.ideal(merged["y_recorded"], merged["z_recorded"]).radius


def rings_of_merged(distances: NDArray[np.float64], rings: Rings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of ``Radius_*.csv``: row k is merged spot ``spots[k]`` on ring ``which[k]``.

    The file does not say which merged spot a row is: a spot on no ring has no row, one in two bands has two. To find
    the merged spot of radius id n, repeat the test and take ``spots[n - 1]``.

    Parameters
    ----------
    distances : (n,) float64, `distances_from_beam` of the merged spots, µm

    Returns
    -------
    spots : (k,) int64, rows of the table of merged spots
    which : (k,) int64, indices into the rings
    """
    return match_rings(distances, rings.radii, rings.width)
