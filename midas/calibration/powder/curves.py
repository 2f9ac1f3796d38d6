"""What the pictures of a calibration show: residuals against azimuth and ring, their running median, panels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import hypot
from midas.calibration.powder.result import Calibration
from midas.calibration.powder.summary import MICRO, RingRow, ring_rows
from midas.experiment.angles import wrapped

Array = NDArray[np.float64]

#: points of a running median over all azimuths, and the width of each, degrees
_STEPS, _WIDTH = 72, 10.0


@dataclass(frozen=True)
class Curves:
    """Residuals of the points.

    Parameters
    ----------
    eta, strain, ring : of each point: degrees, 10⁻⁶, number of the ring
    median_eta, median : running median over the azimuth; NaN in a sector with fewer than three points
    rows : of the rings
    limit : 10⁻⁶, half height of a drawing in which nearly all points have room
    """

    eta: Array
    strain: Array
    ring: NDArray[np.int64]
    median_eta: Array
    median: Array
    rows: list[RingRow]
    limit: float


def curves(calibration: Calibration) -> Curves:
    """The residuals of a calibration."""
    points = calibration.points
    strain = calibration.strain * MICRO
    middle = np.linspace(-180, 180, _STEPS, endpoint=False)
    running = np.full(_STEPS, np.nan)
    for i, eta in enumerate(middle):
        near = np.abs(wrapped(points.eta - eta)) <= _WIDTH / 2
        if np.count_nonzero(near) >= 3:
            running[i] = np.median(strain[near])
    limit = float(np.percentile(np.abs(strain), 99)) * 1.2 if len(strain) else 1.0
    numbers = calibration.rings.number[points.ring]
    return Curves(points.eta, strain, numbers, middle, running, list(ring_rows(calibration)), max(limit, 1e-3))


@dataclass(frozen=True)
class Arrows:
    """Panels as they are shown: outline and shift of each, px in the image.

    Parameters
    ----------
    boxes : (p, 4) first and last pixel in y and z
    middle : (p, 2)
    shift : (p, 2) px
    scale : by how much a shift is stretched
    """

    boxes: Array
    middle: Array
    shift: Array
    scale: float


def arrows(panels: Array) -> Arrows:
    """The shifts of panels, the longest about half as long as a panel.

    Parameters
    ----------
    panels : (p, 8), see `midas.experiment.panels.panels_of`
    """
    boxes = panels[:, :4]
    middle = np.column_stack([boxes[:, :2].mean(axis=1), boxes[:, 2:].mean(axis=1)])
    shift = panels[:, 6:8]
    longest = float(hypot(*shift.T).max())
    room = 0.5 * float(min((boxes[:, 1] - boxes[:, 0]).min(), (boxes[:, 3] - boxes[:, 2]).min()))
    return Arrows(boxes, middle, shift, room / longest if longest > 0 else 1.0)
