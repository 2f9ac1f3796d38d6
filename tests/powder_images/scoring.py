"""How far a geometry is from the truth, whatever its gauge."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from midas.experiment.detector import DetectorGeometry
from powder_images.recipe import Panels, PowderSet, blocks, corrected, panel_shift

#: radius (µm) inside which no ring is
INNER = 20000.0


class MapError(NamedTuple):
    """Of tan two_theta over the pixels, parts in a million."""

    mean: float
    rms: float
    largest: float


def tangents(
    powder: PowderSet, detector: DetectorGeometry, shifts: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """(rows, columns) tan two_theta of every pixel by a geometry with panel shifts; NaN in gaps."""
    panels = powder.panels
    if panels is not None:
        own = np.zeros_like(panels.shifts) if shifts is None else np.asarray(shifts)
        panels = Panels(panels.counts, panels.sizes, panels.gaps, own)
    found = np.full(powder.shape, np.nan)
    for rows, columns, panel in blocks(powder):
        z, y = np.arange(rows.start, rows.stop)[:, None], np.arange(columns.start, columns.stop)[None, :]
        found[rows, columns] = corrected(detector, y.astype(float), z.astype(float), panel_shift(panels, panel))
    return found * detector.px / detector.lsd


def map_error(powder: PowderSet, detector: DetectorGeometry, shifts: NDArray[np.float64] | None = None) -> MapError:
    """Mean, root of the mean square and largest |tan two_theta / the true one - 1| x 10⁶.

    Over pixels with a meaning, more than 20 mm from the beam and nearer than `rho_d`. Without a gauge: what a panel's
    shift takes from the beam centre counts nothing.
    """
    truth = tangents(powder, powder.detector, None if powder.panels is None else powder.panels.shifts)
    radius = truth * powder.detector.lsd
    used = (radius > INNER) & (radius < powder.detector.rho_d)
    if powder.dead is not None:
        used &= ~powder.dead
    error = np.abs(tangents(powder, detector, shifts)[used] / truth[used] - 1) * 1e6
    return MapError(float(error.mean()), float(np.sqrt((error**2).mean())), float(error.max()))
