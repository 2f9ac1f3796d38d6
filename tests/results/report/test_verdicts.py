"""Each verdict: said where it is true, with its size, and not of noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import many_grains
import numpy as np
import pytest

import midas
from midas.results.evidence.geometry_errors import GeometryError
from midas.results.evidence.residuals import SpotResiduals, spot_residuals
from midas.results.report.source import PageOptions, Source
from midas.results.report.verdicts import grains, instrument, spots
from midas.results.report.verdicts.funnel import funnel
from midas.results.report.verdicts.verdict import LOOK, NOTE, WRONG, Verdict, ordered


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> SpotResiduals:
    folder = tmp_path_factory.mktemp("layer")
    many_grains.write(folder, 40)
    residuals = Source(midas.read_results(Path(folder)), None, PageOptions()).residuals
    assert residuals is not None
    return residuals


def spacings_of(found: SpotResiduals, lsd: float = 1.0) -> list[instrument.RingSpacing]:
    detector = replace(found.detector, lsd=lsd * found.detector.lsd)
    moved = spot_residuals(found.spots, found.grains, detector)
    return instrument.ring_spacings(moved.spots.grain, moved.spots.ring, moved.spacing)


def test_the_worst_comes_first() -> None:
    levels = [NOTE, WRONG, LOOK, WRONG]
    assert [v.level for v in ordered(Verdict(str(k), level, "") for k, level in enumerate(levels))] == [
        WRONG, WRONG, LOOK, NOTE,
    ]  # fmt: skip


def test_beam_centre_names_size_and_direction() -> None:
    (verdict,) = instrument.instrument([GeometryError("BCy", 512.0, 0.41, 0.01, 0.41)])
    assert verdict.level == WRONG and verdict.significance == pytest.approx(41)
    assert "BC in y (the column) is about 512.410 px instead of 512.000 px" in verdict.says and "+0.410" in verdict.says
    (small,) = instrument.instrument([GeometryError("Wedge", 0.0, -0.01, 0.001, -0.1)])
    assert small.level == LOOK and small.topic == "Rotation axis" and "-0.0100°" in small.says
    (none,) = instrument.instrument([GeometryError("tx", 0.2, -0.20001, 0.0002, -1.0)])
    assert "about 0.0000° instead of 0.2000°" in none.says
    assert not list(instrument.instrument([]))


@pytest.mark.parametrize(("factor", "better"), [(1.003, 500000), (0.997, 500000)])
def test_a_wrong_distance(found: SpotResiduals, factor: float, better: float) -> None:
    lsd = factor * found.detector.lsd
    spacings = spacings_of(found, factor)
    verdicts = {v.topic: v for v in instrument.scale(spacings, lsd, 0.172979)}
    says = verdicts["Distance or reference cell"].says
    assert verdicts["Distance or reference cell"].level == WRONG
    named = float(says.split("Lsd about ")[1].split()[0])
    assert named == pytest.approx(better, rel=4e-4)
    assert f"{'+' if factor > 1 else '-'}" in says.split("rings are ")[1][:2]


def test_strained_grains_are_no_wrong_distance(found: SpotResiduals) -> None:
    assert not list(instrument.scale(spacings_of(found), found.detector.lsd, 0.172979))
    assert not list(instrument.scale([], 1e6, 0.2))


def test_rings_that_do_not_agree() -> None:
    rng = np.random.default_rng(1)
    grain, ring = np.repeat(np.arange(50), 40), np.tile(np.repeat([1, 2, 3, 4], 10), 50)
    strain = np.repeat(rng.normal(0, 300, 50), 40) + rng.normal(0, 30, 2000)
    even = instrument.ring_spacings(grain, ring, strain)
    assert not list(instrument.scale(even, 1e6, 0.2))
    growing = instrument.ring_spacings(grain, ring, strain + 100.0 * (ring - 2.5))
    (verdict,) = instrument.scale(growing, 1e6, 0.2)
    assert verdict.topic == "Distortion" and "ring 1 -1" in verdict.says and verdict.significance > 5
    assert instrument.ring_spacings(grain[:80], ring[:80], strain[:80]) == []


def test_height() -> None:
    rng = np.random.default_rng(2)
    z = rng.uniform(-100, 100, 200)
    assert not list(instrument.height(z, 200.0, 200.0))
    (verdict,) = instrument.height(z + 80, 200.0, 200.0)
    assert verdict.level == NOTE and "+8" in verdict.says and "by +0.4" in verdict.says
    (outside,) = instrument.height(z - 150, 200.0, 200.0)
    assert outside.level == LOOK and "by -0.7" in outside.says
    assert not list(instrument.height(z + 80, 0.0, 200.0))
    assert not list(instrument.height(z[:2] + 80, 200.0, 200.0))


def test_unexplained_spots() -> None:
    assert not list(spots.unexplained(100, 10))
    assert not list(spots.unexplained(5, 5))
    (some,) = spots.unexplained(100, 30)
    (most,) = spots.unexplained(100, 70)
    assert (some.level, most.level) == (LOOK, WRONG)
    assert "30 of the 100 strong spots (30 %)" in some.says


def test_saturated_spots() -> None:
    assert not list(spots.saturated(100, 0, 14000))
    (few,), (many,) = spots.saturated(1000, 3, 14000), spots.saturated(1000, 300, 0)
    assert (few.level, many.level) == (NOTE, LOOK)
    assert "3 of 1000 spots (0.3 %)" in few.says and "14000" in few.says and "UpperBound" not in many.says


def test_rim() -> None:
    rng = np.random.default_rng(3)
    position = rng.uniform(-400, 400, (400, 3)) * [1, 1, 0.25]
    complete = np.clip(rng.normal(0.93, 0.05, 400), 0, 1)
    assert not list(grains.rim(position, complete))
    outside = np.hypot(*position[:, :2].T) > 400
    (verdict,) = grains.rim(position, np.where(outside, complete - 0.3, complete))
    assert verdict.topic == "Beam smaller than the sample" and "away from the rotation axis" in verdict.says
    top = np.abs(position[:, 2]) > 80
    (verdict,) = grains.rim(position, np.where(top, complete - 0.3, complete))
    assert "at the top and bottom" in verdict.says
    assert not list(grains.rim(position[:20], complete[:20]))


@pytest.mark.parametrize("seed", range(20))
def test_the_rim_of_noise_is_no_rim(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert not list(grains.rim(rng.normal(0, 100, (60, 3)), rng.uniform(0.6, 1.0, 60)))


def test_no_grains() -> None:
    first, second = grains.few(0, "- BC is wrong\n- so is Lsd\nring  radius\n")
    assert first.level == WRONG and first.says == "There are no grains: BC is wrong"
    assert second.says == "Also: so is Lsd"
    (silent,) = grains.few(0, "")
    assert silent.level == WRONG and "midas_log/diagnosis.txt" in silent.advice
    assert not list(grains.few(3, ""))
    (little,) = grains.few(3, "- the completeness is too high\n")
    assert little.says.startswith("The grains explain little: ")


def test_duplicates() -> None:
    assert not list(grains.duplicates({}))
    assert not list(grains.duplicates({"crystal": 4}))
    (usual,) = grains.duplicates({"crystal": 15, "duplicate": 69, "ghost": 0})
    assert usual.level == NOTE and usual.says == "84 seeds gave 15 grains; of the others 69 were again the same grain."
    (ghosts,) = grains.duplicates({"crystal": 15, "ghost": 20})
    assert ghosts.level == LOOK


def test_flags() -> None:
    assert not list(grains.flags(np.zeros(5, np.int64)))
    (few,) = grains.flags(np.array([0] * 99 + [2]))
    (many,) = grains.flags(np.array([0, 0, 3, 3]))
    assert (few.level, many.level) == (NOTE, LOOK)
    assert "1 have too few spots" in few.says and "2 of 4 grains" in many.says


def test_funnel() -> None:
    counts = {
        "frames": 360, "peaks": 2220, "merged spots": 880, "accepted spots": 660, "spots of grains": 330, "seeds": 88,
        "grains": 0,
    }  # fmt: skip
    stages = {stage.label: stage for stage in funnel(counts)}
    assert list(stages) == list(counts)
    assert stages["peaks"].note == "6.2 per frame" and stages["merged spots"].note == "2.5 peaks each"
    assert stages["accepted spots"].share == pytest.approx(0.75)
    assert stages["spots of grains"].note == "50.0 % of the accepted spots"
    assert stages["grains"].note == "" and stages["seeds"].share is None
    assert [stage.label for stage in funnel({"grains": 3})] == ["grains"]
