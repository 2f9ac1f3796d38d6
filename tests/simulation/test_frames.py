"""From spots to counts and archives: scaling, widths, noise, intensities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from midas.archive import Archive
from midas.formats.simulated import SPOTS_MERGED

from .small_scan import PARAMETERS, frames_of


@pytest.mark.parametrize(
    "line", ["", "OmegaSpread 1.5", "Noise poisson\nBackground 20\nOmegaSpread 2\nDarkNoise 1.5\nDarkLevel 100"]
)
def test_bytes_do_not_depend_on_threads(simulate, tmp_path: Path, line: str) -> None:
    outputs = []
    for threads in (1, 2, 4):
        archive = simulate(line, threads=threads).archive
        outputs.append((frames_of(archive), (tmp_path / "SpotMatrixGen.csv").read_bytes()))
    for frames, table in outputs[1:]:
        np.testing.assert_array_equal(frames, outputs[0][0])
        assert table == outputs[0][1]


@pytest.mark.parametrize("line", ["", "OmegaSpread 1.5"])
def test_reversed_scan_gives_the_frames_in_reverse(simulate, line: str) -> None:
    forward = frames_of(simulate(line).archive)
    turned = PARAMETERS.replace("OmegaStart -90", "OmegaStart 90").replace("OmegaEnd 90", "OmegaEnd -90")
    backward = frames_of(simulate(line, base=turned.replace("OmegaStep 5", "OmegaStep -5")).archive)
    np.testing.assert_array_equal(forward, backward[::-1])
    assert forward.any()


def test_brightest_pixel_is_scaled_to_scale_max(simulate) -> None:
    assert frames_of(simulate().archive).max() in (14999, 15000)
    assert frames_of(simulate("ScaleMax 4000").archive).max() in (3999, 4000)


def test_without_scaling_counts_are_the_amplitude(simulate) -> None:
    result = simulate("ScaleMax 0", "PeakIntensity 70000")
    assert frames_of(result.archive).max() == min(int(result.brightest + 0.5), 65535)


def test_isolated_spot_has_the_volume_of_a_gaussian(simulate) -> None:
    result = simulate("OmegaStep 0.5", "GaussWidth 1.3", "SpotTruthMerged 1")
    frames = frames_of(result.archive)
    spots = result.spots
    alone = [k for k in range(len(spots)) if (spots["omeBin"] == spots["omeBin"][k]).sum() == 1]
    assert len(alone) > 10
    expected = 2 * np.pi * 1.3**2 * 5000 * 15000 / result.brightest
    for k in alone:
        total = frames[int(spots["omeBin"][k])].sum()
        assert total == pytest.approx(expected, rel=2e-3)


def test_omega_spread_conserves_intensity(simulate, tmp_path: Path) -> None:
    sharp, broad = (simulate(f"OmegaSpread {s}", "ScaleMax 0", "PeakIntensity 1e4") for s in (0, 2))
    a = frames_of(sharp.archive).sum(dtype=float)
    b = frames_of(broad.archive).sum(dtype=float)
    assert b == pytest.approx(a, rel=0.03)  # what leaves the scan at its ends is lost
    assert broad.brightest < sharp.brightest


def test_merged_truth(simulate, tmp_path: Path) -> None:
    spots = simulate("OmegaSpread 2", "SpotTruthMerged 1").spots
    merged = SPOTS_MERGED.read(tmp_path / "SpotsGenMerged.csv")
    assert len(merged) == len(spots)
    np.testing.assert_allclose(merged["DetectorHor"], spots["DetectorHor"], atol=2e-6)
    assert (merged["LastFrame"] > merged["FirstFrame"]).all()
    middle = (merged["FirstFrame"] > 0) & (merged["LastFrame"] < 35)
    centre = -90 + 5 * (merged["Frame"] + 0.5)
    assert np.abs(centre - merged["Omega"])[middle].max() < 1.3


def test_background_noise_and_dark(simulate) -> None:
    result = simulate("Background 20", "Noise poisson", "DarkFrames 3", "DarkLevel 100", "DarkNoise 2", "RandomSeed 4")
    with Archive(result.archive) as archive:
        frames, dark = np.array(list(archive.frames)), np.array(list(archive.dark))
    assert dark.shape == (3, 256, 256)
    assert dark.mean() == pytest.approx(100, abs=0.05) and dark.std() == pytest.approx(2, abs=0.05)
    empty = frames[[f for f in range(36) if not (result.spots["omeBin"] == f).any()]]
    assert len(empty)
    assert empty.mean() == pytest.approx(120, abs=0.05) and empty.var() == pytest.approx(24, abs=0.3)
    assert len({frame.tobytes() for frame in (*frames, *dark)}) == 39


def test_gaussian_noise_and_seed(simulate) -> None:
    one, same, other = (
        frames_of(simulate("Background 50", "Noise gauss 3", f"RandomSeed {seed}").archive) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).mean() > 0.5
    quiet = np.median(one, axis=0)
    assert one[one < 80].std() == pytest.approx(3, abs=0.05) and np.median(quiet) == 50


def test_constant_background(simulate) -> None:
    plain, raised = (frames_of(simulate(line).archive).astype(int) for line in ("", "Background 7"))
    np.testing.assert_array_equal(raised, plain + 7)


def test_analysis_archive_holds_the_parameters_of_the_user(simulate) -> None:
    result = simulate("WriteAnalysisZip 1", "Width 900")
    assert result.archive.name == "sim.analysis.MIDAS.zip"
    with Archive(result.archive) as archive:
        p = archive.parameters
        assert (p["Lsd"], p["Width"], p["OmegaStep"], p["RingThresh"]) == (5e5, 900, 5, ((1, 10), (2, 10)))
        assert archive.omegas[:2].tolist() == [-90, -85]


def test_bare_archive_is_what_the_legacy_program_wrote(simulate) -> None:
    import zipfile

    result = simulate()
    assert result.archive.name == "sim_scanNr_0.zip"
    with zipfile.ZipFile(result.archive) as archive:
        names = archive.namelist()
        assert names[:4] == [".zgroup", "exchange/.zgroup", "exchange/data/.zarray", "exchange/data/.zattrs"]
        assert names[4:] == [f"exchange/data/{f}.0.0" for f in range(36)]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


def test_rectangular_detector(simulate) -> None:
    frames = frames_of(simulate("NrPixelsY 256", "NrPixelsZ 200").archive)
    assert frames.shape == (36, 200, 256)
    np.testing.assert_array_equal(frames, frames_of(simulate().archive)[:, :200])


def test_intensity_by_volume(simulate) -> None:
    result = simulate("IntensityByVolume 1", "SpotTruthMerged 1", "ScaleMax 0")
    merged = SPOTS_MERGED.read(result.archive.with_name("SpotsGenMerged.csv"))
    large, small = (merged["Counts"][merged["GrainID"] == grain] for grain in (1, 2))
    np.testing.assert_allclose(large[0] / small, 8, rtol=1e-5)


def test_lorentz_factor(simulate) -> None:
    result = simulate("Lorentz 1", "SpotTruthMerged 1", "ScaleMax 0")
    merged = SPOTS_MERGED.read(result.archive.with_name("SpotsGenMerged.csv"))
    assert np.abs(np.sin(np.radians(merged["Eta"]))).min() >= 0.05
    theta = np.radians(result.spots["Theta"])
    product = merged["Counts"] * np.abs(np.sin(np.radians(merged["Eta"]))) * np.sin(2 * theta)
    np.testing.assert_allclose(product, product[0], rtol=1e-5)
    assert np.median(merged["Counts"]) == pytest.approx(5000 * 2 * np.pi, rel=1e-2)


def test_ring_intensities(simulate) -> None:
    intensities = "h k l I d ring\n1 1 1 30 2.03 1\n1 1 -1 20 2.03 1\n\n2 2 0 not a number\n"
    result = simulate("IntensitiesFile int.txt", **{"int.txt": intensities})
    assert set(result.spots["RingNr"]) == {1, 2}
    lit = frames_of(result.archive)
    only = frames_of(simulate(base=PARAMETERS.replace("RingThresh 2 10\n", "")).archive)
    np.testing.assert_array_equal(lit, only)
