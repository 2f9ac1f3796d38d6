"""The analytic derivatives of the residuals against differences (docs/theory/refinement.md#jacobian)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from .seeds import EXPERIMENT, case, refiner

FLAT = (0.0, 0.0, 0.0)
STEPS = np.array([0.1, 0.1, 0.1, 1e-4, 1e-4, 1e-4, 1e-5, 1e-5, 1e-5, 1e-4, 1e-4, 1e-4])


def euler(u: NDArray) -> NDArray:
    return np.degrees([np.arctan2(u[0, 2], -u[1, 2]), np.arccos(u[2, 2]), np.arctan2(u[2, 0], u[2, 1])])


@pytest.mark.parametrize(
    ("wedge", "exact", "tilts"),
    [(0.0, True, FLAT), (0.3, False, FLAT), (2.0, True, FLAT), (0.0, True, (3, 5, -6)), (2.0, True, (30, 15, -12))],
)
@pytest.mark.parametrize("by_euler", [False, True])
@pytest.mark.parametrize("objective", ["spot and omega", "spot", "direction"])
def test_derivatives(
    objective: str, by_euler: bool, wedge: float, exact: bool, tilts: tuple[float, float, float]
) -> None:
    experiment = replace(EXPERIMENT, wedge=wedge, exact_wedge=exact, tilts=tilts)
    grains, spots = case(1, seed=4, experiment=experiment)
    fit, rows = refiner(experiment, spots), spots.of(0)
    angles = euler(grains.orientations[0]) if by_euler else np.array([0.3, -0.2, 0.5])
    x = np.concatenate([grains.positions[0] + 5.0, angles, grains.cells[0] * 1.0002])
    base = grains.orientations[0].ravel()
    at, slopes = fit.linearised(base, x, rows, objective, by_euler)
    assert at.shape[1] == len(rows)
    for k in range(12):
        difference = np.zeros_like(at)
        for sign in (1, -1):
            moved = x.copy()
            moved[k] += sign * STEPS[k]
            difference += sign * fit.linearised(base, moved, rows, objective, by_euler)[0] / (2 * STEPS[k])
        if objective == "spot":
            difference[2] = 0.0  # not a residual
        # The omega correction of the legacy model is taken as constant.
        limit = (2e-7 if wedge == 0 or exact else 2e-3) * np.abs(slopes[k]).max() + 1e-6
        if objective != "direction" or k >= 3:  # there the position is fixed
            assert np.abs(slopes[k] - difference).max() < limit, k
