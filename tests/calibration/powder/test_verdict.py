"""Every sentence about a result, and every reason to refuse one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import made_calibration as made
import numpy as np
import pytest

from midas.calibration.powder.extract import Extraction
from midas.calibration.powder.result import ON_BOUND, Calibration
from midas.calibration.powder.verdict import (
    Evidence,
    check_points,
    check_result,
    check_rings,
    robust_rms,
    warnings_of,
)
from midas.runtime.errors import StageError


@pytest.fixture(scope="module")
def good() -> Calibration:
    return made.calibration()


def evidence(result: Calibration, **changes: object) -> Evidence:
    """What an image shows whose bins have all become points."""
    points, rings = result.points, len(result.rings)
    counts = np.bincount(points.ring, minlength=rings)
    shown = {"looked_for": counts, "significant": counts, "saturated": np.zeros(rings, np.int64)}
    one = Extraction(points=points, shape=None, eta_looked_for=points.eta, **(shown | changes))  # type: ignore[arg-type]
    return Evidence(points, [one], result.rings, np.empty((0, 8)))


def numbers(result: Calibration, **values: float) -> Calibration:
    return replace(result, value=result.value | values)


def test_a_good_result_needs_no_words(good: Calibration) -> None:
    seen = evidence(good)
    check_points(seen)
    check_result(good)
    said = warnings_of(numbers(good, tx=0.0), seen, {})
    assert not [word for word in said if "disagree" not in word and "between eta" not in word]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda g: replace(g, verdict=g.verdict | {"Lsd": ON_BOUND}), "Lsd ended on the bound of its tolerance"),
        (lambda g: numbers(g, Lsd=1.06 * g.start["Lsd"]), "Lsd is +6.0 % from its start"),
        (lambda g: numbers(g, BCy=g.start["BCy"] + 60.0), "BC is 60 px from its start"),
        (lambda g: numbers(g, ty=-5.5), "ty is -5.50 degrees, more than 5"),
        (lambda g: numbers(g, tx=0.2), "tx stays at 0.2: rings cannot tell it"),
        (lambda g: replace(g, strain=300e-6 * np.sign(g.strain)), "300 microstrain (robust) from the points"),
    ],
)
def test_each_warning(good: Calibration, change: Callable[[Calibration], Calibration], words: str) -> None:
    result = change(good)
    if "robust" in words:
        words = words.replace("300", f"{robust_rms(result):.0f}")
    assert any(words in word for word in warnings_of(result, evidence(good), {}))


def test_rings_that_disagree(good: Calibration) -> None:
    third = 50e-6 * (good.points.ring % 3 == 0)
    result = replace(
        good, strain=1e-9 * np.sign(good.strain) + third, sigma_strain=np.full(len(third), 1e-6), scale=1.0
    )
    assert any(
        "rings disagree with the others by more than 3 sigma" in word
        for word in warnings_of(result, evidence(good), {})
    )


def test_what_stays_and_why(good: Calibration) -> None:
    assert any("p1 stays at" in word and "too open" in word for word in warnings_of(
        numbers(good, p1=0.0), evidence(good), {"p1": "too open"}))  # fmt: skip


def test_a_shadow_and_panels_without_points(good: Calibration) -> None:
    lit = good.points.take((good.points.eta < 20) | (good.points.eta > 80))
    seen = evidence(good)
    dark = Evidence(lit, seen.extractions, seen.rings, np.zeros((3, 8)))
    said = warnings_of(good, dark, {})
    assert any("next to no points on rings between eta" in word for word in said)
    assert any("too few points on rings: no shift" in word for word in said)


def test_reasons_to_refuse(good: Calibration) -> None:
    seen, none = evidence(good), np.zeros(0, np.int64)
    with pytest.raises(StageError, match="have saturated pixels; expose for a shorter time"):
        check_points(evidence(good, saturated=seen.extractions[0].looked_for))
    with pytest.raises(StageError, match="no ring rises above 5 sigma"):
        check_points(replace(seen, points=good.points.take(none)))
    with pytest.raises(StageError, match="only 2 rings have points"):
        check_points(replace(seen, points=good.points.take(good.points.ring < np.unique(good.points.ring)[2])))
    with pytest.raises(StageError, match="degrees of azimuth, a geometry needs 60"):
        check_points(replace(seen, points=good.points.take(np.abs(good.points.eta) < 20)))
    with pytest.raises(StageError, match="rings of the calibrant are nearer to the beam than RhoD"):
        check_rings(good.rings, replace(good.detector, rho_d=1000.0))
    with pytest.raises(StageError, match="microstrain .robust. from the points, more than 1000"):
        check_result(replace(good, strain=np.where(good.strain < 0, -2e-3, 2e-3)))
    drift = 200e-6 * (good.points.ring - good.points.ring.mean())
    drift[good.points.ring == good.points.ring.max()] = 1.5e-3
    with pytest.raises(StageError, match="drift with two_theta"):
        check_result(replace(good, strain=drift))
