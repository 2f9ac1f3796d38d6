"""The refinement of a geometry on model measurements: what is found, kept, dropped, said and refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from grain_spots import INSTRUMENT, GrainSpots, Noise, crystals_of, grain_spots

from midas.calibration.grains.geometry import Settings, refined
from midas.calibration.grains.result import GeometryResult
from midas.runtime.errors import StageError, UsageError

from .model import detector_of, measurement, wrong

SHARP = Noise(radial=1, tangential=1, omega=0.002)
ROUGH = Noise(radial=10, tangential=20, omega=0.02)
#: no tilts, no distortion, no wedge
PLAIN = replace(INSTRUMENT, tilts=(0.0, 0.0, 0.0), distortion=(0.0, 0.0, 0.0, 0.0), wedge=0.0)


def refine(spots: GrainSpots, start: object = None, **settings: object) -> GeometryResult:
    """From a start that is wrong in everything, unless it is given; nothing trusted but the true mean height."""
    start = wrong(detector_of(spots)) if start is None else start
    return refined(measurement(spots, start), Settings(**{"trust": "none", **settings}))


def said(result: GeometryResult) -> str:
    return "\n".join((*result.sentences, *result.verdicts.values()))


def test_auto_keeps_every_set_that_is_wrong() -> None:
    spots = grain_spots(crystals_of(20, seed=1), noise=SHARP)
    result = refine(spots)
    assert [each.kept for each in result.sets] == [True] * 5
    truth, found = detector_of(spots), result.detector
    assert found.lsd == pytest.approx(truth.lsd, abs=3 * result.sigma["Lsd"])
    assert found.y_bc == pytest.approx(truth.y_bc, abs=0.003)
    for name in ("tx", "ty", "tz", "wedge"):
        assert getattr(found, name) == pytest.approx(getattr(truth, name), abs=3e-3), name
    for name in ("p0", "p1", "p2"):
        assert getattr(found, name) == pytest.approx(getattr(truth, name), abs=2e-5), name
    assert result.held_out.radial[0, 1] < 0.1 * result.held_out.radial[0, 0]
    assert result.held_out.loss[1] < result.held_out.loss[0]
    assert np.median(np.linalg.norm(result.grains.positions - spots.positions, axis=1)) < 0.6
    assert "mean Z of the start kept" in said(result)
    assert "cannot be told: BCz goes with mean Z of the grains (-2" in result.verdicts["BCz"]
    assert result.verdicts["tx"] == "well determined"
    assert np.abs(result.grains.chi2 - 1).max() < 1
    assert set(result.keys()) == {"Lsd", "BC", "tx", "ty", "tz", "p0", "p1", "p2", "p3", "Wedge"}


def test_auto_drops_what_is_right_already() -> None:
    spots = grain_spots(crystals_of(20, seed=2), PLAIN, ROUGH)
    truth = detector_of(spots)
    result = refine(spots, replace(truth, lsd=truth.lsd + 1000, y_bc=truth.y_bc + 1), trust="mean")
    assert {each.words[0]: each.kept for each in result.sets} == {
        "Lsd": True,
        "ty": False,
        "tx": False,
        "p0": False,
        "p1": False,
    }
    assert result.number("p0").verdict == "held"
    assert result.number("p0").value == 0.0
    assert result.number("Lsd").verdict == "well determined (mean lattice trusted)"
    assert set(result.keys()) == {"Lsd", "BC"}


def test_a_wrong_beam_centre_in_z_goes_unseen_and_is_said() -> None:
    spots = grain_spots(crystals_of(10, seed=3), noise=SHARP)
    truth = detector_of(spots)
    m = measurement(spots, replace(truth, z_bc=truth.z_bc + 2), noise=0.1)
    m.positions[:, 2] -= 400
    result = refined(m, Settings(refine="Lsd,BC,tx,ty,tz", trust="none"))
    assert result.grains.positions[:, 2].mean() == pytest.approx(spots.positions[:, 2].mean() - 400, abs=1e-6)
    assert result.detector.z_bc == pytest.approx(truth.z_bc + 2, abs=0.05)
    assert "fixed by convention" in result.verdicts["BCz"]


def test_one_ring() -> None:
    spots = grain_spots(crystals_of(12, seed=4), replace(INSTRUMENT, lsd=5e5), SHARP, rings=(11,))
    result = refine(spots, wrong(detector_of(spots), distortion=False))
    assert "one ring: Lsd cannot be told from p2" in result.sentences
    assert {"p0", "p1c", "p1s", "p2"}.isdisjoint(result.sigma)
    reasons = {each.words[0]: each.reason for each in result.sets}
    assert reasons["p0"] == reasons["p1"] == "one ring: Lsd cannot be told from p2"


def test_one_side_of_the_detector() -> None:
    spots = grain_spots(crystals_of(20, seed=5), noise=SHARP, right_only=True)
    result = refine(spots, refine="Lsd,BC,tx,ty,tz,p0,p2,Wedge", trust="mean")
    assert "the data can hardly tell tz from " in said(result)


def test_little_rotation() -> None:
    spots = grain_spots(crystals_of(30, seed=6), noise=SHARP, omegas=(-30, 30))
    m = replace(measurement(spots, wrong(detector_of(spots))), range=60.0)
    result = refined(m, Settings(trust="mean"))
    assert "60 degrees of rotation: BCy (" in said(result)
    assert "goes with mean Y of the grains" in said(result)


def test_two_detectors_with_common_grains() -> None:
    crystals = crystals_of(8, seed=7)
    near = grain_spots(crystals, noise=SHARP)
    far = grain_spots(crystals, replace(INSTRUMENT, lsd=9e5, tilts=(-0.1, 0.4, 0.1), wedge=INSTRUMENT.wedge), SHARP)
    m = measurement(near, wrong(detector_of(near)), others=((far, wrong(detector_of(far))),))
    result = refined(m, Settings(refine="Lsd,BC,tx,ty,tz,p0,p1,p2,Wedge", trust="none"))
    assert len(result.detectors) == 2
    for found, spots in zip(result.detectors, (near, far), strict=True):
        truth = detector_of(spots)
        assert found.lsd == pytest.approx(truth.lsd, abs=30)
        assert found.wedge == result.detectors[0].wedge
        for name in ("tx", "ty", "tz", "wedge"):
            assert getattr(found, name) == pytest.approx(getattr(truth, name), abs=5e-3), name
    assert {"Lsd[1]", "Lsd[2]", "Wedge"} <= set(result.sigma)
    # Two heights would tell the detectors apart, but one convention holds for both.
    assert "BCz cannot be told from the height of the grains: mean Z of the start kept" in result.sentences
    assert set(result.keys(1)) == {"Lsd", "BC", "tx", "ty", "tz", "p0", "p1", "p2", "p3", "Wedge"}


def test_the_models_of_the_wedge() -> None:
    spots = grain_spots(crystals_of(12, seed=8), replace(INSTRUMENT, wedge=0.5), SHARP)
    wanted = "Lsd,BC,tx,ty,tz,Wedge"
    start = wrong(detector_of(spots), distortion=False)
    exact = refine(spots, start, refine=wanted)
    legacy = refine(spots, replace(start, exact_wedge=False), refine=wanted)
    assert exact.held_out.radial[0, 1] < 1.1 * 1.1
    assert legacy.held_out.tangential[0, 1] > 5
    assert "ty contains about 0.45*Wedge because WedgeModel is legacy" in legacy.sentences
    assert (exact.wedge_model, legacy.wedge_model) == ("exact", "legacy")
    assert any(s.startswith("tangential residuals 0.9 um") and s.endswith("legacy") for s in exact.sentences)


def test_wobble() -> None:
    """Without tilts and distortion a stage that moves moves the spots by as much."""
    spots = grain_spots(crystals_of(30, seed=9), PLAIN, SHARP)
    angle = np.radians(spots.omega)
    pixels = spots.pixels.copy()
    pixels[0] -= (6 * np.cos(2 * angle) - 3 * np.sin(3 * angle)) / PLAIN.px
    pixels[1] += (8 * np.sin(angle) + 4 * np.cos(3 * angle)) / PLAIN.px
    moved = replace(spots, pixels=pixels)
    truth = detector_of(spots)
    result = refine(moved, truth, refine="Lsd,BC,tx,ty,tz")
    assert any(sentence.startswith("the stage seems to wobble: ") for sentence in result.sentences)
    expected = {"Y2c": 6, "Y3s": -3, "Z1s": 8, "Z3c": 4}
    fitted = refine(moved, truth, refine="Lsd,BC,tx,ty,tz,Wobble")
    for found, limit in ((result, 0.6), (fitted, 0.15)):
        terms = {f"{t.axis}{t.order}{t.phase}": t for t in found.wobble}
        assert len(terms) == 10
        for name, term in terms.items():
            assert term.value == pytest.approx(expected.get(name, 0), abs=limit), name
            assert 0 < term.sigma < 0.3
    assert all(term.fitted for term in fitted.wobble)
    assert fitted.held_out.radial[0, 1] < 1.2 < result.held_out.radial[0, 1]
    assert "Wobble" not in "".join(fitted.keys())


def test_panels() -> None:
    """Four panels, of which three have moved; the fourth holds the beam centre."""
    spots = grain_spots(crystals_of(30, seed=10), noise=SHARP)
    panel = (spots.pixels[0] > 512).astype(int) * 2 + (spots.pixels[1] > 512)
    m = measurement(spots, detector_of(spots), noise=0.1)
    moved = np.array([[0.0, 0.0], [0.5, -0.3], [-0.4, 0.2], [0.3, 0.5]])
    grain_panel = panel[m.spots.spot_id - 1]
    best = np.bincount(panel).argmax()
    moved -= moved[best]

    def on(columns: object, of: np.ndarray) -> object:
        return replace(columns, panel=of, y_px=columns.y_px - moved[of, 0], z_px=columns.z_px - moved[of, 1])

    m = replace(m, spots=on(m.spots, grain_panel), tables=(on(m.tables[0], panel),), panels=(4,))
    result = refined(m, Settings(refine="Lsd,BC,tx,ty,tz,Panels", trust="none"))
    np.testing.assert_allclose(result.panels, moved, atol=0.01)
    assert len([name for name in result.sigma if name.startswith("dY")]) == 3


def test_bad_grains_are_left_out_and_a_bad_run_is_refused() -> None:
    spots = grain_spots(crystals_of(12, seed=11), noise=SHARP)
    rng = np.random.default_rng(1)

    def spoilt(count: int) -> GrainSpots:
        pixels = spots.pixels.copy()
        rows = slice(0, spots.first[count])
        pixels[:, rows] += rng.uniform(-3, 3, pixels[:, rows].shape)
        return replace(spots, pixels=pixels)

    result = refine(spoilt(1), detector_of(spots), refine="Lsd,BC")
    assert any(sentence == "left out since their spots do not fit: 1" for sentence in result.sentences)
    assert len(result.grains.ids) == 11
    with pytest.raises(StageError, match="most grains do not fit: wrong cell, ring numbers or indexing"):
        refine(spoilt(5), detector_of(spots), refine="Lsd,BC")


def test_what_is_asked_wrongly() -> None:
    spots = grain_spots(crystals_of(1, seed=12), noise=SHARP)
    with pytest.raises(UsageError, match="-refine: Lds: must be auto or some of Lsd"):
        refine(spots, refine="Lds")
    with pytest.raises(UsageError, match="leaves nothing"):
        refine(replace(spots, ring=np.full_like(spots.ring, 11)), refine="p2")
    few = grain_spots(crystals_of(1, seed=12), noise=SHARP, omegas=(-80, 0))
    assert len(few.omega) < 23
    with pytest.raises(StageError, match=r"\d+ spots for 23 unknowns: refine fewer numbers"):
        refine(few, refine="Lsd,BC,tx,ty,tz,p0,p1,p2,Wedge")
    result = refine(few, replace(detector_of(few), lsd=8.001e5), trust="mean")
    assert any("unknowns: only Lsd and BC" in sentence for sentence in result.sentences)
    assert "the mean strain is that of one grain" in result.sentences


def test_no_convergence_is_no_result_unless_forced() -> None:
    spots = grain_spots(crystals_of(5, seed=13), noise=SHARP)
    with pytest.raises(StageError, match="no convergence in 2 iterations; the last cost is"):
        refine(spots, iterations=2, refine="Lsd,BC,tx,ty,tz")
    assert not refine(spots, iterations=2, refine="Lsd,BC,tx,ty,tz", force=True).converged


def test_a_start_from_another_scan_is_refused() -> None:
    spots = grain_spots(crystals_of(5, seed=14), PLAIN, SHARP)
    truth = detector_of(spots)
    with pytest.raises(StageError, match="leaves every reasonable range"):
        refine(spots, replace(truth, lsd=truth.lsd * 0.92, y_bc=truth.y_bc + 40), refine="Lsd,BC")


def test_fixed_numbers_stay_and_small_changes_are_no_changes() -> None:
    spots = grain_spots(crystals_of(10, seed=15), PLAIN, ROUGH)
    truth = detector_of(spots)
    start = replace(truth, lsd=truth.lsd + 2000)
    result = refine(spots, start, refine="Lsd,BC,tx,ty,tz", fix=("tx",))
    assert result.number("tx").verdict == "held"
    kept = [number for number in result.numbers if number.verdict == "no better than the start: kept"]
    assert kept
    for number in kept:
        assert number.value == number.start
        assert number.sigma > 0
    assert abs(result.number("Lsd").change + 2000) < 5 * result.number("Lsd").sigma


def test_the_wavelength_instead_of_the_distance() -> None:
    spots = grain_spots(crystals_of(12, seed=16, strain=0.0), noise=SHARP)
    truth = detector_of(spots)
    start = replace(truth, wavelength=truth.wavelength * 1.001, y_bc=truth.y_bc + 1)
    result = refine(spots, start, refine="Wavelength,BC", trust="mean")
    assert result.detector.wavelength == pytest.approx(truth.wavelength, rel=2e-6)
    assert result.detector.lsd == truth.lsd
    assert result.verdicts["Wavelength"] == "well determined (mean lattice trusted)"
    assert result.keys()["Wavelength"] == (result.detector.wavelength,)
    both = refine(spots, start, refine="Wavelength,Lsd,BC", trust="mean")
    assert any(both.verdicts[name].startswith("cannot be told") for name in ("Wavelength", "Lsd"))


def test_the_zero_of_omega_goes_with_the_grains() -> None:
    spots = grain_spots(crystals_of(6, seed=17), noise=SHARP)
    result = refine(spots, detector_of(spots), refine="Lsd,BC,Omega0")
    assert result.verdicts["Omega0"].startswith("cannot be told: Omega0 goes with mean turn about z (")


def test_a_wrong_lattice_constant_is_contradicted() -> None:
    """The distance follows it, and the result says that the rotation angles are against it."""
    spots = grain_spots(crystals_of(10, seed=3), noise=SHARP)
    m = measurement(spots, wrong(detector_of(spots)))
    cell = m.cell.copy()
    cell[:3] *= 1.005
    settings = Settings(["Lsd", "BC", "tx", "ty", "tz", "Wedge", "p0", "p1", "p2"], trust="mean")
    result = refined(replace(m, cell=cell), settings)
    assert result.number("Lsd").value == pytest.approx(1.005 * detector_of(spots).lsd, rel=1e-3)
    assert result.number("Lsd").verdict == "contradicted by the rotation angles"
    assert "the lattice constant is not that of the sample" in said(result)
    assert refined(m, settings).number("Lsd").verdict == "well determined (mean lattice trusted)"


def test_sets_that_are_fixed_are_not_said_to_be_needed() -> None:
    spots = grain_spots(crystals_of(6, seed=5), noise=ROUGH)
    result = refine(spots, fix=("Lsd", "BC", "p0", "p1", "p2"))
    verdicts = {each.words[0]: each for each in result.sets}
    assert [verdicts[word].reason for word in ("Lsd", "p0", "p1")] == ["fixed"] * 3
    assert [verdicts[word].kept for word in ("Lsd", "tx", "p0", "p1")] == [False, True, False, False]
    assert [number.name for number in result.numbers if number.fitted] == list(result.free)
    with pytest.raises(UsageError, match="leaves nothing to refine"):
        refine(spots, fix=("Lsd", "BC", "tx", "ty", "tz", "Wedge", "p0", "p1", "p2"))
    with pytest.raises(UsageError, match="no panel of the layers can be moved"):
        refine(spots, refine=["Lsd", "Panels"])


def test_the_scale_is_that_of_every_lattice() -> None:
    spots = grain_spots(crystals_of(6, seed=5), noise=ROUGH)
    result = refine(spots, refine=["Lsd", "BC", "tx", "ty", "tz", "Wedge"], trust="each")
    assert result.number("Lsd").verdict == "well determined (every lattice trusted)"
