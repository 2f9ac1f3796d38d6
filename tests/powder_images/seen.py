"""What a set looks like to the calibration: its rings, and how far points are from the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas.calibration.powder.points import Points
from midas.calibration.powder.rings import Rings
from midas.experiment.panels import with_shifts
from powder_images.recipe import PowderSet, corrected, panel_shift

Array = NDArray[np.float64]


def rings_of(powder: PowderSet) -> Rings:
    """The lines of the powder."""
    lines = powder.lines
    return Rings(np.arange(1, len(lines.d_spacing) + 1), lines.d_spacing, lines.multiplicity)


def unshifted(powder: PowderSet) -> Array:
    """(p, 8) panels where they should be."""
    if powder.panels is None:
        return np.empty((0, 8))
    packed = powder.panels.packed()
    return with_shifts(packed, np.zeros((len(packed), 3)))


def errors(powder: PowderSet, points: Points) -> tuple[Array, Array]:
    """Strain of points in the true geometry, by the formulas of the recipe, and what is expected of it."""
    radius = np.empty(len(points))
    for panel in np.unique(points.panel):
        own = points.panel == panel
        shift = panel_shift(powder.panels, int(panel)) if panel >= 0 else None
        radius[own] = corrected(powder.detector, points.y_px[own], points.z_px[own], shift)
    true = powder.ring_radii()[points.ring]
    return radius / true - 1, points.sigma / true


def means_of_rings(powder: PowderSet, points: Points) -> dict[int, tuple[float, float]]:
    """Weighted mean strain of each ring in the true geometry, and its sigma."""
    strain, sigma = errors(powder, points)
    found = {}
    for ring in np.unique(points.ring):
        weight = sigma[points.ring == ring] ** -2.0
        mean = float(np.sum(weight * strain[points.ring == ring]) / np.sum(weight))
        found[int(ring)] = mean, float(np.sum(weight) ** -0.5)
    return found
