"""The objective of the legacy program on given points."""

from __future__ import annotations

from dataclasses import replace

import made_calibration as made
import numpy as np
import pytest

from midas.calibration.powder.legacy_objective import LegacyWeights, refitted
from midas.calibration.powder.summary import instrument_at

NONE = np.empty((0, 8))


@pytest.mark.parametrize("weights", [LegacyWeights(), LegacyWeights(True, True, True, True)])
def test_it_goes_downhill_from_the_start_and_has_no_uncertainties(weights: LegacyWeights) -> None:
    """From near the truth; the simplex stops early, as it always did."""
    found = made.calibration()
    start = made.numbers(replace(made.TRUTH, lsd=400400.0, y_bc=254.5, ty=0.3, p0=1e-4))
    found = replace(found, start=start)
    again = refitted(found, NONE, weights, {"Lsd": 500.0, "BCy": 1.0, "BCz": 1.0})
    assert abs(again.detector.lsd - made.TRUTH.lsd) < 50 and abs(again.detector.y_bc - made.TRUTH.y_bc) < 0.05
    assert np.abs(again.strain).mean() < 4 * made.STRAIN
    assert all(np.isnan(sigma) for sigma in again.sigma.values())
    assert again.value["Lsd"] == again.detector.lsd and "legacy objective" in again.warnings[-1]
    assert instrument_at(made.TRUTH, again.value).p1 == pytest.approx(again.detector.p1)


def test_the_search_stays_within_its_bounds() -> None:
    found = replace(made.calibration(), start=made.numbers(made.START))
    again = refitted(found, NONE, LegacyWeights(), {"Lsd": 100.0})
    assert abs(again.detector.lsd - made.START.lsd) <= 100.0
