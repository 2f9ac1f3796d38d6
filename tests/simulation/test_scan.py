"""`midas.simulation` as a whole: which spots a parameter file and a grain list give."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from midas.experiment.orientation import nearest_rotations
from midas.formats.hkls import LAYOUT as HKLS
from midas.formats.simulated import SPOT_MATRIX_GEN

from .small_scan import GRAINS, PARAMETERS, frames_of


def test_ring_listed_twice_is_simulated_twice_and_its_order_counts(simulate) -> None:
    once = simulate().spots
    twice = simulate("RingsToUse 1").spots
    assert len(twice) == len(once) + (once["RingNr"] == 1).sum()
    swapped = PARAMETERS.replace("RingThresh 1 10\nRingThresh 2 10", "RingThresh 2 10\nRingThresh 1 10")
    assert simulate(base=swapped).spots["RingNr"][0] == 2


def test_no_ring_listed_means_all(simulate, tmp_path: Path) -> None:
    spots = simulate(base=PARAMETERS.replace("RingThresh 1 10\nRingThresh 2 10\n", "")).spots
    rings = HKLS.read(tmp_path / "hkls.csv")["ring"]
    assert set(spots["RingNr"]) == set(rings) and len(set(rings)) > 4


def test_energy_samples(simulate) -> None:
    one = simulate().spots
    five = simulate("EResolution 0.002 5").spots
    assert len(five) > 4.5 * len(one)
    theta = five["Theta"][(five["GrainID"] == 1) & (five["SpotID"] == five["SpotID"][0])]
    sines = np.sin(np.radians(theta))
    np.testing.assert_allclose(sines / sines[2], [0.999, 0.9995, 1, 1.0005, 1.001], atol=1e-6)


def test_near_z_orientation_is_not_snapped(simulate) -> None:
    """Phi = 0.2 degrees: the legacy program simulated Phi = 0 (docs/differences.md#simulation)."""
    tilt = np.radians(0.2)
    matrix = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    row = " ".join(f"{x:.6f}" for x in matrix.ravel())
    line = f"1 {row} 0 0 0 3.524 3.524 3.524 90 90 90\n"
    header = "".join(GRAINS.splitlines(keepends=True)[:9]).replace("NumGrains 2", "NumGrains 1")
    for legacy in (0, 1):
        spots = simulate(f"LegacyDistortionMap {legacy}", grains=header + line).spots
        theta, eta, omega = (np.radians(spots[name]) for name in ("Theta", "Eta", "OmeRaw"))
        q = 2 * np.sin(theta) / 0.172979
        lab = q * np.array([-np.sin(theta), -np.cos(theta) * np.sin(eta), np.cos(theta) * np.cos(eta)])
        c, s = np.cos(omega), np.sin(omega)
        g = np.array([c * lab[0] + s * lab[1], -s * lab[0] + c * lab[1], lab[2]])
        hkl = 3.524 * nearest_rotations(matrix).T @ g
        # The legacy angles lose digits where the cosine of Phi is near 1.
        np.testing.assert_allclose(hkl, np.round(hkl), atol=1e-4 if legacy else 1e-5)


def test_strain_tensor_input(simulate, tmp_path: Path) -> None:
    """A shear of 1e-3 lengthens <111> of a cubic cell by two thirds of it (the legacy program doubled it)."""
    strains = np.zeros((2, 18))
    strains[:, [3, 7, 11]] = 1.0
    strains[1, 13] = 1e-3
    strains.tofile(tmp_path / "grains.bin")
    spots = simulate("InFileName grains.bin", "IsBinary 1").spots
    # Both spots of 111 and of -1-1-1 are longer by 2/3 e12, those of the other six members shorter or as long.
    ring = spots.take(spots["RingNr"] == 1)
    spacing = 0.172979 / 2 / np.sin(np.radians(ring["Theta"]))
    nominal = spacing[ring["GrainID"] == 1].mean()
    relative = spacing[ring["GrainID"] == 2] / nominal - 1
    np.testing.assert_allclose(np.abs(relative), 2e-3 / 3, atol=2e-6)
    assert (relative > 0).any() and (relative < 0).any()
    assert not (tmp_path / "GrainsGen.csv").exists()


def test_scan_without_spots(simulate) -> None:
    base = PARAMETERS.replace("OmegaEnd 90", "OmegaEnd -89.999").replace("OmegaStep 5", "OmegaStep 0.001")
    result = simulate(base=base)
    assert len(result.spots) == 0
    assert frames_of(result.archive).shape == (1, 256, 256) and not frames_of(result.archive).any()


@pytest.mark.parametrize(("start", "end", "step"), [(90, 270, 5), (-90, -270, -5), (350, 530, 5)])
def test_scans_beyond_half_a_turn(simulate, start: int, end: int, step: int) -> None:
    """The spots of a full turn that lie in the scan, with the angles of the scan and in its frames."""

    def scan(*limits: int):
        lines = [f"Omega{name} {value}" for name, value in zip(("Start", "End", "Step"), limits, strict=True)]
        return simulate(*lines, "WriteImage 0").spots

    turn, part = scan(-180, 180, 5), scan(start, end, step)
    low, high = sorted((start, end))
    omega = low + (turn["Omega"] - low) % 360
    inside = omega < high
    assert 0 < inside.sum() < len(turn)
    np.testing.assert_allclose(part["Omega"], omega[inside], atol=2e-6)
    np.testing.assert_array_equal(part["DetectorHor"], turn["DetectorHor"][inside])
    assert np.array_equal(part["omeBin"], np.floor((part["Omega"] - start) / step))
    twice = scan(-180, 540, 5)
    assert len(twice) == 2 * len(turn)


def test_a_hair_above_a_whole_number_of_frames(simulate) -> None:
    """No frame is made for what rounding has left over; half a frame more is one."""
    counts = [len(frames_of(simulate(f"OmegaEnd {end!r}").archive)) for end in (-40.0, -40.0 + 1e-7, -37.5)]
    assert counts[0] == counts[1] == counts[2] - 1


def test_memory_is_that_of_the_spots(simulate) -> None:
    """Not that of tables for twenty million of them."""
    simulate("WriteImage 0")
    tracemalloc.start()
    try:
        assert 0 < len(simulate("WriteImage 0").spots) < 1000
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_no_image_and_no_rows(simulate, tmp_path: Path) -> None:
    simulate()
    result = simulate("WriteImage 0", "WriteSpots 0")
    assert result.archive is None and not (tmp_path / "sim_scanNr_0.zip").exists()
    assert len(SPOT_MATRIX_GEN.read(tmp_path / "SpotMatrixGen.csv")) == 0


def test_result_in_memory_is_the_file(simulate, tmp_path: Path) -> None:
    result = simulate()
    np.testing.assert_array_equal(result.spots.columns, SPOT_MATRIX_GEN.read(tmp_path / "SpotMatrixGen.csv").columns)


def test_names_with_blanks(simulate, tmp_path: Path) -> None:
    """A name is the rest of its line."""
    (tmp_path / "my grains.csv").write_text(GRAINS)
    result = simulate("InFileName my grains.csv", "OutFileName a scan")
    assert result.archive == tmp_path / "a scan_scanNr_0.zip" and len(result.spots) == len(simulate().spots)


def test_gaps_before_panels_are_fine(simulate, tmp_path: Path) -> None:
    panels = ["PanelGapsY 10", "PanelShiftsFile shifts.txt", "NPanelsZ 1", "NPanelsY 2", "PanelSizeY 123"]
    shifts = "# id dY dZ\n1 2.0 -1.0 0.0 5 5\n"
    moved = simulate(*panels, "PanelSizeZ 256", **{"shifts.txt": shifts}).spots
    still = simulate().spots
    difference = dict(zip(zip(*still.columns[:2], strict=True), still["DetectorHor"], strict=True))
    by = np.array([difference[key] for key in zip(*moved.columns[:2], strict=True)]) - moved["DetectorHor"]
    right = moved["DetectorHor"] > 133
    np.testing.assert_allclose(by[right], 2.0, atol=2e-6)
    np.testing.assert_allclose(by[moved["DetectorHor"] < 122], 0.0, atol=2e-6)
